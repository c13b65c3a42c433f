#!/usr/bin/env python3
"""Writes OUTPUT_FOLDER/loss/cases.json: values and gradients of every loss: four by numpy in long double with closed forms, written here
independently of src/loss, the others as torch expressions in float64 as TRL has them, with torch's own gradients (tests/grad/test_loss.c holds
all to finite differences).

Formulas: TRL 1.x trl/trainer/dpo_trainer.py (compute_loss); label smoothing on sigmoid: TRL 0.24.
usage: make_loss_cases.py OUTPUT_FOLDER"""
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

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


def trl(name, policy, reference, lengths, beta, eps, tau=0.05):
    """The branches of DPOTrainer._compute_loss (TRL 1.16), reverse_kl."""
    pc, pr, rc, rr = policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1]
    c, r = pc - rc, pr - rr
    d = c - r
    if name == "exo_pair":
        e = torch.tensor(eps, dtype=torch.float64)
        return torch.sigmoid(beta * d) * (F.logsigmoid(beta * d) - torch.log1p(-e)) + torch.sigmoid(-beta * d) * (F.logsigmoid(-beta * d) - torch.log(e))
    if name == "nca_pair":
        return -F.logsigmoid(beta * c) - 0.5 * F.logsigmoid(-beta * c) - 0.5 * F.logsigmoid(-beta * r)
    if name == "robust":
        return (-(1 - eps) * F.logsigmoid(beta * d) + eps * F.logsigmoid(-beta * d)) / (1 - 2 * eps)
    if name == "bco_pair":
        return -F.logsigmoid(beta * c) - F.logsigmoid(-beta * r)
    if name == "sppo_hard":
        return (c - 0.5 / beta) ** 2 + (r + 0.5 / beta) ** 2
    if name in ("aot", "aot_unpaired"):
        x, y = (pc - pr, rc - rr) if name == "aot" else (c, r)
        delta = torch.sort(x, dim=0)[0] - torch.sort(y, dim=0)[0]
        return -F.logsigmoid(beta * delta) * (1 - eps) - F.logsigmoid(-beta * delta) * eps
    if name == "apo_zero":
        return 1 - torch.sigmoid(beta * c) + torch.sigmoid(beta * r)
    if name == "apo_down":
        return torch.sigmoid(beta * c) + 1 - torch.sigmoid(beta * (c - r))
    if name == "discopop":
        m = torch.sigmoid(d * beta / tau)
        return -F.logsigmoid(d * beta) * (1 - m) + torch.exp(-d * beta) * m
    if name == "sigmoid_norm":
        n = lengths.clamp(min=1.0)
        return -F.logsigmoid(beta * (c / n[:, 0] - r / n[:, 1]))
    raise ValueError(name)


def by_torch(name, policy, reference, lengths, beta, eps):
    x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
    value = trl(name, x, torch.tensor(reference, dtype=torch.float64), torch.tensor(lengths, dtype=torch.float64), beta, eps).mean()
    value.backward()
    return value.item(), x.grad.numpy()


def reward(name, rewards, scores, margins, center):
    """RewardTrainer.compute_loss (TRL 1.16), and regression on scores."""
    x = torch.tensor(rewards, dtype=torch.float64, requires_grad=True)
    if name == "mse":
        value = F.mse_loss(x, torch.tensor(scores, dtype=torch.float64))
    else:
        value = -F.logsigmoid(x[:, 0] - x[:, 1] - torch.tensor(margins, dtype=torch.float64)).mean() + center * ((x[:, 0] + x[:, 1]) ** 2).mean()
    value.backward()
    return value.item(), x.grad.numpy()


def reward_cases(rng):
    for name, k, center in (("bradley_terry", 2, 0.0), ("bradley_terry", 2, 0.02), ("mse", 2, 0.0), ("mse", 1, 0.0)):
        for groups in (1, 7):
            rewards, scores = (np.round(rng.normal(0, 4, (groups, k)), 6) for _ in range(2))
            margins = np.round(rng.normal(1, 1, groups), 6)
            value, grad = reward(name, rewards, scores, margins, center)
            yield {"loss": name, "beta": 0.1, "label_smoothing": 0.0, "k": k, "policy": rewards.ravel().tolist(), "reference": [0.0] * rewards.size,
                   "lengths": [1] * rewards.size, "scores": scores.ravel().tolist(), "margins": margins.tolist(), "center_rewards": center,
                   "value": value, "dpolicy": [float(x) for x in grad.ravel()]}


def main():
    rng = np.random.default_rng(2410_08067)
    cases = []
    for name, beta, eps, k, scale in [
        ("sigmoid", 0.1, 0.0, 2, 20), ("sigmoid", 0.01, 0.3, 2, 20), ("sigmoid", 0.1, 0.1, 2, 1), ("sigmoid", 5.0, 0.0, 2, 400),
        ("sigmoid", 5.0, 0.2, 2, 400), ("hinge", 0.1, 0.0, 2, 20), ("hinge", 1.0, 0.0, 2, 2), ("ipo", 0.1, 0.0, 2, 20), ("ipo", 0.01, 0.0, 2, 20),
        ("sft", 0.1, 0.0, 2, 20), ("sft", 0.1, 0.0, 1, 20), ("sft", 0.1, 0.0, 4, 20),
        ("exo_pair", 0.1, 1e-3, 2, 20), ("exo_pair", 0.5, 0.2, 2, 3), ("nca_pair", 0.1, 0.0, 2, 20), ("robust", 0.1, 0.0, 2, 20), ("robust", 0.1, 0.3, 2, 20),
        ("bco_pair", 0.1, 0.0, 2, 20), ("sppo_hard", 0.1, 0.0, 2, 20), ("aot", 0.1, 0.0, 2, 20), ("aot", 0.1, 0.2, 2, 20), ("aot_unpaired", 0.1, 0.0, 2, 20),
        ("aot_unpaired", 0.1, 0.2, 2, 20), ("apo_zero", 0.1, 0.0, 2, 20), ("apo_down", 0.1, 0.0, 2, 20), ("discopop", 0.1, 0.0, 2, 20),
        ("discopop", 0.01, 0.0, 2, 5), ("sigmoid_norm", 2.0, 0.0, 2, 20),
    ]:
        for groups in (1, 7):
            shape = (groups, k)
            lengths = rng.integers(0 if name == "ipo" else 1, 300, shape)
            policy = np.round(-rng.gamma(2.0, 60.0, shape), 6)
            reference = np.round(policy + rng.normal(0, scale, shape), 6)
            if name == "ipo":
                lengths[0, 0] = 0
            if name not in ("sigmoid", "hinge", "ipo", "sft"):
                value, grad = by_torch(name, policy, reference, lengths, beta, eps)
            else:
                value, grad = compute(name, policy.astype(L), reference.astype(L), lengths, L(beta), L(eps))
            cases.append({
                "loss": name, "beta": beta, "label_smoothing": eps, "k": k, "policy": policy.ravel().tolist(),
                "reference": reference.ravel().tolist(), "lengths": lengths.ravel().tolist(), "value": float(value),
                "dpolicy": [float(x) for x in grad.ravel()],
            })
    cases += reward_cases(rng)
    out = pathlib.Path(sys.argv[1]) / "loss" / "cases.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
