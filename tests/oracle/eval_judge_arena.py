"""Arena-Hard's own scripts ask a judge: gen_judgment.py of v0.1 (lmarena/arena-hard-auto at 4ce0f00) and of v2 (at 196f6b8) with a function in the place of the
client -> OUTPUT/bench_judge: what they asked, what they were told and the rows that they wrote, for tests/unit/test_bench_judge.c. Run by
tests/oracle/evals.sh, with RAPT_ARENA_HARD.

eval_judge_arena.py OUTPUT GIT_DIRECTORY"""
import hashlib
import importlib.util
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import types

import yaml

out = pathlib.Path(sys.argv[1]).resolve() / "bench_judge"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(31)
place = tempfile.TemporaryDirectory()
root = pathlib.Path(place.name)
asked = {}
SAID = ["My final verdict is tie: [[A=B]]", "[[A>B]] .. [[A>>B]]", "so [[B>>A]], again [[B>>A]]", "nothing", "[[a<b]] it is", "[B>A]", "[[[B>A]]]", "[[A]] [[B<A]]", "[[A > B]]", "", "[[A>>B]]",
        "[[B=A]] and [A>B]"]


def source(commit, path):
    return subprocess.run(["git", f"--git-dir={sys.argv[2]}", "show", f"{commit}:{path}"], check=True, capture_output=True).stdout


def load(name, data):
    path = root / f"{name}.py"
    path.write_bytes(data)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(messages, temperature, max_tokens):
    r = random.Random(hashlib.sha256(json.dumps(messages).encode()).hexdigest())
    text = r.choice(SAID)
    asked[json.dumps(messages)] = {"request": {"model": "judge", "messages": json.loads(json.dumps(messages)), "temperature": temperature, "max_tokens": max_tokens},
                                   "answer": {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}}
    return text


def rows_of(file):
    return [json.loads(x) for x in file.read_text().splitlines()]


def write(name, rows):
    (out / name).write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def keep_asked(name):
    write(name, [asked[k] for k in sorted(asked)])
    asked.clear()


# ---- v0.1 ----
sys.modules["utils"] = types.SimpleNamespace(**{n: None for n in ("load_questions", "chat_completion_openai", "chat_completion_openai_azure", "chat_completion_anthropic", "load_model_answers", "get_endpoint",
                                                                 "make_config")})
old = load("gen_judgment_v01", source("4ce0f00", "gen_judgment.py"))
configs = yaml.safe_load(source("4ce0f00", "config/judge_config.yaml"))
old.get_answer = lambda model, conv, temperature, max_tokens, endpoint: answer(conv, temperature, max_tokens)
old.endpoint_info = {"model_name": "judge"}
configs["judge_model"] = "judge"
questions = [{"question_id": f"q{i}", "category": "arena-hard-v0.1", "cluster": "c", "turns": [{"content": f"Do {{{i}}} {{answer_1}} \u6c34."}]} for i in range(24)]


def answers(model):
    return [{"question_id": q["question_id"], "answer_id": "x", "model_id": model, "choices": [{"index": 0, "turns": [{"content": f"{model} {rng.randrange(99)}", "token_len": 3}]}], "tstamp": 1.5}
            for q in questions]


own, base = answers("org/own"), answers("gpt-4-0314")
for name, rows in (("question", questions), ("own", own), ("base", base)):
    write(f"arena_v01_{name}.jsonl", rows)
file = root / "v01.jsonl"
for q, a, b in zip(questions, own, base):
    old.judgment(question=q, answer=a, reference=None, baseline_answer=b, configs=configs, output_file=file, endpoint_dict=None, regex_pattern=re.compile(configs["regex_pattern"]))
rows = rows_of(file)
(out / "arena_v01_expected.jsonl").write_text(file.read_text())
keep_asked("arena_v01_asked.jsonl")
print("v0.1:", [g["score"] for r in rows for g in r["games"]])

# ---- v2 ----
sys.modules["utils"] = types.ModuleType("utils")
sys.modules["utils.completion"] = types.SimpleNamespace(load_questions=None, registered_api_completion={"made": lambda messages, temperature, max_tokens, **_: {"answer": answer(messages, temperature, max_tokens)}},
                                                        load_model_answers=None, get_endpoint=lambda x: x, make_config=None)
