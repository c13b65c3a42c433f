/* Axolotl 0.19: rows as TRL takes them, which it hands to TRL's DPOTrainer untouched where no dataset type is named
 * (axolotl/utils/data/rl.py, _load_split). Its type chat_template.default would render them to text, lose blanks at the ends of responses
 * and let TRL put a second beginning-of-text token in front. Completions go through its chat_template type, with a mark on each message
 * that is trained. */
#include "export/handover.h"

static void put_dataset(struct buf *out, const struct handover *h, const char *key, int set) {
    buf_printf(out, "%s:\n  - path: %s\n    ds_type: json\n    split: train\n", key, h->form->files[set]);
    if (h->sft)
        buf_append_text(out,
                        "    type: chat_template\n    field_messages: messages\n    message_field_training: train\n    roles_to_train: []\n"
                        "    train_on_eos: turn\n");
}

static status put_config(const struct handover *h) {
    const struct handover_settings *o = &h->set;
    struct buf b = {0};
    handover_yaml_text(&b, "base_model", h->model);
    put_dataset(&b, h, "datasets", 0);
    if (h->has_eval) put_dataset(&b, h, "test_datasets", 1);
    if (h->sft) {
        buf_append_text(&b, "chat_template: tokenizer_default\n");
    } else {
        buf_append_text(
            &b, "skip_prepare_dataset: true # TRL renders the messages\nremove_unused_columns: false\nrl: dpo\ndpo_loss_type: [sigmoid]\n");
        handover_yaml_number(&b, "rl_beta", o->beta);
    }
    buf_append_text(&b, "dataset_prepared_path: prepared\n");
    handover_yaml_int(&b, "sequence_len", o->max_length);
    buf_append_text(&b, "optimizer: adamw_torch\nweight_decay: 0.0\n");
    handover_yaml_number(&b, "learning_rate", o->rate);
    handover_yaml_text(&b, "lr_scheduler", o->scheduler);
    handover_yaml_number(&b, "warmup_ratio", o->warmup);
    handover_yaml_number(&b, "num_epochs", o->epochs);
    handover_yaml_int(&b, "micro_batch_size", o->device_rows);
    handover_yaml_int(&b, "gradient_accumulation_steps", o->accumulation);
    handover_yaml_int(&b, "seed", HANDOVER_SEED);
    buf_append_text(&b, "bf16: true\ngradient_checkpointing: true\ndeepspeed: zero3.json\nlogging_steps: 10\nsaves_per_epoch: 1\n");
    if (h->has_eval) handover_yaml_int(&b, "eval_steps", HANDOVER_EVAL_STEPS);
    handover_yaml_text(&b, "output_dir", HANDOVER_OUTPUT);
    status s = handover_file(h, h->sft ? "sft.yaml" : "dpo.yaml", &b);
    buf_release(&b);
    return s;
}

static status write_files(const struct handover *h) {
    struct buf command = {0};
    TRY(put_config(h));
    TRY(handover_zero3(h, "zero3.json"));
    buf_printf(&command, "axolotl train %s --launcher accelerate -- --num_processes=%lld", h->sft ? "sft.yaml" : "dpo.yaml",
               (long long)h->set.gpus);
    status s = handover_script(h, buf_text(&command));
    buf_release(&command);
    return s;
}

static void put_notes(struct buf *out, const struct handover *h) {
    if (!h->sft)
        buf_append_text(
            out, "- No dataset type is named and `skip_prepare_dataset` is set, so that the messages go to TRL as they are. Under "
                 "`chat_template.default` responses would lose blanks at their ends, and where the tokenizer adds a "
                 "beginning-of-text token there would be two.\n"
                 "- A row whose prompt alone reaches `sequence_len` is dropped by itself; `rapt train` drops the pair's other row too.\n");
    else
        buf_append_text(out, "- Rows longer than `sequence_len` are dropped.\n");
    if (h->strings)
        buf_append_text(out,
                        "- The data's strings became a user's and an assistant's turn; `rapt train` trains strings without a template.\n");
}

static const struct handover_form form = {
    .title = "Axolotl 0.19",
    .install = "pip install 'axolotl[deepspeed]>=0.19'",
    .files = {"train.jsonl", "eval.jsonl"},
    .pair_prompt = "prompt",
    .sft_prompt = "messages",
    .sft_joined = true,
    .sft_marks = true,
    .write = write_files,
    .notes = put_notes,
};

status handover_axolotl_run(const struct export_request *r) { return handover_run(r, &form); }
