#!/usr/bin/env bash
# Speed of encoding on one thread, and ids beside Hugging Face tokenizers and tiktoken in the same run.
# usage: bench/tokenizer.sh FOLDER... [-- TEXT]   folders with tokenizer.json, or with GPT-2's encoder.json and vocab.bpe; TEXT: a UTF-8 file
# whose lines are encoded, default: 20 MB from tests/oracle/mixed_text.py. RAPT, RAPT_PYTHON (with tokenizers and tiktoken), ROUNDS (3).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rapt=$(realpath "${RAPT:-build/release/rapt}")
python=${RAPT_PYTHON:-python3}
rounds=${ROUNDS:-3}
folders=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do folders+=("$1"); shift; done
[ ${#folders[@]} -gt 0 ] || { sed -n 2,4p "$0"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Lines end as files' lines do: a carriage return before a line end belongs to the line end, so there is none.
if [ "${1:-}" = -- ]; then tr -d '\r' <"$2" >"$dir/text"
else "$python" "$here/../tests/oracle/mixed_text.py" "$dir/all" 20000000; tr -d '\r' <"$dir/all" >"$dir/text"; fi
for folder in "${folders[@]}"; do
    name=$(basename "$(realpath "$folder")")
    best=$(for _ in $(seq "$rounds"); do
        taskset -c 0 "$rapt" tokenize --model "$folder" --input "$dir/text" --count | sed -E 's/.* ([0-9.]+) MB\/s$/\1/'
    done | sort -g | tail -1)
    echo "$name: rapt $best MB/s"
    taskset -c 0 "$python" "$here/tokenizer_peers.py" "$rounds" "$dir/text" "$dir" "$folder"
    "$rapt" tokenize --model "$folder" --input "$dir/text" | cmp - "$dir/$name" && echo "$name: every id equals tokenizers'"
done