sys.modules["utils.judge_utils"] = load("judge_utils", source("196f6b8", "utils/judge_utils.py"))
new = load("gen_judgment_v2", source("196f6b8", "gen_judgment.py"))
configs = yaml.safe_load(source("196f6b8", "config/arena-hard-v2.0.yaml"))
configs["judge_model"] = "judge"
CATEGORIES = ["hard_prompt", "creative_writing", "coding", "math"]
questions = [{"uid": f"u{i}", "category": CATEGORIES[i % 4], "subcategory": "s", "prompt": f"Do {{{i}}} {{ANSWER_A}} \u6c34."} for i in range(24)]


def answers2(model):
    return [{"uid": q["uid"], "ans_id": "x", "model": model, "messages": [{"role": "user", "content": q["prompt"]}, {"role": "assistant", "content": {"answer": f"{model} {rng.randrange(99)}"}}],
             "tstamp": 1.5, "metadata": {}} for q in questions]


sets = {m: answers2(m) for m in ("own", "o3-mini-2025-01-31", "gemini-2.0-flash-001")}
for name, rows in (("question", questions), ("own", sets["own"]), ("base", sets["o3-mini-2025-01-31"]), ("base_creative", sets["gemini-2.0-flash-001"])):
    write(f"arena_v2_{name}.jsonl", rows)
file = root / "v2.jsonl"
for i, q in enumerate(questions):
    base = sets[new.JUDGE_SETTINGS[q["category"]]["baseline"]][i]
    new.judgment({"question": q, "answer": sets["own"][i], "baseline": base, "reference": None, "configs": configs, "settings": {"api_type": "made", "endpoints": None}, "output_file": file})
rows = rows_of(file)
# their label table has no such label: show_result.py would end with KeyError, and rapt says that there is no verdict
known = {"A>B", "A>>B", "A=B", "A<<B", "A<B", "B>A", "B>>A", "B=A", "B<<A", "B<A"}
for r in rows:
    for g in r["games"]:
        if g["score"] not in known:
            g["score"] = None
write("arena_v2_expected.jsonl", rows)
keep_asked("arena_v2_asked.jsonl")
print("v2:", [g["score"] for r in rows for g in r["games"]])

# ---- markdown counts ----
sys.modules["tiktoken"] = types.ModuleType("tiktoken")
sys.modules["pandas"] = types.ModuleType("pandas")
info = load("add_markdown_info", source("196f6b8", "utils/add_markdown_info.py"))
TEXTS = ["", "# One\n## Two\n### Three\n#### 4\n##### 5\n###### 6\n####### 7\n#no\n #  no", "1. a\n2. b\n  10. c\n1.no\n1.\n2.", "- a\n* b\n+ c\n\t- d\n-e\n--- \n\n\n- f", "**a** **b*c** ** ** __d__ __e_f__ ____ **g\nh**",
         "x\n```\n# no\n- no\n**no**\n```\n# yes\n- no\n", "```a``` a a ```b\n```` 1. x", "```python\nx = 1\n```\n# x = 1\n```\n```", "\u0663. arabic\n\u2003- wide\n\u00a0* nbsp\n#\u00a0h", "\r\n# a\r\n- b\r\n1. c\r\n", "***a*** _b_ ___c___",
         "- \n- \n-\n- x", "#\n#\n# \n", "caf\u00e9 **\u00fc** \U0001f600\n1. \U0001f600"]
for _ in range(40):
    TEXTS.append("".join(rng.choice(["#", "##", " ", "\n", "- ", "* ", "1. ", "12.", "**", "__", "`", "```", "a", "b ", "\t", "\u00e9", "+"]) for _ in range(60)))
(out / "markdown.json").write_text(json.dumps([[t, info.count_markdown_elements(info.remove_pattern(t, re.compile("```([^`]*)```")), suffix="")] for t in TEXTS], ensure_ascii=False, indent=0) + "\n")
