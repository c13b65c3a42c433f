#!/usr/bin/env bash
# rapt augment: exact rows and counts on stdout, patterns on stderr, exit codes, what is refused.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$dir"
A="$RAPT augment --input in.jsonl --output o.jsonl"
cat >in.jsonl <<'E'
{"prompt":"q0","chosen":"w","rejected":"l","score_chosen":8,"score_rejected":3}
{"prompt":"q1","chosen":"w","rejected":"l","score_chosen":7,"score_rejected":7}
{"prompt":"q2","chosen":"w","rejected":"l","score_chosen":2,"score_rejected":6}

{"prompt":"q3","chosen":"same","rejected":"same","score_chosen":8,"score_rejected":3}
{"prompt":"q4","chosen":"w","rejected":"  ","score_chosen":8,"score_rejected":3}
E
# exact rows, under a template of one's own
"$RAPT" augment --input - --output - --placement user --goal-template 'goal {s} of {b}:' --score-range 0,9 <in.jsonl 2>err >got
cat >want <<'E'
{"prompt": "goal 8 of 9:\n\nq0", "chosen": "w", "rejected": "l", "goal": 8, "goal_of": "chosen", "score_chosen": 8, "score_rejected": 3, "source_row": 0}
{"prompt": "goal 3 of 9:\n\nq0", "chosen": "l", "rejected": "w", "goal": 3, "goal_of": "rejected", "score_chosen": 3, "score_rejected": 8, "source_row": 0}
E
diff want got
[ ! -e -.goal.json ]
printf 'goal {s} of {b}:\n' >template
$A --placement user --goal-template-file template --score-range 0,9 2>/dev/null
diff want o.jsonl
echo '{"text": "goal {s} of {b}:", "placement": "user", "low": 0, "high": 9, "quantum": 0, "histogram": {"3": 1, "8": 1}}' | diff - o.jsonl.goal.json
for pattern in 'rows read  *5$' 'pairs used for training  *1$' 'equal responses  *1$' 'empty response  *1$' 'print the same  *1$' 'scored below rejected  *1$'; do
    grep -q "$pattern" err || { echo "no '$pattern'"; cat err; exit 1; }
