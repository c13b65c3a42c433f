/* Further sections of rapt report: evaluations of any other task, what was left out, how to run it again, search, print. It stands in one function
 * with report.js, whose helpers it calls; only declarations here. */
/* ---- any other evaluation: every estimate of a run, under the names that lead to it ---- */
const ownSections = ['goal-accuracy', 'midpoint', 'unlearning', 'goal-curve', 'alpaca', 'arena-hard', 'mt-bench'];
const taskTitles = {'harness': 'Benchmarks'};
const wordsOf = (name) => name.replace(/[_-]/g, ' ');
function leaves(object, path = [], out = []) {
  if (object === null || typeof object !== 'object' || Array.isArray(object) || path.length > 5) return out;
  for (const [key, value] of Object.entries(object)) {
    if (isEstimate(value) && isNumber(value.low) && isNumber(value.high)) out.push([[...path, key].map(wordsOf).join(', '), value]);
    else leaves(value, [...path, key], out);
  }
  return out;
}
/* One entry a model: the figures of its files together, where no two files have the same figure. */
function together(entries) {
  const out = [];
  for (const e of entries) {
    const same = out.find((o) => o.named === e.named && [...e.figures.keys()].every((n) => !o.figures.has(n)));
    if (same) for (const [n, x] of e.figures) same.figures.set(n, x);
    else out.push({...e, label: out.some((o) => o.named === e.named) ? e.label : e.named});
  }
  return out;
}
function otherEvaluations() {
  for (const task of [...new Set(data.evals.map((e) => e.data.task))].filter((t) => !ownSections.includes(t))) {
    const known = together(evaluated(task).map((o) => ({...o, figures: new Map(leaves(o.run))})).filter((o) => o.figures.size));
    if (!known.length) continue;
    const s = section(taskTitles[task] || wordsOf(task)[0].toUpperCase() + wordsOf(task).slice(1), 'Whiskers and brackets are 95\u202f% intervals.');
    legend(s, known.map((o) => o.label));
    const names = [...new Set(known.flatMap((o) => [...o.figures.keys()]))];
    /* figures of one range share a chart: shares on one side, all else on the other */
    const unit = (n) => known.every((o) => !o.figures.has(n) || (o.figures.get(n).low >= 0 && o.figures.get(n).high <= 1));
    const grid = el('div', 'charts');
    s.append(grid);
    for (const [group, low, high] of [[names.filter(unit), 0, 1], [names.filter((n) => !unit(n)), undefined, undefined]]) {
      for (let i = 0; i < Math.min(group.length, 16); i += 8) {
        const part = group.slice(i, i + 8);
        const sets = known.map((o) => ({label: o.label, model: o.label, estimates: part.map((n) => o.figures.get(n) || null)}));
        bars(card(grid, high === 1 ? 'Shares' : 'Figures', '', part.length > 3 ? 'wide' : ''), describe(taskTitles[task] || task, sets, part), part, sets, {low, high, chance: part.every((n) => /win/.test(n)) && high === 1 ? 0.5 : null});
      }
    }
    details(s, 'All figures', table(['model', 'figure', 'n', 'value'], known.flatMap((o) => [...o.figures].map(([n, e]) => [o.label, n, whole(e.n), estimateCell(e)])), 2));
  }
}

