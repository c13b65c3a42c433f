/* rapt augment: scored pairs -> goal-conditioned pairs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_attributes.h"
#include "cli/cli_counts.h"
#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_pair.h"
#include "cli/cli_range.h"
#include "cli/cmd.h"
#include "data/augment.h"
#include "data/encode.h"

struct augment_cli {
    const char *input, *output, *mode, *goals, *placement, *model, *template, *template_file, *tokens, *ties, *on_disagree, *score_range,
        *score_from, *exclude, *kwargs;
    struct pair_flags pairing;
    struct attribute_flags attributes;
    const char *test_output, *test_goals, *without_goals, *fold, *compat, *on_bad_row;
    double goal_dropout, quantize, split;
    bool swap, test_unconditioned, json;
    int64_t limit, seed;
    struct opt_list fields;
};

#define FIELD(name) offsetof(struct augment_cli, name)
#define PAIRING(name) offsetof(struct augment_cli, pairing.name)
static const struct opt_row rows[] = {
    {"input", OPT_STR, FIELD(input), "FILE", NULL, NULL,
     "Rows (JSONL, JSON, gzip, zstd or Parquet): pairs with scores, or several scored responses each; - is stdin."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL,
     "JSONL rows of TRL's preference form, for training. Beside it goes FILE.goal.json, which train and generate read. - is stdout."},
    {"mode", OPT_CHOICE, FIELD(mode), NULL, "own", AUGMENT_MODE_CHOICES,
     "own: both goals, the responses swapped under the rejected one's (the method). plain: no goal. prefix-only: both goals, never "
     "swapped. "
     "random-order: each pair's goals exchanged with probability 1/2. shuffled: the goals of another pair. half-pairs: every second pair. "
     "half-goals: one of the two rows. sft: each response under its own goal, as prompt and completion."},
    {"attributes", OPT_LIST, FIELD(attributes.names), "NAME,NAME,...", NULL, NULL,
     "Goals of several attributes, a line each: numbers of a response that the rows have under these names (UltraFeedback's ratings, "
     "HelpSteer's columns, "
     "scores or attributes {NAME: number}). " GOAL_OVERALL
     " is the response's own score. Goals are then NAME=G,NAME=G,..., several separated by semicolons."},
    {"best", OPT_STR, FIELD(attributes.best), "NAME=G,...", NULL, NULL,
     "What --goal best of rapt generate asks for, where that is not the upper end of an attribute's scale."},
    {"goals", OPT_STR, FIELD(goals), "own|prompt|G,G,...", "own", NULL,
     "Goals of a pair: its two scores, the scores of all responses to the prompt (of a row that is a pair: its " PAIR_SCORES_FIELD
     "), or a list. Under any goal the nearer score is "
     "preferred."},
    {"without-goals", OPT_STR, FIELD(without_goals), "G,G,...", NULL, NULL,
     "Goals that training never sees, as they are printed: pairs with such a score are dropped whole, responses too under --mode sft. The "
     "test split keeps "
     "them."},
    {"goal-dropout", OPT_DOUBLE, FIELD(goal_dropout), "P", "0", NULL, "Share of pairs that are written once, without a goal."},
    {"swap", OPT_FLAG, FIELD(swap), NULL, "true", NULL,
     "Swap the responses under the rejected one's goal; --no-swap is --mode prefix-only."},
    PAIR_RULE_ROWS(PAIRING),
    {"exclude-prompts", OPT_STR, FIELD(exclude), "FILE", NULL, NULL,
     "A benchmark's prompts, whose rows are dropped: .csv (a column Question, question, prompt or instruction), rows of any form, or a "
     "prompt "
     "a line."},
    {"limit", OPT_INT, FIELD(limit), "N", "0", NULL, "Stop after N used pairs (responses with --mode sft); 0 is no limit."},
    {"seed", OPT_INT, FIELD(seed), "N", "42", NULL, "Of every random draw. The test split does not depend on it."},
    {"The goal's text", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"placement", OPT_CHOICE, FIELD(placement), NULL, "system", "system|user|after|auto",
     "Where the goal stands: in the system turn, before the first user turn, or at the end of the last one. "
     "auto: system where the chat template of --model takes a system turn, else user."},
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "For --placement auto: the model, or its tokenizer, whose chat template decides."},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"goal-template", OPT_STR, FIELD(template), "TEXT", NULL, NULL,
     "The goal's text; {s} is the score, {a} and {b} the scale. Default: the paper's two lines. With --attributes {lines} is a line for "
     "each, {scaled} the "
     "same with its scale, {s} the overall score, which then has no line."},
    {"goal-template-file", OPT_STR, FIELD(template_file), "FILE", NULL, NULL,
     "The same from a file; one line break at its end is left out."},
    {"goal-tokens", OPT_STR, FIELD(tokens), "T,T,...", NULL, NULL,
     "Tokens that stand for the goals, {s} in the goal's text, which is {s} alone unless given: one for each goal of --score-range in "
     "steps of --quantize, the lowest "
     "goal's first. Special tokens that the model hardly uses, e.g. <|reserved_special_token_1|>; train --modules-to-save embed_tokens "
     "lets them learn."},
    {"Scores", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"score-range", OPT_STR, FIELD(score_range), "A,B", "1,10", NULL,
     "The scale that the goal's text names. With --attributes: of all of them, or NAME=A,B;NAME=A,B; those not named have the lowest and "
     "the highest number in "
     "the data."},
    {"score-from", OPT_STR, FIELD(score_from), "A,B", NULL, NULL,
     "The scale of the data's scores, mapped linearly to --score-range and rounded to 0.01. Without it scores are taken as they are. With "
     "--attributes also "
     "NAME=A,B;NAME=A,B."},
    {"quantize", OPT_DOUBLE, FIELD(quantize), "Q", "0", NULL, "Round goals to multiples of Q; 0 prints scores as they are."},
    {"ties", OPT_CHOICE, FIELD(ties), NULL, "drop", "drop|keep|plain",
     "Pairs whose goals print the same: dropped, kept with both goals, or written once without a goal."},
    {"on-disagree", OPT_CHOICE, FIELD(on_disagree), NULL, "drop", "drop|relabel|keep",
     "Pairs whose chosen response scores below the rejected one: dropped, turned round, or kept as they are."},
    {"Parts of the data", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"fold", OPT_STR, FIELD(fold), "I/N", NULL, NULL,
     "Only the training rows whose prompts are of part I of N, chosen by a hash of the prompt: 1/2 and 2/2 train the two policies of "
     "rapt score --cross-fit."},
    {"split", OPT_DOUBLE, FIELD(split), "F", "0", NULL,
     "Fraction of the prompts, chosen by a hash of the prompt, whose pairs go to --test-output; 1: all of them, none is left for "
     "--output."},
    {"test-output", OPT_STR, FIELD(test_output), "FILE", NULL, NULL,
     "The test pairs, under both own goals whatever the mode; ties are dropped."},
    {"test-goals", OPT_STR, FIELD(test_goals), "G,G,...", NULL, NULL,
     "The test pairs under each of these goals instead, never swapped, for rapt eval midpoint and unlearning."},
    {"test-unconditioned", OPT_FLAG, FIELD(test_unconditioned), NULL, NULL, NULL, "Write test pairs once, without a goal."},
    {"Other", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"compat", OPT_CHOICE, FIELD(compat), NULL, NULL, "paper-nosys-bug",
     "paper-nosys-bug: what the released code writes for models without a system turn: nothing swapped, and the goal twice in the rejected "
     "conversation of the second half. For reproducing its data only."},
    CLI_FIELD_ROW(FIELD(fields)),
    {"on-bad-row", OPT_CHOICE, FIELD(on_bad_row), NULL, "stop", "stop|skip",
     "stop at a broken row, or skip it, count it and keep it in OUTPUT.rejected.jsonl."},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print the counts on stdout as JSON."},
};

const struct opt_spec cmd_augment_spec = {
    .command = "augment",
    .summary = "relabel scored pairs with goals: the method, its controls and ablations",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt augment --input pairs.jsonl --output train.jsonl\n"
               "rapt augment --input pairs.jsonl --output train.jsonl --split 0.1 --test-output test.jsonl\n"
               "rapt augment --input pairs.jsonl --output null.jsonl --mode random-order",
    .notes = "The two rows of a pair follow each other: goal_of \"chosen\", then \"rejected\", with one source_row (the number of the "
             "input row;\n"
             "under --rule all of the pair). Under --placement system and after, strings become messages. Other fields ride along.",
};

/* A template takes a system turn when a probe render neither fails nor loses its text. */
static status decide_placement(enum goal_placement *out, const char *model, const char *kwargs) {
    struct encoder encoder = {0};
    status s = encoder_open(&encoder, model);
    if (s == ST_OK && encoder.chat) s = encoder_set_kwargs(&encoder, kwargs, &(struct kwargs_places){.model = model});
    if (s == ST_OK && !encoder.chat) s = FAIL(ST_UNSUPPORTED, "%s: --placement auto needs a chat template: %s", model, encoder.why_no_chat);
    if (s == ST_OK) *out = chat_has_system(encoder.chat) ? GOAL_SYSTEM : GOAL_USER;
    if (s == ST_OK) log_info("placement: %s", goal_placement_name(*out));
    encoder_release(&encoder);
    return s;
}

