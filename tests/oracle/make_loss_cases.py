#!/usr/bin/env python3
"""Writes OUTPUT_FOLDER/loss/cases.json: values and gradients of every loss: four by numpy in long double with closed forms, written here
independently of src/loss, the others as torch expressions in float64 as TRL has them, with torch's own gradients (tests/grad/test_loss.c holds
all to finite differences).

Formulas: TRL 1.x trl/trainer/dpo_trainer.py (compute_loss); label smoothing on sigmoid: TRL 0.24.
usage: make_loss_cases.py OUTPUT_FOLDER"""
import json
import math
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


def score(x, divergence, alpha):
    """A log-ratio under DPOTrainer's f_divergence_type; TRL takes the last in fp32, here all is float64."""
    if divergence == "forward_kl":
        return 1 - torch.exp(-x)
    if divergence == "js_divergence":
        return math.log(2) + F.logsigmoid(x)
    if divergence == "alpha_divergence" and abs(alpha - 1.0) >= 1e-6:
        return (torch.exp(torch.clamp((alpha - 1.0) * x, max=80.0)) - 1.0) * (1.0 / (alpha - 1.0))
    return x


def trl(name, policy, reference, lengths, beta, eps, tau=0.05, divergence="reverse_kl", alpha=0.5):
    """The branches of DPOTrainer._compute_loss (TRL 1.16)."""
    if name == "sft":
        return -policy[:, 0].sum() / lengths[:, 0].sum()
    pc, pr, rc, rr = policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1]
    c, r = pc - rc, pr - rr
    sc, sr = score(c, divergence, alpha), score(r, divergence, alpha)
    d = sc - sr
    if name == "sigmoid":
        return -F.logsigmoid(beta * d) * (1 - eps) - F.logsigmoid(-beta * d) * eps
    if name == "hinge":
        return torch.relu(1 - beta * d)
    if name == "ipo":
        n = lengths.clamp(min=1.0)
        return (sc / n[:, 0] - sr / n[:, 1] - 1 / (2 * beta)) ** 2
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
        return -F.logsigmoid(beta * (sc / n[:, 0] - sr / n[:, 1]))
    raise ValueError(name)


def by_torch(names, policy, reference, lengths, beta, eps, weights=(), **more):
    """names: of one loss, or of several with commas between."""
    x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
    arguments = (x, torch.tensor(reference, dtype=torch.float64), torch.tensor(lengths, dtype=torch.float64), beta, eps)
    names = names.split(",")
    value = sum(w * trl(name, *arguments, **more).mean() for name, w in zip(names, weights or [1.0] * len(names), strict=True))
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


def case(name, beta, eps, policy, reference, lengths, value, grad, **more):
    return {"loss": name, "beta": beta, "label_smoothing": eps, "k": policy.shape[1], "policy": policy.ravel().tolist(),
            "reference": reference.ravel().tolist(), "lengths": lengths.ravel().tolist(), **more, "value": float(value),
            "dpolicy": [float(x) for x in grad.ravel()]}


def draw(rng, groups, k, scale):
    policy = np.round(-rng.gamma(2.0, 60.0, (groups, k)), 6)
    return policy, np.round(policy + rng.normal(0, scale, policy.shape), 6), rng.integers(1, 300, policy.shape)


def divergence_cases(rng):
    """alpha 0.99 and 5 with log-ratios of 30: the exponential's clamp at 80 and its slope of 0."""
    kinds = (("forward_kl", 0.5, 2), ("js_divergence", 0.5, 20), ("alpha_divergence", 0.5, 2), ("alpha_divergence", 0.0, 2), ("alpha_divergence", 5.0, 30),
             ("alpha_divergence", 1.0, 20), ("alpha_divergence", 0.99, 20))
    for i, name in enumerate(("sigmoid", "hinge", "ipo", "exo_pair", "robust", "discopop", "sigmoid_norm")):
        eps = {"exo_pair": 0.01, "robust": 0.2, "sigmoid": 0.1}.get(name, 0.0)
        for divergence, alpha, scale in kinds if name == "sigmoid" else (kinds[i % 7], kinds[(i + 3) % 4], kinds[1]):
            policy, reference, lengths = draw(rng, 5, 2, 2 if name == "discopop" else scale)
            yield case(name, 0.1, eps, policy, reference, lengths, *by_torch(name, policy, reference, lengths, 0.1, eps, divergence=divergence, alpha=alpha),
                       divergence=divergence, alpha_divergence=alpha)


