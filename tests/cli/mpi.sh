#!/usr/bin/env bash
# rapt train on 2 and 4 ranks (mpirun, this machine) takes the steps of one rank with as many times the accumulation: every metric of every step,
# adapters and full training, losses of all kinds, short last batches, pairs. Bits are the same for the same number of ranks, also over a stop
# and a resume; another number resumes within 1e-5. A rank that dies ends the run, and it can be resumed; a signal stops all behind the same step.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mpi_lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
golden=$tests/golden
die() { echo "$*"; [ ! -f "$dir/err" ] || tail -8 "$dir/err"; exit 1; }
lines() { if [ -f "$1/metrics.jsonl" ]; then wc -l <"$1/metrics.jsonl"; else echo 0; fi; }
# Relabelled pairs: both orders of each pair of the golden under one source_row, in a file where the halves do not stand together; the prompt
# tells them apart (two words for a goal), else their gradients would cancel.
python3 - "$golden/trl/train.jsonl" "$dir/pairs.jsonl" <<'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])][:13]
flip = [{**r, "prompt": r["prompt"] + " the dog", "chosen": r["rejected"], "rejected": r["chosen"], "score_chosen": r["score_rejected"], "score_rejected": r["score_chosen"]} for r in rows]
with open(sys.argv[2], "w") as out:
    for half in (rows, flip[::-1]):
        for r in half:
            out.write(json.dumps({**r, "source_row": rows.index(r) if r in rows else flip.index(r)}) + "\n")
PYTHON
train() { # RANKS OUTPUT ARGS...
  local ranks=$1 out=$2; shift 2
  local start=()
  [ "$ranks" = 1 ] || start=("${mpirun[@]}" -n "$ranks")
  exec ${start[@]+"${start[@]}"} "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --dtype f32 --threads 1 \
    --learning-rate 1e-3 --logging-steps 1 --output-dir "$out" "$@"
}
run() { (train "$@") >"$dir/out" 2>"$dir/err" || die "exit $?: train $*"; }
close() { python3 "$tests/cli/mpi_close.py" "$1" "$2" || die "$2 differs from $1"; }

check() { # NAME BATCH ACCUMULATION ARGS...: 1 rank with 4 x ACCUMULATION against 2 with 2 x and 4 with 1 x
  local name=$1 size=$2 a=$3; shift 3
  local b=(--per-device-train-batch-size "$size")
  run 1 "$dir/$name-1" "${b[@]}" --gradient-accumulation-steps $((4 * a)) "$@"
  run 2 "$dir/$name-2" "${b[@]}" --gradient-accumulation-steps $((2 * a)) "$@"
  run 4 "$dir/$name-4" "${b[@]}" --gradient-accumulation-steps "$a" "$@"
  close "$dir/$name-1" "$dir/$name-2"
  close "$dir/$name-1" "$dir/$name-4"
}
eval=(--eval-data "$golden/trl/eval.jsonl" --eval-steps 3 --per-device-eval-batch-size 2)
check lora 1 1 --order shuffled --num-train-epochs 3 --lora-r 4 "${eval[@]}"
check accumulated 2 2 --num-train-epochs 6 --lora-dropout 0.1 --micro-batch-tokens 40
check full 2 1 --full --num-train-epochs 3 "${eval[@]}"
cp -r "$golden/llama_untied" "$dir/untied"
cp "$golden"/llama_tiny/tokenizer* "$dir/untied"
check untied 2 1 --full --num-train-epochs 2 --model "$dir/untied" --recompute
check paired 1 2 --order paired --train-data "$dir/pairs.jsonl" --num-train-epochs 4
check sft 3 1 --objective sft --train-data "$golden/trl/sft.jsonl" --num-train-epochs 3 --eval-data "$golden/trl/sft_eval.jsonl"
check aot 2 1 --loss-type aot --num-train-epochs 3
check kto 3 1 --objective kto --num-train-epochs 3 --eval-data "$golden/trl/eval.jsonl"
check kto_full 2 1 --objective kto --full --num-train-epochs 2 --eval-data "$golden/trl/eval.jsonl"
check sync 1 2 --full --sync-ref-model --ref-model-sync-steps 3 --num-train-epochs 3 --objective kto --per-device-train-batch-size 2 --eval-data "$golden/trl/eval.jsonl" --eval-steps 4
check nca 1 1 --loss-type nca --train-data "$golden/trl_groups/responses.jsonl" --num-train-epochs 3 --order shuffled
check reward 2 1 --objective reward --model "$golden/reward_tiny" --num-train-epochs 2 --eval-data "$golden/trl/eval.jsonl"
check saved 2 1 --modules-to-save lm_head,embed_tokens --num-train-epochs 2 --use-dora

