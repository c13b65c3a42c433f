#!/usr/bin/env bash
# Threads change rounding at most: 1, 2 and 3 threads log the same loss within 1e-4 and gradient norm within 1e-3; the same number of
# threads gives the same bits.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
run() { # NAME THREADS ARGS...
  "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --eval-data "$golden/trl/eval.jsonl" --max-length 24 --logging-steps 1 \
    --learning-rate 1e-3 --per-device-train-batch-size 4 --max-steps 10 --output-dir "$dir/$1" --threads "$2" "${@:3}" 2>"$dir/err" || { cat "$dir/err"; exit 1; }
  sed -E 's/, "(tokens_per_second|peak_rss_bytes|minor_faults|eval_runtime)": [^,}]*//g' "$dir/$1/metrics.jsonl" >"$dir/$1.trace"
}
close() { # A B: losses and gradient norms of two traces
  paste -d '\n' "$1" "$2" | awk -v limits="loss 1e-4 eval_loss 1e-4 grad_norm 1e-3" '
    function number(line, key) { return match(line, "\"" key "\": [-+.e0-9]+") ? substr(line, RSTART + length(key) + 4, RLENGTH - length(key) - 4) + 0 : "none" }
    NR % 2 { first = $0; next }
    { n = split(limits, l, " ")
      for (i = 1; i < n; i += 2) {
        a = number(first, l[i]); b = number($0, l[i])
        if (a == "none" && b == "none") continue
        seen++
        d = a - b; if (d < 0) d = -d
        m = a < 0 ? -a : a; if (m < 1) m = 1
        if (a == "none" || b == "none" || d > l[i + 1] * m) { print l[i] " " a " and " b; bad = 1 }
      } }
    END { exit bad || seen < 20 }' || { echo "$1 and $2 differ"; exit 1; }
}
for kind in f32 bf16; do
  for how in --lora-dropout=0.1 --full; do
    name=$kind$how
    run "$name.1" 1 --dtype $kind $how
    run "$name.2" 2 --dtype $kind $how
    close "$dir/$name.1.trace" "$dir/$name.2.trace"
  done
done
run three 3 --dtype f32 --full
close "$dir/f32--full.1.trace" "$dir/three.trace"
run again 2 --dtype f32 --full
cmp "$dir/again.trace" "$dir/f32--full.2.trace"
cmp "$dir/again/model.safetensors" "$dir/f32--full.2/model.safetensors"
