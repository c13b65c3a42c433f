"""Encodes the lines of a file with Hugging Face tokenizers and tiktoken on one thread: ids to compare, and the best speed of several rounds.

usage: tokenizer_peers.py ROUNDS FILE IDS_OUT FOLDER...    FOLDER holds tokenizer.json, or GPT-2's encoder.json and vocab.bpe
Needs: tokenizers, tiktoken."""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tiktoken  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def byte_of():
    """GPT-2's printable stand-ins to bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def open_peers(folder):
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        hf = Tokenizer.from_file(path)
    else:
        vocab = json.load(open(os.path.join(folder, "encoder.json"), encoding="utf-8"))
        merges = [tuple(l.split(" ")) for l in open(os.path.join(folder, "vocab.bpe"), encoding="utf-8").read().split("\n")[1:] if l]
        hf = Tokenizer(models.BPE(vocab, merges))
        hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        hf.decoder = decoders.ByteLevel()
        hf.add_special_tokens(["<|endoftext|>"])
    data = json.loads(hf.to_str())
    special = {t["content"]: t["id"] for t in data["added_tokens"]}
    back = byte_of()
    ranks = {bytes(back[c] for c in text): i for text, i in data["model"]["vocab"].items() if text not in special}
    split = data["pre_tokenizer"].get("pretokenizers", [{}])[0].get("pattern", {}).get("Regex", GPT2)
    return hf, tiktoken.Encoding("peer", pat_str=split, mergeable_ranks=ranks, special_tokens=special)


def best(rounds, size, run):
    speed = 0
    for _ in range(rounds):
        start = time.perf_counter()
        ids = run()
        speed = max(speed, size / 1e6 / (time.perf_counter() - start))
    return ids, speed


def main(rounds, path, ids_out, folders):
    with open(path, encoding="utf-8", newline="\n") as f:
        lines = f.read().split("\n")
    size = sum(len(line.encode()) for line in lines)
    for folder in folders:
        hf, tk = open_peers(folder)
        name = os.path.basename(os.path.normpath(folder))
        by_line, one = best(rounds, size, lambda: [hf.encode(line, add_special_tokens=False).ids for line in lines])
        batch, many = best(rounds, size, lambda: [e.ids for e in hf.encode_batch(lines, add_special_tokens=False)])
        other, tik = best(rounds, size, lambda: [tk.encode(line, allowed_special="all") for line in lines])
        assert by_line == batch
        differ = sum(a != b for a, b in zip(by_line, other))
        with open(os.path.join(ids_out, name), "w", encoding="ascii") as f:
            f.writelines(" ".join(map(str, ids)) + "\n" for ids in by_line)
        print(f"{name}: tokenizers {one:.1f} MB/s a line, {many:.1f} a batch; tiktoken {tik:.1f} MB/s ({differ} lines differ from tokenizers)")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
