#!/usr/bin/env bash
# Two network namespaces with host names of their own stand in for two machines: rapt train over TCP between them (one and two ranks on each)
# takes the steps of one process, within 1e-5. A far rank that is killed, and a far machine that is gone, end the run; it is resumed without
# that machine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/mpi_lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
. "$tests/../tools/two_hosts.sh"
trap 'two_hosts_end; rm -rf "$dir"' EXIT
two_hosts_begin "$dir" >"$dir/err" 2>&1 || { echo "skipped: two machines cannot be made here: $(head -1 "$dir/err")"; exit 77; }
die() { echo "$*"; [ ! -f "$dir/err" ] || tail -8 "$dir/err"; exit 1; }

golden=$tests/golden
train() { # RANKS ON EACH (0: one process, no mpirun) OUTPUT ARGS...
  local each=$1 out=$2 start=()
  shift 2
  [ "$each" = 0 ] || start=("${machines[@]}" --host "$near_at:$each,$far_at:$each" -n $((2 * each)) --map-by node)
  exec ${start[@]+"${start[@]}"} "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --max-length 24 --dtype f32 --threads 1 \
    --learning-rate 1e-3 --logging-steps 1 --order shuffled --per-device-train-batch-size 2 --output-dir "$out" "$@"
}
run() { (train "$@") >"$dir/out" 2>"$dir/err" || die "exit $?: train $*"; }
close() { python3 "$tests/cli/mpi_close.py" "$1" "$2" || die "$2 differs from $1"; }
for full in "" --full; do
  run 0 "$dir/one$full" --gradient-accumulation-steps 4 --num-train-epochs 4 $full
  run 1 "$dir/two$full" --gradient-accumulation-steps 2 --num-train-epochs 4 $full
  has "$dir/err" "2 ranks, 1 of them on $near"
  run 2 "$dir/four$full" --gradient-accumulation-steps 1 --num-train-epochs 4 $full
  has "$dir/err" "4 ranks, 2 of them on $near"
  close "$dir/one$full" "$dir/two$full"
  close "$dir/one$full" "$dir/four$full"
done

# In the middle of a run a rank is killed, or the whole machine is gone; one process goes on to the same end.
long=(--num-train-epochs 100 --save-steps 20 --learning-rate 1e-4)
run 0 "$dir/whole" --gradient-accumulation-steps 4 "${long[@]}"
lose() { # COMMAND OUTPUT PATTERN
  local out=$2 pid rc=0
  train 1 "$out" --gradient-accumulation-steps 2 "${long[@]}" >/dev/null 2>"$dir/err" &
  pid=$!
  while [ ! -e "$out/checkpoint-40" ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
  $1
  { wait $pid || rc=$?; } 2>/dev/null
  [ $rc != 0 ] || die "$1: exit 0"
  grep -qE "$3" "$dir/err" || die "$1: mpirun does not say why"
  [ -e "$out/checkpoint-40/trainer_state.json" ] || die "$1: no checkpoint was left"
  [ -z "$(pgrep -f -- "--output-dir $out ")" ] || die "$1: a rank lives on"
  run 0 "$out" --gradient-accumulation-steps 4 "${long[@]}" --resume
  has "$dir/err" "made by 2 ranks, this run has 1"
  close "$dir/whole" "$out"
}
kill_rank() { for p in $(ip netns pids $far); do if [ "$(cat "/proc/$p/comm")" = rapt ]; then kill -KILL "$p"; fi; done; }
kill_machine() { for p in $(ip netns pids $far); do kill -KILL "$p"; done; }
lose kill_rank "$dir/rank" "exited on signal 9"
lose kill_machine "$dir/machine" "ORTE (has lost communication|was unable)|unexpectedly disconnected"
