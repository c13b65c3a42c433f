#!/usr/bin/env bash
# Goals of several attributes: from rows as UltraFeedback and HelpSteer2 have them, and from a reward model's, through augment, train, logps, eval, generate, chat,
# and export; all expected rows are written by hand.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
mkdir chat
cp "$tests"/golden/llama_tiny/* chat
printf '%s' "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}" >chat/chat_template.jinja
tiny=chat
export OMP_NUM_THREADS=1
# --- UltraFeedback's ratings; one response has an N/A and takes no part ---
cat >uf.jsonl <<'E'
{"instruction":"the cat","completions":[{"response":"sat","overall_score":8,"annotations":{"helpfulness":{"Rating":"5"},"honesty":{"Rating":"4"}}},{"response":"had a hat","overall_score":3,"annotations":{"helpfulness":{"Rating":"1"},"honesty":{"Rating":"5"}}},{"response":"on","overall_score":9,"annotations":{"helpfulness":{"Rating":"5"},"honesty":{"Rating":"N/A"}}}]}
E
A="$RAPT augment --input uf.jsonl --output o.jsonl --rule best-worst --placement user"
$A --attributes helpfulness,honesty --score-range 1,5 2>err
cat >want <<'E'
{"prompt": "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on a scale of 1-5, where 1 is lowest and 5 is highest):\nHelpfulness: 5.\nHonesty: 4.\n\nthe cat", "chosen": "sat", "rejected": "had a hat", "goal": {"helpfulness": 5, "honesty": 4}, "goal_of": "chosen", "score_chosen": 8, "score_rejected": 3, "scores_chosen": {"helpfulness": 5, "honesty": 4}, "scores_rejected": {"helpfulness": 1, "honesty": 5}, "source_row": 0}
{"prompt": "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on a scale of 1-5, where 1 is lowest and 5 is highest):\nHelpfulness: 1.\nHonesty: 5.\n\nthe cat", "chosen": "had a hat", "rejected": "sat", "goal": {"helpfulness": 1, "honesty": 5}, "goal_of": "rejected", "score_chosen": 3, "score_rejected": 8, "scores_chosen": {"helpfulness": 1, "honesty": 5}, "scores_rejected": {"helpfulness": 5, "honesty": 4}, "source_row": 0}
E
diff want o.jsonl
cat >want <<'E'
{"text": "You are an assistant that generates responses for the instruction while implicitly achieving the following target scores (on a scale of {a}-{b}, where {a} is lowest and {b} is highest):\n{lines}", "placement": "user", "attributes": [{"name": "helpfulness", "low": 1, "high": 5, "best": 5}, {"name": "honesty", "low": 1, "high": 5, "best": 5}], "quantum": 0, "histogram": {"helpfulness=1,honesty=5": 1, "helpfulness=5,honesty=4": 1}}
E
diff want o.jsonl.goal.json
grep -q 'aspect or attribute rated N/A  *1$' err
# the overall score among them, a scale each, what is best, a text of one's own, a score mapped from another scale
$A --attributes overall,honesty --score-range 'overall=1,10;honesty=1,5' --best honesty=3 2>/dev/null
grep -qF '(each on the scale in brackets, from lowest to highest):\nOverall score (1-10): 8.\nHonesty (1-5): 4.\n\nthe cat"' o.jsonl
grep -qF '{"name": "overall", "low": 1, "high": 10, "best": 10}, {"name": "honesty", "low": 1, "high": 5, "best": 3}' o.jsonl.goal.json
$A --attributes overall,honesty --score-range 1,10 --score-from honesty=1,5 --quantize 0.5 --goal-template 'All {s} of {b}; {lines}' --goals 'best;overall=8,honesty=7.7' 2>/dev/null
cat >want <<'E'
{"prompt": "All 10 of 10; Honesty: 10.\n\nthe cat", "chosen": "sat", "rejected": "had a hat", "goal": {"overall": 10, "honesty": 10}, "score_chosen": 8, "score_rejected": 3, "scores_chosen": {"overall": 8, "honesty": 7.75}, "scores_rejected": {"overall": 3, "honesty": 10}}
{"prompt": "All 8 of 10; Honesty: 7.5.\n\nthe cat", "chosen": "sat", "rejected": "had a hat", "goal": {"overall": 8, "honesty": 7.5}, "score_chosen": 8, "score_rejected": 3, "scores_chosen": {"overall": 8, "honesty": 7.75}, "scores_rejected": {"overall": 3, "honesty": 10}}
E
sed 's/, "source_row": 0}$/}/' o.jsonl | diff want -
# --- HelpSteer2's columns: rows of one prompt are its responses, and prompts are conversations; scales found in the data. Distances are in units of the scale's width:
# under correctness 4, verbosity 2 the first is sqrt(0 + (1/4)^2) = 1/4 away and the second sqrt((1/2)^2 + 0) = 1/2; under 2.5, 0 it is
# sqrt((3/4)^2 + (1/4)^2) = 0.79 and sqrt((1/4)^2 + (1/2)^2) = 0.56 ---
cat >hs.jsonl <<'E'
{"prompt":"the cat","response":"sat","helpfulness":4,"correctness":4,"coherence":4,"complexity":1,"verbosity":1}
{"prompt":"the cat","response":"had a hat","helpfulness":1,"correctness":3,"coherence":4,"complexity":1,"verbosity":2}
{"prompt":"me","response":"on","helpfulness":2,"correctness":2,"coherence":4,"complexity":1,"verbosity":4}
{"prompt":"me","response":"the","helpfulness":1,"correctness":2,"coherence":4,"complexity":1,"verbosity":0}
E
H="$RAPT augment --input hs.jsonl --output h.jsonl --rule best-worst --placement user --attributes correctness,verbosity"
$H --goals 'verbosity=2,correctness=4;correctness=2.5,verbosity=0' --goal-template '{scaled}' 2>err
has err 'scale of correctness: 2 to 4'
has err 'scale of verbosity: 0 to 4'
cat >want <<'E'
{"prompt": [{"role": "user", "content": "Correctness (2-4): 4.\nVerbosity (0-4): 2.\n\nthe cat"}], "chosen": [{"role":"assistant","content":"sat"}], "rejected": [{"role":"assistant","content":"had a hat"}], "goal": {"correctness": 4, "verbosity": 2}, "score_chosen": 4, "score_rejected": 1, "scores_chosen": {"correctness": 4, "verbosity": 1}, "scores_rejected": {"correctness": 3, "verbosity": 2}, "source_row": 0}
{"prompt": [{"role": "user", "content": "Correctness (2-4): 2.5.\nVerbosity (0-4): 0.\n\nthe cat"}], "chosen": [{"role":"assistant","content":"had a hat"}], "rejected": [{"role":"assistant","content":"sat"}], "goal": {"correctness": 2.5, "verbosity": 0}, "score_chosen": 1, "score_rejected": 4, "scores_chosen": {"correctness": 3, "verbosity": 2}, "scores_rejected": {"correctness": 4, "verbosity": 1}, "source_row": 0}
{"prompt": [{"role": "user", "content": "Correctness (2-4): 2.5.\nVerbosity (0-4): 0.\n\nme"}], "chosen": [{"role":"assistant","content":"the"}], "rejected": [{"role":"assistant","content":"on"}], "goal": {"correctness": 2.5, "verbosity": 0}, "score_chosen": 1, "score_rejected": 2, "scores_chosen": {"correctness": 2, "verbosity": 0}, "scores_rejected": {"correctness": 2, "verbosity": 4}, "source_row": 2}
E
diff want h.jsonl # under verbosity 2 the responses to "me" are equally far: no row
grep -q 'as far from both scores  *1$' err
fails 1 'two different numbers of the attribute coherence' $H,coherence
# rapt pair hands them on: augment of its output writes what it writes of the rows of several responses themselves
for names in correctness,verbosity overall,complexity,verbosity; do
  "$RAPT" pair --input hs.jsonl --output hp.jsonl --rule best-worst --attributes $names --keep-scores 2>/dev/null
  for goals in own prompt; do
    A="--placement user --attributes $names --score-range 0,4 --goals $goals"
    "$RAPT" augment --input hs.jsonl --output a.jsonl --rule best-worst $A 2>/dev/null
    "$RAPT" augment --input hp.jsonl --output b.jsonl $A 2>/dev/null
    cmp a.jsonl.goal.json b.jsonl.goal.json
    for f in a b; do sed -E 's/, "source_row".*//' $f.jsonl >$f.rows; done # whose numbers are those of pairs there
    [ -s a.rows ] && diff a.rows b.rows
  done
