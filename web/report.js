/* The page of rapt report. Reads the JSON of #data (src/report/report.h says what it holds) and builds the page. Whatever came from a
 * file reaches the page as text only: textContent and canvas, never markup. report.html puts report_goals.js and report_more.js before it, into the same function. */
const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');
const dark = matchMedia('(prefers-color-scheme: dark)');
const narrow = matchMedia('(max-width: 760px)');
let printing = false; /* paper is light */

/* ---- small helpers ---- */
function el(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  for (const c of children) if (c !== null && c !== undefined) e.append(c);
  return e;
}
const isNumber = (x) => typeof x === 'number' && Number.isFinite(x);
const isEstimate = (e) => e !== null && typeof e === 'object' && isNumber(e.value);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const minus = (text) => text.replace(/^-/, '\u2212');
const fixed = (x, digits) => minus(x.toFixed(digits));
const percent = (x) => (x * 100).toFixed(x > 0.995 || x < 0.005 ? 1 : 0) + '\u202f%';
function short(x) {
  if (!isNumber(x)) return '\u2013';
  const a = Math.abs(x);
  if (x === 0) return '0';
  if (a < 1e-3 || a >= 1e6) return minus(x.toExponential(2).replace(/\.?0+e/, 'e').replace('e-', 'e\u2212').replace('e+', 'e'));
  if (a >= 1000) return minus(Math.round(x).toLocaleString('en-US'));
  return minus(String(Number(x.toPrecision(4))));
}
const whole = (x) => (isNumber(x) ? Math.round(x).toLocaleString('en-US') : '\u2013');
const interval = (e, digits) => `${fixed(e.low, digits)} to ${fixed(e.high, digits)}`;
/* The last part of a path, without the endings that files of ours have. */
function baseName(path) {
  const last = String(path).replace(/\/+$/, '').split('/').pop();
  return last.replace(/\.(jsonl|json|gguf)$/, '') || String(path);
}
const list = (items) => (items.length < 2 ? items.join('') : items.slice(0, -1).join(', ') + ' and ' + items[items.length - 1]);

/* ---- models: one colour each, all over the page ---- */
const BASE = 'base model';
const light = ['#1f5fbf', '#c2571a', '#2f7d4f', '#8a3fa0', '#b3365b', '#72701a', '#16808c', '#7a5b45'];
const night = ['#7fb0f5', '#f0985e', '#74c796', '#c995dd', '#f08aa8', '#c9c76b', '#6cc8d3', '#c9a88f'];
const models = [];
function model(label) {
  if (!models.includes(label)) models.push(label);
  return label;
}
function color(label) {
  if (label.startsWith(BASE)) return dark.matches && !printing ? '#8f8b84' : '#96928a';
  const i = models.filter((m) => !m.startsWith(BASE)).indexOf(label);
  return (dark.matches && !printing ? night : light)[Math.max(i, 0) % light.length];
}
const faded = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, '0');

for (const run of data.runs) model(run.label);
const labelOfName = (name) => {
  const at = name.indexOf('@goal='); /* as rapt serve names a model at a goal */
  if (at > 0) return `${labelOfName(name.slice(0, at))} at goal ${name.slice(at + 6)}`;
  const run = data.runs.find((r) => r.label === name || r.folder.replace(/\/+$/, '') === name.replace(/\/+$/, ''));
  return run ? run.label : baseName(name);
};

/* A sample names its adapter or model, else the file it came from does. The model that a run started from is the base model. */
const startedFrom = new Set(data.runs.map((r) => r.manifest && r.manifest.options && r.manifest.options.model).filter(Boolean).map((m) => baseName(String(m))));
function labelOfSample(row) {
  if (row.model === null) return row.run === null ? 'model' : row.run === 'base' ? BASE : row.run;
  return startedFrom.has(baseName(row.model)) ? BASE : labelOfName(row.model);
}

/* One entry a model that was evaluated: {label, run, file}. The same model twice (another data set) carries the file's name. */
function evaluated(task) {
  const out = [];
  const add = (label, run, file) => {
    const same = out.filter((o) => o.label === label || o.label.startsWith(label + ' ('));
    if (same.some((o) => JSON.stringify(o.run) === JSON.stringify(run))) return;
    out.push({label: same.length ? `${label} (${baseName(file)})` : label, named: label, run, file});
  };
  for (const e of data.evals) {
    if (e.data.task !== task) continue;
    for (const run of e.data.runs) {
      const own = e.label !== null && e.data.runs.length === 1;
      add(own ? e.label : labelOfName(run.name), run, e.file);
    }
    if (e.data.base) add(BASE, e.data.base, e.file);
  }
  out.sort((a, b) => a.label.startsWith(BASE) - b.label.startsWith(BASE));
  for (const o of out) model(o.label);
  return out;
}
const goals = evaluated('goal-accuracy');
const unlearning = evaluated('unlearning');
const curves = evaluated('goal-curve');
const midpoints = evaluated('midpoint');
const figure = (o, kind, name, stratum = 'all') => {
  const group = o.run[kind] && o.run[kind][stratum];
  return group && isEstimate(group[name]) ? group[name] : null;
};

