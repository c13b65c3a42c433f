#!/usr/bin/env bash
# Steps of LoRA DPO on a model of Llama 3.1's 8B shape (random weights, bench/synthetic_gguf.c), two relabelled rows of 1024 tokens a step.
# Prints the plan, seconds a step, tokens a second and the peak of resident memory.
# usage: bench/big.sh [TYPE, default Q4_0] [MEMORY, default 10G] [STEPS, default 2] [SHAPE, default llama-3.1-8b]; needs 5 GB of disk for Q4_0
set -euo pipefail
cd "$(dirname "$0")/.."
type=${1:-Q4_0} memory=${2:-10G} steps=${3:-2} shape=${4:-llama-3.1-8b}
cmake --preset release >/dev/null
cmake --build --preset release --target rapt synthetic_gguf >&2
dir=$(mktemp -d "${TMPDIR:-/tmp}/rapt-big.XXXXXX")
trap 'rm -rf "$dir"' EXIT
build/release/synthetic_gguf "$shape" "$type" "$dir/model.gguf"
# Token ids: a preamble that all share, a goal, a prompt of 480 tokens, two answers of 504.
awk -v rows="$steps" 'BEGIN {
    srand(1); preamble = ids(38)
    for (i = 0; i < rows; i++) {
        prompt = ids(481); a = ids(504); b = ids(504)
        row(preamble ", 56, " prompt, a, b, 8, "chosen"); row(preamble ", 55, " prompt, b, a, 7, "rejected")
    }
}
function ids(n,   s) { for (s = int(rand() * 40000); n > 1; n--) s = s ", " int(rand() * 40000); return s }
function row(p, c, r, goal, of) {
    printf "{\"prompt_ids\": [%s], \"chosen_ids\": [%s], \"rejected_ids\": [%s], \"goal\": %d, \"goal_of\": \"%s\", \"source_row\": %d}\n", p, c, r, goal, of, i
}' >"$dir/rows.jsonl"
/usr/bin/env time -f '%M %e' -o "$dir/time" build/release/rapt train --model "$dir/model.gguf" --train-data "$dir/rows.jsonl" --output-dir "$dir/run" \
  --max-length 1024 --per-device-train-batch-size 2 --max-steps "$steps" --logging-steps 1 --learning-rate 1e-4 --memory "$memory" --overwrite-output-dir
read -r kb seconds <"$dir/time"
grep -o '"machine": {[^}]*}' "$dir/run/manifest.json"
grep -o '"loss": [^,]*\|"tokens_per_second": [^,]*' "$dir/run/metrics.jsonl" | paste -sd' '
echo "$shape $type, $steps steps of 2 rows: $((kb / 1024)) MiB resident at most, $seconds s in all"
