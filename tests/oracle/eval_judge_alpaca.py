"""alpaca_eval 0.6.6 asks a judge: its annotator weighted_alpaca_eval_gpt4_turbo against a server here that answers by a rule -> OUTPUT/bench_judge: what it
asked, what it was told and which preferences it made of that, for tests/unit/test_bench_judge.c. Run by tests/oracle/evals.sh.

eval_judge_alpaca.py OUTPUT"""
import hashlib
import http.server
import json
import math
import os
import pathlib
import random
import sys
import threading

out = pathlib.Path(sys.argv[1]) / "bench_judge"
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(12)
asked = {}


def choice(body):
    """What is answered, by the request's text."""
    r = random.Random(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest())
    p = r.random()
    tokens = [["m", math.log(p)], ["M", math.log(1 - p)], ["The", -9.5], ["\n", -11.25], ["Both", -12.0]]
    kind = r.randrange(12)
    if kind == 0:
        tokens = [t for t in tokens if t[0] != "m"]
    if kind == 1:
        tokens = [t for t in tokens if t[0] != "M"]
    if kind == 2:
        tokens = [[t + "." if len(t) == 1 else t, x] for t, x in tokens]  # neither
    if kind == 3:
        tokens.append([" m", -2.0])  # another token
    tokens.sort(key=lambda t: -t[1])
    place = {"token": tokens[0][0], "bytes": None, "logprob": tokens[0][1], "top_logprobs": [{"token": t, "bytes": None, "logprob": x} for t, x in tokens]}
    return {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": tokens[0][0]},
            "logprobs": {"content": [place] * (2 if kind == 4 else 1), "refusal": None}}


class Judge(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice(body)],
                  "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}}
        asked[json.dumps(body["messages"])] = {"request": body, "answer": answer}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["OPENAI_API_BASE"] = f"http://127.0.0.1:{server.server_address[1]}/v1"
os.environ["OPENAI_API_KEY"] = "none"
for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
    os.environ.pop(name, None)
from alpaca_eval.annotators import PairwiseAnnotator

INSTRUCTIONS = [f"Do number {i}." for i in range(56)] + ["caf\u00e9 \u6c34 \U0001f600?", "Two\nlines, \"quotes\" and a \\ .", "long " * 700, "{braces} {{and}} %s"]
base = [{"dataset": "made", "instruction": x, "output": f"base answer {i}", "generator": "base"} for i, x in enumerate(INSTRUCTIONS)]
own = [{"dataset": "made", "instruction": x, "output": f"own answer {i}\n" * rng.randrange(1, 3), "generator": "own"} for i, x in enumerate(INSTRUCTIONS)]
own[3]["output"] = base[3]["output"]  # equal
own[4]["output"] = "m"
own[5]["output"] = ""
shuffled = own[:]
rng.shuffle(shuffled)
(out / "alpaca_base.json").write_text(json.dumps(base, ensure_ascii=False, indent=1) + "\n")
(out / "alpaca_own.json").write_text(json.dumps(shuffled, ensure_ascii=False, indent=1) + "\n")
annotator = PairwiseAnnotator(annotators_config="weighted_alpaca_eval_gpt4_turbo", caching_path=None)
annotations = annotator.annotate_head2head(outputs_1=base, outputs_2=shuffled)
keys = ("instruction", "output_1", "generator_1", "output_2", "generator_2", "dataset", "preference")
rows = [{k: (None if isinstance(a[k], float) and math.isnan(a[k]) else a[k]) for k in keys} for a in annotations]
(out / "alpaca_expected.json").write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")
(out / "alpaca_asked.jsonl").write_text("".join(json.dumps(asked[k], ensure_ascii=False) + "\n" for k in sorted(asked)))
print(len(asked), "asked,", sum(r["preference"] is None for r in rows), "without preference", sorted(annotations[0]))