/* ---- sections, tables, charts ---- */
function section(title, note) {
  const s = el('section', '', el('h2', '', title), note ? el('p', 'note', note) : null);
  page.append(s);
  return s;
}
function card(parent, title, note, width = '') {
  const c = el('div', `card ${width}`, el('h3', '', title), note ? el('p', 'note', note) : null);
  parent.append(c);
  return c;
}
function table(head, rows, firstNumber = 1) {
  const line = (cells, tag, inHead) =>
    el('tr', '', ...cells.map((c, i) => {
      const cell = el(i === 0 || inHead ? 'th' : 'td', i >= firstNumber ? 'number' : '', c);
      cell.scope = inHead ? 'col' : 'row';
      if (!inHead && i > 0) cell.removeAttribute('scope');
      return cell;
    }));
  const box = el('div', 'scroll', el('table', '', el('thead', '', line(head, 'th', true)), el('tbody', '', ...rows.map((r) => line(r, 'td', false)))));
  box.tabIndex = 0;
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', 'Table: ' + head.filter((h) => typeof h === 'string' && h).join(', '));
  return box;
}
function details(parent, title, content) {
  parent.append(el('details', '', el('summary', '', title), content));
}
const estimateCell = (e, digits = 3) =>
  isEstimate(e) ? el('span', '', fixed(e.value, digits), ' ', el('span', 'range', `[${fixed(e.low, digits)}, ${fixed(e.high, digits)}]`)) : '\u2013';

function legend(parent, labels, extra = []) {
  if (labels.length < 2 && !extra.length) return;
  const ul = el('ul', 'legend');
  for (const label of labels) {
    const key = el('span', 'key');
    key.dataset.model = label;
    ul.append(el('li', '', key, label));
  }
  for (const [className, text] of extra) ul.append(el('li', '', el('span', 'key ' + className), text));
  parent.append(ul);
}
function paintKeys() {
  for (const key of document.querySelectorAll('[data-model]')) {
    key.style.background = faded(color(key.dataset.model), key.dataset.faded ? 0.42 : 1);
  }
}

Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.plugins.legend.display = false;

/* Intervals of bars, and the line that chance would draw: one number, or one for each category (null: none). */
const whiskers = {
  id: 'whiskers',
  afterDatasetsDraw(chart) {
    const g = chart.ctx;
    g.save();
    g.strokeStyle = css('--ink');
    g.lineWidth = 1.5;
    chart.data.datasets.forEach((set, i) => {
      const meta = chart.getDatasetMeta(i);
      if (!set.estimates || meta.hidden) return;
      set.estimates.forEach((e, j) => {
        if (!isEstimate(e)) return;
        const x = Math.round(meta.data[j].x) + 0.25, cap = Math.min(5, meta.data[j].width / 3);
        const low = chart.scales.y.getPixelForValue(e.low), high = chart.scales.y.getPixelForValue(e.high);
        g.beginPath();
        g.moveTo(x, low);
        g.lineTo(x, high);
        g.moveTo(x - cap, low);
        g.lineTo(x + cap, low);
        g.moveTo(x - cap, high);
        g.lineTo(x + cap, high);
        g.stroke();
      });
    });
    const chance = chart.options.chanceAt, area = chart.chartArea;
    const segments = isNumber(chance) ? [chance] : chance || [], width = (area.right - area.left) / segments.length;
    g.strokeStyle = css('--soft');
    g.lineWidth = 1;
    g.setLineDash([5, 4]);
    segments.forEach((at, i) => {
      if (!isNumber(at)) return;
      const y = Math.round(chart.scales.y.getPixelForValue(at)) + 0.5;
      g.beginPath();
      g.moveTo(area.left + i * width, y);
      g.lineTo(area.left + (i + 1) * width, y);
      g.stroke();
    });
    g.restore();
  },
};
Chart.register(whiskers);

/* Charts are built anew when the colour scheme changes: a canvas keeps the colours it was drawn with. */
const builders = [], drawn = [];
function plot(parent, description, build) {
  const canvas = el('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', description);
  parent.append(el('div', 'plot', canvas));
  builders.push(() => drawn.push(new Chart(canvas, build())));
}
function drawAll() {
  for (const c of drawn.splice(0)) c.destroy();
  Chart.defaults.font.family = css('--sans');
  Chart.defaults.font.size = 12;
  Chart.defaults.color = css('--soft');
  paintKeys();
  for (const b of builders) b();
}
const axis = (more) => ({
  grid: {color: css('--grid'), borderColor: css('--line'), tickLength: 0},
  ticks: {padding: 8, maxRotation: 0, ...(more.ticks || {})},
  ...Object.fromEntries(Object.entries(more).filter(([k]) => k !== 'ticks')),
});
const tooltip = (more) => ({
  backgroundColor: css('--ink'), titleColor: css('--page'), bodyColor: css('--page'), padding: 10, cornerRadius: 6, boxPadding: 5, usePointStyle: true, ...more,
});

