"""Small byte-level BPE tokenizers trained on a text of our own, and the ids that Hugging Face tokenizers gives for awkward texts.

Writes OUTPUT_FOLDER/tokenizer/{gpt2,llama3,smollm}.json and cases.json. Needs: tokenizers.
usage: make_tokenizer.py OUTPUT_FOLDER"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXT = """The tokenizer cuts a text into pieces, and pieces into tokens. It's what we've always done: 1, 12, 123, 1234.
Überall gibt es Wörter; là-bas aussi. Числа и слова. 数字と言葉. It isn't they're I'll you'd.
    indented code: for (int i = 0; i < n; i++) { sum += x[i]; }
Overall score: 10. Overall score: 8.5. Overall score: 2.
""" * 4
ALPHABET = list("aZ'sTt\u017fK  \t\r\n\u00a0\u3000\u00e9e\u0301\u00f1\u4e2d\u6587\u3072\ud55c\u0661\u09e9\u00bd\u00b2\u2167\U0001f600!?.,-_<|>\\/\u2019\u200b\ufeff09")


def build(kind):
    t = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    if kind == "gpt2":
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        t.normalizer = normalizers.NFC()
    elif kind == "smollm":
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)])
    else:
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>", "<|im_end|>"], show_progress=False))
    t.add_tokens([AddedToken("score", single_word=True), AddedToken("<tab>", lstrip=True, rstrip=True, normalized=False)])
    if kind == "llama3":
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return t


def main(out):
    rng = random.Random(7)
    texts = ["", " ", "Hello, world! It's 1234.", "a<|im_end|>b </s><s>", "score scores my score.", "x  <tab>  y", "Overall score: 8.5.", "\n\n  \n x", "I'LL we'VE \u017ft'\u017f"]
    texts += ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 24))) for _ in range(120)]
    texts += ["ab" * 300, " " * 200 + "x"]
    cases = {}
    for kind in ("gpt2", "smollm", "llama3"):
        t = build(kind)
        t.save(f"{out}/{kind}.json", pretty=False)
        cases[kind] = [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids, "special": t.encode(x).ids} for x in texts]
    with open(f"{out}/cases.json", "w", encoding="utf-8") as f:
        f.write("{\n")
        for i, (kind, rows) in enumerate(cases.items()):
            f.write(f'"{kind}": [\n' + ",\n".join(json.dumps(r, ensure_ascii=True) for r in rows) + "]" + (",\n" if i < 2 else "\n"))
        f.write("}\n")


if __name__ == "__main__":
    folder = os.path.join(sys.argv[1], "tokenizer")
    os.makedirs(folder, exist_ok=True)
    main(folder)
