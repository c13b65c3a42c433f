#!/usr/bin/env python3
"""Log-prob files of one run under several seeds as one file, for intervals over prompts in which a prompt's pairs of all seeds are drawn together: source_row is moved apart.
usage: search_pool.py OUTPUT FILE [FILE ...]"""
import json
import sys

with open(sys.argv[1], "w") as out:
    for seed, name in enumerate(sys.argv[2:]):
        for line in open(name):
            row = json.loads(line)
            row["source_row"] += seed * 1_000_000
            out.write(json.dumps(row) + "\n")