done
has hp.jsonl '"score_chosen": 4, "score_rejected": 1, "scores_chosen": {"overall": 4, "complexity": 1, "verbosity": 1}, "scores_rejected": {"overall": 1, "complexity": 1, "verbosity": 2}, "prompt_scores": [{"overall": 4, "complexity": 1, "verbosity": 1}, {"overall": 1, "complexity": 1, "verbosity": 2}]}'
"$RAPT" pair --input uf.jsonl --output hp.jsonl --rule all --attributes honesty 2>err
grep -q 'rated N/A  *1$' err
fails 1 'hs.jsonl:1: response 1 has no colour' "$RAPT" pair --input hs.jsonl --output bad.jsonl --attributes colour
fails 2 'attributes: .a=b. is no name' "$RAPT" pair --input hs.jsonl --output bad.jsonl --attributes a=b
# ties are vectors that print the same in every line
$H --quantize 5 --ties plain --score-range 0,5 2>err
grep -q 'without a goal  *1$' err # round(1/5), round(2/5) are both 0, and so are correctness 3 and 4 both 5
# --- pairs of the general form, as rapt score writes them or with attributes; without any score of their own ---
cat >pairs.jsonl <<'E'
{"prompt":"the cat","chosen":"sat","rejected":"had a hat","scores_chosen":{"help":0.5,"short":-1},"scores_rejected":{"help":0.25,"short":2},"x":1}
{"prompt":"me","chosen":"on","rejected":"the","attributes_chosen":{"help":0.75,"short":0},"attributes_rejected":{"help":0.75,"short":null}}
{"prompt":"the dog","chosen":"sat","rejected":"a hat","help_chosen":0.25,"help_rejected":"0.5","chosen_short":1,"rejected_short":1}
E
N="$RAPT augment --input pairs.jsonl --output p.jsonl --placement user --attributes help,short --score-range help=0,1;short=-1,2"
P="$N --goal-template {lines}"
row() { # goal, prompt, goal object, goal_of, chosen, rejected, scores of both, row, rest
  echo "{\"prompt\": \"$1\\n\\n$2\", \"chosen\": \"$5\", \"rejected\": \"$6\", \"goal\": {$3}, \"goal_of\": \"$4\", \"scores_chosen\": {$7}, \"scores_rejected\": {$8}, \"source_row\": $9${10-}}"
}
first() { row 'Help: 0.5.\nShort: -1.' 'the cat' '"help": 0.5, "short": -1' chosen sat 'had a hat' '"help": 0.5, "short": -1' '"help": 0.25, "short": 2' 0 ', "x": 1'; }
second() { row 'Help: 0.25.\nShort: 2.' 'the cat' '"help": 0.25, "short": 2' rejected "$@" 0 ', "x": 1'; }
turned() { second 'had a hat' sat '"help": 0.25, "short": 2' '"help": 0.5, "short": -1'; }
kept() { second sat 'had a hat' '"help": 0.5, "short": -1' '"help": 0.25, "short": 2'; }
$P 2>err
{ first; turned; } >want
head -2 p.jsonl | diff want -
[ "$(wc -l <p.jsonl)" = 4 ] && grep -q 'rated N/A  *1$' err
$P --mode prefix-only 2>/dev/null
{ first; kept; } >want
head -2 p.jsonl | diff want -
$P --mode shuffled --seed 1 2>/dev/null # goals of the two pairs exchanged or not: always whole vectors of one pair
grep -o '"goal": {[^}]*}' p.jsonl | sort -u >got
printf '%s\n' '"goal": {"help": 0.25, "short": 1}' '"goal": {"help": 0.25, "short": 2}' '"goal": {"help": 0.5, "short": -1}' '"goal": {"help": 0.5, "short": 1}' | sort | diff - got
for mode in random-order half-pairs half-goals; do $P --mode $mode 2>/dev/null; [ "$(wc -l <p.jsonl)" = $([ $mode = random-order ] && echo 4 || echo 2) ]; done
$N --mode plain 2>/dev/null
echo '{"prompt": "the cat", "chosen": "sat", "rejected": "had a hat", "scores_chosen": {"help": 0.5, "short": -1}, "scores_rejected": {"help": 0.25, "short": 2}, "source_row": 0, "x": 1}' >want
head -1 p.jsonl | diff want -
$P --mode sft 2>err
echo '{"prompt": "Help: 0.5.\nShort: -1.\n\nthe cat", "completion": "sat", "goal": {"help": 0.5, "short": -1}, "goal_of": "chosen", "scores": {"help": 0.5, "short": -1}, "source_row": 0, "x": 1}' >want
head -1 p.jsonl | diff want -
[ "$(wc -l <p.jsonl)" = 5 ]
$P --without-goals 'help=0.25,short=2' 2>/dev/null
[ "$(wc -l <p.jsonl)" = 2 ]
$P --split 0.999999 --test-output t.jsonl --test-goals 'best;help=0,short=0' 2>/dev/null
[ ! -s p.jsonl ] && [ "$(grep -c '"goal": {"help": 1, "short": 2}' t.jsonl)" = 2 ] && [ "$(wc -l <t.jsonl)" = 4 ]
# the prompt's other responses
sed 's/"x":1/"prompt_scores":[{"help":0.5,"short":-1},{"help":0.25,"short":2},{"help":0,"short":2},{"help":null,"short":1}]/' pairs.jsonl | head -1 >k.jsonl
"$RAPT" augment --input k.jsonl --output p.jsonl --placement user --attributes help,short --goals prompt --score-range 'help=0,1;short=-1,2' 2>/dev/null
[ "$(wc -l <p.jsonl)" = 3 ] && grep -q '"chosen": "had a hat", "rejected": "sat", "goal": {"help": 0, "short": 2}, "score' p.jsonl
# completions
echo '{"prompt":"q","completion":"a","attributes":{"help":1,"short":0},"n":2}' >c.jsonl
"$RAPT" augment --input c.jsonl --output p.jsonl --mode sft --placement user --attributes help,short --score-range 0,1 --goal-template '{lines}' 2>/dev/null
echo '{"prompt": "Help: 1.\nShort: 0.\n\nq", "completion": "a", "goal": {"help": 1, "short": 0}, "scores": {"help": 1, "short": 0}, "source_row": 0, "n": 2}' | diff - p.jsonl

