#!/usr/bin/env bash
# rapt train logs what TRL's DPOTrainer, CPOTrainer, ORPOTrainer, SFTTrainer, RewardTrainer and KTOTrainer log (tests/oracle/make_trl_trace.py, make_group_traces.py), and a loop of torch with the losses
# that TRL lacks (make_gap_traces.py): loss within 1e-4 (relative) plus 1e-5, gradient norm within 1e-3, all other
# metrics within 1e-3, on every step and for the final evaluation; adapters and full training. The same again in packs of a row or two,
# with each layer computed again in backward, and with every response under a root of its own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$RAPT" train --help >/dev/null 2>&1 || { echo "skipped: this build has no rapt train"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
export RAPT_GOLDEN=$tests/golden RAPT_RUNS=$dir
python3 - <<'PYTHON'
import json, os, subprocess, sys

golden, runs, rapt = os.environ["RAPT_GOLDEN"], os.environ["RAPT_RUNS"], os.environ["RAPT"]
LIMITS = {"loss": (1e-4, 1e-5), "eval_loss": (1e-4, 1e-5), "grad_norm": (1e-3, 1e-3), "learning_rate": (1e-6, 0), "num_tokens": (0, 0)}
wrong = []

def compare(where, want, got):
    for key, value in want.items():
        relative, absolute = LIMITS.get(key, (1e-3, 1e-4))
        if key not in got:
            wrong.append(f"{where}: no {key}")
        elif not abs(got[key] - value) <= relative * abs(value) + absolute:
            wrong.append(f"{where}: {key} is {got[key]}, TRL logs {value}")

def run(folder, case, variant, extra):
    name, options = f"{case['name']}{variant}", [f"{golden}/{o}" if o.endswith("_tiny_lora") or o.startswith("adapter_") else o for o in case["options"]]
    output = f"{runs}/{name}"
    data = case["data"]
    evaluation = ["--eval-data", f"{golden}/{folder}/{'' if data == 'train' else data + '_'}eval.jsonl"] if case["eval"] else []
    done = subprocess.run([rapt, "train", "--model", f"{golden}/{case['model']}", "--train-data", f"{golden}/{folder}/{data}.jsonl", "--output-dir",
                           output, "--dtype", "f32", "--threads", "1"] + evaluation + options + extra, capture_output=True, text=True)
    if done.returncode:
        wrong.append(f"{name}: exit {done.returncode}: {done.stderr}")
        return
    lines = [json.loads(line) for line in open(f"{output}/metrics.jsonl")]
    steps, evals = [x for x in lines if "loss" in x], [x for x in lines if "eval_loss" in x]
    if len(steps) != len(case["steps"]):
        wrong.append(f"{name}: {len(steps)} steps, TRL takes {len(case['steps'])}")
    for i, (want, got) in enumerate(zip(case["steps"], steps)):
        compare(f"{name}: step {i + 1}", want, got)
    if case["eval"]:
        compare(f"{name}: evaluation", case["eval"], evals[-1])

for folder in ("trl", "trl_groups", "trl_gaps", "trl_adapters"):
    for case in json.load(open(f"{golden}/{folder}/cases.json")):
        run(folder, case, "", [])
        run(folder, case, " in small packs", ["--micro-batch-tokens", "30"])
        run(folder, case, " recomputed", ["--recompute"])
        if "--full" not in case["options"] and "dora" not in case["name"]:
            run(folder, case, " unshared", ["--lora-dropout", "1e-12"])  # dropout turns sharing off, and this little drops nothing
print("\n".join(wrong) or "as TRL")
sys.exit(bool(wrong))
PYTHON
