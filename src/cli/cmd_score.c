/* rapt score: every response gets a score. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli_counts.h"
#include "cli/cli_fields.h"
#include "cli/cli_judge.h"
#include "cli/cli_model.h"
#include "cli/cli_range.h"
#include "cli/cli_reward.h"
#include "cli/cmd.h"
#include "reward/score.h"
#include "text/goal.h"

struct score_cli {
    const char *input, *output, *source, *column, *score_range, *on_bad_row, *model, *adapter, *dtype, *scale, *map, *reference, *goals,
        *self_read, *as;
    struct opt_list weights, attributes, cross_fit, fields;
    int64_t budget, threads;
    double quantize, beta;
    bool overwrite, json, per_token;
    struct rule_flags rule;
    struct judge_flags judge;
};

#define FIELD(name) offsetof(struct score_cli, name)
#define JUDGE(name) offsetof(struct score_cli, judge.name)
#define JUDGE_ENDPOINT(name) offsetof(struct score_cli, judge.endpoint.name)
#define RULE(name) offsetof(struct score_cli, rule.name)
static const struct opt_row rows[] = {
    {"input", OPT_STR, FIELD(input), "FILE", NULL, NULL,
     "Rows (JSONL, JSON, gzip, zstd or Parquet): pairs, several responses each, or completions; - is stdin."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "The rows again, with scores; - is stdout."},
    {"source", OPT_STR, FIELD(source), "NAME", NULL, NULL, "Where scores come from:"},
    {"as", OPT_STR, FIELD(as), "NAME", NULL, NULL,
     "The numbers become the attribute NAME: members of scores (of a pair scores_chosen, scores_rejected), beside those that are there, "
     "for rapt augment --attributes. Scores "
     "stay as they are."},
    {"overwrite", OPT_FLAG, FIELD(overwrite), NULL, NULL, NULL, "Replace scores that rows have already. Without it they are an error."},
    {"--source column", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"column", OPT_STR, FIELD(column), "NAME", NULL, NULL,
     "A member of each response (a.b inside objects), an aspect of UltraFeedback's annotations, or a list of the row; of a pair "
     "NAME_chosen or "
     "chosen_NAME and their counterparts. score: what rapt reads as the score. fine-mean: the mean of the aspects. rank: 1, the best, "
     "becomes 10, "
     "the last 1."},
    {"weights", OPT_LIST, FIELD(weights), "NAME=W,...", NULL, NULL,
     "The sum of W times the column NAME, or with --source reward-model the attribute NAME: helpfulness=0.65,correctness=0.8."},
    {"--source rule", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    RULE_ROWS(RULE),
    RULE_ROW_ROWS(RULE),
    {"--source judge", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    JUDGE_ROWS(JUDGE),
    {"--source self", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"goals", OPT_STR, FIELD(goals), "G,G,...", NULL, NULL,
     "The goals that are tried. Default: the whole numbers of the scale in goal.json."},
    {"self-read", OPT_CHOICE, FIELD(self_read), NULL, "argmax", "argmax|expected",
     "argmax: the goal under which the response is likeliest. expected: the mean over goals, weighted with the response's probability "
     "under each."},
    {"per-token", OPT_FLAG, FIELD(per_token), NULL, NULL, NULL,
     "expected: log-probs are divided by the response's tokens before they become weights, which are all but 0 and 1 otherwise."},
    {"--source reward-model, judge, implicit, self", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "A Hugging Face folder or a .gguf file."},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL,
     "A PEFT adapter on top: a reward model's head, or implicit's policy, which may be a fully trained model too."},
    {"reference-adapter", OPT_STR, FIELD(reference), "D|none", NULL, NULL,
     "implicit: the reference is the model with this adapter, or this model; none: --model alone. Default: what the policy was trained "
     "from, as its manifest.json says."},
    {"attributes", OPT_LIST, FIELD(attributes), "NAME,...", NULL, NULL,
     "reward-model: names for the numbers of a head that has several, in its order. Default: id2label of its config.json."},
    {"beta", OPT_DOUBLE, FIELD(beta), "B", "0.1", NULL, "implicit: as in training."},
    {"cross-fit", OPT_LIST, FIELD(cross_fit), "D1,D2", NULL, NULL,
     "implicit: instead of --adapter two of them, trained on the rows of augment --fold 1/2 and 2/2: each prompt is scored by the one that "
     "has not "
     "seen it."},
    {"scale", OPT_CHOICE, FIELD(scale), NULL, NULL, "raw|quantiles",
     "reward-model, implicit: raw: the model's numbers, the default of reward-model. quantiles: mapped to --score-range by rank, the "
     "lowest A, the highest B, the "
     "default of implicit; the map is made of the input, which is read twice, and written to OUTPUT.map.json."},
    {"map", OPT_STR, FIELD(map), "FILE", NULL, NULL, "Scale by a map that was written before, range included."},
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "2048", NULL, "Positions computed at a time."},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"Scores", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"score-range", OPT_STR, FIELD(score_range), "A,B", "1,10", NULL,
     "The range that scores of rules (A is wrong, B is right), of comparisons and of quantiles are mapped to, and the scale on which a "
     "judge rates."},
    {"quantize", OPT_DOUBLE, FIELD(quantize), "Q", "0.01", NULL, "Round scores to multiples of Q; 0 leaves them as they are."},
    {"Other", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    CLI_FIELD_ROW(FIELD(fields)),
    {"on-bad-row", OPT_CHOICE, FIELD(on_bad_row), NULL, "stop", "stop|skip",
     "stop at a broken row, or skip it, count it and keep it in OUTPUT.rejected.jsonl."},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print the counts on stdout as JSON."},
};

/* The rows of the tables that an option names. */
static void put_names(struct buf *out, const char *option) {
    if (strcmp(option, "source") == 0)
        for (size_t i = 0; i < reward_count; i++) buf_printf(out, "%s%s: %s", i ? "; " : " ", reward_table[i].name, reward_table[i].help);
    if (strcmp(option, "rule") == 0) cli_rule_names(out, false);
}

