#!/usr/bin/env python3
"""serve_load.py RAPT MODEL [STREAMS] [SECONDS] [serve's options...]: so many clients stream from rapt serve all the time, each its own prompt; says tokens a second, the time to
the first token, errors, whether any text came to the wrong client, and the server's resident memory before, in the middle and after."""
import http.client
import json
import os
import subprocess
import sys
import threading
import time

RAPT, MODEL = sys.argv[1:3]
STREAMS, SECONDS = (int(sys.argv[i]) if len(sys.argv) > i else d for i, d in ((3, 32), (4, 60)))
server = subprocess.Popen([RAPT, "serve", "--model", MODEL, "--port", "0", *sys.argv[5:]], stdout=subprocess.PIPE, text=True)
port = int(server.stdout.readline().rsplit(":", 1)[1])


def rss_mb():
    return int(next(line for line in open(f"/proc/{server.pid}/status") if line.startswith("VmRSS")).split()[1]) / 1024


def stream(i, seed, tokens):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begun, first, count, text, reason = time.monotonic(), None, 0, "", None
    c.request("POST", "/v1/chat/completions", json.dumps({"messages": [{"role": "user", "content": f"You are client {i}. Write a short story about the number {i}."}],
                                                          "stream": True, "stream_options": {"include_usage": True}, "max_tokens": tokens, "seed": seed}))
    r = c.getresponse()
    if r.status != 200:
        raise RuntimeError(r.read())
    for line in r:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise RuntimeError(event)
        for choice in event["choices"]:
            text += choice["delta"]["content"]
            first = first or (time.monotonic() - begun if choice["delta"]["content"] else None)
            reason = choice["finish_reason"] or reason
        if event.get("usage"):
            count = event["usage"]["completion_tokens"]
    c.close()
    if reason is None:
        raise RuntimeError("a stream without an end")
    return count, first, text


answers, errors, lock = [], [], threading.Lock()
ends = 0.0


def client(i):
    seed = i * 1000
    while time.monotonic() < ends:
        try:
            got = stream(i, seed, 100)
            with lock:
                answers.append((i, seed, *got))
        except Exception as e:  # whatever it is, it counts
            with lock:
                errors.append(repr(e))
            time.sleep(0.1)
        seed += 1


stream(0, 0, 16)
before, begun = rss_mb(), time.monotonic()
ends = begun + SECONDS
threads = [threading.Thread(target=client, args=(i,)) for i in range(STREAMS)]
[t.start() for t in threads]
time.sleep(SECONDS / 2)
middle = rss_mb()
[t.join() for t in threads]
took, after = time.monotonic() - begun, rss_mb()
tokens = sum(a[2] for a in answers)
firsts = sorted(a[3] for a in answers if a[3])
same = len(answers) - len({(a[4]) for a in answers})
print(f"{STREAMS} streams for {took:.0f} s: {len(answers)} answers, {tokens} tokens, {tokens / took:.0f} tokens/s, {len(errors)} errors {errors[:2]}")
print(f"first token after {firsts[len(firsts) // 2]:.2f} s (median), {firsts[-1]:.2f} s (slowest); {same} answers that another one repeats")
print(f"resident: {before:.0f} MB before, {middle:.0f} MB at half, {after:.0f} MB after; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
server.terminate()
print("exit code", server.wait(120))
