/* rapt pair: K scored responses -> chosen and rejected. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_attributes.h"
#include "cli/cli_counts.h"
#include "cli/cli_fields.h"
#include "cli/cli_pair.h"
#include "cli/cmd.h"

struct pair_cli {
    const char *input, *output, *exclude, *on_bad_row, *ties, *picture;
    struct pair_flags pairing;
    int64_t limit, seed;
    bool json, keep_scores;
    struct opt_list fields, attributes;
};

#define PAIRING(name) offsetof(struct pair_cli, pairing.name)
static const struct opt_row rows[] = {
    {"input", OPT_STR, offsetof(struct pair_cli, input), "FILE", NULL, NULL,
     "Rows (JSONL, JSON, gzip, zstd or Parquet) with several scored responses each; - is stdin."},
    {"output", OPT_STR, offsetof(struct pair_cli, output), "FILE", NULL, NULL,
     "JSONL rows of TRL's preference form, with scores; - is stdout."},
    PAIR_RULE_ROWS(PAIRING),
    {"ties", OPT_CHOICE, offsetof(struct pair_cli, ties), NULL, "keep", "keep|drop",
     "Pairs of equal scores; rapt augment --ties decides about those kept."},
    {"attributes", OPT_LIST, offsetof(struct pair_cli, attributes), "NAME,NAME,...", NULL, NULL,
     "Numbers that each response has under these names (aspects, columns, the outputs of a reward model) go into the pair's scores_chosen "
     "and scores_rejected, where rapt augment --attributes finds "
     "them. A response with one that is null or N/A takes no part."},
    {"keep-scores", OPT_FLAG, offsetof(struct pair_cli, keep_scores), NULL, NULL, NULL,
     "Write the scores of all responses to the prompt too, as " PAIR_SCORES_FIELD
     ", for rapt augment --goals prompt. With --attributes: those of them."},
    {"picture", OPT_STR, offsetof(struct pair_cli, picture), "F.svg", NULL, NULL, "Draw the histograms of margins and scores."},
    {"exclude-prompts", OPT_STR, offsetof(struct pair_cli, exclude), "FILE", NULL, NULL,
     "A benchmark's prompts, whose rows are dropped: .csv (a column Question, question, prompt or instruction), rows of any form, or a "
     "prompt "
     "a line."},
    {"limit", OPT_INT, offsetof(struct pair_cli, limit), "N", "0", NULL, "Stop after N pairs; 0 is no limit."},
    {"seed", OPT_INT, offsetof(struct pair_cli, seed), "N", "42", NULL, "Of random choices."},
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
               "rapt pair --input ultrafeedback.jsonl --output pairs.jsonl --attributes helpfulness,honesty"
               "\n"
               "rapt pair --input scored.jsonl --output pairs.jsonl --rule best-worst --length-penalty 0.001 --picture margins.svg\n"
               "rapt pair --input scored.jsonl --output pairs.jsonl --rule all --min-margin 1 --keep-scores",
    .notes = "Prompts that are strings give strings, prompts that are messages give messages; fields that belong to the responses are "
             "replaced,\n"
             "all others ride along.",
};

static void print_counts(const struct pair_counts *counts, const struct pair_margins *margins, bool json) {
    const struct cli_count list[] = {PAIR_COUNT_MAP(CLI_COUNT)};
    struct buf text = {0};
    cli_counts_print(list, sizeof list / sizeof list[0], json);
    pair_margins_text(&text, margins);
    for (const char *at = buf_text(&text); *at;) {
        const size_t n = strcspn(at, "\n");
        log_info("%.*s", (int)n, at);
        at += n + (at[n] == '\n');
    }
    buf_release(&text);
}

static status check(const struct pair_cli *o, const struct pair_rules *rules, const struct opt_result *result) {
    if (!o->input || !o->output) return FAIL(ST_USAGE, "rapt pair expects --input FILE and --output FILE");
    if (o->limit < 0) return FAIL(ST_USAGE, "--limit must be 0 or more");
    if (!pair_rules_draw(rules) && opt_given(result, &cmd_pair_spec, "seed"))
        return FAIL(ST_USAGE, "--seed has no effect under --rule %s, which draws nothing", o->pairing.rule);
    if (o->json && strcmp(o->output, "-") == 0) return FAIL(ST_USAGE, "--json and --output - would both write to stdout");
    return ST_OK;
}

/* The names, as augment will take them. */
static status check_attributes(const struct pair_cli *o) {
    struct goal_style style = {0};
    const status s = cli_attributes_read(&style, &(struct attribute_flags){.names = o->attributes});
    goal_style_release(&style);
    return s;
}

static status draw(const char *path, const struct pair_margins *margins) {
    struct buf picture = {0};
    pair_margins_picture(&picture, margins);
    status s = file_write(path, picture.data, picture.size);
    buf_release(&picture);
    return s;
}

status cmd_pair_run(int argc, char **argv) {
    struct pair_cli o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_pair_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    struct source_map map;
    struct pair_margins margins = {0};
    struct pair_options p = {.input = o.input,
                             .output = o.output,
                             .attributes = o.attributes.items,
                             .attribute_count = o.attributes.count,
                             .keep_scores = o.keep_scores,
                             .margins = &margins,
                             .map = &map,
                             .on_bad_row = strcmp(o.on_bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP,
                             .limit = (uint64_t)o.limit};
    TRY(pair_rules_from_flags(&p.rules, &o.pairing, &result, &cmd_pair_spec, o.seed));
    p.rules.drop_ties = strcmp(o.ties, "drop") == 0;
    TRY(check(&o, &p.rules, &result));
    TRY(check_attributes(&o));
    TRY(cli_fields(&map, &o.fields));
    struct pair_counts counts;
    struct pair_exclude exclude = {0};
    p.exclude = &exclude;
    status s = o.exclude ? pair_exclude_load(&exclude, o.exclude) : ST_OK;
    if (s == ST_OK) s = pair_run(&counts, &p);
    if (s == ST_OK && o.picture) s = draw(o.picture, &margins);
    if (s == ST_OK) print_counts(&counts, &margins, o.json);
    pair_exclude_release(&exclude);
    pair_margins_release(&margins);
    return s;
}
