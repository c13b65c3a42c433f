"""Token ids and labels of SFT rows as TRL makes them: SFTTrainer._prepare_dataset itself (assistant_only_loss, completion_only_loss, max_length),
with the tokenizers of tests/golden/tokenizer; masks of {% generation %} blocks are transformers' return_assistant_tokens_mask.

Writes OUTPUT_FOLDER/sft/cases.json: {"models": [{"tokenizer", "post", "config"}], "rows": [...], "cases": [{"model", "assistant_only",
"completion_only", "max_length", "rows": [{"ids", "mask"}, null where the row is dropped, "error" where TRL refuses]}]}. mask: 1 where labels are
not -100. And OUTPUT_FOLDER/sft/loss.json: {"chat_template", "rows", "losses": [{"options": rapt train's, "loss": transformers' mean over these
labels on llama_tiny, "tokens": how many}]}.
usage: make_sft.py OUTPUT_FOLDER"""
import copy
import json
import logging
import pathlib
import types

import datasets
import jinja2
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTTrainer
from trl.chat_template_utils import has_generation_markers

from oracle import out

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
HEAD = "{% for m in messages %}"
TAIL = "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
# The end of the turn is the assistant's.
TURNS = (HEAD + "{% if m.role == 'assistant' %}<s>assistant\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{{ '\n' }}"
         "{% else %}<s>{{ m.role }}\n{{ m.content }}<|im_end|>{{ '\n' }}{% endif %}" + TAIL)
# The block begins with a blank and ends without the end of the turn; lines are trimmed around it.
BLANK = ("{{ bos_token }}\n{%- for m in messages %}\n    {%- if m.role == 'assistant' -%}\n        {%- generation -%}\n {{ ' ' + m.content }}\n"
         "        {%- endgeneration -%}\n{{ eos_token }}\n    {%- else %}[{{ m.content }}]{% endif %}\n{%- endfor %}")
# In a macro, whose place in the text transformers takes for where the text had got to.
MACRO = ("{% macro say(m) %}A:{% generation %}{{ m.content }}{% endgeneration %}</s>{% endmacro %}"
         + HEAD + "{% if m.role == 'assistant' %}{{ say(m) }}{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}")
# Two blocks a turn, one of them often empty, and a variable of the row's.
THINK = (HEAD + "{% if m.role == 'assistant' %}A:{% generation %}{% if think is defined and think %}<tab>{{ m.thinking }}{% endif %}{% endgeneration %}"
         " {% set x %}{% generation %}{{ m.content }}{% endgeneration %}{% endset %}{{ x }}{% generation %}</s>{% endgeneration %}"
         "{% else %}U:{{ m.content }}{{ tools[0].name if tools }}\n{% endif %}{% endfor %}")
NONE = HEAD + "{{ m.role }}:{{ m.content }}{% endfor %}"
TRIM = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
KEEP = dict(TRIM, add_prefix_space=True)
S = {"bos_token": "<s>", "eos_token": "</s>"}
MODELS = [("smollm.json", None, {"bos_token": "<s>", "eos_token": "<|im_end|>", "chat_template": TURNS}),
          ("smollm.json", TRIM, dict(S, chat_template=BLANK)), ("gpt2.json", KEEP, dict(S, chat_template=BLANK)),
          ("llama3.json", None, dict(S, chat_template=MACRO)), ("llama2.json", None, dict(S, chat_template=TURNS)),
          ("llama2.json", None, dict(S, chat_template=BLANK)), ("gemma.json", None, dict(S, chat_template=THINK)),
          ("gpt2.json", None, dict(S, chat_template=THINK)), ("metaspace.json", None, dict(S, chat_template=TURNS)),
          ("smollm.json", TRIM, dict(S, chat_template=TURNS)), ("gpt2.json", KEEP, dict(S, chat_template=MACRO)),
          ("smollm.json", None, dict(S, chat_template=NONE))]
MODES = [(True, True, None), (True, False, 24), (True, True, 24), (False, False, None), (False, False, 24), (False, False, 5), (False, True, 24)]


def talk(*texts, **more):
    return [dict({"role": "assistant" if i % 2 else "user", "content": t}, **(more if i % 2 else {})) for i, t in enumerate(texts)]


