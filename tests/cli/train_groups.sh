#!/usr/bin/env bash
# rapt train on rows that are no pairs, K responses among them, and with a reference that moves: labels from scores give the same run as labels in the rows, and what is refused says why.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
train() { "$RAPT" train --model "$golden/llama_tiny" --dtype f32 --threads 1 --logging-steps 1 --max-steps 3 --per-device-train-batch-size 4 --learning-rate 1e-3 "$@"; }
untimed() { sed -E 's/, "(tokens_per_second|peak_rss_bytes|minor_faults|eval_runtime)": [^,}]*//g' "$1/metrics.jsonl"; }
refuse() { local code=$1 text=$2; shift 2; fails "$code" "$text" train --output-dir "$dir/refused" "$@"; }

labels=$golden/trl_groups/labels.jsonl pairs=$golden/trl/train.jsonl
sed -E 's/"label": true/"score": 7/; s/"label": false/"score": 6.9/' "$labels" >"$dir/scores.jsonl"
train --objective kto --train-data "$labels" --output-dir "$dir/labels" 2>/dev/null
train --objective kto --train-data "$dir/scores.jsonl" --kto-threshold 7 --output-dir "$dir/scores" 2>/dev/null
diff <(untimed "$dir/labels") <(untimed "$dir/scores")
cmp "$dir/labels/adapter_model.safetensors" "$dir/scores/adapter_model.safetensors"
# A run says how its labels are spread, and what would balance them.
train --objective kto --train-data "$labels" --desirable-weight 3 --output-dir "$dir/weights" 2>"$dir/err"
has "$dir/err" "desirable rows"
has "$dir/err" "1 to 1.33 is advised"

refuse 1 "scores.jsonl:1: no label (field 'label' or 'kto_tag', true or false); --kto-threshold" --objective kto --train-data "$dir/scores.jsonl"
refuse 1 "labels.jsonl:1: a response without a score" --objective kto --train-data "$labels" --kto-threshold 7
refuse 1 "expected a pair" --train-data "$labels"
refuse 2 "--per-device-train-batch-size must be 2 or more" --objective kto --train-data "$labels" --per-device-train-batch-size 1
refuse 2 "--kto-threshold expects a number" --objective kto --train-data "$labels" --kto-threshold high
refuse 2 "not both 0" --objective kto --train-data "$labels" --desirable-weight 0 --undesirable-weight 0
refuse 2 "--desirable-weight has no effect with --objective dpo" --train-data "$pairs" --desirable-weight 2
refuse 2 "--kto-threshold has no effect with --objective sft" --objective sft --train-data "$labels" --kto-threshold 2
refuse 2 "--ref-logps has no effect with --objective kto" --objective kto --train-data "$labels" --ref-logps x
refuse 2 "--order paired has no effect with --objective kto" --objective kto --train-data "$labels" --order paired
refuse 2 "--objective kto has no loss 'sigmoid'; there are: kto, apo_zero_unpaired" --objective kto --train-data "$labels" --loss-type sigmoid
refuse 2 "--objective dpo has no loss 'kto'" --train-data "$pairs" --loss-type kto

# A reference that takes over the policy whole after every step makes each step's margins 0.
train --train-data "$pairs" --no-shuffle --sync-ref-model --ref-model-sync-steps 1 --ref-model-mixup-alpha 1 --output-dir "$dir/sync" 2>/dev/null
[ "$(grep -c '"rewards/margins": 0,' "$dir/sync/metrics.jsonl")" = 3 ] || { cat "$dir/sync/metrics.jsonl"; exit 1; }
refuse 2 "--ref-model-sync-steps has no effect without --sync-ref-model" --train-data "$pairs" --ref-model-sync-steps 2
refuse 2 "--ref-model-mixup-alpha must be above 0" --train-data "$pairs" --sync-ref-model --ref-model-mixup-alpha 0
refuse 2 "--ref-logps says that it stays" --train-data "$pairs" --sync-ref-model --ref-logps x
refuse 2 "--sync-ref-model has no effect with --objective sft" --objective sft --train-data "$labels" --sync-ref-model
refuse 2 "--sync-ref-model has no effect with --loss-type sft" --train-data "$pairs" --sync-ref-model --loss-type sft
refuse 2 "the run has 3 steps, so the reference would not move" --train-data "$pairs" --sync-ref-model

