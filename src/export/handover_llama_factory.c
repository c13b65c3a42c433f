/* LLaMA-Factory 0.9.5: rows in its sharegpt form with role and content as tags (llamafactory/data/converter.py, parser.py), a YAML of its
 * arguments (the folder hparams), DeepSpeed's ZeRO-3. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "export/handover.h"

/* Its own templates by what a model's name holds (extras/constants.py registers models so); the first that fits. */
static const struct {
    const char *part, *template;
} templates[] = {{"qwen3", "qwen3_nothink"}, {"qwen2", "qwen"},      {"llama-3", "llama3"}, {"llama3", "llama3"},
                 {"llama-2", "llama2"},      {"gemma-2", "gemma2"},  {"gemma-3", "gemma3"}, {"mistral", "mistral"},
                 {"zephyr", "zephyr"},       {"smollm2", "smollm2"}, {"phi-3", "phi"},      {"phi-4-mini", "phi4_mini"}};

static const char *template_of(const char *model) {
    const char *slash = strrchr(model, '/'), *name = slash ? slash + 1 : model;
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++)
        for (const char *at = name; *at; at++)
            if (strncasecmp(at, templates[i].part, strlen(templates[i].part)) == 0) return templates[i].template;
    return NULL;
}

static status put_info(const struct handover *h) {
    struct buf b = {0};
    buf_append_char(&b, '{');
    for (int set = 0; set < (h->has_eval ? 2 : 1); set++) {
        buf_printf(&b, "%s\n  \"rapt_%s\": {\n    \"file_name\": \"%s\",\n    \"formatting\": \"sharegpt\",\n", set ? "," : "",
                   set ? "eval" : "train", h->form->files[set]);
        if (!h->sft) buf_append_text(&b, "    \"ranking\": true,\n");
        buf_append_text(&b, "    \"columns\": {\"messages\": \"conversations\"");
        if (!h->sft) buf_append_text(&b, ", \"chosen\": \"chosen\", \"rejected\": \"rejected\"");
        buf_append_text(&b, "},\n    \"tags\": {\"role_tag\": \"role\", \"content_tag\": \"content\", \"user_tag\": \"user\", "
                            "\"assistant_tag\": \"assistant\", \"system_tag\": \"system\"}\n  }");
    }
    buf_append_text(&b, "\n}\n");
    status s = handover_file(h, "dataset_info.json", &b);
    buf_release(&b);
    return s;
}

static status put_config(const struct handover *h) {
    const struct handover_settings *o = &h->set;
    const char *template = template_of(h->model);
    struct buf b = {0};
    handover_yaml_text(&b, "model_name_or_path", h->model);
    buf_printf(&b, "stage: %s\ndo_train: true\nfinetuning_type: full\ndeepspeed: zero3.json\n", h->sft ? "sft" : "dpo");
    if (!h->sft) {
        buf_append_text(&b, "pref_loss: sigmoid\n");
        handover_yaml_number(&b, "pref_beta", o->beta);
        if (o->label_smoothing > 0) handover_yaml_number(&b, "dpo_label_smoothing", o->label_smoothing);
    }
    buf_append_text(&b, "dataset_dir: .\ndataset: rapt_train\n");
    if (h->has_eval) buf_append_text(&b, "eval_dataset: rapt_eval\n");
    if (template) handover_yaml_text(&b, "template", template);
    if (h->sft) buf_append_text(&b, "mask_history: true # the last turn is trained\n");
    handover_yaml_int(&b, "cutoff_len", o->max_length);
    handover_yaml_number(&b, "warmup_ratio", o->warmup);
    handover_yaml_trainer(&b, h);
    status s = handover_file(h, h->sft ? "sft.yaml" : "dpo.yaml", &b);
    buf_release(&b);
    return s;
}

static status write_files(const struct handover *h) {
    TRY(put_info(h));
    TRY(put_config(h));
    TRY(handover_zero3(h, "zero3.json"));
    struct buf command = {0};
    buf_printf(&command, "FORCE_TORCHRUN=1 NPROC_PER_NODE=%lld llamafactory-cli train %s", (long long)h->set.gpus,
               h->sft ? "sft.yaml" : "dpo.yaml");
    status s = handover_script(h, buf_text(&command));
    buf_release(&command);
    return s;
}

static void put_notes(struct buf *out, const struct handover *h) {
    const char *template = template_of(h->model);
    if (template)
        buf_printf(out,
                   "- Conversations are written by LLaMA-Factory's own template `%s`, not by the tokenizer's; compare a row of both "
                   "(`rapt template`) for a model that is not one of the family's own. "
                   "Where a row has no system message, some of these templates put in one of their own.\n",
                   template);
    else
        buf_append_text(
            out,
            "- No template of LLaMA-Factory is known for this model: none is named, and it takes apart the tokenizer's chat template.\n");
    buf_append_text(
        out, "- Where prompt and response together pass `cutoff_len`, it shortens both in proportion, the prompt at its end; `rapt train` "
             "never cuts a prompt.");
    if (h->has_style && h->style.placement == GOAL_AFTER)
        buf_append_text(out, " **The goal stands at the prompt's end here and can be cut off: keep rows below `cutoff_len`.**");
    buf_append_text(out, "\n");
    if (h->strings)
        buf_append_text(out,
                        "- The data's strings became a user's and an assistant's turn; `rapt train` trains strings without a template.\n");
}

static const struct handover_form form = {
    .title = "LLaMA-Factory 0.9.5",
    .install = "pip install 'llamafactory>=0.9.5' deepspeed",
    .files = {"train.jsonl", "eval.jsonl"},
    .pair_prompt = "conversations",
    .sft_prompt = "conversations",
    .sft_joined = true,
    .one_turn = true,
    .turns_alternate = true,
    .plain_messages = true,
    .smooths = true,
    .write = write_files,
    .notes = put_notes,
};

status handover_llama_factory_run(const struct export_request *r) { return handover_run(r, &form); }
