/* OpenRLHF 0.11: rows as TRL takes them, read by openrlhf/datasets/reward_dataset.py and sft_dataset.py under --data.prompt_key and
 * --data.apply_chat_template; its options are on the command line (openrlhf/cli/train_dpo.py, train_sft.py), DeepSpeed is started by it. */
#include "export/handover.h"

static void put_option(struct buf *out, const char *name, const char *value) {
    buf_printf(out, " \\\n  --%s ", name);
    buf_append_shell_word(out, value);
}

static void put_number(struct buf *out, const char *name, double value) {
    buf_printf(out, " \\\n  --%s ", name);
    json_put_double(out, value);
}

static void put_data(struct buf *b, const struct handover *h) {
    put_option(b, "data.dataset", h->form->files[0]);
    if (h->has_eval) {
        put_option(b, "eval.dataset", h->form->files[1]);
        put_option(b, "eval.split", "train"); /* what `datasets` calls the one split of a file */
        put_number(b, "eval.steps", HANDOVER_EVAL_STEPS);
    }
    put_option(b, h->sft ? "data.input_key" : "data.prompt_key", "prompt");
    if (h->sft) {
        put_option(b, "data.output_key", "completion");
    } else {
        put_option(b, "data.chosen_key", "chosen");
        put_option(b, "data.rejected_key", "rejected");
    }
    buf_append_text(b, " \\\n  --data.apply_chat_template");
    put_number(b, "data.max_len", (double)h->set.max_length);
}

static status write_files(const struct handover *h) {
    const struct handover_settings *o = &h->set;
    struct buf b = {0};
    buf_printf(&b, "deepspeed --num_gpus %lld --module openrlhf.cli.%s", (long long)o->gpus, h->sft ? "train_sft" : "train_dpo");
    put_option(&b, "model.model_name_or_path", h->model);
    put_data(&b, h);
    if (!h->sft) {
        put_number(&b, "model.beta", o->beta);
        if (o->label_smoothing > 0) put_number(&b, "model.label_smoothing", o->label_smoothing);
    }
    put_number(&b, "adam.lr", o->rate);
    buf_append_text(&b, " \\\n  --adam.betas 0.9 0.999");
    put_option(&b, "lr_scheduler", o->scheduler);
    put_number(&b, "lr_warmup_ratio", o->warmup);
    put_number(&b, "train.max_epochs", o->epochs);
    put_number(&b, "train.micro_batch_size", (double)o->device_rows);
    put_number(&b, "train.batch_size", (double)(o->device_rows * o->accumulation * o->gpus));
    put_number(&b, "train.seed", HANDOVER_SEED);
    buf_append_text(&b, " \\\n  --ds.zero_stage 3 \\\n  --ds.param_dtype bf16 \\\n  --model.gradient_checkpointing_enable");
    put_option(&b, "ckpt.output_dir", HANDOVER_OUTPUT);
    status s = handover_script(h, buf_text(&b));
    buf_release(&b);
    return s;
}

static void put_notes(struct buf *out, const struct handover *h) {
    buf_append_text(out,
                    "- Line breaks at a response's end are not trained (ChatML's last one), and where the text then does not end with the "
                    "tokenizer's end-of-text token, a blank and that token are put there (Gemma, whose turns end with another).\n"
                    "- A response that is cut ends with the end-of-text token in place of its last one.\n");
    if (!h->sft)
        buf_append_text(
            out, "- A row whose prompt alone reaches two tokens below `data.max_len` is dropped by itself; `rapt train` drops the pair's "
                 "other row too.\n"
                 "- The reference is a second model in memory; `--ref.offload` moves it to the host's.\n");
    buf_append_text(out, "- Adam's betas are set to torch's 0.9 and 0.999; OpenRLHF's own second one is 0.95.\n");
    if (h->strings)
        buf_append_text(out,
                        "- The data's strings became a user's and an assistant's turn; `rapt train` trains strings without a template.\n");
}

static const struct handover_form form = {
    .title = "OpenRLHF 0.11",
    .install = "pip install 'openrlhf>=0.11'",
    .files = {"train.jsonl", "eval.jsonl"},
    .pair_prompt = "prompt",
    .sft_prompt = "prompt",
    .smooths = true,
    .write = write_files,
    .notes = put_notes,
};

status handover_openrlhf_run(const struct export_request *r) { return handover_run(r, &form); }
