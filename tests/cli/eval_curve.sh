#!/usr/bin/env bash
# rapt eval goal-curve and midpoint: from samples to the best goal that generate takes, from augment --test-goals to the turning point; refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
golden=$tests/golden/goal_curve
export OMP_NUM_THREADS=1
cd "$dir"
for f in "$golden"/*.jsonl; do ln -s "$f" .; done
"$RAPT" eval goal-curve --samples obeys.jsonl --resamples 200 >table
grep -q '^obeys.jsonl: 136 samples of 12 prompts$' table
grep -q '^4.5  *44  *6.182 \[' table
grep -q '^tau  *0.763 \[.*of 11 prompts, 1 with one score whatever the goal$' table
if grep -q above table; then echo "a column nobody asked for"; exit 1; fi
"$RAPT" eval goal-curve --samples ra=obeys.jsonl --samples deaf=deaf.jsonl --above 7 --resamples 200 --json --output saved.json >out.json
cmp out.json saved.json
grep -q '"above": 7' out.json
grep -q '"differences": \[{"name": "deaf", "minus": "ra", "curve": {"1": {"value": 2.86' out.json
"$RAPT" eval midpoint --logps t=sweep_turns.jsonl --logps s=sweep_still.jsonl --reference sweep_base.jsonl --resamples 200 >table
grep -q '^t: 30 pairs$' table
grep -q '^s minus t, the same pairs$' table
# two seeds of a run: the same means over twice the samples of the same prompts
"$RAPT" eval goal-curve --samples ra=obeys.jsonl --samples ra=obeys.jsonl --samples deaf=deaf.jsonl --samples deaf=deaf.jsonl --resamples 200 --json >twice.json
python3 - <<'P' || exit 1
import json
one, two = (json.load(open(f)) for f in ("out.json", "twice.json"))
for x, y in zip(one["runs"], two["runs"]):
    assert y["samples"] == 2 * x["samples"] and y["prompts"] == x["prompts"]
    for g, p in x["curve"].items():
        q = y["curve"][g]["achieved"]
        assert abs(p["achieved"]["value"] - q["value"]) < 1e-12 and abs(p["achieved"]["low"] - q["low"]) < 1e-12 and q["n"] == 2 * p["achieved"]["n"]
for x, y in zip(one["differences"], two["differences"]):
    for g, p in x["curve"].items():
        assert p is None or abs(p["value"] - y["curve"][g]["value"]) < 1e-12
P
# two of the goals: their points stay, and span lies between them
"$RAPT" eval goal-curve --samples ra=obeys.jsonl --samples deaf=deaf.jsonl --goals 10,4.5 --resamples 200 --json >some.json
python3 - <<'P' || exit 1
import json
one, some = (json.load(open(f))["runs"] for f in ("out.json", "some.json"))
for x, y in zip(one, some):
    assert set(y["curve"]) - {"none"} == {"4.5", "10"}, y["curve"].keys()
    for g, p in y["curve"].items():
        assert p["achieved"] == x["curve"][g]["achieved"]
rows = [json.loads(l) for l in open("obeys.jsonl")]
mean = lambda v: sum(v) / len(v)
spans = []
for prompt in {json.dumps(r["prompt"]) for r in rows}:
    at = {g: [r["score"] for r in rows if json.dumps(r["prompt"]) == prompt and r["goal"] == g and r["score"] is not None] for g in (4.5, 10)}
    if at[4.5] and at[10]:
        spans.append(mean(at[10]) - mean(at[4.5]))
assert abs(mean(spans) - some[0]["overall"]["all"]["span"]["value"]) < 1e-9, mean(spans)
P
fails 1 'ra has no samples under goal 11' "$RAPT" eval goal-curve --samples ra=obeys.jsonl --goals 4.5,11
fails 2 'goals expects up to 256 numbers such as 7,10' "$RAPT" eval goal-curve --samples ra=obeys.jsonl --goals 4.5,
fails 2 'goals has no effect on a task other than goal-curve' "$RAPT" eval unlearning --logps p.jsonl --goals 3
fails 2 'deaf is given 1 times, ra 2 times' "$RAPT" eval goal-curve --samples ra=obeys.jsonl --samples ra=obeys.jsonl --samples deaf=deaf.jsonl
# samples of a model, scored by a rule, to the best goal
tiny=$tests/golden/llama_tiny
cp -r "$tests/golden/llama_tiny_lora" ra
chmod -R u+w ra
echo '{"text": "aim at {s}", "placement": "user", "low": 1, "high": 10, "quantum": 1, "histogram": {"2": 4, "8": 4}}' >ra/goal.json
printf '{"prompt": "%s"}\n' "the cat sat" "go to the dog" "me" >prompts.jsonl
fails 2 'rapt eval goal-curve --samples T --best-output' "$RAPT" generate --model "$tiny" --adapter ra --goal best --prompt me
"$RAPT" generate --model "$tiny" --adapter ra --raw --goal 2,8 --n 3 --max-new-tokens 12 --input prompts.jsonl --output s.jsonl 2>/dev/null
fails 1 's.jsonl: none of the 18 responses has a score; rapt score' "$RAPT" eval goal-curve --samples s.jsonl
"$RAPT" score --input s.jsonl --output t.jsonl --source rule --rule length --length 6 2>/dev/null
"$RAPT" eval goal-curve --samples t.jsonl --resamples 200 --json --best-output ra/goal.json >c.json 2>err
grep -q '"samples": 18, "prompts": 3,' c.json
best=$(sed 's/.*"best": \([0-9]*\),.*/\1/' c.json)
grep -q "ra/goal.json: the best goal is $best;" err
grep -q "^{\"text\": \"aim at {s}\".*\"best\": $best}$" ra/goal.json
"$RAPT" generate --model "$tiny" --adapter ra --raw --goal best --prompt me --max-new-tokens 4 --json 2>err | seen "\"goal\": $best,"
grep -q "goal $best was trained 4 times among 8 goals" err
"$RAPT" eval goal-curve --samples t.jsonl --resamples 200 --best-output ra/goal.json >/dev/null 2>&1 # again: one "best"
[ "$(grep -o best ra/goal.json | wc -l)" = 1 ]
# held-out pairs under a sweep of goals
n=0
for q in a b c d e f g h; do echo "{\"prompt\":\"q $q\",\"chosen\":\"good\",\"rejected\":\"bad\",\"score_chosen\":8,\"score_rejected\":$((n++ % 4 + 1))}"; done >pairs.jsonl
"$RAPT" augment --input pairs.jsonl --output train.jsonl --split 0.5 --test-output sweep.jsonl --test-goals 1,5,9.5,10 --placement user --goal-template 'aim at {s}' 2>/dev/null
[ $(($(wc -l <train.jsonl) * 2 + $(wc -l <sweep.jsonl))) = 32 ]
grep -q '"chosen": "good", "rejected": "bad", "goal": 9.5, "score_chosen": 8,' sweep.jsonl
if grep -q goal_of sweep.jsonl; then echo "the goal of a sweep is no response's"; exit 1; fi
"$RAPT" eval midpoint --model "$tiny" --adapter ra=ra --data sweep.jsonl --resamples 200 --dtype reference 2>/dev/null >table
grep -q '^ra: [0-9]* pairs$' table
grep -q '^implicit ' table
# all of it in one table and one picture
row() { # source goal goal_of score_chosen score_rejected logps_chosen logps_rejected prompt
  printf '{"source_row":%s,"goal":%s,"goal_of":"%s","score_chosen":%s,"score_rejected":%s,"prompt":"q %s","logps_chosen":%s,"logps_rejected":%s,"tokens_chosen":5,"tokens_rejected":5}\n' \
    "$1" "$2" "$3" "$4" "$5" "$8" "$6" "$7"
}
{ row 0 8 chosen 8 5 -10 -20 a; row 0 5 rejected 5 8 -11 -20 a; row 1 9 chosen 9 7 -10 -22 b; row 1 7 rejected 7 9 -10 -20 b; } >p1.jsonl
{ row 0 8 chosen 8 5 -16 -15 a; row 0 5 rejected 5 8 -15 -13 a; row 1 9 chosen 9 7 -15 -15 b; row 1 7 rejected 7 9 -15 -17 b; } >p2.jsonl
{ row 0 8 chosen 8 5 -15 -15 a; row 0 5 rejected 5 8 -15 -15 a; row 1 9 chosen 9 7 -15 -15 b; row 1 7 rejected 7 9 -15 -15 b; } >p0.jsonl
"$RAPT" eval goal-accuracy --logps ra=p1.jsonl --logps deaf=p2.jsonl --reference p0.jsonl --output ga.json >/dev/null
"$RAPT" eval unlearning --logps ra=p1.jsonl --logps deaf=p2.jsonl --reference p0.jsonl --output un.json >table
grep -q '^deaf minus ra, the same responses$' table
grep -q '^own_goal    score 5_7  *-  *-0.800 \[' table # (-15 + 15 - (-11 + 15)) / 5
"$RAPT" eval midpoint --logps ra=sweep_turns.jsonl --logps deaf=sweep_still.jsonl --reference sweep_base.jsonl --resamples 200 --output mp.json >/dev/null
"$RAPT" eval summary --results ga.json,un.json --results mp.json,out.json --picture s.svg >table
grep -q '^figure  *run  *n  *minus ra$' table
grep -q '^goal accuracy  *ra  *1.000 \[1.000, 1.000\]  *2$' table
grep -q '^  *deaf  *0.375 \[.*\]  *2  *-0.625 \[' table
grep -q '^  *reference  *0.500 \[.*raw$' table
grep -q '^goal curve: tau  *ra  *0.763 ' table
grep -q '^good rejected, own goal, nats a token  *ra  *0.900' table
[ "$(grep -c '^$' table)" = 3 ] # goal accuracy, midpoint, goal curve and unlearning stand apart
# each measure that the files hold, with its difference where they have one: all figures but the benchmarks'
python3 - <<'P' || exit 1
import json, os, subprocess
r = json.loads(subprocess.run([os.environ["RAPT"], "eval", "summary", "--results", "ga.json,un.json,mp.json,out.json", "--json"], check=True, capture_output=True).stdout)
of = {f["name"]: {x["name"]: x for x in f["runs"]} for f in r["figures"]}
accuracy, curve = (json.load(open(f)) for f in ("ga.json", "out.json"))
def same(figure, runs, differences):
    for name, value in runs.items():
        assert of[figure][name]["estimate"] == value, (figure, name)
    for name, value in differences.items():
        assert value is not None and of[figure][name]["difference"] == value, (figure, name)
