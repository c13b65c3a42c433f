"""A Parquet file of pairs as pyarrow writes it, zstd-packed pages and two row groups, and the same rows as JSONL, written by Python.

Writes OUTPUT_FOLDER/rows/pairs.parquet and pairs.jsonl.
usage: make_rows.py OUTPUT_FOLDER"""
import json

import pyarrow as pa
import pyarrow.parquet as pq

from oracle import out

folder = out("rows")
rows = []
for i in range(5):
    turns = [{"role": "user", "content": f"question {i}: \"é\"\n?"}]
    rows.append({"prompt": turns, "chosen": [{"role": "assistant", "content": f"good {i}"}], "rejected": [{"role": "assistant", "content": f"bad\t{i}"}],
                 "score_chosen": 6.5 + i / 2, "score_rejected": float(i), "tags": ["a", "b"] if i % 2 else [], "id": 2**53 + i})
pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet", compression="zstd", row_group_size=3)
(folder / "pairs.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
