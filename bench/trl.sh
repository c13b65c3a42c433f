#!/usr/bin/env bash
# bench/trl.sh ROWS.jsonl MODEL [STEPS]: rapt and TRL 1.16 on the same goal-conditioned rows, machine and run: LoRA r 16 on all linears, 2 rows a
# step, max_length 512, file order. Prints seconds a row, positions a second and peak memory, and the ratios.
# ROWS: what rapt augment writes. TRL runs in a virtual environment, PYTHON (default: build/venv/bin/python, made here when missing).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rows=$1 model=$2 steps=${3:-6}
rapt=${RAPT:-$root/build/release/rapt}
python=${PYTHON:-$root/build/venv/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$root/build/venv"
  "$python" -m pip install -q torch==2.13.0
  "$python" -m pip install -q transformers==5.23.0 trl==1.16.0 peft==0.21.2 datasets
fi
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
head -n $((2 * steps)) "$rows" >"$t/rows.jsonl"
"$rapt" export --model "$model" --output "$t/hf" 2>/dev/null
cat /proc/cpuinfo | grep -o -w -E 'avx2|avx512f|avx512_bf16|amx_bf16' | sort -u | tr '\n' ' '
echo "($(nproc) cores, $steps steps of 2 rows)"
for dtype in f32 bf16; do
  "$rapt" train --model "$model" --train-data "$t/rows.jsonl" --output-dir "$t/rapt-$dtype" --dtype $dtype --no-shuffle --max-length 512 \
    --per-device-train-batch-size 2 --lora-r 16 --lora-alpha 32 --learning-rate 1e-5 --logging-steps 1 2>"$t/log" || { cat "$t/log"; exit 1; }
done
for setting in fp32 autocast bf16; do
  "$python" "$here/trl_dpo.py" "$t/hf" "$t/rows.jsonl" "$setting" "$t/trl-$setting.json" >"$t/log" 2>&1 || { tail -20 "$t/log"; exit 1; }
done
python3 - "$t" "$steps" <<'PY'
import json, sys
t, steps = sys.argv[1], int(sys.argv[2])
result = {}
for dtype in ("f32", "bf16"):
    log = [json.loads(line) for line in open(f"{t}/rapt-{dtype}/metrics.jsonl")]
    seconds = log[-1]["num_tokens"] / log[-1]["tokens_per_second"]
    result["rapt " + dtype] = (seconds, log[-1]["peak_rss_bytes"], log[-1]["num_tokens"], log[0]["loss"], log[0]["grad_norm"])
for setting in ("fp32", "autocast", "bf16"):
    x = json.load(open(f"{t}/trl-{setting}.json"))
    result["trl " + setting] = (x["seconds"], x["peak_rss_bytes"], result["rapt f32"][2], x["loss"], x["grad_norm"])
rows = 2 * steps
print(f"{'':14}{'s a row':>9}{'tokens/s':>10}{'peak MB':>9}{'first loss':>12}{'grad_norm':>11}")
for name, (s, rss, tokens, loss, norm) in result.items():
    print(f"{name:14}{s / rows:9.3f}{tokens / s:10.0f}{rss / 1e6:9.0f}{loss:12.6f}{norm:11.5f}")
best = min(result["trl " + k][0] for k in ("fp32", "autocast", "bf16"))
print(f"f32 against its fp32: {result['trl fp32'][0] / result['rapt f32'][0]:.2f}x; rapt's best against its best: {best / min(result['rapt f32'][0], result['rapt bf16'][0]):.2f}x")
PY