static status read_style(struct goal_style *style, const struct augment_cli *o) {
    if (o->template && o->template_file) return FAIL(ST_USAGE, "--goal-template and --goal-template-file exclude each other");
    if (o->template_file) {
        struct buf text = {0};
        status s = file_read(&text, o->template_file);
        if (s == ST_OK) {
            if (text.size && text.data[text.size - 1] == '\n') text.data[--text.size] = '\0';
            if (text.size && text.data[text.size - 1] == '\r') text.data[--text.size] = '\0';
            goal_style_set_text(style, buf_text(&text));
        }
        buf_release(&text);
        TRY(s);
    } else if (o->template) {
        goal_style_set_text(style, o->template);
    } else if (o->tokens) {
        goal_style_set_text(style, "{s}");
    }
    if (o->tokens) goal_style_set_tokens(style, o->tokens);
    style->placement = goal_placement_parse(o->placement);
    if ((style->placement == GOAL_AUTO) != (o->model != NULL)) return FAIL(ST_USAGE, "--placement auto and --model M go together");
    if (o->kwargs && !o->model)
        return FAIL(ST_USAGE, "--chat-template-kwargs has no effect without --placement auto, which renders a template");
    if (o->model) TRY(decide_placement(&style->placement, o->model, o->kwargs));
    if (o->kwargs) style->kwargs = mem_text(o->kwargs);
    style->quantum = o->quantize;
    TRY(cli_attributes_read(style, &o->attributes));
    if (style->attribute_count && o->tokens) return FAIL(ST_USAGE, "--goal-tokens and --attributes exclude each other");
    if (style->attribute_count) return ST_OK; /* read_attributes goes on */
    TRY(cli_range(&style->low, &style->high, "score-range", o->score_range));
    return goal_style_check(style);
}

