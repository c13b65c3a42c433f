"""rapt from Python through ctypes: a thin wrapper around librapt (include/rapt.h), without any package.

    from rapt_ctypes import Model, augment
    rows = augment(open("pairs.jsonl").read())
    with Model("SmolLM2-135M-Instruct.Q4_1.gguf", adapter="out") as m:
        print(m.generate("Why is the sky blue?", goal=10, temperature=0))
        print(m.logps("Why is the sky blue?", ["Rayleigh scattering.", "No idea."], goal=10))

The library is looked for as librapt.so.0, or where the environment variable LIBRAPT says.
"""
import ctypes as c
import json
import math
import os

ABI = 0
lib = c.CDLL(os.environ.get("LIBRAPT", f"librapt.so.{ABI}"))


class _Struct(c.Structure):
    """Structs that the caller fills begin with their own size."""

    def __init__(self, **members):
        super().__init__(size=c.sizeof(type(self)), **{k: v.encode() if isinstance(v, str) else v for k, v in members.items() if v is not None})


class ModelOptions(_Struct):
    _fields_ = [("size", c.c_size_t), ("adapter", c.c_char_p), ("dtype", c.c_char_p), ("goal_style", c.c_char_p), ("chat_kwargs", c.c_char_p),
                ("max_length", c.c_size_t), ("batch", c.c_size_t), ("threads", c.c_int)]


class Prompt(_Struct):
    _fields_ = [("size", c.c_size_t), ("text", c.c_char_p), ("messages", c.c_char_p), ("system", c.c_char_p), ("goal", c.c_double), ("raw", c.c_int)]


class Logps(c.Structure):
    _fields_ = [("sum", c.c_double), ("count", c.c_size_t), ("ids", c.POINTER(c.c_int32)), ("logps", c.POINTER(c.c_float))]


PIECE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_size_t, c.c_size_t, c.POINTER(c.c_char), c.c_size_t)


class Generation(_Struct):
    _fields_ = [("size", c.c_size_t), ("samples", c.c_size_t), ("max_new_tokens", c.c_size_t), ("temperature", c.c_double), ("top_p", c.c_double),
                ("min_p", c.c_double), ("repetition_penalty", c.c_double), ("top_k", c.c_int64), ("seed", c.c_uint64), ("piece", PIECE),
                ("context", c.c_void_p)]


class Response(c.Structure):
    _fields_ = [("text", c.c_void_p), ("bytes", c.c_size_t), ("tokens", c.c_size_t), ("finish", c.c_int)]


class Augmentation(_Struct):
    _fields_ = [("size", c.c_size_t), ("mode", c.c_char_p), ("placement", c.c_char_p), ("goal_template", c.c_char_p), ("rule", c.c_char_p),
                ("ties", c.c_char_p), ("on_disagree", c.c_char_p), ("scale_low", c.c_double), ("scale_high", c.c_double), ("from_low", c.c_double),
                ("from_high", c.c_double), ("quantize", c.c_double), ("goal_dropout", c.c_double), ("seed", c.c_uint64)]


for name in ("rapt_version", "rapt_message", "rapt_model_family"):
    getattr(lib, name).restype = c.c_char_p
for name in ("rapt_model_vocab", "rapt_model_positions"):
    getattr(lib, name).restype = c.c_size_t
if lib.rapt_abi() != ABI:
    raise ImportError(f"librapt {lib.rapt_version().decode()} is of ABI {lib.rapt_abi()}, this file of {ABI}")


class RaptError(RuntimeError):
    """The library's message; code is its rapt_status."""

    def __init__(self, code):
        super().__init__(lib.rapt_message().decode(errors="replace"))
        self.code = code


def _check(code):
    if code:
        raise RaptError(code)


def _take(pointer, size=-1):
    """A text that the library gave away."""
    text = c.string_at(pointer, size).decode()
    lib.rapt_free(pointer)
    return text


def _prompt(prompt, goal, system=None, raw=False):
    """A text, or a list of messages."""
    what = {"text": prompt} if isinstance(prompt, str) else {"messages": json.dumps(prompt)}
    return Prompt(goal=math.nan if goal is None else goal, system=system, raw=int(raw), **what)


def _texts(responses):
    return (c.c_char_p * len(responses))(*[r.encode() for r in responses])


def augment(rows, **options):
    """Scored rows (JSONL) -> goal-conditioned rows (JSONL) and what was counted. Options: the members of Augmentation."""
    out, counts, data = c.c_void_p(), c.c_void_p(), rows.encode()
    options.setdefault("seed", 42)
    _check(lib.rapt_augment(c.byref(out), c.byref(counts), data, c.c_size_t(len(data)), c.byref(Augmentation(**options))))
    return _take(out), json.loads(_take(counts))


