#!/usr/bin/env python3
"""serve.py RAPT GOLDENS FOLDER: the cases of serve.sh, with nothing but Python's own library. Every wait has a condition and a generous limit."""
import http.client, json, os, re, shutil, socket, subprocess, sys, threading, time

RAPT, GOLDENS, FOLDER = sys.argv[1:4]
TINY, LORA, LORA2 = (os.path.join(GOLDENS, n) for n in ("score_chat", "score_chat_lora", "score_chat_lora2"))
LIMIT_S = 120


def check(ok, *what):
    if not ok:
        print("FAILED:", *what)
        raise SystemExit(1)


class Server:
    def __init__(self, *options, key=None, model=TINY):
        env = dict(os.environ, **({"RAPT_API_KEY": key} if key else {}))
        self.errors = open(os.path.join(FOLDER, "server.err"), "a")
        self.process = subprocess.Popen([RAPT, "serve", "--model", model, "--port", "0", "--threads", "1", "--dtype", "reference", *options],
                                        stdout=subprocess.PIPE, stderr=self.errors, env=env, text=True)
        line = self.process.stdout.readline()
        check(line.startswith("http://127.0.0.1:"), "no address:", repr(line), open(self.errors.name).read())
        self.address = line.strip()
        self.port = int(line.rsplit(":", 1)[1])

    def ask(self, method, path, body=None, headers=()):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        data = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
        c.request(method, path, data, dict({"Content-Type": "application/json"} if data is not None else {}, **dict(headers)))
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, text, r.headers

    def post(self, path, **body):
        code, text, _ = self.ask("POST", path, body)
        check(code == 200, path, body, code, text)
        return json.loads(text)

    def chat(self, content, **body):
        return self.post("/v1/chat/completions", messages=[{"role": "user", "content": content}], **body)

    def metric(self, name):
        return self.metric_with({}, name)

    def metric_with(self, headers, name):
        code, text, _ = self.ask("GET", "/metrics", None, headers)
        check(code == 200, "metrics", code)
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.decode().splitlines() if line.startswith(name + " ") or line.startswith(name + "{"))

    def wait(self, what, condition):
        until = time.monotonic() + LIMIT_S
        while not condition():
            check(time.monotonic() < until, "waited too long for", what)
            time.sleep(0.02)

    def open_stream(self, **body):
        """A connection on which a stream has begun: its first event was read, the rest is in the socket's file."""
        s = socket.socket()
        s.settimeout(LIMIT_S)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # so that what is not read stays with the server
        s.connect(("127.0.0.1", self.port))
        data = json.dumps(dict({"stream": True}, **body)).encode()
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        f = s.makefile("rb")
        status = f.readline()
        check(b" 200 " in status, status)
        while not f.readline().startswith(b"data: "):
            pass
        return s, f

    def stop(self, number=15):
        self.process.send_signal(number)
        check(self.process.wait(LIMIT_S) == 0, "exit code", self.process.returncode)
        check("ERROR" not in open(self.errors.name).read(), open(self.errors.name).read())


def generate(prompt, *options):
    r = subprocess.run([RAPT, "generate", "--model", TINY, "--prompt", prompt, "--json", "--threads", "1", "--dtype", "reference", *options],
                       capture_output=True, text=True)
    check(r.returncode == 0, r.stderr)
    return [json.loads(line) for line in r.stdout.splitlines()]


def events(text):
    """The JSON of server-sent events; checks the framing."""
    parts = text.decode().split("\n\n")
    check(parts.pop() == "", "a stream ends with an empty line")
    check(all(p.startswith("data: ") and "\n" not in p for p in parts), "framing", parts[:3])
    check(parts.pop() == "data: [DONE]", "a stream ends with [DONE]")
    return [json.loads(p[6:]) for p in parts]


def text_of(answer, i=0):
    return answer["choices"][i]["message"]["content"]


