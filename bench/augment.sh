#!/usr/bin/env bash
# Speed of rapt augment on one core: MB of input JSONL a second, and the peak of resident memory.
# usage: bench/augment.sh [RAPT] [MB of input, default 1000]; FILE=rows.jsonl takes rows from there instead of made-up ones.
set -euo pipefail
rapt=$(realpath "${1:-build/release/rapt}")
size_mb=${2:-1000}
base=${TMPDIR:-/tmp}
[ -w /dev/shm ] && [ "$(df -k --output=avail /dev/shm | tail -1)" -gt $((size_mb * 4 * 1024)) ] && base=/dev/shm
dir=$(mktemp -d -p "$base")
trap 'rm -rf "$dir"' EXIT
if [ -n "${FILE:-}" ]; then
    cp "$FILE" "$dir/part"
else # UltraFeedback's proportions: prompts of some 100 words, answers of some 200, a line break every dozen words, a few accents and quotes
    awk 'BEGIN {
        srand(1); n = split("the of and a to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part caf\303\251 \\\"so\\\"", w, " ")
        for (i = 0; i < 6000; i++) {
            printf "{\"prompt\":\"%s\",\"chosen\":\"%s\",\"rejected\":\"%s\",\"score_chosen\":%g,\"score_rejected\":%g,\"metadata\":{\"source\":\"sharegpt\",\"id\":%d}}\n", text(100), text(200), text(200), 6 + int(rand() * 9) / 2, 1 + int(rand() * 9) / 2, i
        }
    }
    function text(words,   s, k) { s = ""; for (k = 0; k < words; k++) s = s w[1 + int(rand() * n)] (k % 12 == 11 ? "\\n\\n" : " "); return s }' >"$dir/part"
fi
part=$(stat -c %s "$dir/part")
for _ in $(seq $((size_mb * 1000000 / part + 1))); do cat "$dir/part"; done >"$dir/in.jsonl"
bytes=$(stat -c %s "$dir/in.jsonl")
# The best of three runs: the first writes into memory that the machine has to find first, and others may be using the core.
run() { # name, options...
    local name=$1 best="" took peak=0 now pid TIMEFORMAT='%R %U %S'
    shift
    local command=(taskset -c 0 "$rapt" augment --input "$dir/in.jsonl" --output "$dir/out.jsonl" --ties keep --on-disagree relabel "$@")
    for _ in 1 2 3; do
        { time "${command[@]}" 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }; } 2>"$dir/time"
        took=$(cat "$dir/time")
        [ -n "$best" ] && awk -v a="$best" -v b="$took" 'BEGIN {split(a, x, " "); split(b, y, " "); exit !(x[1] <= y[1])}' || best=$took
    done
    "${command[@]}" 2>"$dir/err" &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        now=$(awk '/VmHWM/ {print $2}' /proc/$pid/status 2>/dev/null || true)
        [ "${now:-0}" -le "$peak" ] || peak=$now
        sleep 0.02
    done
    wait $pid
    awk -v n="$name" -v b="$bytes" -v o="$(stat -c %s "$dir/out.jsonl")" -v t="$best" -v m="$peak" 'BEGIN {
        split(t, s, " ")
        printf "%-22s %5.0f MB/s of input (%.2f s; processor %.2f s user, %.2f s system; %.0f MB in, %.0f MB out, %.0f MB resident)\n",
            n, b / s[1] / 1e6, s[1], s[2], s[3], b / 1e6, o / 1e6, m / 1024}'
}
echo "rows: $(wc -l <"$dir/in.jsonl"), in $base"
run "own, system"
run "own, user" --placement user
run "shuffled (two passes)" --mode shuffled
run "plain" --mode plain
