#!/usr/bin/env python3
"""rapt serve with the clients that people use: the openai package, and lm-evaluation-harness's own local-completions client, whose log-probs are held
against rapt logps and against transformers.
usage: check_serve.py RAPT MODEL.gguf ARC.jsonl [ITEMS]    ARC.jsonl: ARC's own rows (question.stem, question.choices, answerKey); ITEMS: 50
Needs: openai, lm_eval, torch, transformers, gguf; an interpreter of their own is best (RAPT_PYTHON). Exits 77 (skipped) without them."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import openai
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as e:
    print(f"skipped: {e} (set RAPT_PYTHON)")
    sys.exit(77)

RAPT, MODEL, ARC = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
ITEMS = int(sys.argv[4]) if len(sys.argv) > 4 else 50
TOLERANCE = 1e-3  # of a summed log-prob, in nats


def check(ok, *what):
    if not ok:
        print("FAILED:", *what)
        sys.exit(1)


def arc_items():
    """lm-eval's arc_challenge: "Question: ...\\nAnswer:" and " " + each choice."""
    items = []
    for line in open(ARC):
        q = json.loads(line)
        labels = [c["label"] for c in q["question"]["choices"]]
        items.append((f"Question: {q['question']['stem']}\nAnswer:", [" " + c["text"] for c in q["question"]["choices"]], labels.index(q["answerKey"])))
        if len(items) == ITEMS:
            return items
    return items


def harness(address, tokenizer, tokenized, items):
    lm = LocalCompletionsAPI(base_url=address + "/v1/completions", model="served", tokenizer=tokenizer, tokenizer_backend="huggingface", tokenized_requests=tokenized,
                             num_concurrent=4, max_length=2048, batch_size=1)
    asks = [Instance("loglikelihood", {}, (context, choice), 0) for context, choices, _ in items for choice in choices]
    return lm, lm.loglikelihood(asks, disable_tqdm=True)


def with_transformers(model, pairs):
    out = []
    for context, continuation in pairs:
        ids = torch.tensor([context + continuation])
        with torch.no_grad():
            logp = torch.log_softmax(model(ids[:, :-1]).logits[0].double(), -1)[len(context) - 1:]
        target = torch.tensor(continuation)
        out.append((logp.gather(1, target[:, None]).sum().item(), bool((logp.argmax(-1) == target).all())))
    return out


def with_logps(pairs, folder):
    rows = folder / "pairs.jsonl"
    rows.write_text("".join(json.dumps({"prompt_ids": a, "chosen_ids": b, "rejected_ids": b}) + "\n" for a, b in pairs))
    done = subprocess.run([RAPT, "logps", "--model", MODEL, "--input", rows, "--output", "-", "--dtype", "f32"], capture_output=True, text=True, check=True)
    return [json.loads(line)["logps_chosen"] for line in done.stdout.splitlines()]


def accuracy(items, values):
    at, right = 0, 0
    for _, choices, answer in items:
        mine = values[at:at + len(choices)]
        right += mine.index(max(mine)) == answer
        at += len(choices)
    return right / len(items)


