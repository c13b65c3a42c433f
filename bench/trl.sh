#!/usr/bin/env bash
# bench/trl.sh ROWS.jsonl MODEL [STEPS]: rapt and TRL 1.16 on the same goal-conditioned rows, machine and run: LoRA r 16 on all linears, file order.
# Prints seconds a row over the whole run and without its first step (which pays for memory's first touch), peak memory, and the ratios.
# ROWS: what rapt augment writes. Variables: BATCH=2 rows an optimizer step; MAX_LENGTH=512; FULL=1 trains all weights instead of LoRA;
# ROUNDS=1: all settings in turn so many times, of which the medians count (neighbours on a shared machine come and go); RAPT_DTYPES="f32 bf16"; TRL_SETTINGS="fp32 autocast bf16", each DTYPE[:ATTENTION[:ROWS A MICRO-BATCH]], e.g. autocast:eager:4, to search its best.
# TRL runs in a virtual environment, PYTHON (default: build/venv/bin/python, made here when missing). RAPT_ISA and ONEDNN_MAX_CPU_ISA hide units.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rows=$1 model=$2 steps=${3:-6} rounds=${ROUNDS:-1} batch=${BATCH:-2} length=${MAX_LENGTH:-512}
rapt=${RAPT:-$root/build/release/rapt}
python=${PYTHON:-$root/build/venv/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$root/build/venv"
  "$python" -m pip install -q torch==2.13.0
  "$python" -m pip install -q transformers==5.23.0 trl==1.16.0 peft==0.21.2 datasets
fi
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
head -n $((batch * steps)) "$rows" >"$t/rows.jsonl"
[ "$(wc -l <"$t/rows.jsonl")" -eq $((batch * steps)) ] || { echo "$rows has fewer than $((batch * steps)) rows" >&2; exit 1; }
what=(--lora-r 16 --lora-alpha 32) named="LoRA r 16"
[ -z "${FULL:-}" ] || what=(--full) named="all weights"
"$rapt" export --model "$model" --output "$t/hf" 2>/dev/null
cat /proc/cpuinfo | grep -o -w -E 'avx2|avx512f|avx512_bf16|avx512_fp16|amx_bf16' | sort -u | tr '\n' ' '
echo "($(nproc) cores, $steps steps of $batch rows, max_length $length, $named)"
for round in $(seq "$rounds"); do
  for dtype in ${RAPT_DTYPES:-f32 bf16}; do
    "$rapt" train --model "$model" --train-data "$t/rows.jsonl" --output-dir "$t/$round/rapt-$dtype" --dtype "$dtype" --no-shuffle --max-length "$length" \
      --per-device-train-batch-size "$batch" "${what[@]}" --learning-rate 1e-5 --logging-steps 1 2>"$t/log" || { cat "$t/log"; exit 1; }
  done
  for setting in ${TRL_SETTINGS:-fp32 autocast bf16}; do
    "$python" "$here/trl_dpo.py" "$t/hf" "$t/rows.jsonl" "$setting" "$t/$round/trl-$setting.json" "$batch" "$length" "${FULL:-}" >"$t/log" 2>&1 || { tail -20 "$t/log"; exit 1; }
  done
done
python3 - "$t" "$((batch * steps))" "$steps" <<'PY'
import glob, json, os, statistics, sys
t, rows, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tried = {}  # of each setting: seconds to the end of each step, peak memory, first loss and grad_norm, round after round
for folder in sorted(glob.glob(f"{t}/*/rapt-*"), key=os.path.getmtime):
    log = [json.loads(line) for line in open(f"{folder}/metrics.jsonl")]
    ends = [x["num_tokens"] / x["tokens_per_second"] for x in log]
    tried.setdefault(os.path.basename(folder).replace("-", " "), []).append((ends, log[-1]["peak_rss_bytes"], log[0]["loss"], log[0]["grad_norm"]))
tokens = log[-1]["num_tokens"]
for path in sorted(glob.glob(f"{t}/*/trl-*.json"), key=os.path.getmtime):
    x = json.load(open(path))
    tried.setdefault(os.path.basename(path)[:-5].replace("-", " "), []).append((x["ends"], x["peak_rss_bytes"], x["loss"], x["grad_norm"]))
result = {}
for name, runs in tried.items():
    ends = [statistics.median(step) for step in zip(*(r[0] for r in runs))]
    result[name] = (ends, statistics.median(r[1] for r in runs), *runs[0][2:])
    if len(runs) > 1:
        print(f"{name}: s a row " + ", ".join(f"{r[0][-1] / rows:.3f}" for r in runs))
print(f"{'':22}{'s a row':>9}{'later':>8}{'tokens/s':>10}{'peak MB':>9}{'first loss':>12}{'grad_norm':>11}")
whole = {n: r[0][-1] / rows for n, r in result.items()}
later = {n: (r[0][-1] - r[0][0]) / (rows * (steps - 1) / steps) if steps > 1 else float("nan") for n, r in result.items()}
for name, (ends, rss, loss, norm) in result.items():
    print(f"{name:22}{whole[name]:9.3f}{later[name]:8.3f}{tokens / ends[-1]:10.0f}{rss / 1e6:9.0f}{loss:12.6f}{norm:11.5f}")
def least(values, who): return min((v for n, v in values.items() if n.startswith(who)), default=float("nan"))
for what, values in (("whole run", whole), ("after the first step", later)):
    print(f"{what}: f32 against its fp32 {least(values, 'trl fp32') / least(values, 'rapt f32'):.2f}x; rapt's best against its best {least(values, 'trl') / least(values, 'rapt'):.2f}x")
smallest = lambda who: min((r[1] for n, r in result.items() if n.startswith(who)), default=float("nan"))
print(f"memory: rapt's smallest {smallest('rapt') / 1e6:.0f} MB, 1/{smallest('trl') / smallest('rapt'):.1f} of its smallest")
PY
