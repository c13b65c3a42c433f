/* rapt pair: K scored responses -> chosen and rejected. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli_counts.h"
#include "cli/cli_fields.h"
#include "cli/cmd.h"
#include "data/pair.h"

struct pair_cli {
    const char *input, *output, *rule, *exclude, *on_bad_row;
    int64_t limit, seed;
    bool json;
    struct opt_list fields;
};

static const struct opt_row rows[] = {
    {"input", OPT_STR, offsetof(struct pair_cli, input), "FILE", NULL, NULL, "Rows (JSONL, JSON, gzip, zstd or Parquet) with several scored responses each; - is stdin."},
    {"output", OPT_STR, offsetof(struct pair_cli, output), "FILE", NULL, NULL,
     "JSONL rows of TRL's preference form, with scores; - is stdout."},
    {"rule", OPT_CHOICE, offsetof(struct pair_cli, rule), NULL, "paper", PAIR_RULE_CHOICES,
     "paper: responses with an aspect rated N/A are dropped; the first of the highest score against a random other, kept where its "
     "fine-grained mean is not the lower; no TruthfulQA. best-worst: the highest against the lowest score. all: every two responses."},
    {"exclude-prompts", OPT_STR, offsetof(struct pair_cli, exclude), "FILE", NULL, NULL,
     "A benchmark's prompts, whose rows are dropped: .csv (a column Question, question, prompt or instruction), rows of any form, or a prompt "
     "a line."},
    {"limit", OPT_INT, offsetof(struct pair_cli, limit), "N", "0", NULL, "Stop after N pairs; 0 is no limit."},
    {"seed", OPT_INT, offsetof(struct pair_cli, seed), "N", "42", NULL, "Of the paper rule's random choice."},
    CLI_FIELD_ROW(offsetof(struct pair_cli, fields)),
    {"on-bad-row", OPT_CHOICE, offsetof(struct pair_cli, on_bad_row), NULL, "stop", "stop|skip",
     "stop at a broken row, or skip it, count it and keep it in OUTPUT.rejected.jsonl."},
    {"json", OPT_FLAG, offsetof(struct pair_cli, json), NULL, NULL, NULL, "Print the counts on stdout as JSON."},
};

const struct opt_spec cmd_pair_spec = {
    .command = "pair",
    .summary = "make chosen/rejected pairs from K scored responses",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt pair --input ultrafeedback.jsonl --output pairs.jsonl\n"
               "rapt pair --input scored.jsonl --output pairs.jsonl --rule best-worst",
    .notes = "Prompts that are strings give strings, prompts that are messages give messages; fields that belong to the responses are "
             "replaced,\n"
             "all others ride along. Equal scores are kept: rapt augment --ties decides about them.",
};

static void print_counts(const struct pair_counts *counts, bool json) {
    const struct cli_count list[] = {PAIR_COUNT_MAP(CLI_COUNT)};
    cli_counts_print(list, sizeof list / sizeof list[0], json);
}

status cmd_pair_run(int argc, char **argv) {
    struct pair_cli o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_pair_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.input || !o.output) return FAIL(ST_USAGE, "rapt pair expects --input FILE and --output FILE");
    enum pair_rule rule = pair_rule_parse(o.rule);
    if (o.limit < 0) return FAIL(ST_USAGE, "--limit must be 0 or more");
    if (rule != PAIR_PAPER && opt_given(&result, &cmd_pair_spec, "seed"))
        return FAIL(ST_USAGE, "--seed has no effect under --rule %s, which draws nothing", o.rule);
    if (o.json && strcmp(o.output, "-") == 0) return FAIL(ST_USAGE, "--json and --output - would both write to stdout");
    struct source_map map;
    TRY(cli_fields(&map, &o.fields));
    struct pair_counts counts;
    struct pair_exclude exclude = {0};
    status s = o.exclude ? pair_exclude_load(&exclude, o.exclude) : ST_OK;
    if (s == ST_OK)
        s = pair_run(&counts, &(struct pair_options){.input = o.input,
                                                     .output = o.output,
                                                     .rule = rule,
                                                     .exclude = &exclude,
                                                     .map = &map,
                                                     .on_bad_row = strcmp(o.on_bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP,
                                                     .limit = (uint64_t)o.limit,
                                                     .seed = (uint64_t)o.seed});
    pair_exclude_release(&exclude);
    if (s == ST_OK) print_counts(&counts, o.json);
    return s;
}