def mix_cases(rng):
    for names, weights, eps, more in (("sigmoid,sft", (1.0, 0.2), 0.0, {}), ("sft,bco_pair,robust", (0.3, 1.0, 2.5), 0.2, {}), ("hinge,ipo", (), 0.0, {}),
                                      ("sigmoid,sft", (0.5, 3.0), 0.1, {"divergence": "js_divergence"}), ("aot,sigmoid", (0.5, 2.0), 0.1, {}), ("sigmoid", (0.3,), 0.0, {})):
        policy, reference, lengths = draw(rng, 6, 2, 20)
        yield case(names, 0.1, eps, policy, reference, lengths, *by_torch(names, policy, reference, lengths, 0.1, eps, weights, **more), weights=weights, **more)


def nca(name, policy, reference, scores, first, beta, alpha):
    """The released reward_trainer.py of arXiv 2402.05369, nca_loss, for any number of responses, without its 0.01 for the first one."""
    x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
    rewards, losses = beta * (x - torch.tensor(reference, dtype=torch.float64)), []
    for begin, end in zip(first, first[1:]):
        q, r = (torch.tensor(scores[begin:end], dtype=torch.float64) / alpha).softmax(-1), rewards[begin:end]
        losses.append(-(q * r.log_softmax(-1)).sum() if name == "infonca" else -F.logsigmoid(-r).mean() - (q * F.logsigmoid(r)).sum())
    value = torch.stack(losses).mean()
    value.backward()
    return value.item(), x.grad.numpy()


def nca_cases():
    rng = np.random.default_rng(20261127)
    for name in ("infonca", "nca"):
        for sizes, beta, alpha in (([2, 2, 2], 0.1, 1.0), ([4] * 5, 0.01, 1e-4), ([2, 5, 3, 1, 4], 0.1, 2.0), ([7], 0.5, 0.7)):
            n, first = sum(sizes), [sum(sizes[:i]) for i in range(len(sizes) + 1)]
            policy = np.round(-rng.gamma(2.0, 60.0, n), 6)
            reference, scores = np.round(policy + rng.normal(0, 20, n), 6), np.round(rng.integers(2, 21, n) / 2, 6)
            value, grad = nca(name, policy, reference, scores, first, beta, alpha)
            shape = {"k": sizes[0]} if len(set(sizes)) == 1 else {"k": 0, "first": first}
            yield {"loss": name, "beta": beta, "temperature_alpha": alpha, **shape, "policy": policy.tolist(), "reference": reference.tolist(),
                   "lengths": [1] * n, "scores": scores.tolist(), "value": value, "dpolicy": [float(g) for g in grad]}


def kto(name, policy, reference, labels, kl, beta, desirable, undesirable):
    """KTOTrainer._compute_loss (TRL 1.16)."""
    x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
    ratios, labels = x - torch.tensor(reference, dtype=torch.float64), torch.tensor(labels)
    if name == "kto":
        chosen, rejected = 1 - torch.sigmoid(beta * (ratios[labels] - kl)), 1 - torch.sigmoid(beta * (kl - ratios[~labels]))
    else:
        chosen, rejected = 1 - torch.sigmoid(beta * ratios[labels]), torch.sigmoid(beta * ratios[~labels])
    value = torch.cat((desirable * chosen, undesirable * rejected), 0).nanmean()
    value.backward()
    return value.item(), x.grad.numpy()


