#!/usr/bin/env bash
# rapt report: a page from a run folder, refusals, and (where Chromium is) that the page draws itself without an error.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
mkdir -p a/run b/run
for d in a b; do
    printf '%s\n' '{"eval_loss": 0.7, "step": 0}' '{"loss": 0.69, "learning_rate": 0.001, "step": 1}' '{"loss": 0.5, "learning_rate": 0, "step": 2}' >$d/run/metrics.jsonl
done
estimate='{"value": 0.875, "low": 0.75, "high": 0.9375, "n": 8, "prompts": 8}'
echo "{\"task\": \"goal-accuracy\", \"runs\": [{\"name\": \"run\", \"pairs\": 8, \"incomplete\": 0, \"implicit\": {\"all\": {\"flip\": $estimate, \"both\": $estimate}}, \"raw\": null}], \"base\": null, \"differences\": []}" >eval.json
echo '{"prompt": "hello </script><i id=leak>", "goal": 10, "text": "an answer"}' >s.jsonl
golden=$tests/golden/goal_curve
"$RAPT" eval goal-curve --samples run="$golden/obeys.jsonl" --resamples 100 --json >goal-curve.json
"$RAPT" eval midpoint --logps run="$golden/sweep_turns.jsonl" --reference "$golden/sweep_base.jsonl" --resamples 100 --json >b/run/midpoint.json
export SOURCE_DATE_EPOCH=0
"$RAPT" report a/run/ plain=b/run --eval eval.json --eval goal-curve.json --samples s.jsonl --title 'T & t' --output r.html 2>err
"$RAPT" report a/run/ plain=b/run --eval eval.json --eval goal-curve.json --samples s.jsonl --title 'T & t' --output - 2>/dev/null | cmp - r.html
grep -q '<title>T &amp; t</title>' r.html
grep -q '"label": "run"' r.html
grep -q '"label": "plain"' r.html
grep -q 'hello <\\/script>\\u003ci id=leak>' r.html
grep -q 'Chart.js v3' r.html
if ls | grep -q tmp; then echo "a temporary is left"; exit 1; fi
fails 2 "would both be called 'run'" "$RAPT" report a/run b/run --output x.html
fails 2 'expects --output' "$RAPT" report a/run
fails 2 'expects a run folder' "$RAPT" report --output x.html
fails 1 'not a folder' "$RAPT" report nothere --output x.html
echo '{"loss": 1, "step": 1.5}' >>a/run/metrics.jsonl
fails 1 "a/run/metrics.jsonl:4: field 'step': expected a whole number" "$RAPT" report a/run --output x.html
fails 1 "s.jsonl: " "$RAPT" report --eval s.jsonl --output x.html
[ ! -e x.html ]
command -v chromium >/dev/null || exit 0
timeout 100 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --virtual-time-budget=2000 --dump-dom "file://$dir/r.html" >dom 2>/dev/null || exit 0
[ -s dom ] || exit 0
grep -q '<p class="finding">' dom
grep -q '<canvas' dom
grep -q 'Requested and achieved score' dom
grep -q 'Does the preference turn in the middle' dom
grep -q '<footer>' dom # the last thing the script does before drawing
if grep -q '<i id="leak">' dom; then echo "a sample became markup"; exit 1; fi
