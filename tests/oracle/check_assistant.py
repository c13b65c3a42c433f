#!/usr/bin/env python3
"""What the assistant wrote (rapt template --assistant-mask, train --assistant-only-loss) against TRL's training templates.

TRL puts NAME_training.jinja, which has {% generation %} blocks, in place of a model's NAME.jinja, which has none; rapt reads the spans off the
original. Of the families that rapt trains, where both templates write the same text, rapt's spans are those that transformers finds in the
training template, but for the line break behind the role that Qwen2.5's holds; or rapt says that it cannot tell. TRL's own for other families also
hold pieces of what opens the turn (<think>, <|start|>assistant) or of the next one; those are only counted. With the training template itself
rapt's spans are transformers'.
usage: check_assistant.py RAPT    Needs: transformers, trl. Exits 77 (skipped) without them."""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
try:
    import trl
    from transformers.utils.chat_template_utils import render_jinja_template
except ImportError as e:
    print(f"skipped: {e} (set RAPT_PYTHON)")
    sys.exit(77)

U, U2 = {"role": "user", "content": "Hello, wörld ☃"}, {"role": "user", "content": " And  now?\n\n"}
A, A2 = {"role": "assistant", "content": "Hi 😀 \"there\""}, {"role": "assistant", "content": " <b>\n\nyes"}
S = {"role": "system", "content": "Be brief."}
TALKS = [[U, A], [S, U, A], [U, A, U2, A2], [S, U, A, U2, A2], [U, A, U2], [S, U, A, U2, A2, U, A]]
OURS = ("gemma.", "gemma3.", "llama3", "phi3", "qwen2_5.", "qwen3.", "qwen3_instruct")
ENDS = {"bos_token": "<s>", "eos_token": "</s>"}


def python(template, talk):
    """Text and spans, or None where the template refuses."""
    try:
        texts, spans = render_jinja_template([talk], chat_template=template, return_assistant_tokens_mask=True, **ENDS)
        return texts[0], [list(s) for s in spans[0]]
    except Exception:
        return None


def rapt(folder, template, talk):
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
    (folder / "row.jsonl").write_text(json.dumps({"messages": talk}) + "\n", encoding="utf-8")
    done = subprocess.run([RAPT, "template", "--model", folder, "--input", folder / "row.jsonl", "--json", "--assistant-mask"], capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr
    row = json.loads(done.stdout)
    return row["text"], row["assistant"]


def merged(spans):
    """Spans that touch are one: TRL's Phi-3 has the end of text in a block of its own."""
    out = []
    for a, b in spans:
        if out and out[-1][1] == a:
            out[-1][1] = b
        elif a < b:
            out.append([a, b])
    return out


def main():
    alike, breaks, untold, others, bad, names = 0, 0, 0, 0, 0, set()
    templates = pathlib.Path(trl.__file__).parent / "chat_templates"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tokenizer.json").write_bytes((HERE.parent / "golden" / "tokenizer" / "llama3.json").read_bytes())
        (folder / "tokenizer_config.json").write_text(json.dumps(ENDS))
        for path in sorted(templates.glob("*_training.jinja")):
            training = path.read_text(encoding="utf-8")
            plain = templates / path.name.replace("_training", "")
            for talk in TALKS:
                want = python(training, talk)
                if want is None:
                    continue
                text, spans = rapt(folder, training, talk)
                if text != want[0] or spans != want[1]:
                    bad += 1
                    print(f"{path.name}: {spans}, transformers {want[1]}")
                if not plain.exists():
                    continue
                text, spans = rapt(folder, plain.read_text(encoding="utf-8"), talk)
                if text is None:
                    untold += "cannot be told" in spans
                    if "cannot be told" not in spans and python(plain.read_text(encoding="utf-8"), talk):
                        bad += 1
                        print(f"{plain.name}: {spans}")
                elif text == want[0]:
                    names.add(plain.name)
                    theirs = merged(want[1])
                    if merged(spans) == theirs:
                        alike += 1
                    elif [[a - (text[a - 1] == "\n"), b] for a, b in merged(spans)] == theirs:
                        breaks += 1
                    elif not plain.name.startswith(OURS):
                        others += 1
                    else:
                        bad += 1
                        print(f"{plain.name}: {[text[a:b] for a, b in spans]}, TRL {[text[a:b] for a, b in theirs]}")
    print(f"{len(names)} templates: {alike} conversations alike, {breaks} but for the break behind the role, {untold} not told, "
          f"{others} of other families otherwise, {bad} differ")
    missing = [o for o in OURS if not any(n.startswith(o) for n in names)]
    if missing:
        print(f"nothing compared of {missing}")
    sys.exit(1 if bad or missing else 0)


if __name__ == "__main__":
    RAPT = sys.argv[1]
    main()
