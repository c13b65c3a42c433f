#!/usr/bin/env bash
# A build without libmicrohttpd and MPI: it says what it cannot, and does the rest. RAPT_BARE is such a program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ -x "${RAPT_BARE:-}" ] || { echo "skipped: no RAPT_BARE"; exit 77; }
cd "$dir"
tiny=$tests/golden/score_chat
fails 1 'this build has no HTTP server: install libmicrohttpd-dev' "$RAPT_BARE" serve --model "$tiny" --port 0
fails 2 'port expects 0 to 65535' "$RAPT_BARE" serve --model "$tiny" --port 65536
for symbol in MHD_start_daemon MPI_Init; do
  if nm -D "$RAPT_BARE" 2>/dev/null | seen "$symbol"; then echo "it needs $symbol"; exit 1; fi
done
"$RAPT_BARE" serve --help | seen -- --scorer
say() { "$1" generate --model "$tiny" --prompt "the cat" --temperature 0 --max-new-tokens 12 --threads 1 2>/dev/null; }
say "$RAPT_BARE" >got
say "$RAPT" >want
[ -s want ]
diff want got
fails 1 'several ranks were started, and this build has no MPI' env OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 "$RAPT_BARE" train --model "$tests/golden/llama_tiny" \
  --train-data "$tests/golden/trl/train.jsonl" --output-dir "$dir/run" --max-steps 1
