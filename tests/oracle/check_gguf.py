#!/usr/bin/env python3
"""llama.cpp (through xllamacpp) computes from rapt's GGUF files what the originals say: the logits of every family's golden, alone and with an
adapter merged or beside the model; with RAPT_MODEL also ids and greedy text of a real model, and what its quantised forms lose (mean KL of the
next-token distributions against F32, in nats); the latter of a Gemma 3 too where RAPT_GEMMA_MODEL names its GGUF, whose rows of 640 fill no blocks of
256. usage: check_gguf.py RAPT [MODEL.gguf]"""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import xllamacpp

if sys.argv[1] != "--serve":
    from oracle import fixed

    import gguf
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

RAPT = sys.argv[1]
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
KINDS = {"f16": 1e-5, "bf16": 1e-3, "q8_0": 0.01, "q6_k": 0.02, "q4_k": 0.15, "q4_0": 0.4}  # the most that a kind may lose
GEMMA_KINDS = {"q8_0": 0.005, "q6_k": 0.015, "q4_k": 0.001, "q4_0": 0.8}  # q4_k: where the file is Q4_K_M already, of which little is lost again
TEXTS = ["The capital of France is", "def add(a, b):\n    ", "1, 2, 3, 4,", "<|im_start|>user\nSay hello in German, please!<|im_end|>\n<|im_start|>assistant\n",
         "Überall schöne Grüße: 日本語 🙂 it's 1,234.5\r\n\r\n  \tend", " leading and trailing  "]


def rapt(*arguments):
    done = subprocess.run([RAPT] + [str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"rapt {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def serve(model, lora, context):
    """One llama.cpp on the CPU, everything it keeps in F32, until standard input ends; xllamacpp takes one well per process only."""
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.n_gpu_layers, p.warmup, p.verbosity = model, int(context), 1, 0, False, -1
    p.cpuparams.n_threads = 2
    p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if lora:
        p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora, 1.0)]
    server = xllamacpp.Server(p)
    print("ADDRESS", server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


class Llama:
    def __init__(self, model, lora="", context=256):
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", str(model), str(lora), str(context)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = next((x for x in self.process.stdout if x.startswith("ADDRESS ")), None)
        assert line, f"llama.cpp does not load {model} {lora}"
        self.address = line.split()[1]

    def __del__(self):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, path, **body):
        request = urllib.request.Request(self.address + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def complete(self, prompt, count, **more):
        return self.ask("/completion", prompt=prompt, n_predict=count, temperature=0, cache_prompt=False, return_tokens=True, **more)

    def next_logps(self, ids, vocab):
        """Of every id behind ids."""
        found = self.complete(ids, 1, n_probs=vocab)["completion_probabilities"][0]["top_logprobs"]
        assert len(found) == vocab, f"{len(found)} of {vocab} probabilities"
        result = torch.full((vocab,), float("nan"))
        for row in found:
            result[row["id"]] = row["logprob"]
        return result


def compare(what, llama, golden, lengths=(5, 12, 23), tolerance=1e-4, same_as=None):
    """The last position of each golden sequence; same_as: what gguf-py's file of the same model gives, to the last bit."""
    worst = 0.0
    for i in range(3):
        ids = golden[f"input_ids.{i}"].long().tolist()
        if len(ids) not in lengths:
            continue
        want = golden[f"logits.{i}"][-1].log_softmax(-1)
        got = llama.next_logps(ids, len(want))
        worst = max(worst, (got - want).abs().max().item())
        if same_as:
            assert torch.equal(got, same_as.next_logps(ids, len(want))), f"{what}: llama.cpp computes something else from gguf-py's file"
    assert worst < tolerance, f"{what}: llama.cpp's log-probs are off by {worst:g}"
    print(f"{what}: llama.cpp's log-probs off by {worst:.1e}")


def with_tokenizer(source, folder):
    """A golden model with the tokenizer of llama_tiny, whose vocabulary is as large: llama.cpp's server wants one. Its name does not say phi3,
    after which llama.cpp looks for Phi-3's special tokens."""
    target = folder / "tiny"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / "llama_tiny" / name, target / name)
    return target


def table_gelu(x):
    """ggml's GELU on the CPU: a table from F16 to F16, and nothing or x itself beyond 10."""
    half = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
    return torch.where(x <= -10, torch.zeros_like(x), torch.where(x >= 10, x, half))


def golden_of(folder):
    """Logits of the golden's sequences under ggml's GELU; the golden itself where the family has another activation."""
    golden = load_file(GOLDEN / folder.name / "golden.safetensors") if folder.parent == GOLDEN else load_file(GOLDEN / "gemma3_types" / "golden.safetensors")
    if folder.name.startswith("gemma"):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        for layer in model.model.layers:
            layer.mlp.act_fn.forward = table_gelu
        with torch.no_grad():
            for i in range(3):
                golden[f"logits.{i}"] = model(input_ids=golden[f"input_ids.{i}"].long()[None]).logits[0]
    return golden


