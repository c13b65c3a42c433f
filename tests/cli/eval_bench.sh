#!/usr/bin/env bash
# The benchmark tasks of rapt eval: what they print and write, and what they refuse. The numbers are compared by test_harness, test_gsm8k, test_alpaca.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
gold=$tests/golden
chat=$gold/score_chat
mc() { "$RAPT" eval multiple-choice --model "$chat" --dtype f32 "$@"; }
mc --task arc_challenge --data "$gold/harness/arc.jsonl" --num-fewshot 3 --fewshot-data "$gold/harness/arc_shots.jsonl" --output-path "$dir/mc" >"$dir/text" 2>/dev/null
has "$dir/text" 'arc_challenge, version 1.0: 12 of 12 documents, 3-shot'
[ "$(wc -l <"$dir/mc/samples_arc_challenge.jsonl")" = 12 ]
has "$dir/mc/samples_arc_challenge.jsonl" '"metrics": ["acc", "acc_norm", "acc_bytes"]'
has "$dir/mc/results_arc_challenge.json" '"n-samples": {"arc_challenge": {"original": 12, "effective": 12}}'
mc --task leaderboard_bbh --task-file "$gold/harness/bbh.yaml" --data "$gold/harness/bbh.jsonl" --num-fewshot 2 --limit 3 --json >"$dir/bbh" 2>/dev/null
has "$dir/bbh" '{"results": {"leaderboard_bbh_negations": {"alias"'
has "$dir/bbh" '"effective": 3'
# a goal changes the prompt, in the system turn or in front
mc --task arc_easy --data "$gold/harness/arc.jsonl" --limit 2 --apply-chat-template --goal 7 --output-path "$dir/goal" >/dev/null 2>&1
has "$dir/goal/samples_arc_easy.jsonl" 'highest):\nOverall score: 7.<|im_end|>'
echo '{"text": "Aim at {s}.", "placement": "user"}' >"$dir/style.json"
mc --task arc_easy --data "$gold/harness/arc.jsonl" --limit 2 --goal 7 --goal-style "$dir/style.json" --output-path "$dir/goal" >/dev/null 2>&1
has "$dir/goal/samples_arc_easy.jsonl" '"arg_0": "Aim at 7.\n\nQuestion: '
# the results say whose they are: model, adapter, goal; so the report tells them apart
mc --task arc_easy --data "$gold/harness/arc.jsonl" --limit 4 --apply-chat-template --output-path "$dir/bare" >/dev/null 2>&1
has "$dir/bare/results_arc_easy.json" "\"model_source\": \"rapt\", \"model_name\": \"$chat\", \"model_name_sanitized\": \"__"
for goal in 7 3; do
  mc --adapter "$gold/score_chat_lora" --task arc_easy --data "$gold/harness/arc.jsonl" --limit 4 --goal-style "$dir/style.json" --goal $goal --output-path "$dir/goal$goal" >/dev/null 2>&1
  has "$dir/goal$goal/results_arc_easy.json" "\"model_name\": \"$gold/score_chat_lora@goal=$goal\""
done
"$RAPT" report --eval "$dir/bare/results_arc_easy.json" --eval "$dir/goal7/results_arc_easy.json" --eval "$dir/goal3/results_arc_easy.json" --format md --output "$dir/r.md" 2>/dev/null
for name in chat 'chat\_lora@goal=7' 'chat\_lora@goal=3'; do has "$dir/r.md" "score\\_$name | arc\\_easy | acc "; done
# long questions lose their head and are counted
mc --task arc_easy --data "$gold/harness/arc.jsonl" --limit 2 --max-length 60 --json >"$dir/cut" 2>/dev/null
has "$dir/cut" '"truncated": 8}'

