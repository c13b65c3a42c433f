/* export: the table of forms that rapt export writes: a model for other programs, or a data set and a configuration for other trainers. */
#ifndef RAPT_EXPORT_EXPORT_H
#define RAPT_EXPORT_EXPORT_H

#include "base/buf.h"

/* What was asked for. Options that a form does not take are NULL. */
struct export_request {
    const char *model;   /* a Hugging Face folder or a .gguf file */
    const char *adapter; /* a PEFT adapter's folder */
    const char *output;
    const char *dtype;                  /* one of the form's own */
    const char *chat_template;          /* chatml, alpaca, a model, or a file */
    const char *bake_goal, *goal_style; /* the goal that the written chat template asks for; how it asks */
    const char *data, *eval_data;       /* JSONL rows, for other trainers */
    const char *preset;                 /* one of HANDOVER_PRESET_LIST (export/handover.h) */
    int64_t gpus;
};

/* A form is a function here and one row: X(function, name, what it writes, what --dtype may be or NULL where it takes none, the options
 * that must be given, those that may be, an example). Options are names of `rapt export`, separated by commas; any other that is given is
 * refused.
 */
#define EXPORT_BAKES "chat-template,bake-goal,goal-style"
#define HANDOVER_TAKES "model,eval-data,preset,gpus"
/* One row a form, so that branches merge */
/* clang-format off */
#define EXPORT_FORMAT_LIST(X) \
    X(export_hf_run, "hf", "config.json, model.safetensors and the tokenizer's files in a folder, as transformers loads them", \
      "f32|f16|bf16", "model,output", "adapter," EXPORT_BAKES, \
      "rapt export --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter runs/ra --format hf --dtype bf16 --output exported/ra") \
    X(export_gguf_run, "gguf", "one file, as llama.cpp loads it", "f32|f16|bf16|q8_0|q6_k|q4_k|q4_0", \
      "model,output", "adapter," EXPORT_BAKES, \
      "rapt export --model models/SmolLM2-135M-Instruct --adapter runs/ra --format gguf --dtype q4_k --output ra.q4_k.gguf") \
    X(export_gguf_lora_run, "gguf-lora", "the adapter alone, as llama.cpp loads it beside a GGUF of the base", "f32|f16|bf16", \
      "model,adapter,output", NULL, \
      "rapt export --model models/SmolLM2-135M-Instruct --adapter runs/ra --format gguf-lora --output ra.lora.gguf") \
    X(handover_trl_run, "trl", "rows, configuration and command for TRL, which trains on many GPUs", NULL, "data,output", HANDOVER_TAKES, \
      "rapt export --format trl --preset qwen2-7b --data train.jsonl --eval-data test.jsonl --output handover") \
    X(handover_llama_factory_run, "llama-factory", "the same for LLaMA-Factory", NULL, "data,output", HANDOVER_TAKES, \
      "rapt export --format llama-factory --model Qwen/Qwen2.5-1.5B-Instruct --data train.jsonl --output handover") \
    X(handover_axolotl_run, "axolotl", "the same for Axolotl", NULL, "data,output", HANDOVER_TAKES, \
      "rapt export --format axolotl --preset gemma-2-9b --gpus 4 --data train.jsonl --output handover") \
    X(handover_openrlhf_run, "openrlhf", "the same for OpenRLHF", NULL, "data,output", HANDOVER_TAKES, \
      "rapt export --format openrlhf --preset qwen2-7b --data train.jsonl --output handover")
/* clang-format on */

struct export_format {
    status (*run)(const struct export_request *r);
    const char *name, *help, *dtypes, *needs, *takes, *example;
};
extern const struct export_format export_table[];
extern const size_t export_count;

#define EXPORT_DECLARE(function, ...) status function(const struct export_request *r);
EXPORT_FORMAT_LIST(EXPORT_DECLARE)
#undef EXPORT_DECLARE

/* Appends the chat template that is written in place of the model's own: the request's, with the request's goal in it (text/goal.h,
 * goal_bake); nothing where it asks for neither. Checked: a conversation under a goal reads as one that rapt generate asks. ST_UNSUPPORTED
 * where the model has no chat template, or one that does not go along. */
status export_bake(struct buf *out, const struct export_request *r);
/* Appends a chat template for the tokenizer (export_template.c). from: a name (chatml, alpaca), a model whose template it is, or a file. */
struct tokenizer;
status export_chat_template(struct buf *out, const char *from, const struct tokenizer *t);

/* Beside a GGUF that was written with a goal baked in: OUTPUT.Modelfile, whose Go template asks for the same goal, for Ollama
 * (export_ollama.c). A chat template that no such template can repeat is warned about. baked: of export_bake; nothing where it is empty. */
status export_modelfile(const struct export_request *r, const struct buf *baked);

/* NULL where there is none of that name. */
const struct export_format *export_find(const char *name);
/* Is `name` one of the `separator`-separated words of list (NULL: none)? */
bool export_list_has(const char *list, const char *name, char separator);

#endif