/* Lines of an axis label. */
function wrap(text, _, all) {
  const most = narrow.matches ? Math.max(6, Math.floor(38 / all.length)) : 15, out = [];
  for (const word of text.split(' ')) {
    if (out.length && (out[out.length - 1] + ' ' + word).length <= most) out[out.length - 1] += ' ' + word;
    else out.push(word);
  }
  return out;
}
/* Bars with intervals: sets is [{label, model, faded, estimates[]}]. */
function bars(parent, description, categories, sets, {low, high, chance, digits = 2} = {}) {
  plot(parent, description, () => ({
    type: 'bar',
    data: {
      labels: categories.map(wrap),
      datasets: sets.map((s) => ({
        label: s.label,
        data: s.estimates.map((e) => (isEstimate(e) ? e.value : null)),
        estimates: s.estimates,
        backgroundColor: faded(color(s.model), s.faded ? 0.42 : 0.92),
        borderRadius: 2,
        categoryPercentage: categories.length === 1 ? 0.5 : 0.72,
        barPercentage: 0.9,
        maxBarThickness: 54,
      })),
    },
    options: {
      chanceAt: chance,
      interaction: {mode: 'index', intersect: false},
      scales: {
        x: axis({grid: {display: false, borderColor: css('--line')}, ticks: {autoSkip: false}}),
        y: axis({min: low, max: high, ticks: {maxTicksLimit: 6, callback: (v) => fixed(v, Math.max(digits - 1, 1))}}),
      },
      plugins: {
        tooltip: tooltip({
          callbacks: {
            label(item) {
              const e = item.dataset.estimates[item.dataIndex];
              return isEstimate(e) ? ` ${item.dataset.label}: ${fixed(e.value, digits + 1)}  (${interval(e, digits + 1)})` : null;
            },
          },
        }),
      },
    },
  }));
}

/* ---- the finding: what a reader came for ---- */
function headline() {
  const trained = goals.filter((o) => !o.label.startsWith(BASE));
  for (const kind of ['implicit', 'raw']) {
    const all = trained.filter((o) => figure(o, kind, 'flip'));
    if (!all.length) continue;
    const best = all.reduce((a, b) => (figure(b, kind, 'flip').value > figure(a, kind, 'flip').value ? b : a));
    return {kind, best};
  }
  return null;
}
const head = headline();
const finalOf = (run, set, name) => {
  const column = run.metrics && run.metrics[set] && run.metrics[set][name];
  if (!column) return null;
  for (let i = column.length - 1; i >= 0; i--) if (isNumber(column[i])) return column[i];
  return null;
};

function opposition(kind) {
  const parts = [];
  for (const o of goals) {
    if (o === head.best) continue;
    const net = figure(o, kind, 'flip'), raw = figure(o, 'raw', 'flip');
    if (net) parts.push(`${o.label} ${fixed(net.value, 2)}`);
    else if (raw) parts.push(`${o.label} ${fixed(raw.value, 2)} on raw log-probs`);
  }
  return parts.slice(0, 4);
}
function findingOfGoals() {
  const e = figure(head.best, head.kind, 'flip');
  const share = el('b', '', percent(e.value));
  const h = el('p', 'finding');
  if (e.low > 0.5) h.append(`Ask ${head.best.label} for another score and its preference moves that way: in `, share, ' of the pairs.');
  else if (e.high < 0.5) h.append(`${head.best.label} prefers against the score it is asked for: only `, share, ' of the pairs follow it.');
  else h.append(`No sign yet that ${head.best.label} follows the score it is asked for: `, share, ' of the pairs, where chance is 50\u202f%.');
  const pairs = isNumber(head.best.run.pairs) ? ` over ${whole(head.best.run.pairs)} pairs` : '';
  const against = opposition(head.kind);
  const text =
    `The flip rate is the share of pairs in which the better response is favoured more under the higher score than under the lower one. ` +
    `It is ${fixed(e.value, 3)}${pairs}, 95\u202f% interval ${interval(e, 3)}` +
    (against.length ? `; for comparison ${list(against)}.` : '.');
  return [h, el('p', 'lede', text)];
}
function findingOfTraining() {
  const runs = data.runs.filter((r) => r.metrics);
  const known = runs.filter((r) => finalOf(r, 'eval', 'rewards/accuracies') !== null);
  if (known.length) {
    const best = known.reduce((a, b) => (finalOf(b, 'eval', 'rewards/accuracies') > finalOf(a, 'eval', 'rewards/accuracies') ? b : a));
    return [el('p', 'finding', `${best.label} ranks `, el('b', '', percent(finalOf(best, 'eval', 'rewards/accuracies'))), ' of the held-out pairs as the scores do.')];
  }
  const run = runs.find((r) => r.metrics.train && r.metrics.train.loss);
  if (!run) return [];
  const loss = run.metrics.train.loss.filter(isNumber), part = Math.max(1, Math.round(loss.length / 10));
  if (loss.length < 2) return [];
  const mean = (v) => v.reduce((a, b) => a + b, 0) / v.length;
  return [el('p', 'finding', `The training loss of ${run.label} went from ${fixed(mean(loss.slice(0, part)), 3)} to `, el('b', '', fixed(mean(loss.slice(-part)), 3)), ` in ${whole(run.metrics.summary.step)} steps.`)];
}

