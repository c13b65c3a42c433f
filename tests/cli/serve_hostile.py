#!/usr/bin/env python3
"""serve_hostile.py RAPT GOLDENS FOLDER: see serve_hostile.sh."""
import errno
import json, os, random, shutil, socket, subprocess, sys

RAPT, GOLDENS, FOLDER = sys.argv[1:4]
KEY, LIMIT_S = "secret-abc", 120
seed = int(os.environ.get("RAPT_HOSTILE_SEED", "1"))
rng = random.Random(seed)
CHAT = {"model": "score_chat", "messages": [{"role": "user", "content": "the cat"}], "max_tokens": 8, "temperature": 0}
TEXT = {"prompt": "the cat", "max_tokens": 4, "temperature": 0}


def check(ok, *what):
    if not ok:
        print(f"FAILED (seed {seed}):", *what)
        raise SystemExit(1)


many = os.path.join(FOLDER, "many")  # an adapter whose goals have several attributes
shutil.copytree(os.path.join(GOLDENS, "score_chat_lora2"), many)
with open(os.path.join(many, "goal.json"), "w") as f:
    json.dump({"text": "Aim:\n{scaled}", "placement": "system", "attributes": [{"name": "helpful", "low": 0, "high": 4, "best": 4}, {"name": "long", "low": 0, "high": 1, "best": 0.5}]}, f)
errors = open(os.path.join(FOLDER, "server.err"), "w+")
server = subprocess.Popen([RAPT, "serve", "--model", os.path.join(GOLDENS, "score_chat"), "--adapter", "a=" + os.path.join(GOLDENS, "score_chat_lora") + ",many=" + many,
                           "--port", "0", "--threads", "1", "--dtype", "reference", "--max-body-bytes", "65536", "--idle-timeout", "5", "--max-queue", "32", "--max-new-tokens", "1024",
                           "--allow-origin", "https://chat.example", "--scorer", "rule", "--rule", "regex", "--pattern", "^(a+)+$"],
                          stdout=subprocess.PIPE, stderr=errors, env=dict(os.environ, RAPT_API_KEY=KEY), text=True)
PORT = int(server.stdout.readline().rsplit(":", 1)[1])


def head(method="POST", path="/v1/chat/completions", length=None, key=KEY, extra=b"", version="HTTP/1.1"):
    lines = f"{method} {path} {version}\r\nHost: x\r\nConnection: close\r\n".encode("utf-8", "surrogateescape")
    if key is not None:
        lines += f"Authorization: Bearer {key}\r\n".encode()
    if length is not None:
        lines += f"Content-Length: {length}\r\n".encode()
    return lines + extra + b"\r\n"


def post(body, path="/v1/chat/completions", **options):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(path=path, length=len(data), **options) + data


def send(raw, half_close=False):
    """All that comes back; b"" where the connection was closed."""
    s = socket.create_connection(("127.0.0.1", PORT), timeout=LIMIT_S)
    got = b""
    try:
        s.sendall(raw)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    except OSError as e:  # closed before all was sent; ENOTCONN: before this end could be shut down
        if e.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            raise
    s.close()
    return got


def honest():
    return send(post(CHAT)).partition(b'"choices": ')[2].partition(b', "usage"')[0]


cases = []  # (what, bytes); each must get 4xx or be closed


def refused(what, raw):
    cases.append((what, raw))


# wrong values of every field
bad = {"temperature": [-1, 101, "1", [], True, 1e999, 0.0001], "top_p": [0, -0.1, 1.1, "x", {}], "min_p": [-1, 2, []], "top_k": [-2, 1.5, "1", 1e30],
       "seed": ["a", 1.5, [], 1e40], "n": [0, -1, 129, 1.5, "2"], "max_tokens": [-1, 0, 1 << 40, 1.5, "9", {}, 1025], "stop": [1, {}, [1], "", [""], ["x"] * 17, ["x" * 2000], [[]]],
       "stream": ["true", 1, []], "logprobs": ["x", {}, 21, -1, 1.5], "goal": ["high", "", [], {}, True, 99, -1, "1e999", "nan", "8 "], "model": [1, [], "nowhere", "a@goal=", "a@goal=x",
       "a@goal=99", "@goal=8", "", "a\u0000b", "../../etc/passwd"], "stream_options": [1, [], {"include_usage": 1}, {"x": 1}, {"include_usage": True}],
       "tools": [[{}], 1], "logit_bias": [{"5": 1}], "frequency_penalty": [1], "presence_penalty": [-1, "x"], "repetition_penalty": [0, -1, 101, "1"], "unknown": [1, None], "": [1],
       "modalities": ["text", ["audio"], ["text", 1], {}, 1], "tool_choice": ["required", "any", {"type": "function"}, 1, []], "parallel_tool_calls": ["x", 1, []], "reasoning_effort": ["x", 1, {}, ""],
       "store": [True, "x", 1], "service_tier": ["flex", 1, {}], "functions": [[{}]], "function_call": ["auto"]}
