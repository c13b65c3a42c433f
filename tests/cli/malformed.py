"""Runs rapt on broken copies of the golden files. usage: malformed.py RAPT GOLDEN SCRATCH [templates] (tests/cli/malformed.sh calls it)"""
import json
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys

RAPT, GOLDEN, SCRATCH = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3])
SEED = int(os.environ.get("RAPT_MALFORMED_SEED", "1"))
draw = random.Random(SEED)
SANITIZED = b"__asan_init" in pathlib.Path(RAPT).read_bytes()
COMMON = ["--dtype", "f32", "--threads", "1"]
problems, counts = [], {}


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not SANITIZED:  # a lie about sizes must not become memory
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


def run(arguments):
    environment = dict(os.environ, OMP_NUM_THREADS="1", ASAN_OPTIONS="allocator_may_return_null=1", UBSAN_OPTIONS="halt_on_error=1")
    try:
        r = subprocess.run([RAPT] + [str(a) for a in arguments], capture_output=True, timeout=60, preexec_fn=limits, env=environment)
    except subprocess.TimeoutExpired:
        return "hang", ""
    return r.returncode, r.stderr.decode("utf-8", "replace")


def check(kind, what, path, data, command, may_pass):
    """Writes `data` to path, runs, puts nothing back (the caller does)."""
    path.write_bytes(data)
    code, said = run(command)
    counts[kind] = counts.get(kind, 0) + 1
    last = said.strip().splitlines()[-1] if said.strip() else ""
    if code == 0:
        if not may_pass:
            problems.append(f"{kind}: {what}: accepted")
    elif code != 1:
        problems.append(f"{kind}: {what}: exit {code}: {said[-1500:]}")
    elif not any(line.startswith("rapt: error: ") and len(line) > 30 for line in said.splitlines()):
        problems.append(f"{kind}: {what}: no clear error: {said[-300:]}")
    elif "Sanitizer" in said or "runtime error" in said:
        problems.append(f"{kind}: {what}: {said[-1500:]}")
    if os.environ.get("RAPT_MALFORMED_SHOW"):
        print(f"{kind}: {what}: {code} {last}")


def truncations(kind, path, command, points, may_pass=lambda data: False):
    whole = path.read_bytes()
    for at in sorted(set(p for p in points if 0 <= p < len(whole))):
        check(kind, f"cut at {at} of {len(whole)}", path, whole[:at], command, may_pass(whole[:at]))
    path.write_bytes(whole)


def flips(kind, path, command, count, end=None):
    whole = path.read_bytes()
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 1, 3, 8))):
            data[draw.randrange(min(end or len(data), len(data)))] ^= 1 << draw.randrange(8)
        check(kind, f"flipped bits (seed {SEED})", path, bytes(data), command, True)
    path.write_bytes(whole)


