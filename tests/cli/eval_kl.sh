#!/usr/bin/env bash
# rapt eval kl against figures worked out with torch (tests/oracle/make_kl.py): models, files with log-probs, seeds, goals; sampled tokens kept by generate; refusals.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export OMP_NUM_THREADS=1
golden=$tests/golden/kl chat=$tests/golden/score_chat lora=$tests/golden/score_chat_lora lora2=$tests/golden/score_chat_lora2
cd "$dir"
for f in "$golden"/*.jsonl; do ln -s "$f" .; done
cat >compare.py <<'P'
import json, os, sys
want = json.load(open(os.environ["golden"] + "/expected.json"))[sys.argv[2]]
got, near = json.load(open(sys.argv[1])), float(sys.argv[3])

def same(what, estimate, value):
    assert abs(estimate["value"] - value) <= near, (what, estimate, value)
    assert estimate["low"] - 1e-12 <= estimate["value"] <= estimate["high"] + 1e-12, (what, estimate)

def group(what, found, expected):
    assert list(found) == list(expected), (what, found, expected)
    for k, v in expected.items():
        same(f"{what} {k}", found[k], v)

assert got["task"] == "kl" and got["above"] == 3
assert [r["name"] for r in got["runs"]] == list(want["runs"])
for run in got["runs"]:
    expected = want["runs"][run["name"]]
    assert list(run["curve"]) == list(expected["curve"]), run
    for g, figures in expected["curve"].items():
        group(f"{run['name']} {g}", run["curve"][g], figures)
    group(f"{run['name']} overall", run["overall"]["all"], expected["overall"])
assert [d["name"] for d in got["differences"]] == list(want["differences"]) and all(d["minus"] == "own" for d in got["differences"])
for d in got["differences"]:
    expected = want["differences"][d["name"]]
    assert list(d["at"]) == list(expected["at"]), d
    for g, figures in expected["at"].items():
        group(f"{d['name']} - own {g}", d["at"][g], figures)
    group(f"{d['name']} - own", d["overall"], expected["overall"])
assert [(m["goal"], m["name"]) for m in got["matched"]] == [(m["goal"], m["name"]) for m in want["matched"]], got["matched"]
for a, b in zip(got["matched"], want["matched"]):
    group(f"matched {b}", a["difference"], b["difference"])
P
export golden
# models: several sizes of packs, the reference asked as the policy and without the goal, an adapter as the reference
models="--model $chat --adapter own=$lora --adapter dpo=$lora2 --adapter start=$chat --adapter other=$lora --dtype f32 --above 3 --resamples 200"
runs="--samples own=own.jsonl --samples dpo=dpo.jsonl --samples start=start.jsonl --samples other=other.jsonl"
"$RAPT" eval kl $models $runs --micro-batch-tokens 256 --output same.json >table
python3 compare.py same.json same 2e-4
has table 'own: 30 samples of 5 prompts; nats from the reference'
has table 'matched: of the runs without goals the one nearest in KL to own at each goal'
grep -q '^achieved at 4.5 minus achieved at 2: -0.067 \[' table
grep -q '^none  *10  *0.000 \[0.000, 0.000\]' table # the base model is as far from itself
"$RAPT" eval kl $models $runs --reference-goal none --json >none.json
python3 compare.py none.json none 2e-4
"$RAPT" eval kl $models $runs --reference-adapter "$lora2" --micro-batch-tokens 4096 --json >adapter.json
python3 compare.py adapter.json adapter 2e-4
# goals of several attributes: each is a point of its own, named as the rows name it
many="--model $chat --adapter own=$lora --adapter other=$lora --adapter dpo=$lora2 --goal-style $golden/attributes.json --dtype f32 --above 3 --resamples 200"
named="--samples own=attributes_own.jsonl --samples other=attributes_other.jsonl --samples dpo=dpo.jsonl"
"$RAPT" eval kl $many $named --output attributes.json >table
python3 compare.py attributes.json attributes 2e-4
grep -q '^help=1,text_length=5.5  *15 ' table
grep -q '^help=4,text_length=2  *dpo  ' table
"$RAPT" eval kl $many $named --goals 'text_length=2,help=4' --json >one.json
python3 - <<'P'
import json
a, b = json.load(open("one.json")), json.load(open("attributes.json"))
assert list(a["runs"][0]["curve"]) == ["help=4,text_length=2"] and list(a["runs"][2]["curve"]) == ["none"], a
assert a["runs"][0]["curve"]["help=4,text_length=2"] == b["runs"][0]["curve"]["help=4,text_length=2"]
P
fails 1 "goals 'help=4,text_length=3': no samples under help=4,text_length=3" "$RAPT" eval kl $many $named --goals help=4,text_length=3
fails 1 'own has no samples under goal help=4,text_length=9' "$RAPT" eval kl $many $named --goals help=4,text_length=9
fails 2 'expected goals as the samples have them, NAME=G' "$RAPT" eval kl $many $named --goals 4
fails 1 'own.jsonl:1: field goal: one score, and the policy was trained under goals of several attributes' "$RAPT" eval kl $many --samples own=own.jsonl --samples other=attributes_other.jsonl --samples dpo=dpo.jsonl
sed 's/"help": 1, //' attributes_own.jsonl >lacks.jsonl
fails 1 "lacks.jsonl:1: field goal: goal '{..}': it lacks help" "$RAPT" eval kl $many --samples own=lacks.jsonl --samples other=attributes_other.jsonl --samples dpo=dpo.jsonl
p=0; for goal in 3 '{"a": 1}' '{"a": "x"}' '{"a": 1, "a": 2}'; do echo "{\"prompt\": \"p$((p++))\", \"sample\": 0, \"text\": \"a\", \"goal\": $goal, \"logps\": -3, \"ref_logps\": -4, \"tokens\": 1}"; done >kinds.jsonl
fails 1 'kinds.jsonl:2: field goal: several attributes, and rows before have one score' "$RAPT" eval kl --samples kinds.jsonl
fails 1 'field goal: one score, and rows before have several attributes' "$RAPT" eval kl --samples a=<(sed -n 2p kinds.jsonl) --samples b=<(sed -n 1p kinds.jsonl)
fails 1 'field goal.a: expected a finite number' "$RAPT" eval kl --samples <(sed -n 3p kinds.jsonl)
fails 1 'field goal: two scores for a' "$RAPT" eval kl --samples <(sed -n 4p kinds.jsonl)
# log-probs of other programs
files="--samples own=own_logps.jsonl --samples dpo=dpo_logps.jsonl --samples start=start_logps.jsonl --samples other=other_logps.jsonl"
"$RAPT" eval kl $files --above 3 --resamples 200 --json >files.json
python3 compare.py files.json none 1e-11
# seeds of one name, goals, a lone run
"$RAPT" eval kl --samples a=own_logps.jsonl --samples a=own_logps.jsonl --goals 4.5 --resamples 200 --json >seeds.json
python3 - <<'P'
import json
a, b = json.load(open("seeds.json"))["runs"][0]["curve"], json.load(open("files.json"))["runs"][0]["curve"]
assert list(a) == ["4.5"] and a["4.5"]["kl"]["n"] == 30 and a["4.5"]["kl"]["prompts"] == 5, a
assert abs(a["4.5"]["kl"]["value"] - b["4.5"]["kl"]["value"]) < 1e-12 and "above" not in a["4.5"]
P
# nearest is not as far: within a factor of 1.25, else it says so
far() { for i in 0 1 2; do echo "{\"prompt\":\"q$i\",${3:+\"goal\":$3,}\"sample\":0,\"text\":\"a\",\"logps\":-1,\"ref_logps\":-$2,\"tokens\":2}"; done; }
{ far x 3 2; far x 5 4.5; far x 1 7; } >goals.jsonl
far x 3.4 >near.jsonl
far x 12 >distant.jsonl
"$RAPT" eval kl --samples own=goals.jsonl --samples near=near.jsonl --samples distant=distant.jsonl --resamples 200 --output far.json >table
grep -q '^2  *near  *1.20  *matched  *-0.400 \[' table # 2 and 2.4
grep -q '^4.5  *near  *1.67  *nearest, not matched  *1.600 \[' table # 4 and 2.4
grep -q '^7  *near  *-  *nearest, not matched  ' table # 0: no ratio
python3 - <<'P'
import json
m = json.load(open("far.json"))["matched"]
assert [x["matched"] for x in m] == [True, False, False] and abs(m[0]["kl_ratio"] - 1.2) < 1e-9 and m[2]["kl_ratio"] is None, m
P
# scored under one goal alone: with --goals that is what counts
for g in 2 5; do for i in 0 1 2; do echo "{\"prompt\":\"q$i\",\"goal\":$g,\"sample\":0,\"text\":\"a\",\"score\":$([ $g = 5 ] && echo 4 || echo null),\"logps\":-3,\"ref_logps\":-4,\"tokens\":2}"; done; done >half.jsonl
"$RAPT" eval kl --samples half.jsonl --goals 5 --above 3 --resamples 200 >table
grep -q '^5  *3  *1.000 \[1.000, 1.000\]  *0.500 \[0.500, 0.500\]  *4.000 \[4.000, 4.000\]  *1.000 \[1.000, 1.000\]$' table
fails 1 'above: no response has a score' "$RAPT" eval kl --samples half.jsonl --goals 2 --above 3
"$RAPT" eval summary --results files.json >table
grep -q '^KL from the reference, nats  *own  ' table
grep -q '^  *dpo  *.*\]  *15 ' table
# what generate wrote: the tokens as they were sampled, in rows as it wrote them and as score puts them together; a cut response has no end
printf '%s\n' '{"prompt": "the cat sat"}' '{"prompt": "why?"}' >prompts.jsonl
"$RAPT" generate --model "$chat" --adapter "$lora" --goal 2,5 --input prompts.jsonl --n 3 --max-new-tokens 12 --seed 5 --token-ids --output made.jsonl 2>/dev/null
"$RAPT" score --input made.jsonl --output scored.jsonl --source rule --rule length --length 4 2>/dev/null
python3 - <<'P'
import json
rows = [json.loads(l) for l in open("made.jsonl")]
assert len(rows) == 12 and all(len(r["response_ids"]) == r["tokens"] for r in rows), rows
assert {r["finish"] == "stop" for r in rows if r["response_ids"][-1] == 258} <= {True}
P
"$RAPT" eval kl --model "$chat" --adapter x="$lora" --samples x=made.jsonl --dtype f32 --resamples 200 --json >made.json 2>err
if grep -q 'another number of tokens' err; then cat err; exit 1; fi
"$RAPT" eval kl --model "$chat" --adapter x="$lora" --samples x=scored.jsonl --dtype f32 --resamples 200 --json >scored.json 2>/dev/null
python3 - <<'P'
import json
a, b = (json.load(open(f))["runs"][0] for f in ("made.json", "scored.json"))
for g in ("2", "5"):
    assert abs(a["curve"][g]["kl"]["value"] - b["curve"][g]["kl"]["value"]) < 1e-4 and "achieved" in b["curve"][g] and "achieved" not in a["curve"][g]
assert a["samples"] == 12 and a["unscored"] == 12 and "span" in b["overall"]["all"]
P
# refusals
fails 2 'expects --samples FILE' "$RAPT" eval kl
fails 2 '--adapter has no effect without --model' "$RAPT" eval kl --samples own_logps.jsonl --adapter a=b
fails 2 '--reference-goal has no effect without --model' "$RAPT" eval kl --samples own_logps.jsonl --reference-goal none
fails 2 '--samples b=own.jsonl: no --adapter' "$RAPT" eval kl --model "$chat" --adapter a="$lora" --samples b=own.jsonl
fails 2 '2 --adapter and 1 --samples' "$RAPT" eval kl --model "$chat" --adapter a="$lora" --adapter b="$lora" --samples a=own.jsonl
fails 2 'a is given 2 times, b 1 times' "$RAPT" eval kl --samples b=own_logps.jsonl --samples a=own_logps.jsonl --samples a=own_logps.jsonl
fails 1 'own.jsonl:1: field logps: missing or null' "$RAPT" eval kl --samples own.jsonl
fails 1 'under goal 7' "$RAPT" eval kl --samples own_logps.jsonl --goals 7
echo '{"prompt": "p", "sample": 0, "text": "a", "logps": -3, "ref_logps": -4, "tokens": 0}' >bad.jsonl
fails 1 'bad.jsonl:1: field tokens: expected 1 or more' "$RAPT" eval kl --samples bad.jsonl
echo '{"prompt": "p", "sample": 0, "text": "a", "logps": [-3], "ref_logps": -4, "tokens": 1}' >bad.jsonl
fails 1 'bad.jsonl:1: field logps: expected a number or null' "$RAPT" eval kl --samples bad.jsonl
echo '{"prompt": "p", "sample": 0, "text": "a", "logps": -3, "ref_logps": -4, "tokens": 1}' >bad.jsonl
fails 1 '--above: no response has a score' "$RAPT" eval kl --samples bad.jsonl --above 3
one="$RAPT eval kl --model $chat --adapter a=$lora --samples a=bad.jsonl"
echo '{"prompt": "p", "sample": 0, "text": "a", "response_ids": [259]}' >bad.jsonl
fails 1 "bad.jsonl:1: field 'response_ids': '259' is no token id" $one
echo '{"prompt": "p", "sample": 0, "text": "a", "response_ids": []}' >bad.jsonl
fails 1 'bad.jsonl:1: response 1: no tokens' $one
echo '{"prompt": "p", "completion": "a", "goal": 3, "goal_of": "chosen", "score": 3}' >bad.jsonl
fails 1 'bad.jsonl:1: field goal_of: .* asks for a goal already' $one
echo '{"prompt": "p", "chosen": "a", "rejected": "b"}' >bad.jsonl
fails 1 'bad.jsonl:1: expected rows of responses .* found a pair' $one
echo '{"prompt": "p", "sample": 0, "text": "a", "goal": {"x": 1}}' >bad.jsonl
fails 1 'bad.jsonl:1: field goal: it has several attributes' $one
fails 2 '--token-ids has no effect on plain text' "$RAPT" generate --model "$chat" --prompt a --token-ids
fails 2 '--token-ids: a model behind an endpoint' "$RAPT" generate --endpoint http://127.0.0.1:9/v1 --endpoint-model m --input prompts.jsonl --output o --token-ids
fails 2 '--token-ids has no effect with --form alpaca' "$RAPT" generate --model "$chat" --input prompts.jsonl --form alpaca --model-id x --output o --token-ids