# --- refused ---
B="$RAPT augment --input pairs.jsonl --output bad.jsonl"
fails 1 'pairs.jsonl:1: no x of the chosen response: expected x_chosen, chosen_x' $B --attributes help,x --score-range 0,1
fails 1 'uf.jsonl:1: response 1 has no x: neither a member of that name, nor annotations.x.Rating' "$RAPT" augment --input uf.jsonl --output bad.jsonl --attributes x
sed 's/-1/"high"/' pairs.jsonl >broken.jsonl
fails 1 'broken.jsonl:1: field short of response 1: expected a finite number, found "high"' "$RAPT" augment --input broken.jsonl --output bad.jsonl --attributes help,short
fails 1 'prompt_scores: an item has no help' "$RAPT" augment --input <(sed 's/"help":0,/"hop":0,/' k.jsonl) --output bad.jsonl --attributes help,short --goals prompt --score-range 0,1
fails 1 'goal-conditioned already' "$RAPT" augment --input o.jsonl --output bad.jsonl
fails 2 "attributes: 'a=b' is no name for an attribute" $B --attributes a=b
fails 2 'Help and help would stand under one name' $B --attributes Help,help
fails 2 'at most 24 attributes' $B --attributes "$(seq -s, 25)"
fails 2 'best has no effect without --attributes' $B --best help=1
fails 2 "best: goal 'best,y=1': it has no attribute y" $B --attributes help,short --score-range 0,1 --best y=1
fails 2 'its help lies outside the scale of 0 to 1' $B --attributes help,short --score-range 0,1 --best help=2
fails 2 "goals: goal 'help=1': it lacks short; expected help=G,short=G" $B --attributes help,short --score-range 0,1 --goals help=1
fails 2 "goal '8': it is no NAME=G" $B --attributes help,short --score-range 0,1 --goals 8
fails 2 'it has two numbers for help' $B --attributes help,short --score-range 0,1 --goals help=1,help=1
fails 2 'no finite number for help' $B --attributes help,short --score-range 0,1 --goals help=nan,short=1
fails 2 'test-goals has help=1,short=0 twice' $B --attributes help,short --score-range 0,1 --split 0.5 --test-output t --test-goals 'short=0,help=1;help=1,short=0'
fails 2 'score-range expects A,B or NAME=A,B' $B --attributes help,short --score-range 'hop=0,1'
fails 2 'maps short to a scale that --score-range has to name' $B --attributes help,short --score-range help=0,1 --score-from 0,1
fails 2 'neither {lines} nor {scaled}' $B --attributes help,short --score-range 0,1 --goal-template '{s}'
fails 2 'overall is none of the attributes' $B --attributes help,short --score-range 0,1 --goal-template '{s} {lines}'
fails 2 'names one scale, {a} to {b}, but the attributes have different ones' $B --attributes help,short --score-range 'help=0,1;short=0,2' --goal-template '{b} {lines}'
fails 2 'compat paper-nosys-bug and --attributes exclude each other' $B --attributes help --compat paper-nosys-bug
fails 2 'read twice then; - cannot be' "$RAPT" augment --input - --output bad.jsonl --attributes help <pairs.jsonl
[ ! -e bad.jsonl ]

