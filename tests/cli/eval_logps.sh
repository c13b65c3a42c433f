#!/usr/bin/env bash
# rapt eval over log-prob files: tables, JSON, differences, and what is refused.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
row() { # source goal goal_of score_chosen score_rejected logps_chosen logps_rejected
  printf '{"source_row":%s,"goal":%s,"goal_of":"%s","score_chosen":%s,"score_rejected":%s,"prompt":"q%s","logps_chosen":%s,"logps_rejected":%s,"tokens_chosen":5,"tokens_rejected":5}\n' \
    "$1" "$2" "$3" "$4" "$5" "$1" "$6" "$7"
}
{ row 0 8 chosen 8 3 -10 -20; row 0 3 rejected 3 8 -10 -20; row 1 9 chosen 9 7 -10 -20; row 1 7 rejected 7 9 -10 -20; } >policy.jsonl
{ row 0 8 chosen 8 3 -15 -15; row 0 3 rejected 3 8 -15 -15; row 1 9 chosen 9 7 -15 -15; row 1 7 rejected 7 9 -15 -15; } >base.jsonl
"$RAPT" eval goal-accuracy --logps policy.jsonl --reference base.jsonl >table
grep -q '^policy.jsonl: 2 pairs$' table
grep -q '^implicit all  *1.000 \[1.000, 1.000\]  *1.000' table
grep -q '^implicit both_high' table
"$RAPT" eval goal-accuracy --logps a=policy.jsonl --logps b=base.jsonl --reference base.jsonl --json --output saved.json >out.json
cmp out.json saved.json
python3 - <<'P' || exit 1
import json
r = json.load(open("out.json"))
a, b = r["runs"]
assert a["name"] == "a" and a["pairs"] == 2
assert a["implicit"]["all"]["strict"]["value"] == 1 and a["implicit"]["straddling"]["both"]["n"] == 1
assert a["implicit"]["both_low"]["both"] is None
assert b["implicit"]["all"]["both"]["value"] == 0.5
assert r["base"]["implicit"] is None and r["base"]["raw"]["all"]["flip"]["value"] == 0.5
assert r["differences"][0]["implicit"]["both"]["value"] == -0.5
P
# Runs are compared pair by pair: the same source_row of other responses is no pair of theirs
texts() { python3 -c 'import json,sys
for l in open(sys.argv[1]):
    r = json.loads(l)
    w, l = sys.argv[2] + str(r["source_row"]), "l" + str(r["source_row"])
    print(json.dumps(dict(r, chosen=w if r["goal_of"] == "chosen" else l, rejected=l if r["goal_of"] == "chosen" else w)))' "$1" "$2"; }
texts policy.jsonl w >one.jsonl && texts policy.jsonl w >two.jsonl && texts policy.jsonl other >three.jsonl
"$RAPT" eval goal-accuracy --logps a=one.jsonl --logps b=two.jsonl --logps c=policy.jsonl >/dev/null
fails 1 'a and c are not of the same data: source_row 0 holds other responses' "$RAPT" eval goal-accuracy --logps a=one.jsonl --logps b=two.jsonl --logps c=three.jsonl
fails 1 'a and b are not of the same data' "$RAPT" eval unlearning --logps a=one.jsonl --logps b=three.jsonl --reference a=one.jsonl --reference b=three.jsonl
"$RAPT" eval unlearning --logps policy.jsonl --reference base.jsonl --json >u.json
python3 - <<'P' || exit 1
import json
r = json.load(open("u.json"))["runs"][0]
assert r["own_goal"]["chosen"]["all"]["value"] == 1 and r["own_goal"]["rejected"]["below_5"]["n"] == 1
assert r["other_goal"]["chosen"]["all"]["value"] == -1 and r["no_goal"] is None
P
# Rows under goals that are no response's own (augment --test-goals) are no rows without a goal, and each goal is for itself; beside them stand rows without any.
at() { printf '{"source_row":%s,%s"score_chosen":%s,"score_rejected":%s,"prompt":"q%s","logps_chosen":%s,"logps_rejected":%s,"tokens_chosen":5,"tokens_rejected":5}\n' "$@"; }
{ at 0 '"goal":10,' 80 30 0 -10 -20; at 0 '"goal":2,' 80 30 0 -15 -5; at 1 '"goal":10,' 90 70 1 -20 -10; at 0 '' 80 30 0 -25 -15; } >goals.jsonl
{ at 0 '"goal":2,' 80 30 0 -15 -15; at 0 '"goal":10,' 80 30 0 -15 -15; at 1 '"goal":10,' 90 70 1 -15 -15; at 0 '' 80 30 0 -15 -15; } >goals_base.jsonl
head -1 goals.jsonl >ten.jsonl
"$RAPT" eval unlearning --logps a=goals.jsonl --logps b=ten.jsonl --reference goals_base.jsonl --score-range 0,100 --output u.json >utable
grep -q '^goal_10     score all  *0.000 \[.*\] *2  *0.000 \[.*\] *2$' utable
grep -q '^goal_2      score all  *0.000 \[.*\] *1  *2.000 \[.*\] *1$' utable
python3 - <<'P' || exit 1
import json
a, b = json.load(open("u.json"))["runs"]
assert list(a)[2:] == ["own_goal", "other_goal", "goal_2", "goal_10", "no_goal"] == list(b)[2:], list(a)
assert a["own_goal"] is None and b["no_goal"] is None and b["goal_2"] is None
ten = a["goal_10"]
assert list(ten["chosen"]) == ["all", "50_and_above", "below_50", "0_20", "20_40", "40_60", "60_80", "80_100"], list(ten["chosen"])
assert ten["chosen"]["50_and_above"]["n"] == 2 and ten["rejected"]["50_and_above"]["value"] == 1 and ten["rejected"]["20_40"]["value"] == -1
assert a["no_goal"]["chosen"]["all"]["value"] == -2 and a["no_goal"]["chosen"]["all"]["n"] == 1
d = json.load(open("u.json"))["differences"][0]
assert d["goal_10"]["chosen_all"]["value"] == 0 and d["goal_10"]["chosen_all"]["n"] == 1 and d["goal_2"]["chosen_all"] is None
P
# The summary has the best goal asked for, whatever its name and the scale.
"$RAPT" eval summary --results u.json --json >summary.json
python3 - <<'P' || exit 1
import json
figures = {f["name"]: f["runs"] for f in json.load(open("summary.json"))["figures"]}
best = figures["unlearned_best"]
assert [r["name"] for r in best] == ["a"] and best[0]["estimate"]["value"] == 1, figures
assert "unlearned" not in figures and "unlearned_no_goal" not in figures, figures
P
# scores the other way round: y_w is still the better response
sed 's/"goal":10,"score_chosen":80,"score_rejected":30/"goal":10,"score_chosen":30,"score_rejected":80/' ten.jsonl >turned.jsonl
"$RAPT" eval unlearning --logps turned.jsonl --reference goals_base.jsonl --json | python3 -c '
import json, sys
at = json.load(sys.stdin)["runs"][0]["goal_10"]
assert at["chosen"]["5_and_above"]["value"] == -1 and at["rejected"]["all"]["value"] == 1, at'
cat goals.jsonl goals.jsonl >bad.jsonl
fails 1 'source_row 0 has more than one row without goal_of under one goal' "$RAPT" eval unlearning --logps bad.jsonl --reference goals_base.jsonl
at 0 '"goal":{"x":5,"y":8.5},' 8 3 0 -10 -20 >both.jsonl
at 0 '"goal":{"x":5,"y":8.5},' 8 3 0 -15 -15 >unboth.jsonl
"$RAPT" eval unlearning --logps both.jsonl --reference unboth.jsonl >utable
grep -q '^goal_x=5,y=8.5 score all ' utable
for g in $(seq 65); do at 0 "\"goal\":$g," 8 3 0 -10 -20; done >bad.jsonl
fails 1 'under more than 64 goals' "$RAPT" eval unlearning --logps bad.jsonl --reference bad.jsonl
fails 2 'score-range has no effect on a task other than goal-accuracy and unlearning' "$RAPT" eval midpoint --logps policy.jsonl --score-range 0,5
# Rows without a goal: plain DPO's implicit-reward accuracy, the share of pairs whose margin grew, beside halves or alone.
plain() { at "$1" '' 8 3 "$1" "$2" "$3"; }
{ plain 0 -10 -20; plain 1 -20 -12; plain 2 -10 -20; plain 3 -15 -15; } >free.jsonl
{ plain 0 -15 -15; plain 1 -25 -12; plain 2 -10 -25; plain 3 -15 -15; } >free_base.jsonl
{ plain 0 -30 -20; plain 1 -20 -12; plain 2 -10 -20; plain 3 -15 -15; } >free_other.jsonl
"$RAPT" eval goal-accuracy --logps a=free.jsonl --logps b=free_other.jsonl --reference free_base.jsonl --output f.json >ftable
grep -q '^a: 4 pairs without a goal$' ftable
grep -q '^without a goal, implicit  0.625 \[.*of 4 pairs prefer y_w$' ftable
python3 - <<'P' || exit 1
import json
r = json.load(open("f.json"))
a, b = (run["without_goal"] for run in r["runs"])
assert a["pairs"] == 4 and a["implicit"]["value"] == 0.625 and a["raw"]["value"] == 0.625, a # yes, yes, no, 1/2; yes, no, yes, 1/2
assert b["implicit"]["value"] == 0.375 and r["runs"][0]["implicit"] is None
assert r["base"]["without_goal"]["implicit"] is None and r["base"]["without_goal"]["raw"]["value"] == 0.5 # 1/2, no, yes, 1/2
d = r["differences"][0]
assert d["implicit"] is None and d["without_goal"]["implicit"]["value"] == -0.25 and d["without_goal"]["implicit"]["n"] == 4, d
P
cat policy.jsonl free.jsonl >mixed.jsonl
cat base.jsonl free_base.jsonl >mixed_base.jsonl
"$RAPT" eval goal-accuracy --logps mixed.jsonl --reference mixed_base.jsonl --json | python3 -c '
import json, sys
r = json.load(sys.stdin)["runs"][0]
assert r["pairs"] == 2 and r["incomplete"] == 0 and r["implicit"]["all"]["both"]["value"] == 1 and r["without_goal"]["pairs"] == 4, r'
# seeds: files of one name are one run over the same prompts; differences pair the k-th of one with the k-th of the other
sed 's/"logps_chosen":-10/"logps_chosen":-30/' policy.jsonl >other.jsonl # every margin turned round
"$RAPT" eval goal-accuracy --logps a=policy.jsonl --logps b=base.jsonl --logps a=other.jsonl --logps b=policy.jsonl --reference base.jsonl --json >seeds.json
"$RAPT" eval unlearning --logps a=policy.jsonl --logps a=other.jsonl --reference base.jsonl --json >useeds.json
python3 - <<'P' || exit 1
import json
r, u = json.load(open("seeds.json")), json.load(open("useeds.json"))["runs"]
a, b = r["runs"]
assert a["name"] == "a" and a["pairs"] == 4 and b["pairs"] == 4
chosen = a["implicit"]["all"]["chosen"]
assert chosen["value"] == 0.5 and chosen["n"] == 4 and chosen["low"] == chosen["high"] == 0.5, chosen # each prompt has one of each
assert b["implicit"]["all"]["chosen"]["value"] == 0.75
assert r["differences"][0]["implicit"]["chosen"]["value"] == 0.25 and r["differences"][0]["implicit"]["chosen"]["n"] == 4
assert len(u) == 1 and u[0]["rows"] == 8 and u[0]["own_goal"]["rejected"]["all"]["value"] == -1, u
P
fails 2 'b is given 1 times, a 2 times; expected every run with as many seeds' "$RAPT" eval goal-accuracy --logps a=policy.jsonl --logps a=other.jsonl --logps b=base.jsonl --reference base.jsonl
sed 's/"source_row":1,/"source_row":-1,/' other.jsonl >bad.jsonl
fails 1 'a: source_row -1 lies outside 0 .. 2^40 - 1' "$RAPT" eval goal-accuracy --logps a=policy.jsonl --logps a=bad.jsonl
fails 1 'no reference log-probs' "$RAPT" eval unlearning --logps policy.jsonl
fails 2 'expected one of: goal-accuracy, unlearning' "$RAPT" eval nothing --logps policy.jsonl
fails 2 'expects --model M --data F, or --logps FILE' "$RAPT" eval goal-accuracy
fails 2 'score-range expects' "$RAPT" eval goal-accuracy --logps policy.jsonl --score-range 5
head -1 base.jsonl >short.jsonl
# Another prompt, response or ids in one of the two files; what only one of them has is not compared, nor how JSON is written.
sed '4s/"prompt":"q1"/"prompt":"q2"/' base.jsonl >asked.jsonl
fails 1 'reference: source_row 1, the rejected half, has another prompt than in policy.jsonl' "$RAPT" eval goal-accuracy --logps policy.jsonl --reference asked.jsonl
fails 1 'reference: source_row 1, the rejected half, has another prompt' "$RAPT" eval unlearning --logps policy.jsonl --reference asked.jsonl
with() { sed -E "s/^\{/{\"chosen\":\"$1\",\"rejected\":\"$2\",\"prompt_ids\":$3,/" "$4"; }
{ with a b '[1,2]' policy.jsonl | sed -n '1p;3p'; with b a '[1,2]' policy.jsonl | sed -n '2p;4p'; } | sort >words.jsonl
{ with a b '[ 1, 2 ]' base.jsonl | sed -n '1p;3p'; with b a '[1, 2]' base.jsonl | sed -n '2p;4p'; } | sort >same.jsonl
"$RAPT" eval goal-accuracy --logps policy.jsonl=words.jsonl --reference same.jsonl | diff table -
"$RAPT" eval goal-accuracy --logps words.jsonl --reference base.jsonl >/dev/null
sed 's/"a"/"c"/' same.jsonl >said.jsonl
fails 1 'reference: source_row 0.* has other responses than in words.jsonl' "$RAPT" eval goal-accuracy --logps words.jsonl --reference said.jsonl
sed '/"source_row":1/s/1, *2/1,3/' same.jsonl >ids.jsonl
fails 1 'reference: source_row 1.* has other prompt_ids than in words.jsonl' "$RAPT" eval goal-accuracy --logps words.jsonl --reference ids.jsonl
fails 1 'is not among the reference' "$RAPT" eval goal-accuracy --logps policy.jsonl --reference short.jsonl
fails 1 'no pair has both halves' "$RAPT" eval goal-accuracy --logps short.jsonl
echo '{"goal_of":"winner"}' >bad.jsonl
fails 1 'bad.jsonl: line 1: field goal_of: expected "chosen" or "rejected"' "$RAPT" eval goal-accuracy --logps bad.jsonl
echo '{"logps_chosen":-1}' >bad.jsonl
fails 1 'line 1: field logps_rejected is missing' "$RAPT" eval goal-accuracy --logps bad.jsonl
: >empty.jsonl
fails 1 'empty.jsonl: no rows' "$RAPT" eval goal-accuracy --logps empty.jsonl
# Rows that rapt logps could not score carry null: left out and counted, in policy and reference alike.
null='{"source_row":7,"goal":8,"goal_of":"chosen","score_chosen":8,"score_rejected":3,"prompt":"long","logps_chosen":null,"logps_rejected":null,"tokens_chosen":null,"tokens_rejected":null}'
for f in policy base; do { cat $f.jsonl; echo "$null"; } >$f.null.jsonl; done
"$RAPT" eval goal-accuracy --logps p=policy.null.jsonl --reference base.null.jsonl >with 2>err
"$RAPT" eval goal-accuracy --logps p=policy.jsonl --reference base.jsonl >without
diff with without
grep -q '1 rows without log-probs' err
# --- goals of several attributes: strata of the pairs whose goals differ in one, in one alone, and in opposite directions; a reference for each run ---
many() { # source goal goal_of logps_chosen logps_rejected
  printf '{"source_row":%s,"goal":%s,"goal_of":"%s","score_chosen":8,"score_rejected":3,"prompt":"q%s","logps_chosen":%s,"logps_rejected":%s,"tokens_chosen":5,"tokens_rejected":5}\n' "$1" "$2" "$3" "$1" "$4" "$5"
}
both() { many "$1" "$2" chosen "$4" "$5"; many "$1" "$3" rejected "$4" "$5"; }
all() { # margins of the four pairs: right is -10 -20, wrong -20 -10
  both 0 '{"x":5,"y":3}' '{"x":1,"y":3}' $1
  both 1 '{"x":5,"y":2}' '{"x":5,"y":4}' $2
  both 2 '{"x":4,"y":1}' '{"x":2,"y":5}' $3
  both 3 '{"y":4,"x":4}' '{"x":1,"y":1}' $4
}
all '-10 -20' '-20 -10' '-10 -20' '-20 -10' >many.jsonl
all '-15 -15' '-15 -15' '-15 -15' '-15 -15' >many_base.jsonl
"$RAPT" eval goal-accuracy --logps many=many.jsonl --logps one=policy.jsonl --reference many=many_base.jsonl --reference base.jsonl --resamples 200 --json >out.json
"$RAPT" eval goal-accuracy --logps many=many.jsonl --logps one=policy.jsonl --reference many=many_base.jsonl --reference one=base.jsonl --resamples 200 >table
grep -q '^implicit alone_x  *1.000 .*1.000 ' table
python3 - <<'P'
import json
r = json.load(open("out.json"))
many, one = (run["implicit"] for run in r["runs"])
flip = {k: (v["flip"]["value"], v["flip"]["n"]) for k, v in many.items() if v["flip"]}
assert {k: flip[k] for k in ("all", "opposed", "alone_x", "alone_y")} == {"all": (0.5, 4), "opposed": (1, 1), "alone_x": (1, 1), "alone_y": (0, 1)}, flip
assert abs(flip["differ_x"][0] - 2 / 3) < 1e-12 and abs(flip["differ_y"][0] - 1 / 3) < 1e-12 and flip["differ_x"][1] == flip["differ_y"][1] == 3, flip
assert "opposed" not in one and one["all"]["flip"]["value"] == 1
assert r["differences"][0]["implicit"]["flip"]["value"] == 0.5 and r["differences"][0]["implicit"]["flip"]["n"] == 2, r["differences"] # of the pairs 0 and 1
assert r["base"]["raw"]["all"]["flip"]["n"] == 2
P
fails 1 'another prompt\|not among the reference' "$RAPT" eval goal-accuracy --logps many=many.jsonl --reference base.jsonl
fails 2 'no --logps is called x' "$RAPT" eval goal-accuracy --logps many=many.jsonl --reference x=many_base.jsonl
fails 2 'reference: two of many' "$RAPT" eval goal-accuracy --logps many=many.jsonl --reference many=many_base.jsonl --reference many=many_base.jsonl
fails 2 'reference: two files, base.jsonl the second' "$RAPT" eval goal-accuracy --logps many=many.jsonl --reference many_base.jsonl --reference base.jsonl
sed '3s/"y":2/"z":2/' many.jsonl >bad.jsonl
fails 1 'bad.jsonl: line 3: field goal.y: expected a finite number, found nothing' "$RAPT" eval goal-accuracy --logps bad.jsonl
sed '3s/,"y":2//' many.jsonl >bad.jsonl
fails 1 'line 3: field goal: 1 attributes, and rows before have 2' "$RAPT" eval goal-accuracy --logps bad.jsonl
sed '1s/{"x":5,"y":3}/{}/' many.jsonl >bad.jsonl
fails 1 'line 1: field goal: expected 1 to 24 attributes, found 0' "$RAPT" eval goal-accuracy --logps bad.jsonl
sed 's/"x"/"z"/g' many.jsonl >other.jsonl
fails 1 'many: its files have goals of other attributes' "$RAPT" eval goal-accuracy --logps many=many.jsonl --logps many=other.jsonl
