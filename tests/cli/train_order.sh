#!/usr/bin/env bash
# Which rows train together: all goals of a pair, where one of them is too long none of it, and what is said when rows cannot be paired.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
python3 - "$dir" <<'PY'
import json, sys
def row(source, goal, of, prompt):
    pair = ("good one", "bad one") if of != "rejected" else ("bad one", "good one")
    return {"prompt": prompt, "chosen": pair[0], "rejected": pair[1], "goal": goal, "source_row": source} | ({"goal_of": of} if of else {})
def write(name, rows):
    with open(f"{sys.argv[1]}/{name}", "w") as f:
        for r in rows: print(json.dumps(r), file=f)
short, long = "what", "what " * 12
three = lambda source, prompts: [row(source, 8, "chosen", prompts[0]), row(source, 3, "rejected", prompts[1]), row(source, 5, None, prompts[2])]
write("three.jsonl", three(0, [short] * 3) + three(1, [short] * 3) + three(2, [short] * 3))
write("left.jsonl", three(0, [short] * 3) + three(1, [long, long, short]))
write("alone.jsonl", three(0, [short] * 3) + [row(1, 8, "chosen", short)])
PY
train() { # data, options...
  local data=$1
  shift
  "$RAPT" train --model "$tests/golden/llama_tiny" --train-data "$dir/$data.jsonl" --output-dir "$dir/$data" --dtype f32 --threads 1 --max-length 32 --max-steps 2 --logging-steps 1 \
    --per-device-train-batch-size 6 "$@" 2>"$dir/$data.log"
}
train three --order paired || { cat "$dir/three.log"; exit 1; }
train left --order paired || { cat "$dir/left.log"; exit 1; }
has "$dir/left.log" '3 rows, 2 dropped (prompt >= --max-length), 1 dropped with their partner, 0 cut'
train alone || { cat "$dir/alone.log"; exit 1; }
has "$dir/alone.log" "alone.jsonl: not every row has its pair's other goal in the file, so rows are shuffled"
if train alone --order paired --overwrite-output-dir; then echo "a row alone was paired"; exit 1; fi
has "$dir/alone.log" '--order paired needs relabelled data, two rows or more of each source_row'
