/* The sections of rapt report on the goal curve and the midpoint test. It stands in one function with report.js, whose helpers it calls; only
 * declarations here, but for what Chart.js must know. */
/* ---- requested against achieved score ---- */
const goalsOf = (o) => Object.keys(o.run.curve || {}).filter((g) => g !== 'none' && isEstimate(o.run.curve[g].achieved)).sort((a, b) => a - b);
/* Intervals as bars through the points of a line; the diagonal is where achieved equals requested. */
const errorBars = {
  id: 'errorBars',
  beforeDatasetsDraw(chart) {
    const g = chart.ctx, {x, y} = chart.scales, area = chart.chartArea;
    if (!chart.options.diagonal) return;
    const low = Math.max(x.min, y.min), high = Math.min(x.max, y.max);
    g.save();
    g.beginPath();
    g.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
    g.clip();
    g.lineWidth = 1;
    g.strokeStyle = css('--soft');
    g.setLineDash([5, 4]);
    g.beginPath();
    g.moveTo(x.getPixelForValue(low), y.getPixelForValue(low));
    g.lineTo(x.getPixelForValue(high), y.getPixelForValue(high));
    g.stroke();
    g.setLineDash([]);
    g.lineWidth = 1.5;
    for (const set of chart.data.datasets) {
      g.strokeStyle = set.borderColor;
      for (const point of set.data) {
        g.beginPath();
        g.moveTo(x.getPixelForValue(point.x), y.getPixelForValue(point.estimate.low));
        g.lineTo(x.getPixelForValue(point.x), y.getPixelForValue(point.estimate.high));
        g.stroke();
      }
    }
    g.restore();
  },
};
Chart.register(errorBars);
function goalLines(parent, description, runs) {
  const all = runs.flatMap((o) => goalsOf(o).map((g) => [Number(g), o.run.curve[g].achieved])), values = all.flatMap(([g, e]) => [g, e.low, e.high]);
  const ends = [Math.min(...all.map(([g]) => g)), Math.max(...all.map(([g]) => g))], margin = (ends[1] - ends[0]) * 0.04 || 1;
  plot(parent, description, () => ({
    type: 'line',
    data: {
      datasets: runs.map((o) => ({
        label: o.label, borderColor: color(o.label), backgroundColor: color(o.label), borderWidth: 2, pointRadius: 3.5, tension: 0,
        data: goalsOf(o).map((g) => ({x: Number(g), y: o.run.curve[g].achieved.value, estimate: o.run.curve[g].achieved})),
      })),
    },
    options: {
      parsing: false,
      diagonal: true,
      interaction: {mode: 'nearest', axis: 'x', intersect: false},
      scales: {
        x: axis({type: 'linear', min: ends[0] - margin, max: ends[1] + margin, title: {display: true, text: 'requested score'}, grid: {display: false, borderColor: css('--line')}, ticks: {maxTicksLimit: 11, callback: (v) => (v < ends[0] || v > ends[1] ? '' : short(v))}}),
        y: axis({min: Math.floor(Math.min(...values)), max: Math.ceil(Math.max(...values)), title: {display: true, text: 'achieved score'}, ticks: {maxTicksLimit: 8, callback: (v) => short(v)}}),
      },
      plugins: {
        tooltip: tooltip({
          callbacks: {
            title: (items) => (items.length ? `asked for ${short(items[0].parsed.x)}` : ''),
            label: (item) => ` ${item.dataset.label}: ${fixed(item.raw.estimate.value, 2)}  (${interval(item.raw.estimate, 2)})`,
          },
        }),
      },
    },
  }));
}
function curveCharts() {
  const drawn = curves.filter((o) => goalsOf(o).length);
  if (!curves.length) return;
  const s = section('Requested and achieved score', 'Responses written under each goal and then scored. On the dashed line a model achieves what it was asked for; a flat curve ignores the request. Bars are 95\u202f% intervals by bootstrap over prompts.');
  legend(s, curves.map((o) => o.label));
  const grid = el('div', 'charts');
  s.append(grid);
  if (drawn.length) {
    const c = card(grid, 'Goal curve', 'Mean score of the responses by the score that was asked for.', 'wide');
    goalLines(c, `Goal curve. ${drawn.map((o) => `${o.label}: ` + goalsOf(o).map((g) => `${g} gives ${o.run.curve[g].achieved.value.toFixed(2)}`).join(', ')).join('; ')}. The numbers stand in the table below.`, drawn);
  }
  const overall = (o, name) => (o.run.overall && o.run.overall.all && isEstimate(o.run.overall.all[name]) ? o.run.overall.all[name] : null);
  if (drawn.some((o) => overall(o, 'tau'))) {
    const sets = drawn.map((o) => ({label: o.label, model: o.label, estimates: [overall(o, 'tau')]}));
    bars(card(grid, 'Kendall\u2019s tau', 'Rank correlation of requested and achieved score within a prompt. 0 ignores the request, 1 always follows it.'), describe('Kendall\u2019s tau', sets, ['tau']), ['all prompts'], sets, {low: Math.min(0, ...sets.map((x) => (x.estimates[0] ? x.estimates[0].low : 0))), high: 1, chance: 0});
  }
  if (drawn.some((o) => overall(o, 'calibration_error'))) {
    const sets = drawn.map((o) => ({label: o.label, model: o.label, estimates: [overall(o, 'calibration_error'), overall(o, 'absolute_error')]}));
    bars(card(grid, 'Distance from the request', 'Mean over goals of the distance of the mean score, and mean over responses of the distance of each.'), describe('Distance from the request', sets, ['of the mean', 'of each response']), ['of the mean', 'of each response'], sets, {low: 0});
  }
  const names = ['achieved', 'words', 'tokens', 'repetition', 'ended'], rows = [];
  for (const o of curves) {
    for (const g of [...goalsOf(o), 'none']) {
      const at = o.run.curve[g];
      if (at && isEstimate(at.achieved)) rows.push([o.label, g, whole(at.achieved.n), ...names.map((n) => estimateCell(at[n]))]);
    }
  }
  details(s, 'All figures', table(['model', 'goal', 'n', 'achieved', 'words', 'tokens', 'repeated 4-grams', 'ended itself'], rows, 1));
}

