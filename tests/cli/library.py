"""library.py RAPT ROOT DIR: the Python example's functions against the commands; library.sh has put goals.out and logps.jsonl into DIR."""
import json
import os
import subprocess
import sys
import threading

import rapt_ctypes
from rapt_ctypes import Model, RaptError, Scorer, augment

rapt, root, folder = sys.argv[1:]
golden = os.path.join(root, "tests", "golden")
model_path, adapter_path = os.path.join(golden, "score_chat"), os.path.join(golden, "score_chat_lora")


def command(*args):
    return subprocess.run([rapt, *args], check=True, capture_output=True, text=True).stdout


def near(a, b, relative=1e-5):
    assert abs(a - b) <= relative * max(1.0, abs(b)), (a, b)


def refused(what, call, *args, **options):
    try:
        call(*args, **options)
    except RaptError as e:
        assert what in str(e), str(e)
        return
    raise AssertionError(f"not refused: {what}")


# the C example's table, line by line; its products may be bf16's, where it shows in the sixth digit which rows are packed together
rows = [json.loads(line) for line in open(os.path.join(folder, "logps.jsonl"))]
table = open(os.path.join(folder, "goals.out")).read().splitlines()[1:5]
assert len(rows) == len(table) == 4
for row, line in zip(rows, table):
    words = line.split()
    near(float(words[2]), row["logps_chosen"], 2e-5)
    near(float(words[5]), row["logps_rejected"], 2e-5)
    assert (words[3], words[6]) == (f"({row['tokens_chosen']}", f"({row['tokens_rejected']}")

# relabelling: text to text is file to file
source = os.path.join(root, "examples", "preferences.jsonl")
text = open(source).read()
for options in ([], ["--mode", "random-order", "--seed", "7"], ["--mode", "shuffled", "--placement", "user"], ["--rule", "all", "--ties", "keep"],
                ["--score-from", "0,10", "--quantize", "0.5"], ["--mode", "sft", "--goal-dropout", "0.25"]):
    named = {k[2:].replace("-", "_"): v for k, v in zip(options[::2], options[1::2])}
    if "score_from" in named:
        named["from_low"], named["from_high"] = (float(x) for x in named.pop("score_from").split(","))
    for key in ("quantize", "goal_dropout"):
        if key in named:
            named[key] = float(named[key])
    if "seed" in named:
        named["seed"] = int(named["seed"])
    out = os.path.join(folder, "augmented.jsonl")
    counts = json.loads(command("augment", "--input", source, "--output", out, "--json", *options))
    mine, mine_counts = augment(text, **named)
    assert mine == open(out).read() and mine, options
    assert mine_counts == counts, options
refused("rows", augment, '{"prompt": "a", "chosen": 1}\n')
refused("on_disagree", augment, text, mode="sft", on_disagree="keep")
refused("mode expects", augment, text, mode="other")

