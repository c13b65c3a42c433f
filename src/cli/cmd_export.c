/* rapt export: a model, with the adapter merged in, or a data set, in the form of another program. */
#include <string.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "export/handover.h"

struct options {
    struct export_request request;
    const char *format;
};

#define CHOICE(function, name, ...) "|" name
#define FORMAT_HELP(function, name, help, ...) "; " name ": " help
#define FORMAT_EXAMPLE(function, name, help, dtypes, needs, takes, example) "\n" example
static const char choices[] = EXPORT_FORMAT_LIST(CHOICE), format_help[] = EXPORT_FORMAT_LIST(FORMAT_HELP),
                  examples[] = EXPORT_FORMAT_LIST(FORMAT_EXAMPLE);

#define FIELD(name) offsetof(struct options, request.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL,
     "a Hugging Face folder or a .gguf file; for another trainer a folder or a name on the Hugging Face hub"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL,
     "a PEFT adapter: merged in, W + alpha / r B A in fp32, or under gguf-lora written as it is"},
    {"format", OPT_CHOICE, offsetof(struct options, format), NULL, "hf", choices + 1, format_help + 2},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "f32", "f32|f16|bf16|q8_0|q6_k|q4_k|q4_0",
     "storage of the weights, as llama.cpp names it: those with q are for gguf, about 8.5, 6.6, 4.9 and 4.6 bits a weight; q4_k is the "
     "mixture Q4_K_M"},
    {"output", OPT_STR, FIELD(output), "P", NULL, NULL, "the folder or file to write"},
    {"chat-template", OPT_STR, FIELD(chat_template), "T", NULL, NULL,
     "a chat template for a model without one, or in place of its own: chatml (where the tokenizer has its tokens), alpaca (plain text, "
     "for every tokenizer), another model, or a file of Jinja; "
     "what is written can then be trained on conversations"},
    {"bake-goal", OPT_STR, FIELD(bake_goal), "G", NULL, NULL,
     "writes this goal (or best) into the chat template, so that servers that run it ask for it, and for none but that; goal.json says "
     "how. Under gguf "
     "OUTPUT.Modelfile is written too, since Ollama runs a template of its own"},
    {"goal-style", OPT_STR, FIELD(goal_style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the trained goal.json"},
    {"For other trainers", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"data", OPT_STR, FIELD(data), "F", NULL, NULL,
     "the rows to train on: pairs, as rapt augment writes them, or prompts with completions. FILE.goal.json goes along"},
    {"eval-data", OPT_STR, FIELD(eval_data), "F", NULL, NULL, "rows for evaluation while training"},
    {"preset", OPT_CHOICE, FIELD(preset), NULL, NULL, &(HANDOVER_PRESET_CHOICES)[1],
     "the published settings of one of the method's models, and that model unless --model names another. Without it: what those recipes "
     "have "
     "in common (rate 5e-7, beta 0.01, 128 rows a step, one epoch)"},
    {"gpus", OPT_INT, FIELD(gpus), "N", "8", NULL, "GPUs of the run; accumulation makes up for fewer"},
};

const struct opt_spec cmd_export_spec = {
    .command = "export",
    .summary = "Write a merged model in the form of another program.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = examples + 1,
};

/* The table's row says which options the form has. */
static status check(struct options *o, const struct export_format *f, const struct opt_result *r) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = rows[i].name;
        if (export_list_has(f->needs, name, ',') && !r->given[i]) return FAIL(ST_USAGE, "--format %s needs --%s", f->name, name);
        if (strcmp(name, "format") == 0 || (strcmp(name, "dtype") == 0 && f->dtypes)) continue;
        if (rows[i].kind != OPT_HEADING && r->given[i] && !export_list_has(f->needs, name, ',') && !export_list_has(f->takes, name, ','))
            return FAIL(ST_USAGE, "--%s has no effect with --format %s", name, f->name);
    }
    if (o->request.goal_style && !o->request.bake_goal) return FAIL(ST_USAGE, "--goal-style has no effect without --bake-goal");
    if (!f->dtypes) o->request.dtype = NULL;
    if (f->dtypes && !export_list_has(f->dtypes, o->request.dtype, '|'))
        return FAIL(ST_USAGE, "--format %s takes --dtype %s, not %s", f->name, f->dtypes, o->request.dtype);
    return ST_OK;
}

status cmd_export_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_export_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    const struct export_format *f = export_find(o.format);
    TRY(check(&o, f, &r));
    TRY(f->run(&o.request));
    log_info("%s: written", o.request.output);
    return ST_OK;
}
