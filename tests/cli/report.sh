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
echo '{"prompt": "bye", "goal": 10, "text": "another"}' >>s.jsonl
golden=$tests/golden/goal_curve
"$RAPT" eval goal-curve --samples run="$golden/obeys.jsonl" --resamples 100 --json >goal-curve.json
"$RAPT" eval midpoint --logps run="$golden/sweep_turns.jsonl" --reference "$golden/sweep_base.jsonl" --resamples 100 --json >b/run/midpoint.json
# an evaluation of another task, results of lm-evaluation-harness, counts of the relabelling, and a manifest with its command
gold=$tests/golden
"$RAPT" eval alpaca --annotations "$gold/alpaca/longer.json" --annotations "$gold/alpaca/weak.json" --gamed "$gold/alpaca/df_gamed.csv" --resamples 200 --json >win.json 2>/dev/null
"$RAPT" eval alpaca --annotations "$gold/alpaca/strong.json" --resamples 200 --json 2>/dev/null >b/run/eval-alpaca.json # one model in a run's folder: the run's
"$RAPT" eval arena-hard --judgments "$gold/arena/v2.jsonl" --json >arena.json 2>/dev/null
"$RAPT" eval mt-bench --judgments "$gold/mt_bench/single.jsonl" --questions "$gold/mt_bench/question.jsonl" --resamples 200 --json >mt.json
"$RAPT" eval mt-bench --judgments "$gold/mt_bench/pair.jsonl" --resamples 200 --json >pairs.json
judged="--eval win.json --eval arena.json --eval mt.json --eval pairs.json"
cat >results_arc.json <<'J'
{"results": {"arc_challenge": {"alias": "arc", "acc,none": 0.3, "acc_stderr,none": 0.01, "exact_match,strict-match": 0.05, "exact_match_stderr,strict-match": "N/A"}},
 "config": {"model": "run"}, "n-samples": {"arc_challenge": {"original": 9, "effective": 8}}}
J
# the same model's results of another task: one model on the page
sed 's/arc_challenge/gsm8k/g; s/"acc/"accuracy/g' results_arc.json >results_gsm.json
echo '{"rows_read": 40, "pairs_train": 30, "dropped_tie": 4, "dropped_na": 0}' >b/run/augment.json
echo '{"rapt_version": "0", "command": "rapt train --train-data '"'a </script> b'"' --max-steps 2", "rows": {"read": 30, "trained": 27, "dropped_too_long": 3}, "options": {}}' >b/run/manifest.json
export SOURCE_DATE_EPOCH=0
"$RAPT" report a/run/ plain=b/run --eval eval.json --eval goal-curve.json $judged --eval results_arc.json --eval results_gsm.json --samples s.jsonl --title 'T & t' --output r.html 2>err
"$RAPT" report a/run/ plain=b/run --eval eval.json --eval goal-curve.json $judged --eval results_arc.json --eval results_gsm.json --samples s.jsonl --title 'T & t' --output - 2>/dev/null | cmp - r.html
grep -q '<title>T &amp; t</title>' r.html
grep -q '"label": "run"' r.html
grep -q '"label": "plain"' r.html
grep -q 'hello <\\/script>\\u003ci id=leak>' r.html
grep -q 'Chart.js v3' r.html
if ls | seen tmp; then echo "a temporary is left"; exit 1; fi
# the same as Markdown and as JSON
"$RAPT" report a/run/ plain=b/run --eval eval.json --eval goal-curve.json $judged --eval results_arc.json --eval results_gsm.json --samples s.jsonl --title 'T & t' --format md --output r.md 2>err
has r.md '# T & t'
has r.md '| run | implicit, all | flip 0.875 [0.750, 0.938], both 0.875 [0.750, 0.938] |'
has r.md '| loss | plain | training | 0.69 | 0.5 | 0.5 | 0.69 |'
has r.md '> an answer'
if grep -q 'left out' err; then cat err; exit 1; fi
has r.md 'From win.json, against base; 95% intervals in brackets.'
has r.md 'From arena.json, v2, category hard\_prompt, against o3-mini-2025-01-31; 90% intervals in brackets.'
has r.md '| large | all | score 79.568 [75.270, 84.105] |'
has r.md 'From b/run/eval-alpaca.json, against base; 95% intervals in brackets.'
has r.md '| one | all | turn\_1 4.150 [3.'
has r.md '| one | categories, writing | turn\_1 5.000 ['
has r.md '| three | pairwise, all | win\_rate 0.091 ['
grep -q '^| longer | all | win\\_rate 47.886 \[.*\], length\\_controlled\\_win\\_rate 52.204 \[.*\], average\\_length 34.591 \[' r.md
has r.md '| run | arc\_challenge | acc 0.300 [0.280, 0.320], exact\_match, strict-match 0.050 [0.050, 0.050] |'
has r.md '| dropped\_tie | 4 |'
has r.md '| plain | dropped\_too\_long | 3 |'
has r.md "    rapt train --train-data 'a </script> b' --max-steps 2"
has r.md '### hello \</script\>\<i id=leak\>'
"$RAPT" report a/run/ plain=b/run --eval eval.json --samples s.jsonl --format json --output r.json 2>/dev/null
"$RAPT" report $judged --format json --output judged.json 2>/dev/null
python3 - <<'P' || exit 1
import json
win, arena, mt, pairs = (e["data"] for e in json.load(open("judged.json"))["evals"])
printed = json.load(open("win.json"))["models"]
assert [r["name"] for r in win["runs"]] == ["longer", "weak"] and win["level"] == 0.95 and win["baseline"] == "base"
for run, model in zip(win["runs"], printed):
    for ours, theirs in (("win_rate", "win_rate"), ("length_controlled_win_rate", "length_controlled_winrate"), ("average_length", "avg_length")):
        e = run["all"][ours]
        assert e["value"] == model[theirs] and [e["low"], e["high"]] == model["intervals"][theirs] and e["low"] < e["value"] < e["high"]
