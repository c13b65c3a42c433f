#!/usr/bin/env python3
"""Goal curves and midpoint tests worked out from their definitions, pair by pair and in plain Python: goal_curve/*.jsonl and what `rapt eval goal-curve` and
`rapt eval midpoint` find in them. Kendall's tau-b and Spearman's rho are also held against scipy's where scipy is there.
usage: make_goal_curve.py OUTPUT_FOLDER"""
import json
import math
import random

from oracle import out

try:
    from scipy import stats
except ImportError:
    stats = None  # the definitions stand alone

WORDS = "the a cat dog sat ran on under old new house tree and then it was".split()


def tau_b(x, y):
    con = dis = tie_x = tie_y = 0
    n = len(x)
    for i in range(n):
        for j in range(i):
            a, b = x[i] - x[j], y[i] - y[j]
            con += a * b > 0
            dis += a * b < 0
            tie_x += a == 0
            tie_y += b == 0
    all_pairs = n * (n - 1) / 2
    if all_pairs == tie_x or all_pairs == tie_y:
        return None
    tau = (con - dis) / math.sqrt((all_pairs - tie_x) * (all_pairs - tie_y))
    if stats:
        assert abs(tau - stats.kendalltau(x, y).statistic) < 1e-12
    return tau


def ranks(x):
    return [sum(b < a for b in x) + (sum(b == a for b in x) + 1) / 2 for a in x]


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    u, v = sum(a) / len(a), sum(b) / len(b)
    rho = sum((p - u) * (q - v) for p, q in zip(a, b)) / math.sqrt(sum((p - u) ** 2 for p in a) * sum((q - v) ** 2 for q in b))
    if stats:
        assert abs(rho - stats.spearmanr(x, y).statistic) < 1e-12
    return rho


def mean(x):
    x = [v for v in x if v is not None]
    return sum(x) / len(x) if x else None