LONG = "tell me all about the score of the cat that sat on the mat, and why the dog ran home again 1234"
ROWS = [
    {"messages": talk("hello there", "hi, a score of 8")},
    {"messages": [{"role": "system", "content": "Overall score: 8."}] + talk("one", " two ", "three", "score 4 ", LONG, "five\n")},
    {"messages": talk("why?", LONG + " 😀é 日本語 score")},
    {"messages": talk(LONG, "the mat")},
    {"messages": talk("x", "y  <tab>  z", "and?")},
    {"messages": talk("cafe\u0301 au lait", "un cafe\u0301 s'il vous plai\u0302t", "e\u0301", "ok")},
    {"messages": talk("q", "\u0301a", "r", "b")},
    {"messages": talk("q", "", "r", "b")},
    {"messages": talk("q", "a", thinking="hm, score"), "chat_template_kwargs": {"think": True}},
    {"messages": talk("q", "a", thinking="hm"), "chat_template_kwargs": {"think": False}, "tools": [{"name": "f"}]},
    {"messages": [{"role": "user", "content": "q", "name": None}, {"role": "assistant", "content": None, "name": "b"}]},
    {"prompt": talk("one", "two", "three"), "completion": [{"role": "assistant", "content": "four, a score"}]},
    {"prompt": talk(LONG), "completion": [{"role": "assistant", "content": "short"}]},
    {"prompt": talk("q"), "completion": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c 9"}]},
    {"prompt": "The sky is", "completion": " blue."},
    {"prompt": LONG, "completion": " because."},
    {"text": "a score of 8 and no more"},
]


def tokenizer_of(name, post, config):
    text = json.loads((GOLDEN / "tokenizer" / name).read_text(encoding="utf-8"))
    if post:
        text["post_processor"] = post
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(text)), **config)


def prepare(tokenizer, row, assistant_only, completion_only, max_length):
    if assistant_only and ("text" in row or isinstance(row.get("prompt"), str) or not has_generation_markers(tokenizer.chat_template)):
        return "error"  # SFTTrainer.__init__: not conversational, or a template without marks that has no stand-in
    me = types.SimpleNamespace(_tokenizer=tokenizer, chat_template=None, completion_only_loss=completion_only)
    args = types.SimpleNamespace(dataset_num_proc=None, assistant_only_loss=assistant_only, max_length=max_length, truncation_mode="keep_start",
                                 dataset_text_field="text", shuffle_dataset=False, seed=1)
    data = datasets.IterableDataset.from_generator(lambda: iter([copy.deepcopy(row)]))
    try:
        rows = list(SFTTrainer._prepare_dataset(me, data, tokenizer, args, False, None, "train"))
    except (RuntimeError, OverflowError, jinja2.TemplateError):
        return "error"
    if not rows:
        return None
    return {"ids": rows[0]["input_ids"], "mask": [int(v != -100) for v in rows[0]["labels"]]}


def losses(folder):
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "llama_tiny")
    tokenizer.chat_template = ("{% for m in messages %}{% if m.role == 'assistant' %}that{% generation %}{{ m.content }}</s>{% endgeneration %}"
                               "{% else %}the{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}that{% endif %}")
    model = LlamaForCausalLM.from_pretrained(GOLDEN / "llama_tiny", dtype=torch.float64, attn_implementation="eager")
    rows = [{"messages": talk(" had sat", " on ate home", " so the dog", " red")}, {"messages": talk(" dog", " again and then the", " had")},
            {"messages": talk(" red that ate so dog had on red", " so")}]
    result = []
    for options, mode in (("--assistant-only-loss", (True, True, 24)), ("--assistant-only-loss --max-length 10", (True, True, 10)),
                          ("--completion-only-loss false", (False, False, 24)), ("--completion-only-loss false --max-length 6", (False, False, 6))):
        total = tokens = 0
        for row in rows:
            x = prepare(tokenizer, row, *mode)
            if x is None:
                continue
            with torch.no_grad():
                logps = torch.log_softmax(model(torch.tensor([x["ids"]])).logits[0].double(), -1)
            for i in range(1, len(x["ids"])):
                if x["mask"][i]:
                    total, tokens = total - float(logps[i - 1, x["ids"][i]]), tokens + 1
        result.append({"options": options, "loss": total / tokens, "tokens": tokens})
    (folder / "loss.json").write_text(json.dumps({"chat_template": tokenizer.chat_template, "rows": rows, "losses": result}, indent=1) + "\n", encoding="utf-8")


def main():
    logging.disable(logging.WARNING)
    cases = []
    for m, model in enumerate(MODELS):
        tokenizer = tokenizer_of(*model)
        for assistant_only, completion_only, max_length in MODES:
            if model[2]["chat_template"] == NONE and not assistant_only:
                continue
            cases.append({"model": m, "assistant_only": assistant_only, "completion_only": completion_only, "max_length": max_length or 0,
                          "rows": [prepare(tokenizer, r, assistant_only, completion_only, max_length) for r in ROWS]})
    result = {"models": [{"tokenizer": n, "post": p, "config": c} for n, p, c in MODELS], "rows": ROWS, "cases": cases}
    folder = out("sft")
    losses(folder)
    (folder / "cases.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


main()