static void put_values(struct buf *out, const char *option) {
    for (size_t i = 0; i < reward_count && strcmp(option, "source") == 0; i++) buf_printf(out, "%s%s", i ? "|" : "", reward_table[i].name);
    if (strcmp(option, "rule") == 0) cli_rule_values(out, false);
}

const struct opt_spec cmd_score_spec = {
    .command = "score",
    .summary = "give every response a score, from a column, a rule, a judge or a model",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .put_values = put_values,
    .example =
        "rapt score --input nectar.jsonl --output scored.jsonl --source column --column rank\n"
        "rapt score --input helpsteer.jsonl --output scored.jsonl --source column --overwrite \\\n"
        "    --weights helpfulness=0.65,correctness=0.8,coherence=0.45,complexity=0.55,verbosity=-0.4\n"
        "rapt score --input samples.jsonl --output scored.jsonl --source rule --rule gsm8k\n"
        "rapt score --input samples.jsonl --output long.jsonl --source rule --rule length --length 60 --as length\n"
        "rapt score --input samples.jsonl --output scored.jsonl --source reward-model --model M.gguf --adapter runs/reward --scale "
        "quantiles\n"
        "rapt score --input pairs.jsonl --output scored.jsonl --source implicit --model M.gguf --adapter runs/dpo --overwrite\n"
        "rapt score --input samples.jsonl --output scored.jsonl --source judge --endpoint http://localhost:8000/v1 --endpoint-model NAME\n"
        "rapt score --input samples.jsonl --output scored.jsonl --source self --model M.gguf --adapter runs/ra --self-read expected "
        "--per-token",
    .notes =
        "Pairs and completions stay the rows that they are, with score_chosen and score_rejected, or score. Rows with several responses\n"
        "come out in one form, whatever theirs was: {prompt, responses: [{text or messages, score, ...}], ...}. All other fields ride "
        "along.\n"
        "A response that the source has no number for gets null, and is counted.",
};