for field, values in bad.items():
    for v in values:
        if not (field == "logprobs" and v in (21, -1, 1.5)):
            refused(f"chat {field} {str(v)[:40]}", post(dict(CHAT, **{field: v})))
# goals of several attributes, in the body and in the model's name
for v in (3, "x", "helpful", "helpful=", "=1", "=", ",", ";", "helpful=1", "long=1", "helpful=1,long=0,x=2", "helpful=1,helpful=1,long=0", "helpful=nan,long=0", "helpful=1e999,long=0", "helpful=9,long=0",
          "helpful=1;long=0", "best,", "best,best", "best,x=1", "best,long=9", "best,long=", "BEST", "helpful=1,long=0,", " helpful=1,long=0", "helpful=1,long=0x", "helpful=1,long=" + "9" * 5000,
          "x" * 5000 + "=1,long=0", ",".join(f"a{i}=1" for i in range(2000)), "helpful=1,long=0@goal=best"):
    refused(f"goal {str(v)[:40]}", post(dict(CHAT, model="many", goal=v)))
    refused(f"@goal={str(v)[:40]}", post(dict(CHAT, model=f"many@goal={v}")))
for v in ({}, [], True, {"helpful": 1}, {"helpful": 1, "long": 0, "x": 1}, {"helpful": "1", "long": 0}, {"helpful": None, "long": 0}, {"helpful": {"a": 1}, "long": 0}, {"helpful": 1e999, "long": 0},
          {"helpful": -1, "long": 0}, {"": 1, "long": 0}, {"helpful\0": 1, "long": 0}, {f"a{i}": i for i in range(3000)}, {"helpful": [[[[1]]]], "long": 0}, "best\0", {"x" * 20000: 1}):
    refused(f"goal {str(v)[:40]}", post(dict(CHAT, model="many", goal=v)))
refused("an attribute twice", post(json.dumps(dict(CHAT, model="many", goal={"helpful": 1, "long": 0})).encode().replace(b'"long": 0', b'"long": 0, "helpful": 1')))
refused("two goals", post(dict(CHAT, model="many@goal=best", goal={"helpful": 1, "long": 0})))
refused("goals of attributes to one of a score", post(dict(CHAT, model="a", goal={"helpful": 1, "long": 0})))
for field in ("echo", "best_of", "suffix", "prompt"):
    for v in (["x", {}, [[]], 3] if field != "suffix" else ["x", 3]):
        if not (field == "prompt" and v == "x"):
            refused(f"text {field} {v}", post(dict(TEXT, **{field: v}), path="/v1/completions"))
for v in (21, -1, 1.5, "x", True):
    refused(f"text logprobs {v}", post(dict(TEXT, logprobs=v), path="/v1/completions"))
for v in ([], [[], []], [1, "a"], ["a", 1], [-1], [259], [1.5], [1e30], [[1], [300]], [None], [[["a"]]], ["a"] * 33, list(range(200)) * 6, [[1, [2]]], {"a": 1}, None):
    refused(f"prompt {str(v)[:40]}", post(dict(TEXT, prompt=v), path="/v1/completions"))
refused("a goal in text whose goal stands in the system turn", post(dict(TEXT, model="a@goal=3"), path="/v1/completions"))
refused("a goal in ids", post(dict(TEXT, prompt=[5, 6], goal=3), path="/v1/completions"))
refused("echo of many samples", post(dict(TEXT, n=2, echo=True, logprobs=1), path="/v1/completions"))
refused("0 tokens", post(dict(TEXT, max_tokens=0), path="/v1/completions"))
for v in ([{"role": "user", "content": "a", "name": 1}], [{"role": "user", "content": "a", "name": ["x"]}], [{"role": "user", "content": "a", "audio": {"id": 1}}], [{"role": "user", "content": "a", "k" * 300: 1}], [], {}, "hi", [1], [{}], [{"role": "user"}], [{"role": 1, "content": "a"}], [{"role": "tool", "content": "a"}], [{"role": "user", "content": 1}],
          [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}], [{"role": "user", "content": [{"type": "text"}]}],
          [{"role": "user", "content": "a", "tool_calls": [{}]}], [{"role": "user", "content": None}], [[]] * 9, [{"role": "user", "content": "x " * 3000}],
          [{"role": "user", "content": ""}] * 1100):
    refused(f"messages {str(v)[:60]}", post(dict(CHAT, messages=v)))
