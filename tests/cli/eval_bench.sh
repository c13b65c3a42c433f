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
fails 1 'df_gamed.csv:1: ' "$RAPT" eval alpaca --annotations "$gold/alpaca/df_gamed.csv"
