#!/usr/bin/env bash
# rapt serve against requests that are malformed, oversized, slow or unauthorised (made by tests/cli/serve_hostile.py): each gets 4xx or a closed
# connection, the server lives, and answers an honest client as before. RAPT_HOSTILE_SEED sets another seed of the random ones.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
"$RAPT" serve --model "$tests/golden/score_chat" --host nowhere.invalid >"$dir/out" 2>"$dir/err" || true
grep -q 'no HTTP server' "$dir/err" && { echo "skipped: built without libmicrohttpd"; exit 77; }
export OMP_NUM_THREADS=1
python3 "$tests/cli/serve_hostile.py" "$RAPT" "$tests/golden" "$dir"