# --- train, log-probs, goal accuracy ---
$H --score-range 0,4 --best verbosity=1 --goal-template '{lines}' 2>/dev/null
"$RAPT" train --model "$tiny" --train-data h.jsonl --output-dir run --dtype f32 --max-steps 2 --learning-rate 1e-2 2>/dev/null >/dev/null
cmp h.jsonl.goal.json run/goal.json
"$RAPT" logps --model "$tiny" --adapter run --input h.jsonl --output after.jsonl --dtype f32 2>/dev/null
"$RAPT" logps --model "$tiny" --input h.jsonl --output before.jsonl --dtype f32 2>/dev/null
"$RAPT" eval goal-accuracy --logps run=after.jsonl --reference before.jsonl --json 2>/dev/null >acc.json
grep -q '"pairs": 2' acc.json
fails 1 'goal of several attributes; a sweep has goals of one score' "$RAPT" eval midpoint --logps run=after.jsonl --reference before.jsonl
# the midpoint along one attribute, the other's goal being the same: rows of --test-goals
echo '{"prompt":"a hat","chosen":"sat","rejected":"ran","score_chosen":8,"score_rejected":3,"scores_chosen":{"correctness":4,"verbosity":2},"scores_rejected":{"correctness":1,"verbosity":0}}' >few.jsonl
sweep=$(for v in 0 2; do for c in 0 1 2 3 4; do printf 'correctness=%s,verbosity=%s;' $c $v; done; done)
"$RAPT" augment --input few.jsonl --output rest.jsonl --test-output sweep.jsonl --split 0.999 --attributes correctness,verbosity --score-range 0,4 --test-goals "${sweep%;}" --placement user --goal-template '{lines}' 2>/dev/null
[ "$(wc -l <sweep.jsonl)" = 10 ]
for run in run base; do "$RAPT" logps --model "$tiny" $([ $run = base ] || echo --adapter run) --input sweep.jsonl --output $run.sweep --dtype f32 2>/dev/null; done
"$RAPT" eval midpoint --logps run=run.sweep --reference base.sweep --attribute correctness --score-range 0,4 --resamples 200 --output files.json >table
has table 'run: 2 pairs along correctness'
has files.json '{"task": "midpoint", "attribute": "correctness", '
"$RAPT" eval midpoint --model "$tiny" --adapter run=run --data sweep.jsonl --dtype f32 --attribute correctness --score-range 'verbosity=0,4;correctness=0,4' --resamples 200 --json >models.json 2>/dev/null
python3 - <<'P' # of files and of models; then log-probs that turn where they should: in the middle, moved by (4 - 0) / (2 * 3) of verbosity
import json
a, b = (json.load(open(f + ".json"))["runs"][0] for f in ("files", "models"))
assert a["pairs"] == b["pairs"] == 2 and a["left_out"] == 0
for kind in ("implicit", "raw"):
    for what, e in a[kind]["all"].items():
        f = b[kind]["all"][what]
        assert (e is None) == (f is None) and (e is None or e["value"] is None or abs(e["value"] - f["value"]) < 1e-3), (kind, what, e, f)
