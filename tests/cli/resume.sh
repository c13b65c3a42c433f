#!/usr/bin/env bash
# A run that is killed (SIGKILL, SIGINT) and resumed ends in the same bits as one that never stopped: metrics without times, and weights.
# A checkpoint that cannot be written ends the run with an error and leaves the earlier ones usable.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
die() { echo "$*"; [ ! -f "$dir/err" ] || tail -5 "$dir/err"; exit 1; }
untimed() { sed -E 's/, "(tokens_per_second|peak_rss_bytes|minor_faults|eval_runtime)": [^,}]*//g' "$1/metrics.jsonl"; }
lines() { if [ -f "$1/metrics.jsonl" ]; then wc -l <"$1/metrics.jsonl"; else echo 0; fi; }
train() { # OUTPUT ARGS...
  local out=$1; shift
  exec "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --dtype f32 --threads 1 \
    --learning-rate 1e-3 --logging-steps 1 --save-steps 10 --output-dir "$out" "$@"
}
# Starts a run (as it was left before, where a try was too late), waits for N more lines of metrics, sends SIGNAL; rc holds its exit code.
interrupt() { # SIGNAL N OUTPUT ARGS...
  local signal=$1 count=$(($(lines "$3") + $2)) out=$3 before=$dir/before
  rm -rf "$before"
  [ ! -d "$out" ] || cp -a "$out" "$before"
  for _ in $(seq 20); do
    train "${@:3}" >/dev/null 2>"$dir/err" &
    local pid=$!
    while [ "$(lines "$out")" -lt $count ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
    kill -"$signal" $pid 2>/dev/null || true
    rc=0; { wait $pid || rc=$?; } 2>/dev/null
    [ $rc = 0 ] || return 0 # else it was over before the signal came
    rm -rf "$out"
    [ ! -d "$before" ] || cp -a "$before" "$out"
  done
}
same() { # OUTPUT EXPECTED FILE
  cmp "$1/$3" "$2/$3" || die "$1: $3 differs from the run that never stopped"
  diff <(untimed "$1") <(untimed "$2") >"$dir/diff" || { head -4 "$dir/diff"; die "$1: metrics differ from the run that never stopped"; }
}
check() { # NAME FILE ARGS...: killed thrice, then finished
  local name=$1 file=$2; shift 2
  (train "$dir/$name" "$@") >/dev/null 2>"$dir/err" || die "$name: exit $?"
  local out=$dir/$name.killed
  interrupt KILL $((RANDOM % 30 + 2)) "$out" "$@"
  [ $rc = 137 ] || die "$name: exit $rc after SIGKILL"
  interrupt KILL $((RANDOM % 20 + 8)) "$out" --resume "$@"
  interrupt INT $((RANDOM % 20 + 8)) "$out" --resume "$@"
  [ $rc = 1 ] || die "$name: exit $rc after SIGINT, expected 1"
  has "$dir/err" "--resume"
  (train "$out" --resume "$@") >/dev/null 2>"$dir/err" || die "$name: resumed: exit $?"
  has "$dir/err" "resuming from"
  same "$out" "$dir/$name" "$file"
}
echo "seed of this run's kill points: ${RANDOM_SEED:=$RANDOM}"; RANDOM=$RANDOM_SEED
check lora adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --lora-r 4 --lora-dropout 0.1 --lr-scheduler-type cosine \
  --eval-data "$golden/trl/eval.jsonl" --eval-steps 7 --save-total-limit 2
check adapter adapter_model.safetensors --num-train-epochs 100 --per-device-train-batch-size 2 --adapter "$golden/llama_tiny_lora" --gradient-accumulation-steps 2 --loss-type ipo
check full model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --full --weight-decay 0.1 --optim adamw --max-grad-norm 0.5
check sft adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --optim sgd --optim-args momentum=0.9 --loss-type sft --order shuffled
check kto adapter_model.safetensors --num-train-epochs 30 --per-device-train-batch-size 3 --objective kto --eval-data "$golden/trl/eval.jsonl" --eval-steps 9
check kto_full model.safetensors --num-train-epochs 30 --per-device-train-batch-size 3 --full --objective kto
check sync adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --sync-ref-model --ref-model-sync-steps 7 --eval-data "$golden/trl/eval.jsonl" --eval-steps 9
check sync_full model.safetensors --num-train-epochs 30 --per-device-train-batch-size 3 --full --objective kto --sync-ref-model --ref-model-sync-steps 7 --ref-model-mixup-alpha 0.3
check eight model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --full --optim adamw_8bit --optim-args min_8bit_size=300 \
  --lr-scheduler-type polynomial --lr-scheduler-kwargs power=2,lr_end=1e-5
check dora adapter_model.safetensors --num-train-epochs 30 --per-device-train-batch-size 3 --order shuffled --use-dora --lora-r 4 --modules-to-save lm_head,embed_tokens \
  --loraplus-lr-ratio 4 --sync-ref-model --ref-model-sync-steps 7
check pissa adapter_model.safetensors --num-train-epochs 30 --per-device-train-batch-size 3 --order shuffled --init-lora-weights pissa --lora-r 4 --use-rslora \
  --lora-target-modules lm_head,q_proj,down_proj
check plateau adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --lora-r 4 --eval-data "$golden/trl/eval.jsonl" --eval-steps 3 \
  --lr-scheduler-type reduce_lr_on_plateau --lr-scheduler-kwargs factor=0.7,patience=2,cooldown=1
check greedy adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --lora-r 4 --eval-data "$golden/trl/eval.jsonl" --eval-steps 3 \
  --lr-scheduler-type greedy --lr-scheduler-kwargs factor=0.8,patience=1,smooth=true,window_size=4,min_lr=1e-5,mode=max --metric-for-best-model rewards/accuracies
check muon adapter_model.safetensors --num-train-epochs 50 --per-device-train-batch-size 2 --optim muon
check nca adapter_model.safetensors --train-data "$golden/trl_groups/responses.jsonl" --num-train-epochs 50 --per-device-train-batch-size 2 --loss-type nca --micro-batch-tokens 30
kept=("$dir"/lora.killed/checkpoint-*)
[ ${#kept[@]} -le 2 ] || die "--save-total-limit 2 kept ${#kept[@]} checkpoints"

# What cannot be resumed is refused by name, and --resume without a checkpoint starts.
refused() { # TEXT ARGS...
  local text=$1 rc=0; shift
  (train "$@") >/dev/null 2>"$dir/err" || rc=$?
  [ $rc = 1 ] || die "exit $rc, expected 1 with '$text'"
  has "$dir/err" "$text"
}
common=(--num-train-epochs 50 --per-device-train-batch-size 2)
interrupt INT 9 "$dir/part" "${common[@]}"
refused "made by another run" "$dir/part" --resume "${common[@]}" --seed 7
refused "made by another run" "$dir/part" --resume "${common[@]}" --loss-type ipo
refused "made by another run" "$dir/part" --resume "${common[@]}" --beta 0.2
refused "made by another run" "$dir/part" --resume "${common[@]}" --weight-decay 0.1
refused "made by another run" "$dir/part" --resume "${common[@]}" --lora-alpha 5
refused "made by another run" "$dir/part" --resume "${common[@]}" --warmup-steps 3
refused "made by another run" "$dir/part" --resume "${common[@]}" --objective kto
refused "made by another run" "$dir/part" --resume "${common[@]}" --sync-ref-model --ref-model-sync-steps 7
refused "made by another run" "$dir/part" --resume "${common[@]}" --use-rslora
refused "made by another run" "$dir/part" --resume "${common[@]}" --loraplus-lr-ratio 2
refused "made by another run" "$dir/part" --resume "${common[@]}" --adam-beta2 0.99
refused "made by another run" "$dir/part" --resume "${common[@]}" --optim lion_32bit
refused "made by another run" "$dir/part" --resume "${common[@]}" --lr-scheduler-type cosine --lr-scheduler-kwargs num_cycles=1
refused "made by another run" "$dir/part" --resume --num-train-epochs 50 --per-device-train-batch-size 4
refused "(seed: 42 then, 7 now)" "$dir/part" --resume "${common[@]}" --seed 7
refused 'parameters: ' "$dir/part" --resume "${common[@]}" --lora-target-modules k_proj
refused 'adapter: none then, true now' "$dir/part" --resume "${common[@]}" --adapter "$golden/llama_tiny_lora"
refused "--allow-drift" "$dir/part" --resume "${common[@]}" --dtype bf16
(train "$dir/fresh" --resume --max-steps 2) >/dev/null 2>"$dir/err" || die "--resume without a checkpoint: exit $?"
has "$dir/err" "no checkpoint to resume from"

# A full disk (a limit on file sizes stands in for it), and a folder that cannot be made.
list() { (cd "$1" && find . -path './checkpoint-*' -type f -exec sha256sum {} + | sort -k2); }
interrupt INT 9 "$dir/disk" "${common[@]}" --logging-steps 6 --lora-r 24
list "$dir/disk" >"$dir/before"
[ -s "$dir/before" ] || die "no checkpoint was written"
rc=0
(trap '' XFSZ; ulimit -f 100; train "$dir/disk" --resume "${common[@]}" --logging-steps 6 --lora-r 24) >/dev/null 2>"$dir/err" || rc=$?
[ $rc = 1 ] || die "full disk: exit $rc, expected 1"
has "$dir/err" "checkpoint-"
list "$dir/disk" | diff - "$dir/before" || die "full disk: the checkpoints changed"
[ -z "$(find "$dir/disk" -name '*.tmp*')" ] || die "full disk: a temporary file was left: $(find "$dir/disk" -name '*.tmp*')"
next=$(($(sed -nE 's/.*"global_step": ([0-9]+).*/\1/p' "$dir"/disk/checkpoint-*/trainer_state.json | sort -n | tail -1) / 10 * 10 + 10))
echo "in the way" >"$dir/disk/.checkpoint-$next.tmp"
refused ".checkpoint-$next.tmp" "$dir/disk" --resume "${common[@]}" --logging-steps 6 --lora-r 24
list "$dir/disk" | diff - "$dir/before" || die "unwritable: the checkpoints changed"
rm "$dir/disk/.checkpoint-$next.tmp"
(train "$dir/disk" --resume "${common[@]}" --logging-steps 6 --lora-r 24) >/dev/null 2>"$dir/err" || die "after the failures: exit $?"
(train "$dir/whole" "${common[@]}" --logging-steps 6 --lora-r 24) >/dev/null 2>"$dir/err"
same "$dir/disk" "$dir/whole" adapter_model.safetensors
echo x >"$dir/file"
refused "file" "$dir/file/run" "${common[@]}"

# Evaluation data may be another after a resume: nothing of the first's reference is left.
{ tail -n +2 "$golden/trl/eval.jsonl"; head -1 "$golden/trl/eval.jsonl"; } >"$dir/eval2.jsonl"
evaluated() { # FOLDER ARGS...
  local to=$1
  shift
  (train "$to" --max-steps 6 --save-steps 3 --eval-steps 1 --per-device-train-batch-size 2 "$@") >/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
}
evaluated "$dir/eval" --eval-data "$golden/trl/eval.jsonl"
rm -r "$dir/eval/checkpoint-6"
evaluated "$dir/eval" --eval-data "$dir/eval2.jsonl" --resume
has "$dir/err" "the evaluation data is not the checkpoint's"
evaluated "$dir/eval2" --eval-data "$dir/eval2.jsonl"
cmp <(untimed "$dir/eval" | tail -1) <(untimed "$dir/eval2" | tail -1) || die "the reference of other evaluation data was kept"

# Evaluation rows that are put aside stand beside the training's, not over them.
{ echo '{"prompt": "x"}'; cat "$golden/trl/eval.jsonl"; } >"$dir/bad.jsonl"
(cd "$dir" && train "$dir/aside" --max-steps 1 --on-bad-row skip --eval-data "$dir/bad.jsonl" >/dev/null 2>&1)
[ "$(wc -l <"$dir/aside/eval.rejected.jsonl")" = 1 ] || die "the bad row of evaluation is not in eval.rejected.jsonl"

# The loss between two log lines is the mean of its steps', the short one of an epoch included (transformers' Trainer).
for every in 1 3; do
  (train "$dir/every$every" --num-train-epochs 1 --per-device-train-batch-size 2 --gradient-accumulation-steps 5 --learning-rate 1e-2 --logging-steps $every) >/dev/null 2>&1
done
python3 - "$dir" <<'P' || die "the logged loss is not the mean of the steps'"
import json, sys
def losses(name): return [r["loss"] for r in map(json.loads, open(sys.argv[1] + "/" + name + "/metrics.jsonl")) if "loss" in r]
each, (all,) = losses("every1"), losses("every3")
assert len(each) == 3 and abs(sum(each) / 3 - all) < 1e-12, (each, all)
P
