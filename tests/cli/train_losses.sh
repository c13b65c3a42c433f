#!/usr/bin/env bash
# Which options belong to which loss: an option without effect, or a combination that makes no sense, is refused with a message that says so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
train=("$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --output-dir "$dir/run" --dtype f32 --threads 1 --max-steps 1)
refused() { # message, options...
  local message=$1
  shift
  fails 2 "$message" "${train[@]}" "$@"
}
refused "has no loss 'foo'; there are: sigmoid," --loss-type foo
refused "has no loss 'mse'" --loss-type mse
refused "names hinge twice" --loss-type hinge,hinge
refused "2 weights for the 1 losses" --loss-weights 1,2
refused "weight of sft must be a number above 0" --loss-type sigmoid,sft --loss-weights 1,0
refused "expects numbers, not 'x'" --loss-type sigmoid,sft --loss-weights 1,x
refused "loss-weights has no effect with --objective sft" --objective sft --loss-weights 1
refused "beta has no effect with --loss-type sft" --loss-type sft --beta 0.2
refused "label-smoothing has no effect with --loss-type hinge,sft (it belongs to sigmoid" --loss-type hinge,sft --label-smoothing 0.1
refused "f-divergence-type has no effect with --loss-type nca_pair" --loss-type nca_pair --f-divergence-type forward_kl
refused "f-divergence-type has no effect with --loss-type nca_pair" --loss-type sigmoid,nca_pair --f-divergence-type forward_kl
refused "f-divergence-type has no effect with --loss-type sft" --loss-type sft --f-divergence-type forward_kl
refused "f-alpha-divergence-coef has no effect with --f-divergence-type js_divergence" --f-divergence-type js_divergence --f-alpha-divergence-coef 0.3
refused "use-weighting has no effect with --loss-type aot" --loss-type sigmoid,aot --use-weighting
refused "use-weighting has no effect with --loss-type sft" --loss-type sigmoid,sft --use-weighting
refused "use-weighting has no effect with --objective sft" --objective sft --use-weighting
refused "ld-alpha has no effect with --loss-type simpo" --loss-type simpo --ld-alpha 0.5
refused "ld-alpha must be from 0 to 1" --ld-alpha 1.5
refused "ref-logps holds plain sums" --ld-alpha 0.5 --ref-logps nothing.jsonl
refused "orpo brings a cross-entropy of its own and stands alone" --loss-type sigmoid,orpo
refused "simpo-gamma has no effect with --loss-type cpo" --loss-type cpo --simpo-gamma 1
refused "cpo-alpha has no effect with --loss-type orpo" --loss-type orpo --cpo-alpha 1
refused "cpo-alpha must be a number of at least 0" --loss-type cpo --cpo-alpha -1
refused "ref-logps has no effect with --loss-type orpo" --loss-type orpo --ref-logps nothing.jsonl
refused "odpo-alpha has no effect with --loss-type rpo_sq" --loss-type rpo_sq --odpo-alpha 1
refused "odpo-offset has no effect with --loss-type sigmoid" --odpo-offset gap
refused "rpo-eta has no effect with --loss-type odpo" --loss-type odpo --rpo-eta 1
refused "rpo-eta must be a number of at least 0" --loss-type rpo_bwd_kl --rpo-eta -1
refused "use-weighting has no effect with --loss-type odpo" --loss-type odpo --use-weighting

# a row without scores, or of a gap that has no logarithm, is named
head -3 "$golden/trl_gaps/scored.jsonl" | sed '3s/"score_rejected": [0-9.]*/"other": 1/' >"$dir/lacks.jsonl"
head -3 "$golden/trl_gaps/scored.jsonl" | sed '2s/"score_chosen": [0-9.]*/"score_chosen": -5/' >"$dir/below.jsonl"
gaps=("$RAPT" train --model "$golden/llama_tiny" --output-dir "$dir/run" --dtype f32 --threads 1 --max-steps 1 --overwrite-output-dir)
for loss in odpo rpo_bwd_kl rpo_fwd_kl rpo_sq; do
  fails 1 "lacks.jsonl:3: score_chosen and score_rejected are needed" "${gaps[@]}" --train-data "$dir/lacks.jsonl" --loss-type $loss
done
fails 1 "lacks.jsonl:3: score_chosen" "${gaps[@]}" --train-data "$golden/trl_gaps/scored.jsonl" --eval-data "$dir/lacks.jsonl" --loss-type rpo_sq
fails 1 "below.jsonl:2: --loss-type odpo takes the logarithm" "${gaps[@]}" --train-data "$dir/below.jsonl" --loss-type odpo
"${gaps[@]}" --train-data "$dir/below.jsonl" --loss-type odpo --odpo-offset gap 2>/dev/null
"${gaps[@]}" --train-data "$dir/below.jsonl" --loss-type rpo_bwd_kl,sft --loss-weights 1,0.1 2>/dev/null

# a reward model's margin from scores: of a row under a goal the difference of the rewards -(g - score)^2, so that a pair that its goal turned round leads too
cat >"$dir/led.jsonl" <<'E'
{"prompt": "the cat", "chosen": " sat", "rejected": " ran off", "score_chosen": 8, "score_rejected": 7.5, "margin": 0.5}
{"prompt": "the cat", "chosen": " sat", "rejected": " ran off", "score_chosen": 8, "score_rejected": 7.5, "goal": 8, "goal_of": "chosen", "margin": 0.25}
{"prompt": "the cat", "chosen": " ran off", "rejected": " sat", "score_chosen": 7.5, "score_rejected": 8, "goal": 7.5, "goal_of": "rejected", "margin": 0.25}
{"prompt": "the cat", "chosen": " ran off", "rejected": " sat", "score_chosen": 7.5, "score_rejected": 8.5, "goal": 7, "margin": 2}
E
for margin in scores column none; do
  "$RAPT" train --objective reward --model "$golden/reward_tiny" --output-dir "$dir/reward" --dtype f32 --threads 1 --max-steps 4 --per-device-train-batch-size 1 \
    --gradient-accumulation-steps 1 --overwrite-output-dir --no-shuffle --logging-steps 1 --train-data "$dir/led.jsonl" --margin $margin 2>/dev/null
  grep -oE '"loss": [-0-9.e]+' "$dir/reward/metrics.jsonl" >"$dir/$margin.losses"
done
[ "$(wc -l <"$dir/scores.losses")" = 4 ]
diff "$dir/scores.losses" "$dir/column.losses"
if diff "$dir/scores.losses" "$dir/none.losses" >/dev/null; then echo "margins have no effect"; exit 1; fi
# each file by itself, as TRL takes "margin" of a batch or not: evaluation without margins is that of a run without any, and the other way round
sed -E 's/, "margin": [0-9.]+//' "$dir/led.jsonl" >"$dir/bare.jsonl"
first_eval() { # TRAIN EVAL OPTIONS...
  "$RAPT" train --objective reward --model "$golden/reward_tiny" --output-dir "$dir/reward" --dtype f32 --threads 1 --max-steps 1 --overwrite-output-dir --train-data "$dir/$1.jsonl" --eval-data "$dir/$2.jsonl" "${@:3}" >/dev/null 2>&1
  head -1 "$dir/reward/metrics.jsonl" | grep -oE '"eval_loss": [0-9.]+'
}
bare=$(first_eval led bare) && [ "$bare" = "$(first_eval bare bare)" ]
led=$(first_eval bare led) && [ "$led" = "$(first_eval led led)" ] && [ "$led" != "$bare" ]
[ "$bare" = "$(first_eval led led --margin none)" ]
# a pair is never cut: it is left out where its prompt and a response together are too long, whatever the prompt's length
{ cat "$dir/led.jsonl"; echo "{\"prompt\": \"the cat\", \"chosen\": \" sat\", \"rejected\": \"$(printf ' ran off%.0s' $(seq 20))\"}"; } >"$dir/long.jsonl"
"$RAPT" train --objective reward --model "$golden/reward_tiny" --output-dir "$dir/reward" --dtype f32 --threads 1 --max-steps 1 --per-device-train-batch-size 1 \
  --gradient-accumulation-steps 1 --no-shuffle --overwrite-output-dir --max-length 40 --train-data "$dir/long.jsonl" 2>"$dir/err"
has "$dir/err" 'long.jsonl: 4 rows, 1 dropped (prompt and a response > --max-length), 0 dropped with their partner, 0 cut'

# a loss over both halves of a pair: both must be there, swapped, in one micro-batch
joint=("${gaps[@]}" --loss-type joint)
halves=$golden/trl_gaps/halves.jsonl
"${joint[@]}" --train-data "$halves" --eval-data "$golden/trl_gaps/halves_eval.jsonl" 2>/dev/null # --order paired
fails 1 "train.jsonl:1: this loss takes the two halves" "${joint[@]}" --train-data "$golden/trl/train.jsonl"
fails 2 "two halves of a pair together: --order paired" "${joint[@]}" --train-data "$halves" --order shuffled
fails 2 "must be even" "${joint[@]}" --train-data "$halves" --per-device-train-batch-size 1 --gradient-accumulation-steps 2
fails 2 "must be even" "${joint[@]}" --train-data "$halves" --eval-data "$halves" --per-device-eval-batch-size 3
sed 1d "$halves" >"$dir/odd.jsonl"
fails 1 "odd.jsonl:1: this loss takes the two halves" "${joint[@]}" --train-data "$halves" --eval-data "$dir/odd.jsonl"
python3 - "$halves" >"$dir/unswapped.jsonl" <<'PY' # as rapt augment --mode prefix-only writes them
import json, sys
for i, line in enumerate(open(sys.argv[1])):
    r = json.loads(line)
    if i % 2: r["chosen"], r["rejected"] = r["rejected"], r["chosen"]
    print(json.dumps(r))
PY
fails 1 "unswapped.jsonl:[0-9]*: this loss takes the two halves" "${joint[@]}" --train-data "$dir/unswapped.jsonl"

# what needs no reference computes none; the resolved weight of the cross-entropy is in the manifest
for loss in cpo simpo orpo; do
  "${train[@]}" --loss-type $loss --overwrite-output-dir 2>/dev/null
  alpha=0
  [ $loss != cpo ] || alpha=1
  has "$dir/run/manifest.json" "\"cpo-alpha\": $alpha,"
  has "$dir/run/metrics.jsonl" '"nll_loss"'
done

# every loss of the tables is named in the help
"$RAPT" train --help | tr -s ' \n' ' ' >"$dir/help"
has "$dir/help" "of dpo: sigmoid, hinge,"
has "$dir/help" "adamw_torch, adamw_8bit, sgd"
has "$dir/help" "linear, cosine,"