/* ---- tiles ---- */
function tile(parent, name, label, e, value, others) {
  const t = el('div', 'card tile', el('h3', '', name), el('div', 'name', label), el('div', 'value', e ? fixed(e.value, 2) : value));
  if (e) t.append(el('div', 'range', `${interval(e, 2)} (95\u202f%)`));
  if (others.length) {
    const dl = el('dl');
    for (const [label, text] of others.slice(0, 4)) dl.append(el('dt', '', label), el('dd', '', text));
    t.append(dl);
  }
  parent.append(t);
}
function tiles() {
  const box = el('div', 'tiles');
  if (head) {
    for (const [name, title] of [['flip', 'Flip rate'], ['both', 'Goal accuracy'], ['strict', 'Both right at once']]) {
      const e = figure(head.best, head.kind, name);
      if (!e) continue;
      const others = [];
      for (const o of goals) {
        if (o === head.best) continue;
        const net = figure(o, head.kind, name), raw = figure(o, 'raw', name);
        if (net) others.push([o.label, fixed(net.value, 2)]);
        else if (raw) others.push([`${o.label}, raw`, fixed(raw.value, 2)]);
      }
      tile(box, title, head.best.label, e, null, others);
    }
  }
  const lead = (head && data.runs.find((r) => r.label === head.best.label)) || data.runs.find((r) => r.metrics);
  if (lead) {
    for (const [name, set, title] of [['rewards/accuracies', 'eval', 'Held-out accuracy'], ['loss', 'eval', 'Held-out loss']]) {
      const v = finalOf(lead, set, name);
      if (v === null || box.children.length > 3) continue;
      const digits = name === 'loss' ? 3 : 2;
      const others = data.runs.filter((r) => r !== lead && finalOf(r, set, name) !== null).map((r) => [r.label, fixed(finalOf(r, set, name), digits)]);
      tile(box, title, lead.label, null, fixed(v, digits), others);
    }
  }
  if (box.children.length) page.append(box);
}

/* ---- does preference follow the goal? ---- */
const strata = [
  ['all', 'all pairs'], ['straddling', 'one\u00a0high, one\u00a0low'], ['both_high', 'both high'], ['both_low', 'both low'],
  ['gap_below_0.5', 'gap <\u00a00.5'], ['gap_0.5_1', 'gap 0.5\u20131'], ['gap_1_3', 'gap 1\u20133'], ['gap_above_3', 'gap >\u00a03'],
];
const figures = [['chosen', 'asked for the higher'], ['rejected', 'asked for the lower'], ['both', 'both, averaged'], ['strict', 'both right at once']];
function describe(name, sets, categories) {
  const parts = sets.map((s) => `${s.label}: ` + s.estimates.map((e, i) => (isEstimate(e) ? `${categories[i]} ${e.value.toFixed(2)}` : '')).filter(Boolean).join(', '));
  return `${name}. ${parts.join('; ')}. The numbers stand in the table below.`;
}
function goalCharts() {
  if (!goals.length) return;
  const s = section('Does the preference follow the requested score?',
    'Every pair is asked about twice: under the score of its better response and under that of its worse one. The dashed line is where a model stands that ignores the request. Whiskers are 95\u202f% intervals by bootstrap over prompts.');
  legend(s, goals.map((o) => o.label));
  const grid = el('div', 'charts');
  s.append(grid);
  const kinds = [['implicit', 'change from the reference'], ['raw', 'raw log-probs']].filter(([k]) => goals.some((o) => figure(o, k, 'flip')));
  if (kinds.length) {
    const sets = goals.map((o) => ({label: o.label, model: o.label, estimates: kinds.map(([k]) => figure(o, k, 'flip'))}));
    const c = card(grid, 'Flip rate', 'Share of pairs whose better response is favoured more under the higher score.');
    bars(c, describe('Flip rate', sets, kinds.map((k) => k[1])), kinds.map((k) => k[1]), sets, {low: 0, high: 1, chance: 0.5});
  }
  for (const kind of ['implicit', 'raw']) {
    const known = goals.filter((o) => figures.some(([f]) => figure(o, kind, f)));
    if (!known.length) continue;
    const sets = known.map((o) => ({label: o.label, model: o.label, estimates: figures.map(([f]) => figure(o, kind, f))}));
    const c = card(grid, 'Goal accuracy', (kind === 'implicit' ? 'Change from the reference' : 'Raw log-probs') + ': share of pairs ranked as the requested score says. Ignoring it gives 0.5 on average and never both.');
    bars(c, describe('Goal accuracy', sets, figures.map((f) => f[1])), figures.map((f) => f[1]), sets, {low: 0, high: 1, chance: [null, null, 0.5, 0]});
    const there = strata.filter(([k]) => k !== 'all' && known.some((o) => figure(o, kind, 'flip', k)));
    if (there.length > 1) {
      const parts = known.map((o) => ({label: o.label, model: o.label, estimates: there.map(([k]) => figure(o, kind, 'flip', k))}));
      const w = card(grid, 'Flip rate by where the two scores lie', 'High and low are the halves of the scale; the gap is the distance of the two scores.', 'wide');
      bars(w, describe('Flip rate by stratum', parts, there.map((k) => k[1])), there.map((k) => k[1]), parts, {low: 0, high: 1, chance: 0.5});
    }
    break;
  }
  const names = ['chosen', 'rejected', 'both', 'strict', 'flip', 'flip_token'];
  const rows = [];
  for (const o of goals) {
    for (const kind of ['implicit', 'raw']) {
      for (const [k, text] of strata) {
        if (!figure(o, kind, 'flip', k)) continue;
        rows.push([o.label, kind, text, whole(figure(o, kind, 'flip', k).n), ...names.map((f) => estimateCell(figure(o, kind, f, k)))]);
      }
    }
  }
  if (rows.length) details(s, 'All figures', table(['model', 'kind', 'pairs', 'n', ...names.map((n) => n.replace('_', ' a '))], rows, 3));
  const diffs = [];
  for (const e of data.evals) {
    if (e.data.task !== 'goal-accuracy') continue;
    for (const d of e.data.differences || []) {
      for (const kind of ['implicit', 'raw']) {
        if (!d[kind] || !isEstimate(d[kind].flip)) continue;
        diffs.push([`${labelOfName(d.name)} minus ${labelOfName(String(d.minus || ''))}`, kind, ...names.map((f) => estimateCell(d[kind][f]))]);
      }
    }
  }
  if (diffs.length) details(s, 'Differences on the same pairs', table(['models', 'kind', ...names.map((n) => n.replace('_', ' a '))], diffs, 2));
}

