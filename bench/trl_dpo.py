"""TRL's DPOTrainer on rows of rapt augment: trl_dpo.py MODEL ROWS fp32|autocast|bf16 OUT.json. The time excludes loading and tokenising."""
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
        self.start = time.perf_counter()

    def on_train_end(self, *args, **kwargs):
        self.seconds = time.perf_counter() - self.start


def main(model_path, rows_path, setting, out_path):
    rows = [{k: json.loads(line)[k] for k in ("prompt", "chosen", "rejected")} for line in open(rows_path)]
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.bfloat16 if setting == "bf16" else torch.float32)
    args = DPOConfig(output_dir="/tmp/rapt-bench-trl", max_length=512, per_device_train_batch_size=2, num_train_epochs=1, learning_rate=1e-5, logging_steps=1,
                     beta=0.1, bf16=setting == "autocast", gradient_checkpointing=False, report_to=[], save_strategy="no", use_cpu=True, seed=42)
    clock = Clock()
    trainer = DPOTrainer(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=AutoTokenizer.from_pretrained(model_path),
                         peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"), callbacks=[clock])
    trainer._get_train_sampler = lambda *a: torch.utils.data.SequentialSampler(trainer.train_dataset)
    trainer.train()
    log = [x for x in trainer.state.log_history if "loss" in x][0]
    json.dump({"seconds": clock.seconds, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "loss": log["loss"], "grad_norm": log["grad_norm"]}, open(out_path, "w"))


if __name__ == "__main__":
    main(*sys.argv[1:])
