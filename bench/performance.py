"""What bench/run runs: rapt train and rapt generate over ranges of one setting at a time, each beside the rate of oneDNN's products in the same run.

The operations of a step that no order of computing can leave out, for LoRA on a frozen base (2 operations a multiply-add):
  linears     2 N a position in each of the policy's forward, the backward pass to inputs, and the reference's forward; N: their weights
  adapters    6 L a position; L: their weights
  attention   12 H D a position and key that it sees (forward 4, backward 8), and 4 for the reference; over all layers
  head        6 V C a scored position (the logits of the policy, of the reference, and the gradient that goes back)
Positions are those that are left after sharing; rates are steps 2 and later."""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

WORDS = "the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we when your can".split()


def text(seed, words):
    out = []
    for i in range(words):
        seed = (seed * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        out.append(WORDS[(seed >> 33) % len(WORDS)])
    return " " + " ".join(out)


class Machine:
    def __init__(self, args):
        self.args, self.folder = args, pathlib.Path(tempfile.mkdtemp(prefix="rapt-bench-"))
        about = json.loads(self.run([args.rapt, "inspect", args.model, "--json"]).stdout)
        self.model = {k: about[k] for k in ("hidden_size", "intermediate_size", "vocab_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")}
        self.model["head_dim"] = about.get("head_dim") or self.model["hidden_size"] // self.model["num_attention_heads"]

    def run(self, command, threads=None):
        environment = dict(os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {}))
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
        return done

    def peak(self, threads):
        return json.loads(self.run([self.args.peak, "1"], threads).stdout)

    def rows(self, length, batch, steps):
        """Relabelled pairs whose sequences all reach `length` tokens; a third of each is prompt."""
        path = self.folder / f"rows-{length}-{batch}-{steps}.jsonl"
        with open(path, "w") as f:
            for i in range(0, batch * steps, 2):
                prompt, a, b = text(3 * i + 1, length // 3), text(3 * i + 2, length), text(3 * i + 3, length)
                for goal, chosen, rejected, of in ((9, a, b, "chosen"), (4, b, a, "rejected")):
                    f.write(json.dumps(dict(prompt=f"Goal {goal}.{prompt}", chosen=chosen, rejected=rejected, goal=goal, goal_of=of, source_row=i)) + "\n")
        return path

    def train(self, dtype, length, batch, rank=16, threads=None, steps=3):
        threads = threads or os.cpu_count()
        out = self.folder / f"run-{dtype}-{length}-{batch}-{rank}-{threads}"
        self.run([self.args.rapt, "train", "--model", self.args.model, "--train-data", self.rows(length, batch, steps), "--output-dir", out, "--dtype", dtype, "--no-shuffle",
                  "--max-length", length, "--per-device-train-batch-size", batch, "--lora-r", rank, "--threads", threads, "--logging-steps", 1, "--learning-rate", "1e-5",
                  "--micro-batch-tokens", 1024, "--overwrite-output-dir"])
        lines = [json.loads(x) for x in open(out / "metrics.jsonl")]
        end = [x["num_tokens"] / x["tokens_per_second"] for x in lines]
        tokens = lines[-1]["num_tokens"] - lines[0]["num_tokens"]
        seconds = end[-1] - end[0]
        shared = sum(x["shared_positions"] for x in lines[1:]) / len(lines[1:])
        prompt = length // 3 + 4  # tokens of the goal and of BOS vary by a few
        work = self.operations(tokens, tokens * (1 - shared), length, prompt, rank)
        return dict(dtype=dtype, length=length, batch=batch, rank=rank, threads=threads, tokens_per_second=tokens / seconds, shared=shared, gflops=work / seconds / 1e9,
                    peak_mb=lines[-1]["peak_rss_bytes"] / 1e6)

    def operations(self, tokens, positions, length, prompt, rank):
        m = self.model
        c, f, layers, d = m["hidden_size"], m["intermediate_size"], m["num_hidden_layers"], m["head_dim"]
        q, kv = m["num_attention_heads"] * d, m["num_key_value_heads"] * d
        shapes = [(c, q), (c, kv), (c, kv), (q, c), (c, f), (c, f), (f, c)]
        weights, adapters = sum(a * b for a, b in shapes) * layers, sum(rank * (a + b) for a, b in shapes) * layers
        scored = tokens * (length - prompt) / length
        return positions * (6 * weights + 6 * adapters + 16 * q * layers * length / 2) + scored * 6 * m["vocab_size"] * c

    def generate(self, batch):
        prompts = self.folder / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": text(i + 1, 12)}) + "\n" for i in range(batch)))
        done = self.run([self.args.rapt, "generate", "--model", self.args.model, "--raw", "--input", prompts, "--batch-size", batch, "--max-new-tokens", 96, "--temperature", 1,
                         "--output", self.folder / "out.jsonl"])
        words = done.stderr.split(" tokens in ")
        tokens, seconds = float(words[0].split()[-1]), float(words[1].split()[0])
        return dict(batch=batch, tokens_per_second=tokens / seconds)


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(map(str, r)) + " |" for r in rows]) + "\n"


