#!/usr/bin/env python3
"""rapt template on every chat template in reach against transformers' own rendering, byte for byte; where Python refuses, rapt must.

In reach: *.jinja files and template strings in the source of the installed packages (TRL, transformers and whatever else), the templates of
$RAPT_SHARED_DATA/tokenizers/*/tokenizer_config.json, of GGUF files and of folders with *.jinja that are given.
usage: check_templates.py RAPT [GGUF or FOLDER...]    Needs: transformers, trl, gguf. Exits 77 (skipped) without them."""
import ast
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHARED = pathlib.Path(os.environ.get("RAPT_SHARED_DATA", HERE.parent.parent.parent / "shared" / "data")) / "tokenizers"
try:
    import gguf
    import trl
    from transformers.utils.chat_template_utils import render_jinja_template
except ImportError as e:
    print(f"skipped: {e} (set RAPT_PYTHON)")
    sys.exit(77)

U, U2 = {"role": "user", "content": "Hello, wörld ☃ <b>\"q\"</b>"}, {"role": "user", "content": " And  now?\n\n"}
A = {"role": "assistant", "content": "Hi 😀 \"there\"\n"}
S = {"role": "system", "content": "  Be brief.\n"}
THINK = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nSo."}
REASON = {"role": "assistant", "content": "So.", "reasoning_content": "Let me see.\n"}
ARGUMENTS = {"city": "Köln", "days": 3, "deep": {"a": [1, 2.5, None, True]}, "empty": {}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "id": "abcdef123", "function": {"name": "weather", "arguments": ARGUMENTS}}]}
CALLS = {"role": "assistant", "content": "Two.", "tool_calls": CALL["tool_calls"] + [{"type": "function", "id": "abcdef124", "function": {"name": "time", "arguments": {}}}]}
NONE = {"role": "assistant", "content": None, "tool_calls": CALL["tool_calls"]}
RESULT = {"role": "tool", "name": "weather", "tool_call_id": "abcdef123", "content": "{\"t\": 7}"}
RESULT2 = {"role": "tool", "name": "time", "tool_call_id": "abcdef124", "content": "12:00"}
PARTS = {"role": "user", "content": [{"type": "text", "text": " look "}, {"type": "text", "text": "here"}]}
IMAGE = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather <&> \"é\".", "parameters": {"type": "object", "properties": {
    "city": {"type": "string", "description": "Where"}, "days": {"type": "integer", "enum": [1, 2, 3]}, "deep": {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}},
    "unit": {"type": ["string", "null"], "default": None}}, "required": ["city"]}, "return": {"type": "string"}}},
    {"type": "function", "function": {"name": "time", "description": "Now", "parameters": {"type": "object", "properties": {}}}}]
TALKS = [[U], [S, U], [U, A], [U, A, U2], [S, U, A, U2, A], [U, U2], [A, U], [U, THINK], [U, THINK, U2, THINK], [S, U, REASON, U2, REASON], [U, CALL, RESULT],
         [U, CALL, RESULT, A], [S, U, CALLS, RESULT, RESULT2, A, U2], [U, NONE, RESULT, REASON], [PARTS], [S, PARTS, A], [IMAGE], [], [S], [U, S, A],
         [{"role": "developer", "content": "Dev."}, U], [{"role": "odd", "content": "x"}], [{"role": "user"}], [{"role": "user", "content": ""}],
         [{"role": "user", "content": [{"type": "odd"}]}], [{"role": "user", "content": 5}]]
OPTIONS = [{}, {"tools": TOOLS}, {"enable_thinking": False}, {"enable_thinking": True, "tools": TOOLS}, {"documents": [{"title": "T", "text": "Doc é", "contents": "c"}]},
           {"reasoning_effort": "high", "builtin_tools": ["browser", "python"], "xml_tools": ["def f(): pass"], "preserve_thinking": True, "date_string": "1 May 2025", "strftime_format": "%d"}]
ENDS = {"bos_token": "<s>", "eos_token": "</s>"}


