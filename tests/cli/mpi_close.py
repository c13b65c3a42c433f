"""mpi_close.py A B: every figure of the metrics of two runs within 1e-5, relative and absolute, but times and memory. Before the policy has left
its reference, margins are rounding, and so is their sign, which accuracies count: those are left out."""
import json, sys
TIMES = {"tokens_per_second", "peak_rss_bytes", "minor_faults", "eval_runtime"}
a, b = ([json.loads(line) for line in open(f"{d}/metrics.jsonl")] for d in sys.argv[1:3])
wrong, most = [] if len(a) == len(b) else [f"{len(a)} and {len(b)} lines"], 0
for i, (x, y) in enumerate(zip(a, b)):
    if x.keys() != y.keys():
        wrong.append(f"line {i + 1}: other fields")
        continue
    for key in x.keys() - TIMES:
        if key.endswith("accuracies") and abs(x.get(key.replace("accuracies", "margins"), 1)) < 1e-5:
            continue
        d = abs(x[key] - y[key]) / (1 + abs(x[key]))
        most = max(most, d)
        if not d <= 1e-5:
            wrong.append(f"line {i + 1}: {key} is {y[key]}, expected {x[key]}")
print(f"{sys.argv[2].rsplit('/', 1)[1]}: {len(a)} lines, at most {most:.1e} apart", *wrong[:4], sep="\n  ")
sys.exit(bool(wrong))
