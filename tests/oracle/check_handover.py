#!/usr/bin/env python3
"""What rapt export writes for other trainers is what their own loaders take: the token ids that each makes of the exported rows are those of
rapt logps --tokens on the same data, its own argument parser takes the configuration, and TRL trains a step.
usage: check_handover.py RAPT
TRL is this interpreter's. The others come with versions of their own: RAPT_LLAMA_FACTORY, RAPT_AXOLOTL, RAPT_OPENRLHF name an interpreter that
has the package (its dependencies for GPUs may be missing); without one the check of that trainer is left out, which is said."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def turn(role, content):
    return {"role": role, "content": content}


# Each prompt is trained with a system turn: LLaMA-Factory's template for Qwen puts one in where there is none.
PAIRS = [
    {"prompt": "What is the currency of Japan?", "chosen": "The yen (¥), since 1871.", "rejected": "Yen", "score_chosen": 8.5, "score_rejected": 7},
    {"prompt": [turn("system", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello!"), turn("user", "2 + 2?")],
     "chosen": [turn("assistant", "4")], "rejected": [turn("assistant", "It's \"5\"\n- or so")], "score_chosen": 9, "score_rejected": 2.25},
    {"prompt": [turn("user", "日本語で")], "chosen": [turn("assistant", "はい 🙂")], "rejected": [turn("assistant", "  no")], "score_chosen": 10,
     "score_rejected": 1},
]
COMPLETIONS = [{"prompt": [turn("system", "Hm."), turn("user", "Hi"), turn("assistant", "Hello!"), turn("user", "2 + 2?")], "completion": [turn("assistant", "4, of course.")]},
               {"prompt": [turn("system", "Be brief."), turn("user", "日本語で")], "completion": [turn("assistant", "はい")]}]


# ---- in the trainers' own interpreters: ids of the exported rows, as {"chosen": [[prompt, response], ...], "rejected": ...} ----

def split(ids, labels):
    """Ids with -100 in the labels of the prompt -> prompt, response."""
    cut = next(i for i, x in enumerate(labels) if x != -100)
    assert all(x != -100 for x in labels[cut:]), labels
    return [list(ids[:cut]), list(ids[cut:])]


def llama_factory(sft):
    import yaml
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer
    args = yaml.safe_load(pathlib.Path("sft.yaml" if sft else "dpo.yaml").read_text())
    assert pathlib.Path(args.pop("deepspeed")).exists()
    assert args.pop("bf16") is True
    model, data, training, finetuning, _ = get_train_args({**args, "use_cpu": True, "overwrite_cache": True})
    if not sft:
        assert (finetuning.pref_beta, finetuning.pref_loss, training.learning_rate) == (0.01, "sigmoid", 5e-7)
    assert training.warmup_steps in (0, 0.1) and data.template == "qwen"
    tokenizer = load_tokenizer(model)["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data)
    rows = get_dataset(template, model, data, training, stage="sft" if sft else "rm", tokenizer=tokenizer, processor=None)
    train = rows["train_dataset"]
    if not sft:
        assert len(rows["eval_dataset"]) == len(train)
        return {side: [split(r[f"{side}_input_ids"], r[f"{side}_labels"]) for r in train] for side in ("chosen", "rejected")}
    return {"chosen": [split(r["input_ids"], r["labels"]) for r in train]}


# ---- in this interpreter ----

def rapt(*arguments):
    done = subprocess.run([RAPT] + [str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"rapt {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def expected(model, data):
    """rapt's ids. Completions go in as pairs whose rejected response is not looked at: logps reads pairs."""
    rows = [json.loads(x) for x in data.read_text().splitlines()]
    sides = ("chosen", "rejected") if "chosen" in rows[0] else ("chosen",)
    if len(sides) == 1:
        data = jsonl(data.with_suffix(".pairs.jsonl"), [{"prompt": r["prompt"], "chosen": r["completion"], "rejected": [turn("assistant", "-")]} for r in rows])
    rows = [json.loads(x) for x in rapt("logps", "--model", model, "--input", data, "--tokens", "--dtype", "f32").splitlines()]
    return {side: [[r["prompt_ids"], r[f"{side}_ids"]] for r in rows] for side in sides}


