/* rapt export: a model, with the adapter merged in, in another form. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "model/export_io.h"
#include "model/peft_io.h"
#include "text/tokenizer.h"

struct options {
    const char *model, *adapter, *output, *format, *dtype;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter to merge in: W + alpha / r B A, in fp32"},
    {"format", OPT_CHOICE, FIELD(format), NULL, "hf", "hf",
     "hf: config.json, model.safetensors and the tokenizer's files, as transformers loads them"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "f32", "f32|f16|bf16", "storage of the weights"},
    {"output", OPT_STR, FIELD(output), "P", NULL, NULL, "the folder to write"},
};

const struct opt_spec cmd_export_spec = {
    .command = "export",
    .summary = "Write a merged model as a Hugging Face folder.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt export --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter runs/ra --format hf --dtype bf16 --output exported/ra",
};

static enum dtype storage(const char *name) {
    return strcmp(name, "f32") == 0 ? DTYPE_F32 : strcmp(name, "f16") == 0 ? DTYPE_F16 : DTYPE_BF16;
}

/* The goal block travels with the weights that were trained under it. */
static status copy_goal(const struct options *o) {
    const char *from = o->adapter ? o->adapter : o->model;
    char *path = file_join(from, "goal.json"), *to = file_join(o->output, "goal.json");
    status s = file_copy_if_there(to, path);
    free(path);
    free(to);
    return s;
}

static status export_model(const struct options *o) {
    struct model m;
    struct tokenizer *t = NULL;
    TRY(adapter_open_model(&m, o->model, o->adapter, MATMUL_REFERENCE, MODEL_INFER));
    status s = file_make_dirs(o->output);
    if (s == ST_OK) s = export_hf(&m, o->adapter ? m.params.value : NULL, o->output, storage(o->dtype));
    model_release(&m);
    TRY(s);
    s = tokenizer_open(&t, o->model);
    if (s == ST_OK)
        s = tokenizer_save(t, o->output);
    else
        log_warn("no tokenizer written: %s", status_message());
    tokenizer_free(t);
    if (!t) s = ST_OK; /* the weights are there, and the warning says what is not */
    TRY(s);
    return copy_goal(o);
}

status cmd_export_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_export_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.output) return FAIL(ST_USAGE, "--model and --output are needed");
    if (file_is_dir(o.model) && strcmp(o.model, o.output) == 0) return FAIL(ST_USAGE, "--output is the model itself");
    TRY(export_model(&o));
    log_info("%s: written", o.output);
    return ST_OK;
}