fails 2 '--task expects one of arc_easy' "$RAPT" eval multiple-choice --model "$chat" --task mmlu --data x
fails 2 'needs --task-file' mc --task leaderboard_bbh --data x
fails 2 '--task-file has no effect' mc --task arc_easy --task-file x --data x
fails 2 'has no examples but those of its prompt' mc --task truthfulqa_mc1 --data x --num-fewshot 1 --fewshot-data y
fails 2 '--num-fewshot needs --fewshot-data' mc --task arc_easy --data x --num-fewshot 1
fails 2 'questions would be their own examples' mc --task arc_easy --data x --num-fewshot 1 --fewshot-data x
fails 2 '--fewshot-data has no effect' mc --task arc_easy --data x --fewshot-data y
fails 2 'has no effect without --apply-chat-template' mc --task arc_easy --data x --no-fewshot-as-multiturn
fails 2 'so --apply-chat-template is needed' mc --task arc_easy --data "$gold/harness/arc.jsonl" --goal 7
fails 2 '--goal-style has no effect' mc --task arc_easy --data x --goal-style y
fails 1 '3 rows, and 5 examples' mc --task arc_easy --data "$gold/harness/arc.jsonl" --num-fewshot 5 --fewshot-data "$gold/harness/arc_shots.jsonl"
fails 1 'bbh.jsonl:1: .*field question' mc --task arc_easy --data "$gold/harness/bbh.jsonl"
fails 1 'raise --micro-batch-tokens' mc --task truthfulqa_mc1 --data "$gold/harness/truthful.jsonl" --micro-batch-tokens 64
printf 'task: x\ndoc_to_choice: yes\n' >"$dir/x.yaml"
fails 1 'x.yaml:2: expected doc_to_choice' mc --task leaderboard_bbh --task-file "$dir/x.yaml" --data "$gold/harness/bbh.jsonl"
printf 'task: ../x\ndoc_to_choice: [a]\n' >"$dir/x.yaml"
fails 1 'task: expected a name of letters' mc --task leaderboard_bbh --task-file "$dir/x.yaml" --data "$gold/harness/bbh.jsonl"
printf 'task: x\ndoc_to_choice: [a]\nfewshot_config: 3\n' >"$dir/x.yaml"
fails 1 'expected fewshot_config with samples' mc --task leaderboard_bbh --task-file "$dir/x.yaml" --data "$gold/harness/bbh.jsonl"
printf 'task: x\ndoc_to_choice: [a]\nfewshot_config:\n  samples:\n  - input: [1]\n' >"$dir/x.yaml"
fails 1 "x.yaml:5: expected 'input'" mc --task leaderboard_bbh --task-file "$dir/x.yaml" --data "$gold/harness/bbh.jsonl"

"$RAPT" eval gsm8k --model "$chat" --dtype f32 --data "$gold/gsm8k/rows.jsonl" --num-fewshot 1 --fewshot-data "$gold/gsm8k/shots.jsonl" --limit 2 --max-gen-toks 8 \
  --output-path "$dir/gsm" >"$dir/text" 2>/dev/null
has "$dir/text" 'gsm8k, version 3.0: 2 of 6 documents, 1-shot'
has "$dir/text" 'flexible-extract'
[ "$(wc -l <"$dir/gsm/samples_gsm8k.jsonl")" = 4 ]
fails 2 'needs --fewshot-data F, the training rows' "$RAPT" eval gsm8k --model "$chat" --data x
fails 2 'leave no room for a question' "$RAPT" eval gsm8k --model "$chat" --data "$gold/gsm8k/rows.jsonl" --num-fewshot 0 --max-gen-toks 5000
fails 1 'field question' "$RAPT" eval gsm8k --model "$chat" --data "$gold/harness/bbh.jsonl" --num-fewshot 0

"$RAPT" eval alpaca --annotations "$gold/alpaca/longer.json" --annotations "$gold/alpaca/weak.json" --gamed "$gold/alpaca/df_gamed.csv" >"$dir/text" 2>"$dir/err"
has "$dir/text" 'longer against base: '
has "$dir/text" '(length_controlled_v1)'
"$RAPT" eval alpaca --annotations "$gold/alpaca/longer.json" --json >"$dir/json" 2>/dev/null
grep -q length_controlled "$dir/json" && { echo "a fit that was not asked for"; exit 1; }
fails 2 'needs --gamed' "$RAPT" eval alpaca --annotations x --glm length_controlled_v1
fails 2 '--gamed has no effect' "$RAPT" eval alpaca --annotations x --gamed y --glm length_controlled_minimal
fails 2 "there is no 'x'" "$RAPT" eval alpaca --annotations x --glm x
fails 2 '--annotations FILE is needed' "$RAPT" eval alpaca
fails 1 'df_gamed.csv: rows are JSONL' "$RAPT" eval alpaca --annotations "$gold/alpaca/df_gamed.csv"

