#!/usr/bin/env bash
# Broken files of every kind that a command reads, through the command line: each ends with exit 1 and one clear error, or (a changed bit
# or value that leaves the file valid) with success; never with a crash, a hang, or memory taken because a file says so.
# The cases are drawn in tests/cli/malformed.py from a seed; RAPT_MALFORMED_SEED sets another.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" logps --help >/dev/null 2>&1 && "$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt logps or train"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
python3 "$tests/cli/malformed.py" "$RAPT" "$tests/golden" "$dir" templates
