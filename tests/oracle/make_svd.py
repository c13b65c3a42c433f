#!/usr/bin/env python3
"""Largest singular values by numpy (LAPACK): tests/golden/svd/svd.safetensors: for each of CASES `w.N` [m, n], `s.N` [rank] and `near.N` [m, n], the
nearest matrix of that rank.
usage: make_svd.py OUTPUT_FOLDER"""
from oracle import fixed, out

import numpy as np
import torch
from safetensors.torch import save_file

CASES = [(150, 90, 6), (60, 130, 10), (40, 40, 40), (90, 70, 1), (33, 100, 8)]


def main():
    fixed()
    draw, tensors = np.random.RandomState(7), {}
    for i, (m, n, rank) in enumerate(CASES):
        w = draw.standard_normal((m, n)).astype(np.float32)
        if i == 4:  # two equal values, and the rest nothing: rank below what is asked for
            q, _ = np.linalg.qr(draw.standard_normal((m, 3)))
            p, _ = np.linalg.qr(draw.standard_normal((n, 3)))
            w = (q * [3, 3, 1] @ p.T).astype(np.float32)
        u, s, v = np.linalg.svd(w.astype(np.float64), full_matrices=False)
        near = (u[:, :rank] * s[:rank]) @ v[:rank]
        for name, x in (("w", w), ("s", s[:rank]), ("near", near)):
            tensors[f"{name}.{i}"] = torch.tensor(x, dtype=torch.float32).contiguous()
    save_file(tensors, out("svd") / "svd.safetensors")


main()
