#!/usr/bin/env bash
# The page of rapt serve in headless Chromium: answers at two goals, their achieved scores, no outside request, no script error.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$chromium" ] || { echo "skipped: no Chromium"; exit 77; }
timeout 60 "$chromium" --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/try" --dump-dom about:blank >/dev/null 2>&1 || { echo "skipped: Chromium does not start"; exit 77; }
"$RAPT" serve --model "$tests/golden/score_chat" --host nowhere.invalid >"$dir/out" 2>"$dir/err" || true
if grep -q 'no HTTP server' "$dir/err"; then echo "skipped: built without libmicrohttpd"; exit 77; fi
python3 "$tests/cli/playground.py" "$RAPT" "$tests/golden" "$dir" "$chromium"