done
$A --json 2>/dev/null >got
echo '{"rows_read": 5, "rows_skipped": 0, "rows_excluded": 0, "rows_other_folds": 0, "pairs_read": 5, "pairs_train": 1, "pairs_test": 0, "rows_written": 2, "test_rows_written": 0, "dropped_few_responses": 0, "dropped_fine_order": 0, "dropped_no_score": 0, "dropped_score": 0, "dropped_goal": 0, "dropped_na": 0, "dropped_empty": 1, "dropped_equal_text": 1, "dropped_margin": 0, "dropped_drawn": 0, "dropped_tie": 1, "ties_kept": 0, "ties_plain": 0, "dropped_disagree": 1, "disagree_relabelled": 0, "disagree_kept": 0, "dropped_half": 0, "goals_equidistant": 0, "goals_above_both": 0, "goals_dropped_out": 0, "scores_off_scale": 0}' | diff - got
# ties and disagreement
$A --ties plain --on-disagree relabel --placement user 2>/dev/null
[ "$(wc -l <o.jsonl)" = 5 ]
grep -q '^{"prompt": "q1", "chosen": "w", "rejected": "l", "score_chosen": 7, "score_rejected": 7, "source_row": 1}$' o.jsonl
grep -q '"chosen": "l", "rejected": "w", "goal": 6, "goal_of": "chosen", "score_chosen": 6, "score_rejected": 2, "source_row": 2}$' o.jsonl
$A --on-disagree keep --mode plain --placement user --ties keep 2>/dev/null
grep -q '^{"prompt": "q2", "chosen": "w", "rejected": "l", "score_chosen": 2, "score_rejected": 6, "source_row": 2}$' o.jsonl
[ ! -e o.jsonl.goal.json ]
# whole conversations, as ultrafeedback_binarized has them: the prompt is their common head, the copy of the chosen one under messages goes
echo '{"prompt":"q","prompt_id":"ab","chosen":[{"content":"q","role":"user"},{"content":"w","role":"assistant"}],"rejected":[{"content":"q","role":"user"},{"content":"l","role":"assistant"}],"messages":[{"content":"q","role":"user"},{"content":"w","role":"assistant"}],"score_chosen":8.5,"score_rejected":4.0}' >h4.jsonl
"$RAPT" augment --input h4.jsonl --output - --goal-template '{s}' 2>/dev/null >got
cat >want <<'E'
{"prompt": [{"role": "system", "content": "8.5"}, {"content":"q","role":"user"}], "chosen": [{"content":"w","role":"assistant"}], "rejected": [{"content":"l","role":"assistant"}], "goal": 8.5, "goal_of": "chosen", "score_chosen": 8.5, "score_rejected": 4, "source_row": 0, "prompt_id": "ab"}
{"prompt": [{"role": "system", "content": "4"}, {"content":"q","role":"user"}], "chosen": [{"content":"l","role":"assistant"}], "rejected": [{"content":"w","role":"assistant"}], "goal": 4, "goal_of": "rejected", "score_chosen": 4, "score_rejected": 8.5, "source_row": 0, "prompt_id": "ab"}
E
diff want got
# --no-swap is prefix-only
$A --no-swap 2>/dev/null
cp o.jsonl no_swap
$A --mode prefix-only 2>/dev/null
cmp o.jsonl no_swap
# lists warn about goals above both scores
$A --goals 10,3 2>err
grep -q 'warning: under a goal above both scores' err
grep -q '"chosen": \[{"role": "assistant", "content": "w"}\], "rejected": \[{"role": "assistant", "content": "l"}\], "goal": 10, "score_chosen": 8' o.jsonl
$A --score-range 1,5 2>err
grep -q 'warning: 1 scores lie outside' err
# margins are of pairs too, whichever of the two is preferred: 5 points, 4 the other way round
$A --on-disagree keep --min-margin 4 --json 2>/dev/null | grep -q '"pairs_train": 2,.*"dropped_margin": 1,'
$A --on-disagree keep --min-margin 4.5 --json 2>/dev/null | grep -q '"pairs_train": 1,.*"dropped_margin": 2,'
$A --on-disagree keep --max-margin 4.5 --json 2>/dev/null | grep -q '"pairs_train": 1,.*"dropped_margin": 1,'
# the same seed, the same file; another seed, another one
for i in $(seq 300); do echo "{\"prompt\":\"p$i\",\"chosen\":\"w\",\"rejected\":\"l\",\"score_chosen\":$((i % 4 + 6)),\"score_rejected\":$((i % 5 + 1))}"; done >many.jsonl
for mode in own random-order shuffled half-pairs half-goals sft; do
    "$RAPT" augment --input many.jsonl --output a --mode $mode --goal-dropout 0.1 2>/dev/null
    "$RAPT" augment --input many.jsonl --output b --mode $mode --goal-dropout 0.1 2>/dev/null
    "$RAPT" augment --input many.jsonl --output c --mode $mode --goal-dropout 0.1 --seed 43 2>/dev/null
    cmp a b
    ! cmp -s a c || { echo "$mode: the seed changes nothing"; exit 1; }