assert arena["level"] == 0.9 and arena["category"] == "hard_prompt"
for run, model in zip(arena["runs"], json.load(open("arena.json"))["models"]):
    assert run["all"]["score"] == {"value": model["score"], "low": model["low"], "high": model["high"], "n": model["battles"]}
assert set(mt["runs"][0]["all"]) == {"turn_1", "turn_2", "average"} and "pairwise" not in mt["runs"][0] and mt["runs"][1]["categories"]["writing"]["turn_2"] is None
assert mt["runs"][0]["all"]["average"]["n"] == 20 and pairs["runs"][0]["pairwise"]["all"]["win_rate"]["n"] == 44 and set(pairs["runs"][0]["pairwise"]["all"]) == {"win_rate", "loss_rate", "win_rate_adjusted"}
# a file without intervals: the package's standard errors
for m in printed:
    del m["intervals"], m["avg_length"]
json.dump({"task": "alpaca", "models": printed}, open("old.json", "w"))
P
"$RAPT" report --eval old.json --format json --output old.r.json 2>/dev/null
python3 -c '
import json
e = json.load(open("old.r.json"))["evals"][0]["data"]["runs"][0]["all"]; m = json.load(open("old.json"))["models"][0]
assert abs(e["win_rate"]["low"] - (m["win_rate"] - 1.96 * m["standard_error"])) < 1e-12 and abs(e["length_controlled_win_rate"]["high"] - (m["length_controlled_winrate"] + 1.96 * m["lc_standard_error"])) < 1e-12
assert e["average_length"] is None'
if command -v python3 >/dev/null; then
  python3 -c 'import json; d = json.load(open("r.json")); assert [r["label"] for r in d["runs"]] == ["run", "plain"] and len(d["samples"]) == 2 and len(d["evals"]) == 3 and d["counts"][0]["counts"]["pairs_train"] == 30'