def kto_cases():
    rng = np.random.default_rng(20261126)
    for name, beta, desirable, undesirable in (("kto", 0.1, 1.0, 1.0), ("kto", 0.5, 1.33, 0.6), ("apo_zero_unpaired", 0.1, 1.0, 1.0), ("apo_zero_unpaired", 0.3, 0.0, 2.0)):
        for groups in (1, 2, 9):
            policy = np.round(-rng.gamma(2.0, 60.0, groups), 6)
            reference = np.round(policy + rng.normal(0, 20, groups), 6)
            labels, kl = rng.random(groups) < 0.6, max(0.0, round(rng.normal(3, 4), 6))
            value, grad = kto(name, policy, reference, labels, kl, beta, desirable, undesirable)
            yield {"loss": name, "beta": beta, "label_smoothing": 0.0, "k": 1, "policy": policy.tolist(), "reference": reference.tolist(),
                   "lengths": [1] * groups, "rejected": [int(not x) for x in labels], "kl": kl, "desirable_weight": desirable,
                   "undesirable_weight": undesirable, "value": value, "dpolicy": [float(x) for x in grad]}


def weight_cases(rng):
    """use_weighting: each pair's loss times a number that takes no gradient; or, with sft, cross-entropy over text that is not the sums' own (ld_alpha)."""
    for names, weights, eps in (("sigmoid", (), 0.1), ("ipo", (), 0.0), ("nca_pair", (), 0.0), ("sigmoid,sppo_hard", (1.0, 0.2), 0.0), ("sigmoid,sft", (1.0, 0.2), 0.0), ("sft", (), 0.0)):
        policy, reference, lengths = draw(rng, 6, 2, 20)
        pair_weights, text = np.round(rng.uniform(0, 1, 6), 6), np.round(policy - rng.gamma(2.0, 5.0, policy.shape), 6)
        x, y = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (policy, text))
        n, w = torch.tensor(lengths, dtype=torch.float64), torch.tensor(pair_weights, dtype=torch.float64)
        value = 0
        for name, factor in zip(names.split(","), weights or [1.0] * len(names.split(",")), strict=True):
            one = trl(name, y if name == "sft" else x, torch.tensor(reference, dtype=torch.float64), n, 0.1, eps)
            value = value + factor * (one if "sft" in names else one * w).mean()
        value.backward()
        zero = torch.zeros_like(x)
        yield case(names, 0.1, eps, policy, reference, lengths, value.item(), (zero if x.grad is None else x.grad).numpy(), weights=weights,
                   **({} if "sft" in names else {"pair_weights": pair_weights.tolist()}), text=text.ravel().tolist(), text_lengths=lengths.ravel().tolist(),
                   dtext=(zero if y.grad is None else y.grad).numpy().ravel().tolist())


def log1mexp(x):
    return torch.where(x < -0.6931471805599453, torch.log1p(-torch.exp(x)), torch.log(-torch.expm1(x)))


def policy_cases(rng):
    """CPOTrainer.cpo_loss and ORPOTrainer.odds_ratio_loss (TRL 1.16) with their cross-entropies. Small sums reach both branches of log1mexp."""
    for name, beta, eps, gamma, alpha, scale in (("cpo", 0.1, 0.0, 0.0, 1.0, 60), ("cpo", 0.5, 0.2, 0.0, 0.0, 6), ("cpo", 0.1, 0.1, 0.0, 0.3, 60), ("simpo", 2.0, 0.0, 0.5, 0.0, 60),
                                                 ("simpo", 2.5, 0.1, 1.4, 1.0, 60), ("orpo", 0.1, 0.0, 0.0, 0.0, 60), ("orpo", 1.0, 0.0, 0.0, 0.0, 2)):
        for groups in (1, 6):
            policy = np.round(-rng.gamma(2.0, scale, (groups, 2)), 6)
            lengths = rng.integers(1, 100, policy.shape)
            text, text_lengths = np.round(policy - rng.gamma(2.0, 20.0, policy.shape), 6), lengths + rng.integers(0, 50, policy.shape)
            x, y = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (policy, text))
            n = torch.tensor(lengths, dtype=torch.float64)
            nll = -y[:, 0].sum() / float(text_lengths[:, 0].sum())
            mean = x if name == "cpo" else x / n
            more = {}
            if name == "orpo":
                odds = (mean[:, 0] - mean[:, 1]) - (log1mexp(mean[:, 0]) - log1mexp(mean[:, 1]))
                ratio = F.logsigmoid(odds)
                value = nll - (beta * ratio).mean()
                more = {"log_odds_ratio": ratio.mean().item(), "log_odds_chosen": odds.mean().item(), "nll": nll.item()}
            else:
                logits = mean[:, 0] - mean[:, 1] - gamma / beta
                value = (-F.logsigmoid(beta * logits) * (1 - eps) - F.logsigmoid(-beta * logits) * eps).mean() + alpha * nll
                more = {"simpo_gamma": gamma, "cpo_alpha": alpha, "nll": nll.item() if alpha else 0.0}
            value.backward()
            yield case(name, beta, eps, policy, policy, lengths, value.item(), x.grad.numpy(), text=text.ravel().tolist(), text_lengths=text_lengths.ravel().tolist(),
                       dtext=(y.grad.numpy() if alpha or name == "orpo" else np.zeros_like(text)).ravel().tolist(), **more)


