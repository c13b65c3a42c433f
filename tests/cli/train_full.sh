#!/usr/bin/env bash
# Training of all weights: the reference is computed beforehand, of the rows that the run will see and of no others, and the steps are those of a longer run.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
golden=$tests/golden
die() { echo "$*"; exit 1; }
run() { # folder, options...
  local folder=$dir/$1
  shift
  "$RAPT" train --model "$golden/llama_tiny" --train-data "$golden/trl/train.jsonl" --output-dir "$folder" --dtype f32 --threads 1 --full --per-device-train-batch-size 2 \
    --lr-scheduler-type constant --logging-steps 1 "$@" 2>"$folder.log" || die "$folder: $(cat "$folder.log")"
}
values() { # the first three steps, without what depends on the clock and the length
  python3 - "$dir/$1/metrics.jsonl" <<'PY'
import json, sys
for line in list(open(sys.argv[1]))[:3]:
    print({k: v for k, v in json.loads(line).items() if k not in ("tokens_per_second", "peak_rss_bytes", "minor_faults")})
PY
}
for order in auto shuffled; do
  if [ $order = auto ]; then order=(); else order=(--order shuffled); fi
  run long --num-train-epochs 1 "${order[@]}"
  run short --max-steps 3 "${order[@]}"
  [ "$(wc -l <"$dir/long/metrics.jsonl")" -gt 3 ] || die "one epoch is too short to tell anything"
  diff <(values long) <(values short) || die "a run of three steps differs from the first three of an epoch (${order[*]})"
  rm -rf "$dir/long" "$dir/short"
done
# Before the first update policy and reference are one: margin 0 to the last bit, also where a batch does not fit into a pack and rows of one prompt are in two.
python3 - "$golden/trl/train.jsonl" >"$dir/twice.jsonl" <<'PY'
import json, sys
for row in map(json.loads, open(sys.argv[1])):
    for chosen, rejected in ((row["chosen"], row["rejected"]), (row["rejected"], row["chosen"])):
        print(json.dumps(dict(row, chosen=chosen, rejected=rejected)))
PY
for tokens in 40 60 90; do
  run start --train-data "$dir/twice.jsonl" --num-train-epochs 1 --per-device-train-batch-size 4 --no-shuffle --micro-batch-tokens $tokens --learning-rate 0
  [ "$(grep -o '"loss": [^,]*' "$dir/start/metrics.jsonl" | sort -u)" = '"loss": 0.6931471805599453' ] ||
    die "losses are not ln 2 (--micro-batch-tokens $tokens): $(grep -o '"loss": [^,]*' "$dir/start/metrics.jsonl" | sort -u)"
  rm -rf "$dir/start"
done