/* ---- samples ---- */
function text(parent, content) {
  const p = el('p', content ? '' : 'none', content || '(empty)');
  parent.append(p);
  if (content.length < 700) return;
  const more = el('button', '', 'Show all');
  more.type = 'button';
  p.className = 'clip';
  more.addEventListener('click', () => {
    const clipped = p.classList.toggle('clip');
    more.textContent = clipped ? 'Show all' : 'Show less';
  });
  parent.append(more);
}
function contentText(content) {
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part) => (part && typeof part.text === 'string' ? part.text : JSON.stringify(part))).join('\n');
  return content === null || content === undefined ? '' : JSON.stringify(content);
}
function promptBlock(prompt) {
  const box = el('div', 'prompt');
  if (typeof prompt === 'string') {
    box.append(el('p', '', prompt));
    return box;
  }
  if (typeof prompt[0] === 'number') {
    box.append(el('p', 'earlier', el('span', 'turn', 'token ids'), prompt.join(' ')));
    return box;
  }
  prompt.forEach((turn, i) => {
    const last = i === prompt.length - 1;
    const p = el('p', last ? '' : 'earlier', last && turn.role === 'user' ? null : el('span', 'turn', turn.role), contentText(turn.content));
    box.append(p);
  });
  return box;
}
/* Goals of several attributes are {name: score}; as a text they are one goal wherever they stand. */
const goalKey = (g) => (g !== null && typeof g === 'object' ? JSON.stringify(g) : g);
const scoresOf = (key) => (typeof key === 'string' ? Object.entries(JSON.parse(key)) : []);
const lessGoal = (a, b) => {
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  if (typeof a === 'number') return a - b;
  const [x, y] = [a, b].map((k) => scoresOf(k).map(([, v]) => v)), i = x.findIndex((v, k) => v !== y[k]);
  return i < 0 ? (a < b ? -1 : 1) : x[i] - (y[i] ?? 0);
};
/* An attribute's scale: as a run that was trained on it says, else up to the highest score that was asked for. */
function scaleOf(name) {
  for (const r of data.runs) for (const a of (r.goal && r.goal.attributes) || []) if (a.name === name) return [a.low, a.high];
  return [0, Math.max(...data.samples.flatMap((r) => (r.goal && typeof r.goal === 'object' && isNumber(r.goal[name]) ? [r.goal[name]] : [])))];
}
function meter(share) {
  const fill = el('i');
  fill.style.width = `${Math.max(0, Math.min(100, share * 100))}%`;
  return el('span', 'meter', fill);
}
function sampleCards() {
  if (!data.samples.length) return;
  const prompts = new Map();
  for (const row of data.samples) {
    const key = JSON.stringify(row.prompt), label = labelOfSample(row);
    if (!prompts.has(key)) prompts.set(key, {prompt: row.prompt, labels: new Map()});
    const labels = prompts.get(key).labels;
    if (!labels.has(label)) labels.set(label, new Map());
    const byGoal = labels.get(label), asked = goalKey(row.goal);
    if (!byGoal.has(asked)) byGoal.set(asked, []);
    byGoal.get(asked).push(row.text);
    model(label);
  }
  const all = [...prompts.values()];
  const top = Math.max(10, ...data.samples.map((r) => r.goal).filter(isNumber));
  const s = section('The same prompt under different scores', 'What the model writes when only the requested score changes.');
  const several = new Set(data.samples.map(labelOfSample)).size > 1;
  const rest = [], cards = [], place = el('div');
  s.append(place);
  all.forEach((p, i) => {
    const c = el('article', 'card sample', promptBlock(p.prompt));
    const goalsHere = [...new Set([...p.labels.values()].flatMap((m) => [...m.keys()]))].sort(lessGoal);
    for (const [label, byGoal] of p.labels) {
      if (several || models.length > 1) {
        const key = el('span', 'key');
        key.dataset.model = label;
        c.append(el('div', 'model', key, label));
      }
      const row = el('div', 'answers');
      for (const g of goalsHere) {
        const answer = el('div', 'answer');
        if (g === null) answer.append(el('div', 'goal', 'no score asked for'));
        else if (typeof g === 'number') answer.append(el('div', 'goal', 'score ', el('b', '', short(g)), meter(g / top)));
        for (const [name, score] of scoresOf(g)) {
          const [low, high] = scaleOf(name);
          answer.append(el('div', 'goal', `${name.replace(/[_-]/g, ' ')} `, el('b', '', short(score)), meter(high > low ? (score - low) / (high - low) : 1)));
        }
        const texts = byGoal.get(g);
        if (!texts) answer.append(el('p', 'none', '(no sample)'));
        else for (const t of texts) text(answer, t);
        row.append(answer);
      }
      c.append(row);
    }
    s.append(c);
    cards.push(c);
    if (i >= 4) {
      c.hidden = true;
      rest.push(c);
    }
  });
  const more = el('button', 'wide', `Show ${rest.length} more ${rest.length === 1 ? 'prompt' : 'prompts'}`);
  const showAll = () => {
    for (const c of rest.splice(0)) c.hidden = false;
    more.remove();
  };
  if (rest.length) {
    more.type = 'button';
    more.addEventListener('click', showAll);
    s.append(more);
  }
  if (cards.length > 1) sampleSearch(place, cards, showAll);
  const counts = data.sample_counts;
  if (counts.rows > counts.shown) s.append(el('p', 'note', `${whole(counts.shown)} of ${whole(counts.rows)} samples are on this page.`));
}