done
"$RAPT" augment --input many.jsonl --output a --limit 7 --json 2>/dev/null | seen '"pairs_train": 7,.*"rows_written": 14'
"$RAPT" augment --input many.jsonl --output a --mode half-pairs --json 2>/dev/null | seen '"rows_written": 300,.*"dropped_half": 150'
"$RAPT" augment --input many.jsonl --output a --split 0.25 --test-output t --json 2>/dev/null >got
[ "$(cat a t | wc -l)" = 600 ]
! grep -o '"content": "p[0-9]*"' a | sort -u | seen -xFf - <(grep -o '"content": "p[0-9]*"' t) || { echo "a prompt stands in both splits"; exit 1; }
# broken input
echo '{"prompt":"q","chosen":"a","rejected":' >bad.jsonl
cat in.jsonl >>bad.jsonl
rm -f o.jsonl
fails 1 'bad.jsonl:1: byte 39: text ends, expected a value' "$RAPT" augment --input bad.jsonl --output o.jsonl
[ ! -e o.jsonl ]
"$RAPT" augment --input bad.jsonl --output o.jsonl --on-bad-row skip 2>err
grep -q 'bad rows skipped  *1$' err
head -1 bad.jsonl | diff - o.jsonl.rejected.jsonl
"$RAPT" augment --input bad.jsonl --output o.jsonl --on-bad-row skip --mode shuffled --json 2>/dev/null | seen '"rows_skipped": 1,'
fails 1 'nothere: cannot' "$RAPT" augment --input nothere --output o.jsonl
fails 1 'cannot create' "$RAPT" augment --input in.jsonl --output nofolder/o.jsonl
# refusals
fails 2 'expects --input FILE and --output FILE' "$RAPT" augment --input in.jsonl
fails 2 'the goal template has no {s}' $A --goal-template 'be good'
fails 2 'exclude each other' $A --goal-template '{s}' --goal-template-file template
fails 2 'score-range expects two numbers' $A --score-range 10,1
fails 2 'score-from expects two numbers' $A --score-from 5
fails 2 'quantum must be 0 or more' $A --quantize -1
fails 2 'goals expects own, prompt or numbers' $A --goals 1,x
fails 2 'goal-dropout must lie in 0 .. 1' $A --goal-dropout 1.5
fails 2 'split F and --test-output FILE go together' $A --split 0.5
fails 2 'split F and --test-output FILE go together' $A --test-output t
fails 2 'split must lie above 0' $A --test-output t --split 1.1
fails 2 'split must lie above 0' $A --test-output t --split 0
fails 2 'mode has no effect with --split 1, which leaves no training rows' $A --test-output t --split 1 --mode plain
fails 2 'test-unconditioned has no effect' $A --test-unconditioned
fails 2 'are the same file' $A --split 0.5 --test-output o.jsonl
fails 2 'goals has no effect with --mode plain' $A --mode plain --goals prompt
fails 2 'goal-dropout has no effect with --mode plain' $A --mode plain --goal-dropout 0.5
fails 2 'goal-template has no effect with --mode plain' $A --mode plain --goal-template '{s}'
fails 2 'ties plain has no effect with --mode plain' $A --mode plain --ties plain
fails 2 'rule has no effect with --mode sft' $A --mode sft --rule all
fails 2 'goes with --mode own' $A --mode half-goals --goals 10
fails 2 'goes with --mode own' $A --mode half-goals --no-swap
fails 2 'swap has no effect with --mode plain' $A --mode plain --no-swap
fails 2 'ties keep has no effect with --goals 5' $A --goals 5 --ties keep
fails 2 'mode shuffled hands goals' $A --mode shuffled --on-disagree keep
fails 2 'reads its input twice' "$RAPT" augment --input - --output o.jsonl --mode shuffled
fails 2 'compat paper-nosys-bug goes with' $A --compat paper-nosys-bug
fails 2 'both write to stdout' "$RAPT" augment --input in.jsonl --output - --json
fails 2 'mode' $A --mode other

# a result over what it is made of is refused
cp in.jsonl same.jsonl && ln same.jsonl link.jsonl
fails 2 '--input and --output are the same file, same.jsonl' "$RAPT" augment --input same.jsonl --output same.jsonl
fails 2 '--input and --output are the same file, link.jsonl' "$RAPT" augment --input same.jsonl --output link.jsonl
fails 2 '--input and --output are the same file' "$RAPT" pair --input same.jsonl --output same.jsonl
cmp in.jsonl same.jsonl
# tables of text are told as such, and nothing left of the rows is said
printf 'prompt,chosen\nq,a\n' >table.csv
fails 1 'table.csv: rows are JSONL (an object a line), a JSON array or Parquet' "$RAPT" augment --input table.csv --output x.jsonl
"$RAPT" augment --input same.jsonl --output x.jsonl --min-score 9 --test-output y.jsonl --split 0.5 2>err
grep -q 'warning: x.jsonl: no row of same.jsonl became a training row' err
grep -q 'warning: y.jsonl: no row of same.jsonl was put aside for it' err
# a dialogue's question is its prompt, however the answers begin: all of one question on one side of a split
for i in $(seq 30); do
  w=$((i % 7)); printf '{"chosen": "\\n\\nHuman: Why?\\n\\nAssistant: %s good", "rejected": "\\n\\nHuman: Why?\\n\\nAssistant: %s bad", "score_chosen": 8, "score_rejected": 3}\n' "same$w words" "same$w words"
done >hh.jsonl
"$RAPT" augment --input hh.jsonl --output hh.train.jsonl --test-output hh.test.jsonl --split 0.5 --placement user 2>/dev/null
[ ! -s hh.train.jsonl ] || [ ! -s hh.test.jsonl ] || { echo "one question stands on both sides of the split"; exit 1; }
