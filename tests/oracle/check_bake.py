#!/usr/bin/env python3
"""rapt export --bake-goal: transformers renders a conversation under the written chat template as it renders the conversation with the goal put into
it (here, in Python) under the plain one, for every chat template of make_jinja.py and every placement; rapt generate --goal sees the same
prompt; llama.cpp answers from the baked GGUF, F32 and greedy, as rapt generate --goal does. usage: check_bake.py RAPT [TEMPLATE.jinja...]"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from make_jinja import CHAT, LISTS
from oracle import chat_model

from transformers import AutoTokenizer

RAPT = sys.argv[1]
STYLE = {"text": "It's \"{s}\"\non {a}-{b} \\ {{ x }} %} é", "low": 1, "high": 10, "quantum": 0}
GOAL = 8.5


def rapt(*arguments, fails=False):
    done = subprocess.run([RAPT] + [str(a) for a in arguments], capture_output=True, text=True)
    if fails:
        assert done.returncode == 1, f"rapt {' '.join(map(str, arguments))}: exit {done.returncode}"
        return done.stderr
    assert done.returncode == 0, f"rapt {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def joined(block, content, at_end):
    if not content:
        return block
    if isinstance(content, str):
        return content + "\n\n" + block if at_end else block + "\n\n" + content
    return content + [{"type": "text", "text": "\n\n" + block}] if at_end else [{"type": "text", "text": block + "\n\n"}] + content


def with_goal(messages, placement):
    block = STYLE["text"].replace("{s}", "8.5").replace("{a}", "1").replace("{b}", "10")
    users = [i for i, m in enumerate(messages) if m["role"] == "user"]
    if placement == "system":
        if messages and messages[0]["role"] == "system":
            return [{**messages[0], "content": joined(block, messages[0].get("content"), False)}] + messages[1:]
        return [{"role": "system", "content": block}] + messages
    if not users:
        return messages
    at = users[0 if placement == "user" else -1]
    return messages[:at] + [{**messages[at], "content": joined(block, messages[at].get("content"), placement == "after")}] + messages[at + 1:]


def rendered(tokenizer, messages):
    """None where the template refuses."""
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception:
        return None


def check_template(name, template, top):
    folder, plain = top / "model", None
    shutil.rmtree(folder, ignore_errors=True)
    chat_model(folder, template, bos_token="<|endoftext|>")
    plain, compared = AutoTokenizer.from_pretrained(folder), 0
    for placement in ("system", "user", "after"):
        style, baked = top / "style.json", top / "baked"
        style.write_text(json.dumps({**STYLE, "placement": placement}))
        shutil.rmtree(baked, ignore_errors=True)
        arguments = ["export", "--model", folder, "--output", baked, "--bake-goal", GOAL, "--goal-style", style]
        probe = rendered(plain, [{"role": "system", "content": "rapt-probe"}, {"role": "user", "content": "Hello"}])
        if placement == "system" and (probe is None or "rapt-probe" not in probe):
            assert "which the chat template does not take" in rapt(*arguments, fails=True)
            continue
        rapt(*arguments)
        other = AutoTokenizer.from_pretrained(baked)
        for messages in filter(None, LISTS.values()):
            got, want = rendered(other, messages), rendered(plain, with_goal(messages, placement))
            assert got == want, f"{name}, {placement}, {messages}:\n{got!r}\n{want!r}"
            compared += got is not None
    print(f"{name}: {compared} conversations")
    assert compared >= 4


def check_config(top):
    """A template inside tokenizer_config.json is replaced there too."""
    folder, baked = top / "old", top / "old-baked"
    chat_model(folder, CHAT["chatml"])
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": CHAT["chatml"]}))
    rapt("export", "--model", folder, "--output", baked, "--bake-goal", GOAL)
    after = json.loads((baked / "tokenizer_config.json").read_text())
    assert after.pop("chat_template") == (baked / "chat_template.jinja").read_text() != CHAT["chatml"]
    assert after == config


def readable(text):
    """Random bytes are no UTF-8, and how many marks of replacement stand for them is taste."""
    return re.sub("\ufffd+", "\ufffd", text)


def check_llama_cpp(top):
    """What a server makes of a bare conversation is what rapt generates under the goal."""
    from check_gguf import Llama
    folder = top / "served"
    chat_model(folder, CHAT["chatml"])
    for placement in ("system", "user", "after"):
        style, gguf = top / "style.json", top / f"{placement}.gguf"
        style.write_text(json.dumps({**STYLE, "placement": placement}))
        for source in (folder, top / "plain.gguf"):
            if source.suffix == ".gguf":
                rapt("export", "--model", folder, "--format", "gguf", "--output", source)
            rapt("export", "--model", source, "--format", "gguf", "--output", gguf, "--bake-goal", GOAL, "--goal-style", style)
            llama = Llama(gguf, context=512)
            for messages in (LISTS["user"], LISTS["turns"], LISTS["system_turns"][:2]):
                plain = AutoTokenizer.from_pretrained(folder)
                want = plain.apply_chat_template(with_goal(messages, placement), tokenize=False, add_generation_prompt=True)
                got = llama.ask("/apply-template", messages=messages)["prompt"]
                assert got == want, f"{placement}: llama.cpp's prompt\n{got!r}\n{want!r}"
                (top / "prompt.jsonl").write_text(json.dumps({"prompt": messages}) + "\n")
                ours = json.loads(rapt("generate", "--model", folder, "--goal", GOAL, "--goal-style", style, "--input", top / "prompt.jsonl", "--output", "-",
                                       "--temperature", 0, "--max-new-tokens", 12, "--dtype", "f32"))
                bare = json.loads(rapt("generate", "--model", gguf, "--input", top / "prompt.jsonl", "--output", "-", "--temperature", 0, "--max-new-tokens", 12,
                                       "--dtype", "f32"))
                assert ours["text"] == bare["text"]
                theirs = llama.complete(want, 12)["content"]
                assert len(theirs) > 4 and readable(theirs) == readable(ours["text"]), f"{placement}: llama.cpp {theirs!r}, rapt {ours['text']!r}"
    print("llama.cpp: the prompts and the greedy answers of rapt generate --goal")


def main():
    with tempfile.TemporaryDirectory() as top:
        top = pathlib.Path(top)
        for name, template in CHAT.items():
            check_template(name, template, top)
        for path in sys.argv[2:]:
            check_template(path, pathlib.Path(path).read_text(), top)
        check_config(top)
        try:
            import xllamacpp  # noqa: F401
        except ImportError:
            print("llama.cpp skipped: xllamacpp is missing")
            return
        check_llama_cpp(top)


if __name__ == "__main__":
    main()
