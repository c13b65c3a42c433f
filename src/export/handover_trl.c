/* TRL 1.16: rows as they are, `trl dpo` or `trl sft` with a YAML of its arguments (trl/scripts/dpo.py, TrlParser), started by accelerate
 * under DeepSpeed's ZeRO-3 or FSDP (the configurations that lie in trl/accelerate_configs, with these GPUs). */
#include "export/handover.h"

static status put_launcher(const struct handover *h, const char *name, const char *engine) {
    struct buf b = {0};
    buf_append_text(&b, "compute_environment: LOCAL_MACHINE\ndebug: false\n");
    buf_append_text(&b, engine);
    handover_yaml_int(&b, "num_processes", h->set.gpus);
    buf_append_text(&b, "num_machines: 1\nmachine_rank: 0\nmain_training_function: main\nmixed_precision: bf16\nrdzv_backend: static\n"
                        "same_network: true\nuse_cpu: false\n");
    status s = handover_file(h, name, &b);
    buf_release(&b);
    return s;
}

static status put_config(const struct handover *h) {
    const struct handover_settings *o = &h->set;
    struct buf b = {0};
    handover_yaml_text(&b, "model_name_or_path", h->model);
    buf_append_text(&b, "dataset_name: ./data # train.jsonl, and test.jsonl where there is one\n");
    if (!h->sft) {
        buf_append_text(&b, "loss_type: [sigmoid]\n");
        handover_yaml_number(&b, "beta", o->beta);
    }
    handover_yaml_number(&b, "warmup_steps", o->warmup); /* below 1: a share, in transformers 5 */
    handover_yaml_int(&b, "max_length", o->max_length);
    buf_append_text(&b, "gradient_checkpointing: true\n");
    handover_yaml_trainer(&b, h);
    status s = handover_file(h, h->sft ? "sft.yaml" : "dpo.yaml", &b);
    buf_release(&b);
    return s;
}

static status write_files(const struct handover *h) {
    TRY(put_config(h));
    TRY(put_launcher(h, "zero3.yaml",
                     "distributed_type: DEEPSPEED\ndeepspeed_config:\n  deepspeed_multinode_launcher: standard\n"
                     "  offload_optimizer_device: none\n  offload_param_device: none\n  zero3_init_flag: true\n"
                     "  zero3_save_16bit_model: true\n  zero_stage: 3\n"));
    TRY(put_launcher(h, "fsdp2.yaml",
                     "distributed_type: FSDP\nfsdp_config:\n  fsdp_version: 2\n  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP\n"
                     "  fsdp_cpu_ram_efficient_loading: true\n  fsdp_offload_params: false\n  fsdp_reshard_after_forward: true\n"
                     "  fsdp_state_dict_type: FULL_STATE_DICT\n"));
    return handover_script(h, h->sft ? "trl sft --config sft.yaml --accelerate_config zero3.yaml"
                                     : "trl dpo --config dpo.yaml --accelerate_config zero3.yaml");
}

static void put_notes(struct buf *out, const struct handover *h) {
    buf_append_text(
        out, "- `zero3.yaml` is DeepSpeed's ZeRO-3, `fsdp2.yaml` the same for FSDP 2: `--accelerate_config fsdp2.yaml` in `run.sh`.\n"
             "- `warmup_steps` below 1 is a share of the steps; that needs transformers 5.\n");
    if (!h->sft)
        buf_append_text(
            out, "- A row whose prompt alone reaches `max_length` is dropped by itself; `rapt train` drops the pair's other row too. "
                 "Responses lose their tail, as in `rapt train`.\n");
    if (h->strings) buf_append_text(out, "- The texts are strings: they are trained without a chat template, as in `rapt train`.\n");
}

static const struct handover_form form = {
    .title = "TRL 1.16",
    .install = "pip install 'trl[deepspeed]>=1.16' 'transformers>=5'",
    .files = {"data/train.jsonl", "data/test.jsonl"},
    .pair_prompt = "prompt",
    .sft_prompt = "prompt",
    .takes_strings = true,
    .takes_tools = true,
    .takes_kwargs = true,
    .write = write_files,
    .notes = put_notes,
};

status handover_trl_run(const struct export_request *r) { return handover_run(r, &form); }
