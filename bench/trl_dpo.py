"""TRL's DPOTrainer on rows of rapt augment: trl_dpo.py MODEL ROWS SETTING OUT.json BATCH MAX_LENGTH [FULL]. SETTING: fp32, autocast or bf16, with
:sdpa or :eager attention and the rows of a micro-batch behind it where wanted. Times are of steps: loading and tokenising are not in them."""
import json
import resource
import sys
import time

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer


class Clock(TrainerCallback):
    def on_train_begin(self, *args, **kwargs):
        self.start, self.ends = time.perf_counter(), []

    def on_step_end(self, *args, **kwargs):
        self.ends.append(time.perf_counter() - self.start)


def main(model_path, rows_path, setting, out_path, batch, max_length, full=""):
    dtype, attention, micro = (setting.split(":") + ["", ""])[:3]
    batch, micro = int(batch), int(micro or batch)
    assert dtype in ("fp32", "autocast", "bf16") and batch % micro == 0, setting
    rows = [{k: json.loads(line)[k] for k in ("prompt", "chosen", "rejected")} for line in open(rows_path)]
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.bfloat16 if dtype == "bf16" else torch.float32, attn_implementation=attention or None)
    args = DPOConfig(output_dir="/tmp/rapt-bench-trl", max_length=int(max_length), per_device_train_batch_size=micro, gradient_accumulation_steps=batch // micro,
                     num_train_epochs=1, learning_rate=1e-5, logging_steps=1, beta=0.1, bf16=dtype == "autocast", gradient_checkpointing=False, report_to=[],
                     save_strategy="no", use_cpu=True, seed=42)
    clock = Clock()
    lora = None if full else LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DPOTrainer(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=AutoTokenizer.from_pretrained(model_path),
                         peft_config=lora, callbacks=[clock])
    trainer._get_train_sampler = lambda *a: torch.utils.data.SequentialSampler(trainer.train_dataset)
    trainer.train()
    log = [x for x in trainer.state.log_history if "loss" in x][0]
    json.dump({"ends": clock.ends, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "loss": log["loss"], "grad_norm": log["grad_norm"]}, open(out_path, "w"))


if __name__ == "__main__":
    main(*sys.argv[1:])
