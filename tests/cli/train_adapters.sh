#!/usr/bin/env bash
# Adapters and optimizers: what cannot be or has no effect is refused, and a new adapter of any kind leaves the reference's log-probs as they are.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
golden=$tests/golden
train=("$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --output-dir "$dir/run" --dtype f32 --threads 1 --max-steps 1 --max-length 24)
refused() { # message, options...
  local message=$1
  shift
  fails 2 "$message" "${train[@]}" "$@"
}
refused "matches no projection (known: .*, lm_head, all-linear)" --lora-target-modules qkv_proj
refused "unknown option --lr; did you mean --learning-rate?" --lr 1
refused "unknown option --epochs; did you mean --num-train-epochs?" --epochs 1
refused "matches no projection" --lora-target-modules '.*gate'
refused "takes names, or one pattern alone" --lora-target-modules 'q_proj,.*up_proj'
refused "modules-to-save takes lm_head and embed_tokens, not 'norm'" --modules-to-save norm
refused "init-lora-weights is true, gaussian, pissa or pissa_niter_N, not 'eva'" --init-lora-weights eva
refused "init-lora-weights is true" --init-lora-weights pissa_niter_0
refused "PiSSA and DoRA together" --init-lora-weights pissa --use-dora
refused "rank 20 is above the 16 singular values" --init-lora-weights pissa --lora-r 20
refused "lora-dropout is not supported with DoRA" --use-dora --lora-dropout 0.1
refused "loraplus-lr-ratio must be above 0" --loraplus-lr-ratio 0
for option in "--use-dora" "--use-rslora" "--modules-to-save lm_head" "--init-lora-weights gaussian" "--loraplus-lr-ratio 2" "--lora-dropout 0.1"; do
  # shellcheck disable=SC2086
  refused "${option%% *} has no effect with --full" --full $option
done
refused "use-dora has no effect with --adapter, which brings its own" --adapter "$golden/llama_tiny_lora" --use-dora
refused "no optimizer 'adam'; there are: adamw_torch," --optim adam
refused "adam-epsilon has no effect with --optim lion_32bit" --optim lion --adam-epsilon 1e-6
refused "adam-beta1 has no effect with --optim sgd" --optim sgd --adam-beta1 0.8
refused "sgd has no setting 'ns_steps'" --optim sgd --optim-args ns_steps=5
refused "momentum is given twice" --optim sgd --optim-args momentum=0.5,momentum=0.6
refused "linear has no setting 'power'; it takes: none" --lr-scheduler-kwargs power=2
refused "needs one of min_lr and min_lr_rate" --lr-scheduler-type cosine_with_min_lr
refused "follows what evaluation measures" --lr-scheduler-type reduce_lr_on_plateau
refused "completion-only-loss has no effect with --objective dpo" --completion-only-loss false

# the pattern's broken place, and a config whose adapter belongs to another base
fails 1 "pattern '.*(' is broken at character" "${train[@]}" --lora-target-modules '.*('
mkdir "$dir/pissa"
cp "$golden"/llama_tiny_lora/adapter_model.safetensors "$dir/pissa/"
sed 's/"init_lora_weights": true/"init_lora_weights": "pissa"/' "$golden/llama_tiny_lora/adapter_config.json" >"$dir/pissa/adapter_config.json"
fails 1 "path_initial_model_for_weight_conversion" "${train[@]}" --adapter "$dir/pissa"

# before the first step policy and reference are one: ln 2, margin 0 (PiSSA's base is rounded anew, so nearly)
start() { # options...
  "${train[@]}" --logging-steps 1 --overwrite-output-dir "$@" >/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
  sed -nE '/"grad_norm"/s/.*"loss": ([0-9.e-]+),.*"rewards\/margins": ([0-9.e-]+),.*/\1 \2/p' "$dir/run/metrics.jsonl"
}
for options in "--use-rslora" "--use-dora" "--use-dora --lora-target-modules lm_head,o_proj" "--modules-to-save lm_head,embed_tokens" "--init-lora-weights gaussian" \
  "--init-lora-weights pissa --lora-r 4" "--init-lora-weights pissa_niter_3 --lora-r 4 --use-rslora --lora-target-modules lm_head,v_proj" "--use-dora --recompute"; do
  # shellcheck disable=SC2086
  read -r loss margin <<<"$(start $options)"
  awk -v l="$loss" -v m="$margin" 'BEGIN { exit !(l > 0.693146 && l < 0.693148 && m > -1e-5 && m < 1e-5) }' || { echo "$options: loss $loss, margin $margin at the start"; exit 1; }
done

# Dropout draws anew for every pack: a row twice in a micro-batch is not the row once, whether the two come in one pack or in two
head -1 "$golden/trl/train.jsonl" >"$dir/one.jsonl"
cat "$dir/one.jsonl" "$dir/one.jsonl" >"$dir/two.jsonl"
for rows in one two; do
  "$RAPT" train --model "$golden/llama_tiny" --train-data "$dir/$rows.jsonl" --output-dir "$dir/drop-$rows" --dtype f32 --threads 1 --max-steps 3 --lora-dropout 0.4 --micro-batch-tokens 1 \
    --learning-rate 0.05 --logging-steps 1 --per-device-train-batch-size 2 --no-shuffle >/dev/null 2>&1
  sed -nE '3s/.*"loss": ([0-9.e-]+),.*/\1/p' "$dir/drop-$rows/metrics.jsonl" >"$dir/loss-$rows"
  [ -s "$dir/loss-$rows" ]
done
if cmp -s "$dir/loss-one" "$dir/loss-two"; then echo "two packs of a micro-batch had the same dropout"; exit 1; fi
