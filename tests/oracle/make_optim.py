#!/usr/bin/env python3
"""Optimizers and schedules: tests/golden/optim.

schedules.json: [{name, kwargs, learning_rate, warmup_steps, total_steps, rates: [100]}] from transformers' get_scheduler; the schedules that
follow evaluation have measured: [100] too, what each step was followed by.
optimizers.json: [{optim, args, rate, weight_decay, betas, eps}] and optimizers.safetensors: `CASE.SHAPE.STEP`, the values of each tensor of
SHAPES after some steps; the gradients are `number` below. torch.optim, torch.optim.Muon and bitsandbytes 0.50.2 (AdamW8bit, Lion); where
bitsandbytes is not installed, the same from its published rules (`adamw_8bit`, `lion`), to which it is held where it is.
map.signed, map.unsigned: the codes of 8-bit states.
usage: make_optim.py OUTPUT_FOLDER"""
import json

from oracle import fixed, out

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import get_scheduler

try:
    import bitsandbytes
    import bitsandbytes.backends.cpu.ops as bnb_cpu
except ImportError:
    bitsandbytes = None

SHAPES = [(40, 128), (128, 33), (16, 20), (1, 50)]  # hidden matrices but the last, which is a vector without weight decay
STEPS = [1, 10, 100]
SCHEDULES = [
    ("linear", {}, 10), ("linear", {}, 0), ("cosine", {}, 10), ("cosine", dict(num_cycles=1.5), 7), ("cosine_with_restarts", {}, 10),
    ("cosine_with_restarts", dict(num_cycles=3), 11), ("polynomial", {}, 10), ("polynomial", dict(lr_end=1e-4, power=2.5), 0), ("constant", {}, 0),
    ("constant_with_warmup", {}, 13), ("inverse_sqrt", {}, 10), ("inverse_sqrt", {}, 0), ("inverse_sqrt", dict(timescale=40), 5),
    ("cosine_with_min_lr", dict(min_lr=1e-4), 10), ("cosine_with_min_lr", dict(min_lr_rate=0.2, num_cycles=0.75), 10),
    ("cosine_warmup_with_min_lr", dict(min_lr_rate=0.1), 10), ("cosine_warmup_with_min_lr", dict(min_lr=2e-4, warmup_lr_rate=0.3), 10),
    ("warmup_stable_decay", dict(num_decay_steps=30), 10), ("warmup_stable_decay", dict(num_decay_steps=30, num_stable_steps=20, min_lr_ratio=0.1), 20),
    *(("warmup_stable_decay", dict(num_decay_steps=40, warmup_type=t, decay_type=t, min_lr_ratio=0.05), 15) for t in ("linear", "cosine", "1-sqrt")),
]
GREEDY = dict(patience=2, factor=0.8, min_lr=5e-4, max_lr=4e-3)
WATCHES = [  # name, kwargs, which measured()
    ("reduce_lr_on_plateau", {}, 0), ("reduce_lr_on_plateau", dict(patience=3, factor=0.5, cooldown=4, min_lr=1e-4), 1),
    ("reduce_lr_on_plateau", dict(mode="max", threshold_mode="abs", threshold=0.05, patience=1, factor=0.7, eps=1e-4), 2),
    ("reduce_lr_on_plateau", dict(mode="max", threshold=0.02, patience=0, factor=0.9), 3),
    ("greedy", {}, 0), ("greedy", GREEDY, 1), ("greedy", dict(GREEDY, smooth=True, window_size=5), 1), ("greedy", dict(GREEDY, reset_start=3, cooldown=1, warmup=2), 2),
    ("greedy", dict(GREEDY, mode="max", threshold_mode="rel", threshold=0.01, patience=0, warmup=1), 3), ("greedy", dict(GREEDY, smooth=True, reset_start=1, patience=0), 3),
]
CASES = [
    dict(optim="adamw_torch", rate=1e-2, weight_decay=0.1), dict(optim="adamw_torch", rate=1e-2, betas=(0.8, 0.95), eps=1e-4),
    dict(optim="sgd", rate=1e-1), dict(optim="sgd", rate=1e-1, args=dict(momentum=0.9, dampening=0.3), weight_decay=0.01),
    dict(optim="sgd", rate=1e-1, args=dict(momentum=0.8, nesterov="true")), dict(optim="lion_32bit", rate=1e-3, weight_decay=0.1, betas=(0.9, 0.99)),
    dict(optim="muon", rate=2e-2, weight_decay=0.1),
    dict(optim="muon", rate=2e-3, args=dict(momentum=0.4, nesterov="false", ns_steps=3, adjust_lr_fn="match_rms_adamw")),
    dict(optim="adamw_8bit", rate=1e-2, weight_decay=0.1),
]