def changed(source, folder, name, change):
    """A golden model under another configuration."""
    target = folder / name
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text())
    change(config)
    (target / "config.json").write_text(json.dumps(config))
    return target


def other_windows(config):
    """What llama.cpp has fixed, and every second layer whole, the local ones with a base of their own."""
    config["query_pre_attn_scalar"] = config["head_dim"]
    config["rope_parameters"]["sliding_attention"]["rope_theta"] = 500.0


def check_families(folder):
    # Through gemma3's seven layers some value falls on the other side of a step of the table.
    # Where llama.cpp has no sliding window, or takes the factors for long texts from its context's length on, some lengths only.
    only = {"mistral": (5,), "qwen2_window": (5,), "phi3": (5,), "phi3_long": (23,)}
    for name in ("llama_tiny", "llama_untied", "llama3", "llama_bias", "mistral", "qwen2", "qwen2_window", "qwen3", "smollm3", "gemma2", "gemma3", "phi3", "phi3_long"):
        rapt("export", "--model", with_tokenizer(GOLDEN / name, folder), "--format", "gguf", "--output", folder / f"{name}.gguf")
        theirs = GOLDEN / f"{name}_gguf" / "model.gguf"
        compare(name, Llama(folder / f"{name}.gguf"), golden_of(GOLDEN / name), only.get(name, (5, 12, 23)),
                5e-3 if name == "gemma3" else 1e-4, same_as=Llama(theirs) if theirs.exists() else None)


    source = changed(GOLDEN / "gemma3_types", folder, "gemma_windows", other_windows)
    rapt("export", "--model", with_tokenizer(source, folder), "--format", "gguf", "--output", folder / "windows.gguf")
    compare("gemma3 with other windows", Llama(folder / "windows.gguf"), golden_of(source), tolerance=5e-3)


def check_adapters(folder):
    adapter, golden = GOLDEN / "llama_tiny_lora", load_file(GOLDEN / "llama_tiny_lora" / "golden.safetensors")
    for base in (GOLDEN / "llama_tiny", GOLDEN / "llama_tiny_gguf" / "model.gguf"):
        rapt("export", "--model", base, "--format", "gguf", "--output", folder / "base.gguf")
        rapt("export", "--model", base, "--adapter", adapter, "--format", "gguf", "--output", folder / "merged.gguf")
        compare(f"adapter merged into {base.name}", Llama(folder / "merged.gguf"), golden)
        for kind, tolerance in (("f32", 1e-4), ("f16", 5e-2), ("bf16", 0.4)):  # ggml rounds what these are multiplied with as well
            rapt("export", "--model", base, "--adapter", adapter, "--format", "gguf-lora", "--dtype", kind, "--output", folder / "lora.gguf")
            compare(f"{kind} adapter beside {base.name}", Llama(folder / "base.gguf", folder / "lora.gguf"), golden, tolerance=tolerance)
    # Every kind of adapter merged, heads apart from the embedding too; beside the model where GGUF has a form for it
    for name in ("rslora", "dora", "head_tied", "saved", "pattern", "layers", "head", "dora_head", "saved_head"):
        kind, base = GOLDEN / f"adapter_{name}", GOLDEN / ("llama_untied" if name in ("head", "dora_head", "saved_head") else "llama_tiny")
        if base.name == "llama_untied":
            base = with_tokenizer(base, folder)
        rapt("export", "--model", base, "--adapter", kind, "--format", "gguf", "--dtype", "f32", "--output", folder / "merged.gguf")
        compare(f"{name} merged", Llama(folder / "merged.gguf"), load_file(kind / "golden.safetensors"))
        if name in ("pattern", "layers", "head"):
            rapt("export", "--model", base, "--format", "gguf", "--dtype", "f32", "--output", folder / "base.gguf")
            rapt("export", "--model", base, "--adapter", kind, "--format", "gguf-lora", "--dtype", "f32", "--output", folder / "lora.gguf")
            compare(f"{name} beside", Llama(folder / "base.gguf", folder / "lora.gguf"), load_file(kind / "golden.safetensors"))
    rapt("export", "--model", GOLDEN / "llama_tiny", "--format", "gguf", "--output", folder / "base.gguf")
    # rsLoRA: the scale is alpha / sqrt(r)
    scaled = folder / "rslora"
    shutil.copytree(adapter, scaled)
    config = json.loads((scaled / "adapter_config.json").read_text())
    config.update(use_rslora=True, lora_alpha=config["lora_alpha"] / config["r"] ** 0.5)
    (scaled / "adapter_config.json").write_text(json.dumps(config))
    rapt("export", "--model", GOLDEN / "llama_tiny", "--adapter", scaled, "--format", "gguf-lora", "--output", folder / "lora.gguf")
    compare("rsLoRA adapter", Llama(folder / "base.gguf", folder / "lora.gguf"), golden)


