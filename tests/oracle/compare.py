#!/usr/bin/env python3
"""Are two folders of goldens the same? Numbers within 1e-5 of the largest of their tensor, but for what SCALES and TOLERANCES name; everything else exactly.
usage: compare.py STORED REGENERATED"""
import json
import pathlib
import sys

import numpy as np
from safetensors.torch import load_file

TOLERANCE = 1e-5
# torch's Muon makes its directions by products in bf16, whose sums other CPUs round otherwise: 2.2e-4 after 100 steps between one with AMX and one without.
# Steps of training pass on what other CPUs round otherwise: 1.05e-5 in a gradient norm of the fifth step.
TOLERANCES = {"trl_adapters/cases.json": 3e-5, "optim/optimizers.safetensors: 6.": 1e-3, "optim/optimizers.safetensors: 7.": 1e-3}
# A reward is beta times the difference of two sums of log-probs (of 40 to 70 here), logits/chosen a mean of numbers of both signs: they err as those do, however small they are.
SCALES = {"rewards/": 1, "logits/": 0.1}


def of_place(table, where, default):
    return next((value for name, value in table.items() if name in where), default)


def near(a, b, where):
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert a.shape == b.shape, f"{where}: shape {a.shape} became {b.shape}"
    if not a.size:
        return
    worst, scale = np.abs(a - b).max(), max(np.abs(a).max(), of_place(SCALES, where, 0))
    assert np.array_equal(a, b) or worst <= of_place(TOLERANCES, where, TOLERANCE) * scale, f"{where}: differs by {worst:g}, largest is {scale:g}"


def same_json(a, b, where):
    assert type(a) is type(b) or {type(a), type(b)} == {int, float}, f"{where}: {type(a)} became {type(b)}"
    if isinstance(a, dict):
        assert list(a) == list(b), f"{where}: keys {list(a)} became {list(b)}"
        for key in a:
            same_json(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in a + b):
        near(a, b, where)
    elif isinstance(a, list):
        assert len(a) == len(b), f"{where}: {len(a)} items became {len(b)}"
        for i, (x, y) in enumerate(zip(a, b)):
            same_json(x, y, f"{where}[{i}]")
    elif isinstance(a, (int, float)) and not isinstance(a, bool):
        near(a, b, where)
    else:
        assert a == b, f"{where}: {a!r} became {b!r}"


def same_tensors(a, b, where):
    assert list(a) == list(b), f"{where}: tensors {list(a)} became {list(b)}"
    for name in a:
        assert a[name].dtype == b[name].dtype, f"{where}: {name}: {a[name].dtype} became {b[name].dtype}"
        near(a[name].double().numpy(), b[name].double().numpy(), f"{where}: {name}")


def same_file(stored, made, where):
    if stored.suffix == ".safetensors":
        same_tensors(load_file(stored), load_file(made), where)
    elif stored.suffix == ".json":
        same_json(json.loads(stored.read_text()), json.loads(made.read_text()), where)
    elif stored.suffix == ".jsonl":
        same_json([json.loads(x) for x in stored.read_text().splitlines()], [json.loads(x) for x in made.read_text().splitlines()], where)
    else:
        assert stored.read_bytes() == made.read_bytes(), f"{where}: differs"


def main():
    stored, made = map(pathlib.Path, sys.argv[1:])
    names = sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file())
    folders = {n.split("/")[0] for n in names}
    expected = sorted(str(p.relative_to(stored)) for p in stored.rglob("*") if p.is_file() and p.relative_to(stored).parts[0] in folders)
    wrong = [f"files: {sorted(set(names) ^ set(expected))} on one side only"] if names != expected else []
    for name in sorted(set(names) & set(expected)):
        try:
            same_file(stored / name, made / name, name)
        except AssertionError as e:
            wrong.append(str(e))
    print("\n".join(wrong) or f"{len(names)} files are as stored")
    sys.exit(bool(wrong))


main()
