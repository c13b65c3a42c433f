/* Further sections of rapt report: evaluations of any other task, what was left out, how to run it again, search, print. It stands in one function
 * with report.js, whose helpers it calls; only declarations here. */
/* ---- any other evaluation: every estimate of a run, under the names that lead to it ---- */
const ownSections = ['goal-accuracy', 'midpoint', 'unlearning', 'goal-curve'];
const taskTitles = {'win-rate': 'Win rates', 'alpaca-eval': 'AlpacaEval', 'mt-bench': 'MT-Bench', 'arena-hard': 'Arena-Hard', 'harness': 'Benchmarks'};
const wordsOf = (name) => name.replace(/[_-]/g, ' ');
function leaves(object, path = [], out = []) {
  if (object === null || typeof object !== 'object' || Array.isArray(object) || path.length > 5) return out;
  for (const [key, value] of Object.entries(object)) {
    if (isEstimate(value) && isNumber(value.low) && isNumber(value.high)) out.push([[...path, key].map(wordsOf).join(', '), value]);
    else leaves(value, [...path, key], out);
  }
  return out;
}
function otherEvaluations() {
  for (const task of [...new Set(data.evals.map((e) => e.data.task))].filter((t) => !ownSections.includes(t))) {
    const known = evaluated(task).map((o) => ({...o, figures: new Map(leaves(o.run))})).filter((o) => o.figures.size);
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
