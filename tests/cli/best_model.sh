#!/usr/bin/env bash
# --load-best-model-at-end: the run leaves the weights of its best evaluation, to the last bit those of a run that ended there; early stopping; also over a resume.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: python3 reads the numbers"; exit 77; }
golden=$tests/golden
train() { # OUTPUT ARGS...
  local out=$1; shift
  "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --dtype f32 --threads 1 --lr-scheduler-type constant \
    --learning-rate 0.05 --logging-steps 1 --per-device-train-batch-size 4 --max-steps 24 --output-dir "$out" "$@" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
}
measured=(--eval-data "$golden/trl/eval.jsonl" --eval-steps 3)
# Step of the best evaluation behind the first step, by a metric: lowest or highest.
best_of() { # OUTPUT METRIC min|max
  python3 - "$1/metrics.jsonl" "$2" "$3" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
rows = [(r["step"], r[sys.argv[2]]) for r in rows if sys.argv[2] in r and r["step"] > 0]
pick = min if sys.argv[3] == "min" else max
print(next(s for s, v in rows if v == pick(v for _, v in rows)))
PY
}
value() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1/manifest.json" "$2"; }

train "$dir/best" "${measured[@]}" --load-best-model-at-end
best=$(best_of "$dir/best" eval_loss min)
[ "$(value "$dir/best" best_global_step)" = "$best" ] || { echo "best step $(value "$dir/best" best_global_step), metrics say $best"; exit 1; }
[ "$best" -lt 24 ] || { echo "the last step is the best: this run tests nothing"; exit 1; }
! compgen -G "$dir/best/checkpoint-*" >/dev/null || { echo "checkpoints are left behind"; exit 1; }
train "$dir/short" --max-steps "$best"
cmp "$dir/best/adapter_model.safetensors" "$dir/short/adapter_model.safetensors"
# by another metric, of which more is better; its name with eval_ too
train "$dir/accuracy" "${measured[@]}" --load-best-model-at-end --metric-for-best-model eval_rewards/accuracies --save-steps 4 --save-total-limit 1
best=$(best_of "$dir/accuracy" eval_rewards/accuracies max)
[ "$(value "$dir/accuracy" best_global_step)" = "$best" ]
train "$dir/short2" --max-steps "$best"
cmp "$dir/accuracy/adapter_model.safetensors" "$dir/short2/adapter_model.safetensors"
[ "$(cd "$dir/accuracy" && echo checkpoint-*)" = "checkpoint-24 checkpoint-$best" ] || { ls "$dir/accuracy"; exit 1; }
# the last evaluation is the best: no checkpoint of an earlier one is left
train "$dir/calm" "${measured[@]}" --learning-rate 1e-4 --load-best-model-at-end
[ "$(value "$dir/calm" best_global_step)" = 24 ]
! compgen -G "$dir/calm/checkpoint-*" >/dev/null || { echo "checkpoints are left behind"; exit 1; }
# all weights
train "$dir/full" "${measured[@]}" --full --learning-rate 0.01 --load-best-model-at-end
train "$dir/full-short" --full --learning-rate 0.01 --max-steps "$(best_of "$dir/full" eval_loss min)"
cmp "$dir/full/model.safetensors" "$dir/full-short/model.safetensors"

# early stopping: the second evaluation without improvement ends it, and a resume of it ends at once in the same weights
train "$dir/early" "${measured[@]}" --load-best-model-at-end --early-stopping-patience 2 --save-steps 3
steps=$(value "$dir/early" steps)
[ "$steps" -lt 24 ] && [ "$steps" = $(($(value "$dir/early" best_global_step) + 6)) ] || { echo "ended at step $steps, best $(value "$dir/early" best_global_step)"; exit 1; }
grep -q "so the run ends here" "$dir/err"
cp "$dir/early/adapter_model.safetensors" "$dir/kept.safetensors"
train "$dir/early" "${measured[@]}" --load-best-model-at-end --early-stopping-patience 2 --save-steps 3 --resume
[ "$(value "$dir/early" steps)" = "$steps" ]
cmp "$dir/early/adapter_model.safetensors" "$dir/kept.safetensors"
# stopped after the best evaluation and resumed: the best is remembered
rm -rf "$dir/early/checkpoint-$steps"
train "$dir/early" "${measured[@]}" --load-best-model-at-end --early-stopping-patience 2 --save-steps 3 --resume
[ "$(value "$dir/early" steps)" = "$steps" ]
cmp "$dir/early/adapter_model.safetensors" "$dir/kept.safetensors"

fails 2 "no effect without --load-best-model-at-end" "$RAPT" train --model m --train-data d --output-dir o --early-stopping-patience 2
fails 2 "needs --eval-data and --eval-steps" "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --output-dir "$dir/o" --load-best-model-at-end
fails 2 "this run has no metric 'beauty'" "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --output-dir "$dir/o" "${measured[@]}" \
  --per-device-train-batch-size 2 --load-best-model-at-end --metric-for-best-model beauty
