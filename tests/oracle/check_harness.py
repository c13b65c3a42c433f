#!/usr/bin/env python3
"""Whole tasks of lm-evaluation-harness over real items: through its own local-completions client against rapt serve (prompts as token ids and as text), through
its transformers model, and with rapt eval. All must agree: log-probs of every choice, greedy responses, every figure.
usage: check_harness.py RAPT MODEL.gguf ARC.jsonl GSM8K.jsonl [ITEMS] [GSM8K_ITEMS] [MAX_GEN_TOKS] [BATCH]
ARC.jsonl: ARC-Challenge as AI2 has it; ITEMS: its first, 200. GSM8K.jsonl: question, answer; GSM8K_ITEMS: its first, 20, behind the 5 after them as examples;
MAX_GEN_TOKS: 128; BATCH: rows that transformers computes at a time, 1. Needs: openai, lm-eval 0.4.13 with [api], accelerate, torch, transformers, gguf; an interpreter of their own. Exits 77 (skipped) without them."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="secret")
cache = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = cache.name
try:
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as e:
    print(f"skipped: {e} (set RAPT_EVAL_PYTHON)")
    sys.exit(77)

RAPT, MODEL, ARC, GSM8K = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3], sys.argv[4]
ITEMS, SUMS, TOKENS, BATCH = (int(sys.argv[i]) if len(sys.argv) > i else n for i, n in ((5, 200), (6, 20), (7, 128), (8, 1)))
SHOTS = 5
TOGETHER = 32  # requests at a time
TOLERANCE = 1e-3  # of a choice's summed log-prob, in nats
FOLDER = pathlib.Path(cache.name)
TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"


def check(ok, *what):
    if not ok:
        print("FAILED:", *what)
        sys.exit(1)


def lines(path, n):
    with open(path) as f:
        return [json.loads(line) for _, line in zip(range(n), f)]


def write(name, rows):
    (FOLDER / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(FOLDER / name)


arc = [{"id": q["id"], "question": q["question"]["stem"], "answerKey": q["answerKey"],
        "choices": {k: [c[k] for c in q["question"]["choices"]] for k in ("text", "label")}} for q in lines(ARC, ITEMS)]
sums = lines(GSM8K, SUMS + SHOTS)
check(len(arc) == ITEMS and len(sums) == SUMS + SHOTS, "too few items", len(arc), len(sums))
files = {"arc": write("arc.jsonl", arc), "sums": write("sums.jsonl", sums[:SUMS]), "shots": write("shots.jsonl", sums[SUMS:])}


def task(name, source, more):
    (FOLDER / f"{name}.yaml").write_text(f"include: {TASKS / source}\ntask: x_{name}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in dict(
        more, dataset_path="json", dataset_name=None, training_split=None, validation_split=None).items()))
    return str(FOLDER / f"{name}.yaml")


tasks = {"arc": task("arc", "arc/arc_challenge.yaml", {"dataset_kwargs": {"data_files": {"test": files["arc"]}}}),
         "sums": task("sums", "gsm8k/gsm8k.yaml", {"dataset_kwargs": {"data_files": {"test": files["sums"], "shots": files["shots"]}}, "num_fewshot": SHOTS,
                                                  "fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}})}


def evaluate(model, name):
    """The samples in the file's order, and the figures."""
    random.seed(0)
    begun = time.monotonic()
    r = lm_eval.simple_evaluate(model=model, tasks=[tasks[name]], bootstrap_iters=1, log_samples=True, random_seed=0,
                                **({"gen_kwargs": {"max_gen_toks": TOKENS}} if name == "sums" else {}))
    (key,) = r["results"]
    samples = sorted((s for s in r["samples"][key] if s.get("filter", "none") in ("none", "strict-match")), key=lambda s: s["doc_id"])
    figures = {k: v for k, v in r["results"][key].items() if "," in k and isinstance(v, (int, float))}
    values = [[float(x[0][0]) for x in s["resps"]] if name == "arc" else s["resps"][0][0] for s in samples]
    print(f"{name}: {type(model).__name__} took {time.monotonic() - begun:.0f} s", flush=True)
    return values, figures


