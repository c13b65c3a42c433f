/* rapt eval arena-hard: scores against a baseline from a judge's verdicts. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_eval.h"
#include "cli/cmd.h"
#include "eval/arena_hard.h"
#include "eval/bench_judge.h"

struct options {
    struct opt_list judgments, answers;
    const char *version, *baseline, *category, *output;
    bool style, json;
    int64_t rounds, seed;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"judgments", OPT_LIST, FIELD(judgments), "F.jsonl", NULL, NULL,
     "rows with question_id (v2: uid), model and two games with a score, A>>B to B>>A; in the first the baseline is A"},
    {"bench", OPT_CHOICE, FIELD(version), NULL, "v2", "v0.1|v2", "the formulas of Arena-Hard v0.1 or v2"},
    {"baseline", OPT_STR, FIELD(baseline), "NAME", NULL, NULL,
     "the model it is compared with; default v0.1 gpt-4-0314, v2 that of the category: o3-mini-2025-01-31, of creative_writing "
     "gemini-2.0-flash-001"},
    {"category", OPT_STR, FIELD(category), "NAME", NULL, NULL, "v2: rows of this category; default hard_prompt"},
    {"style-control", OPT_FLAG, FIELD(style), NULL, NULL, NULL,
     "v2: with length and markdown as further causes of a verdict; needs --answers"},
    {"answers", OPT_LIST, FIELD(answers), "F.jsonl", NULL, NULL,
     "v2's answer files of all models and the baseline: uid, model, metadata {token_len, header_count, list_count, bold_count}"},
    {"rounds", OPT_INT, FIELD(rounds), "N", "100", NULL, "of the bootstrap"},
    {"seed", OPT_INT, FIELD(seed), "N", "42", NULL, "of the bootstrap: numpy.random.seed"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print JSON instead of a table."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

const struct opt_spec cmd_eval_arena_hard_spec = {
    .command = "eval arena-hard",
    .summary = "Arena-Hard v0.1 and v2: scores against a baseline from a judge's verdicts, with style control.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt eval arena-hard --bench v0.1 --judgments model_judgment/gpt-4-1106-preview/mine.jsonl\n"
               "rapt eval arena-hard --judgments mine.jsonl --style-control --answers mine-answers.jsonl,baseline-answers.jsonl",
    .notes = "docs/evaluation.md has the formulas.",
};

static void put_scores(struct buf *json, struct buf *text, const struct options *o, const struct arena_set *s,
                       const struct arena_score *scores, const double *styles) {
    static const char *const names[ARENA_STYLES] = {"length", "headers", "lists", "bold"};
    const double level = 1 - 2 * arena_hard_tail(s->version);
    buf_printf(json, "{\"task\": \"arena-hard\", \"bench\": \"%s\", \"level\": ", o->version);
    json_put_double(json, level);
    buf_append_text(json, ", \"baseline\": ");
    json_put_text(json, s->baseline);
    if (s->category) {
        buf_append_text(json, ", \"category\": ");
        json_put_text(json, s->category);
    }
    buf_printf(json, ", \"battles\": %zu, \"games_without_verdict\": %zu, \"style_control\": %s, \"models\": [", s->count, s->skipped,
               o->style ? "true" : "false");
    buf_printf(text, "Arena-Hard %s against %s%s: %zu battles, %g%% intervals\n", o->version, s->baseline,
               o->style ? ", style control" : "", s->count, 100 * level);
    for (size_t i = 0; i < s->model_count; i++) {
        const struct arena_score *x = &scores[i];
        buf_append_text(json, i ? ", {\"model\": " : "{\"model\": ");
        json_put_text(json, s->models[x->model]);
        buf_printf(json, ", \"battles\": %zu, \"score\": ", x->battles);
        json_put_double(json, x->score);
        buf_append_text(json, ", \"low\": ");
        json_put_double(json, x->low);
        buf_append_text(json, ", \"high\": ");
        json_put_double(json, x->high);
        buf_append_char(json, '}');
        buf_printf(text, "  %-30s %5.1f  (%+.1f / %+.1f)\n", s->models[x->model], x->score, x->low - x->score, x->high - x->score);
    }
    buf_append_char(json, ']');
    for (size_t k = 0; o->style && k < ARENA_STYLES; k++) {
        buf_printf(json, "%s\"%s\": ", k ? ", " : ", \"styles\": {", names[k]);
        json_put_double(json, styles[k]);
        buf_printf(text, "%s%s %.3f", k ? ", " : "  styles: ", names[k], styles[k]);
    }
    buf_append_text(json, o->style ? "}}\n" : "}\n");
    if (o->style) buf_append_char(text, '\n');
    if (s->skipped) buf_printf(text, "  %zu games without a verdict are left out\n", s->skipped);
}

static status evaluate(const struct options *o, struct arena_set *s) {
    const struct arena_params params = {(size_t)o->rounds, (uint32_t)o->seed};
    double styles[ARENA_STYLES] = {0};
    struct buf json = {0}, text = {0};
    for (size_t i = 0; i < o->judgments.count; i++) TRY(arena_hard_load(s, o->judgments.items[i]));
    if (!s->count)
        return FAIL(ST_FORMAT, "no battles in the judgements%s%s", s->category ? " of the category " : "", s->category ? s->category : "");
    if (s->count > UINT32_MAX) return FAIL(ST_UNSUPPORTED, "more than %lu battles", (unsigned long)UINT32_MAX);
    if (o->style) TRY(arena_hard_load_styles(s, o->answers.items, o->answers.count));
    struct arena_score *scores = mem_zero(s->model_count, sizeof *scores);
    status code = ST_OK;
    if (o->style)
        code = arena_hard_scores_styled(scores, styles, s, &params);
    else
        arena_hard_scores(scores, s, &params);
    if (code == ST_OK) put_scores(&json, &text, o, s, scores, styles);
    if (code == ST_OK) code = cli_put_results(&json, &text, o->output, o->json);
    free(scores);
    buf_release(&json);
    buf_release(&text);
    return code;
}

/* What eval judge compares with, unless it is told. */
static status find_baseline(char **out, const struct options *o, enum arena_version version, const char *category) {
    struct yaml prompts;
    const char *text = bench_prompts_arena(), *name = o->baseline;
    CHECK(yaml_parse(&prompts, "prompts/arena_hard.yaml", text, strlen(text)) == ST_OK); /* built in */
    if (!name) name = arena_hard_baseline(&prompts, version, category);
    *out = name ? mem_text(name) : NULL;
    yaml_release(&prompts);
    return *out ? ST_OK : FAIL(ST_USAGE, "--category %s has no baseline of its own; give --baseline NAME", category);
}

status cmd_eval_arena_hard_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_arena_hard_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    const bool v2 = strcmp(o.version, "v2") == 0;
    if (!o.judgments.count) return FAIL(ST_USAGE, "--judgments FILE is needed");
    if (!v2 && (o.style || o.category)) return FAIL(ST_USAGE, "--%s is of --bench v2", o.style ? "style-control" : "category");
    if (o.style != (o.answers.count > 0)) return FAIL(ST_USAGE, "--style-control and --answers go together");
    if (o.rounds < 10 || o.rounds > 100000) return FAIL(ST_USAGE, "--rounds expects 10 to 100000");
    if (o.seed < 0 || o.seed > UINT32_MAX) return FAIL(ST_USAGE, "--seed expects 0 to %lu", (unsigned long)UINT32_MAX);
    struct arena_set set = {.version = v2 ? ARENA_V2 : ARENA_V01, .keep_questions = o.style};
    const char *category = o.category ? o.category : "hard_prompt";
    TRY(find_baseline(&set.baseline, &o, set.version, category));
    set.category = v2 ? mem_text(category) : NULL;
    const status s = evaluate(&o, &set);
    arena_hard_release(&set);
    return s;
}
