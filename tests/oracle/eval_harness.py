"""lm-evaluation-harness (lm-eval 0.4.13) on small made questions with the chat model of make_scores.py: log-probs of every choice, accuracies and
standard errors -> OUTPUT/harness, for tests/unit/test_harness.c. Run by tests/oracle/evals.sh: it needs its own Python with lm-eval.

eval_harness.py OUTPUT MODEL_FOLDER"""
import json
import os
import pathlib
import random
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false")
cache = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = cache.name
import lm_eval
import torch
from lm_eval.loggers.evaluation_tracker import GeneralConfigTracker
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

torch.set_num_threads(1)
home = pathlib.Path(lm_eval.__file__).parent / "tasks"
out = pathlib.Path(sys.argv[1]) / "harness"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(5)

THINGS = ["the river", "a stone", "copper wire", "the 4th moon", "caf\u00e9 au lait", "na\u00efve guess", "seven bees", "\u6c34", "warm air", "x < y & z", "a \"quoted\" word"]
ENDS = ["sinks.", "is 12 m long", "melts at 30 \u00b0C", "has no colour", "grows", "moves north, then east", "is older", "stays.", "falls apart in \u20ac 5 steps"]


def phrase():
    return f"{rng.choice(THINGS)} {rng.choice(ENDS)}"


def write(name, rows):
    (out / f"{name}.jsonl").write_text("".join(json.dumps(r, ensure_ascii=rng.random() < 0.5) + "\n" for r in rows), encoding="utf-8")


def distinct(n):
    seen = []
    while len(seen) < n:
        p = phrase()
        if p not in seen:
            seen.append(p)
    return seen


def arc(n, labels):
    rows = []
    for i in range(n):
        own = labels[i % len(labels)]
        rows.append({"id": f"q{i}", "question": f"What can be said of {rng.choice(THINGS)}?", "choices": {"text": distinct(len(own)), "label": own},
                     "answerKey": rng.choice(own)})
    return rows


def truthful(n):
    rows = []
    for i in range(n):
        one, many = distinct(4), distinct(6)
        right = rng.randrange(1, 4)
        rows.append({"question": f"Is it so that {phrase()}?", "mc1_targets": {"choices": one, "labels": [1, 0, 0, 0]},
                     "mc2_targets": {"choices": many, "labels": [1] * right + [0] * (6 - right)}})
    return rows


def gpqa(n):
    rows = []
    for i in range(n):
        a = distinct(4)
        if i == 1:
            a[1] = "  two  blanks [title] here "
        if i == 2:
            a[3] = "kept [and dropped] words"
        if i == 3:
            a[0] = None
        if i == 4:
            a[2] = a[3]
        rows.append({"Question": f" Which of these: {phrase()}", "Correct Answer": a[3], "Incorrect Answer 1": a[0], "Incorrect Answer 2": a[1], "Incorrect Answer 3": a[2]})
    return rows


def musr(n):
    rows = []
    for i in range(n):
        names = [["Ann", "Bob"], ["it's here", "there"], ["a \"box\"", "it's a 'case'", "shelf"]][i % 3]
        at = rng.randrange(len(names))
        rows.append({"narrative": " ".join(phrase() for _ in range(3)), "question": "Who did it?", "choices": str(names), "answer_index": at, "answer_choice": names[at]})
    return rows


def bbh(n):
    return [{"input": f"not ( {rng.choice(['True', 'False'])} ) and {rng.choice(['True', 'False'])} is", "target": rng.choice(["True", "False"])} for _ in range(n)]


write("arc", arc(12, [list("ABCD"), list("1234"), list("ABCDE"), list("ABC")]))
write("arc_shots", arc(3, [list("ABCD")]))
write("truthful", truthful(6))
write("gpqa", gpqa(8))
write("musr", musr(6))
write("bbh", bbh(8))
# Of the leaderboard's task: what rapt reads of such a file. The texts are ours, the form is the harness's.
(out / "bbh.yaml").write_text("""dataset_name: negations
description: 'Say what a negation gives.'
doc_to_choice: ["False", "True"]
fewshot_config:
  sampler: first_n
  samples:
  - input: not ( True ) is
    target: 'False'
  - input: |-
      not not
      True is
    target: 'True'
  - input: 'not ( ( False ) ) is'
    target: 'True'
include: _fewshot_template_yaml
task: leaderboard_bbh_negations
""")