def repetition(text):
    w = text.split()
    grams = [tuple(w[i:i + 4]) for i in range(len(w) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def samples(rng, slope, plain):
    """Rows as rapt generate and rapt score write them; some in the form with several responses. plain: no goals."""
    flat = []
    for p in range(12):
        goals = [None] if plain else [2] if p == 3 else [1, 4.5, 10]
        for g in goals:
            for k in range(4):
                noise = rng.choice([-2, -1, 0, 0, 1, 2])
                score = 5 if p == 7 else min(10, max(1, round(5 + slope * ((g or 5) - 5) + noise + p % 3)))
                text = " ".join(rng.choice(WORDS[:3 + p]) for _ in range(rng.randrange(0, 30)))
                flat.append({"prompt": f"question {p}", "goal": g, "sample": k, "text": text, "tokens": len(text.split()) + 1,
                             "finish": rng.choice(["stop", "stop", "length"]), "row": p, "model": "m", "score": score})
    return flat


def grouped(flat):
    rows = {}
    for s in flat:
        r = rows.setdefault(s["prompt"], {"prompt": s["prompt"], "responses": []})
        r["responses"].append({k: v for k, v in s.items() if k not in ("prompt", "row", "model")})
    return list(rows.values())


FIGURES = {"words": lambda s: len(s["text"].split()), "tokens": lambda s: s["tokens"], "repetition": lambda s: repetition(s["text"]), "ended": lambda s: s["finish"] == "stop",
           "above": lambda s: s["score"] > 7}


def curve(flat):
    goals = sorted({s["goal"] for s in flat if s["goal"] is not None})
    found = {"curve": {}, "overall": {}}
    for g in goals + ([None] if any(s["goal"] is None for s in flat) else []):
        at = [s for s in flat if s["goal"] == g]
        found["curve"]["none" if g is None else f"{g:g}"] = {
            "achieved": mean([s["score"] for s in at]), **{k: mean([FIGURES[k](s) for s in at]) for k in FIGURES}}
    asked = [s for s in flat if s["goal"] is not None]
    taus, spans = {}, {}
    for p in sorted({s["prompt"] for s in asked}):
        own = [s for s in asked if s["prompt"] == p]
        if len({s["goal"] for s in own}) > 1:
            tau = tau_b([s["goal"] for s in own], [s["score"] for s in own])
            taus[p] = 0.0 if tau is None else tau
            spans[p] = mean([s["score"] for s in own if s["goal"] == goals[-1]]) - mean([s["score"] for s in own if s["goal"] == goals[0]])
    found["overall"] = {"tau": mean(taus.values()), "span": mean(spans.values()),
                        "calibration_error": mean([abs(found["curve"][f"{g:g}"]["achieved"] - g) for g in goals]),
                        "absolute_error": mean([abs(s["score"] - s["goal"]) for s in asked]),
                        **{k: mean([FIGURES[k](s) for s in asked or flat]) for k in FIGURES}}
    cells = {}
    for s in asked:
        cells.setdefault((s["prompt"], s["goal"]), []).append(s)
    means = {k: (mean([s["score"] for s in v]), mean([abs(s["score"] - s["goal"]) for s in v]), {f: mean([FIGURES[f](s) for s in v]) for f in FIGURES}) for k, v in cells.items()}
    return found, taus, spans, means, cells


def calibration(cells, keys):
    """Of the samples in these cells."""
    goals = sorted({g for _, g in keys})
    return mean([abs(mean([s["score"] for k in keys if k[1] == g for s in cells[k]]) - g) for g in goals])


def curve_difference(a, b):
    shared = [k for k in a[3] if k in b[3]]
    goals = sorted({g for _, g in a[3]})
    return {"curve": {f"{g:g}": mean([a[3][k][0] - b[3][k][0] for k in shared if k[1] == g]) for g in goals},
            "overall": {"achieved": mean([a[3][k][0] - b[3][k][0] for k in shared]), "tau": mean([a[1][p] - b[1][p] for p in a[1] if p in b[1]]),
                        "span": mean([a[2][p] - b[2][p] for p in a[2] if p in b[2]]), "absolute_error": mean([a[3][k][1] - b[3][k][1] for k in shared]),
                        "calibration_error": calibration(a[4], shared) - calibration(b[4], shared),
                        **{f: mean([a[3][k][2][f] - b[3][k][2][f] for k in shared]) for f in FIGURES}}}


GRID = list(range(1, 11))


def sweep(rng, obeys):
    """Log-prob rows of rapt logps: every pair under every goal; obeys None is the reference."""
    rows = []
    for pair in range(30):
        w, l = sorted((rng.randrange(2, 21) / 2 for _ in range(2)), reverse=True)
        if w == l:
            w += 0.5
        base = rng.gauss(0, 3)
        for g in GRID:
            d = base if obeys is None else base + obeys * (g - (w + l) / 2) + rng.gauss(0, 1.5)
            a, b = -20 + d / 2, -20 - d / 2
            row = {"source_row": pair, "goal": g, "prompt": f"question {chr(97 + pair // 2)}, target {g}", "chosen": f"good {pair}", "rejected": f"bad {pair}",
                   "score_chosen": w, "score_rejected": l, "logps_chosen": a, "logps_rejected": b, "tokens_chosen": 5, "tokens_rejected": 6}
            if pair % 3 == 0 and g < (w + l) / 2:  # as rapt augment --goals turns it
                for x, y in (("chosen", "rejected"), ("score_chosen", "score_rejected"), ("logps_chosen", "logps_rejected"), ("tokens_chosen", "tokens_rejected")):
                    row[x], row[y] = row[y], row[x]
            rows.append(row)
    rng.shuffle(rows)
    return rows


def margins(rows):
    found = {}
    for r in rows:
        turned = r["score_chosen"] < r["score_rejected"]
        d = r["logps_chosen"] - r["logps_rejected"]
        m = found.setdefault(r["source_row"], {"middle": (r["score_chosen"] + r["score_rejected"]) / 2, "at": {}})
        m["at"][r["goal"]] = -d if turned else d
    return found


def crossing(goals, m):
    costs = [sum(max(0, x) for x in m[:k]) + sum(max(0, -x) for x in m[k:]) for k in range(len(m) + 1)]
    cut = min(range(len(costs)), key=lambda k: (costs[k], k))
    if cut == 0:
        return -math.inf
    if cut == len(m):
        return math.inf
    a, b = m[cut - 1], m[cut]
    return goals[cut - 1] + (goals[cut] - goals[cut - 1]) * a / (a - b) if a < 0 < b else (goals[cut - 1] + goals[cut]) / 2


def midpoint(pairs, reference, grid):
    found = {}
    for kind in ("implicit", "raw"):
        sign, cross = {}, {}
        for p, v in pairs.items():
            m = [v["at"][g] - (reference[p]["at"][g] if kind == "implicit" else 0) for g in grid]
            sign[p] = mean([(x > 0) == (g > v["middle"]) for g, x in zip(grid, m) if g != v["middle"]])
            cross[p] = crossing(grid, m)
        inside = [p for p in cross if math.isfinite(cross[p])]
        found[kind] = {"sign": mean(sign.values()), "crossed": len(inside) / len(pairs),
                       "distance": mean([abs(cross[p] - pairs[p]["middle"]) for p in inside]),
                       "correlation": spearman([cross[p] for p in sorted(pairs)], [pairs[p]["middle"] for p in sorted(pairs)])}
    return found


SCALES = {"help": (0, 4), "long": (1, 10)}
HELP, LONG = [0, 1, 2, 3, 4], [2, 8.5]


def distance(goal, scores):
    return sum(((goal[k] - scores[k]) / (b - a)) ** 2 for k, (a, b) in SCALES.items())


def turn(w, l, long):
    """The goal of help at which both responses are as far away, by halving; above it that one is nearer which has more of it."""
    low, high = -1e6, 1e6
    for _ in range(200):
        at = (low + high) / 2
        goal = {"help": at, "long": long}
        low, high = (low, at) if distance(goal, w) < distance(goal, l) else (at, high)
    return at


def sweep_along(rng, obeys):
    """Pairs under goals of two attributes; the last one's responses have as much help."""
    rows = []
    pairs = [({"help": rng.uniform(0, 4), "long": rng.uniform(1, 10)}, {"help": rng.uniform(0, 4), "long": rng.uniform(1, 10)}, rng.gauss(0, 2)) for _ in range(14)]
    pairs[13][1]["help"] = pairs[13][0]["help"]
    for pair, (w, l, base) in enumerate(pairs):
        for long in LONG:
            for help in HELP:
                goal = {"help": help, "long": long} if pair % 2 else {"long": long, "help": help}
                d = base if obeys is None else base + 8 * obeys * (distance(goal, l) - distance(goal, w)) + rng.gauss(0, 0.7)
                rows.append({"source_row": pair, "goal": goal, "prompt": f"question {chr(97 + pair // 2)}, target {help} {long}", "chosen": f"good {pair}", "rejected": f"bad {pair}",
                             "score_chosen": 6, "score_rejected": 5, "scores_chosen": w, "scores_rejected": l, "logps_chosen": -20 + d / 2, "logps_rejected": -20 - d / 2,
                             "tokens_chosen": 5, "tokens_rejected": 6})
    rng.shuffle(rows)
    return rows


def margins_along(rows):
    found = {}
    for r in rows:
        w, l, d = r["scores_chosen"], r["scores_rejected"], r["logps_chosen"] - r["logps_rejected"]
        if w["help"] == l["help"]:
            continue
        if w["help"] < l["help"]:
            w, l, d = l, w, -d
        m = found.setdefault((r["source_row"], r["goal"]["long"]), {"middle": turn(w, l, r["goal"]["long"]), "at": {}})
        m["at"][r["goal"]["help"]] = d
    return found


def put(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def main():
    folder = out("goal_curve")
    runs = {"obeys": samples(random.Random(1), 0.7, False), "deaf": samples(random.Random(2), 0.0, False), "plain": samples(random.Random(3), 0.0, True)}
    put(folder / "obeys.jsonl", runs["obeys"])
    put(folder / "deaf.jsonl", grouped(runs["deaf"]))
    put(folder / "plain.jsonl", runs["plain"])
    curves = {k: curve(v) for k, v in runs.items()}
    sweeps = {"base": sweep(random.Random(4), None), "turns": sweep(random.Random(4), 0.8), "still": sweep(random.Random(4), 0.0)}
    for k, v in sweeps.items():
        put(folder / f"sweep_{k}.jsonl", v)
    along = {"base": sweep_along(random.Random(5), None), "turns": sweep_along(random.Random(5), 0.8), "still": sweep_along(random.Random(5), 0.0)}
    for k, v in along.items():
        put(folder / f"along_{k}.jsonl", v)
    base, base_along = margins(sweeps["base"]), margins_along(along["base"])
    expected = {"curves": {k: v[0] for k, v in curves.items()}, "deaf_minus_obeys": curve_difference(curves["deaf"], curves["obeys"]),
                "midpoint": {k: midpoint(margins(sweeps[k]), base, GRID) for k in ("turns", "still")},
                "midpoint_along": {k: midpoint(margins_along(along[k]), base_along, HELP) for k in ("turns", "still")}}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