/* Options that belong to other sources. */
static status check_effects(const struct opt_result *result, const struct reward_source *source) {
    for (size_t i = 0; i < reward_count; i++)
        for (const char *const *name = reward_table[i].options; *name; name++)
            if (!cli_among(source->options, *name) && opt_given(result, &cmd_score_spec, *name))
                return FAIL(ST_USAGE, "--%s has no effect with --source %s", *name, source->name);
    return ST_OK;
}

static status read_scale(struct score_options *s, const struct score_cli *o, const struct opt_result *result) {
    const unsigned flags = s->source->flags;
    const bool ranged = opt_given(result, &cmd_score_spec, "score-range");
    const bool quantiles = o->map || (o->scale ? strcmp(o->scale, "quantiles") == 0 : (flags & REWARD_MAPPED) != 0);
    s->scale = flags & REWARD_UNIT ? SCORE_LINEAR : quantiles ? SCORE_QUANTILES : SCORE_AS_IS;
    s->quantile_map = o->map;
    if (o->map && o->scale && strcmp(o->scale, "raw") == 0) return FAIL(ST_USAGE, "--map has no effect with --scale raw");
    if (o->map && ranged) return FAIL(ST_USAGE, "--score-range has no effect with --map, which has its own range");
    if (s->scale == SCORE_AS_IS && ranged)
        return FAIL(ST_USAGE, "--score-range has no effect here: the scores of --source %s are taken as they are", s->source->name);
    if (s->scale == SCORE_QUANTILES && !o->map && strcmp(o->input, "-") == 0)
        return FAIL(ST_USAGE, "a quantile map is made of the whole input, which is read twice; - cannot be");
    if (s->scale == SCORE_QUANTILES && !o->map && strcmp(o->output, "-") == 0)
        return FAIL(ST_USAGE, "the quantile map is written beside the output; --output - has no place for it");
    return ST_OK;
}

static status read_model(struct reward_options *r, unsigned flags, const struct score_cli *o) {
    if (!(flags & REWARD_NEEDS_MODEL) && !o->model) return ST_OK;
    if (!o->model) return FAIL(ST_USAGE, "--source %s expects --model M", o->source);
    if (o->cross_fit.count && (o->cross_fit.count != 2 || o->adapter))
        return FAIL(ST_USAGE, "--cross-fit expects two adapters, D1,D2, and stands in the place of --adapter");
    for (size_t i = 0; i < o->cross_fit.count; i++) r->cross_fit[i] = o->cross_fit.items[i];
    if ((flags & REWARD_NEEDS_ADAPTER) && !o->adapter && !o->cross_fit.count)
        return FAIL(ST_USAGE, "--source %s expects --adapter D, the policy; without it the model is its own reference", o->source);
    TRY(cli_micro_batch_tokens(o->budget));
    if (!(o->beta > 0)) return FAIL(ST_USAGE, "--beta must be above 0");
    for (size_t i = 0; i < o->attributes.count; i++) r->attributes[r->attribute_count++] = o->attributes.items[i];
    r->model = o->model;
    r->adapter = o->adapter;
    TRY(cli_dtype(&r->kind, o->dtype));
    r->budget = (size_t)o->budget;
    r->beta = o->beta;
    r->reference = o->reference;
    return cli_threads(o->threads);
}

static status read_goals(struct reward_options *r, const struct score_cli *o) {
    double *goals = NULL;
    r->expected = strcmp(o->self_read, "expected") == 0;
    r->per_token = o->per_token;
    if (r->per_token && !r->expected)
        return FAIL(ST_USAGE, "--per-token has no effect with --self-read argmax: the likeliest goal stays the same");
    if (!o->goals) return ST_OK;
    goals = mem_alloc((strlen(o->goals) + 1) * sizeof *goals);
    r->goals = goals;
    mem_keep((char *)goals);
    for (const char *at = o->goals;; at++) {
        char *end;
        goals[r->goal_count++] = strtod(at, &end);
        if (end == at || !isfinite(goals[r->goal_count - 1]) || (*end && *end != ','))
            return FAIL(ST_USAGE, "--goals expects numbers such as 2,5,10; found '%s'", o->goals);
        if (!*end) break;
        at = end;
    }
    return r->goal_count >= 2 && r->goal_count <= 101 ? ST_OK : FAIL(ST_USAGE, "--goals expects 2 to 101 numbers");
}