static bool given(const struct opt_result *r, const char *name) { return opt_given(r, &cmd_augment_spec, name); }

/* The rest of a style of several attributes, whose scales may have to be found in the data. */
static status read_attributes(struct goal_style *style, struct augment_options *a, const struct augment_cli *o,
                              const struct opt_result *r) {
    if (!style->attribute_count) return ST_OK;
    if (o->compat) return FAIL(ST_USAGE, "--compat %s and --attributes exclude each other", o->compat);
    if (given(r, "score-range")) TRY(cli_attributes_scales(style, o->score_range));
    if (o->score_from) TRY(cli_attributes_from(a->attribute_from, style, o->score_from));
    TRY(cli_attributes_finish(style, &o->attributes, a));
    if (!o->template && !o->template_file) goal_style_default_lines(style);
    return goal_style_check(style);
}

/* Goals as they are printed. */
static status read_list(struct goal_list *list, const struct goal_style *style, const char *option, const char *expected,
                        const char *text) {
    const size_t before = list->count;
    if (style->attribute_count) {
        status s = goal_parse_list(list, style, text, NULL);
        if (s == ST_OK && list->count == before) s = FAIL(ST_USAGE, "no goal");
        if (s != ST_OK) return status_note(s, "--%s: ", option);
    }
    for (const char *at = text; !style->attribute_count;) {
        char *end;
        const struct goal goal = goal_of_score(strtod(at, &end));
        if (end == at || !isfinite(goal.value[0]) || (*end && *end != ','))
            return FAIL(ST_USAGE, "--%s expects %snumbers such as 2,5,10; found '%s'", option, expected, text);
        goal_list_add(list, &goal);
        if (!*end) break;
        at = end + 1;
    }
    for (size_t i = before; i < list->count; i++) list->items[i] = goal_printed(style, &list->items[i]);
    return ST_OK;
}

