#!/usr/bin/env python3
"""llama.cpp's rates for bench/generate.sh, through the server of the Python package xllamacpp, one figure a process: tokens a second.
usage: generate_llama.py prompts OUTPUT.jsonl | generate_llama.py single|parallel|prefill MODEL.gguf THREADS PROMPTS.jsonl"""
import concurrent.futures
import json
import os
import random
import sys
import time
import urllib.request

PARALLEL, RESPONSES, TOKENS, LONG = 16, 48, 128, 16  # also in generate.sh
STORY = "Once upon a time there was a"


def write_prompts(path):
    """Prompts of about 500 tokens that share nothing."""
    words = "the of and to in is that for it as was with be by on not he this are or his from at which but have an had they you were there".split()
    draw = random.Random(1)
    with open(path, "w", encoding="utf-8") as out:
        for i in range(LONG):
            out.write(json.dumps({"prompt": " ".join([str(i)] + [draw.choice(words) for _ in range(500)])}) + "\n")


def ask(address, **body):
    data = json.dumps(dict(cache_prompt=False, **body)).encode()
    request = urllib.request.Request(address + "/completion", data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["timings"]


def serve(model, threads, parallel):
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.n_gpu_layers, p.verbosity = model, 1024 * parallel, parallel, 0, -1
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(p)


def measure(what, model, threads, prompts):
    server = serve(model, threads, PARALLEL if what == "parallel" else 1)
    address = server.listening_address
    sampling = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "samplers": ["temperature"], "n_predict": TOKENS}
    if what == "single":
        ask(address, prompt=STORY, temperature=0, n_predict=8)
        return ask(address, prompt=STORY, temperature=0, n_predict=2 * TOKENS, ignore_eos=True)["predicted_per_second"]
    if what == "prefill":
        texts = [json.loads(line)["prompt"] for line in open(prompts, encoding="utf-8")]
        ask(address, prompt="warm up", n_predict=1)
        timings = [ask(address, prompt=text, n_predict=1) for text in texts[:4]]
        return 1000 * sum(t["prompt_n"] for t in timings) / sum(t["prompt_ms"] for t in timings)
    ask(address, prompt=STORY, n_predict=8)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        counts = list(pool.map(lambda seed: ask(address, prompt=STORY, seed=seed, **sampling)["predicted_n"], range(RESPONSES)))
    return sum(counts) / (time.monotonic() - begin)


if __name__ == "__main__":
    if sys.argv[1] == "prompts":
        write_prompts(sys.argv[2])
    else:
        print(f"{measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]):.1f}", flush=True)
        os._exit(0)  # the server's threads would go on
