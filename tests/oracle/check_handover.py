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


LINE_BREAK = 198  # of the byte-level tokenizer


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
    """Ids with -100 in the labels of the prompt, and of an end that is not trained -> prompt, response."""
    while labels[-1] == -100:
        ids, labels = ids[:-1], labels[:-1]
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


def axolotl(sft):
    import yaml
    from axolotl.utils.config import normalize_config, validate_config
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer
    raw = yaml.safe_load(pathlib.Path("sft.yaml" if sft else "dpo.yaml").read_text())
    assert pathlib.Path(raw.pop("deepspeed")).exists()
    assert raw.pop("bf16") is True
    cfg = validate_config(DictDefault({**raw, "bf16": False}), capabilities={"bf16": False, "n_gpu": 0, "compute_capability": "sm_80", "fp8": False,
                                                                              "tf32": False}, env_capabilities={"torch_version": "2.11.0"})
    normalize_config(cfg)
    tokenizer = AutoTokenizer.from_pretrained(raw["base_model"])
    if sft:
        from axolotl.utils.data.sft import prepare_datasets
        train = prepare_datasets(cfg, tokenizer)[0]
        return {"chosen": [split(r["input_ids"], r["labels"]) for r in train]}
    from axolotl.utils.data.rl import prepare_preference_datasets
    from trl import DPOConfig, DPOTrainer
    train, test = prepare_preference_datasets(cfg, tokenizer)
    assert len(test) == len(train) and cfg.rl_beta == 0.01 and cfg.learning_rate == 5e-7
    args = DPOConfig(output_dir="trained", beta=cfg.rl_beta, loss_type=cfg.dpo_loss_type, max_length=cfg.sequence_len, remove_unused_columns=False, use_cpu=True,
                     bf16=False, max_steps=1, per_device_train_batch_size=2, report_to="none", save_strategy="no")
    trainer = DPOTrainer(model=raw["base_model"], args=args, train_dataset=train, processing_class=tokenizer)
    trainer.train()  # the other columns are in nobody's way
    return {side: [[r["prompt_ids"], r[f"{side}_ids"]] for r in trainer.train_dataset] for side in ("chosen", "rejected")}


def openrlhf_arguments(module):
    """What the script's own parser, cut out of its __main__ (the rest needs DeepSpeed), makes of run.sh."""
    import argparse
    import importlib.util
    import shlex
    from datetime import datetime
    from openrlhf.utils.config import hierarchize
    text = pathlib.Path("run.sh").read_text()
    words = shlex.split(text[text.index("deepspeed --num_gpus"):].split("cp goal.json")[0].replace("\\\n", " "))
    assert words[:5] == ["deepspeed", "--num_gpus", "8", "--module", f"openrlhf.cli.{module}"], words[:5]
    root = pathlib.Path(importlib.util.find_spec("openrlhf").origin).parent
    main = (root / "cli" / f"{module}.py").read_text().split('if __name__ == "__main__":\n')[1]
    names = {"argparse": argparse, "datetime": datetime}
    exec("import sys\nif True:\n" + main.split("    args = parser.parse_args()")[0], names)
    return hierarchize(names["parser"].parse_args(words[5:]))


def openrlhf(sft):
    from types import SimpleNamespace
    from openrlhf.datasets.utils import blending_datasets
    from transformers import AutoTokenizer
    args = openrlhf_arguments("train_sft" if sft else "train_dpo")
    assert (args.train.batch_size, args.train.micro_batch_size, args.ds.zero_stage) == (128, 4, 3)
    strategy = SimpleNamespace(args=args, print=lambda *_: None, is_rank_0=lambda: False)
    tokenizer = AutoTokenizer.from_pretrained(args.model.model_name_or_path, padding_side="right")
    rows = blending_datasets(args.data.dataset, args.data.dataset_probs, strategy, args.train.seed, dataset_split=args.data.dataset_split)
    assert len(blending_datasets(args.eval.dataset, None, strategy, dataset_split=args.eval.split)) == len(rows)
    if sft:
        from openrlhf.datasets.sft_dataset import SFTDataset
        data = SFTDataset(rows, tokenizer, args.data.max_len, strategy, input_template=args.data.input_template)
        return {"chosen": [[(ids := data[i][0][0].tolist())[:data.prompt_ids_lens[i]], ids[data.prompt_ids_lens[i]:]] for i in range(len(data))]}
    from openrlhf.datasets.reward_dataset import RewardDataset
    assert (args.model.beta, args.adam.lr, args.lr_scheduler, args.lr_warmup_ratio, args.adam.betas[1]) == (0.01, 5e-7, "cosine", 0.1, 0.999)
    data = RewardDataset(rows, tokenizer, args.data.max_len, strategy, input_template=args.data.input_template, is_dpo=True)
    got = {"chosen": [], "rejected": []}
    for chosen, _, rejected, _, cut in data:
        for side, ids in (("chosen", chosen[0].tolist()), ("rejected", rejected[0].tolist())):
            got[side].append([ids[:cut], ids[cut:]])
    return got


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


OTHERS = {"llama-factory": ("RAPT_LLAMA_FACTORY", llama_factory), "axolotl": ("RAPT_AXOLOTL", axolotl), "openrlhf": ("RAPT_OPENRLHF", openrlhf)}
# OpenRLHF takes line breaks off a response's end, Axolotl's chat_template type trains a turn up to its end token: ChatML's last line break is missing.
SHORTER = {("openrlhf", "pairs"), ("openrlhf", "completions"), ("axolotl", "completions")}


def compare(what, got, want):
    """Row by row; in any order, since Axolotl shuffles when it loads."""
    assert got.keys() == want.keys(), what
    rows = [sorted(zip(*ids.values())) for ids in (got, want)]
    assert len(rows[0]) == len(rows[1]) > 0, f"{what}: {len(rows[0])} rows, {len(rows[1])} expected"
    for a, b in zip(*rows):
        assert list(a) == list(b), f"{what}: ids differ:\n{a}\n{b}"


def without_line_break(ids):
    return {side: [[prompt, response[:-1] if response[-1] == LINE_BREAK else response] for prompt, response in rows] for side, rows in ids.items()}


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
            full = expected(model, data)
            for name in ("trl", *OTHERS):
                folder = top / f"{name}-{kind}"
                rapt("export", "--format", name, "--model", model, "--data", data, "--eval-data", data, "--output", folder)
                got = trl_ids(folder, model, kind != "pairs") if name == "trl" else others_ids(name, folder, kind != "pairs")
                if got is None:
                    print(f"{name} skipped: {OTHERS[name][0]} is not set")
                    continue
                want = without_line_break(full) if (name, kind) in SHORTER else full
                compare(f"{name}, {kind}", got, want)
                print(f"{name}, {kind}: {len(want['chosen'])} rows, the same ids{', but for the last line break' if want != full else ''}")
        check_launchers(top / "trl-pairs")
        out = top / "trl-pairs" / "out"
        (out / "goal.json").write_bytes((top / "trl-pairs" / "goal.json").read_bytes())  # as run.sh does
        rapt("generate", "--model", out, "--goal", 10, "--prompt", "Hi", "--max-new-tokens", 4)
        print("trl: what it trained answers under a goal")


if __name__ == "__main__":  # the loaders' own processes import this file
    if sys.argv[1] == "--loader":
        pathlib.Path("loaded.json").write_text(json.dumps(OTHERS[sys.argv[2]][1](sys.argv[3] == "sft")))
    else:
        RAPT = sys.argv[1]
        main()