for body in (dict(CHAT, max_completion_tokens=4), dict(CHAT, top_logprobs=2), dict(CHAT, model="a@goal=2", goal=3), dict(CHAT, chat_template_kwargs=[])):
    refused("fields that do not go together", post(body))
# scores of answers
ASKED, SAID = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
for body in ({}, {"messages": []}, {"messages": [SAID]}, {"messages": "x"}, {"messages": {"a": 1}}, {"messages": [ASKED, ASKED]}, {"messages": [ASKED, SAID, 1]},
             {"messages": [ASKED, {"role": "assistant", "content": 1}]}, {"messages": [ASKED, SAID], "prompt": "a"}, {"prompt": "a"}, {"completion": "a"},
             {"prompt": 1, "completion": "a"}, {"prompt": "a", "completion": []}, {"prompt": "a", "completion": None}, {"messages": [ASKED, SAID], "x": 1},
             {"messages": [ASKED, {"role": "assistant", "content": "b", "tool_calls": [{}]}]}, [], 1, {"messages": [ASKED] * 3000}):
    refused(f"score {str(body)[:60]}", post(body, path="/v1/score"))
for body in (b"", b"{", b'{"prompt": "a", "completion": "\xff"}', b'{"prompt": "a", "prompt": "b", "completion": "c"}', b"[" * 60000):
    refused(f"score {body[:30]!r}", post(body, path="/v1/score"))
refused("score without a key", post({"messages": [ASKED, SAID]}, path="/v1/score", key=None))
# bodies that are no such JSON
whole = json.dumps(CHAT).encode()
for size in sorted(rng.sample(range(len(whole)), 24)):
    refused(f"cut at {size}", post(whole[:size]))
for body in (b"", b"null", b"[]", b"1", b'"x"', b"{}", b"{" * 60000, b"[" * 60000, b'{"messages":' * 5000, b'{"a":1}{', whole + b"x", b"\xff\xfe" + whole, whole.replace(b"cat", b"\xc3("),
             whole.replace(b"cat", b"\xed\xa0\x80"), whole.replace(b"cat", b"\x00"), b'{"max_tokens": 1' + b"0" * 5000 + b"}", b'{"n": 1, "n": 1, ' + whole[1:], b"\x00" * 100,
             b'{"' + b"k" * 60000 + b'": 1}', whole.replace(b"0}", b"0x1}"), whole.replace(b"0}", b"NaN}")):
    refused(f"body {body[:30]!r}", post(body))
for i in range(40):
    body = bytearray(whole)
    for _ in range(rng.randrange(1, 4)):
        body[rng.randrange(len(body))] = rng.choice(b'\x00"{}[]:,\\\xff9-')
    cases.append((f"maybe {bytes(body)!r}", post(bytes(body))))
# oversized
refused("declared too large", head(length=65537))
refused("declared huge", head(length=1 << 62))
refused("declared beyond numbers", head(length="9" * 30))
refused("negative length", head(length=-1))
refused("a length that is no number", head(length="x"))
refused("two lengths", head(length=5, extra=b"Content-Length: 7\r\n") + b"12345")
refused("chunks without end", head(extra=b"Transfer-Encoding: chunked\r\n") + b"8000\r\n" + b" " * 0x8000 + b"\r\n8000\r\n" + b" " * 0x8000 + b"\r\n10\r\n" + b" " * 16 + b"\r\n")
refused("a chunk whose size is no number", head(extra=b"Transfer-Encoding: chunked\r\n") + b"zz\r\n")
refused("a chunk of more than memory", head(extra=b"Transfer-Encoding: chunked\r\n") + b"ffffffffffffffff\r\n" + b"x" * 70000)
refused("a long address", head(path="/" + "a" * 40000))
refused("a long header", head(extra=b"X: " + b"a" * 40000 + b"\r\n"))
refused("many headers", head(extra=b"".join(b"X%d: y\r\n" % i for i in range(5000))))
refused("a header line without end", b"GET /health HTTP/1.1\r\nX: " + b"a" * 70000)
refused("a body where none belongs", head(method="GET", path="/v1/models", length=5) + b"12345")
# unauthorised
for key in (None, "", "x", KEY[:-1], KEY + "x", KEY.upper(), "a" * 5000):
    for path in ("/v1/chat/completions", "/v1/completions"):
        refused(f"key {str(key)[:20]}", post(CHAT, path=path, key=key))
    refused(f"key {str(key)[:20]}", head(method="GET", path="/metrics", key=key))