def numbers(kind, path, command, offsets, size):
    """Little-endian integers at these offsets become lies."""
    whole = path.read_bytes()
    for at in offsets:
        for lie in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 63) - 1, (1 << 64) - 1):
            data = bytearray(whole)
            data[at:at + size] = (lie & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            if data != whole:
                check(kind, f"{size} bytes at {at} are {lie:#x}", path, bytes(data), command, True)
    path.write_bytes(whole)


def values(kind, path, command, edits):
    """edits: (name, function that changes the parsed JSON, may it pass)."""
    whole = path.read_bytes()
    for name, change, may_pass in edits:
        document = json.loads(whole)
        replaced = change(document)
        check(kind, name, path, json.dumps(document if replaced is None else replaced).encode(), command, may_pass)
    path.write_bytes(whole)


def setting(keys, value):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value
    return change


def wrong_types(keys, may_pass, wrong=("x", -1, 0, 1.5, 1e300, 2**40, 2**63, None, [], {}, True)):
    return [(f"{'.'.join(map(str, keys))} is {value!r}", setting(keys, value), may_pass) for value in wrong]


def without(key):
    return (f"no {key}", lambda document: document.pop(key) and None, False)


def texts(kind, path, command, rows, may_pass=False):
    whole = path.read_bytes()
    for name, data in rows:
        check(kind, name, path, data if isinstance(data, bytes) else data.encode(), command, may_pass)
    path.write_bytes(whole)


def copy(name):
    target = SCRATCH / name
    shutil.copytree(GOLDEN / name, target)
    return target


BROKEN_JSON = [("is empty", b""), ("is a NUL", b"\0"), ("is a list", b"[]"), ("is open", b"{"), ("ends twice", b"{}}"), ("is no UTF-8", b'{"a": "\xff\xfe"}'),
               ("nests deeply", b'{"a":' + b"[" * 100000), ("is one long string", b'{"' + b"a" * 100000), ("is binary", bytes(range(256)) * 8)]


def gguf_cases(rows):
    path = copy("llama_tiny_gguf") / "model.gguf"
    command = ["logps", "--model", path, "--input", rows] + COMMON
    size = path.stat().st_size
    truncations("gguf", path, command, [0, 1, 3, 4, 8, 15, 16, 23, 24, 25, size - 1, size // 2] + [draw.randrange(size) for _ in range(20)])
    flips("gguf", path, command, 40, 4500)
    flips("gguf", path, command, 10)
    numbers("gguf", path, command, (4,), 4)
    numbers("gguf", path, command, (8, 16, 24), 8)
    truncations("gguf inspected", path, ["inspect", path, "--tensors"], [5, 100, 1000, size - 1])
    flips("gguf inspected", path, ["inspect", path], 10, 4500)
    types = copy("gguf_types") / "types.gguf"  # a tensor of every storage type
    size = types.stat().st_size
    truncations("gguf of every type", types, ["inspect", types, "--tensors"], [24, 100, 400, 700, size // 2, size - 1])
    flips("gguf of every type", types, ["inspect", types, "--tensors"], 20, 800)


def safetensors_cases(rows):
    folder = copy("llama_untied")
    shutil.copy(GOLDEN / "llama_tiny" / "tokenizer.json", folder)
    command = ["logps", "--model", folder, "--input", rows] + COMMON
    shard = folder / "model-00002-of-00002.safetensors"
    size, header = shard.stat().st_size, struct.unpack("<Q", shard.read_bytes()[:8])[0]
    truncations("safetensors", shard, command, [0, 1, 7, 8, 9, 8 + header, 8 + header - 1, 9 + header, size - 1] + [draw.randrange(size) for _ in range(10)])
    flips("safetensors", shard, command, 25, 8 + header)
    numbers("safetensors", shard, command, (0,), 8)
    texts("safetensors", folder / "model.safetensors.index.json", command, [("index " + n, d) for n, d in BROKEN_JSON])
    values("safetensors", folder / "model.safetensors.index.json", command, [
        ("index names a missing shard", setting(["weight_map", "lm_head.weight"], "model-00003-of-00002.safetensors"), False),
        ("index leaves the folder", setting(["weight_map", "lm_head.weight"], "../../../etc/passwd"), False),
        ("index maps to a number", setting(["weight_map", "lm_head.weight"], 3), False),
        ("index without map", lambda d: {}, False)])
    config = folder / "config.json"
    texts("config", config, command, [("config " + n, d) for n, d in BROKEN_JSON])
    edits = [without(k) for k in ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "intermediate_size", "architectures")]
    for key in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers", "intermediate_size", "vocab_size"):
        edits += wrong_types([key], False, ("x", -1, 0, 1.5, 1e300, 2**40, 2**63, 7))
    edits += wrong_types(["rms_norm_eps"], True, ("x", -1, "nan", 1e300)) + wrong_types(["rope_parameters"], True) + wrong_types(["architectures"], False, ("x", 3, [], ["GPT2LMHeadModel"]))
    edits += wrong_types(["max_position_embeddings"], True) + wrong_types(["head_dim"], True, ("x", -1, 0, 7, 2**40, 2**63)) + wrong_types(["hidden_act"], False, ("gelu", 3))
    values("config", config, command, edits)


def tokenizer_cases(rows):
    folder = copy("llama_tiny")
    path = folder / "tokenizer.json"
    command = ["tokenize", "--model", folder, "--text", "the cat sat"]
    whole = path.read_bytes()
    truncations("tokenizer", path, command, [0, 1, len(whole) // 2, len(whole) - 3] + [draw.randrange(len(whole) - 3) for _ in range(12)])
    flips("tokenizer", path, command, 25)
    texts("tokenizer", path, command, BROKEN_JSON)
    edits = [("no model", lambda d: d.pop("model") and None, False)]
    for value in ("x", 3, [], None):
        edits += [(f"model is {value!r}", setting(["model"], value), False), (f"vocab is {value!r}", setting(["model", "vocab"], value), False)]
    for value in (-1, 2**31, 2**40, 1.5, "x", None, 2**24 + 5):
        edits.append((f"an id is {value!r}", setting(["model", "vocab", "the"], value), False))
        edits.append((f"an added id is {value!r}", setting(["added_tokens", 0, "id"], value), False))
    for value in (["a"], "abc", 3, ["q", "q", "q"], ["zz", "zz"], [1, 2], None):
        edits.append((f"a merge is {value!r}", setting(["model", "merges", 0], value), False))
    edits += [("an id twice", setting(["model", "vocab", "the"], 5), True), ("another model", setting(["model", "type"], "Unigram"), False),
              ("an unknown pre-tokenizer", setting(["pre_tokenizer"], {"type": "Whatever"}), False), ("a broken pattern", setting(
                  ["pre_tokenizer"], {"type": "Split", "pattern": {"Regex": "(((["}, "behavior": "Isolated", "invert": False}), False),
              ("pre-tokenizers nest deeply", setting(["pre_tokenizer"], nest(200)), False), ("an unknown normalizer", setting(["normalizer"], {"type": "Whatever"}), False)]
    values("tokenizer", path, command, edits)
    texts("tokenizer config", folder / "tokenizer_config.json", ["logps", "--model", folder, "--input", rows] + COMMON, BROKEN_JSON, True)


def nest(depth):
    made = {"type": "ByteLevel", "add_prefix_space": False}
    for _ in range(depth):
        made = {"type": "Sequence", "pretokenizers": [made]}
    return made


def template_cases():
    folder = SCRATCH / "llama_chat"
    shutil.copytree(GOLDEN / "llama_tiny", folder)
    rows = SCRATCH / "chat.jsonl"
    turn = [{"role": "user", "content": "the cat"}]
    rows.write_text(json.dumps({"prompt": turn, "chosen": [{"role": "assistant", "content": "sat"}], "rejected": [{"role": "assistant", "content": "ran"}]}) + "\n")
    command = ["logps", "--model", folder, "--input", rows] + COMMON
    path = folder / "chat_template.jinja"
    path.write_text("{% for m in messages %}{{ m['content'] }}.{% endfor %}{% if add_generation_prompt %} {% endif %}")
    code, said = run(command)
    if code:
        problems.append(f"template: a good one: exit {code}: {said[-500:]}")
        return
    whole = path.read_bytes()
    truncations("template", path, command, range(1, len(whole), 3), lambda data: True)
    flips("template", path, command, 20)
    broken = ["{% for m in messages %}", "{{", "{%", "{#", "{% if %}", "{% endfor %}", "{{ messages[", "{{ 'x }}", "{{ 1 + }}", "{% unknown %}", "{{ a | unknown }}", "{{ messages.unknown() }}",
              "{{ raise_exception('no') }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ " + "(" * 20000, "{{ " + "-" * 20000 + "1 }}", "{{ 1 // 0 }}",
              "{% for i in range(10**12) %}x{% endfor %}", "{{ 'ab' * 10**12 }}", "{{ [1] * 10**12 }}", "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
              "{% " + "if 1 %}{% " * 3000 + "endif %}", "{{ " + "[" * 5000 + "]" * 5000 + " }}", "{% set x = 5 %}{{ x.a.b }}"]
    texts("template", path, command, [("is " + t[:60], t) for t in broken], False)
    texts("template", path, command, [("is bytes", bytes(range(128, 256))), ("is NUL", b"a\0b")], True)


def row_cases():
    rows = SCRATCH / "rows.jsonl"
    shutil.copy(GOLDEN / "trl" / "eval.jsonl", rows)
    command = ["logps", "--model", GOLDEN / "llama_tiny", "--input", rows] + COMMON
    whole = rows.read_bytes()
    truncations("rows", rows, command, [1] + [draw.randrange(len(whole)) for _ in range(12)], lambda data: data.endswith((b"}", b"\n")) or not data)
    flips("rows", rows, command, 20)
    good = '{"prompt": "the cat", "chosen": " sat", "rejected": " ran"}\n'
    broken = ["[]", "3", "null", '"text"', "{}", '{"prompt": 3, "chosen": "a", "rejected": "b"}', '{"prompt": "a", "chosen": "b"}', '{"prompt": "a", "chosen": null, "rejected": "b"}',
              '{"prompt": "", "chosen": "", "rejected": ""}', '{"prompt": "a", "chosen": "b", "rejected": "c"} x', "{" * 50000,
              '{"prompt": "a", "chosen": [{"role": "assistant"}], "rejected": "b"}', '{"prompt": [{"role": "user", "content": "x"}], "chosen": [], "rejected": []}',
              '{"prompt_ids": [1, 99999], "chosen_ids": [2], "rejected_ids": [3]}', '{"prompt_ids": [1, -1], "chosen_ids": [2], "rejected_ids": [3]}',
              '{"prompt_ids": [1, 2.5], "chosen_ids": [2], "rejected_ids": [3]}', '{"prompt_ids": [80], "chosen_ids": [2], "rejected_ids": [3]}',
              '{"prompt_ids": [4], "chosen_ids": [80], "rejected_ids": [3]}', '{"prompt_ids": [4], "chosen_ids": [5], "rejected_ids": [18446744073709551616]}',
              '{"prompt_ids": [], "chosen_ids": [2], "rejected_ids": [3]}', '{"prompt_ids": "4", "chosen_ids": [2], "rejected_ids": [3]}', "\x01", "{\x00}"]
    texts("rows", rows, command, [(f"row is {b[:70]}", good + b + "\n" + good) for b in broken])
    texts("rows", rows, command, [("longer than the model", json.dumps({"prompt": "the cat " * 500, "chosen": " a", "rejected": " b"}))])
    train = ["train", "--model", GOLDEN / "llama_tiny", "--train-data", rows, "--output-dir", SCRATCH / "bad_rows", "--max-length", "64", "--max-steps", "1"] + COMMON
    texts("rows trained on", rows, train, [(f"row is {b[:70]}", good + b + "\n" + good) for b in broken] + [("is empty", b"")])


def adapter_cases(rows):
    folder = copy("llama_tiny_lora")
    command = ["logps", "--model", GOLDEN / "llama_tiny", "--adapter", folder, "--input", rows] + COMMON
    config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    size, header = weights.stat().st_size, struct.unpack("<Q", weights.read_bytes()[:8])[0]
    truncations("adapter", weights, command, [0, 7, 8, 9, 7 + header, 8 + header, size - 1] + [draw.randrange(size) for _ in range(8)])
    flips("adapter", weights, command, 20, 8 + header)
    numbers("adapter", weights, command, (0,), 8)
    texts("adapter", config, command, [("config " + n, d) for n, d in BROKEN_JSON])
    edits = wrong_types(["r"], False, ("x", -1, 0, 1.5, 3, 2**40, 2**63, None)) + wrong_types(["lora_alpha"], False, ("x", None, [])) + wrong_types(
        ["target_modules"], False, (3, [], [3], ["unknown"], {}, ["q_proj"] * 40, "unknown", None))
    edits += [("DoRA", setting(["use_dora"], True), False), ("rank pattern", setting(["rank_pattern"], {"q_proj": 8}), False), ("bias", setting(["bias"], "all"), False),
              ("not LoRA", setting(["peft_type"], "IA3"), False), ("another task", setting(["modules_to_save"], ["lm_head"]), False)]
    edits += [(f"{key} {value}", setting([key], value), False) for key, values_of in (
        ("rank_pattern", ({"(": 4}, {"q_proj": 1.5}, {"q_proj": -1}, {"q_proj": 2**40}, {"q_proj": "x"}, {"q_proj": 2})), ("alpha_pattern", ({"q_proj": "x"}, {")": 1})),
        ("target_modules", (".*(", "(.*.*.*.*.*.*)*[^a]$", "[")), ("layers_to_transform", (["x"], [99], [0], {"a": "b"})), ("layers_pattern", ("h", ["h"])),
        ("modules_to_save", (["embed_tokens"], ["norm"], [3])), ("exclude_modules", (["q_proj"], )), ("init_lora_weights", ("pissa", "olora", "pissa_niter_4")),
        ("target_parameters", (["x"], )), ("layer_replication", ([[0, 1]], ))) for value in values_of]
    values("adapter", config, command, edits)


def checkpoint_cases():
    output = SCRATCH / "run"
    train = ["train", "--model", GOLDEN / "llama_tiny", "--train-data", GOLDEN / "trl" / "train.jsonl", "--max-length", "24", "--max-steps", "4", "--save-steps", "2",
             "--lora-r", "2", "--per-device-train-batch-size", "2", "--output-dir", output] + COMMON
    code, said = run(train)
    if code:
        problems.append(f"checkpoint: training: exit {code}: {said[-500:]}")
        return
    shutil.rmtree(output / "checkpoint-4")
    kept = SCRATCH / "kept"
    shutil.copytree(output, kept)

    def each(name, data, may_pass, what):
        shutil.rmtree(output)
        shutil.copytree(kept, output)
        check("checkpoint", f"{name} {what}", output / "checkpoint-2" / name, data, train + ["--resume"], may_pass)

    for name in ("trainer_state.json", "trainer.safetensors"):
        whole = (kept / "checkpoint-2" / name).read_bytes()
        for at in [0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 3] + [draw.randrange(len(whole) - 3) for _ in range(6)]:
            each(name, whole[:at], False, f"cut at {at}")
        for _ in range(15):
            data = bytearray(whole)
            data[draw.randrange(min(len(data), 400))] ^= 1 << draw.randrange(8)
            each(name, bytes(data), True, "with a flipped bit")
    state = json.loads((kept / "checkpoint-2" / "trainer_state.json").read_text())
    for key in state:
        for value in ("x", -1, 2**62, None, [], {}):
            each("trainer_state.json", json.dumps(dict(state, **{key: value})).encode(), True, f"{key} is {value!r}")
    for name, data in BROKEN_JSON:
        each("trainer_state.json", data, False, name)


def main():
    rows = SCRATCH / "good.jsonl"
    shutil.copy(GOLDEN / "trl" / "eval.jsonl", rows)
    gguf_cases(rows)
    safetensors_cases(rows)
    tokenizer_cases(rows)
    adapter_cases(rows)
    row_cases()
    checkpoint_cases()
    if "templates" in sys.argv[4:]:
        template_cases()
    print(", ".join(f"{k}: {n}" for k, n in counts.items()), "in all:", sum(counts.values()))
    for p in problems:
        print(p)
    if sum(counts.values()) < 500:
        problems.append("fewer cases than there should be")
    sys.exit(bool(problems))


main()
