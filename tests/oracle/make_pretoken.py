"""What llama.cpp (PyPI xllamacpp) makes of awkward texts under every pre-tokenizer name of the table in src/text/pretoken_table.c.

Writes OUTPUT_FOLDER/pretoken/base.gguf, a byte-level vocabulary whose merges cross every boundary (its last key is tokenizer.ggml.pre, so
that a test can put another name there), chars.gguf, the same over characters, and cases.json: {"texts": [...], "names": {NAME: [ids...]}}.
Needs: tokenizers, gguf, xllamacpp; without the last the stored cases are copied.
usage: make_pretoken.py OUTPUT_FOLDER"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import gguf
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mixed_text import SAMPLES, mixed_text

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "../../src/text/pretoken_table.c")
EXTRA = ["1234567 12 123 1234 ٣٤٥٦ ½", "camelCaseWord XMLHttpRequest iPhone12Pro HELLOworld's", "a  b   c\n\n  d \t\n e\r\n", "x!!! y?! ...//\n// ({[<|>]})~",
         "I'm you'RE it's 'twas don't", "中文ひらがなカタ한국어 abc中文123", "  leading and trailing  ", "\n\nword\nword \n"]
# Texts where llama.cpp's own matcher differs from the model's expression, which is what Hugging Face tokenizers and we follow: it takes
# some small letters outside ASCII for capitals, and its digits are ASCII's only.
DEVIATES = {"youtu": [9], "tiny_aya": [9], "kimi-k2": [9], "superbpe": [0]}
TEXTS = EXTRA + [SAMPLES[i] for i in (0, 1, 3, 4, 8, 14, 15, 17, 22)]


def names():
    """The first name of every row, with its flags."""
    source = open(TABLE, encoding="utf-8").read()
    source = source[source.index("const struct pretoken_row"):]
    for row in re.findall(r'\n    \{("[^{]*?),\s*\{(.*?)\}, *\n? *NORMAL_\w+, *\n? *([\w |]+)\}', source, re.S):
        joined = "".join(re.findall(r'"([^"]*)"', row[0]))
        yield joined.split(",")[0], row[2]


def train(chars):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace(split=False, prepend_scheme="never") if chars else pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = [] if chars else pre_tokenizers.ByteLevel.alphabet()
    lines = [line for line in TEXTS for _ in range(3)] + mixed_text(40_000).split("\n\n")
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, max_token_length=8, show_progress=False))
    return json.loads(t.to_str())["model"]


def write(path, model, chars, name, body):
    front = ["<unk>", "<s>", "</s>"] + ([f"<0x{i:02X}>" for i in range(256)] if chars else [])
    tokens = front + [x for x in sorted(model["vocab"], key=model["vocab"].get) if x not in front]
    w = gguf.GGUFWriter(path, "llama")
    n, d = len(tokens), 32
    if body:
        w.add_context_length(128), w.add_embedding_length(d), w.add_block_count(1), w.add_feed_forward_length(d), w.add_head_count(1)
        w.add_head_count_kv(1), w.add_layer_norm_rms_eps(1e-5), w.add_rope_dimension_count(d), w.add_vocab_size(n)
        shapes = {"attn_norm": (d,), "ffn_norm": (d,), **{k: (d, d) for k in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}}
        for key, shape in {"token_embd": (n, d), "output_norm": (d,), "output": (n, d), **{f"blk.0.{k}": s for k, s in shapes.items()}}.items():
            w.add_tensor(key + ".weight", np.zeros(shape, dtype=np.float32))
    w.add_tokenizer_model("gpt2")
    w.add_token_list(tokens)
    w.add_token_types([2, 3, 3] + ([6] * 256 if chars else []) + [1] * (n - len(front)))
    w.add_token_merges([" ".join(m) for m in model["merges"]])
    w.add_unk_token_id(0), w.add_bos_token_id(1), w.add_eos_token_id(2)
    w.add_tokenizer_pre(name)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def llama_ids(path):
    import xllamacpp
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.warmup = path, 64, False
    server = xllamacpp.Server(p)

    def one(text):
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        request = urllib.request.Request(server.listening_address + "/tokenize", data=body, headers={"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request).read())["tokens"]

    return [one(x) for x in TEXTS]


def main(out):
    os.makedirs(out, exist_ok=True)
    trained = {chars: train(chars) for chars in (False, True)}
    write(f"{out}/base.gguf", trained[False], False, "default", False)
    write(f"{out}/chars.gguf", trained[True], True, "default", False)
    try:
        import xllamacpp  # noqa: F401
    except ImportError:
        shutil.copy(os.path.join(HERE, "../golden/pretoken/cases.json"), out)
        return
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, flags in names():
            path = f"{folder}/{name}.gguf"
            write(path, trained["PRE_CHARS" in flags], "PRE_CHARS" in flags, name, True)
            r = subprocess.run([sys.executable, __file__, "--ids", path], capture_output=True, text=True)  # a process each: it may abort
            found = [line for line in r.stdout.splitlines() if line.startswith("IDS ")]
            if found:
                cases[name] = [None if i in DEVIATES.get(name, []) else ids for i, ids in enumerate(json.loads(found[0][4:]))]
            else:
                print(f"{name}: llama.cpp failed: {(r.stderr or r.stdout)[-300:]}")
            os.unlink(path)
    with open(f"{out}/cases.json", "w", encoding="utf-8") as f:
        rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in cases.items())
        f.write(f'{{"texts": {json.dumps(TEXTS)},\n"names": {{\n{rows}}}}}\n')


if __name__ == "__main__":
    if sys.argv[1] == "--ids":
        print("IDS " + json.dumps(llama_ids(sys.argv[2])), flush=True)
        os._exit(0)
    main(os.path.join(sys.argv[1], "pretoken"))
