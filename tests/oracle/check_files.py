#!/usr/bin/env python3
"""What rapt writes is what transformers and peft load: a trained adapter, a fully trained model, and merged exports of every storage type
(from a folder and from a GGUF) give the log-probs that rapt itself reports, and its tokenizer files give the same ids.
usage: check_files.py RAPT"""
import json
import pathlib
import subprocess
import sys
import tempfile

from oracle import fixed, next_logps

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

RAPT = sys.argv[1]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
ROWS = GOLDEN / "trl" / "eval.jsonl"


ADAPTERS = [
    ("all", []), ("some", ["--lora-target-modules", "q_proj,down_proj", "--lora-r", 3, "--lora-alpha", 7]), ("rslora", ["--use-rslora", "--lora-r", 4]),
    ("dora", ["--use-dora", "--lora-r", 4, "--loraplus-lr-ratio", 4]), ("head", ["--lora-target-modules", "lm_head,v_proj", "--lora-r", 4]),
    ("dora_head", ["--lora-target-modules", "lm_head,v_proj", "--use-dora", "--use-rslora", "--lora-r", 4]),
    ("saved", ["--modules-to-save", "lm_head,embed_tokens", "--lora-target-modules", "o_proj"]), ("saved_embedding", ["--modules-to-save", "embed_tokens", "--use-dora"]),
    ("pattern", ["--lora-target-modules", r".*\.1\..*_proj"]), ("gaussian", ["--init-lora-weights", "gaussian", "--optim", "lion_32bit"]),
    ("pissa", ["--init-lora-weights", "pissa", "--lora-r", 4]), ("pissa_rslora", ["--init-lora-weights", "pissa_niter_4", "--lora-r", 4, "--use-rslora"]),
    ("pissa_head", ["--init-lora-weights", "pissa", "--lora-r", 5, "--lora-target-modules", "lm_head,up_proj", "--modules-to-save", "embed_tokens"]),
]


def rapt(*arguments):
    done = subprocess.run([RAPT] + [str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"rapt {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def compare(what, model, tokenizer, arguments, tolerance):
    """rapt logps ARGUMENTS against the loaded model."""
    rows = [json.loads(x) for x in rapt("logps", "--input", ROWS, "--dtype", "f32", "--threads", 1, "--tokens", *arguments).splitlines()]
    worst = 0.0
    for row in rows:
        for side in ("chosen", "rejected"):
            text = row["prompt"] + row[side] + tokenizer.eos_token
            ids = tokenizer(text).input_ids
            assert ids == row["prompt_ids"] + row[f"{side}_ids"], f"{what}: ids of {text!r}: {ids}, rapt: {row['prompt_ids'] + row[f'{side}_ids']}"
            seq = torch.tensor([ids])
            with torch.no_grad():
                want = next_logps(model(input_ids=seq).logits, seq)[len(row["prompt_ids"]) - 1:].sum().item()
            worst = max(worst, abs(want - row[f"logps_{side}"]) / max(1.0, abs(want)))
    assert worst < tolerance, f"{what}: log-probs differ by {worst:g}"
    print(f"{what}: {worst:.2g}")


def compare_family(source, folder):
    """What is exported from a family's model gives the logits of its golden."""
    name = source.name if source.is_dir() else source.parent.name
    rapt("export", "--model", source, "--output", folder / name)
    golden = load_file(GOLDEN / name.removesuffix("_gguf") / "golden.safetensors")
    model, worst = AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32, attn_implementation="eager").eval(), 0.0
    for i in range(3):
        with torch.no_grad():
            got = model(input_ids=golden[f"input_ids.{i}"].long()[None]).logits[0]
        want = golden[f"logits.{i}"]
        worst = max(worst, ((got - want).abs().max() / (want.max() - want.min())).item())
    assert worst < 1e-5, f"{name} exported: logits differ by {worst:g} of their range"
    print(f"{name} exported: {worst:.2g}")


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)


def main():
    fixed()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        train = ["train", "--train-data", GOLDEN / "trl" / "train.jsonl", "--max-length", 24, "--learning-rate", "1e-2", "--dtype", "f32", "--threads", 1]
        tiny, gguf = GOLDEN / "llama_tiny", GOLDEN / "llama_tiny_gguf" / "model.gguf"
        for name, options in ADAPTERS:
            rapt(*train, "--model", tiny, "--output-dir", folder / name, *options)
            base, tokenizer = load(tiny)
            compare(f"adapter {name}", PeftModel.from_pretrained(base, folder / name).eval(), tokenizer, ["--model", tiny, "--adapter", folder / name], 1e-4)
            rapt("export", "--model", tiny, "--adapter", folder / name, "--output", folder / f"merged {name}")
            compare(f"adapter {name} merged", *load(folder / f"merged {name}"), ["--model", tiny, "--adapter", folder / name], 1e-4)
        for source in (tiny, gguf):
            rapt(*train, "--model", source, "--output-dir", folder / "full", "--full")
            compare(f"full training of {source.name}", *load(folder / "full"), ["--model", folder / "full"], 1e-4)
            for kind in ("f32", "f16", "bf16"):
                output = folder / f"{source.name}.{kind}"
                rapt("export", "--model", source, "--adapter", folder / "all", "--dtype", kind, "--output", output)
                compare(f"{source.name} exported as {kind}", *load(output), ["--model", output], 1e-4)
            merged, tokenizer = load(folder / f"{source.name}.f32")
            compare(f"{source.name} merged", merged, tokenizer, ["--model", tiny, "--adapter", folder / "all"], 1e-4)
        for name in ("llama3", "llama_bias", "mistral", "qwen2", "qwen2_gguf", "qwen3", "qwen3_gguf", "smollm3", "smollm3_gguf"):
            source = GOLDEN / name / "model.gguf"
            compare_family(source if source.exists() else source.parent, folder / "families")


main()