def goals_and_sampling():
    s = Server("--adapter", f"a={LORA},b={LORA2}", "--goal", "2", "--max-new-tokens", "64")
    greedy = {"temperature": 0, "max_tokens": 24}
    want = {(adapter, goal): generate("the cat", "--adapter", adapter, "--goal", str(goal), "--temperature", "0", "--max-new-tokens", "24")[0]
            for adapter in (LORA, LORA2) for goal in (2, 4)}
    check(len({w["text"] for w in want.values()}) > 1, "the goldens do not tell goals or adapters apart")
    for name, adapter in (("a", LORA), ("b", LORA2)):
        w = want[adapter, 4]
        for body in ({"model": name, "goal": 4}, {"model": name + "@goal=4"}, {"model": name + "@goal=4", "goal": 4}):
            r = s.chat("the cat", **body, **greedy)
            check(text_of(r) == w["text"] and r["choices"][0]["finish_reason"] == w["finish"] and r["usage"]["completion_tokens"] == w["tokens"], body, r, w)
            check(r["goal"] == 4 and r["model"] == name and r["object"] == "chat.completion", r)
        check(text_of(s.chat("the cat", model=name, **greedy)) == want[adapter, 2]["text"], "the server's default goal")
    # no model named: the first adapter; the base has no goal of its own
    check(text_of(s.chat("the cat", **greedy)) == want[LORA, 2]["text"], "the default model")
    plain = generate("the cat", "--temperature", "0", "--max-new-tokens", "24")[0]["text"]
    check(text_of(s.chat("the cat", model="score_chat", **greedy)) == plain, "the base")
    bare = generate("the cat", "--adapter", LORA, "--temperature", "0", "--max-new-tokens", "24")[0]["text"]
    check(text_of(s.chat("the cat", model="a@goal=none", **greedy)) == text_of(s.chat("the cat", model="a", goal="none", **greedy)) == bare, "goal none")
    # samples: the same as generate's
    w = generate("the cat", "--adapter", LORA, "--goal", "3", "--n", "3", "--seed", "7", "--top-k", "20", "--top-p", "0.9", "--max-new-tokens", "20")
    r = s.chat("the cat", model="a", goal=3, n=3, seed=7, top_k=20, top_p=0.9, max_completion_tokens=20)
    check([c["message"]["content"] for c in r["choices"]] == [x["text"] for x in w] and [c["index"] for c in r["choices"]] == [0, 1, 2], r, w)
    w = generate("the cat", "--adapter", LORA, "--goal", "3", "--seed", "7", "--min-p", "0.2", "--max-new-tokens", "20")
    check(text_of(s.chat("the cat", model="a", goal=3, seed=7, min_p=0.2, max_tokens=20)) == w[0]["text"], "min_p")
    unseeded = {text_of(s.chat("the cat", model="a", max_tokens=20)) for _ in range(4)}
    check(len(unseeded) > 1, "without a seed every answer is another one")
    # parts of text and the developer's role are what they stand for
    parts = s.post("/v1/chat/completions", model="a", messages=[{"role": "developer", "content": "x"}, {"role": "user", "content": [
        {"type": "text", "text": "the "}, {"type": "text", "text": "cat"}]}], **greedy)
    system = s.post("/v1/chat/completions", model="a", messages=[{"role": "system", "content": "x"}, {"role": "user", "content": "the cat"}], **greedy)
    check(text_of(parts) == text_of(system) != text_of(s.chat("the cat", model="a", **greedy)), "parts")
    streams(s)
    isolation(s)
    models(s)
    s.stop()