static status read_source(struct score_options *s, const struct score_cli *o, const struct opt_result *result) {
    struct buf names = {0};
    s->source = o->source ? reward_find(o->source) : NULL;
    if (!s->source) {
        for (size_t i = 0; i < reward_count; i++) buf_printf(&names, "%s%s", i ? ", " : "", reward_table[i].name);
        status code = FAIL(ST_USAGE, "rapt score expects --source NAME, one of %s%s%s", buf_text(&names), o->source ? "; found " : "",
                           o->source ? o->source : "");
        buf_release(&names);
        return code;
    }
    TRY(check_effects(result, s->source));
    if (strcmp(s->source->name, "rule") == 0) TRY(cli_rule(&s->reward, &o->rule, "--source rule", false, result, &cmd_score_spec));
    TRY(cli_weights(&s->reward, &o->weights));
    if (strcmp(s->source->name, "column") == 0 && (o->column != NULL) == (s->reward.weight_count != 0))
        return FAIL(ST_USAGE, "--source column expects --column NAME or --weights NAME=W,...");
    TRY(read_model(&s->reward, s->source->flags, o));
    TRY(read_goals(&s->reward, o));
    if (strcmp(s->source->name, "judge") == 0)
        TRY(cli_judge(&s->reward.judge, &o->judge, result, &cmd_score_spec, o->model, o->output, s->low, s->high));
    return read_scale(s, o, result);
}

static void print_counts(const struct score_counts *counts, bool judge, bool json) {
#define TALLY_COUNT(name, text) {#name, text, counts->tally.name},
    const struct cli_count list[] = {SCORE_COUNT_MAP(CLI_COUNT) REWARD_TALLY_MAP(TALLY_COUNT)};
    const struct cli_count short_list[] = {SCORE_COUNT_MAP(CLI_COUNT)};
#undef TALLY_COUNT
    cli_counts_print(list, judge ? sizeof list / sizeof list[0] : sizeof short_list / sizeof short_list[0], json);
}

/* As augment will take it. */
static status check_name(const char *name) {
    struct goal_style style = {0};
    if (strcmp(name, GOAL_OVERALL) == 0) return FAIL(ST_USAGE, "--as: %s is the response's own score", name);
    const status s = goal_style_add(&style, name);
    goal_style_release(&style);
    return s == ST_OK ? s : status_note(s, "--as: ");
}

status cmd_score_run(int argc, char **argv) {
    struct score_cli o = {0};
    struct opt_result result;
    struct score_counts counts;
    struct source_map map;
    bool done;
    TRY(cmd_parse(&result, &cmd_score_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.input || !o.output) return FAIL(ST_USAGE, "rapt score expects --input FILE and --output FILE");
    if (o.json && strcmp(o.output, "-") == 0) return FAIL(ST_USAGE, "--json and --output - would both write to stdout");
    if (!(o.quantize >= 0)) return FAIL(ST_USAGE, "--quantize must be 0 or more");
    struct score_options s = {.input = o.input,
                              .output = o.output,
                              .reward = {.column = o.column},
                              .quantum = o.quantize,
                              .as = o.as,
                              .overwrite = o.overwrite,
                              .map = &map,
                              .on_bad_row = strcmp(o.on_bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP};
    TRY(cli_fields(&map, &o.fields));
    if (o.as) TRY(check_name(o.as));
    TRY(cli_range(&s.low, &s.high, "score-range", o.score_range));
    TRY(read_source(&s, &o, &result));
    status code = score_run(&counts, &s);
    if (code == ST_OK || counts.tally.requests_sent)
        print_counts(&counts, strcmp(o.source, "judge") == 0, o.json && code == ST_OK); /* what was paid for is told in any case */
    return code;
}