/* ---- benchmarks with a judge: figures of a run's groups, in cards ---- */
const judged = {
  'alpaca': {title: 'AlpacaEval', note: 'How often a judge prefers the model\u2019s output to the baseline\u2019s: as it is, and at equal lengths, since judges prefer long outputs.', over: 'instructions', cards: [
    ['Win rate, %', 'all', [['win_rate', 'win rate'], ['length_controlled_win_rate', 'length-controlled']], {low: 0, high: 100, chance: 50, digits: 1}],
    ['Mean length', 'all', [['average_length', 'characters of an output']], {low: 0, digits: 1}],
  ]},
  'arena-hard': {title: 'Arena-Hard', note: 'The share of battles with the baseline that a judge gives to the model.', over: 'battles', cards: [
    ['Score, %', 'all', [['score', 'score']], {low: 0, high: 100, chance: 50, digits: 1}],
  ]},
  'mt-bench': {title: 'MT-Bench', note: 'A judge\u2019s grades, up to 10, of the answers to two turns; of pairs, which model answers better.', over: 'questions', cards: [
    ['Grade', 'all', [['turn_1', 'first turn'], ['turn_2', 'second turn'], ['average', 'both turns']], {low: 0, high: 10, digits: 1}],
    ['Pairs', 'pairwise', [['win_rate', 'won'], ['loss_rate', 'lost'], ['win_rate_adjusted', 'won, ties as halves']], {low: 0, high: 1, chance: [null, null, 0.5]}],
  ]},
};
const groupOf = (run, group) => (group === 'pairwise' ? run.pairwise && run.pairwise.all : run[group]) || {};
/* Comparable runs: of one benchmark's version and category, against one baseline. Files of one model with other figures are one run. */
function comparable(task) {
  const out = new Map();
  for (const e of data.evals.filter((x) => x.data.task === task)) {
    for (const run of e.data.runs) {
      const d = e.data, baseline = d.baseline || run.baseline;
      const words = [d.bench, d.category && wordsOf(d.category), d.style_control ? 'style control' : null, baseline ? `against ${baseline}` : null].filter(Boolean).join(', ');
      if (!out.has(words)) out.set(words, {words, level: d.level, runs: []});
      const g = out.get(words), name = e.label !== null && d.runs.length === 1 ? e.label : labelOfName(run.name);
      const same = g.runs.filter((o) => o.name === name), other = same.find((o) => !['all', 'pairwise'].some((k) => o.run[k] && run[k]));
      if (other) Object.assign(other.run, run);
      else g.runs.push({name, label: model(same.length ? `${name} (${baseName(e.file)})` : name), run: {...run}});
    }
  }
  return [...out.values()];
}
function judgedTables(s, what, g) {
  for (const [title, group, figures, {digits}] of what.cards) {
    const known = g.runs.filter((o) => figures.some(([f]) => isEstimate(groupOf(o.run, group)[f])));
    if (!known.length) continue;
    const cells = (figuresOf) => figures.map(([f]) => estimateCell(figuresOf[f], (digits || 2) + 1));
    const rows = known.flatMap((o) => [[o.label, 'all', ...cells(groupOf(o.run, group))], ...(group === 'all' ? Object.entries(o.run.categories || {}).map(([c, x]) => [o.label, c, ...cells(x)]) : [])]);
    details(s, `All figures: ${title}${g.words ? `, ${g.words}` : ''}`, table(['model', 'of', ...figures.map((f) => f[1])], rows, 2));
  }
}
function judgedCharts() {
  for (const [task, what] of Object.entries(judged)) {
    const groups = comparable(task);
    if (!groups.length) continue;
    const s = section(what.title, what.note);
    legend(s, [...new Set(groups.flatMap((g) => g.runs.map((o) => o.label)))]);
    const grid = el('div', 'charts');
    s.append(grid);
    for (const g of groups) {
      const how = `${g.words ? `${g.words[0].toUpperCase()}${g.words.slice(1)}. ` : ''}Whiskers are ${percent(g.level)} intervals by bootstrap over ${what.over}.`;
      for (const [title, group, figures, range] of what.cards) {
        const sets = g.runs.map((o) => ({label: o.label, model: o.label, estimates: figures.map(([f]) => groupOf(o.run, group)[f] || null)})).filter((x) => x.estimates.some(isEstimate));
        if (!sets.length) continue;
        const there = figures.map((f, i) => i).filter((i) => sets.some((x) => isEstimate(x.estimates[i]))), names = there.map((i) => figures[i][1]);
        const shown = sets.map((x) => ({...x, estimates: there.map((i) => x.estimates[i])}));
        bars(card(grid, title, how), describe(`${what.title}, ${title}`, shown, names), names, shown, {...range, chance: Array.isArray(range.chance) ? there.map((i) => range.chance[i]) : range.chance});
      }
      const categories = [...new Set(g.runs.flatMap((o) => Object.keys(o.run.categories || {})))];
      if (categories.length > 1) {
        const sets = g.runs.filter((o) => o.run.categories).map((o) => ({label: o.label, model: o.label, estimates: categories.map((c) => (o.run.categories[c] || {}).average || null)}));
        bars(card(grid, 'Grade by category', `Both turns. ${how}`, 'wide'), describe('Grade by category', sets, categories), categories, sets, {low: 0, high: 10, digits: 1});
      }
    }
    for (const g of groups) judgedTables(s, what, g);
  }
}

