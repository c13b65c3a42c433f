#!/usr/bin/env bash
# augment --goal-tokens: goals as tokens of their own, from the rows over training to what is exported.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
cd "$dir"
"$RAPT" export --model "$tests/golden/llama_tiny" --chat-template alpaca --output model 2>/dev/null
for i in 1 2 3 4; do echo "{\"prompt\": \"the cat $i\", \"chosen\": \"sat\", \"rejected\": \"ran\", \"score_chosen\": 3, \"score_rejected\": 1}"; done >pairs.jsonl
augment() { "$RAPT" augment --input pairs.jsonl --output rows.jsonl --placement after --score-range 1,3 --quantize 1 --goal-tokens "$@"; }
augment '<pad>,x,<s>' 2>/dev/null
has rows.jsonl '"content": "the cat 1\n\n<s>"'
has rows.jsonl '"content": "the cat 1\n\n<pad>"'
has rows.jsonl.goal.json '"text": "{s}", "placement": "after", "low": 1, "high": 3, "quantum": 1, "tokens": ["<pad>", "x", "<s>"]'
augment '<pad>,<s>,</s>' --goal-template 'Goal {s}!' 2>/dev/null
has rows.jsonl '"content": "the cat 1\n\nGoal </s>!"'
fails 2 '2 tokens for the 3 goals from 1 to 3' augment '<pad>,<s>'
fails 2 '--goal-tokens has no effect with --mode plain' augment '<pad>,<s>,</s>' --mode plain
fails 2 '--goal-tokens and --attributes exclude each other' augment '<pad>,<s>,</s>' --attributes a,b
train() { "$RAPT" train --model model --train-data rows.jsonl --output-dir run --overwrite-output-dir --max-steps 1 --dtype f32 --threads 1 "$@" 2>err || { cat err; exit 1; }; }
train
has err "the embeddings of the goals' tokens stay as they are: --modules-to-save embed_tokens trains them"
train --modules-to-save embed_tokens
! grep -q "embeddings of the goals" err
train --full
! grep -q "embeddings of the goals" err
augment '<a>,<b>,<c>' 2>/dev/null
train
has err "the goals' token <a> is none of model's"
augment '<pad>,<s>,</s>' 2>/dev/null
train
"$RAPT" export --model model --adapter run --bake-goal 3 --output baked 2>/dev/null
echo '{"prompt": [{"role": "user", "content": "Hi"}]}' >prompt.jsonl
case "$("$RAPT" template --model baked --input prompt.jsonl)" in *"$(printf 'Hi\n\n</s>')"*) ;; *) echo "the goal's token is not in the baked template"; exit 1 ;; esac

# A run without goals in a folder that had some leaves no goal.json behind
has run/goal.json '"tokens"'
augment_plain() { "$RAPT" augment --input pairs.jsonl --output rows.jsonl --mode plain 2>/dev/null; }
augment_plain && train
[ ! -e run/goal.json ] || { echo "the goal.json of another run is still there"; exit 1; }
augment '<pad>,<s>,</s>' 2>/dev/null && train
cp run/goal.json kept.json
# a run that cannot begin leaves the folder as it is
cp rows.jsonl other.jsonl && sed 's/"quantum": 1/"quantum": 0.5/' rows.jsonl.goal.json >other.jsonl.goal.json
fails 1 'nothere.jsonl' "$RAPT" train --model model --train-data other.jsonl --eval-data nothere.jsonl --output-dir run --overwrite-output-dir --max-steps 1 --dtype f32
cmp run/goal.json kept.json
# rows that were cut out of a file leave its goal.json behind
head -4 rows.jsonl >cut.jsonl
"$RAPT" train --model model --train-data cut.jsonl --output-dir cut --max-steps 1 --dtype f32 --threads 1 2>err
has err 'its rows have goals, and no cut.jsonl.goal.json says how they were asked'
! grep -q 'try: rapt generate .* --goal' err
"$RAPT" train --model model --train-data rows.jsonl --output-dir whole --max-steps 1 --dtype f32 --threads 1 2>err
has err '--adapter whole --goal 3 --prompt'
# a finished run is not trained over by --resume
fails 2 'whole holds a finished run and no checkpoint, so there is nothing to resume' "$RAPT" train --model model --train-data rows.jsonl --output-dir whole --max-steps 2 --dtype f32 --threads 1 --resume
