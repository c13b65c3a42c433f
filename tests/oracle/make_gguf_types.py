"""Writes OUTPUT_FOLDER/gguf_types: types.gguf (one small tensor of every storage type) and expected.safetensors (gguf-py's expansion).

Needs gguf, numpy, safetensors. The scales span many orders of magnitude, so that subnormal halves and both signs occur. Types that gguf-py
cannot write are random bytes: every pattern of scales, fifth bits and nibbles; their half-precision factors are set apart: random finite
ones, zeros of both signs, the least subnormal and the largest. Where xllamacpp is installed, ggml must expand the same bytes to the same bits.
usage: make_gguf_types.py OUTPUT_FOLDER
"""
import gguf
import numpy as np
from safetensors.numpy import save_file

from oracle import out

try:
    import ggml
except ImportError:
    ggml = None

WRITTEN = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()
HALVES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,)}  # bytes of d, dmin
EDGES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x7bff, 0xfbff, 0x3c00, 0xbc00], dtype=np.uint16)
ROWS = 16
rng = np.random.default_rng(0)


def written(qtype):
    values = (rng.standard_normal((ROWS, 64)) * np.exp(rng.standard_normal((ROWS, 1)) * 4)).astype(np.float32)
    return values if qtype.name == "F32" else gguf.quantize(values, qtype)


def random_blocks(qtype):
    """[ROWS, bytes of two blocks]: rows 0 and 1 all bits clear and set; d and dmin of the last rows from EDGES."""
    size = gguf.GGML_QUANT_SIZES[qtype][1]
    blocks = rng.integers(0, 256, (ROWS * 2, size), dtype=np.uint8)
    blocks[:2], blocks[2:4] = 0, 255
    for at in HALVES[qtype.name]:
        half = rng.integers(0, 1 << 16, ROWS * 2, dtype=np.uint16)
        half = np.where(half & 0x7c00 == 0x7c00, half & 0x83ff, half)
        half[-16:] = rng.permutation(np.concatenate([EDGES, EDGES]))
        blocks[:, at : at + 2] = half.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def main():
    folder = out("gguf_types")
    writer = gguf.GGUFWriter(str(folder / "types.gguf"), "llama")
    expected = {}
    for name in WRITTEN + list(HALVES):
        qtype = gguf.GGMLQuantizationType[name]
        stored = written(qtype) if name in WRITTEN else random_blocks(qtype)
        writer.add_tensor(name, stored, raw_dtype=qtype)
        expected[name] = np.ascontiguousarray(gguf.dequantize(stored, qtype).astype(np.float32))
        assert np.isfinite(expected[name]).all()
        if ggml and name not in ("F32", "F16", "BF16"):
            own = ggml.dequantize(stored, name, expected[name].size).reshape(expected[name].shape)
            assert np.array_equal(own.view(np.uint32), expected[name].view(np.uint32)), f"{name}: ggml and gguf-py differ"
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, str(folder / "expected.safetensors"))


main()