cases = [
    ("arc_challenge", "arc/arc_challenge.yaml", "arc", "test", {}, {}),
    ("arc_3shot", "arc/arc_challenge.yaml", "arc", "test", {"num_fewshot": 3, "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}, {}),
    ("arc_chat", "arc/arc_easy.yaml", "arc", "test", {}, {"apply_chat_template": True}),
    ("arc_chat_3shot", "arc/arc_easy.yaml", "arc", "test", {"num_fewshot": 3, "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}},
     {"apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Be brief."}),
    ("arc_chat_one_turn", "arc/arc_easy.yaml", "arc", "test", {"num_fewshot": 3, "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}},
     {"apply_chat_template": True, "fewshot_as_multiturn": False, "system_instruction": "Be brief."}),
    ("truthfulqa_mc1", "truthfulqa/truthfulqa_mc1.yaml", "truthful", "validation", {}, {}),
    ("truthfulqa_mc2", "truthfulqa/truthfulqa_mc2.yaml", "truthful", "validation", {}, {}),
    ("gpqa_zeroshot", "gpqa/zeroshot/_gpqa_zeroshot_yaml", "gpqa", "train", {}, {}),
    ("leaderboard_gpqa", "leaderboard/gpqa/_template_yaml", "gpqa", "train", {}, {}),
    ("leaderboard_musr", "leaderboard/musr/_template_yaml", "musr", "test", {"test_split": "test"}, {}),
    ("leaderboard_bbh_negations", None, "bbh", "test", {"num_fewshot": 3}, {}),
]
model = HFLM(pretrained=sys.argv[2], dtype="float32", device="cpu", batch_size=1, max_length=1024)
tables = pathlib.Path(cache.name) / "tasks"
tables.mkdir()
(tables / "_fewshot_template_yaml").write_text((home / "leaderboard/bbh_mc/_fewshot_template_yaml").read_text())
result = {}
for name, source, data, split, more, call in cases:
    files = {split: str(out / f"{data}.jsonl")}
    if "fewshot_split" in more:
        files["shots"] = str(out / f"{data}_shots.jsonl")
    base = f"include: {home / source}\n" if source else (out / "bbh.yaml").read_text()
    base = "".join(line for line in base.splitlines(True) if not line.startswith(("task:", "dataset_name:")))
    more = dict(more, dataset_path="json", dataset_name=None, dataset_kwargs={"data_files": files})
    if source:
        more["training_split"] = split if split == "train" else None
        if split == "test":
            more["validation_split"] = None
    (tables / f"{name}.yaml").write_text(base + f"task: x_{name}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in more.items()))
    random.seed(0)
    r = lm_eval.simple_evaluate(model=model, tasks=[str(tables / f"{name}.yaml")], bootstrap_iters=1, log_samples=True, random_seed=0, **call)
    (key,) = r["results"]
    samples = sorted(r["samples"][key], key=lambda s: s["doc_id"])
    result[name] = {
        "data": data, "shots": more.get("num_fewshot", 0), "chat": bool(call.get("apply_chat_template")), "multiturn": call.get("fewshot_as_multiturn", True),
        "system": call.get("system_instruction"),
        "figures": {k: v for k, v in r["results"][key].items() if "," in k},
        "logps": [[float(x[0][0]) for x in s["resps"]] for s in samples],
        "greedy": [[str(x[0][1]) == "True" for x in s["resps"]] for s in samples],
        "acc": [s.get("acc", s.get("acc_norm")) for s in samples],
        "context": samples[-1]["arguments"]["gen_args_0"]["arg_0"] if isinstance(samples[-1]["arguments"], dict) else samples[-1]["arguments"][0][0],
        "last": samples[-1]["arguments"]["gen_args_0"]["arg_1"] if isinstance(samples[-1]["arguments"], dict) else samples[-1]["arguments"][0][1]}
# What its files call a model: of an adapter on a model, the adapter.
names = []
for args in ({"pretrained": "models/some.gguf"}, {"pretrained": "org/model", "peft": "runs/ra"}, {"pretrained": "m", "peft": "a//b:c?*d[1]<2>|\"e\\\\f"}):
    tracker = GeneralConfigTracker()
    tracker.log_experiment_args("rapt", args, None, None, False)
    names.append({"model_args": args, "model_name": tracker.model_name, "model_name_sanitized": tracker.model_name_sanitized})
(out / "names.json").write_text(json.dumps(names, indent=1) + "\n")
(out / "expected.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