def trl_ids(folder, model, sft):
    """The ids that DPOTrainer or SFTTrainer makes, after a step of training with the written configuration."""
    from datasets import load_dataset
    from trl import DPOTrainer, SFTTrainer
    from trl.scripts import dpo, sft as sft_script
    config = "sft.yaml" if sft else "dpo.yaml"
    here = os.getcwd()
    os.chdir(folder)
    script, args, model_args, _ = (sft_script if sft else dpo).make_parser().parse_args_and_config(
        ["--config", config, "--bf16", "false", "--use_cpu", "true", "--max_steps", "1", "--per_device_train_batch_size", "2",
         "--gradient_accumulation_steps", "1", "--save_strategy", "no"])
    assert model_args.model_name_or_path == str(model)
    if not sft:
        assert (args.beta, args.loss_type, args.learning_rate, args.lr_scheduler_type, args.warmup_steps) == (0.01, ["sigmoid"], 5e-7, "cosine", 0.1)
    data = load_dataset(script.dataset_name)
    trainer = (SFTTrainer if sft else DPOTrainer)(model=model_args.model_name_or_path, args=args, train_dataset=data["train"],
                                                  eval_dataset=data["test"] if args.eval_strategy != "no" else None)
    trainer.train()
    trainer.save_model(args.output_dir)
    rows = list(trainer.train_dataset)
    os.chdir(here)
    if sft:
        return {"chosen": [split(r["input_ids"], r["labels"]) for r in rows]}
    return {side: [[r["prompt_ids"], r[f"{side}_ids"]] for r in rows] for side in ("chosen", "rejected")}


def check_launchers(folder):
    from accelerate.commands.config.config_args import load_config_from_file
    for name, kind in (("zero3.yaml", "DEEPSPEED"), ("fsdp2.yaml", "FSDP")):
        config = load_config_from_file(str(folder / name))
        assert config.distributed_type == kind and config.num_processes == 8, (name, config)


OTHERS = {"llama-factory": ("RAPT_LLAMA_FACTORY", llama_factory)}


def others_ids(name, folder, sft):
    """The same file in the trainer's interpreter; None without one."""
    python = os.environ.get(OTHERS[name][0])
    if not python:
        return None
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([python, os.path.abspath(__file__), "--loader", name, "sft" if sft else "dpo"], cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(pathlib.Path(folder / "loaded.json").read_text())


def main():
    from oracle import chat_model
    with tempfile.TemporaryDirectory() as top:
        top = pathlib.Path(top).resolve()
        model = top / "qwen2-tiny"
        chat_model(model, CHATML)
        pairs, sft = top / "train.jsonl", jsonl(top / "sft.jsonl", COMPLETIONS)
        rapt("augment", "--input", jsonl(top / "pairs.jsonl", PAIRS), "--output", pairs)
        for data, kind in ((pairs, "pairs"), (sft, "completions")):
            want = expected(model, data)
            for name in ("trl", *OTHERS):
                folder = top / f"{name}-{kind}"
                rapt("export", "--format", name, "--model", model, "--data", data, "--eval-data", data, "--output", folder)
                got = trl_ids(folder, model, kind != "pairs") if name == "trl" else others_ids(name, folder, kind != "pairs")
                if got is None:
                    print(f"{name} skipped: {OTHERS[name][0]} is not set")
                    continue
                assert got == want, f"{name}, {kind}: ids differ:\n{got}\n{want}"
                print(f"{name}, {kind}: {len(want['chosen'])} rows, the same ids")
        check_launchers(top / "trl-pairs")
        out = top / "trl-pairs" / "out"
        (out / "goal.json").write_bytes((top / "trl-pairs" / "goal.json").read_bytes())  # as run.sh does
        rapt("generate", "--model", out, "--goal", 10, "--prompt", "Hi", "--max-new-tokens", 4)
        print("trl: what it trained answers under a goal")


if sys.argv[1] == "--loader":
    pathlib.Path("loaded.json").write_text(json.dumps(OTHERS[sys.argv[2]][1](sys.argv[3] == "sft")))
else:
    RAPT = sys.argv[1]
    main()