# The same bits again, and over a stop and a resume; another number of ranks goes on from there.
untimed() { sed -E 's/, "(tokens_per_second|peak_rss_bytes|minor_faults|eval_runtime)": [^,}]*//g' "$1/metrics.jsonl"; }
same() { # A B
  cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" || die "$2: another adapter than $1"
  diff <(untimed "$1") <(untimed "$2") >"$dir/diff" || { head -4 "$dir/diff"; die "$2: other metrics than $1"; }
}
# Starts a run, waits for N more lines of metrics, runs a command with mpirun's process id; rc holds the exit code.
interrupt() { # COMMAND N RANKS OUTPUT ARGS...
  local what=$1 count=$(($(lines "$4") + $2)) out=$4 pid
  train "${@:3}" >/dev/null 2>"$dir/err" &
  pid=$!
  while [ "$(lines "$out")" -lt $count ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
  $what $pid
  rc=0; { wait $pid || rc=$?; } 2>/dev/null
}
long=(--order shuffled --num-train-epochs 60 --save-steps 10 --eval-data "$golden/trl/eval.jsonl" --eval-steps 7)
two=(--per-device-train-batch-size 2 --gradient-accumulation-steps 2 "${long[@]}")
run 2 "$dir/whole" "${two[@]}"
run 2 "$dir/again" "${two[@]}"
same "$dir/whole" "$dir/again"
stop() { kill -USR1 "$1"; }
interrupt stop 9 2 "$dir/stopped" "${two[@]}"
[ $rc = 1 ] || die "exit $rc after SIGUSR1, expected 1"
has "$dir/err" "stopped after step"
has "$dir/err" "--resume"
[ "$(grep -c "stopped after step" "$dir/err")" = 1 ] || die "more than one rank reports"
interrupt stop 9 2 "$dir/stopped" --resume "${two[@]}"
[ $rc = 1 ] || die "exit $rc after the second SIGUSR1, expected 1"
cp -r "$dir/stopped" "$dir/other"
run 2 "$dir/stopped" --resume "${two[@]}"
has "$dir/err" "resuming from"
same "$dir/whole" "$dir/stopped"
run 4 "$dir/other" --resume --per-device-train-batch-size 2 --gradient-accumulation-steps 1 "${long[@]}"
has "$dir/err" "made by 2 ranks, this run has 4"
close "$dir/whole" "$dir/other"
fails 1 "made by another run" "${mpirun[@]}" -n 4 "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --dtype f32 \
  --threads 1 --learning-rate 1e-3 --output-dir "$dir/other" --resume "${two[@]}"

# Ctrl-C: a shell starts its jobs deaf to SIGINT, but mpirun does the same on SIGTERM: it sends that to the ranks and kills a second later.
stop() { kill -TERM "$1"; }
interrupt stop 9 2 "$dir/ended" "${two[@]}" --num-train-epochs 1000000 --save-steps 0
[ $rc != 0 ] || die "exit 0 after SIGTERM"
last=$(sed -nE 's/.*"step": ([0-9]+).*/\1/p' "$dir/ended/metrics.jsonl" | tail -1) # mpirun does not pass on what ranks say then
[ -e "$dir/ended/checkpoint-$last/trainer_state.json" ] || die "no checkpoint behind the step $last in which SIGTERM came"

# A rank is killed: the run ends, and its newest checkpoint leads to the same end.
victim() { # the last rank of this run
  local p
  for p in $(pgrep -P "$1" -f "$RAPT"); do victims=$p; done
  kill -KILL "$victims"
}
interrupt victim 25 2 "$dir/killed" "${two[@]}"
[ $rc != 0 ] || die "exit 0 though a rank was killed"
has "$dir/err" "exited on signal 9"
[ -e "$dir/killed/checkpoint-20/trainer_state.json" ] || die "no checkpoint was left"
run 2 "$dir/killed" --resume "${two[@]}"
same "$dir/whole" "$dir/killed"

# What does not go together is refused by all ranks, and said once.
mpmd() { "${mpirun[@]}" -n 1 "$RAPT" train "${common[@]}" --output-dir "$dir/no" "$1" "$2" : -n 1 "$RAPT" train "${common[@]}" --output-dir "$dir/no" "$3" "$4"; }
common=(--model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --threads 1 --dtype f32)
fails 1 "another set of options than rank 0" mpmd --seed 1 --seed 2
fails 1 "rank 1 on .*missing.jsonl" mpmd --eval-data "$golden/trl/eval.jsonl" --eval-data "$dir/missing.jsonl"
fails 2 "must be even" "${mpirun[@]}" -n 2 "$RAPT" train "${common[@]}" --output-dir "$dir/no" --per-device-train-batch-size 1
[ "$(grep -c "must be even" "$dir/err")" = 1 ] || die "a wrong option is said more than once"
fails 2 "rapt train is the command" "${mpirun[@]}" -n 2 "$RAPT" inspect "$golden/llama_tiny"
fails 1 "start them with its own mpirun" env OMPI_COMM_WORLD_SIZE=2 "$RAPT" train "${common[@]}" --output-dir "$dir/no"
# A checkpoint that cannot be written ends all ranks.
mkdir "$dir/blocked"
echo "in the way" >"$dir/blocked/.checkpoint-10.tmp"
rc=0
(train 2 "$dir/blocked" "${two[@]}") >/dev/null 2>"$dir/err" || rc=$?
[ $rc = 1 ] || die "blocked: exit $rc, expected 1"
has "$dir/err" ".checkpoint-10.tmp"
