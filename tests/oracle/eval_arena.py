"""Arena-Hard's own scripts on made judgements: v0.1 (lmarena/arena-hard-auto at 0489bf3) and v2 with and without style control (at 196f6b8)
-> OUTPUT/arena, for tests/unit/test_arena_hard.c. Run by tests/oracle/evals.sh, with RAPT_ARENA_HARD: a git directory of that repository.

eval_arena.py OUTPUT GIT_DIRECTORY"""
import contextlib
import importlib.util
import io
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import types
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
import torch

np.NAN = np.nan  # numpy 1 had it

torch.set_num_threads(1)
out = pathlib.Path(sys.argv[1]).resolve() / "arena"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(8)
place = tempfile.TemporaryDirectory()
root = pathlib.Path(place.name)


def source(commit, path, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(subprocess.run(["git", f"--git-dir={sys.argv[2]}", "show", f"{commit}:{path}"], check=True, capture_output=True).stdout)


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def verdict(p, labels):
    """p: how much better the model is, as A."""
    x = p + rng.gauss(0, 0.6)
    return labels[0] if x > 0.9 else labels[1] if x > 0.25 else labels[2] if x > -0.25 else labels[3] if x > -0.9 else labels[4]


AS_A = ["A>>B", "A>B", "A=B", "B>A", "B>>A"]
AS_B = ["B>>A", "B>A", "A=B", "A>B", "A>>B"]
MODELS = {"org/small": -0.5, "mid": 0.0, "org/sub/large": 0.4, "tiny": -0.8}
BASE = {"v01": "gpt-4-0314", "v2": "o3-mini-2025-01-31"}


def write(name, rows):
    (out / name).write_text("".join(json.dumps(r) + "\n" for r in rows))


# ---- v0.1 ----
rows = []
for model, skill in MODELS.items():
    for q in range(60):
        hard = rng.gauss(0, 0.4)
        first, second = verdict(skill + hard, AS_B), verdict(skill + hard, AS_A)
        if q == 7:
            first = "" if model == "mid" else None
        if q == 8:
            second = "A<B"
        rows.append({"question_id": f"q{q}", "model": model, "judge": "made", "games": [{"score": first}, {"score": second}]})
write("v01.jsonl", rows)
sys.modules["utils"] = types.SimpleNamespace(load_model_answers=None)
for name in ("utils_math", "show_result"):
    source("0489bf3", f"{name}.py", root / "old" / f"{name}.py")
old_math = load("utils_math", root / "old/utils_math.py")
old = load("show_result_old", root / "old/show_result.py")
judgments = pd.read_json(out / "v01.jsonl", lines=True)
battles = judgments.apply(lambda row: old.get_battles_from_row(row, False, 3, BASE["v01"]), axis=1)
battles = pd.DataFrame(battles[battles.map(len) > 0].explode().tolist())
with contextlib.redirect_stderr(io.StringIO()):
    score = old_math.compute_mle_elo(battles, baseline_model=BASE["v01"])
    np.random.seed(42)
    boot = old_math.get_bootstrap_result(battles, old_math.compute_mle_elo, 100, BASE["v01"])
stats = pd.DataFrame({"model": list(score.index), "score": score.values, "lower": [np.percentile(boot[m], 2.5) for m in score.index],
                      "upper": [np.percentile(boot[m], 97.5) for m in score.index]}).sort_values(by="model")
columns = {c: old_math.get_win_rate_column(stats, c, BASE["v01"]).tolist() for c in ("score", "lower", "upper")}
expected = {"v01": {"battles": len(battles), "models": {m: [columns[c][i] for c in columns] for i, m in enumerate(stats["model"]) if m != BASE["v01"]}}}

# ---- v2 ----
del sys.modules["utils"]
for name in ("show_result.py", "utils/judge_utils.py", "utils/math_utils.py"):
    source("196f6b8", name, root / "new" / name)
sys.path.insert(0, str(root / "new"))
new = load("show_result_new", root / "new/show_result.py")
bench = root / "new/data/arena-hard-v2.0"


def style(length, marks):
    split = rng.randrange(marks + 1)
    return {"token_len": length, "header_count": {"h1": split, "h2": marks - split}, "list_count": {"ordered": rng.randrange(4), "unordered": rng.randrange(4)},
            "bold_count": {"**": rng.randrange(5), "__": 0}}


answers, rows = {}, []
for model in [BASE["v2"], *MODELS]:
    answers[model] = [{"uid": f"u{q}", "model": model, "messages": [], "metadata": style(rng.randrange(20, 900), rng.randrange(6))} for q in range(60)]
for model, skill in MODELS.items():
    for q in range(60):
        own, base = (answers[m][q]["metadata"]["token_len"] for m in (model, BASE["v2"]))
        x = skill + rng.gauss(0, 0.4) + 0.6 * (own - base) / (own + base)
        first, second = verdict(x, AS_B), verdict(x, AS_A)
        if rng.random() < 0.2:
            second = {"A>>B": "B<<A", "A>B": "B<A", "A=B": "B=A", "B>A": "A<B", "B>>A": "A<<B"}[second]
        if q == 5:
            first = None
        games = [{"score": first}, {"score": second}]
        if q == 6:
            games[1] = None
        rows.append({"uid": f"u{q}", "category": "hard_prompt" if q % 6 else "creative_writing", "model": model, "judge": "made", "games": games})
write("v2.jsonl", rows)
rng = random.Random(9)
creative = "gemini-2.0-flash-001"  # the baseline of creative_writing
answers[creative] = [{"uid": f"u{q}", "model": creative, "messages": [], "metadata": style(rng.randrange(20, 900), rng.randrange(6))} for q in range(60)]
write("answers.jsonl", [a for m in answers for a in answers[m]])
(bench / "model_judgment/made").mkdir(parents=True)
(bench / "model_judgment/made/all.jsonl").write_bytes((out / "v2.jsonl").read_bytes())
(bench / "model_answer").mkdir()
for i, m in enumerate(answers):
    (bench / f"model_answer/{i}.jsonl").write_text("".join(json.dumps(a) + "\n" for a in answers[m]))
os.chdir(root / "new")
caught = []


def catch(mean, low, high, baseline=None):
    caught.append((mean.set_index("model")["scores"], low.set_index("model")["lower"], high.set_index("model")["upper"]))
    return pd.DataFrame()


new.format_confidence_interval = catch
fits = []
fit = sys.modules["utils.math_utils"].fit_pairwise_model
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
    counts = {}
    for category in ("hard_prompt", "creative_writing"):
        battles = new.load_judgments(["made"], "arena-hard-v2.0")
        battles = battles[battles.category == category].reset_index(drop=True)
        np.random.seed(42)
        new.print_leaderboard(battles, category)
        np.random.seed(42)
        new.print_leaderboard_with_style_features(battles, "arena-hard-v2.0", category, ["length", "markdown"])
        counts[category] = len(battles)
coefficients = [float(x) for x in said.getvalue().split("tensor([")[1].split("]")[0].split(",")]
for name, (mean, low, high) in zip(("v2", "v2_style", "creative", "creative_style"), caught):
    base = creative if name.startswith("creative") else BASE["v2"]
    expected[name] = {"battles": counts["creative_writing" if base == creative else "hard_prompt"], "models": {m.split("/")[-1]: [100 * float(x[m]) for x in (mean, low, high)] for m in mean.index if m != base}}
expected["v2_style"]["coefficients"] = coefficients
(out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