with Model(model_path, adapter=adapter_path, dtype="f32") as m:
    # ids
    for sample in ("The yen (¥).", "<|im_start|>user\n", "", "a b  c"):
        ids = m.tokenize(sample)
        said = [int(word) for word in command("tokenize", "--model", model_path, "--text", sample).split()]
        assert ids == said, (sample, ids, said)
        assert m.detokenize(ids, skip_special=False) == sample
    # rows as they stand in a file: messages, and the goal given by itself
    train = os.path.join(folder, "train.jsonl")
    style = json.load(open(os.path.join(adapter_path, "goal.json")))
    command("augment", "--input", source, "--output", train, "--limit", "4", "--placement", style["placement"], "--goal-template", style["text"], "--score-range", "1,5")
    logps = [json.loads(line) for line in command("logps", "--model", model_path, "--adapter", adapter_path, "--dtype", "f32", "--input", train, "--token-logps", "--tokens").splitlines()]
    assert len(logps) == 8
    questions = {json.loads(line)["instruction"] for line in text.splitlines()}
    for row in logps:
        answers = [row["chosen"][0]["content"], row["rejected"][0]["content"]]
        found = m.logps(row["prompt"], answers)
        for (total, ids, each), side in zip(found, ("chosen", "rejected")):
            near(total, row["logps_" + side])
            assert ids == row[side + "_ids"]
            for a, b in zip(each, row["token_logps_" + side], strict=True):
                near(a, b)
        question = row["prompt"][-1]["content"]
        assert question in questions
        assert m.render(question, goal=row["goal"]) == m.render(row["prompt"])
        assert m.logps(question, answers, goal=row["goal"]) == found

    # sampling: rapt generate --input, whatever the batch
    prompts = ["Why is the sky blue?", "Name a colour.", "Why is the sky red?"]
    with open(os.path.join(folder, "prompts.jsonl"), "w") as f:
        f.writelines(json.dumps({"prompt": p}) + "\n" for p in prompts)
    said = [json.loads(line) for line in command("generate", "--dtype", "f32", "--model", model_path, "--adapter", adapter_path, "--input", os.path.join(folder, "prompts.jsonl"), "--goal", "8",
                                                 "--n", "3", "--max-new-tokens", "24", "--top-p", "0.9", "--seed", "5", "--output", "-").splitlines()]
    pieces = {}

    def piece(prompt, sample, text):
        pieces[prompt, sample] = pieces.get((prompt, sample), "") + text

    texts = m.generate(prompts, goal=8, samples=3, max_new_tokens=24, top_p=0.9, seed=5, on_piece=piece)
    assert [t for each in texts for t in each] == [row["text"] for row in said]
    assert {(row["row"], row["sample"]): row["text"] for row in said if row["text"]} == {k: v for k, v in pieces.items() if v}
    # again, with what the caches hold; and ended by the callback
    assert texts == m.generate(prompts, goal=8, samples=3, max_new_tokens=24, top_p=0.9, seed=5)
    seen = []
    cut = m.generate(prompts[0], goal=8, max_new_tokens=24, top_p=0.9, seed=5, on_piece=lambda prompt, sample, text: seen.append(text) or len(seen) == 3)
    assert cut == "".join(seen) and texts[0][0].startswith(cut) and len(seen) == 3

    # what cannot be
    refused("either text or messages", rapt_ctypes._check, rapt_ctypes.lib.rapt_logps(m.handle, None, rapt_ctypes.c.byref(rapt_ctypes.Prompt()), None, rapt_ctypes.c.c_size_t(0)))
    refused("content", m.render, [{"role": "user"}])
    refused("messages: expected an array", m.render, {"role": "user"})
    refused("nothing to respond to", m.generate, "")
    refused("no room", m.generate, "word " * 4000)
    refused("samples 2", m.generate, prompts[0], samples=2, temperature=0.0)
    refused("temperature", m.generate, prompts[0], temperature=-1.0)
    refused("vocabulary", m.detokenize, [10**6])
    refused("no best goal", lambda: rapt_ctypes._check(rapt_ctypes.lib.rapt_model_best_goal(rapt_ctypes.c.byref(rapt_ctypes.c.c_double()), m.handle)))
    inside = []
    m.generate(prompts[0], goal=8, max_new_tokens=2, on_piece=lambda prompt, sample, text: inside.append(rapt_ctypes.lib.rapt_model_best_goal(None, m.handle)))
    assert set(inside) == {5}, inside

    # another model at the same time, from another thread
    with Model(os.path.join(golden, "llama_tiny"), threads=1) as other:
        alone = other.generate("the cat", temperature=0, max_new_tokens=16), m.generate(prompts[1], goal=2, temperature=0, max_new_tokens=16)
        together = [None, None]

        def work(i, which, prompt, goal):
            together[i] = [which.generate(prompt, goal=goal, temperature=0, max_new_tokens=16) for _ in range(8)]

        threads = [threading.Thread(target=work, args=a) for a in ((0, other, "the cat", None), (1, m, prompts[1], 2))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert together == [[alone[0]] * 8, [alone[1]] * 8]

refused("cannot open", Model, os.path.join(folder, "nowhere"))
refused("dtype", Model, model_path, dtype="f8")
refused("reward model", Model, os.path.join(golden, "reward_tiny"))

# a reward model
with Scorer(os.path.join(golden, "reward_tiny")) as s:
    responses = ["the cat sat on the mat", "go", "the dog"]
    row = {"prompt": "the cat", "responses": [{"text": r} for r in responses]}
    with open(os.path.join(folder, "responses.jsonl"), "w") as f:
        f.write(json.dumps(row) + "\n")
    said = json.loads(command("score", "--input", os.path.join(folder, "responses.jsonl"), "--output", "-", "--source", "reward-model", "--model", os.path.join(golden, "reward_tiny"), "--scale", "raw", "--quantize", "0"))
    for mine, theirs in zip(s.score("the cat", responses), said["responses"], strict=True):
        near(mine, theirs["score"])
print("the library agrees with the commands")
