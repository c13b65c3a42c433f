#!/usr/bin/env bash
# On real weights: log-probs and token ids of transformers, training traces of TRL, as the shared golden files have them.
# Needs RAPT_MODEL (SmolLM2-135M-Instruct.Q4_1.gguf) and the shared data; skips, saying so, where they are absent.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
data=${RAPT_SHARED_DATA:-$(dirname "$0")/../../../shared/data}
model=${RAPT_MODEL:-$(dirname "$0")/../../models/SmolLM2-135M-Instruct.Q4_1.gguf}
golden=$data/golden
[ -f "$model" ] || { echo "skipped: no model; set RAPT_MODEL or run ./quickstart"; exit 77; }
[ -d "$golden" ] || { echo "skipped: $golden is not there"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: python3 compares the numbers"; exit 77; }

"$RAPT" logps --model "$model" --dtype f32 --tokens --token-logps --input "$golden/smollm2_logps.jsonl" --output "$dir/f32.jsonl"
"$RAPT" logps --model "$model" --dtype bf16 --tokens --token-logps --input "$golden/smollm2_logps.jsonl" --output "$dir/bf16.jsonl"
# on CPUs that have such arithmetic
if grep -qw avx512_fp16 /proc/cpuinfo; then
  "$RAPT" logps --model "$model" --dtype f16 --token-logps --input "$golden/smollm2_logps.jsonl" --output "$dir/f16.jsonl"
fi

train() { # name, options
  local name=$1
  shift
  "$RAPT" train --model "$model" --dtype f32 --no-shuffle --max-length 512 --per-device-train-batch-size 2 --logging-steps 1 --beta 0.1 \
    --train-data "$golden/$name/pairs.jsonl" --output-dir "$dir/$name" "$@"
}
train dpo_lora --adapter "$golden/dpo_lora/init_adapter" --learning-rate 5e-4 --lr-scheduler-type cosine --warmup-steps 2
train dpo_lora_ref --adapter "$golden/dpo_lora_ref/init_adapter" --learning-rate 5e-4 --lr-scheduler-type constant
train dpo_full --full --learning-rate 2e-5 --lr-scheduler-type linear
"$RAPT" logps --model "$model" --dtype f32 --adapter "$golden/dpo_lora/final_adapter" --input "$golden/dpo_lora/pairs.jsonl" --output "$dir/given.jsonl"
"$RAPT" logps --model "$model" --dtype f32 --adapter "$dir/dpo_lora" --input "$golden/dpo_lora/pairs.jsonl" --output "$dir/trained.jsonl"

python3 - "$golden" "$dir" <<'PY'
import json, math, os, sys
golden, t = sys.argv[1:]
rows = lambda path: [json.loads(line) for line in open(path)]
bad = []

def check(what, value, limit):
    print(f"{what}: {value:.3g} (limit {limit:g})")
    if not value <= limit:
        bad.append(what)

want, f32 = rows(f"{golden}/smollm2_logps.jsonl"), rows(f"{t}/f32.jsonl")
check("rows that differ in token ids", sum(a[k] != b[k] for a, b in zip(want, f32) for k in ("prompt_ids", "chosen_ids", "rejected_ids")), 0)
rel = lambda a, b: abs(a - b) / max(abs(a), 1e-9)
sides = ("chosen", "rejected")
check("f32 sums, relative", max(rel(a["logps_" + s], b["logps_" + s]) for a, b in zip(want, f32) for s in sides), 1e-4)
check("f32 tokens, absolute", max(abs(x - y) for a, b in zip(want, f32) for s in sides for x, y in zip(a["first_logps_" + s], b["token_logps_" + s])), 1e-3)
for name in ("bf16", "f16"):
    if not os.path.exists(f"{t}/{name}.jsonl"):
        continue
    d = [x - y for a, b in zip(f32, rows(f"{t}/{name}.jsonl")) for s in sides for x, y in zip(a["token_logps_" + s], b["token_logps_" + s])]
    check(f"{name} against f32, RMS of a token", math.sqrt(sum(x * x for x in d) / len(d)), 0.02)
for name in ("dpo_lora", "dpo_lora_ref", "dpo_full"):
    log = json.load(open(f"{golden}/{name}/trace.json"))["log"]
    log = [x for x in log if "loss" in x]
    got = [x for x in rows(f"{t}/{name}/metrics.jsonl") if "loss" in x]
    check(f"{name}: steps missing", abs(len(log) - len(got)), 0)
    check(f"{name}: loss, relative", max(rel(a["loss"], b["loss"]) for a, b in zip(log, got)), 1e-4)
    check(f"{name}: grad_norm, relative", max(rel(a["grad_norm"], b["grad_norm"]) for a, b in zip(log, got)), 1e-3)
    for key in ("learning_rate", "entropy", "mean_token_accuracy", "logps/chosen", "logps/rejected", "logits/chosen", "logits/rejected", "num_tokens"):
        check(f"{name}: {key}, relative", max(rel(a[key], b[key]) for a, b in zip(log, got) if key in a), 1e-4)
final = rows(f"{golden}/dpo_lora/final_logps.jsonl")
for name, limit in (("given", 1e-4), ("trained", 1e-3)):
    check(f"final_logps of the {name} adapter, relative", max(rel(a["logps_" + s], b["logps_" + s]) for a, b in zip(final, rows(f"{t}/{name}.jsonl")) for s in sides), limit)
sys.exit(f"outside the tolerance: {bad}" if bad else 0)
PY