def gap_loss(name, x, gap, o):
    """x = beta times the margin. odpo as its authors' preference_loss, rpo_* as NeMo-Aligner's preference_loss; log sigma by torch."""
    t = o.get("rpo_eta", 1.0) * gap
    if name == "odpo":
        return -F.logsigmoid(x - o["odpo_alpha"] * (gap if o.get("odpo_linear") else torch.log(gap)))
    if name == "rpo_sq":
        return (x - t) ** 2
    p, q, np_, nq = F.logsigmoid(x), F.logsigmoid(t), F.logsigmoid(-x), F.logsigmoid(-t)
    if name == "rpo_bwd_kl":
        return torch.exp(q) * (q - p) + torch.exp(nq) * (nq - np_)
    return torch.exp(p) * (p - q) + torch.exp(np_) * (np_ - nq)


def gap_cases(rng):
    for name, beta, o in (("odpo", 0.1, dict(odpo_alpha=1.0)), ("odpo", 0.5, dict(odpo_alpha=0.3, odpo_linear=1)), ("rpo_bwd_kl", 0.1, dict(rpo_eta=1.0)), ("rpo_bwd_kl", 2.0, dict(rpo_eta=0.2)),
                          ("rpo_fwd_kl", 0.1, dict(rpo_eta=1.0)), ("rpo_sq", 0.1, dict(rpo_eta=0.5))):
        for groups in (1, 6):
            policy, reference, lengths = draw(rng, groups, 2, 20)
            scores = np.round(rng.uniform(1, 10, (groups, 2)), 2)
            if name == "odpo":
                scores = -np.sort(-scores, axis=1)
            x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
            s, r = torch.tensor(scores, dtype=torch.float64), x - torch.tensor(reference, dtype=torch.float64)
            value = gap_loss(name, beta * (r[:, 0] - r[:, 1]), s[:, 0] - s[:, 1], o).mean()
            value.backward()
            yield case(name, beta, 0.0, policy, reference, lengths, value.item(), x.grad.numpy(), scores=scores.ravel().tolist(), **o)


def joint_loss(beta, margins):
    """margins: [2 pairs], the two halves of a pair beside each other; -log sigma(beta (m(r_w) - m(r_l))), the second half's margin being -m(r_l)."""
    m_w, m_l = margins[0::2], -margins[1::2]
    return -F.logsigmoid(beta * (m_w - m_l))


def joint_cases():
    rng = np.random.default_rng(66)
    for beta, scale in ((0.1, 20), (2.0, 3), (5.0, 400)):
        for groups in (2, 8):
            policy, reference, lengths = draw(rng, groups, 2, scale)
            x = torch.tensor(policy, dtype=torch.float64, requires_grad=True)
            r = x - torch.tensor(reference, dtype=torch.float64)
            value = joint_loss(beta, r[:, 0] - r[:, 1]).mean()
            value.backward()
            yield case("joint", beta, 0.0, policy, reference, lengths, value.item(), x.grad.numpy())


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
            cases.append(case(name, beta, eps, policy, reference, lengths, value, grad))
    cases += reward_cases(rng)
    cases += divergence_cases(rng)
    cases += mix_cases(rng)
    cases += kto_cases()
    cases += weight_cases(rng)
    cases += policy_cases(rng)
    cases += gap_cases(rng)
    cases += nca_cases()
    cases += joint_cases()
    out = pathlib.Path(sys.argv[1]) / "loss" / "cases.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