def check_real(model, folder):
    rapt("export", "--model", model, "--format", "gguf", "--output", folder / "real.gguf")
    llama = Llama(folder / "real.gguf", context=1024)
    for text in TEXTS:
        ids = json.loads(rapt("tokenize", "--model", model, "--text", text, "--json", "--add-special-tokens"))
        theirs = llama.ask("/tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        assert theirs == ids, f"{text!r}: llama.cpp's ids {theirs}, rapt's {ids}"
        ours = json.loads(rapt("generate", "--model", folder / "real.gguf", "--prompt", text, "--raw", "--temperature", 0, "--max-new-tokens", 24, "--dtype", "f32", "--json"))
        answer = llama.complete(ids, 24)
        assert ours["text"] == answer["content"], f"{text!r}: llama.cpp writes {answer['content']!r}, rapt {ours['text']!r}"
    print(f"{len(TEXTS)} texts: ids and greedy text are llama.cpp's")


def next_distributions(path, ids):
    """Log-probs of the whole vocabulary behind every position, by transformers from the expanded file."""
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)


def tensor_types(path):
    return {t.name: t.tensor_type for t in gguf.GGUFReader(path).tensors}


def check_kinds(model, folder, kinds, tokens):
    """What each storage type loses against F32, folder/real.gguf, over so many tokens, and that blocks of one level are gguf-py's own."""
    rows = [json.loads(x) for x in (GOLDEN.parent.parent / "examples" / "preferences.jsonl").read_text().splitlines()]
    text = "\n".join(row["instruction"] + "\n" + row["completions"][0]["response"] for row in rows)
    ids = json.loads(rapt("tokenize", "--model", model, "--text", text, "--json"))[:tokens]
    whole = next_distributions(folder / "real.gguf", ids)
    exact = {t.name: t for t in gguf.GGUFReader(folder / "real.gguf").tensors}
    for kind, limit in kinds.items():
        path = folder / f"real.{kind}.gguf"
        rapt("export", "--model", model, "--format", "gguf", "--dtype", kind, "--output", path)
        for t in gguf.GGUFReader(path).tensors:
            if t.tensor_type.name in ("Q8_0", "Q5_0", "Q4_0", "F16", "BF16"):
                want = gguf.quantize(exact[t.name].data, t.tensor_type)
                assert (t.data.view("uint8") == want.view("uint8")).all(), f"{kind}: {t.name}: not gguf-py's {t.tensor_type.name}"
        got = next_distributions(path, ids)
        # llama.cpp rounds what quantised weights are multiplied with, so its likeliest tokens come near, not equal.
        rows = Llama(path).complete(ids[:64], 1, n_probs=20)["completion_probabilities"][0]["top_logprobs"]
        near = sum(abs(row["logprob"] - got[63, row["id"]].item()) for row in rows) / len(rows)
        assert near < 0.3, f"{kind}: llama.cpp's log-probs of its 20 likeliest tokens are off by {near:g} in the mean"
        kl = (whole.exp() * (whole - got)).sum(-1).mean().item()
        found, source = tensor_types(path), gguf.GGUFReader(model)
        types = collections.Counter(x.name for x in found.values())
        if kind == "q4_k" and source.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q4_K_M:
            assert found == tensor_types(model), "q4_k: llama.cpp's own Q4_K_M has other types"
        print(f"{kind}: mean KL {kl:.5f} nats over {len(ids)} tokens, llama.cpp's log-probs {near:.1e} away, {path.stat().st_size / 2**20:.0f} MiB, {dict(types)}")
        assert kl < limit, f"{kind}: mean KL {kl:g}, expected below {limit}"
        path.unlink()


def main():
    fixed()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        check_families(folder)
        check_adapters(folder)
        if len(sys.argv) > 2:
            check_real(pathlib.Path(sys.argv[2]), folder)
            check_kinds(pathlib.Path(sys.argv[2]), folder, KINDS, 500)
        if os.environ.get("RAPT_GEMMA_MODEL"):
            gemma = pathlib.Path(os.environ["RAPT_GEMMA_MODEL"])
            rapt("export", "--model", gemma, "--format", "gguf", "--dtype", "f32", "--output", folder / "real.gguf")
            print(gemma.name)
            check_kinds(gemma, folder, GEMMA_KINDS, 200)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(*sys.argv[2:])
    else:
        main()
