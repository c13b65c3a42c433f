"""What the scripts of this folder share: where results go, and arithmetic that gives the same bits every time.

Versions: transformers 5.23.0, TRL 1.16.0, peft 0.21.2, torch 2.13.0 (CPU), gguf 0.19.0, jinja2 3.1.6, tokenizers 0.23.3."""
import json
import os
import pathlib
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch

def out(name):
    """OUTPUT_FOLDER/name, made."""
    folder = pathlib.Path(sys.argv[1]) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fixed(seed=20241008):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)


def spread_norms(model):
    """Norm weights away from 1 and biases away from 0, so that a forgotten one shows."""
    for name, p in model.named_parameters():
        if name.endswith("norm.weight"):
            p.data.copy_(1 + 0.3 * torch.randn_like(p))
        elif p.dim() == 2:
            p.data.copy_(torch.randn_like(p) * (0.8 if "embed" in name else 1.5 / p.shape[1] ** 0.5))
        elif name.endswith(".bias"):
            p.data.copy_(torch.randn_like(p) * 0.4)
    return model


def save_adapter(model, folder, base):
    """What peft saves, the same on every machine: the base by a relative path, target modules in order (peft keeps a set)."""
    model.save_pretrained(folder)
    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text())
    saved["target_modules"] = sorted(saved["target_modules"])
    saved["base_model_name_or_path"] = base
    path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
    (folder / "README.md").unlink(missing_ok=True)


def next_logps(logits, ids):
    """logits [1,T,V], ids [1,T] -> log-prob of ids[1:] given what came before [T-1]"""
    return logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]


def chat_model(folder, template, **tokens):
    """A byte-level tokenizer with ChatML's tokens (259 ids) and this chat template, and a tiny random Llama, as a Hugging Face folder."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    fixed()
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    t = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True) for x in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=template,
                            **tokens).save_pretrained(folder)
    config = LlamaConfig(vocab_size=259, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                         max_position_embeddings=1024, eos_token_id=258, pad_token_id=256)
    spread_norms(LlamaForCausalLM(config)).save_pretrained(folder)
