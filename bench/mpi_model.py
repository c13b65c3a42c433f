"""mpi_model.py FOLDER LOAD CORES: the section of docs/many-machines.md from what bench/mpi.sh measured.

The model, in seconds a step: compute c = rows / 4 times the seconds of a micro-batch of 4 rows. Summing S bytes over N ranks by a ring:
  s(S) = 2 (N - 1) / N * S / W + 2 (N - 1) a * pieces(S),
W the slower of the line and of what a rank sums over TCP here, a the latency of a round, pieces of 4 MB, of which two are on their way. The part of
it that is not hidden behind the backward pass of the last micro-batch (the share B of its time) is waited for, and at least the last gradients
to come, L bytes, are: e = max(s(S) - B m, s(L)). Efficiency = c / (c + e)."""
import json, math, os, statistics, sys

folder, load, cores = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
WAYS = {"lora": ("LoRA r 16", 20e6, 4e6, 0.5), "full": ("full", 538e6, 113e6, 0.6)}  # name, S, L, B
LINES = {"1 GbE": 0.117e9, "10 GbE": 1.17e9, "25 GbE": 2.92e9}  # bytes a second that are payload

def sums(name):
    table = {}
    for line in open(f"{folder}/{name}"):
        x = line.split()
        table[int(x[2])] = dict(ring=float(x[5]), pieces=float(x[7]), whole=float(x[9]))
    return table

def step_seconds(name):
    """Median seconds of the steps behind the first two, and rows a step are 4 a rank."""
    lines = [json.loads(x) for x in open(f"{folder}/{name}/metrics.jsonl")]
    ends = [x["num_tokens"] / x["tokens_per_second"] for x in lines]
    return statistics.median(b - a for a, b in zip(ends[1:], ends[2:]))

memory, tcp = sums("memory"), sums("tcp")
latency = tcp[4]["ring"] / 2
most = 525392 * 1024 / tcp[525392]["ring"]  # 2 (N - 1) / N is 1 for two ranks

def ring(size, n, line):
    return 2 * (n - 1) / n * size / min(line, most) + 2 * (n - 1) * latency * math.ceil(size / 4e6) / 2

def waited(way, n, line, micro):
    _, size, last, share = WAYS[way]
    return max(ring(size, n, line) - share * micro, ring(last, n, line))

print(f"\nMeasured on {cores} cores" + (f"; **other programs were using the machine** (load {load:.1f}), so times are too long: run it again." if load > 0.5 else ".") + "\n")
print("Sums in place of two ranks, seconds (median of 5):\n\n| bytes | through | `train/comm` | MPI_Allreduce, 4 MB pieces | MPI_Allreduce, whole |\n|---|---|---|---|---|")
for what, table in (("shared memory", memory), ("TCP", tcp)):
    for kb in (19532, 525392):
        x = table[kb]
        print(f"| {kb * 1024 / 1e6:.0f} MB | {what} | {x['ring']:.4f} ({kb * 1024 / x['ring'] / 1e9:.1f} GB/s) | {x['pieces']:.4f} | {x['whole']:.4f} |")
print(f"\nA round's latency is {latency * 1e6:.0f} microseconds.\n\nSteps of 4 rows a rank, seconds (median of 4):\n")
print("| | one process, all cores | one core, another run beside it | two ranks, a core each | efficiency |\n|---|---|---|---|---|")
micro = {}
for way, (name, *_) in WAYS.items():
    micro[way] = step_seconds(f"all-{way}")
    apart, two = (step_seconds(f"alone-{way}") + step_seconds(f"beside-{way}")) / 2, step_seconds(f"two-{way}")
    print(f"| {name} | {micro[way]:.3f} | {apart:.3f} | {two:.3f} | {apart / two:.0%} |")
if os.path.exists(f"{folder}/line-full"):
    print("\nThe model against two network namespaces with a line of 1 Gbit/s between them, a core each:\n")
    line = 19532 * 1024 / sums("line")[19532]["ring"]
    print(f"| | step, measured | step, predicted |\n|---|---|---|")
    for way, (name, *_) in WAYS.items():
        apart = (step_seconds(f"alone-{way}") + step_seconds(f"beside-{way}")) / 2
        print(f"| {name} | {step_seconds(f'line-{way}'):.3f} | {apart + waited(way, 2, line, apart):.3f} |")
    print(f"\n(the line carries {line / 1e6:.0f} MB/s)")
print("\nPredicted efficiency, machines like this one with one rank each:\n")
print("| | rows a rank and step | line | " + " | ".join(f"N = {n}" for n in (2, 4, 8, 16, 32, 64)) + " |\n|---|---|---|" + "---|" * 6)
for way, (name, *_) in WAYS.items():
    for rows in (4, 32):
        for line, speed in LINES.items():
            compute = rows / 4 * micro[way]
            cells = [f"{compute / (compute + waited(way, n, speed, micro[way])):.0%}" for n in (2, 4, 8, 16, 32, 64)]
            print(f"| {name} | {rows} | {line} | " + " | ".join(cells) + " |")
print()
