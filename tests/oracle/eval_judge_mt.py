"""FastChat asks a judge: gen_judgment.py and common.py of fschat 0.2.36 with a function in the place of OpenAI's client -> OUTPUT/bench_judge: what they asked,
what they were told and the rows that they wrote, for tests/unit/test_bench_judge.c. The prompts are prompts/mt_bench.jsonl. Run by tests/oracle/evals.sh.

eval_judge_mt.py OUTPUT"""
import contextlib
import hashlib
import io
import json
import pathlib
import random
import sys
import types

sys.modules["openai"] = types.ModuleType("openai")
sys.modules["anthropic"] = types.ModuleType("anthropic")
adapter = types.ModuleType("fastchat.model.model_adapter")
model = types.ModuleType("fastchat.model")
model.__path__ = []
sys.modules["fastchat.model"], sys.modules["fastchat.model.model_adapter"] = model, adapter
from fastchat.conversation import get_conv_template

# model_adapter.py: ChatGPTAdapter
adapter.get_conversation_template = lambda name: get_conv_template("chatgpt")
adapter.ANTHROPIC_MODEL_LIST, adapter.OPENAI_MODEL_LIST = (), ("judge",)
from fastchat.llm_judge import common, gen_judgment

out = pathlib.Path(sys.argv[1]) / "bench_judge"
out.mkdir(parents=True, exist_ok=True)
prompts_file = pathlib.Path(__file__).parents[2] / "prompts/mt_bench.jsonl"
rng = random.Random(21)
asked = {}
SINGLE = ["Rating: [[7]]", "[[10]] and [[3]]", "Well: [6.5]", "none", "[[8.5]]", "[[ 7]]", "Rating: [[2]]", "[7/10]", ""]
PAIR = ["I say [[A]]", "[[B]]", "[[C]] it is", "[[B]] .. [[A]]", "[A]", "no verdict", "[[C]] or [[B]]", "[[A]]"]


def answer(name, conv, temperature, max_tokens, api_dict=None):
    messages = conv.to_openai_api_messages()
    r = random.Random(hashlib.sha256(json.dumps(messages).encode()).hexdigest())
    text = r.choice(PAIR if "[[C]]" in messages[0]["content"] else SINGLE)
    asked[json.dumps(messages)] = {"request": {"model": name, "messages": messages, "temperature": temperature, "max_tokens": max_tokens},
                                   "answer": {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}}
    return text


common.chat_completion_openai = answer
CATEGORIES = ["writing", "math", "stem", "coding", "reasoning"]
questions = [{"question_id": 81 + i, "category": CATEGORIES[i % 5], "turns": [f"Do {i}.", f"Now {{{i}}} again."]} for i in range(15)]
questions.append({"question_id": 120, "category": "math", "turns": ["One turn {question}."]})
answers = {m: {q["question_id"]: {"question_id": q["question_id"], "answer_id": "x", "model_id": m, "choices": [{"index": 0, "turns": [f"{m} {rng.randrange(99)} to {t} \u00e9{{}}" for t in q["turns"]]}],
                                  "tstamp": 1.5} for q in questions} for m in ("own", "base")}
refs = {"judge": {q["question_id"]: {"question_id": q["question_id"], "answer_id": "y", "model_id": "gpt-4", "choices": [{"index": 0, "turns": [f"ref {rng.randrange(99)} to {t}" for t in q["turns"]]}],
                                     "tstamp": 1.5} for q in questions if q["category"] in common.NEED_REF_CATS}}
for name, rows in (("mt_question", questions), ("mt_own", answers["own"].values()), ("mt_base", answers["base"].values()), ("mt_reference", refs["judge"].values())):
    (out / f"{name}.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
prompts = common.load_judge_prompts(prompts_file)
plain = [q for q in questions if q["category"] not in common.NEED_REF_CATS]
hard = [q for q in questions if q["category"] in common.NEED_REF_CATS]
for kind, make, judges, play, baseline in (
    ("single", gen_judgment.make_match_single, gen_judgment.make_judge_single("judge", prompts), common.play_a_match_single, None),
    ("pair", gen_judgment.make_match, gen_judgment.make_judge_pairwise("judge", prompts), common.play_a_match_pair, "base"),
):
    asked.clear()
    matches = make(plain, ["own"], answers, judges["default"], baseline)
    matches += make(hard, ["own"], answers, judges["math"], baseline, refs)
    matches += make(plain, ["own"], answers, judges["default-mt"], baseline, multi_turn=True)
    matches += make(hard, ["own"], answers, judges["math-mt"], baseline, refs, multi_turn=True)
    with contextlib.redirect_stdout(io.StringIO()):
        rows = [play(m, output_file=None) for m in matches]
    for row in rows:
        row["tstamp"] = 1.5
    (out / f"mt_{kind}_expected.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    (out / f"mt_{kind}_asked.jsonl").write_text("".join(json.dumps(asked[k], ensure_ascii=False) + "\n" for k in sorted(asked)))
    print(kind, len(asked), "asked,", len(rows), "rows")
