#!/usr/bin/env python3
"""rapt export --bake-goal --format gguf: the Modelfile's TEMPLATE, rendered by Go's own text/template with the data that Ollama gives it (ollama.go), is what
transformers renders of the conversation with the goal put into it (check_bake.py's, in Python) under the plain chat template: single turns, with a system
message, several turns, and both; for the templates of make_jinja.py and every placement. Where a template gets no Modelfile that is expected.
usage: check_ollama.py RAPT [TEMPLATE.jinja...]. Exits 77 (skipped) without go."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

if not shutil.which("go"):
    print("skipped: no go (Debian: golang-go)")
    sys.exit(77)

from check_bake import GOAL, STYLE, rapt, rendered, with_goal
from make_jinja import CHAT
from oracle import chat_model

from transformers import AutoTokenizer

U, A, S = ({"role": r} for r in ("user", "assistant", "system"))
said = lambda r, text: {**r, "content": text}
TALKS = [[said(U, "Hi")], [said(U, "Say {{ \"a\" }}.\n\né \\ 語")], [said(S, "Be brief."), said(U, "Hi")], [said(S, "Two\nlines, {% x %}"), said(U, "Hi, <b>")],
         [said(U, "1"), said(A, "2"), said(U, "3")], [said(S, "s"), said(U, "1"), said(A, "2\n\n3"), said(U, "4")],
         [said(S, "s"), *[said(r, str(i)) for i in range(3) for r in (U, A)], said(U, "end")], [*[said(r, str(i)) for i in range(4) for r in (U, A)], said(U, "end")]]
REFUSED = [[said(A, "a"), said(U, "b")], [said(U, "a"), said(A, "b"), said(S, "c"), said(U, "d")], [said(U, "a"), {"role": "tool", "content": "b"}]]
# Conversations that are not their messages one behind the other, or not as Ollama has them.
NONE = {("macro_tools", p) for p in ("system", "user", "after")}
RICH = {
    "mistral_last": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] %}{% set ms = messages[1:] %}{% else %}{% set ms = messages %}{% endif %}"
                    "{% for m in ms %}{% if m['role'] == 'user' %}{% if loop.last and s is defined %}{{ '[INST] ' + s + '\n\n' + m['content'] + '[/INST]' }}"
                    "{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    "llama31": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] | trim %}{% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}"
               "{{ '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n\n' + s + '<|eot_id|>' }}{% for m in messages %}"
               "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "numbered": "{% for m in messages %}{{ loop.index ~ m['role'] ~ m['content'] }}{% endfor %}",
}
NONE |= {("numbered", p) for p in ("system", "user", "after")}


def go_program(top):
    program = top / "ollama"
    env = dict(os.environ, GO111MODULE="off", GOCACHE=str(top / "cache"), GOFLAGS="")
    subprocess.run(["go", "build", "-o", program, pathlib.Path(__file__).parent / "ollama.go"], check=True, env=env)
    return program


def parse(path):
    """FROM, TEMPLATE and the stops of a Modelfile."""
    text = path.read_text()
    head, template, tail = text.split('"""')
    lines = [line for line in (head + tail).splitlines() if line and line[0] != "#"]
    stops = [line.split(" ", 2)[2] for line in lines if line.startswith("PARAMETER stop ")]
    assert all(s[0] == s[-1] == '"' for s in stops) and len(lines) == 2 + len(stops) and text.isascii(), text
    return lines[0], template, [s[1:-1] for s in stops]


def check(name, source, top, program, known=True):
    """known: whether there should be a Modelfile is known. Returns how many conversations were compared."""
    folder, compared = top / "model", 0
    shutil.rmtree(folder, ignore_errors=True)
    chat_model(folder, source, bos_token="<|endoftext|>")
    plain = AutoTokenizer.from_pretrained(folder)
    probe = rendered(plain, [said(S, "rapt-probe"), said(U, "Hello")])
    for placement in ("system", "user", "after"):
        if placement == "system" and (probe is None or "rapt-probe" not in probe):
            continue
        style, gguf = top / "style.json", top / "baked.gguf"
        style.write_text(json.dumps({**STYLE, "placement": placement}))
        modelfile = top / "baked.gguf.Modelfile"
        modelfile.unlink(missing_ok=True)
        try:
            rapt("export", "--model", folder, "--format", "gguf", "--output", gguf, "--bake-goal", GOAL, "--goal-style", style)
        except AssertionError as e:
            if known:
                raise
            print(f"{name}, {placement}: not baked: {str(e).splitlines()[-1][-120:]}")
            continue
        assert not known or modelfile.exists() == ((name, placement) not in NONE), f"{name}, {placement}: a Modelfile is {'' if modelfile.exists() else 'not '}there"
        if not modelfile.exists():
            print(f"{name}, {placement}: no Modelfile")
            continue
        source_line, template, stops = parse(modelfile)
        assert source_line == "FROM ./baked.gguf" and all(s.startswith("<|") for s in stops), (source_line, stops)
        asked = json.dumps({"template": template, "talks": TALKS + REFUSED})
        got = json.loads(subprocess.run([program], input=asked, capture_output=True, text=True, check=True).stdout)
        for talk, answer in zip(TALKS + REFUSED, got):
            want = rendered(plain, with_goal(talk, placement))
            if talk in REFUSED or want is None:
                assert "are expected" in answer["error"], (name, placement, talk, answer)
                continue
            assert not answer["error"] and answer["text"] == want, f"{name}, {placement}, {talk}:\n{answer}\n{want!r}"
            compared += 1
    print(f"{name}: {compared} conversations")
    return compared


def main():
    with tempfile.TemporaryDirectory() as top:
        top = pathlib.Path(top)
        program = go_program(top)
        total = sum(check(name, source, top, program) for name, source in {**CHAT, **RICH}.items())
        for path in sys.argv[2:]:
            check(pathlib.Path(path).name, pathlib.Path(path).read_text(), top, program, known=False)
        assert total > 150, total
        print(f"{total} conversations agree")


main()