rows = [json.loads(l) for l in open("run.sweep")]
turn = {0: 2.5 + 2 / 3, 2: 2.5 - 2 / 3}
for r in rows:
    r["logps_chosen"], r["logps_rejected"] = r["goal"]["correctness"] - turn[r["goal"]["verbosity"]], 0
open("made.sweep", "w").write("".join(json.dumps(r) + "\n" for r in rows))
P
"$RAPT" eval midpoint --logps made.sweep --attribute correctness --score-range 0,4 --resamples 200 --json >made.json
python3 - <<'P'
import json
e = json.load(open("made.json"))["runs"][0]["raw"]["all"]
assert e["sign"]["value"] == 1 and e["crossed"]["value"] == 1 and abs(e["distance"]["value"]) < 1e-12, e
P
"$RAPT" eval midpoint --logps made.sweep --attribute correctness --score-range 'correctness=0,4;verbosity=0,1' --resamples 200 --json >narrow.json # a scale of a quarter: its goal counts 16 times
python3 -c 'import json; assert abs(json.load(open("narrow.json"))["runs"][0]["raw"]["all"]["distance"]["value"] - 10) < 1e-12'
M="$RAPT eval midpoint --logps made.sweep"
fails 2 'attribute expects --score-range' $M --attribute correctness
fails 2 'made.sweep: line 1: .*score-range names no scale for verbosity' $M --attribute correctness --score-range correctness=0,4
fails 2 'score-range expects two numbers, the lower first' $M --attribute correctness --score-range 'correctness=4,0;verbosity=0,4'
fails 1 'field scores_chosen.long: expected a finite number' $M --attribute long --score-range 0,4
fails 1 'field goal: expected an object with correctness, found a number' "$RAPT" eval midpoint --logps <(sed 's/"goal": {[^}]*}/"goal": 3/' made.sweep) --attribute correctness --score-range 0,4
fails 2 'score-range has no effect on a task other than goal-accuracy' $M --score-range 0,4
for loss in odpo rpo_sq infonca; do
  "$RAPT" train --help | seen "$loss" || { echo "no loss $loss"; exit 1; }
  fails 1 'h.jsonl:1: field goal: it has several attributes, and this loss takes rewards' "$RAPT" train --model "$tiny" --train-data h.jsonl --output-dir no --loss-type $loss --max-steps 1