static status read_goals(struct augment_options *a, struct goal_list *list, const char *text) {
    a->goals = AUGMENT_GOALS_OWN;
    if (strcmp(text, "own") == 0) return ST_OK;
    a->goals = AUGMENT_GOALS_PROMPT;
    if (strcmp(text, "prompt") == 0) return ST_OK;
    a->goals = AUGMENT_GOALS_LIST;
    TRY(read_list(list, a->style, "goals", "own, prompt or ", text));
    a->goal_list = list->items;
    a->goal_count = list->count;
    return ST_OK;
}

/* Goals that options name; freed by lists_release. */
struct lists {
    struct goal_list goals, test, without;
};

static void lists_release(struct lists *l) {
    goal_list_release(&l->goals);
    goal_list_release(&l->test);
    goal_list_release(&l->without);
}

/* Two that print the same would be one row twice. */
static status read_test_goals(struct augment_options *a, struct goal_list *list, const char *text) {
    if (!text) return ST_OK;
    TRY(read_list(list, a->style, "test-goals", "", text));
    a->test_goals = list->items;
    a->test_goal_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!goal_equal(&list->items[i], &list->items[j])) continue;
            struct buf name = {0};
            goal_put_name(&name, a->style, &list->items[i]);
            status s = FAIL(ST_USAGE, "--test-goals has %s twice (after --quantize)", buf_text(&name));
            buf_release(&name);
            return s;
        }
    }
    return ST_OK;
}

/* I/N, 2 <= N <= 1000. */
static status read_fold(struct augment_options *a, const char *text) {
    long i = 0, n = 0;
    char *end;
    if (!text) return ST_OK;
    i = strtol(text, &end, 10);
    if (end > text && *end == '/') n = strtol(end + 1, &end, 10);
    if (*end || n < 2 || n > 1000 || i < 1 || i > n) return FAIL(ST_USAGE, "--fold expects I/N such as 1/2, found '%s'", text);
    a->fold = (size_t)i - 1;
    a->folds = (size_t)n;
    return ST_OK;
}