"$RAPT" eval arena-hard --bench v0.1 --judgments "$gold/arena/v01.jsonl" >"$dir/text" 2>/dev/null
has "$dir/text" 'Arena-Hard v0.1 against gpt-4-0314: 794 battles'
has "$dir/text" '8 games without a verdict'
"$RAPT" eval arena-hard --judgments "$gold/arena/v2.jsonl" --style-control --answers "$gold/arena/answers.jsonl" --json --output "$dir/arena.json" >"$dir/json" 2>/dev/null
has "$dir/json" '"style_control": true, "models": [{"model": "large"'
has "$dir/json" '"styles": {"length": 1.2'
cmp "$dir/json" "$dir/arena.json"
fails 2 '--style-control is of --bench v2' "$RAPT" eval arena-hard --bench v0.1 --judgments x --style-control
fails 2 '--category is of --bench v2' "$RAPT" eval arena-hard --bench v0.1 --judgments x --category y
fails 2 '--style-control and --answers go together' "$RAPT" eval arena-hard --judgments x --style-control
fails 2 '--judgments FILE is needed' "$RAPT" eval arena-hard
fails 2 'category x has no baseline of its own' "$RAPT" eval arena-hard --judgments "$gold/arena/v2.jsonl" --category x
fails 1 'no battles in the judgements of the category x' "$RAPT" eval arena-hard --judgments "$gold/arena/v2.jsonl" --category x --baseline y
fails 1 'field uid: expected a string' "$RAPT" eval arena-hard --judgments "$gold/mt_bench/question.jsonl" --category math

"$RAPT" eval mt-bench --judgments "$gold/mt_bench/single.jsonl" --questions "$gold/mt_bench/question.jsonl" >"$dir/text" 2>/dev/null
has "$dir/text" '  of its own '
"$RAPT" eval mt-bench --judgments "$gold/mt_bench/pair.jsonl" --baseline two --json >"$dir/json" 2>/dev/null
has "$dir/json" '"pairwise": {"win": 7, "loss": 0, "tie": 15'
fails 2 '--baseline has no effect' "$RAPT" eval mt-bench --judgments "$gold/mt_bench/single.jsonl" --baseline x
fails 2 '--questions has no effect' "$RAPT" eval mt-bench --judgments "$gold/mt_bench/pair.jsonl" --questions "$gold/mt_bench/question.jsonl"
fails 1 'no judgements with the baseline' "$RAPT" eval mt-bench --judgments "$gold/mt_bench/pair.jsonl" --baseline x

# two turns; the goal changes them, the seed is what decides sampled ones
answers() { "$RAPT" eval mt-answers --model "$chat" --dtype f32 --questions "$gold/mt_bench/question.jsonl" --model-id m --max-new-tokens 6 --limit 3 "$@" 2>/dev/null | sed 's/, "tstamp".*//'; }
answers >"$dir/a"
answers >"$dir/b"
answers --goal 7 >"$dir/with"
[ "$(grep -c '"model_id": "m", "choices": \[{"index": 0, "turns": \[".*", ".*"\]}\]' "$dir/a")" = 3 ]
cmp "$dir/a" "$dir/b"
cmp -s "$dir/a" "$dir/with" && { echo "the goal changes nothing"; exit 1; }
fails 2 '--model (or --endpoint), --questions and --model-id are needed' "$RAPT" eval mt-answers --model x
fails 1 'leave no room for an answer' "$RAPT" eval mt-answers --model "$chat" --questions "$gold/mt_bench/question.jsonl" --model-id m --max-length 8