def number(i, t):
    """The i-th gradient of step t: between -1/2 and 1/2 times a power of 2 that depends on i, exact in fp32."""
    i = np.asarray(i, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(t * 2246822519 & 0xFFFFFFFF)) & mask
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(2654435761)) & mask
    return ((h >> np.uint64(16)).astype(np.float64) / 65536 - 0.5) * 2.0 ** -(i % np.uint64(8)).astype(np.float64)


def tensor(shape, index, t):
    n = shape[0] * shape[1]
    return torch.tensor(number(np.arange(n) + 100000 * index, t), dtype=torch.float32).reshape(shape if shape[0] > 1 else shape[1:])


def schedules():
    made = []
    for name, kwargs, warmup in SCHEDULES:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-3)
        scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=90, scheduler_specific_kwargs=dict(kwargs))
        rates = []
        for _ in range(100):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        made.append(dict(name=name, kwargs=[f"{k}={v}" for k, v in kwargs.items()], learning_rate=3e-3, warmup_steps=warmup, total_steps=90, rates=rates))
    for name, kwargs, which in WATCHES:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-3)
        scheduler = get_scheduler(name, optimizer, scheduler_specific_kwargs=dict(kwargs))
        rates, values = [], measured(which)
        for value in values:
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.step(value)
        texts = [f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in kwargs.items()]
        made.append(dict(name=name, kwargs=texts, learning_rate=3e-3, warmup_steps=0, total_steps=100, rates=rates, measured=values))
    return made


def measured(which):
    """100 losses: falling and then flat, up and down, noisy around a slow fall, noisy around a slow rise; short decimals, exact in JSON."""
    x = np.arange(100)
    noise = number(x * 8, 7 + which)
    made = [np.maximum(1 - x / 20, 0.25) + 0 * noise, 1 + np.sin(x / 9) - x / 200, 1 - x / 200 + 0.2 * noise, 0.2 + x / 150 + 0.2 * noise][which]
    return [round(float(v), 6) for v in made]


def dynamic_map(signed):
    data = [0.0, 1.0]
    for i in range(7):
        edges = torch.linspace(0.1, 1, 2 ** (i if signed else i + 1) + 1, dtype=torch.float32)
        means = (10 ** (i - 6)) * ((edges[:-1] + edges[1:]) / 2)
        data += means.tolist() + ((-means).tolist() if signed else [])
    return torch.tensor(sorted(data), dtype=torch.float32)


def coded(x, code):
    """x as 8-bit state holds it: blocks of 256 by their largest."""
    flat, result = x.flatten(), torch.empty(x.numel())
    for b in range(0, flat.numel(), 256):
        part = flat[b:b + 256]
        most = part.abs().max()
        scaled = part * (1 / most) if most > 0 else part
        result[b:b + 256] = code[(scaled[:, None] - code).abs().argmin(-1)] * most
    return result.reshape(x.shape)