/* Options that would have no effect are refused, with the reason. */
static status check_effects(const struct augment_options *a, const struct augment_cli *o, const struct opt_result *r) {
    const bool split = a->test_output != NULL, test_goals = split && !a->test_unconditioned;
    if (given(r, "split") != split) return FAIL(ST_USAGE, "--split F and --test-output FILE go together");
    if (split && !(a->test_split > 0 && a->test_split <= 1)) return FAIL(ST_USAGE, "--split must lie above 0, and be 1 (all) at most");
    if (split && !(a->test_split < 1)) {
        static const char *const training[] = {"mode", "goals", "goal-dropout", "swap", "fold", "without-goals", "compat"};
        for (size_t i = 0; i < sizeof training / sizeof training[0]; i++)
            if (given(r, training[i]))
                return FAIL(ST_USAGE, "--%s has no effect with --split 1, which leaves no training rows", training[i]);
    }
    if (o->test_unconditioned && !split) return FAIL(ST_USAGE, "--test-unconditioned has no effect without --split and --test-output");
    if (o->test_goals && !split) return FAIL(ST_USAGE, "--test-goals has no effect without --split and --test-output");
    if (o->test_goals && a->test_unconditioned) return FAIL(ST_USAGE, "--test-goals and --test-unconditioned exclude each other");
    if (a->mode == AUGMENT_PLAIN) {
        static const char *const no_goal[] = {"goals", "goal-dropout", "swap", "compat"};
        for (size_t i = 0; i < sizeof no_goal / sizeof no_goal[0]; i++)
            if (given(r, no_goal[i])) return FAIL(ST_USAGE, "--%s has no effect with --mode plain", no_goal[i]);
        static const char *const text_only[] = {"goal-template", "goal-template-file", "goal-tokens"};
        for (size_t i = 0; i < sizeof text_only / sizeof text_only[0]; i++)
            if (!test_goals && given(r, text_only[i])) return FAIL(ST_USAGE, "--%s has no effect with --mode plain", text_only[i]);
        if (a->ties == AUGMENT_TIES_PLAIN) return FAIL(ST_USAGE, "--ties plain has no effect with --mode plain; --ties keep keeps them");
    }
    if (a->mode == AUGMENT_SFT) {
        static const char *const pairs_only[] = {"rule",           "on-disagree", "top",       "min-margin", "max-margin",
                                                 "length-penalty", "tie-break",   "max-pairs", "ties"};
        for (size_t i = 0; i < sizeof pairs_only / sizeof pairs_only[0]; i++)
            if (given(r, pairs_only[i]) && (!split || strcmp(pairs_only[i], "ties") == 0))
                return FAIL(ST_USAGE, "--%s has no effect with --mode sft, which writes each response by itself", pairs_only[i]);
    }
    if (a->goals != AUGMENT_GOALS_OWN && a->mode != AUGMENT_OWN)
        return FAIL(ST_USAGE, "--goals %s goes with --mode own; --mode %s takes the pair's own goals", o->goals, o->mode);
    if (a->goals != AUGMENT_GOALS_OWN && a->ties == AUGMENT_TIES_KEEP)
        return FAIL(ST_USAGE, "--ties keep has no effect with --goals %s: every goal is as far from both scores of a tie", o->goals);
    if (a->mode == AUGMENT_SHUFFLED && a->on_disagree == AUGMENT_DISAGREE_KEEP)
        return FAIL(ST_USAGE,
                    "--mode shuffled hands goals to other pairs, the higher to the chosen response: --on-disagree drop or relabel");
    if (a->mode == AUGMENT_SHUFFLED && strcmp(a->input, "-") == 0)
        return FAIL(ST_USAGE, "--mode shuffled reads its input twice; - cannot be");
    if (a->paper_nosys_bug && (a->mode != AUGMENT_OWN || a->goals != AUGMENT_GOALS_OWN || a->style->placement != GOAL_USER))
        return FAIL(ST_USAGE, "--compat paper-nosys-bug goes with --mode own --goals own --placement user");
    return ST_OK;
}

static status check_values(const struct augment_options *a, const struct augment_cli *o) {
    if (!(a->goal_dropout >= 0 && a->goal_dropout <= 1)) return FAIL(ST_USAGE, "--goal-dropout must lie in 0 .. 1");
    if (o->limit < 0) return FAIL(ST_USAGE, "--limit must be 0 or more");
    if (o->json && (strcmp(a->output, "-") == 0 || (a->test_output && strcmp(a->test_output, "-") == 0)))
        return FAIL(ST_USAGE, "--json and an output of - would both write to stdout");
    if (a->test_output && strcmp(a->test_output, a->output) == 0) return FAIL(ST_USAGE, "--output and --test-output are the same file");
    return ST_OK;
}