fi
# goals of several attributes: of samples, and of a run that was trained on them
cat >attributes.jsonl <<'J'
{"prompt": "q", "goal": {"helpful": 4, "long_ish": 0.5}, "text": "first", "model": "m"}
{"prompt": "q", "goal": {"helpful": 4.0, "long_ish": 0.5}, "text": "second", "model": "m"}
{"prompt": "q", "goal": {"helpful": 1, "long_ish": 1}, "text": "third", "model": "m"}
{"prompt": "q", "goal": null, "text": "fourth", "model": "m"}
J
mkdir -p c/run && cp b/run/manifest.json b/run/metrics.jsonl c/run/
echo '{"text": "{scaled}", "placement": "user", "attributes": [{"name": "helpful", "low": 0, "high": 4, "best": 4}, {"name": "long_ish", "low": 0, "high": 1}], "quantum": 0}' >c/run/goal.json
"$RAPT" report c/run --samples attributes.jsonl --format md --output c.md 2>/dev/null
has c.md '**m, goal helpful 4, long\_ish 0.5:**'
has c.md '**m, no goal:**'
has c.md '| run | helpful | 0 | 4 | 4 |'
has c.md '| run | long\_ish | 0 | 1 |  |'
"$RAPT" report c/run --samples attributes.jsonl --output c.html 2>/dev/null
has c.html '"goal": {"helpful": 4, "long_ish": 0.5}, "text": "second"'
has c.html '"attributes": [{"name": "helpful"'
# samples that rapt score has scored, in a run's folder, are not what the page shows: said, and left out
cp -r a/run scored && cp s.jsonl scored/samples.jsonl
echo '{"prompt": "hello", "responses": [{"text": "an answer", "score": 3}]}' >scored/samples-scored.jsonl
"$RAPT" report scored --output scored.html 2>err
has err 'samples-scored.jsonl:1: rows of scored responses, where samples as rapt generate writes them are shown: left out'
has scored.html 'an answer'
for bad in '[1]' '"x"' '{}' '{"a": "x"}' '{"a": {"b": 1}}' '{"a": null}' true; do
  echo "{\"prompt\": \"q\", \"goal\": $bad, \"text\": \"t\"}" >bad.jsonl
  fails 1 "bad.jsonl:1: field 'goal[.a]*': expected a finite number" "$RAPT" report --samples bad.jsonl --output bad.html
done
for bad in '{"attributes": 3}' '{"attributes": [1]}' '{"attributes": [{"name": "a", "low": "x", "high": 1}]}' '[]' 'x'; do
  echo "$bad" >c/run/goal.json
  fails 1 'c/run/goal.json: ' "$RAPT" report c/run --output bad.html
done
# TensorBoard's event files; what they hold is tests/unit/test_tfrecord.c's, and tensorboard's own where it is
"$RAPT" report a/run/ plain=b/run --tensorboard tb 2>/dev/null
[ "$(find tb -type f | sort | tr '\n' ' ')" = "tb/plain/events.out.tfevents.rapt tb/run/events.out.tfevents.rapt " ]
for tag in eval/loss train/loss train/learning_rate; do grep -aq "$tag" tb/run/events.out.tfevents.rapt; done
if "${RAPT_PYTHON:-python3}" -c 'import tensorboard' 2>/dev/null; then
  "${RAPT_PYTHON:-python3}" "$tests/oracle/tfevents.py" --read tb/run >read.json 2>/dev/null
  python3 - <<'P'
