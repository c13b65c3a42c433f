/* goal_curve_table: the goal curves of runs as JSON and as a table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/goal_curve.h"

static const char *const figure_names[CURVE_FIGURES] = {"achieved", "words", "tokens", "repetition", "ended", "above"};
static const char *const overall_names[CURVE_OVERALL] = {"tau", "span", "calibration_error", "absolute_error"};

static void put_goal_name(struct buf *out, const struct goal_samples *s, size_t goal) {
    if (goal == SIZE_MAX)
        buf_append_text(out, "none");
    else
        json_put_double(out, s->goals[goal]);
}

static status put_goal(struct buf *json, struct buf *text, const struct goal_samples *s, const struct eval_input *in, size_t goal) {
    struct buf name = {0};
    put_goal_name(&name, s, goal);
    buf_printf(json, "\"%s\": {", buf_text(&name));
    buf_printf(text, "%-10s", buf_text(&name));
    buf_release(&name);
    for (int f = 0; f < CURVE_FIGURES; f++) {
        struct estimate e = {0};
        if (f == CURVE_ABOVE && isnan(in->above)) break;
        TRY(goal_curve_at(&e, s, &in->bootstrap, (enum curve_figure)f, goal, in->above));
        buf_printf(json, "%s\"%s\": ", f ? ", " : "", figure_names[f]);
        estimate_json(json, &e);
        if (f == 0) buf_printf(text, "%-7zu", e.n);
        estimate_text(text, &e);
    }
    buf_append_char(json, '}');
    estimate_end_line(text);
    return ST_OK;
}

static status put_curve(struct buf *json, struct buf *text, const struct goal_samples *s, const struct eval_input *in) {
    buf_printf(text, "%-10s%-7s", "goal", "n");
    for (int f = 0; f < CURVE_FIGURES - 1; f++) buf_printf(text, "%-24s", figure_names[f]);
    if (!isnan(in->above)) buf_printf(text, "above %g", in->above);
    estimate_end_line(text);
    for (size_t g = 0; g < s->goal_count; g++) {
        if (g) buf_append_text(json, ", ");
        TRY(put_goal(json, text, s, in, g));
    }
    if (!s->without_goal) return ST_OK;
    if (s->goal_count) buf_append_text(json, ", ");
    return put_goal(json, text, s, in, SIZE_MAX);
}

static void put_named(struct buf *json, struct buf *text, const char *name, const struct estimate *e, bool first) {
    buf_printf(json, "%s\"%s\": ", first ? "" : ", ", name);
    estimate_json(json, e);
    buf_printf(text, "%-18s", name);
    estimate_text(text, e);
    estimate_end_line(text);
}

/* `above` is one where it is asked for. */
static int figures_of(const struct eval_input *in) { return isnan(in->above) ? CURVE_ABOVE : CURVE_FIGURES; }

