#!/usr/bin/env bash
# On real weights in Q4_K, Q5_0, Q6_K and Q8_0: Gemma 3 270M gives transformers' log-probs, token ids and greedy text, and a LoRA adapter
# trains on it. Needs RAPT_GEMMA_MODEL (gemma-3-270m-q4_k_m.gguf) and, for log-probs and ids, the shared data; skips, saying so, without them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
data=${RAPT_SHARED_DATA:-$tests/../../shared/data}
model=${RAPT_GEMMA_MODEL:-$tests/../models/gemma-3-270m-q4_k_m.gguf}
golden=$data/golden/gemma3_270m_logps.jsonl
pairs=$data/prefs/ultrafeedback_binarized_1200/eval_clean.jsonl
[ -f "$model" ] || { echo "skipped: no model; set RAPT_GEMMA_MODEL to gemma-3-270m-q4_k_m.gguf"; exit 77; }
[ -f "$golden" ] && [ -f "$pairs" ] || { echo "skipped: $data has no Gemma golden"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: python3 compares the numbers"; exit 77; }

"$RAPT" inspect "$model" --json >"$dir/facts.json"
# The golden's texts are "Question: PROMPT\nAnswer:" and " ANSWER" of the line of the pairs that it names; it has no rejected answers.
python3 - "$golden" "$pairs" "$dir" <<'PY'
import json, sys
golden, pairs, t = sys.argv[1:]
lines = open(pairs).read().split("\n")
with open(f"{t}/ids.jsonl", "w") as rows:
    for i, row in enumerate(map(json.loads, open(golden))):
        print(json.dumps({"prompt_ids": row["prompt_ids"], "chosen_ids": row["chosen_ids"], "rejected_ids": row["chosen_ids"][:1]}), file=rows)
        pair = json.loads(lines[row["line"] - 1])
        open(f"{t}/{i}.prompt", "w", newline="").write(f"Question: {pair['prompt']}\nAnswer:")
        open(f"{t}/{i}.whole", "w", newline="").write(f"Question: {pair['prompt']}\nAnswer: {pair['chosen']}")
PY
rows=$(wc -l <"$dir/ids.jsonl")
for ((i = 0; i < rows; i++)); do
  for part in prompt whole; do "$RAPT" tokenize --model "$model" --add-special-tokens --json --file "$dir/$i.$part" >"$dir/$i.$part.ids"; done
done
"$RAPT" logps --model "$model" --dtype f32 --token-logps --input "$dir/ids.jsonl" --output "$dir/f32.jsonl"
"$RAPT" logps --model "$model" --dtype bf16 --token-logps --input "$dir/ids.jsonl" --output "$dir/bf16.jsonl"

# transformers' greedy continuation of the dequantised model in fp32
"$RAPT" generate --model "$model" --dtype f32 --raw --temperature 0 --max-new-tokens 24 --prompt "The capital of France is" >"$dir/france"
has "$dir/france" " the capital of the country of France. It is the largest city in France and the second largest city in Europe. It"
"$RAPT" generate --model "$model" --dtype f32 --raw --temperature 0 --max-new-tokens 24 --prompt "Once upon a time, in a small village," >"$dir/once"
has "$dir/once" " there lived a man named John. He was a hard-working, honest, and kind man. He loved his family"

head -4 "$pairs" >"$dir/pairs.jsonl"
"$RAPT" train --model "$model" --train-data "$dir/pairs.jsonl" --output-dir "$dir/run" --dtype f32 --no-shuffle --max-length 256 \
  --per-device-train-batch-size 2 --max-steps 3 --logging-steps 1 --learning-rate 2e-4 --lr-scheduler-type constant
"$RAPT" logps --model "$model" --adapter "$dir/run" --dtype f32 --token-logps --input "$dir/ids.jsonl" --output "$dir/trained.jsonl"

python3 - "$golden" "$dir" <<'PY'
import json, math, sys
golden, t = sys.argv[1:]
rows = lambda path: [json.loads(line) for line in open(path)]
bad = []

def check(what, value, limit):
    print(f"{what}: {value:.3g} (limit {limit:g})")
    if not value <= limit:
        bad.append(what)

types = json.load(open(f"{t}/facts.json"))["types"]
check("K types missing", sum(name not in types for name in ("Q4_K", "Q6_K")), 0)
want, f32, bf16 = rows(golden), rows(f"{t}/f32.jsonl"), rows(f"{t}/bf16.jsonl")
check("rows missing", abs(len(want) - len(f32)), 0)
for i, a in enumerate(want):
    prompt, whole = (json.load(open(f"{t}/{i}.{part}.ids")) for part in ("prompt", "whole"))
    both = a["prompt_ids"] + a["chosen_ids"]
    check(f"row {i}: ids differ", (prompt != a["prompt_ids"]) + (whole[: len(both)] != both), 0)
check("f32 sums, relative", max(abs(a["logps"] - b["logps_chosen"]) / abs(a["logps"]) for a, b in zip(want, f32)), 1e-4)
check("f32 tokens, absolute", max(abs(x - y) for a, b in zip(want, f32) for x, y in zip(a["first"], b["token_logps_chosen"])), 1e-3)
d = [x - y for a, b in zip(f32, bf16) for x, y in zip(a["token_logps_chosen"], b["token_logps_chosen"])]
check("bf16 against f32, RMS of a token", math.sqrt(sum(x * x for x in d) / len(d)), 0.02)
log = [x for x in rows(f"{t}/run/metrics.jsonl") if "loss" in x]
check("steps missing", abs(len(log) - 3), 0)
check("the first step's loss, away from log 2", abs(log[0]["loss"] - math.log(2)), 1e-5)
check("steps without a gradient", sum(not 0 < x["grad_norm"] < 1e4 for x in log), 0)
check("the first batch again: loss, against the first time", log[2]["loss"] / log[0]["loss"], 0.99)
check("rows that training left alone", sum(a["logps_chosen"] == b["logps_chosen"] for a, b in zip(f32, rows(f"{t}/trained.jsonl"))), 0)
sys.exit(f"outside the tolerance: {bad}" if bad else 0)
PY
