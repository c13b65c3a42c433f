/* rapt logps: each pair's summed log-probs under a model; the reference file of train --ref-logps, and what eval --logps reads. */
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/cli_model.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cmd.h"
#include "eval/score_pairs.h"
#include "num/cpu.h"

struct options {
    const char *model, *adapter, *input, *output, *dtype, *bad_row, *kwargs;
    int64_t max_length, budget, threads;
    bool tokens, token_logps;
    struct opt_list fields;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL,
     "JSONL of pairs; rows may carry prompt_ids, chosen_ids, rejected_ids instead of text"},
    {"output", OPT_STR, FIELD(output), "F", "-", NULL,
     "the rows again with logps_chosen, logps_rejected (nats), tokens_chosen, tokens_rejected"},
    {"tokens", OPT_FLAG, FIELD(tokens), NULL, NULL, NULL, "also prompt_ids, chosen_ids, rejected_ids"},
    {"token-logps", OPT_FLAG, FIELD(token_logps), NULL, NULL, NULL, "also token_logps_chosen, token_logps_rejected: one number a token"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "0", NULL,
     "cut responses here as train does; rows whose prompt reaches it get null; 0 = no limit"},
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "2048", NULL, "positions computed at a time"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    CLI_FIELD_ROW(FIELD(fields)),
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"on-bad-row", OPT_CHOICE, FIELD(bad_row), NULL, "stop", "stop|skip", "skipped rows are counted and kept in OUTPUT.rejected.jsonl"},
};

const struct opt_spec cmd_logps_spec = {
    .command = "logps",
    .summary = "Log-probs of every pair under a model: a portable reference file.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt logps --model SmolLM2-135M-Instruct.Q4_1.gguf --input pairs.aug.jsonl --output base.logps.jsonl",
};

static status write_line(void *context, const char *line, size_t size, bool null) {
    (void)null;
    return file_out_write(context, line, size);
}

/* What a reference file was made with; train --ref-logps holds its own run against it. */
static status write_meta(const struct options *o, const struct score_options *so, const struct score_summary *summary) {
    if (strcmp(o->output, "-") == 0) return ST_OK;
    char model[HASH_HEX_SIZE];
    struct buf b = {0}, path = {0};
    TRY(hash_path(model, o->model));
    buf_printf(&b,
               "{\"model_hash\": \"%s\", \"adapter\": %s, \"tokenizer_hash\": \"%s\", \"dtype\": \"%s\", \"max_length\": %lld, "
               "\"instruction_set\": \"",
               model, o->adapter ? "true" : "false", summary->tokenizer_hash, matmul_kind_name(so->kind), (long long)o->max_length);
    cpu_describe(&b);
    buf_append_char(&b, '"');
    if (summary->kwargs_hash[0]) buf_printf(&b, ", \"chat_template_kwargs_hash\": \"%s\"", summary->kwargs_hash);
    buf_append_text(&b, "}\n");
    buf_printf(&path, "%s.meta.json", o->output);
    status s = file_write(buf_text(&path), b.data, b.size);
    buf_release(&b);
    buf_release(&path);
    return s;
}

static status work(const struct options *o) {
    struct file_out out;
    struct score_summary summary;
    struct source_map map;
    TRY(cli_fields(&map, &o->fields));
    enum matmul_kind kind;
    TRY(cli_dtype(&kind, o->dtype));
    const struct score_options so = {
        .model = o->model,
        .adapter = o->adapter,
        .input = o->input,
        .what = "logps",
        .max_length = (size_t)o->max_length,
        .budget = (size_t)o->budget,
        .beside = strcmp(o->output, "-") ? o->output : NULL,
        .kind = kind,
        .tokens = o->tokens,
        .token_logps = o->token_logps,
        .map = &map,
        .kwargs = o->kwargs,
        .skip_bad = strcmp(o->bad_row, "skip") == 0,
    };
    TRY(file_out_open(&out, o->output));
    status s = score_pairs(&summary, &so, write_line, &out);
    if (s != ST_OK) {
        file_out_abandon(&out);
        return s;
    }
    TRY(file_out_commit(&out));
    log_info("%llu rows, %llu of them null (prompt >= --max-length)", (unsigned long long)summary.rows, (unsigned long long)summary.nulls);
    return write_meta(o, &so, &summary);
}

status cmd_logps_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_logps_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.input) return FAIL(ST_USAGE, "--model and --input are needed");
    TRY(cli_micro_batch_tokens(o.budget));
    if (o.max_length < 0) return FAIL(ST_USAGE, "--max-length expects 0 or more");
    TRY(cli_threads(o.threads));
    return work(&o);
}