/* ---- where the preference turns ---- */
function midpointCharts() {
  const kinds = [['implicit', 'change from the reference'], ['raw', 'raw log-probs']];
  const kind = kinds.find(([k]) => midpoints.some((o) => figure(o, k, 'sign')));
  if (!kind) return;
  const s = section('Does the preference turn in the middle?', `Each pair under a sweep of goals (${kind[1]}): below the middle of its two scores the worse response is wanted, above it the better one.`);
  const known = midpoints.filter((o) => figure(o, kind[0], 'sign'));
  legend(s, known.map((o) => o.label));
  const grid = el('div', 'charts');
  s.append(grid);
  const groups = [['sign', 'right side'], ['crossed', 'turns at all']];
  const sets = known.map((o) => ({label: o.label, model: o.label, estimates: groups.map(([f]) => figure(o, kind[0], f))}));
  bars(card(grid, 'Turning with the goal', 'Share of pairs and goals preferred as the goal says, and of pairs whose preference turns inside the sweep.'), describe('Turning with the goal', sets, groups.map((x) => x[1])), groups.map((x) => x[1]), sets, {low: 0, high: 1, chance: [0.5, null]});
  const rho = known.map((o) => ({label: o.label, model: o.label, estimates: [figure(o, kind[0], 'correlation')]}));
  bars(card(grid, 'Where it turns', 'Spearman\u2019s correlation of the turning point with the middle of the two scores.'), describe('Rank correlation', rho, ['correlation']), ['correlation'], rho, {low: Math.min(0, ...rho.map((x) => (x.estimates[0] ? x.estimates[0].low : 0))), high: 1, chance: 0});
  const rows = [];
  for (const o of midpoints) for (const [k] of kinds) if (figure(o, k, 'sign')) rows.push([o.label, k, ...['sign', 'crossed', 'distance', 'correlation'].map((f) => estimateCell(figure(o, k, f)))]);
  details(s, 'All figures', table(['model', 'kind', 'right side', 'turns', 'distance of turn and middle', 'rank correlation'], rows, 2));
}

