"""lm-evaluation-harness (lm-eval 0.4.13) on GSM8K's form: both filters and exact_match on hostile texts, and greedy responses of the chat model of
make_scores.py to made questions -> OUTPUT/gsm8k, for tests/unit/test_gsm8k.c. Run by tests/oracle/evals.sh.

eval_gsm8k.py OUTPUT MODEL_FOLDER"""
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
import yaml
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.filters.extraction import RegexFilter
from lm_eval.models.huggingface import HFLM

torch.set_num_threads(1)
home = pathlib.Path(lm_eval.__file__).parent / "tasks"
out = pathlib.Path(sys.argv[1]) / "gsm8k"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(11)
task = yaml.safe_load((home / "gsm8k/gsm8k.yaml").read_text())
filters = {f["name"]: RegexFilter(**{k: v for k, v in f["filter"][0].items() if k != "function"}) for f in task["filter_list"]}
metric = {k: v for k, v in task["metric_list"][0].items() if k in ("ignore_case", "ignore_punctuation", "regexes_to_ignore")}

ANSWERS = ["He has 3 + 4 = <<3+4=7>>7.\n#### 7", "#### 1,234", "#### -12", "#### 5.", "#### 0.50\n", "no mark at all", "a #### 3\n#### 4", "#### $18", "####7", "#### 5.\n", "",
           "#### [INVALID]", "[Invalid]"]
TEXTS = ["#### 7", " #### 7.\n#### 8", "##### 7", "####  7", "#### -", "#### --7", "####7", "#### ,.,", "#### 1,234.", "The answer is $1,234.50.", "-5", "--5", "- 5", "$", "$$", "-$5", "-.",
         ".", "..", "5.", "5,", "x5y", "7 and -8, then 9.", "1e5", "\u0663\u0664", "\uff15\uff16", "caf\u00e9 12\u00e9", "", "no number", "#### \n7", "a\n#### 4\nb", "1.2.3.4", ",5", "-,", "-5-6", "5-",
         "#### 7 #### 9", "#### 12%", "#### $18", "\U0001f600 42 \U0001f600", "3\n.", "18$", "0", "#### 00018", "7,", "#### 7,"]
PIECES = ["#### ", "#", "-", "$", ".", ",", " ", "\n", "7", "18", "x", "\u00e9", "1,234", "####"]
TEXTS += ["".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 14))) for _ in range(300)]
cases = []
for i, text in enumerate(TEXTS):
    answer = ANSWERS[i % len(ANSWERS)]
    row = {"text": text, "answer": answer}
    for name, f in filters.items():
        got = f.apply([[text]], [{}])[0][0]
        row[name] = got
        row[name + " match"] = bool(exact_match_hf_evaluate(predictions=[got], references=[answer], **metric)["exact_match"])
    cases.append(row)
assert sum(r["strict-match match"] for r in cases) > 5 and sum(r["flexible-extract match"] for r in cases) > 20
(out / "filters.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in cases), encoding="utf-8")


def question():
    a, b = rng.randrange(2, 30), rng.randrange(2, 30)
    return {"question": f"Ann has {a} shells and finds {b}. How many?", "answer": f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}\n#### {a + b}"}


for name, n in (("rows", 6), ("shots", 2)):
    (out / f"{name}.jsonl").write_text("".join(json.dumps(question()) + "\n" for _ in range(n)))
model = HFLM(pretrained=sys.argv[2], dtype="float32", device="cpu", batch_size=1, max_length=1024)
model.model.generation_config.eos_token_id = [256, 258]  # every token that ends a turn ends a response, as rapt has it
result = {}
for name, chat in (("plain", False), ("chat", True)):
    more = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(out / "rows.jsonl"), "shots": str(out / "shots.jsonl")}}, "num_fewshot": 2,
            "training_split": None, "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}
    path = pathlib.Path(cache.name) / f"x_{name}.yaml"
    path.write_text(f"include: {home / 'gsm8k/gsm8k.yaml'}\ntask: x_{name}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in more.items()))
    r = lm_eval.simple_evaluate(model=model, tasks=[str(path)], bootstrap_iters=1, log_samples=True, random_seed=0, apply_chat_template=chat, fewshot_as_multiturn=True,
                                gen_kwargs={"max_gen_toks": 40})
    (key,) = r["results"]
    samples = sorted((s for s in r["samples"][key] if s["filter"] == "strict-match"), key=lambda s: s["doc_id"])
    result[name] = {"responses": [s["resps"][0][0] for s in samples], "context": samples[-1]["arguments"][0][0],
                    "figures": {k: v for k, v in r["results"][key].items() if "," in k}}
(out / "expected.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