def evaluation(address, folder):
    items = arc_items()
    check(len(items) >= min(ITEMS, 50), "too few items", len(items))
    tokenizer = AutoTokenizer.from_pretrained(MODEL.parent, gguf_file=MODEL.name)
    tokenizer.save_pretrained(folder / "tokenizer")
    lm, by_ids = harness(address, str(folder / "tokenizer"), True, items)
    _, by_text = harness(address, str(folder / "tokenizer"), False, items)
    pairs = [lm._encode_pair(context, choice) for context, choices, _ in items for choice in choices]
    peers = with_transformers(AutoModelForCausalLM.from_pretrained(MODEL.parent, gguf_file=MODEL.name, dtype=torch.float32).eval(), pairs)
    own = with_logps(pairs, folder)
    worst = {name: max(abs(a[0] - b) for a, b in zip(by_ids, values)) for name, values in (("transformers", [p[0] for p in peers]), ("rapt logps", own),
                                                                                           ("text prompts", [t[0] for t in by_text]))}
    for name, w in worst.items():
        print(f"{len(pairs)} choices of {len(items)} items: log-probs through lm-eval's client differ from {name} by at most {w:.2e} nats")
        check(w <= TOLERANCE, name, w)
    check([a[1] for a in by_ids] == [p[1] for p in peers], "is_greedy differs from transformers")
    figures = {accuracy(items, v) for v in ([a[0] for a in by_ids], [p[0] for p in peers], own, [t[0] for t in by_text])}
    check(len(figures) == 1, "accuracy", figures)
    print(f"accuracy {figures.pop():.3f} in all four")
    asks = [Instance("generate_until", {}, (context, {"until": ["\n", "Question:"], "max_gen_toks": 24, "temperature": 0}), 0) for context, _, _ in items[:4]]
    for got, ask in zip(lm.generate_until(asks, disable_tqdm=True), asks):
        plain = subprocess.run([RAPT, "generate", "--model", MODEL, "--raw", "--prompt", ask.args[0], "--temperature", "0", "--max-new-tokens", "24", "--dtype", "f32"],
                               capture_output=True, text=True, check=True).stdout[:-1]
        want = min((plain.split(s)[0] for s in ("\n", "Question:")), key=len)
        check(got == want, "generate_until", repr(got), repr(want))
    print("generate_until with stop strings: as rapt generate")


def client(address):
    c = openai.OpenAI(base_url=address + "/v1", api_key="secret", max_retries=0)
    check([m.id for m in c.models.list()] == ["served"] and c.models.retrieve("served").id == "served", "models")
    ask = dict(model="served", messages=[{"role": "user", "content": "Name a fruit."}], max_completion_tokens=12, temperature=0)
    r = c.chat.completions.create(**ask, logprobs=True, top_logprobs=2)
    text = r.choices[0].message.content
    check(text and r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens and len(r.choices[0].logprobs.content[0].top_logprobs) == 2, r)
    stream = list(c.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    check("".join(x.choices[0].delta.content or "" for x in stream if x.choices) == text and stream[-1].usage == r.usage.model_copy(update={
        "prompt_tokens_details": stream[-1].usage.prompt_tokens_details}), stream[-1])
    check(c.chat.completions.create(**ask, extra_body={"goal": 8}).model_extra["goal"] == 8, "a goal in the body")
    check(c.chat.completions.create(**dict(ask, model="served@goal=8")).model_extra["goal"] == 8, "a goal in the name")
    r = c.completions.create(model="served", prompt=["One, two,", "A, B,"], max_tokens=4, n=2, seed=1, logprobs=2, echo=False)
    check([x.index for x in r.choices] == [0, 1, 2, 3] and len(r.choices[0].logprobs.tokens) == 4, r)
    for bad, error in ((dict(ask, model="nowhere"), openai.NotFoundError), (dict(ask, temperature=-1), openai.BadRequestError), (dict(ask, messages=[]), openai.BadRequestError)):
        try:
            c.chat.completions.create(**bad)
            check(False, "not refused", bad)
        except error as e:
            check(e.body["message"] and e.body["type"], e.body)
    try:
        openai.OpenAI(base_url=address + "/v1", api_key="wrong", max_retries=0).models.list()
        check(False, "a wrong key is taken")
    except openai.AuthenticationError:
        pass
    print(f"openai {openai.__version__}: chat, streams, completions, models, goals and errors")


with tempfile.TemporaryDirectory() as name:
    os.environ["OPENAI_API_KEY"] = "secret"  # lm-eval takes it from there
    server = subprocess.Popen([RAPT, "serve", "--model", MODEL, "--name", "served", "--port", "0", "--dtype", "f32", "--max-length", "2048"], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, RAPT_API_KEY="secret"))
    address = server.stdout.readline().strip()
    try:
        client(address)
        evaluation(address, pathlib.Path(name))
    finally:
        server.terminate()
    check(server.wait(60) == 0, "exit code", server.returncode)