done

# --- generate: a goal by name in any order, best, best but one, a sweep; rows carry the object ---
G="$RAPT generate --model $tiny --adapter run --dtype reference --max-new-tokens 3 --temperature 0"
echo '{"prompt":"the cat"}' >q.jsonl
$G --input q.jsonl --goal 'verbosity=0,correctness=4;best' --goal best,correctness=2 --output g.jsonl 2>err
sed -E 's/.*("goal": \{[^}]*\}).*/\1/' g.jsonl >got
printf '%s\n' '"goal": {"correctness": 4, "verbosity": 0}' '"goal": {"correctness": 4, "verbosity": 1}' '"goal": {"correctness": 2, "verbosity": 1}' | diff - got
has err 'goal correctness=4,verbosity=1 was trained 1 times among 4 goals (25%)'
has err 'goal correctness=4,verbosity=0 was never trained; the nearest trained goal is correctness=4,verbosity=1'
# the prompt is the one that was trained on: the same greedy answer as from a prompt that has the goal written in
printf '{"prompt":"Correctness: 4.\\nVerbosity: 0.\\n\\nthe cat"}\n' >written.jsonl
$G --input written.jsonl --output w.jsonl 2>/dev/null
text() { sed -E 's/.*"text": (".*"), "tokens".*/\1/' "$1" | head -1; }
[ "$(text w.jsonl)" = "$(text g.jsonl)" ]
$G --input h.jsonl --limit 1 --output r.jsonl 2>/dev/null # a row that asks already keeps its goal
has r.jsonl '"goal": {"correctness": 4, "verbosity": 1}'
fails 1 'asks for a goal already' $G --input h.jsonl --goal best --output -
$G --prompt 'the cat' --goal 'best;best,verbosity=4' 2>/dev/null | grep -qx '== goal correctness=4,verbosity=4 =='
fails 2 "goal '8': it is no NAME=G; expected correctness=G,verbosity=G" $G --prompt x --goal 8
fails 2 'it lacks verbosity' $G --prompt x --goal correctness=3
has <($G --prompt x --goal correctness=5,verbosity=1 2>&1) 'its correctness lies outside the scale of 0 to 4'
fails 2 'a goal is a number or best' "$RAPT" generate --model "$tiny" --prompt x --goal verbosity=3
fails 1 'a goal curve is of goals that are one score' "$RAPT" eval goal-curve --samples <(sed 's/}$/, "score": 3}/' g.jsonl)
for g in 1 2; do echo "{\"prompt\":\"q\",\"goal\":$g,\"sample\":0,\"text\":\"a\",\"tokens\":1,\"finish\":\"stop\",\"score\":$g}"; done >curve.jsonl
if "$RAPT" eval goal-curve --samples curve.jsonl --best-output run/goal.json >/dev/null 2>err; then exit 1; fi
has err 'each with a best value of its own'
sed 's/"best": 1/"best": "x"/' run/goal.json >style.json
fails 1 'attribute 2: "best" must be a number' $G --goal-style style.json --prompt x --goal best
sed 's/"attributes": \[.*\], "quantum"/"attributes": [], "quantum"/' run/goal.json >style.json
fails 1 '"attributes" must be a list' $G --goal-style style.json --prompt x --goal best
sed 's/"high": 4/"high": 0/' run/goal.json >style.json
fails 1 "scale of correctness must run from a lower to a higher number" $G --goal-style style.json --prompt x --goal best
# --- export: baked, and for another trainer ---
echo '{"prompt":[{"role":"user","content":"Hi"}]}' >hi.jsonl
"$RAPT" export --model chat --adapter run --output baked --bake-goal best,correctness=3 2>/dev/null
[ "$("$RAPT" template --model baked --input hi.jsonl)" = "$(printf '<user>Correctness: 3.\nVerbosity: 1.\n\nHi')" ]
cmp run/goal.json baked/goal.json
fails 2 'bake-goal: goal .3.: it is no NAME=G' "$RAPT" export --model chat --adapter run --output baked2 --bake-goal 3
"$RAPT" export --model chat --format trl --data h.jsonl --output trl 2>/dev/null
grep -rqF '"goal": {"correctness": 4.0, "verbosity": 1.0}' trl
has trl/README.md '--goal correctness=4,verbosity=1'
# --- chat ---
printf '/goal verbosity=4,correctness=1\nthe cat\n/goal verbosity=4\n/goal off\n' | "$RAPT" chat --model chat --adapter run --goal best --max-new-tokens 2 --dtype f32 2>err >/dev/null
has err 'rapt: goal correctness=1,verbosity=4'
has err "goal 'verbosity=4': it lacks correctness"
has err 'no goal'
# --- what was asked of an attribute against what came out: g asks x for 1, 3, 5 and y the other way round; x follows, y does not ---
for k in 1 3 5; do
  for s in 0 1; do
    echo "{\"prompt\":\"q$s\",\"goal\":{\"x\":$k,\"y\":$((6 - k))},\"sample\":0,\"text\":\"a b\",\"score\":2,\"scores\":{\"x\":$((k / 2 + s)),\"y\":$((k + s))}}"
  done