static status read_options(struct augment_options *a, struct lists *lists, const struct augment_cli *o, const struct opt_result *r) {
    if (!o->swap) {
        if (a->mode != AUGMENT_OWN && a->mode != AUGMENT_PLAIN) return FAIL(ST_USAGE, "--no-swap goes with --mode own");
        if (a->mode == AUGMENT_OWN) a->mode = AUGMENT_PREFIX_ONLY;
    }
    a->ties = strcmp(o->ties, "drop") == 0 ? AUGMENT_TIES_DROP : strcmp(o->ties, "keep") == 0 ? AUGMENT_TIES_KEEP : AUGMENT_TIES_PLAIN;
    a->on_disagree = strcmp(o->on_disagree, "drop") == 0      ? AUGMENT_DISAGREE_DROP
                     : strcmp(o->on_disagree, "relabel") == 0 ? AUGMENT_DISAGREE_RELABEL
                                                              : AUGMENT_DISAGREE_KEEP;
    TRY(pair_rules_from_flags(&a->rules, &o->pairing, r, &cmd_augment_spec, o->seed));
    a->map_scores = o->score_from != NULL && !a->style->attribute_count;
    if (a->map_scores) TRY(cli_range(&a->from_low, &a->from_high, "score-from", o->score_from));
    TRY(read_goals(a, &lists->goals, o->goals));
    TRY(read_test_goals(a, &lists->test, o->test_goals));
    if (o->without_goals) TRY(read_list(&lists->without, a->style, "without-goals", "", o->without_goals));
    a->without_goals = lists->without.items;
    a->without_goal_count = lists->without.count;
    TRY(read_fold(a, o->fold));
    TRY(check_values(a, o));
    return check_effects(a, o, r);
}

static void print_counts(const struct augment_counts *counts, bool json) {
    const struct cli_count list[] = {AUGMENT_COUNT_MAP(CLI_COUNT)};
    cli_counts_print(list, sizeof list / sizeof list[0], json);
    if (counts->goals_above_both)
        log_warn("under a goal above both scores the higher-scored response is preferred, however low it is: %" PRIu64 " rows",
                 counts->goals_above_both);
    if (counts->scores_off_scale)
        log_warn("%" PRIu64 " scores lie outside the scale that the goal's text names; see --score-range, --score-from",
                 counts->scores_off_scale);
}

status cmd_augment_run(int argc, char **argv) {
    struct augment_cli o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_augment_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.input || !o.output) return FAIL(ST_USAGE, "rapt augment expects --input FILE and --output FILE");
    struct goal_style style;
    goal_style_default(&style);
    struct augment_options a = {.input = o.input,
                                .output = o.output,
                                .test_output = o.test_output,
                                .test_split = o.split,
                                .test_unconditioned = o.test_unconditioned,
                                .mode = augment_mode_parse(o.mode),
                                .goal_dropout = o.goal_dropout,
                                .style = &style,
                                .on_bad_row = strcmp(o.on_bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP,
                                .paper_nosys_bug = o.compat != NULL,
                                .limit = (uint64_t)o.limit,
                                .seed = (uint64_t)o.seed};
    struct augment_counts counts;
    struct lists lists = {0};
    struct pair_exclude exclude = {0};
    struct source_map map;
    status s = cli_fields(&map, &o.fields);
    a.map = &map;
    if (s == ST_OK) s = read_style(&style, &o);
    if (s == ST_OK) s = read_attributes(&style, &a, &o, &result);
    if (s == ST_OK && o.exclude) s = pair_exclude_load(&exclude, o.exclude);
    a.exclude = &exclude;
    if (s == ST_OK) s = read_options(&a, &lists, &o, &result);
    if (s == ST_OK) s = augment_run(&counts, &a);
    if (s == ST_OK) print_counts(&counts, o.json);
    if (s == ST_OK && !counts.rows_written) log_warn("%s: no row of %s became a training row", a.output, a.input);
    if (s == ST_OK && a.test_output && !counts.test_rows_written) log_warn("%s: no row of %s was put aside for it", a.test_output, a.input);
    lists_release(&lists);
    pair_exclude_release(&exclude);
    goal_style_release(&style);
    return s;
}