def own(name):
    out = FOLDER / f"own_{name}"
    common = ["--model", MODEL, "--data", files[name], "--dtype", "f32", "--output-path", out]
    more = ["multiple-choice", "--task", "arc_challenge"] if name == "arc" else ["gsm8k", "--num-fewshot", str(SHOTS), "--fewshot-data", files["shots"], "--max-gen-toks", str(TOKENS)]
    begun = time.monotonic()
    r = subprocess.run([RAPT, "eval", *more, *common], capture_output=True, text=True)
    check(r.returncode == 0, r.stderr)
    print(f"{name}: rapt eval took {time.monotonic() - begun:.0f} s", flush=True)
    (results,) = out.glob("results_*.json")
    (rows,) = out.glob("samples_*.jsonl")
    (figures,) = json.loads(results.read_text())["results"].values()
    samples = [json.loads(line) for line in rows.read_text().splitlines()]
    samples = sorted((s for s in samples if s.get("filter", "none") in ("none", "strict-match")), key=lambda s: s["doc_id"])
    values = [[float(x[0][0]) for x in s["resps"]] if name == "arc" else s["resps"][0][0] for s in samples]
    return values, {k: v for k, v in figures.items() if "," in k and isinstance(v, (int, float))}


tokenizer = AutoTokenizer.from_pretrained(MODEL.parent, gguf_file=MODEL.name)
tokenizer.save_pretrained(FOLDER / "tokenizer")
server = subprocess.Popen([RAPT, "serve", "--model", MODEL, "--name", "served", "--port", "0", "--dtype", "f32", "--max-length", "2048", "--batch-size", str(TOGETHER)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=dict(os.environ, RAPT_API_KEY="secret"))
address = server.stdout.readline().strip()
check(address, server.stderr.read() if server.poll() is not None else "no address")
got = {"arc": {"rapt eval": own("arc")}, "sums": {"rapt eval": own("sums")}}
try:
    for by_ids in (True, False):
        client = LocalCompletionsAPI(base_url=address + "/v1/completions", model="served", tokenizer=str(FOLDER / "tokenizer"), tokenizer_backend="huggingface",
                                     tokenized_requests=by_ids, num_concurrent=TOGETHER, timeout=36000, max_length=2048, batch_size=1)
        for name in tasks:
            got[name]["serve, " + ("ids" if by_ids else "text")] = evaluate(client, name)
finally:
    server.terminate()
check(server.wait(60) == 0, "exit code", server.returncode)
peer = HFLM(pretrained=AutoModelForCausalLM.from_pretrained(MODEL.parent, gguf_file=MODEL.name, dtype=torch.float32).eval(), tokenizer=tokenizer, max_length=2048, batch_size=BATCH)
peer.model.generation_config.eos_token_id = [i for i in {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.convert_tokens_to_ids("<|endoftext|>")} if i is not None]
for name in tasks:
    got[name]["transformers"] = evaluate(peer, name)

failed = []
for name, all_of in got.items():
    values, figures = all_of["serve, ids"]
    for other, (mine, theirs) in all_of.items():
        if name == "arc":
            check([len(a) for a in mine] == [len(b) for b in values], "choices", other)
            worst = max(abs(x - y) for a, b in zip(mine, values) for x, y in zip(a, b))
            print(f"arc_challenge, {len(values)} items, {sum(map(len, values))} choices: {other}: log-probs within {worst:.2e} nats of those through lm-eval's client by ids; "
                  + ", ".join(f"{k} {v:.4f}" for k, v in sorted(theirs.items()) if k in ("acc,none", "acc_norm,none")))
            failed += [(name, other, worst)] if worst > TOLERANCE else []
        else:
            same = sum(a == b for a, b in zip(mine, values))
            print(f"gsm8k, {SHOTS} shots, {len(values)} items of at most {TOKENS} tokens: {other}: {same} responses equal; "
                  + ", ".join(f"{k} {v:.4f}" for k, v in sorted(theirs.items()) if not "stderr" in k))
            for i, (a, b) in enumerate(zip(mine, values)):
                if a != b:
                    print(f"  item {i}: {a!r} and {b!r}")
            failed += [(name, other, same)] if same < len(values) else []
        shared = [k for k in figures if k in theirs and "stderr" not in k]
        check(len(shared) == 2, "figures", other, figures, theirs)
        failed += [(name, other, k, figures[k], theirs[k]) for k in shared if figures[k] != theirs[k]]
check(not failed, failed)
print("all agree")