import json
read = {tag: [(step, round(value, 6)) for step, value, _ in points] for tag, points in json.load(open("read.json")).items()}
assert read == {"eval/loss": [(0, 0.7)], "train/loss": [(1, 0.69), (2, 0.5)], "train/learning_rate": [(1, 0.001), (2, 0.0)]}, read
P
fi
fails 2 'cannot be a folder' "$RAPT" report a/b=a/run --tensorboard tb
fails 2 'no effect without --output' "$RAPT" report a/run --tensorboard tb --format md
fails 2 'no effect without --output' "$RAPT" report a/run --tensorboard tb --title x
mkdir -p empty && cp b/run/midpoint.json empty/
fails 1 'no run folder holds a metrics.jsonl' "$RAPT" report empty --tensorboard tb
fails 2 "would both be called 'run'" "$RAPT" report a/run b/run --output x.html
fails 2 'expects --output' "$RAPT" report a/run
fails 2 'expects a run folder' "$RAPT" report --output x.html
fails 1 'not a folder' "$RAPT" report nothere --output x.html
echo '{"loss": 1, "step": 1.5}' >>a/run/metrics.jsonl
fails 1 "a/run/metrics.jsonl:4: field 'step': expected a whole number" "$RAPT" report a/run --output x.html
echo '{"task": "made-up", "runs": [{"win_rate": 1}]}' >bad.json
fails 1 "field 'task': expected a task with runs" "$RAPT" report --eval bad.json --output x.html
refused() { # JSON, message
  echo "$1" >bad.json
  fails 1 "bad.json: $2" "$RAPT" report --eval bad.json --output x.html
}
refused '{"task": "alpaca"}' "field 'models': expected an array"
refused '{"task": "alpaca", "models": [3]}' "field 'models': expected objects"
refused '{"task": "alpaca", "models": [{"win_rate": 3}]}' "field 'generator': expected a string"
refused '{"task": "alpaca", "models": [{"generator": "m", "win_rate": "x"}]}' "field 'win_rate': expected a number"
refused '{"task": "alpaca", "models": [{"generator": "m", "win_rate": 50}]}' "field 'win_rate': there is no interval of it"
refused '{"task": "alpaca", "level": 3, "models": []}' "field 'level': expected a number between 0 and 1"
refused '{"task": "arena-hard", "models": [{"model": "m", "score": 50, "low": 3}]}' "field 'high': expected a number"
refused '{"task": "mt-bench", "models": [{"model": "m", "single": {"turn_1": 5}}]}' "field 'turn_1': there is no interval of it"
echo '{"rows_read": 1, "note": "x"}' >b/run/pair.json
"$RAPT" report b/run --output - 2>err >/dev/null
has err 'b/run/pair.json: left out'
fails 1 "s.jsonl: " "$RAPT" report --eval s.jsonl --output x.html
[ ! -e x.html ]
command -v chromium >/dev/null || exit 0
timeout 100 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --virtual-time-budget=2000 --dump-dom "file://$dir/r.html" >dom 2>/dev/null || exit 0
[ -s dom ] || exit 0
grep -q '<p class="finding">' dom
grep -q '<canvas' dom
grep -q 'Requested and achieved score' dom
grep -q 'Does the preference turn in the middle' dom
for title in AlpacaEval Arena-Hard MT-Bench; do grep -q "<h2>$title" dom; done
tr -d '\n' <dom | sed 's/<[^>]*>/ /g; s/\xe2\x80\xaf/ /g; s/  */ /g' >shown
has shown 'V2, hard prompt, against o3-mini-2025-01-31. Whiskers are 90 % intervals by bootstrap over battles.'
has shown 'Against base. Whiskers are 95 % intervals by bootstrap over instructions.'
has shown 'model of win rate length-controlled plain all 85.85 [' # strong.json's, under the name of its run
has shown 'longer all 47.89 ['
has shown 'one writing 5.00 ['
has shown 'Grade by category'
has shown 'run arc challenge, acc 8 0.300'
has shown 'run gsm8k, accuracy 8 0.300'
grep -q '<h2>Benchmarks' dom
grep -q '<h2>What was left out' dom
grep -q 'Relabelling: augment' dom
grep -q -- '--max-steps 2</pre>' dom
grep -q '<input type="search"' dom
grep -q '<footer>' dom # the last thing the script does before drawing
if grep -q '<i id="leak">' dom; then echo "a sample became markup"; exit 1; fi
timeout 100 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --virtual-time-budget=2000 --dump-dom "file://$dir/c.html" >dom 2>/dev/null || exit 0
[ -s dom ] || exit 0
tr -d '\n' <dom | sed 's/<[^>]*>/ /g; s/  */ /g' >shown
has shown 'no score asked for fourth helpful 1 long ish 1 third helpful 4 long ish 0.5 first second'
has shown 'attributes helpful 0 to 4, best 4; long_ish 0 to 1'
has shown 'goal stands before the first user turn'
