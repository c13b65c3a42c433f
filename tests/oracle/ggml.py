"""ggml's own functions, by ctypes, from the shared library that the Python package xllamacpp carries (llama.cpp, built for the CPU).

Importing it fails with ImportError where that package is not installed."""
import ctypes
import importlib.util
import pathlib

import gguf
import numpy as np

_spec = importlib.util.find_spec("xllamacpp")
if _spec is None:
    raise ImportError("xllamacpp is not installed")
_package = pathlib.Path(_spec.origin).parent
_lib = ctypes.CDLL(str(next(_package.glob("xllamacpp*.so"))))
_lib.ggml_quantize_chunk.restype = ctypes.c_size_t


def _spelling(name):
    return name.lower().replace("_k", "_K")


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def dequantize(stored, name, count):
    """stored: uint8, whole blocks; name: "Q4_K" -> float32 [count]"""
    out = np.empty(count, dtype=np.float32)
    stored = np.ascontiguousarray(stored)
    getattr(_lib, "dequantize_row_" + _spelling(name))(_pointer(stored), _pointer(out), ctypes.c_int64(count))
    return out


def quantize(values, name):
    """float32 [rows, cols] -> uint8 [rows, bytes], without an importance matrix."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    qtype = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    rows, cols = values.shape
    out = np.empty((rows, cols // block * size), dtype=np.uint8)
    used = _lib.ggml_quantize_chunk(ctypes.c_int(qtype.value), _pointer(values), _pointer(out), ctypes.c_int64(0), ctypes.c_int64(rows),
                                    ctypes.c_int64(cols), None)
    assert used == out.nbytes
    return out