/* ---- unlearning ---- */
function unlearningCharts() {
  const kinds = [['own_goal', 'Under its own score'], ['other_goal', 'Under the other response\u2019s score'], ['no_goal', 'Without a score']];
  const buckets = [['1_3', '1\u20133'], ['3_5', '3\u20135'], ['5_7', '5\u20137'], ['7_9', '7\u20139'], ['9_10', '9\u201310']];
  const get = (o, kind, side, b) => {
    const e = o.run[kind] && o.run[kind][side] && o.run[kind][side][b];
    return isEstimate(e) ? e : null;
  };
  const there = kinds.filter(([k]) => unlearning.some((o) => buckets.some(([b]) => get(o, k, 'chosen', b) || get(o, k, 'rejected', b))));
  if (!there.length) return;
  const s = section('What was unlearned', 'Mean change of the log-prob a token against the reference, in nats, by the score of the response. Below zero the model has become less likely to write such responses.');
  const ul = el('ul', 'legend');
  for (const o of unlearning) {
    for (const side of ['chosen', 'rejected']) {
      const key = el('span', 'key');
      key.dataset.model = o.label;
      if (side === 'rejected') key.dataset.faded = '1';
      ul.append(el('li', '', key, `${unlearning.length > 1 ? o.label + ', ' : ''}${side}`));
    }
  }
  s.append(ul);
  const grid = el('div', 'charts'), rows = [];
  s.append(grid);
  there.forEach(([k, title], i) => {
    const sets = [];
    for (const o of unlearning) {
      for (const side of ['chosen', 'rejected']) {
        sets.push({label: `${o.label}, ${side}`, model: o.label, faded: side === 'rejected', estimates: buckets.map(([b]) => get(o, k, side, b))});
        for (const [b, text] of [['all', 'all'], ...buckets]) if (get(o, k, side, b)) rows.push([o.label, title.toLowerCase(), side, text, whole(get(o, k, side, b).n), estimateCell(get(o, k, side, b))]);
      }
    }
    const c = card(grid, title, '', there.length % 2 === 1 && i === 0 ? 'wide' : '');
    bars(c, describe(title, sets, buckets.map((b) => b[1])), buckets.map((b) => b[1]), sets.filter((x) => x.estimates.some(isEstimate)), {chance: 0});
  });
  details(s, 'All figures', table(['model', 'asked', 'response', 'score', 'n', 'change, nats a token'], rows, 4));
}

