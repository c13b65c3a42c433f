"""FastChat's show_result.py (fschat 0.2.36) on made judgements -> OUTPUT/mt_bench, for tests/unit/test_mt_bench.c. Run by tests/oracle/evals.sh.

eval_mt_bench.py OUTPUT"""
import importlib.util
import json
import pathlib
import random
import re
import sys
import types

import pandas as pd

# Of the package only these files are needed; the package's own __init__ asks for much more.
import importlib.metadata

root = next(p for p in importlib.metadata.files("fschat") if str(p).endswith("llm_judge/show_result.py")).locate()
spec = importlib.util.spec_from_file_location("show_result", root)
show = importlib.util.module_from_spec(spec)
spec.loader.exec_module(show)
common = pathlib.Path(root).with_name("common.py").read_text()
patterns = [eval(re.search(rf'{name} = re.compile\((".*")\)', common).group(1)) for name in ("one_score_pattern", "one_score_pattern_backup")]

out = pathlib.Path(sys.argv[1]) / "mt_bench"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(4)
CATEGORIES = ["writing", "math", "stem", "of its own"]
questions = [{"question_id": 81 + i, "category": CATEGORIES[i % 4], "turns": [f"Do {i}.", f"Now {i} again."]} for i in range(12)]
single, pair = [], []
for model, level in (("one", 5), ("two", 7)):
    for q in questions:
        for turn in (1, 2):
            if rng.random() < 0.1:
                continue
            score = -1 if rng.random() < 0.1 else rng.choice([rng.randrange(1, 11), round(rng.uniform(1, 10), 1), level])
            single.append({"question_id": q["question_id"], "model": model, "judge": ["made", "single-v1"], "judgment": "", "score": score, "turn": turn, "tstamp": 1.5})
for q in questions:
    for turn in (1, 2):
        for other in ("two", "three"):
            w = [rng.choice(["model_1", "model_2", "tie", "model_1", "error" if rng.random() < 0.2 else "tie"]) for _ in range(2)]
            pair.append({"question_id": q["question_id"], "model_1": "one", "model_2": other, "g1_winner": w[0], "g2_winner": w[1], "turn": turn})
for name, rows in (("question", questions), ("single", single), ("pair", pair)):
    (out / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))

caught = []
show.print = lambda x, *more: caught.append(x)


def run(function, **more):
    caught.clear()
    function(types.SimpleNamespace(**{"bench_name": "mt_bench", "judge_model": "made", "model_list": None, "baseline_model": None, **more}))
    return [x for x in caught if isinstance(x, pd.DataFrame)]


def means(frame):
    return {(k if isinstance(k, str) else k[0]): float(v) for k, v in frame["score"].items()}


expected = {"single": dict(zip(("turn_1", "turn_2", "average"), map(means, run(show.display_result_single, input_file=str(out / "single.jsonl")))))}
category = {q["question_id"]: q["category"] for q in questions}
expected["categories"] = {}
for c in CATEGORIES:
    part = out / "part.jsonl"
    part.write_text("".join(json.dumps(r) + "\n" for r in single if category[r["question_id"]] == c))
    expected["categories"][c] = dict(zip(("turn_1", "turn_2", "average"), map(means, run(show.display_result_single, input_file=str(part)))))
    part.unlink()
for name, more in (("pairs", {}), ("pairs_two", {"baseline_model": "two"})):
    (frame,) = run(show.display_result_pairwise, input_file=str(out / "pair.jsonl"), **more)
    expected[name] = {m: {k: float(v) for k, v in row.items()} for m, row in frame.to_dict("index").items()}
TEXTS = ["Rating: [[7]]", "[[10]] and [[3]]", "[7]", "[x] [[8.5]]", "[[8.]]", "[[.5]]", "[[7/10]] [6]", "none", "[[ 7]]", "[7.25] [[x]]", "[[1.2.3]] [4]", "[[[9]]]", "[]", "[[", "[[5", "[[5]", "", "[[12]]",
         "[[7]] [[-1]]"]
grades = []
for text in TEXTS:
    match = re.search(patterns[0], text) or re.search(patterns[1], text)
    grades.append([text, float(match.groups()[0]) if match else -1.0])
expected["grades"] = grades
(out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