refused("basic", post(CHAT, key=None, extra=b"Authorization: Basic c2VjcmV0LWFiYw==\r\n"))
# pages of other servers, and what browsers do not send
for origin in (b"https://evil.example", b"null", b"", b" ", b"https://chat.example.evil", b"https://chat.example/", b"http://chat.example", b"https://", b"://x", b"x", b"http://" + b"a" * 20000, b"\xff\xfe",
               b"https://chat.example, https://evil.example", b"*", b"https://chat.example\tx", b"http://x:1", b"http://y"):
    for method, more in (("POST", b""), ("OPTIONS", b"Access-Control-Request-Method: POST\r\n")):
        for key in (KEY, None):
            refused(f"{method} from {origin[:30]!r}", (post(CHAT, key=key, extra=b"Origin: " + origin + b"\r\nContent-Type: text/plain\r\n") if method == "POST" else
                                                     head(method, key=key, extra=b"Origin: " + origin + b"\r\n" + more)))
refused("two origins", post(CHAT, extra=b"Origin: https://evil.example\r\nOrigin: https://chat.example\r\n"))
refused("a preflight to nothing", head("OPTIONS", path="/nothing", extra=b"Origin: https://chat.example\r\nAccess-Control-Request-Method: POST\r\n"))
refused("a page without the key", post(CHAT, key=None, extra=b"Origin: https://chat.example\r\n"))
# models by a name with a goal
for name in ("a@goal=", "a@goal=9", "a@goal=x", "a@goal=nan", "a@goal=1e999", "a@goal=" + "9" * 5000, "@goal=2", "x@goal=2", "a@goal=2@goal=3", "many@goal=helpful", "many@goal=1", "many@goal=helpful=1",
             "a@goal=%ff%fe", "a" * 5000 + "@goal=2", "many@goal=" + ",".join(f"a{i}=1" for i in range(900)), "a@goal=best", "a@GOAL=2", "a@goal=2/", "a@", "@"):
    refused(f"model {name[:40]}", head("GET", path="/v1/models/" + name))
    refused(f"HEAD model {name[:40]}", head("HEAD", path="/v1/models/" + name))
# addresses and methods
for path in ("/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/v1/models/", "/v1/models/x", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//v1/models", "/V1/MODELS",
             "/health/x", "*", "http://evil/health", "/\udcff\udcfe"):
    refused(f"address {path!r}", head(method="GET", path=path))
for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO", "CONNECT"):
    refused(f"method {method}", head(method=method))
for method in ("POST", "DELETE"):
    refused(f"method {method} /health", head(method=method, path="/health", length=0))
# what is no HTTP
for raw in (b"\r\n\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300, b"GET\r\n\r\n", b"GET /health\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\x00" * 500,
            b" / HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\n: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(rng.randrange(256) for _ in range(3000))):
    cases.append((f"no HTTP {raw[:30]!r}", raw))

before = honest()
check(b"finish_reason" in before, "the honest client", before)
count = 0
for what, raw in cases:
    # half of a head waits for its rest until the server's patience ends: the client says that there is no more
    got = send(raw, half_close=True)
    code = int(got[9:12]) if got.startswith(b"HTTP/1.") else None
    lenient = what.startswith(("maybe", "no HTTP")) # may be valid by chance
    check(code is None or 400 <= code < 500 or lenient and code in (200, 505) or code == 505 and "HTTP" in what or code in (501,) , what, got[:300])
    check(got == b"" or code is not None, what, got[:300])
    check(b"secret" not in got, "the key is told", what, got[:300])
    if code is not None and 400 <= code < 500 and b"application/json" in got and not b"HEAD" in raw[:4]:
        error = json.loads(got.partition(b"\r\n\r\n")[2])["error"]
        check(set(error) == {"message", "type", "param", "code"} and error["message"], what, got)
    check(server.poll() is None, "the server ended", what, errors.name)
    count += not lenient
    if count % 25 == 0:
        check(honest() == before, "the honest client gets another answer after", what)
check(count >= 100, count)
# slow ones, all at once: bytes drip in, or nothing comes
slow = []
for raw in [head()[:n] for n in (0, 1, 20, 60)] + [post(CHAT)[:-n] for n in (1, 30, 100)]:
    s = socket.create_connection(("127.0.0.1", PORT), timeout=LIMIT_S)
    s.sendall(raw)
    slow.append(s)
check(honest() == before, "the honest client beside slow ones")
for s in slow:
    try:
        check(s.recv(100) == b"", "a slow client was answered")
    except ConnectionResetError:
        pass
    s.close()
check(honest() == before, "the honest client at the end")
server.terminate()
check(server.wait(LIMIT_S) == 0, "exit code", server.returncode)
text = open(errors.name).read()
check("Sanitizer" not in text and "runtime error" not in text, text)
print(count + len(slow), "hostile requests refused,", len(cases) - count, "more sent")