/* ---- training curves ---- */
/* Mean over a window of about a twentieth of the curve; at the ends over the part of it that is there. */
function smooth(values) {
  const half = Math.max(2, Math.round(values.length / 40));
  return values.map((_, i) => {
    let sum = 0, n = 0;
    for (let j = Math.max(0, i - half); j <= Math.min(values.length - 1, i + half); j++) if (isNumber(values[j])) sum += values[j], n++;
    return n ? sum / n : null;
  });
}
const SMOOTH_FROM = 80;
function curve(run, set, name) {
  const c = run.metrics && run.metrics[set];
  if (!c || !c[name] || !c[name].some(isNumber)) return null;
  return {step: c.step, values: c[name]};
}
function lines(parent, description, runs, names, options) {
  plot(parent, description, () => {
    const datasets = [];
    for (const run of runs) {
      names.forEach(([name, suffix], part) => {
        const base = {clip: 6, spanGaps: false, tension: 0, borderJoinStyle: 'round', pointRadius: 0, pointHitRadius: 6, borderDash: part ? [7, 4] : []};
        const points = (c, values) => values.map((y, i) => ({x: c.step[i], y}));
        const train = curve(run, 'train', name), held = curve(run, 'eval', name), ink = color(run.label);
        if (train) {
          const long = options.smooth && train.values.length > SMOOTH_FROM;
          if (long) datasets.push({...base, faint: true, label: '', data: points(train, train.values), borderColor: faded(ink, 0.2), borderWidth: 1});
          const few = train.values.length < 12 ? 2.5 : 0;
          datasets.push({...base, label: run.label + suffix, data: points(train, long ? smooth(train.values) : train.values), borderColor: ink, backgroundColor: ink, borderWidth: 2, pointRadius: few});
        }
        if (held && options.held) {
          datasets.push({...base, label: `${run.label}${suffix}, held out`, data: points(held, held.values), borderColor: ink, backgroundColor: css('--card'), borderWidth: 1.5,
            borderDash: [2, 3], pointRadius: held.values.length > 40 ? 0 : 3.5, pointBorderWidth: 1.5});
        }
      });
    }
    return {
      type: 'line',
      data: {datasets},
      options: {
        parsing: false,
        normalized: true,
        chanceAt: options.chance,
        interaction: {mode: 'nearest', axis: 'x', intersect: false},
        scales: {
          x: axis({type: 'linear', min: 0, max: Math.max(1, ...runs.map((r) => r.metrics.summary.step)), grid: {display: false, borderColor: css('--line')}, ticks: {maxTicksLimit: narrow.matches ? 5 : 8, callback: (v) => (Number.isInteger(v) ? whole(v) : '')}}),
          y: axis({min: options.low, max: options.high, grace: options.grace, ticks: {maxTicksLimit: 6, callback: (v) => short(v)}}),
        },
        plugins: {
          tooltip: tooltip({
            filter: (item) => !item.dataset.faint,
            callbacks: {title: (items) => (items.length ? `step ${whole(items[0].parsed.x)}` : ''), label: (item) => ` ${item.dataset.label}: ${short(item.parsed.y)}`},
          }),
        },
      },
    };
  });
}
const trainingCharts = [
  {title: 'Loss', names: [['loss', '']], wide: true, held: true, smooth: true},
  {title: 'Reward margin', note: 'Implicit reward of the chosen response minus that of the rejected one.', names: [['rewards/margins', '']], held: true, smooth: true},
  {title: 'Preference accuracy', note: 'Share of pairs with a positive margin.', names: [['rewards/accuracies', '']], held: true, smooth: true, low: 0, high: 1, chance: 0.5},
  {title: 'Implicit rewards', note: 'Chosen solid, rejected dashed. Both falling means that both are unlearned.', names: [['rewards/chosen', ', chosen'], ['rewards/rejected', ', rejected']], smooth: true},
  {title: 'Log-probs of the responses', note: 'Sums in nats. Chosen solid, rejected dashed.', names: [['logps/chosen', ', chosen'], ['logps/rejected', ', rejected']], smooth: true},
  {title: 'Gradient norm', note: 'Before clipping.', names: [['grad_norm', '']], smooth: true, low: 0},
  {title: 'Learning rate', names: [['learning_rate', '']], low: 0},
];
const metricRows = ['loss', 'rewards/margins', 'rewards/accuracies', 'rewards/chosen', 'rewards/rejected', 'logps/chosen', 'logps/rejected', 'entropy', 'mean_token_accuracy', 'grad_norm', 'learning_rate'];
function trainingCurves() {
  const runs = data.runs.filter((r) => r.metrics && (r.metrics.train || r.metrics.eval));
  const drawable = trainingCharts.map((c) => ({...c, runs: runs.filter((r) => c.names.some(([n]) => (curve(r, 'train', n) || (c.held && curve(r, 'eval', n)))))})).filter((c) => c.runs.length);
  if (!drawable.length) return;
  const long = runs.some((r) => r.metrics.train && r.metrics.train.step.length > SMOOTH_FROM);
  const stride = Math.max(...runs.map((r) => r.metrics.stride));
  const s = section('Training', (long ? 'Strong lines are running means, faint ones the logged values. ' : '') + (stride > 1 ? `Long logs are thinned: a point is the mean of up to ${stride} logged lines. ` : ''));
  const held = runs.some((r) => r.metrics.eval);
  legend(s, runs.map((r) => r.label), held ? [['dashed', 'held-out data']] : []);
  const grid = el('div', 'charts');
  s.append(grid);
  const odd = drawable.filter((c) => !c.wide).length % 2 === 1;
  drawable.forEach((c, i) => {
    const box = card(grid, c.title, c.note, c.wide ? 'wide' : odd && i === drawable.length - 1 ? 'wide low' : '');
    const parts = c.runs.map((r) => `${r.label} ends at ${c.names.map(([n]) => short(finalOf(r, curve(r, 'train', n) ? 'train' : 'eval', n))).join(' and ')}`);
    lines(box, `${c.title} by step: ${parts.join('; ')}. The numbers stand in the table below.`, c.runs, c.names, c);
  });
  const rows = [];
  for (const name of metricRows) {
    for (const r of runs) {
      for (const set of ['train', 'eval']) {
        const c = curve(r, set, name);
        if (!c) continue;
        const v = c.values.filter(isNumber);
        rows.push([name, r.label, set === 'train' ? 'training' : 'held out', short(v[0]), short(v[v.length - 1]), short(v.reduce((a, b) => Math.min(a, b))), short(v.reduce((a, b) => Math.max(a, b)))]);
      }
    }
  }
  details(s, 'All figures', table(['metric', 'run', 'data', 'first', 'last', 'lowest', 'highest'], rows, 3));
}

