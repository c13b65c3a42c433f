"""Small SentencePiece models (BPE, unigram) trained on a text of our own with a character map of our own, and sentencepiece's ids; the BPE
one as a GGUF file of llama.cpp's kind too, and the unigram one as a tokenizer.json with Hugging Face tokenizers' ids.

Writes OUTPUT_FOLDER/sentencepiece/{bpe,plain,runs,unigram}.model, plain.gguf, runs.gguf, unigram.json, cases.json. Needs: sentencepiece, gguf, tokenizers.
usage: make_sentencepiece.py OUTPUT_FOLDER"""
import json
import os
import shutil
import sys
import tempfile

import gguf
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from mixed_text import SAMPLES, mixed_text

# From, to: code points in hexadecimal, as spm_train's normalization_rule_tsv has them.
RULES = [("FF11", "31"), ("FF12", "32"), ("FB01", "66 69"), ("41", "61"), ("FF76", "30AB"), ("FF76 FF9E", "30AC"), ("3000", "20"), ("A0", "20"), ("9", "20"), ("A", "20"), ("D", "20"),
         ("200B", ""), ("65 301", "E9"), ("2026", "2E 2E 2E")]
MARK = "\u2581"
TEXTS = ["", " ", "  a  b ", "Hello AB １２３ ﬁn", "x\u3000y\u00a0z\u200bw\tq\nr", "ｶﾞｶ e\u0301e", "foo bar baz<sep>１２x<sep>", "\u2581\u2581a \u2581", "unknown: \U0001f600\u0e40\U00020000 end",
         *(f"a{' ' * n}b{chr(10) * n} {MARK * (n % 4)}c " for n in (2, 3, 4, 6, 7, 8, 9, 16, 33))] + SAMPLES
OPTIONS = {
    "bpe": dict(model_type="bpe", byte_fallback=True, user_defined_symbols=["<sep>", "foo bar", "１２"]),
    "plain": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True),
    # As Gemma: runs of blanks are pieces of their own, and nothing is put in front.
    "runs": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
                 user_defined_symbols=["\n", "\n\n", "\u2581\u2581", "\u2581\u2581\u2581", "\u2581" * 7]),
    "unigram": dict(model_type="unigram", user_defined_symbols=["<sep>"]),
}


def train(out, folder, name, options):
    corpus, rules = f"{folder}/text", f"{folder}/rules.tsv"
    with open(corpus, "w", encoding="utf-8") as f:
        f.write("\n".join(SAMPLES * 2) + "\n" + mixed_text(8_000))
    with open(rules, "w", encoding="utf-8") as f:
        f.writelines(f"{a}\t{b}\n" for a, b in RULES)
    if "normalization_rule_name" not in options:
        options = dict(options, normalization_rule_tsv=rules)
    # The model remembers these paths as given: relative ones are the same on every machine.
    before = os.getcwd()
    os.chdir(folder)
    if "normalization_rule_tsv" in options:
        options["normalization_rule_tsv"] = "rules.tsv"
    sentencepiece.SentencePieceTrainer.train(input="text", model_prefix=name, vocab_size=900, character_coverage=0.98, hard_vocab_limit=False, num_threads=1,
                                             minloglevel=2, self_test_sample_size=0, **options)
    os.chdir(before)
    shutil.move(f"{folder}/{name}.model", f"{out}/{name}.model")
    return sentencepiece.SentencePieceProcessor(f"{out}/{name}.model")


def write_gguf(path, sp, user=()):
    """user: user-defined pieces, which llama.cpp's converter writes with blanks for marks."""
    n = sp.get_piece_size()
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list([sp.id_to_piece(i).replace(MARK, " ") if sp.id_to_piece(i) in user else sp.id_to_piece(i) for i in range(n)])
    w.add_token_scores([sp.get_score(i) for i in range(n)])
    w.add_token_types([2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 4 if sp.id_to_piece(i) in user else 1 for i in range(n)])
    if user:
        w.add_add_space_prefix(False)
    w.add_unk_token_id(0), w.add_bos_token_id(1), w.add_eos_token_id(2)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def charsmap(path):
    """The bytes of normalizer_spec.precompiled_charsmap, found by walking the wire format: field 3, then field 2."""
    def fields(data):
        at = 0
        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            tag = varint()
            if tag & 7 == 0:
                yield tag >> 3, varint()
            else:
                size = varint() if tag & 7 == 2 else 4 if tag & 7 == 5 else 8
                yield tag >> 3, data[at:at + size]
                at += size
    spec = dict(fields(open(path, "rb").read()))[3]
    return dict(fields(spec))[2]


def hugging_face(out, sp):
    vocab = [(sp.id_to_piece(i), 0.0 if i < 3 else sp.get_score(i)) for i in range(sp.get_piece_size())]
    t = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=False))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap(f"{out}/unigram.model")), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.save(f"{out}/unigram.json", pretty=False)
    return t


def main(out):
    texts = [x for x in TEXTS if not any(s in x for s in ("<s>", "</s>", "<unk>"))]
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in OPTIONS.items():
            sp = train(out, folder, name, options)
            cases[name + ".model"] = [{"ids": sp.encode(x), "text": sp.decode(sp.encode(x))} for x in texts]
            if name == "plain":
                write_gguf(f"{out}/plain.gguf", sp)
                cases["plain.gguf"] = cases["plain.model"]
            if name == "runs":
                write_gguf(f"{out}/runs.gguf", sp, options["user_defined_symbols"])
                cases["runs.gguf"] = cases["runs.model"]
            if name == "unigram":
                t = hugging_face(out, sp)
                cases["unigram.json"] = [{"ids": t.encode(x).ids, "text": t.decode(t.encode(x).ids, skip_special_tokens=False)} for x in texts]
    with open(f"{out}/cases.json", "w", encoding="utf-8") as f:
        rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in cases.items())
        f.write(f'{{"texts": {json.dumps(texts)},\n{rows}}}\n')


if __name__ == "__main__":
    folder = os.path.join(sys.argv[1], "sentencepiece")
    os.makedirs(folder, exist_ok=True)
    main(folder)
