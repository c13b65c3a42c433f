"""Writes OUTPUT_FOLDER/gguf_types: types.gguf (one small tensor of every storage type) and expected.safetensors (gguf-py's expansion).

Needs gguf, numpy, safetensors. The scales span many orders of magnitude, so that subnormal halves and both signs occur.
usage: make_gguf_types.py OUTPUT_FOLDER
"""
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()
out = Path(sys.argv[1]) / "gguf_types"
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)
writer = gguf.GGUFWriter(str(out / "types.gguf"), "llama")
expected = {}
for name in TYPES:
    qtype = gguf.GGMLQuantizationType[name]
    values = (rng.standard_normal((16, 64)) * np.exp(rng.standard_normal((16, 1)) * 4)).astype(np.float32)
    stored = values if name == "F32" else gguf.quantize(values, qtype)
    writer.add_tensor(name, stored, raw_dtype=qtype)
    expected[name] = np.ascontiguousarray(gguf.dequantize(stored, qtype).astype(np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(expected, str(out / "expected.safetensors"))
