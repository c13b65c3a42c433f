#!/usr/bin/env python3
"""rapt tokenize on 1 MB of hostile text against Hugging Face tokenizers, sentencepiece and transformers: every id, and every byte back.

usage: check_tokenizers.py RAPT [GGUF...]    $RAPT_SHARED_DATA/tokenizers holds llama3.1, qwen3, gpt2, llama2; what is missing is said and left out
Needs: tokenizers, tiktoken, sentencepiece; for GGUF files transformers. Exits 77 (skipped) without them."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from mixed_text import hostile_text

RAPT, MODELS = sys.argv[1], sys.argv[2:]
HERE = pathlib.Path(__file__).resolve().parent
SHARED = pathlib.Path(os.environ.get("RAPT_SHARED_DATA", HERE.parent.parent.parent / "shared" / "data")) / "tokenizers"
TEXT = hostile_text()


def rapt(model, option, data):
    with tempfile.NamedTemporaryFile("wb") as f:
        f.write(data)
        f.flush()
        done = subprocess.run([RAPT, "tokenize", "--model", str(model), "--file", f.name, *option], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def compare(name, model, encode, decode, text=TEXT):
    """Once as one text, once in 2000 pieces, so that beginnings of texts count too. decode: the original's text of ids."""
    differ = total = 0
    step = len(text) // 2000
    parts = [text[i:i + step].replace("\r", "\n").replace("\n", " ") for i in range(0, len(text), step)]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as f:
        f.write("\n".join(parts) + "\n")
        f.flush()
        lines = subprocess.run([RAPT, "tokenize", "--model", str(model), "--input", f.name], capture_output=True, text=True, check=True).stdout.split("\n")
    got = [rapt(model, [], text.encode()).decode().split()] + [line.split() for line in lines[:-1]]
    assert len(got) == len(parts) + 1
    for one, ids in zip([text] + parts, got):
        want = encode(one)
        ids = list(map(int, ids))
        total += len(want)
        if ids != want:
            differ += 1
            at = next((i for i, (a, b) in enumerate(zip(ids, want)) if a != b), min(len(ids), len(want)))
            if differ < 5:
                print(f"{name}: text {one[:60]!r}: id {at} is {ids[at:at + 5]}, expected {want[at:at + 5]} behind {decode(want[max(0, at - 8):at])!r}")
    back = rapt(model, ["--decode"], " ".join(got[0]).encode())
    want = decode(list(map(int, got[0])))
    clean = back.decode("utf-8", "replace")
    if clean != want:
        at = next((i for i, (a, b) in enumerate(zip(clean, want)) if a != b), min(len(clean), len(want)))
        print(f"{name}: decoded text differs at {at}: {clean[at - 20:at + 20]!r}, expected {want[at - 20:at + 20]!r}")
        differ += 1
    print(f"{name}: {len(text.encode())} bytes, {total} ids of {len(got)} texts: {differ} differences")
    return differ


def sentencepiece_of(model):
    """sentencepiece itself over the pieces of a GGUF file of BPE kind with scores (Gemma), or None. The file has the blanks of user-defined pieces as blanks."""
    import gguf
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    fields = gguf.GGUFReader(model).fields
    if fields["tokenizer.ggml.model"].contents() != "llama" or "tokenizer.ggml.scores" not in fields:
        return None
    proto = sentencepiece_model_pb2.ModelProto()
    for text, score, kind in zip(*(fields["tokenizer.ggml." + k].contents() for k in ("tokens", "scores", "token_type"))):
        proto.pieces.add(piece="\u2581" * len(text) if kind == 4 and not text.strip(" ") else text, score=score, type=int(kind))
    t = proto.trainer_spec
    t.model_type, t.byte_fallback = 2, True
    for k, key in (("unk", "unknown"), ("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        at = fields[f"tokenizer.ggml.{key}_token_id"].contents()
        setattr(t, k + "_id", at), setattr(t, k + "_piece", proto.pieces[at].piece)
    n = proto.normalizer_spec
    n.name, n.add_dummy_prefix, n.remove_extra_whitespaces, n.escape_whitespaces = "identity", False, False, True
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def main():
    differ = done = 0
    sys.path.insert(0, str(HERE.parent.parent / "bench"))
    try:
        import sentencepiece
        from tokenizer_peers import open_peers
    except ImportError as e:
        print(f"skipped: {e} (set RAPT_PYTHON)")
        sys.exit(77)
    for name in ("llama3.1", "qwen3", "gpt2"):
        if not (SHARED / name).is_dir():
            print(f"{name}: not there")
            continue
        hf, _ = open_peers(str(SHARED / name))
        differ += compare(name, SHARED / name, lambda x: hf.encode(x, add_special_tokens=False).ids, lambda x: hf.decode(x, skip_special_tokens=False))
        done += 1
    if (SHARED / "llama2" / "tokenizer.model").exists():
        path = SHARED / "llama2" / "tokenizer.model"
        sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
        # sentencepiece has no way to ask for control symbols inside a text, transformers and we do: <s> means what it says there.
        plain = re.sub(r"<(s|/s|unk)>", r"<\1 >", TEXT)
        differ += compare("llama2", path, sp.encode, sp.decode, plain)
        done += 1
    for model in MODELS:
        from tokenizers import pre_tokenizers
        from transformers import AutoTokenizer
        # transformers knows the name of no pre-tokenizer of GGUF files; SmolLM's tokenizer.json has Digits in front of ByteLevel.
        t = AutoTokenizer.from_pretrained(os.path.dirname(model), gguf_file=os.path.basename(model))
        if b"smollm" in open(model, "rb").read(1 << 20):
            t.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        sp = sentencepiece_of(model)
        # With user-defined runs of blanks (Gemma's up to 31), Hugging Face's BPE cuts longer runs otherwise than sentencepiece, whose rule is ours.
        text = re.sub(r"[ \r\n]{32,}", lambda run: run.group()[:31], TEXT) if sp else TEXT
        differ += compare(os.path.basename(model), model, lambda x: t.encode(x, add_special_tokens=False), lambda x: t.decode(x, skip_special_tokens=False, clean_up_tokenization_spaces=False), text)
        if sp:  # runs longer than the longest piece among them; control symbols are for us what they say
            runs = "".join(f"a{c * n}b{c * n}\n" for n in [*range(1, 100), 255, 256, 1000] for c in " \t\n")
            differ += compare(os.path.basename(model) + " (sentencepiece)", model, sp.encode, sp.decode, runs + re.sub(r"<(?=[\w/|\[])", "< ", TEXT[:200000]))
        done += 1
    sys.exit(1 if differ else 0 if done else 77)


if __name__ == "__main__":
    main()