/* ---- what was left out ---- */
function leftOut() {
  const runs = data.runs.filter((r) => r.manifest && r.manifest.rows && isNumber(r.manifest.rows.read));
  if (!runs.length && !data.counts.length) return;
  const s = section('What was left out', 'Rows that were dropped or cut before training, and pairs that the relabelling did not use.');
  const c = el('div', 'card');
  s.append(c);
  if (runs.length) {
    const names = [...new Set(runs.flatMap((r) => Object.keys(r.manifest.rows)))].filter((n) => ['read', 'trained'].includes(n) || runs.some((r) => r.manifest.rows[n]));
    const cell = (r, n) => {
      const v = r.manifest.rows[n], read = r.manifest.rows.read;
      if (!isNumber(v)) return '\u2013';
      return n === 'read' || !read || !v ? whole(v) : el('span', '', whole(v), ' ', el('span', 'range', `(${percent(v / read)})`));
    };
    c.append(table(['training rows', ...runs.map((r) => r.label)], names.map((n) => [wordsOf(n), ...runs.map((r) => cell(r, n))]), 1));
  }
  for (const x of data.counts) {
    const rows = Object.entries(x.counts).filter(([, v]) => v).map(([n, v]) => [wordsOf(n), whole(v)]);
    if (rows.length) details(c, `Relabelling: ${baseName(x.file)}`, table(['counted', 'number'], rows, 1));
  }
}

/* ---- the commands ---- */
function copyButton(textOf) {
  const b = el('button', 'copy', 'Copy');
  b.type = 'button';
  b.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(textOf());
      b.textContent = 'Copied';
    } catch {
      b.textContent = 'Select and copy by hand';
    }
    setTimeout(() => (b.textContent = 'Copy'), 2000);
  });
  return b;
}
function commands(parent) {
  for (const r of data.runs) {
    const command = r.manifest && r.manifest.command;
    if (typeof command !== 'string') continue;
    /* one option a line; quoted words stay whole */
    const broken = command.split("'").map((part, i) => (i % 2 ? part : part.replace(/ (--[a-z0-9-]+)(?=( |=|$))/g, ' \\\n    $1'))).join("'");
    parent.append(el('div', 'command', el('h3', '', data.runs.length > 1 ? `To run ${r.label} again` : 'To run it again'), el('pre', 'mono', broken), copyButton(() => command)));
  }
}

/* ---- search in the samples ---- */
function sampleSearch(parent, cards, showAll) {
  const input = el('input'), count = el('span', 'note');
  input.type = 'search';
  input.placeholder = 'Search prompts and answers';
  input.setAttribute('aria-label', 'Search prompts and answers');
  count.setAttribute('role', 'status');
  const texts = cards.map((c) => c.textContent.toLowerCase());
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) showAll();
    let found = 0;
    cards.forEach((c, i) => {
      const hit = words.every((w) => texts[i].includes(w));
      c.hidden = !hit;
      found += hit;
    });
    count.textContent = words.length ? `${whole(found)} of ${whole(cards.length)} prompts` : '';
  });
  parent.append(el('div', 'search', input, count));
}

/* ---- paper: light, all open, charts drawn for it ---- */
function preparePrint() {
  const opened = [];
  addEventListener('beforeprint', () => {
    printing = true;
    for (const d of document.querySelectorAll('details:not([open])')) {
      d.open = true;
      opened.push(d);
    }
    document.documentElement.classList.add('printing');
    drawAll();
  });
  addEventListener('afterprint', () => {
    printing = false;
    for (const d of opened.splice(0)) d.open = false;
    document.documentElement.classList.remove('printing');
    drawAll();
  });
}