/* ---- provenance ---- */
function value(v) {
  if (v === null || v === undefined) return '\u2013';
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (typeof v === 'number') return Number.isInteger(v) ? whole(v) : String(Number(v.toPrecision(12)));
  if (Array.isArray(v)) return v.map(String).join(', ');
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}
const bytes = (b) => (isNumber(b) ? (b >= 1e9 ? `${(b / 1073741824).toFixed(1)} GiB` : `${Math.round(b / 1048576)} MiB`) : null);
function provenance() {
  const runs = data.runs.filter((r) => r.manifest || r.metrics);
  if (!runs.length) return;
  const m = (r) => r.manifest || {}, o = (r) => m(r).options || {}, mach = (r) => m(r).machine || {}, sum = (r) => (r.metrics ? r.metrics.summary : {});
  const rows = [
    ['date', (r) => r.date && r.date.replace('T', ' ').replace('Z', ' UTC')],
    ['rapt', (r) => m(r).rapt_version],
    ['finished', (r) => m(r).finished],
    ['model', (r) => o(r).model, true],
    ['model hash', (r) => m(r).model_hash, true],
    ['adapter', (r) => o(r).adapter, true],
    ['training data', (r) => o(r)['train-data'], true],
    ['data hash', (r) => m(r).data_hash, true],
    ['held-out data', (r) => o(r)['eval-data'], true],
    ['objective', (r) => [o(r).objective, value(o(r)['loss-type'] ?? '') && `${value(o(r)['loss-type'])} loss`, isNumber(o(r).beta) ? `\u03b2 ${value(o(r).beta)}` : null].filter(Boolean).join(', ') || null],
    ['steps', (r) => (isNumber(m(r).steps) ? `${whole(m(r).steps)}${isNumber(m(r).total_steps) && m(r).total_steps !== m(r).steps ? ` of ${whole(m(r).total_steps)}` : ''}` : isNumber(sum(r).step) ? whole(sum(r).step) : null)],
    ['rows', (r) => (m(r).rows ? Object.entries(m(r).rows).filter(([k, v]) => v || k === 'read' || k === 'trained').map(([k, v]) => `${value(v)} ${k.replace(/_/g, ' ')}`).join(', ') : null)],
    ['trained parameters', (r) => m(r).trained_parameters],
    ['tokens', (r) => sum(r).num_tokens],
    ['tokens a second', (r) => sum(r).tokens_per_second],
    ['peak memory', (r) => bytes(sum(r).peak_rss_bytes)],
    ['number type', (r) => mach(r).dtype],
    ['instruction set', (r) => mach(r).instruction_set],
    ['threads', (r) => mach(r).threads],
    ['goal', (r) => (r.goal && isNumber(r.goal.low) ? `a score of ${value(r.goal.low)} to ${value(r.goal.high)}` : null)],
    ['attributes', (r) => (((r.goal && r.goal.attributes) || []).map((a) => `${a.name} ${value(a.low)} to ${value(a.high)}${isNumber(a.best) ? `, best ${value(a.best)}` : ''}`).join('; ') || null)],
    ['goal stands', (r) => (r.goal && {system: 'in the system turn', user: 'before the first user turn', after: 'at the end of the last user turn'}[r.goal.placement]) || null],
    ['folder', (r) => r.folder, true],
  ].filter(([, get]) => runs.some((r) => get(r) !== null && get(r) !== undefined));
  const s = section('Where the numbers come from');
  const cell = (v, mono) => (mono && v !== null && v !== undefined ? el('span', 'mono', value(v)) : value(v));
  const c = el('div', 'card', table(['', ...runs.map((r) => r.label)], rows.map(([name, get, mono]) => [name, ...runs.map((r) => cell(get(r), mono))]), 99));
  c.classList.add('columns');
  s.append(c);
  const names = [...new Set(runs.flatMap((r) => Object.keys(o(r))))];
  if (names.length) {
    const same = (n) => runs.every((r) => JSON.stringify(o(r)[n]) === JSON.stringify(o(runs[0])[n]));
    const sorted = runs.length > 1 ? [...names.filter((n) => !same(n)), ...names.filter(same)] : names;
    const differing = runs.length > 1 ? names.filter((n) => !same(n)).length : 0;
    details(c, differing ? `All options, the ${differing} that differ first` : 'All options', table(['', ...runs.map((r) => r.label)], sorted.map((n) => [n, ...runs.map((r) => el('span', 'mono', value(o(r)[n])))]), 99));
  }
  commands(c);
  const files = data.evals.map((e) => [el('span', 'mono', e.file), e.data.task]);
  if (files.length) details(c, 'Evaluation files', table(['file', 'task'], files, 99));
}

/* ---- the page ---- */
page.append(el('h1', '', data.title));
page.append(...(head ? findingOfGoals() : findingOfTraining()));
tiles();
goalCharts();
curveCharts();
midpointCharts();
sampleCards();
unlearningCharts();
judgedCharts();
otherEvaluations();
trainingCurves();
leftOut();
provenance();
page.append(el('footer', '', `Made with rapt ${data.rapt_version}` + (data.generated ? ` on ${data.generated.slice(0, 10)}` : '') + '. This file is complete in itself: it loads nothing from the network.'));
drawAll();
preparePrint();
dark.addEventListener('change', drawAll);
narrow.addEventListener('change', drawAll);