for f in ("chosen", "rejected", "flip_token"):
    same(f, {x["name"]: x["implicit"]["all"][f] for x in accuracy["runs"]}, {x["name"]: x["implicit"][f] for x in accuracy["differences"]})
for f in ("calibration_error", "above", "words", "tokens", "repetition", "ended"):
    same(f, {x["name"]: x["overall"]["all"][f] for x in curve["runs"]}, {x["name"]: x["overall"][f] for x in curve["differences"]})
P
# benchmarks with a judge
gold=$tests/golden
"$RAPT" eval alpaca --annotations "$gold/alpaca/longer.json" --annotations "$gold/alpaca/weak.json" --gamed "$gold/alpaca/df_gamed.csv" --resamples 200 --output al.json >/dev/null 2>&1
"$RAPT" eval arena-hard --judgments "$gold/arena/v2.jsonl" --output ar.json >/dev/null
"$RAPT" eval mt-bench --judgments "$gold/mt_bench/single.jsonl" --resamples 200 --output mt.json >/dev/null
"$RAPT" eval summary --results al.json,ar.json,mt.json --picture b.svg >table
grep -q '^AlpacaEval: win rate, %  *longer  *47.886 \[' table
grep -q '^AlpacaEval: length-controlled, %  *longer  *52.204 \[' table
grep -q '^  *weak  *32.263 \[' table
grep -q '^AlpacaEval: characters  *longer  *34.591 \[' table
grep -q '^Arena-Hard: score, % (90% of v2)  *large  *79.568 \[75.270, 84.105\]' table
for turn in 'first turn  *one  *4.150' 'second turn  *one  *5.750' 'both turns  *one  *4.790'; do grep -q "^MT-Bench: $turn \[" table; done
grep -q 'MT-Bench: both turns' b.svg
echo '{"task": "alpaca", "models": [{"generator": "m", "win_rate": 3}]}' >bad.json
fails 1 "bad.json: field 'win_rate': there is no interval of it" "$RAPT" eval summary --results bad.json
python3 - <<'P'
import json, subprocess, os, xml.dom.minidom
r = json.loads(subprocess.run([os.environ["RAPT"], "eval", "summary", "--results", "ga.json", "--json"], check=True, capture_output=True).stdout)
f = {x["name"]: x for x in r["figures"]}
assert r["minus"] == "ra" and list(f) == ["goal_accuracy", "chosen", "rejected", "strict", "flip", "flip_token"] and f["flip"]["runs"][1]["difference"]["value"] == -0.5, r
d = xml.dom.minidom.parse("s.svg")
assert len(d.getElementsByTagName("title")) == 1 and len(d.getElementsByTagName("circle")) > 25
P
fails 2 'expects --results FILE' "$RAPT" eval summary
fails 2 '--resamples has no effect on summary' "$RAPT" eval summary --results ga.json --resamples 500
fails 2 '--picture has no effect on a task' "$RAPT" eval midpoint --logps sweep_base.jsonl --picture s.svg
fails 1 'goal accuracy of ra is in two files' "$RAPT" eval summary --results ga.json,ga.json
"$RAPT" eval midpoint --logps deaf=sweep_still.jsonl --logps ra=sweep_turns.jsonl --resamples 200 --output turned.json >/dev/null
fails 1 'turned.json: differences to deaf, in a file before to ra' "$RAPT" eval summary --results ga.json,turned.json
echo '{"task": "unlearning", "runs": [{"name": "a", "own_goal": {"rejected": {"5_and_above": {"value": 1}}}}]}' >bad.json
fails 1 'bad.json: field 5_and_above: expected {"value", "low", "high"}' "$RAPT" eval summary --results bad.json
echo '{"task": "mmlu", "runs": []}' >bad.json
fails 1 'bad.json: field task' "$RAPT" eval summary --results bad.json
echo '{"task": "unlearning", "runs": [{"name": "<a&", "own_goal": {"rejected": {"5_and_above": {"value": 1e300, "low": 1e300, "high": 1e300}}}}]}' >bad.json
"$RAPT" eval summary --results bad.json --picture s.svg >/dev/null
python3 -c 'import xml.dom.minidom; assert "<a&" in [t.firstChild.data for t in xml.dom.minidom.parse("s.svg").getElementsByTagName("text")]'
# refusals
fails 2 'expects --samples FILE' "$RAPT" eval goal-curve
fails 2 '--logps has no effect on goal-curve' "$RAPT" eval goal-curve --logps sweep_base.jsonl
fails 2 '--samples has no effect on a task other' "$RAPT" eval midpoint --logps sweep_base.jsonl --samples t.jsonl
fails 2 '--score-range has no effect on a task other' "$RAPT" eval midpoint --logps sweep_base.jsonl --score-range 1,5
fails 2 'takes the samples of one model' "$RAPT" eval goal-curve --samples t.jsonl --samples t.jsonl --best-output ra/goal.json
"$RAPT" eval goal-curve --samples plain.jsonl --resamples 200 >/dev/null
code=0
"$RAPT" eval goal-curve --samples plain.jsonl --resamples 200 --best-output ra/goal.json >/dev/null 2>err || code=$?
[ $code = 1 ] && grep -q 'the samples have no goals' err
code=0
"$RAPT" eval goal-curve --samples t.jsonl --resamples 200 --best-output nothere.json >/dev/null 2>err || code=$?
[ $code = 1 ] && grep -q 'nothere.json: no such file; the best goal is kept' err
echo '{"best": 3}' >other.json
code=0
"$RAPT" eval goal-curve --samples t.jsonl --resamples 200 --best-output other.json >/dev/null 2>err || code=$?
[ $code = 1 ] && grep -q 'other.json: expected a goal.json' err && [ "$(cat other.json)" = '{"best": 3}' ]
echo '{"prompt": "p", "sample": 0, "text": "a", "score": 3, "finish": "eos"}' >bad.jsonl
fails 1 'bad.jsonl:1: field finish: expected "stop" or "length"' "$RAPT" eval goal-curve --samples bad.jsonl
echo '{"prompt": "p", "sample": 0, "text": "a", "score": 3, "goal": "high"}' >bad.jsonl
fails 1 'bad.jsonl:1: field goal' "$RAPT" eval goal-curve --samples bad.jsonl
echo '{"prompt": "p", "chosen": "a", "rejected": "b"}' >bad.jsonl
fails 1 'bad.jsonl:1: expected rows of responses with goal and score, found a pair' "$RAPT" eval goal-curve --samples bad.jsonl
for i in $(seq 300); do echo "{\"prompt\": \"p\", \"sample\": $i, \"text\": \"a\", \"score\": 3, \"goal\": $i}"; done >bad.jsonl
fails 1 'more than 256 different goals' "$RAPT" eval goal-curve --samples bad.jsonl
{ head -1 sweep_base.jsonl; head -1 sweep_base.jsonl; } >bad.jsonl
fails 1 'has two rows under one goal' "$RAPT" eval midpoint --logps bad.jsonl
head -1 sweep_base.jsonl >bad.jsonl
fails 1 'no pair with two scores under several goals' "$RAPT" eval midpoint --logps bad.jsonl
fails 2 '--test-goals has 5 twice' "$RAPT" augment --input pairs.jsonl --output o --split 0.5 --test-output p --test-goals 5,5.0
fails 2 '--test-goals has no effect without' "$RAPT" augment --input pairs.jsonl --output o --test-goals 5
fails 2 '--test-goals expects numbers' "$RAPT" augment --input pairs.jsonl --output o --split 0.5 --test-output p --test-goals 5,x