static status put_overall(struct buf *json, struct buf *text, const struct goal_curve *c, const struct eval_input *in) {
    for (int i = 0; i < CURVE_OVERALL; i++) {
        struct estimate e;
        TRY(goal_curve_overall(&e, c, &in->bootstrap, (enum curve_overall)i));
        buf_printf(json, "%s\"%s\": ", i ? ", " : "", overall_names[i]);
        estimate_json(json, &e);
        buf_printf(text, "%-18s", overall_names[i]);
        estimate_text(text, &e);
        if (i == CURVE_TAU) buf_printf(text, "of %zu prompts, %zu with one score whatever the goal", e.n, c->constant);
        estimate_end_line(text);
    }
    for (int f = CURVE_WORDS; f < figures_of(in); f++) {
        struct estimate e;
        TRY(goal_curve_at(&e, c->samples, &in->bootstrap, (enum curve_figure)f, c->samples->goal_count ? CURVE_ALL_GOALS : SIZE_MAX,
                          in->above));
        put_named(json, text, figure_names[f], &e, false);
    }
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const struct goal_curve *c, const struct eval_input *in) {
    const struct goal_samples *s = c->samples;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, s->name);
    buf_printf(json, ", \"samples\": %zu, \"prompts\": %zu, \"prompts_with_one_score\": %zu, \"unscored\": %zu, \"best\": ", s->count,
               s->prompts, c->constant, s->unscored);
    json_put_double(json, goal_curve_best(s));
    buf_append_text(json, ", \"curve\": {");
    buf_printf(text, "%s: %zu samples of %zu prompts\n", s->name, s->count, s->prompts);
    TRY(put_curve(json, text, s, in));
    buf_append_text(json, "}, \"overall\": {\"all\": {");
    TRY(put_overall(json, text, c, in));
    buf_append_text(json, "}}}");
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_difference(struct buf *json, struct buf *text, const struct goal_curve *c, const struct goal_curve *first,
                             const struct eval_input *in) {
    const struct goal_samples *s = c->samples;
    const struct bootstrap_params *p = &in->bootstrap;
    struct estimate e;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, s->name);
    buf_append_text(json, ", \"minus\": ");
    json_put_text(json, first->samples->name);
    buf_append_text(json, ", \"curve\": {");
    buf_printf(text, "%s minus %s, the same prompts and goals\n", s->name, first->samples->name);
    for (size_t g = 0; g < s->goal_count; g++) {
        struct buf name = {0}, label = {0};
        put_goal_name(&name, s, g);
        buf_printf(&label, "achieved at %s", buf_text(&name));
        TRY(goal_curve_cell_difference(&e, c, first, p, s->goals[g], CURVE_ACHIEVED));
        buf_printf(json, "%s\"%s\": ", g ? ", " : "", buf_text(&name));
        estimate_json(json, &e);
        buf_printf(text, "%-18s", buf_text(&label));
        estimate_text(text, &e);
        estimate_end_line(text);
        buf_release(&name);
        buf_release(&label);
    }
    buf_append_text(json, "}, \"overall\": {");
    TRY(goal_curve_cell_difference(&e, c, first, p, (double)NAN, CURVE_ACHIEVED));
    put_named(json, text, "achieved", &e, true);
    TRY(goal_curve_prompt_difference(&e, c, first, p, c->tau, first->tau));
    put_named(json, text, "tau", &e, false);
    TRY(goal_curve_prompt_difference(&e, c, first, p, c->span, first->span));
    put_named(json, text, "span", &e, false);
    TRY(goal_curve_calibration_difference(&e, c, first, p));
    put_named(json, text, "calibration_error", &e, false);
    TRY(goal_curve_cell_difference(&e, c, first, p, (double)NAN, CURVE_CELL_ERROR));
    put_named(json, text, "absolute_error", &e, false);
    for (int f = CURVE_WORDS; f < figures_of(in); f++) {
        TRY(goal_curve_cell_difference(&e, c, first, p, (double)NAN, f));
        put_named(json, text, figure_names[f], &e, false);
    }
    buf_append_text(json, "}}");
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_all(struct buf *json, struct buf *text, struct goal_curve *curves, const struct eval_input *in) {
    for (size_t i = 0; i < in->run_count; i++) {
        TRY(goal_curve_init(&curves[i], &in->samples[i], in->above));
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, &curves[i], in));
    }
    buf_append_text(json, "], \"differences\": [");
    for (size_t i = 1; i < in->run_count; i++) {
        if (i > 1) buf_append_text(json, ", ");
        TRY(put_difference(json, text, &curves[i], &curves[0], in));
    }
    return ST_OK;
}

status goal_curve_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    struct goal_curve *curves = mem_zero(in->run_count, sizeof *curves);
    buf_append_text(json, "{\"task\": \"goal-curve\", ");
    if (in->attribute) {
        buf_append_text(json, "\"attribute\": ");
        json_put_text(json, in->attribute);
        buf_append_text(json, ", ");
        buf_printf(text, "%s, as it was asked for and as it came out\n\n", in->attribute);
    }
    if (!isnan(in->above)) {
        buf_append_text(json, "\"above\": ");
        json_put_double(json, in->above);
        buf_append_text(json, ", ");
    }
    buf_append_text(json, "\"runs\": [");
    status code = put_all(json, text, curves, in);
    buf_append_text(json, "]}\n");
    for (size_t i = 0; i < in->run_count; i++) goal_curve_release(&curves[i]);
    free(curves);
    return code;
}