def strings_of(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    if "{%" not in text or "messages" not in text:
        return
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\{%-? ?for \w+ in .*messages|\bmessages\b.*\{%", node.value, re.S) and "{%" in node.value:
            yield f"{path.name}:{node.lineno}", node.value


def templates(more):
    packages = pathlib.Path(trl.__file__).parent.parent
    for path in sorted(packages.rglob("*.jinja")):
        yield str(path.relative_to(packages)), path.read_text(encoding="utf-8")
    for name in ("transformers", "trl"):
        for path in sorted((packages / name).rglob("*.py")):
            yield from strings_of(path)
    for path in sorted(SHARED.glob("*/tokenizer_config.json")):
        yield f"{path.parent.name}/{path.name}", json.loads(path.read_text(encoding="utf-8")).get("chat_template")
    for where in map(pathlib.Path, more):
        if where.is_dir():
            for path in sorted(where.rglob("*.jinja")):
                yield path.name, path.read_text(encoding="utf-8")
        else:
            field = gguf.GGUFReader(where).get_field("tokenizer.chat_template")
            yield where.name, field and field.contents()


def python(template, row, generation):
    kwargs = dict(row.get("chat_template_kwargs") or {})
    documents = kwargs.pop("documents", None)
    try:
        messages = [{k: v for k, v in m.items() if v is not None} for m in row["messages"]]  # as apply_chat_template does first
        return render_jinja_template([messages], tools=row.get("tools"), documents=documents, chat_template=template, add_generation_prompt=generation, **ENDS, **kwargs)[0][0]
    except Exception as e:
        return e


def rapt(folder, rows, generation):
    (folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    done = subprocess.run([RAPT, "template", "--model", folder, "--input", folder / "rows.jsonl", "--json"] + ["--add-generation-prompt"] * generation, capture_output=True, text=True)
    return [json.loads(line)["text"] for line in done.stdout.splitlines()], done


def check(folder, name, template):
    """Renders alike, errors alike, differences."""
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
    same = errors = 0
    bad = []
    rows = []
    for talk in TALKS:
        for option in OPTIONS:
            kwargs = {k: v for k, v in option.items() if k != "tools"}
            rows.append({"messages": talk, **({"tools": option["tools"]} if "tools" in option else {}), **({"chat_template_kwargs": kwargs} if kwargs else {})})
    for generation in (False, True):
        want = [python(template, r, generation) for r in rows]
        good = [(r, w) for r, w in zip(rows, want) if isinstance(w, str)]
        while good:
            got, done = rapt(folder, [r for r, _ in good], generation)
            for (row, w), g in zip(good, got):
                same += w == g
                if w != g:
                    at = next((i for i, (a, b) in enumerate(zip(w, g)) if a != b), min(len(w), len(g)))
                    bad.append(f"{json.dumps(row)[:150]}: at {at}: {g[max(0, at - 30):at + 40]!r}, Python {w[max(0, at - 30):at + 40]!r}")
            if len(got) < len(good):
                bad.append(f"{json.dumps(good[len(got)][0])[:300]}: refused: {done.stderr.strip()[-200:]}")
            good = good[len(got) + 1:]
        kinds = {}
        for row, w in zip(rows, want):
            if not isinstance(w, str):
                kinds.setdefault((str(w), json.dumps(row["messages"])), (row, w))
        for row, w in kinds.values():
            got, done = rapt(folder, [row], generation)
            errors += done.returncode == 1
            if done.returncode != 1:
                bad.append(f"{json.dumps(row)[:150]}: rendered {got[0][:80] if got else done.stderr!r}, Python refuses: {type(w).__name__} {str(w)[:100]}")
    for line in bad[:4]:
        print(f"  {name}: {line}")
    return same, errors, len(bad)


def main():
    sums, seen = [0, 0, 0], set()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tokenizer.json").write_bytes((HERE.parent / "golden" / "tokenizer" / "llama3.json").read_bytes())
        (folder / "tokenizer_config.json").write_text(json.dumps(ENDS))
        for title, template in templates(sys.argv[2:]):
            if not template or template in seen:
                continue
            seen.add(template)
            result = check(folder, title, template)
            sums = [a + b for a, b in zip(sums, result)]
            if result[2]:
                print(f"{title}: {result[0]} alike, {result[1]} errors alike, {result[2]} differences")
    print(f"{len(seen)} templates: {sums[0]} renderings alike, {sums[1]} errors alike, {sums[2]} differences")
    sys.exit(1 if sums[2] else 0)


if __name__ == "__main__":
    RAPT = sys.argv[1]
    main()