class Eight:
    """AdamW with moments kept in 8 bits, as bitsandbytes' _optimizer_update_8bit_blockwise_cpu."""

    def __init__(self, p, c, smallest=4096):
        self.p, self.c, self.t, self.m, self.v, self.smallest = p, c, 0, torch.zeros_like(p), torch.zeros_like(p), smallest

    def step(self):
        (b1, b2), eps, lr, wd = self.c["betas"], self.c["eps"], self.c["rate"], self.c["weight_decay"]
        self.t += 1
        self.m.mul_(b1).add_(self.p.grad, alpha=1 - b1)
        self.v.mul_(b2).addcmul_(self.p.grad, self.p.grad, value=1 - b2)
        self.p.data.mul_(1 - lr * wd)
        self.p.data.addcdiv_(self.m, (self.v.sqrt() / (1 - b2 ** self.t) ** 0.5).add_(eps), value=-lr / (1 - b1 ** self.t))
        if self.p.numel() >= self.smallest:
            self.m, self.v = coded(self.m, dynamic_map(True)), coded(self.v, dynamic_map(False))


class Lion:
    """Chen et al. 2023, program 1."""

    def __init__(self, p, c):
        self.p, self.c, self.m = p, c, torch.zeros_like(p)

    def step(self):
        (b1, b2), lr = self.c["betas"], self.c["rate"]
        self.p.data.mul_(1 - lr * self.c["weight_decay"])
        self.p.data.add_(torch.sign(self.m.mul(b1) + self.p.grad.mul(1 - b1)), alpha=-lr)
        self.m.mul_(b2).add_(self.p.grad, alpha=1 - b2)


def optimizer(case, p):
    c = dict(case, weight_decay=case["weight_decay"] if p.dim() == 2 else 0.0)
    args = {k: v == "true" if v in ("true", "false") else v for k, v in c["args"].items()}
    adam = dict(lr=c["rate"], weight_decay=c["weight_decay"], betas=c["betas"])
    if c["optim"] == "sgd":
        return torch.optim.SGD([p], lr=c["rate"], weight_decay=c["weight_decay"], **args)
    if c["optim"] == "muon" and p.dim() == 2:
        return torch.optim.Muon([p], lr=c["rate"], weight_decay=c["weight_decay"], **args)
    if c["optim"] == "lion_32bit":
        return bitsandbytes.optim.Lion([p], **adam) if bitsandbytes else Lion(p, c)
    if c["optim"] == "adamw_8bit":
        return bitsandbytes.optim.AdamW8bit([p], eps=c["eps"], **adam) if bitsandbytes else Eight(p, c)
    return torch.optim.AdamW([p], eps=c["eps"], **adam)


def exact_codes(x, code, absmax, codes, blocksize):
    """For fp32, bitsandbytes on the CPU looks codes up by x rounded to 16 bits, which takes numbers near 0 to codes far from them; for other
    types, and on CUDA, it takes the nearest."""
    made, most = torch.ops.bitsandbytes.quantize_blockwise(x.double(), code, blocksize)
    codes.copy_(made)
    absmax.copy_(most)


def main():
    fixed()
    if bitsandbytes:
        bnb_cpu._quant_blockwise_fp32_direct = exact_codes
    folder = out("optim")
    (folder / "schedules.json").write_text(json.dumps(schedules(), indent=0) + "\n")
    tensors = {"map.signed": dynamic_map(True), "map.unsigned": dynamic_map(False)}
    if bitsandbytes:
        for name, signed in (("map.signed", True), ("map.unsigned", False)):
            assert torch.equal(tensors[name], bitsandbytes.functional.create_dynamic_map(signed=signed))
    cases = [dict(dict(args={}, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8), **c) for c in CASES]
    for n, case in enumerate(cases):
        for s, shape in enumerate(SHAPES):
            p = torch.nn.Parameter(tensor(shape, s, 0) * 4)
            o = optimizer(case, p)
            for t in range(1, max(STEPS) + 1):
                p.grad = tensor(shape, s, t)
                o.step()
                if t in STEPS:
                    tensors[f"{n}.{s}.{t}"] = p.detach().clone().reshape(shape)
    save_file(tensors, folder / "optimizers.safetensors")
    for c in cases:
        c["args"] = [f"{k}={v}" for k, v in c["args"].items()]
    (folder / "optimizers.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    main()
