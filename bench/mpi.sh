#!/usr/bin/env bash
# bench/mpi.sh MODEL [--write]: what several ranks cost, and a model of how that grows with their number; prints Markdown, which under --write
# takes the place of the section between the marks in docs/many-machines.md. As root it also measures between two network namespaces with a
# line of 1 Gbit/s, which says how good the model is. MODEL: a checkpoint whose chat template takes a system turn.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
model=$1 write=${2:-}
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cmake -S "$root" --preset release >/dev/null
cmake --build "$root/build/release" --target rapt ranks >/dev/null
rapt=$root/build/release/rapt ranks=$root/build/release/ranks
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$rapt" augment --input "$root/examples/preferences.jsonl" --rule all --output "$t/rows.jsonl" 2>/dev/null
busy=$(awk '{print $1}' /proc/loadavg)

# Gradients as large as each way of training has them, and one of latency alone.
sizes=(4 19532 525392) # KB
mpirun -n 2 "$ranks" "${sizes[@]}" >"$t/memory"
mpirun -n 2 --mca btl tcp,self "$ranks" "${sizes[@]}" >"$t/tcp"

train() { # NAME ARGS... START...: 4 rows a micro-batch, one a step
  local name=$1 way=$2
  shift 2
  local options=()
  [ "$way" = lora ] || options=(--full)
  "$@" "$rapt" train --model "$model" --train-data "$t/rows.jsonl" --output-dir "$t/$name" --per-device-train-batch-size 4 --max-steps 6 --logging-steps 1 \
    --learning-rate 1e-5 --no-shuffle ${options[@]+"${options[@]}"} >"$t/log.$name" 2>&1 || { cat "$t/log.$name" >&2; exit 1; }
}
for way in lora full; do
  train "all-$way" $way env                                       # a machine: one process, all cores
  train "alone-$way" $way taskset -c 0 env OMP_NUM_THREADS=1 & # two processes that know nothing of each other
  train "beside-$way" $way taskset -c 1 env OMP_NUM_THREADS=1 &
  wait
  train "two-$way" $way mpirun -n 2 --bind-to core env OMP_NUM_THREADS=1
done
. "$root/tools/two_hosts.sh"
if [ "$(id -u)" = 0 ] && two_hosts_begin "$t" 1gbit 2>"$t/log"; then
  trap 'two_hosts_end; rm -rf "$t"' EXIT
  hosts=(--host "$near_at,$far_at" -n 2)
  "${machines[@]}" "${hosts[@]}" "$ranks" 4 19532 >"$t/line"
  for way in lora full; do train "line-$way" $way "${machines[@]}" "${hosts[@]}" --bind-to none env OMP_NUM_THREADS=1; done
fi
python3 "$root/bench/mpi_model.py" "$t" "$busy" "$(nproc)" >"$t/section"
cat "$t/section"
if [ "$write" = --write ]; then
  python3 - "$root/docs/many-machines.md" "$t/section" <<'PY'
import sys
page, section = open(sys.argv[1]).read(), open(sys.argv[2]).read()
begin, end = "<!-- bench/mpi.sh -->\n", "<!-- end -->"
open(sys.argv[1], "w").write(page[:page.index(begin) + len(begin)] + section + page[page.index(end):])
PY
fi
