#!/usr/bin/env python3
"""Writes OUTPUT_FOLDER/loss/cases.json: values and gradients of every loss, by numpy in long double. The gradients are closed forms,
written here independently of src/loss (tests/grad/test_loss.c holds both to finite differences).

Formulas: TRL 1.x trl/trainer/dpo_trainer.py (compute_loss); label smoothing on sigmoid: TRL 0.24.
usage: make_loss_cases.py OUTPUT_FOLDER"""
import json
import pathlib
import sys

import numpy as np

L = np.longdouble


def log_sigmoid(x):
    return np.where(x >= 0, -np.log1p(np.exp(-np.abs(x))), x - np.log1p(np.exp(-np.abs(x))))


def sigmoid(x):
    return np.exp(log_sigmoid(x))


def compute(name, policy, reference, lengths, beta, eps):
    """policy, reference, lengths: [groups, k] -> value, [groups, k]"""
    groups, k = policy.shape
    d = np.zeros((groups, k), L)
    if name == "sft":
        n = lengths[:, 0].sum()
        d[:, 0] = -1 / L(n)
        return -policy[:, 0].sum() / n, d
    s = policy - reference
    if name == "ipo":
        n = np.maximum(lengths, 1).astype(L)
        x = s[:, 0] / n[:, 0] - s[:, 1] / n[:, 1] - 1 / (2 * beta)
        d[:, 0], d[:, 1] = 2 * x / n[:, 0], -2 * x / n[:, 1]
        return (x * x).mean(), d / groups
    x = beta * (s[:, 0] - s[:, 1])
    if name == "sigmoid":
        value = (-(1 - eps) * log_sigmoid(x) - eps * log_sigmoid(-x)).mean()
        dx = -(1 - eps) * sigmoid(-x) + eps * sigmoid(x)
    else:
        value = np.maximum(0, 1 - x).mean()
        dx = np.where(x < 1, L(-1), L(0))
    d[:, 0], d[:, 1] = beta * dx, -beta * dx
    return value, d / groups


def main():
    rng = np.random.default_rng(2410_08067)
    cases = []
    for name, beta, eps, k, scale in [
        ("sigmoid", 0.1, 0.0, 2, 20), ("sigmoid", 0.01, 0.3, 2, 20), ("sigmoid", 0.1, 0.1, 2, 1), ("sigmoid", 5.0, 0.0, 2, 400),
        ("sigmoid", 5.0, 0.2, 2, 400), ("hinge", 0.1, 0.0, 2, 20), ("hinge", 1.0, 0.0, 2, 2), ("ipo", 0.1, 0.0, 2, 20), ("ipo", 0.01, 0.0, 2, 20),
        ("sft", 0.1, 0.0, 2, 20), ("sft", 0.1, 0.0, 1, 20), ("sft", 0.1, 0.0, 4, 20),
    ]:
        for groups in (1, 7):
            shape = (groups, k)
            lengths = rng.integers(0 if name == "ipo" else 1, 300, shape)
            policy = np.round(-rng.gamma(2.0, 60.0, shape), 6)
            reference = np.round(policy + rng.normal(0, scale, shape), 6)
            if name == "ipo":
                lengths[0, 0] = 0
            value, grad = compute(name, policy.astype(L), reference.astype(L), lengths, L(beta), L(eps))
            cases.append({
                "loss": name, "beta": beta, "label_smoothing": eps, "k": k, "policy": policy.ravel().tolist(),
                "reference": reference.ravel().tolist(), "lengths": lengths.ravel().tolist(), "value": float(value),
                "dpolicy": [float(x) for x in grad.ravel()],
            })
    out = pathlib.Path(sys.argv[1]) / "loss" / "cases.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
