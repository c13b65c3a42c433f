"""alpaca_eval 0.6.6 on made annotations: raw and length-controlled win rates of its three models -> OUTPUT/alpaca, for tests/unit/test_alpaca.c.
Run by tests/oracle/evals.sh.

eval_alpaca.py OUTPUT"""
import functools
import json
import math
import pathlib
import random
import sys
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from alpaca_eval.metrics import glm_winrate

out = pathlib.Path(sys.argv[1]) / "alpaca"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(3)
N = 110
WORDS = "one two three four five six seven eight caf\u00e9 \u6c34 \U0001f600 nine ten".split()
difficulty = [rng.gauss(0, 1) for _ in range(N)]


def sigma(x):
    return 1 / (1 + math.exp(-x))


def text(n):
    return " ".join(rng.choice(WORDS) for _ in range(max(1, int(n))))


base = [text(rng.lognormvariate(1.6, 0.6)) for _ in range(N)]
rows = []
for gamed, shift in ((True, 1.3), (True, -1.3), (False, 0.0)):
    for i in range(N):
        delta = shift + rng.gauss(0, 0.7)
        p = min(1, max(0, sigma(0.9 * math.tanh(delta) + 0.05 * difficulty[i]) + rng.gauss(0, 0.15)))
        rows.append({"index": i, "std_delta_len": delta, "preference": p if rng.random() > 0.02 else None, "instruction_difficulty": difficulty[i], "not_gamed_baseline": not gamed,
                     "model": "base, gamed" if gamed else "base"})
pd.DataFrame(rows).to_csv(out / "df_gamed.csv", index=False)
glm_winrate.hf_hub_download = lambda **kw: str(out / "df_gamed.csv")

# The package's solver stops early (liblinear, tol 1e-4): where the losses of two strengths differ by less than its error, chance decides which is taken.
# "converged" is the same package with the solver run to its end.
as_is = glm_winrate.LogisticRegressionCV
converged = functools.partial(as_is, tol=1e-10, max_iter=100000)

MODELS = {"longer": (1.6, -0.3, "graded"), "shorter": (0.6, 0.5, "graded"), "equal": (1.0, 0.1, "graded"), "weak": (0.5, -2.0, "graded"), "verdicts": (1.4, 0.4, "whole"), "strong": (1.2, 3.0, "whole")}
expected = {}
for name, (stretch, skill, kind) in MODELS.items():
    outputs = [text(rng.lognormvariate(1.6, 0.6) * stretch) for _ in range(N)]
    delta = np.array([len(a) - len(b) for a, b in zip(base, outputs)], dtype=float)
    delta /= delta.std(ddof=1)
    annotations = []
    for i in range(N):
        p = sigma(skill - 0.8 * math.tanh(delta[i]) + 0.3 * difficulty[i] + rng.gauss(0, 0.5))
        preference = 1 + p if kind == "graded" else rng.choices([2, 1, 1.5, 0], [p, 1 - p, 0.05, 0.03])[0]
        if rng.random() < 0.03:
            preference = None
        annotations.append({"instruction": f"Do number {i}.", "output_1": base[i], "generator_1": "base", "dataset": "made", "output_2": outputs[i], "generator_2": name,
                            "annotator": "made", "preference": preference})
    (out / f"{name}.json").write_text(json.dumps(annotations, ensure_ascii=False, indent=None if kind == "graded" else 1) + "\n", encoding="utf-8")
    expected[name] = {}
    for glm in glm_winrate.GLM_INFO:
        metrics = glm_winrate.get_length_controlled_winrate(pd.DataFrame(annotations), glm_name=glm, save_weights_dir=None)
        expected[name][glm] = {k: float(v) for k, v in metrics.items()}
        glm_winrate.LogisticRegressionCV = converged
        metrics = glm_winrate.get_length_controlled_winrate(pd.DataFrame(annotations), glm_name=glm, save_weights_dir=None)
        expected[name][glm]["converged"] = float(metrics["length_controlled_winrate"])
        expected[name][glm]["converged_error"] = float(metrics["lc_standard_error"])
        glm_winrate.LogisticRegressionCV = as_is
    expected[name]["avg_length"] = float(np.mean([len(x) for x in outputs]))

# Answers that are missing: with a column "index" the package gives each row the difficulty of its own instruction, without one that of the row's place.
longer = json.loads((out / "longer.json").read_text(encoding="utf-8"))
gone = {4, 5, 31, 77}
rows = [{"index": i, **row} for i, row in enumerate(longer) if i not in gone]
(out / "gaps.json").write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")
glm_winrate.LogisticRegressionCV = converged
for name, kept in (("gaps", rows), ("gaps_by_place", [{k: v for k, v in row.items() if k != "index"} for row in rows])):
    metrics = glm_winrate.get_length_controlled_winrate(pd.DataFrame(kept), glm_name="length_controlled_v1", save_weights_dir=None)
    expected[name] = {k: float(v) for k, v in metrics.items()}
(out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