# Schedules that follow evaluation need one.
evaluated=(--train-data "$pairs" --eval-data "$golden/trl/eval.jsonl")
refuse 2 "needs --eval-data and --eval-steps below the run's 3 steps" --train-data "$pairs" --lr-scheduler-type greedy
refuse 2 "needs --eval-data and --eval-steps below the run's 3 steps" "${evaluated[@]}" --lr-scheduler-type reduce_lr_on_plateau --eval-steps 3
refuse 2 "no metric 'accuracy'; it has: loss, entropy" "${evaluated[@]}" --lr-scheduler-type greedy --eval-steps 1 --metric-for-best-model eval_accuracy
refuse 2 "--metric-for-best-model has no effect with --lr-scheduler-type linear" "${evaluated[@]}" --metric-for-best-model loss
refuse 2 "warm-up has no effect with --lr-scheduler-type greedy: leave it out" "${evaluated[@]}" --lr-scheduler-type greedy --eval-steps 1 --warmup-steps 1

# K responses: UltraFeedback's form is read as it is, a loss of the best response may stand beside, and of a pair with clear scores infonca is DPO.
responses=$golden/trl_groups/responses.jsonl
sed -E 's/"prompt"/"instruction"/; s/"responses"/"completions"/; s/"text"/"response"/g; s/"score"/"overall_score"/g' "$responses" >"$dir/ultrafeedback.jsonl"
train --loss-type nca --train-data "$responses" --output-dir "$dir/nca" 2>/dev/null
train --loss-type nca --train-data "$dir/ultrafeedback.jsonl" --output-dir "$dir/ultrafeedback" 2>/dev/null
diff <(untimed "$dir/nca") <(untimed "$dir/ultrafeedback")
train --loss-type infonca,sft --loss-weights 1,0.1 --train-data "$responses" --output-dir "$dir/mix" 2>/dev/null
train --train-data "$pairs" --output-dir "$dir/dpo" 2>/dev/null
train --loss-type infonca --train-data "$pairs" --output-dir "$dir/infonca" 2>/dev/null
short() { untimed "$1" | sed -E 's/(\.[0-9]{5})[0-9]+/\1/g'; }
diff <(short "$dir/dpo") <(short "$dir/infonca")
sed -E '1s/, "score": [0-9.]+\}\]/}]/' "$responses" >"$dir/unscored.jsonl"
echo '{"prompt": "the cat", "responses": [{"text": " sat", "score": 3}]}' >"$dir/one.jsonl"
refuse 1 "unscored.jsonl:1: response [0-9] has no score" --loss-type nca --train-data "$dir/unscored.jsonl"
refuse 1 "one.jsonl:1: 1 responses, where two or more are compared" --loss-type nca --train-data "$dir/one.jsonl"
refuse 1 "expected a pair (prompt, chosen, rejected)" --loss-type infonca,sigmoid --train-data "$responses"
refuse 1 "expected a pair (prompt, chosen, rejected)" --train-data "$responses"
refuse 1 "expected scored responses (prompt, responses), or a pair" --loss-type nca --train-data "$labels"
refuse 1 "response 1 has no score" --loss-type nca --train-data "$golden/trl_groups/pairs.jsonl"
refuse 1 "not all rows of the training data are pairs" --loss-type nca --train-data "$responses" --ref-logps "$responses"
refuse 2 "--temperature-alpha must be a number above 0" --loss-type nca --train-data "$responses" --temperature-alpha 0
refuse 2 "--temperature-alpha has no effect with --loss-type sigmoid" --train-data "$pairs" --temperature-alpha 1