def streams(s):
    for body in ({"n": 3, "seed": 5, "max_tokens": 30}, {"n": 2, "seed": 6, "max_tokens": 30, "logprobs": True, "top_logprobs": 3}):
        body = dict(body, model="a", messages=[{"role": "user", "content": "the cat"}])
        whole = s.post("/v1/chat/completions", **body)
        code, text, headers = s.ask("POST", "/v1/chat/completions", dict(body, stream=True, stream_options={"include_usage": True}))
        check(code == 200 and headers["Content-Type"].startswith("text/event-stream"), code, headers)
        got = events(text)
        check(got[-1]["choices"] == [] and got[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"], got[-1])
        for c in whole["choices"]:
            mine = [e["choices"][0] for e in got[:-1] if e["choices"][0]["index"] == c["index"]]
            check(mine[0]["delta"] == {"role": "assistant", "content": ""}, mine[0])
            check("".join(m["delta"]["content"] for m in mine) == c["message"]["content"], mine, c)
            check([m["finish_reason"] for m in mine[:-1]] == [None] * (len(mine) - 1) and mine[-1]["finish_reason"] == c["finish_reason"], mine)
            if c["logprobs"]:
                check(sum((m["logprobs"]["content"] for m in mine if m["logprobs"]), []) == c["logprobs"]["content"], mine, c)
                for t in c["logprobs"]["content"]:
                    tops = [x["logprob"] for x in t["top_logprobs"]]
                    check(len(tops) == 3 and tops == sorted(tops, reverse=True) and t["logprob"] <= tops[0] <= 0, t)
    # stop strings: nothing of them or behind them is told, also where they lie across tokens
    greedy = dict(model="a", goal=4, temperature=0, max_tokens=40)
    whole = text_of(s.chat("the cat", **greedy))
    at = next(i for i in range(4, len(whole) - 3) if "\ufffd" not in whole[i:i + 3])
    stop = whole[at:at + 3]
    cut = whole[:whole.index(stop)]
    r = s.chat("the cat", stop=["never there", stop], **greedy)
    check(text_of(r) == cut and r["choices"][0]["finish_reason"] == "stop", r, cut)
    body = dict(greedy, messages=[{"role": "user", "content": "the cat"}], stop=stop, stream=True, logprobs=True)
    got = events(s.ask("POST", "/v1/chat/completions", body)[1])
    check("".join(e["choices"][0]["delta"]["content"] for e in got) == cut, got)
    check(got[-1]["choices"][0]["finish_reason"] == "stop", got[-1])
    # also where the last token that is allowed completes it
    n = next(n for n in range(1, 41) if stop in text_of(s.chat("the cat", **dict(greedy, max_tokens=n))))
    r = s.chat("the cat", stop=stop, **dict(greedy, max_tokens=n))
    check(text_of(r) == cut and r["choices"][0]["finish_reason"] == "stop", n, r)
    check(s.chat("the cat", **dict(greedy, max_tokens=n))["choices"][0]["finish_reason"] == "length", n)


def inside_a_text():
    """A completion goes on inside its prompt: a tokenizer that takes a blank off the beginning of texts takes none off there."""
    folder = os.path.join(FOLDER, "metaspace")
    shutil.copytree(os.path.join(GOLDENS, "llama_tiny"), folder)
    path = os.path.join(folder, "tokenizer.json")
    t = json.loads(open(path).read().replace("\u0120", "\u2581"))
    t["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}
    t["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    json.dump(t, open(path, "w"))
    s = Server(model=folder)
    blanks = 0
    for seed in range(20):
        body = dict(prompt="the cat", max_tokens=6, temperature=1, seed=seed)
        alone, echoed = s.post("/v1/completions", **body)["choices"][0], s.post("/v1/completions", echo=True, logprobs=0, **body)["choices"][0]
        check(echoed["text"] == "the cat" + alone["text"], seed, alone, echoed)
        names, offsets = echoed["logprobs"]["tokens"], echoed["logprobs"]["text_offset"]
        behind = [(n, o) for n, o in zip(names, offsets) if o >= len("the cat") and not n.startswith("<")]
        check("".join(n for n, _ in behind) == alone["text"] and all(echoed["text"][o:].startswith(n) for n, o in behind), seed, names, offsets, echoed)
        blanks += alone["text"].startswith(" ")
    check(blanks, "no completion begins with a blank: nothing was tested")
    s.stop()


def one_port():
    """A port belongs to one server."""
    s = Server()
    r = subprocess.run([RAPT, "serve", "--model", TINY, "--port", str(s.port), "--threads", "1", "--dtype", "reference"], capture_output=True, text=True, timeout=LIMIT_S)
    check(r.returncode == 1 and "cannot listen" in r.stderr, r)
    s.stop()


def isolation(s):
    """Many clients at once on two adapters and the base: everyone gets exactly what they get alone."""
    asks = [dict(model=("a", "b@goal=3", "score_chat")[i % 3], messages=[{"role": "user", "content": f"client {i} has the secret {i * 7919}"}], seed=i,
                 max_tokens=24, stream=i % 2 == 1) for i in range(24)]
    answer = lambda a: (lambda r: "".join(e["choices"][0]["delta"]["content"] for e in events(r[1])) if a["stream"] else text_of(json.loads(r[1])))(
        s.ask("POST", "/v1/chat/completions", a))
    alone = [answer(a) for a in asks]
    together = [None] * len(asks)

    def run(i):
        together[i] = answer(asks[i])
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(asks))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check(alone == together, [i for i in range(len(asks)) if alone[i] != together[i]])


def models(s):
    code, text, _ = s.ask("GET", "/v1/models")
    data = json.loads(text)["data"]
    check(code == 200 and [m["id"] for m in data] == ["score_chat", "a", "b"], text)
    check(data[1]["goal"] == {"low": 1, "high": 5, "best": None, "default": 2, "trained": True} and data[0]["goal"]["default"] is None, text)
    code, text, _ = s.ask("GET", "/v1/models/b")
    check(code == 200 and json.loads(text) == data[2], text)
    check(s.ask("GET", "/v1/models/c")[0] == 404, "no such model")
    check(s.ask("GET", "/health")[1] == b'{"status": "ok"}', "health")
    code, page, headers = s.ask("GET", "/")
    check(code == 200 and headers["Content-Type"].startswith("text/html") and "connect-src 'self'" in headers["Content-Security-Policy"], headers)
    check(page == open(os.path.join(os.path.dirname(__file__), "../../web/playground.html"), "rb").read(), "the page")
    for outside in (b"http://", b"https://", b"src=", b"@import", b"url("):
        check(outside not in page, "the page asks for something outside", outside)
    check(s.metric("rapt_generated_tokens_total") > 100 and s.metric("rapt_prompt_tokens_total") > 100, "metrics")
    check(s.metric("rapt_first_token_seconds_count") > 0 and s.metric("rapt_requests_total") > 30, "metrics")
    out = subprocess.run(["curl", "-sS", "--fail", s.address + "/v1/chat/completions", "-H", "Content-Type: application/json", "-d",
                          '{"model": "a@goal=4", "temperature": 0, "max_tokens": 24, "messages": [{"role": "user", "content": "the cat"}]}'],
                         capture_output=True, text=True)
    check(out.returncode == 0 and json.loads(out.stdout)["goal"] == 4, out)


def prompt_logprobs():
    """What lm-evaluation-harness asks for, against rapt logps."""
    s = Server()
    rows = [([3 + i, 40, 7 * i + 1, 99], [5, 250 - i, 17, 60 + i]) for i in range(6)]
    path = os.path.join(FOLDER, "pairs.jsonl")
    with open(path, "w") as f:
        for a, b in rows:
            f.write(json.dumps({"prompt_ids": a, "chosen_ids": b, "rejected_ids": b[::-1]}) + "\n")
    r = subprocess.run([RAPT, "logps", "--model", TINY, "--input", path, "--output", "-", "--token-logps", "--dtype", "f32", "--threads", "1"], capture_output=True,
                       text=True)
    check(r.returncode == 0, r.stderr)
    want = [json.loads(line)["token_logps_chosen"] for line in r.stdout.splitlines()]
    for tokens in (0, 1):
        got = s.post("/v1/completions", prompt=[a + b for a, b in rows], max_tokens=tokens, echo=True, logprobs=1, temperature=0, seed=1234)
        for (a, b), c, w in zip(rows, got["choices"], want):
            l = c["logprobs"]
            check(all(len(l[k]) == 8 + tokens for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset")), l)
            check(l["token_logprobs"][0] is None and l["top_logprobs"][0] is None and l["text_offset"][0] == 0, l)
            mine = l["token_logprobs"][4:8]
            check(max(abs(x - y) for x, y in zip(mine, w)) < 1e-4, mine, w)
            for name, p, top in list(zip(l["tokens"], l["token_logprobs"], l["top_logprobs"]))[1:]:
                check(abs(top[name] - p) < 1e-6 and max(top.values()) >= p and 1 <= len(top) <= 2, name, p, top)
        check(got["usage"]["prompt_tokens"] == 48 and got["usage"]["completion_tokens"] == 6 * tokens, got["usage"])
    # text and ids are the same prompt; streams say the same
    text = s.post("/v1/completions", prompt="the cat sat", max_tokens=8, echo=True, logprobs=2, temperature=0)
    ids = s.post("/v1/completions", prompt=json.loads(subprocess.run([RAPT, "tokenize", "--model", TINY, "--text", "the cat sat", "--json"], capture_output=True,
                                                                     text=True).stdout), max_tokens=8, echo=True, logprobs=2, temperature=0)
    check(text["choices"] == ids["choices"] and text["choices"][0]["text"].startswith("the cat sat"), text, ids)
    raw = generate("the cat sat", "--raw", "--temperature", "0", "--max-new-tokens", "8")[0]["text"]
    check(text["choices"][0]["text"] == "the cat sat" + raw, text, raw)
    got = events(s.ask("POST", "/v1/completions", dict(prompt="the cat sat", max_tokens=8, echo=True, logprobs=2, temperature=0, stream=True))[1])
    whole = text["choices"][0]
    check("".join(e["choices"][0]["text"] for e in got) == whole["text"], got)
    for k in whole["logprobs"]:
        check(sum((e["choices"][0]["logprobs"][k] for e in got), []) == whole["logprobs"][k], k, got)
    # 16 tokens where nothing is said; several prompts with several samples
    r = s.post("/v1/completions", prompt=["the cat", "go"], n=2, seed=3)
    check([c["index"] for c in r["choices"]] == [0, 1, 2, 3] and r["usage"]["completion_tokens"] <= 64, r)
    w = generate("the cat", "--raw", "--n", "2", "--seed", "3", "--max-new-tokens", "16")
    check([c["text"] for c in r["choices"][:2]] == [x["text"] for x in w], r, w)
    s.stop(2)


MANY = dict(n=48, seed=1, max_tokens=900, messages=[{"role": "user", "content": "the cat"}])


def gone_and_drained():
    s = Server("--max-length", "1024", "--idle-timeout", str(LIMIT_S))
    ask = s.open_stream(**MANY)
    for f in reversed(ask):  # the client goes away in the middle
        f.close()
    s.wait("the slots of a client that went away", lambda: s.metric("rapt_sequences_running") + s.metric("rapt_sequences_queued") == 0)
    check(s.metric("rapt_generated_tokens_total") < 48 * 900, "all of it was written for nobody")
    # the drain: a client that has not read its stream holds the server open; it still gets every byte, others get 503
    sock, f = s.open_stream(**dict(MANY, max_tokens=200, logprobs=True, top_logprobs=5))  # megabytes
    s.process.send_signal(15)
    s.wait("the drain", lambda: s.ask("GET", "/health")[0] == 503)
    code, text, headers = s.ask("POST", "/v1/chat/completions", dict(messages=[{"role": "user", "content": "a"}]))
    check(code == 503 and json.loads(text)["error"]["code"] == "draining" and headers["Retry-After"], code, text)
    rest = re.sub(rb"\r\n[0-9A-Fa-f]+\r\n", b"", f.read())  # a chunk of HTTP's may end within an event
    check(rest.count(b'"finish_reason": "') == 48 and b"data: [DONE]" in rest, "the stream was not finished", rest[-300:])
    check(s.process.wait(LIMIT_S) == 0, "exit code")


def limits():
    s = Server("--max-queue", "64", "--batch-size", "1", "--max-new-tokens", "900", "--max-body-bytes", "2048", "--timeout", "0.5", "--idle-timeout", "0.5",
               key="secret-abc")
    auth = {"Authorization": "Bearer secret-abc"}
    chat = dict(messages=[{"role": "user", "content": "a"}], max_tokens=4)
    for headers in ({}, {"Authorization": "secret-abc"}, {"Authorization": "Bearer secret-ab"}, {"Authorization": "Bearer secret-abcd"}, {"Authorization": "Bearer "}):
        for method, path, body in (("POST", "/v1/chat/completions", chat), ("GET", "/v1/models", None), ("GET", "/metrics", None)):
            code, text, _ = s.ask(method, path, body, headers)
            check(code == 401 and json.loads(text)["error"]["code"] == "invalid_api_key" and b"secret" not in text, code, text)
    check(s.ask("GET", "/health")[0] == 200, "health needs no key")
    check(s.ask("POST", "/v1/chat/completions", chat, auth)[0] == 200, "the right key")
    code, text, _ = s.ask("POST", "/v1/chat/completions", dict(chat, pad="x" * 3000), auth)
    check(code == 413, code, text)
    code, text, _ = s.ask("POST", "/v1/chat/completions", dict(chat, max_tokens=901), auth)
    check(code == 400 and json.loads(text)["error"]["param"] == "max_tokens" and b"at most 900 tokens (--max-new-tokens)" in text, code, text)
    code, text, _ = s.ask("POST", "/v1/chat/completions", dict(chat, n=65), auth)
    check(code == 400, code, text)
    # one runs and the others wait, and as many again are too many; what takes too long gets 503
    big, codes = dict(chat, n=64, max_tokens=900), []
    until = time.monotonic() + LIMIT_S
    while not {429, 503} <= set(codes):
        check(time.monotonic() < until, codes)
        threads = [threading.Thread(target=lambda: codes.append(s.ask("POST", "/v1/chat/completions", big, auth)[0])) for _ in range(3)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    check(set(codes) <= {200, 429, 503}, codes)  # 200: a quick machine wrote all of it in time
    # slow clients: half a head, half a body, nothing at all
    for part in (b"", b"POST /v1/chat/comp", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-abc\r\nContent-Length: 500\r\n\r\n{"):
        c = socket.create_connection(("127.0.0.1", s.port), timeout=LIMIT_S)
        c.sendall(part)
        check(c.recv(100) == b"", "a slow client was answered", part)
        c.close()
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")


def heads_and_lists():
    """HEAD, models by a name with a goal, and a list of such names; the lengths that nobody limits."""
    s = Server("--adapter", f"a={LORA}", "--list-goals", "2,3.5,2", "--max-length", "256")
    for path in ("/", "/health", "/v1/models", "/v1/models/a", "/metrics", "/v1/models/none", "/nothing"):
        code, text, headers = s.ask("GET", path)
        head, empty, same = s.ask("HEAD", path)
        check(head == code and empty == b"" and same["Content-Type"] == headers["Content-Type"], path, head, code, empty)
        check(path == "/metrics" or int(same["Content-Length"]) == len(text), path, same, len(text))
    code, _, headers = s.ask("HEAD", "/v1/completions")
    check(code == 405 and headers["Allow"] == "POST, OPTIONS", code, headers)
    data = json.loads(s.ask("GET", "/v1/models")[1])["data"]
    check([m["id"] for m in data] == ["score_chat", "a", "a@goal=2", "a@goal=3.5"], data)
    check(all(m["goal"]["default"] == g and m["root"] == "a" for m, g in zip(data[2:], (2, 3.5))), data)
    for path, name in (("/v1/models/a@goal=3.5", "a@goal=3.5"), ("/v1/models/a%40goal%3D3.5", "a@goal=3.5"), ("/v1/models/a@goal=none", "a@goal=none")):
        code, text, _ = s.ask("GET", path)
        m = json.loads(text)
        check(code == 200 and m["id"] == name and m["goal"]["default"] == (None if "none" in name else 3.5), path, code, text)
        check(s.chat("the cat", model=m["id"], max_tokens=2)["goal"] == m["goal"]["default"], "what is listed can be asked")
    for path, want, error in (("/v1/models/c", 404, "model_not_found"), ("/v1/models/c@goal=2", 404, "model_not_found"), ("/v1/models/a@goal=9", 400, None),
                              ("/v1/models/a@goal=", 400, None), ("/v1/models/a@goal=x", 400, None), ("/v1/models/@goal=2", 404, "model_not_found")):
        code, text, _ = s.ask("GET", path)
        e = json.loads(text)["error"]
        check(code == want and e["code"] == error and e["param"] == "model" and e["type"] == "invalid_request_error", path, code, text)
    # no limit was set: larger numbers end where the context does, and so does a chat that names none
    for body in (dict(max_tokens=5000), dict(max_completion_tokens=5000), dict(max_tokens=1 << 24), {}):
        r = s.chat("the cat", model="score_chat", temperature=0, stop="\0 never", **body)
        used = r["usage"]["total_tokens"]
        check(r["choices"][0]["finish_reason"] == "stop" or used == 256, body, r)
    r = s.post("/v1/completions", prompt=[5, 6], max_tokens=5000, temperature=0)
    check(r["choices"][0]["finish_reason"] == "stop" or r["usage"]["total_tokens"] == 256, r)
    s.stop()


def harmless_fields():
    """What OpenAI's clients send beside what is asked for: taken where it asks for nothing, else refused by name."""
    s = Server(key="secret-abc")
    asked = dict(temperature=0, max_tokens=6, messages=[{"role": "user", "content": "the cat", "name": "ann", "tool_calls": [], "refusal": None}])
    bearer = lambda scheme: {"Authorization": scheme + " secret-abc"}
    want = text_of(json.loads(s.ask("POST", "/v1/chat/completions", asked, bearer("Bearer"))[1]))
    for scheme in ("bearer", "BEARER"):
        code, text, _ = s.ask("POST", "/v1/chat/completions", asked, bearer(scheme))
        check(code == 200 and text_of(json.loads(text)) == want, scheme, code, text)
    for more in ({"modalities": ["text"]}, {"tool_choice": "auto"}, {"tool_choice": "none"}, {"tools": [], "tool_choice": "auto"}, {"parallel_tool_calls": True}, {"parallel_tool_calls": False},
                 {"reasoning_effort": "low"}, {"store": False}, {"store": None}, {"service_tier": "auto"}, {"service_tier": "default"}, {"metadata": {"a": "b"}}, {"user": "u"}, {"n": 1}):
        code, text, _ = s.ask("POST", "/v1/chat/completions", dict(asked, **more), bearer("Bearer"))
        check(code == 200 and text_of(json.loads(text)) == want, more, code, text)
    for more in ({"modalities": ["text", "audio"]}, {"modalities": "text"}, {"tool_choice": "required"}, {"tool_choice": {"type": "function"}}, {"parallel_tool_calls": 1},
                 {"reasoning_effort": "most"}, {"store": True}, {"service_tier": "priority"}, {"tools": [{}]}, {"web_search_options": {}}):
        code, text, _ = s.ask("POST", "/v1/chat/completions", dict(asked, **more), bearer("Bearer"))
        (field,) = more
        e = json.loads(text)["error"]
        check(code == 400 and e["param"] == field and e["type"] == "invalid_request_error", more, code, text)
    check("unknown field 'web_search_options'" in e["message"], e)
    for field, value in (("tool_calls", [{}]), ("audio", {"id": "x"}), ("name", 5)):
        code, text, _ = s.ask("POST", "/v1/chat/completions", dict(asked, messages=[{"role": "user", "content": "a", field: value}]), bearer("Bearer"))
        check(code == 400 and f"messages[0].{field}" in json.loads(text)["error"]["message"], field, code, text)
    for code, body, headers in ((401, asked, {}), (404, dict(asked, model="gpt-4"), bearer("Bearer"))):
        got, text, _ = s.ask("POST", "/v1/chat/completions", body, headers)
        check(got == code and json.loads(text)["error"]["type"] == "invalid_request_error", got, text)  # as OpenAI says it
    # usage in streams
    for path, body in (("/v1/chat/completions", asked), ("/v1/completions", dict(prompt="the cat", max_tokens=6, temperature=0))):
        streamed = lambda **o: events(s.ask("POST", path, dict(body, stream=True, **({"stream_options": o} if o else {})), bearer("Bearer"))[1])
        check(all("usage" not in e for e in streamed()), "usage that nobody asked for")
        got = streamed(include_usage=True)
        check(all(e["usage"] is None for e in got[:-1]) and got[-1]["usage"]["completion_tokens"] > 0, got)
        check(all(e["usage"] is None for e in streamed(include_usage=True, continuous_usage_stats=False)[:-1]), "continuous_usage_stats false")
        check(all("usage" not in e for e in streamed(continuous_usage_stats=True)), "vLLM's continuous usage goes with include_usage")
        got = streamed(include_usage=True, continuous_usage_stats=True)
        told = [e["usage"]["completion_tokens"] for e in got]
        check(told == sorted(told) and told[-1] == got[-1]["usage"]["completion_tokens"] > 0 and got[-1]["choices"] == [], got)
    # an empty prompt goes on from what stands between texts
    code, text, _ = s.ask("POST", "/v1/completions", dict(prompt="", max_tokens=6, temperature=0, echo=True, logprobs=0), bearer("Bearer"))
    r = json.loads(text)
    check(code == 200 and r["usage"]["prompt_tokens"] == 1 and r["choices"][0]["logprobs"]["text_offset"][:2] == [0, 0], code, text)
    check(r["choices"][0]["logprobs"]["token_logprobs"][0] is None, r)
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")


def origins():
    """Pages of other servers: they are kept out unless they are listed, and their browsers are told so without the key."""
    body = json.dumps(dict(messages=[{"role": "user", "content": "a"}], max_tokens=2)).encode()
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    auth = {"Authorization": "Bearer secret-abc"}
    no = lambda h: not [k for k in h if k.lower().startswith("access-control")]
    s = Server(key="secret-abc")
    own = {"Origin": s.address, "Host": s.address[7:]}
    foreign = [{"Origin": o} for o in ("https://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "null", "", "x", f"http://evil.example/?{s.address}", s.address + "/", s.address[7:])]
    for origin in foreign:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"):
            for path in ("/v1/chat/completions", "/v1/completions", "/v1/score"):
                code, text, headers = s.ask("POST", path, body, {**auth, **origin, "Content-Type": kind})
                check(code == 403 and json.loads(text)["error"]["code"] == "origin_not_allowed" and b"--allow-origin" in text and no(headers), origin, kind, code, text)
        code, text, headers = s.ask("OPTIONS", "/v1/chat/completions", None, {**origin, **asking})
        check(code == 403 and no(headers), origin, code, text, headers)
    check(s.metric_with(auth, "rapt_generated_tokens_total") == 0, "a foreign page had something written")
    for headers in ({}, own, {"Content-Type": "text/plain"}):  # programs, the playground, curl -d
        code, text, got = s.ask("POST", "/v1/chat/completions", body, {**auth, **headers})
        check(code == 200 and no(got), headers, code, text)
    code, _, headers = s.ask("OPTIONS", "/v1/chat/completions", None, auth)
    check(code == 405 and headers["Allow"] == "POST, OPTIONS", code, headers)  # no browser's
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")
    page = {"Origin": "https://chat.example"}
    s = Server("--allow-origin", "https://chat.example,http://localhost:3000", key="secret-abc")
    for path, takes in (("/v1/chat/completions", "POST"), ("/v1/models", "GET")):
        code, text, h = s.ask("OPTIONS", path, None, {**page, **asking})
        check(code == 204 and text == b"" and h["Access-Control-Allow-Origin"] == "https://chat.example" and takes in h["Access-Control-Allow-Methods"]
              and h["Access-Control-Allow-Headers"] == "Authorization, Content-Type" and h["Vary"] == "Origin", code, h)
    code, text, h = s.ask("POST", "/v1/chat/completions", body, {**auth, **page})
    check(code == 200 and h["Access-Control-Allow-Origin"] == "https://chat.example" and h["Vary"] == "Origin", code, text, h)
    code, text, h = s.ask("POST", "/v1/chat/completions", body.replace(b"}]", b'}], "stream": true'), {**auth, **page})
    check(code == 200 and h["Access-Control-Allow-Origin"] == "https://chat.example" and events(text), "a stream", code, h)
    code, text, h = s.ask("POST", "/v1/chat/completions", body, page)
    check(code == 401 and h["Access-Control-Allow-Origin"] == "https://chat.example", "an error can be read too", code, h)
    code, text, h = s.ask("GET", "/v1/models", None, {**auth, "Origin": "https://evil.example"})
    check(code == 200 and no(h) and h["Vary"] == "Origin", code, h)
    for origin in ("https://evil.example", "https://chat.example.evil", "http://chat.example", "https://chat.example:444"):
        check(s.ask("POST", "/v1/chat/completions", body, {**auth, "Origin": origin})[0] == 403, origin)
        check(s.ask("OPTIONS", "/v1/chat/completions", None, {"Origin": origin, **asking})[0] == 403, origin)
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")
    s = Server("--allow-origin", "*")
    for origin in ("https://any.example", "null"):
        check(s.ask("OPTIONS", "/v1/completions", None, {"Origin": origin, **asking})[2]["Access-Control-Allow-Origin"] == "*", origin)
        code, text, h = s.ask("POST", "/v1/chat/completions", body, {"Origin": origin})
        check(code == 200 and h["Access-Control-Allow-Origin"] == "*", origin, code, text)
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")


REWARD, MULTI, ARMO = (os.path.join(GOLDENS, n) for n in ("reward_tiny", "score_multi", "score_armo"))
TALKS = [("the cat", "sat on the mat"), ("go", "no"), ("why?", "because \u6c34 is w\u00e9t, and so on and on")]


def rapt_score(*options, chat=True):
    """What rapt score gives the same answers."""
    path = os.path.join(FOLDER, "talks.jsonl")
    with open(path, "w") as f:
        for q, a in TALKS:
            f.write(json.dumps({"prompt": [{"role": "user", "content": q}], "completion": [{"role": "assistant", "content": a}]} if chat else
                               {"prompt": q, "completion": a}) + "\n")
    r = subprocess.run([RAPT, "score", "--input", path, "--output", "-", "--threads", "1", *options] if "reward-model" in options else
                       [RAPT, "score", "--input", path, "--output", "-", *options], capture_output=True, text=True)
    check(r.returncode == 0, r.stderr)
    rows = [json.loads(line) for line in r.stdout.splitlines()]
    return [{k: row[k] for k in ("score", "scores") if k in row} for row in rows]


def talk(q, a, chat=True):
    return dict(prompt=q, completion=a) if not chat else dict(messages=[{"role": "user", "content": q}, {"role": "assistant", "content": a}])


def goals_of_attributes():
    style = os.path.join(FOLDER, "style.json")
    with open(style, "w") as f:
        json.dump({"text": "Aim.\n{scaled}", "placement": "user", "attributes": [{"name": "helpful", "low": 0, "high": 4}, {"name": "long", "low": -1, "high": 1, "best": 0}]}, f)
    s = Server("--adapter", f"a={LORA}", "--goal-style", style, "--goal", "best,long=1")
    greedy = {"temperature": 0, "max_tokens": 12}
    bare = [generate(f"Aim.\nHelpful (0-4): {h}.\nLong (-1-1): {l}.\n\nthe cat", "--adapter", LORA, "--temperature", "0", "--max-new-tokens", "12")[0]["text"]
            for h, l in ((4, 1), (1, 0.5), (4, 0))]
    for want, goal, body in ((bare[0], {"helpful": 4, "long": 1}, {}), (bare[1], {"helpful": 1, "long": 0.5}, {"goal": {"long": 0.5, "helpful": 1}}),
                             (bare[1], {"helpful": 1, "long": 0.5}, {"model": "a@goal=long=0.5,helpful=1"}), (bare[2], {"helpful": 4, "long": 0}, {"goal": "best"})):
        r = s.chat("the cat", **body, **greedy)
        check(text_of(r) == want and r["goal"] == goal, body, r, want)
    check(s.chat("the cat", goal="none", **greedy)["goal"] is None, "goal none")
    model = json.loads(s.ask("GET", "/v1/models/a")[1])["goal"]
    check(model == {"attributes": [{"name": "helpful", "low": 0, "high": 4}, {"name": "long", "low": -1, "high": 1}], "best": {"helpful": 4, "long": 0},
                    "default": {"helpful": 4, "long": 1}, "trained": model["trained"]}, model)
    for body, says in (({"goal": 3}, b"no object"), ({"goal": {"helpful": 1}}, b"lacks long"), ({"goal": {"helpful": 1, "long": 0, "x": 1}}, b"no attribute x"),
                       ({"goal": {"helpful": 1, "long": "a"}}, b"no finite number for long"), ({"goal": {"helpful": 9, "long": 0}}, b"outside the scale of 0 to 4"),
                       ({"goal": []}, b"no object"), ({"goal": "best\0"}, b"no NUL"), ({"model": "a@goal=helpful=1"}, b"lacks long"),
                       ({"model": "a@goal=best", "goal": "best,long=1"}, b"differs from the goal in the model")):
        code, text, _ = s.ask("POST", "/v1/chat/completions", dict({"messages": [{"role": "user", "content": "q"}]}, **body))
        check(code == 400 and says in text, body, code, text)
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")


def achieved_scores():
    """/v1/score against rapt score: rules, a reward model raw and through a map, while answers are written."""
    s = Server()
    check(json.loads(s.ask("GET", "/v1/models")[1])["scorer"] is None, "no scorer")
    code, text, _ = s.ask("POST", "/v1/score", talk("a", "b"))
    check(code == 404 and b"--scorer" in text, code, text)
    s.stop()
    map_file = os.path.join(FOLDER, "q.jsonl")
    rows = os.path.join(FOLDER, "talks.jsonl")
    rapt_score("--source", "rule", "--rule", "json", chat=False)  # writes talks.jsonl
    r = subprocess.run([RAPT, "score", "--input", rows, "--output", map_file, "--threads", "1", "--source", "reward-model", "--model", REWARD, "--scale", "quantiles", "--score-range", "2,6"],
                       capture_output=True, text=True)
    check(r.returncode == 0, r.stderr)
    map_file += ".map.json"
    judge = "while read -r line; do case $line in *cat*) exit 3 ;; *why*) echo null ;; *) echo 0.25 ;; esac; done"
    for options, same, scorer in (
            (("--scorer", "rule", "--rule", "length", "--length", "4", "--score-range", "1,5"), ("--source", "rule", "--rule", "length", "--length", "4", "--score-range", "1,5"),
             {"source": "rule", "rule": "length", "low": 1, "high": 5}),
            (("--scorer", "reward-model", "--scorer-model", REWARD), ("--source", "reward-model", "--model", REWARD),
             {"source": "reward-model", "model": "reward_tiny", "low": None, "high": None}),
            (("--scorer", "reward-model", "--scorer-model", REWARD, "--scorer-map", map_file), ("--source", "reward-model", "--model", REWARD, "--map", map_file),
             {"source": "reward-model", "model": "reward_tiny", "low": 2, "high": 6}),
            (("--scorer", "reward-model", "--scorer-model", MULTI, "--weights", "correct=2,brief=-0.5", "--quantize", "0"),
             ("--source", "reward-model", "--model", MULTI, "--weights", "correct=2,brief=-0.5", "--quantize", "0"),
             {"source": "reward-model", "model": "score_multi", "low": None, "high": None}),
            (("--scorer", "reward-model", "--scorer-model", ARMO), ("--source", "reward-model", "--model", ARMO),
             {"source": "reward-model", "model": "score_armo", "low": None, "high": None})):
        chat = not {REWARD, MULTI} & set(options)  # these two have no chat template
        s = Server(*options)
        check(json.loads(s.ask("GET", "/v1/models")[1])["scorer"] == scorer, options, s.ask("GET", "/v1/models")[1])
        want = rapt_score(*same, chat=chat)
        check(len({w["score"] for w in want}) > 1, "the goldens do not tell answers apart", want)
        for (q, a), w in zip(TALKS, want):
            got = s.post("/v1/score", **talk(q, a, chat))
            check(got.pop("object") == "score" and set(got) == set(w) and abs(got["score"] - w["score"]) < 1e-5, options, got, w)
            for name, value in w.get("scores", {}).items():
                check(abs(got["scores"][name] - value) < 1e-5, got, w)
        if chat:
            parts = talk(*TALKS[0])
            parts["messages"][1]["content"] = [{"type": "text", "text": "sat on "}, {"type": "text", "text": "the mat"}]
            check(s.post("/v1/score", **parts)["score"] == s.post("/v1/score", **talk(*TALKS[0]))["score"], "parts of text")
        got = [None] * 12

        def run(i):
            got[i] = s.post("/v1/score", **talk(*TALKS[i % 3], chat))["score"]
        sock, f = s.open_stream(**dict(MANY, n=8, max_tokens=60))
        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(got))]
        [t.start() for t in threads]
        [t.join() for t in threads]
        check(all(abs(g - want[i % 3]["score"]) < 1e-5 for i, g in enumerate(got)), "scores beside answers", got, want)
        check(b"data: [DONE]" in f.read(), "the stream beside scores")
        s.stop()
    s = Server("--scorer", "rule", "--rule", "command", "--command", judge)
    check(s.post("/v1/score", prompt="go", completion="no")["score"] == 3.25, "a program's score")
    check(s.post("/v1/score", prompt="why?", completion="so")["score"] is None, "no score")
    for _ in range(2):
        code, text, _ = s.ask("POST", "/v1/score", talk("the cat", "sat"))
        check(code == 500 and b"exit" not in text and b"done" not in text, code, text)
        check(s.post("/v1/score", **talk("go", "no"))["score"] == 3.25, "after a program that failed")
    log = open(s.errors.name).read()
    check("while read" in log, "the log says which program failed", log)
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")
    s = Server("--scorer", "reward-model", "--scorer-model", REWARD, "--max-length", "64")
    code, text, _ = s.ask("POST", "/v1/score", talk("the cat " * 40, "sat", False))
    check(code == 400 and b"tokens" in text, code, text)
    check(s.post("/v1/score", **talk("go", "no", False))["score"] is not None, "after one that is too long")
    s.process.send_signal(15)
    check(s.process.wait(LIMIT_S) == 0, "exit code")


for case in (heads_and_lists, harmless_fields, origins, goals_and_sampling, goals_of_attributes, achieved_scores, prompt_logprobs, inside_a_text, one_port, gone_and_drained, limits):
    begun = time.monotonic()
    case()
    print(f"{case.__name__} ok, {time.monotonic() - begun:.1f} s")
