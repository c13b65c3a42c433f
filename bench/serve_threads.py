#!/usr/bin/env python3
"""serve_threads.py RAPT: 32 clients at once on a small model of tests/golden: answers of the base and two adapters, streams (some broken off), scores by a reward model, metrics, models.
For a build with ThreadSanitizer (preset tsan), whose reports fail it: one thread computes, so that the OpenMP library, which it cannot see into, is not asked to share work."""
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests/golden"
folder = tempfile.TemporaryDirectory()
env = dict(os.environ, TSAN_OPTIONS="log_path=" + folder.name + "/race", OMP_NUM_THREADS="1")
server = subprocess.Popen([sys.argv[1], "serve", "--model", GOLDEN / "score_chat", "--adapter", f"a={GOLDEN / 'score_chat_lora'},b={GOLDEN / 'score_chat_lora2'}", "--port", "0", "--threads", "1",
                           "--dtype", "reference", "--batch-size", "8", "--scorer", "reward-model", "--scorer-model", GOLDEN / "score_armo"], stdout=subprocess.PIPE, text=True, env=env)
port = int(server.stdout.readline().rsplit(":", 1)[1])
wrong, rounds = [], []


def ask(method, path, body=None, read=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    c.request(method, path, None if body is None else json.dumps(body))
    r = c.getresponse()
    text = r.read(read)
    c.close()
    if r.status != 200:
        wrong.append((path, r.status, text[:200]))


def client(i):
    try:
        for k in range(3):
            talk = [{"role": "user", "content": f"client {i} {k}"}]
            ask("POST", "/v1/chat/completions", dict(model=("a", "b@goal=3", "score_chat")[i % 3], messages=talk, seed=i, max_tokens=20, stream=i % 2 == 0, logprobs=True, n=1 + i % 2, stop=["zz"]))
            ask("POST", "/v1/score", dict(messages=talk + [{"role": "assistant", "content": "x y z"}]))
            ask("GET", "/metrics")
            ask("GET", "/v1/models")
            if i % 8 == 0:  # goes away in the middle
                ask("POST", "/v1/chat/completions", dict(messages=talk, max_tokens=400, stream=True), 50)
            rounds.append(i)
    except Exception as e:
        wrong.append(repr(e))


threads = [threading.Thread(target=client, args=(i,)) for i in range(32)]
[t.start() for t in threads]
[t.join() for t in threads]
server.terminate()
code = server.wait(300)
races = [p.read_text() for p in pathlib.Path(folder.name).glob("race*")]
print(*races, sep="\n")
print(len(rounds), "rounds of", len(threads), "clients,", len(wrong), "errors,", len(races), "reports, exit code", code)
sys.exit(bool(wrong or races or code))
