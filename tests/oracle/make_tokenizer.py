"""Small tokenizers trained on a text of our own, and the ids and texts that Hugging Face tokenizers gives for awkward texts.

Writes OUTPUT_FOLDER/tokenizer/KIND.json for byte-level BPE (gpt2, llama3, smollm) and BPE over characters (llama2, gemma, metaspace, mixed),
and cases.json. Needs: tokenizers.
usage: make_tokenizer.py OUTPUT_FOLDER"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

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
        t.decoder = decoders.ByteLevel()
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


def char_model(train_with, **options):
    """BPE over characters with <unk>, <s>, </s> and the 256 byte tokens in front, as SentencePiece models have them."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = train_with
    t.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=260, show_progress=False))
    trained = json.loads(t.to_str())["model"]
    pieces = sorted(trained["vocab"], key=trained["vocab"].get)
    front = ["<unk>", "<s>", "</s>"] + ([f"<0x{i:02X}>" for i in range(256)] if options.get("byte_fallback") else [])
    vocab = {text: i for i, text in enumerate(front + pieces)}
    t = Tokenizer(models.BPE(vocab, [tuple(m) for m in trained["merges"]], unk_token="<unk>", **options))
    t.add_special_tokens(["<unk>", "<s>", "</s>", "<|im_end|>"])
    return t


def build_chars(kind):
    mark = "\u2581"
    if kind == "llama2":
        t = char_model(pre_tokenizers.Metaspace(), byte_fallback=True, fuse_unk=True)
        t.normalizer = normalizers.Sequence([normalizers.Prepend(mark), normalizers.Replace(" ", mark)])
        t.decoder = decoders.Sequence([decoders.Replace(mark, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    elif kind == "gemma":
        t = char_model(pre_tokenizers.Metaspace(split=False), byte_fallback=True, fuse_unk=True)
        t.normalizer = normalizers.Replace(" ", mark)
        t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        t.decoder = decoders.Sequence([decoders.Replace(mark, " "), decoders.ByteFallback(), decoders.Fuse()])
    elif kind == "metaspace":
        t = char_model(pre_tokenizers.Metaspace(), ignore_merges=True)
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        t.decoder = decoders.Metaspace(prepend_scheme="first")
    else:
        t = char_model(pre_tokenizers.Metaspace(), fuse_unk=True)
        t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Digits(), pre_tokenizers.Metaspace()])
        t.decoder = decoders.Sequence([decoders.Strip(mark, 1, 0), decoders.Replace(mark, " ")])
    t.add_tokens([AddedToken("score", single_word=True), AddedToken("<tab>", lstrip=True, rstrip=True, normalized=False)])
    return t


def case(t, text):
    ids, special = t.encode(text, add_special_tokens=False).ids, t.encode(text).ids
    row = {"text": text, "ids": ids}
    if special != ids:
        row["special"] = special
    if t.decoder is not None:
        row["decoded"] = t.decode(special, skip_special_tokens=False)
        row["skipped"] = t.decode(special, skip_special_tokens=True)
        for key in ("decoded", "skipped"):
            if row[key] == text:
                row[key] = 1
    return row


def main(out):
    rng = random.Random(7)
    texts = ["", " ", "Hello, world! It's 1234.", "a<|im_end|>b </s><s>", "score scores my score.", "x  <tab>  y", "Overall score: 8.5.", "\n\n  \n x", "I'LL we'VE \u017ft'\u017f"]
    texts += ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 24))) for _ in range(120)]
    texts += ["ab" * 300, " " * 200 + "x"]
    cases = {}
    for kind in ("gpt2", "smollm", "llama3", "llama2", "gemma", "metaspace", "mixed"):
        t = build(kind) if kind in ("gpt2", "smollm", "llama3") else build_chars(kind)
        t.save(f"{out}/{kind}.json", pretty=False)
        cases[kind] = [case(t, x) for x in texts]
    with open(f"{out}/cases.json", "w", encoding="utf-8") as f:
        f.write("{\n")
        for i, (kind, rows) in enumerate(cases.items()):
            f.write(f'"{kind}": [\n' + ",\n".join(json.dumps(r, ensure_ascii=True) for r in rows) + "]" + (",\n" if i < len(cases) - 1 else "\n"))
        f.write("}\n")


if __name__ == "__main__":
    folder = os.path.join(sys.argv[1], "tokenizer")
    os.makedirs(folder, exist_ok=True)
    main(folder)