class Model:
    def __init__(self, path, **options):
        self.handle = c.c_void_p()
        _check(lib.rapt_model_open(c.byref(self.handle), os.fsencode(path), c.byref(ModelOptions(**options))))
        self.family = lib.rapt_model_family(self.handle).decode()
        self.vocab = lib.rapt_model_vocab(self.handle)

    def close(self):
        lib.rapt_model_free(self.handle)
        self.handle = c.c_void_p()

    __enter__ = lambda self: self
    __exit__ = lambda self, *error: self.close()

    def tokenize(self, text, add_special=True):
        ids, count, data = c.POINTER(c.c_int32)(), c.c_size_t(), text.encode()
        _check(lib.rapt_tokenize(c.byref(ids), c.byref(count), self.handle, data, c.c_size_t(len(data)), int(add_special)))
        out = ids[:count.value]
        lib.rapt_free(ids)
        return out

    def detokenize(self, ids, skip_special=True):
        text, size = c.c_void_p(), c.c_size_t()
        _check(lib.rapt_detokenize(c.byref(text), c.byref(size), self.handle, (c.c_int32 * len(ids))(*ids), c.c_size_t(len(ids)), int(skip_special)))
        return _take(text, size.value)

    def render(self, prompt, goal=None, system=None):
        text = c.c_void_p()
        _check(lib.rapt_render(c.byref(text), self.handle, c.byref(_prompt(prompt, goal, system))))
        return _take(text)

    def logps(self, prompt, responses, goal=None, system=None):
        """For each response (sum in nats, its token ids, their log-probs)."""
        out = (Logps * len(responses))()
        _check(lib.rapt_logps(self.handle, out, c.byref(_prompt(prompt, goal, system)), _texts(responses), c.c_size_t(len(responses))))
        found = [(x.sum, x.ids[:x.count], x.logps[:x.count]) for x in out]
        lib.rapt_logps_release(out, c.c_size_t(len(responses)))
        return found

    def generate(self, prompts, goal=None, system=None, on_piece=None, **options):
        """One text for one prompt; for a list of prompts (each a text or a list of messages) a list of lists of `samples` texts.
        on_piece(prompt, sample, text) may return True to end that response. Options: the members of Generation."""
        one = isinstance(prompts, str) or (prompts and isinstance(prompts[0], dict))
        items = [_prompt(p, goal, system) for p in ([prompts] if one else prompts)]
        samples = options.setdefault("samples", 1)
        for key, value in {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 42}.items():
            options.setdefault(key, value)
        if on_piece:
            options["piece"] = PIECE(lambda context, prompt, sample, text, size: int(bool(on_piece(prompt, sample, text[:size].decode()))))
        out = (Response * (len(items) * samples))()
        _check(lib.rapt_generate(self.handle, out, (Prompt * len(items))(*items), c.c_size_t(len(items)), c.byref(Generation(**options))))
        texts = [c.string_at(r.text, r.bytes).decode() for r in out]
        lib.rapt_responses_release(out, c.c_size_t(len(out)))
        return texts[0] if one and samples == 1 else [texts[i:i + samples] for i in range(0, len(texts), samples)]


class Scorer:
    """A reward model."""

    def __init__(self, path, **options):
        self.handle = c.c_void_p()
        _check(lib.rapt_scorer_open(c.byref(self.handle), os.fsencode(path), c.byref(ModelOptions(**options))))

    def close(self):
        lib.rapt_scorer_free(self.handle)
        self.handle = c.c_void_p()

    __enter__ = lambda self: self
    __exit__ = lambda self, *error: self.close()

    def score(self, prompt, responses):
        out = (c.c_double * len(responses))()
        _check(lib.rapt_score(self.handle, out, c.byref(_prompt(prompt, None)), _texts(responses), c.c_size_t(len(responses))))
        return list(out)


if __name__ == "__main__":
    import sys
    if len(sys.argv) != 4:
        sys.exit("usage: rapt_ctypes.py MODEL ADAPTER|- PROMPT")
    with Model(sys.argv[1], adapter=None if sys.argv[2] == "-" else sys.argv[2]) as model:
        for wanted in (None, 2, 10):
            print("no goal:" if wanted is None else f"goal {wanted}:", model.generate(sys.argv[3], goal=wanted, temperature=0, max_new_tokens=64))