done >asked.jsonl
"$RAPT" eval goal-curve --samples asked.jsonl --attribute x --resamples 200 --output x.json >table
has table 'x, as it was asked for and as it came out'
grep -q '^5  *2  *2.500 \[' table # 5 / 2 is 2, and 3 of the other prompt
grep -q '^tau  *1.000 \[' table
"$RAPT" eval goal-curve --samples asked.jsonl --attribute y --goals 1,5 --resamples 200 --json >y.json
grep -q '^{"task": "goal-curve", "attribute": "y", ' y.json
grep -q '"tau": {"value": -1, ' y.json
grep -q '"span": {"value": -4, ' y.json
fails 1 'asked.jsonl:1: field goal.overall: expected a finite number' "$RAPT" eval goal-curve --samples asked.jsonl --attribute overall
fails 1 'asked.jsonl:1: response 1 has no z' "$RAPT" eval goal-curve --samples asked.jsonl --attribute z
sed 's/"x":[0-9],"y":[0-9]},"sample"/"x":"high"},"sample"/' asked.jsonl >bad.jsonl
fails 1 'bad.jsonl:1: field goal.x: expected a finite number' "$RAPT" eval goal-curve --samples bad.jsonl --attribute x
sed 's/"goal":{[^}]*}/"goal":3/' asked.jsonl >bad.jsonl
fails 1 'bad.jsonl:1: field goal: expected an object with x, found a number' "$RAPT" eval goal-curve --samples bad.jsonl --attribute x
fails 2 'best-output takes samples under goals that are one score' "$RAPT" eval goal-curve --samples asked.jsonl --attribute x --best-output run/goal.json
fails 2 'attribute has no effect on a task other than goal-curve' "$RAPT" eval goal-accuracy --logps after.jsonl --attribute x
# --- attributes from any source: two rules, then an overall score of both; rows of several responses, pairs, completions ---
S="$RAPT score --source rule --rule regex"
echo '{"prompt":"q","responses":["a cat","cat",{"text":"dog a","note":1}]}' >k.jsonl
$S --pattern cat --as cat --input k.jsonl --output k1.jsonl 2>/dev/null
echo '{"prompt": "q", "responses": [{"text": "a cat", "scores": {"cat": 10}}, {"text": "cat", "scores": {"cat": 10}}, {"text": "dog a", "note": 1, "scores": {"cat": 1}}]}' | diff - k1.jsonl
$S --pattern '^a' --as a --input k1.jsonl --output k2.jsonl 2>/dev/null
"$RAPT" score --source column --weights cat=0.5,a=0.5 --input k2.jsonl --output k3.jsonl 2>/dev/null
echo '{"prompt": "q", "responses": [{"text": "a cat", "scores": {"cat": 10, "a": 10}, "score": 10}, {"text": "cat", "scores": {"cat": 10, "a": 1}, "score": 5.5}, {"text": "dog a", "note": 1, "scores": {"cat": 1, "a": 1}, "score": 1}]}' | diff - k3.jsonl
"$RAPT" augment --input k3.jsonl --output a.jsonl --rule best-worst --placement user --attributes cat,a --score-range 1,10 --goal-template '{lines}' 2>/dev/null
has a.jsonl '"goal": {"cat": 10, "a": 10}, "goal_of": "chosen", "score_chosen": 10, "score_rejected": 1, "scores_chosen": {"cat": 10, "a": 10}, "scores_rejected": {"cat": 1, "a": 1}'
fails 2 'k3.jsonl:1: the row has cat in its scores already; --overwrite replaces it' $S --pattern dog --as cat --input k3.jsonl --output bad.jsonl
$S --pattern dog --as cat --overwrite --input k3.jsonl --output k4.jsonl --json 2>/dev/null | grep -q '"scores_replaced": 3'
has k4.jsonl '{"text": "cat", "score": 5.5, "scores": {"a": 1, "cat": 1}}, {"text": "dog a", "note": 1, "score": 1, "scores": {"a": 1, "cat": 10}}'
echo '{"prompt":"q","chosen":"a cat","rejected":"dog","score_chosen":9,"score_rejected":2,"scores_rejected":{"b":3}}' >p.jsonl
$S --pattern cat --as cat --input p.jsonl --output p1.jsonl 2>/dev/null
echo '{"prompt": "q", "chosen": "a cat", "rejected": "dog", "score_chosen": 9, "score_rejected": 2, "scores_chosen": {"cat": 10}, "scores_rejected": {"b": 3, "cat": 1}}' | diff - p1.jsonl
echo '{"prompt":"q","completion":"cat","score":4}' >c.jsonl
$S --pattern cat --as cat --input c.jsonl --output c1.jsonl 2>/dev/null
echo '{"prompt": "q", "completion": "cat", "score": 4, "scores": {"cat": 10}}' | diff - c1.jsonl
$G --input q.jsonl --goal best --n 1 --output g.jsonl 2>/dev/null # what generate wrote, its goal an object
$S --pattern a --as correctness --input g.jsonl --output g1.jsonl 2>/dev/null
$S --pattern b --as verbosity --input g1.jsonl --output g2.jsonl 2>/dev/null
"$RAPT" eval goal-curve --samples g2.jsonl --attribute verbosity --resamples 200 | grep -q '^1  *1 '
sed 's/"score":4/"scores":[4]/' c.jsonl >bad.jsonl
fails 1 'bad.jsonl:1: field scores of response 1: expected an object, found an array' $S --pattern cat --as cat --input bad.jsonl --output no.jsonl
fails 2 'as: overall is the response.s own score' $S --pattern cat --as overall --input c.jsonl --output no.jsonl
fails 2 "as: 'a=b' is no name" $S --pattern cat --as a=b --input c.jsonl --output no.jsonl
fails 2 'as has no effect: the model gives several numbers' "$RAPT" score --source reward-model --model "$tests/golden/score_multi" --as x --input c.jsonl --output no.jsonl
[ ! -e no.jsonl ]
