# What the tests of several ranks share: skips where there is no MPI, and gives mpirun, a command without its options for -n.
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
rc=0
OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 "$RAPT" train --model "$tests/golden/llama_tiny" --train-data "$tests/golden/trl/train.jsonl" --output-dir "$dir/alone" \
  >"$dir/out" 2>"$dir/err" || rc=$?
[ $rc = 1 ] || { echo "two ranks where there is one: exit $rc, expected 1"; exit 1; }
if grep -q "this build has no MPI" "$dir/err"; then
  [ ! -e "$dir/alone" ] || { echo "a rank alone began to write"; exit 1; }
  echo "skipped: this build has no MPI (install libopenmpi-dev and configure again); that it says so to several ranks was tested"
  exit 77
fi
command -v mpirun >/dev/null || { echo "skipped: mpirun is not there (install openmpi-bin)"; exit 77; }
command -v pgrep >/dev/null || { echo "skipped: no pgrep (install procps)"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ranks share cores with other tests here.
mpirun=(mpirun --oversubscribe --mca mpi_yield_when_idle 1)