def picture(path, title, unit, series):
    """Lines over x on a logarithmic axis: series {name: [(x, y)]}."""
    import math
    w, h, left, top, bottom = 560, 260, 60, 34, 40
    xs, most = sorted({x for line in series.values() for x, _ in line}), max(y for line in series.values() for _, y in line) * 1.1
    at = lambda x: left + (w - left - 120) * (math.log(x / xs[0]) / math.log(xs[-1] / xs[0]) if len(xs) > 1 else 0)
    up = lambda y: h - bottom - (h - top - bottom) * y / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="12"><rect width="{w}" height="{h}" fill="#fff"/>',
           f'<text x="{left}" y="20" font-size="14">{title}</text>']
    for i in range(5):
        y = most * i / 4
        out.append(f'<path d="M{left} {up(y):.1f}H{w - 120}" stroke="#ddd"/><text x="{left - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{y:.3g}{unit}</text>')
    out += [f'<text x="{at(x):.1f}" y="{h - bottom + 18}" text-anchor="middle">{x}</text>' for x in xs]
    for (name, line), colour in zip(series.items(), ("#1b6ca8", "#c2571a", "#3c8d40", "#7b4ea3")):
        out.append(f'<path d="M{" L".join(f"{at(x):.1f} {up(y):.1f}" for x, y in line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{at(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        out.append(f'<text x="{at(line[-1][0]) + 8:.1f}" y="{up(line[-1][1]) + 4:.1f}" fill="{colour}">{name}</text>')
    path.write_text("\n".join(out + ["</svg>\n"]))


def machine_text():
    words = open("/proc/cpuinfo").read()
    name = next(line.split(":")[1].strip() for line in words.splitlines() if line.startswith("model name"))
    flags = [f for f in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_bf16", "amx_int8") if f in words.split()]
    return f"{name}, {os.cpu_count()} cores, {' '.join(flags)}, {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB, Linux {os.uname().release}"


def train_part(m, images):
    cores = os.cpu_count()
    both = ("f32", "bf16")
    sweeps = [("length", "tokens a sequence", [128, 256, 512, 1024], both), ("batch", "rows a step", [2, 4, 8, 16], ("bf16",)), ("rank", "LoRA rank", [4, 16, 64], ("bf16",)),
              ("threads", "threads", sorted({1, cores}), both)]
    parts = []
    for key, label, values, dtypes in sweeps:
        rows, series = [], {d: [] for d in dtypes}
        peaks = {}
        for value in values:
            for dtype in dtypes:
                threads = value if key == "threads" else cores
                if threads not in peaks:
                    peaks[threads] = m.peak(threads)
                print(f"train {key} {value} {dtype}", file=sys.stderr)
                r = m.train(dtype, **dict(dict(length=256, batch=2 if value == 1024 else 4), **{key: value}))
                share = r["gflops"] / peaks[threads][dtype]
                series[dtype].append((value, 100 * share))
                rows.append([value, dtype, f"{r['tokens_per_second']:.0f}", f"{100 * r['shared']:.0f} %", f"{r['gflops']:.0f}", f"{100 * share:.0f} %", f"{r['peak_mb']:.0f}"])
        picture(images / f"performance-{key}.svg", f"Operations of a step against oneDNN's products, by {label}", " %", series)
        said = "; ".join(f"{t} thread{'s' if t > 1 else ''}: f32 {p['f32']:.0f}, bf16 {p['bf16']:.0f} GFLOP/s" for t, p in sorted(peaks.items()))
        parts.append(f"### By {label}\n\noneDNN in this part of the run: {said}.\n\n"
                     + table([label, "dtype", "tokens/s", "shared", "GFLOP/s", "of oneDNN", "peak MB"], rows) + f"\n![By {label}](images/performance-{key}.svg)\n")
    return "\n".join(parts)


def generate_part(m, images):
    rows = []
    for batch in (1, 2, 4, 8, 16, 32):
        print(f"generate {batch}", file=sys.stderr)
        rows.append(m.generate(batch))
    picture(images / "performance-generate.svg", "Tokens a second, by responses at a time", "", {"generate": [(r["batch"], r["tokens_per_second"]) for r in rows]})
    one = rows[0]["tokens_per_second"]
    return (table(["responses at a time", "tokens/s", "against one"], [[r["batch"], f"{r['tokens_per_second']:.0f}", f"{r['tokens_per_second'] / one:.2f}"] for r in rows])
            + "\n![By batch](images/performance-generate.svg)\n")


def main():
    parser = argparse.ArgumentParser()
    for name in ("rapt", "peak", "model", "output", "only"):
        parser.add_argument("--" + name)
    args = parser.parse_args()
    m, output = Machine(args), pathlib.Path(args.output)
    images = output.parent / "images"
    images.mkdir(exist_ok=True)
    made = {"train": lambda: train_part(m, images), "generate": lambda: generate_part(m, images)}
    old = output.read_text() if output.exists() else "# Performance\n\n<!-- run -->\n<!-- train -->\n<!-- /train -->\n<!-- generate -->\n<!-- /generate -->\n"
    about = f"{machine_text()}; {pathlib.Path(args.model).name}; {datetime.date.today()}.\n"
    for name, make in made.items():
        if args.only in ("", name):
            head, rest = old.split(f"<!-- {name} -->\n", 1)
            old = head + f"<!-- {name} -->\n{about}\n{make()}" + f"<!-- /{name} -->" + rest.split(f"<!-- /{name} -->", 1)[1]
            output.write_text(old)


main()
