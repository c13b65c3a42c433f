"""Writes OUTPUT_FOLDER/gguf_quant: values that tests write in every storage type, and what the originals make of them.

values.safetensors: DATA [rows, cols] for some kinds of data. written.gguf: TYPE.DATA, the bytes of gguf-py's quantisation, for the types it
has. errors.safetensors, for the K types, which it has not: TYPE.DATA [2], root mean square error of ggml's own quantisation without an
importance matrix, plain and with the weights of its reference (ggml-quants.c: rms + |x| in groups of 32, |x| or x^2 in groups of 16).
Needs gguf, numpy, safetensors, xllamacpp; without the last the stored errors are copied.
usage: make_gguf_quant.py OUTPUT_FOLDER
"""
import pathlib
import shutil

import gguf
import numpy as np
from safetensors.numpy import save_file

from oracle import out

try:
    import ggml
except ImportError:
    ggml = None

BYTES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()
GROUPS = {"Q2_K": 16, "Q3_K": 16, "Q4_K": 32, "Q5_K": 32, "Q6_K": 16}
ROWS, COLS = 4, 512


def data():
    rng = np.random.default_rng(5)
    normal = lambda: rng.standard_normal((ROWS, COLS)) * 0.02
    sparse = np.where(rng.random((ROWS, COLS)) < 0.1, normal(), 0)
    sparse[0, :256] = 0
    sparse[1, :256] = 0.25
    sparse[2, :256] = -0.25
    sparse[3, 17] = 1000
    return {
        "normal": normal(),
        "student": rng.standard_t(3, (ROWS, COLS)) * 0.02,
        "offset": normal() * 0.5 + 0.05,
        "uniform": rng.uniform(-1, 1, (ROWS, COLS)),
        "uneven": normal() * np.exp(rng.standard_normal((ROWS, COLS // 32)).repeat(32, 1) * 1.5),
        "outlier": normal() * np.where(rng.random((ROWS, COLS)) < 0.01, 20, 1),
        "tiny": normal() * 1e-4,
        "positive": np.abs(normal()),
        "sparse": sparse,
    }


def weights(x, name):
    groups = x.reshape(-1, GROUPS[name])
    size = np.abs(groups)
    w = size if name == "Q2_K" else size**2 if GROUPS[name] == 16 else np.sqrt((size**2).mean(1, keepdims=True)) + size
    return w.reshape(x.shape)


def errors(x, name):
    expanded = gguf.dequantize(ggml.quantize(x, name), gguf.GGMLQuantizationType[name])
    squares = (expanded.astype(np.float64) - x) ** 2
    w = weights(x.astype(np.float64), name)
    return np.array([np.sqrt(squares.mean()), np.sqrt((w * squares).sum() / w.sum())], dtype=np.float32)


def main():
    folder = out("gguf_quant")
    values = {name: np.ascontiguousarray(x.astype(np.float32)) for name, x in data().items()}
    save_file(values, str(folder / "values.safetensors"))
    writer = gguf.GGUFWriter(str(folder / "written.gguf"), "llama")
    for name in BYTES:
        qtype = gguf.GGMLQuantizationType[name]
        for kind, x in values.items():
            writer.add_tensor(f"{name}.{kind}", gguf.quantize(x, qtype), raw_dtype=qtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if ggml:
        save_file({f"{name}.{kind}": errors(x, name) for name in GROUPS for kind, x in values.items()}, str(folder / "errors.safetensors"))
    else:
        shutil.copy(pathlib.Path(__file__).parent.parent / "golden" / "gguf_quant" / "errors.safetensors", folder)


main()
