/* kl_table: distances of runs as JSON and as tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/kl.h"

static const char *const figure_names[KL_FIGURES] = {"kl", "kl_token", "achieved", "above"};
static const char *const headings[KL_FIGURES] = {"KL", "KL a token", "achieved", "above"};

static const struct goal_name *name_of(const struct eval_input *in, double goal) {
    return in->names && goal >= 0 && goal < (double)in->names->count ? &in->names->items[(size_t)goal] : NULL;
}

static void put_goal_name(struct buf *out, const struct eval_input *in, double goal) {
    const struct goal_name *name = name_of(in, goal);
    if (isnan(goal))
        buf_append_text(out, "none");
    else if (isinf(goal))
        buf_append_text(out, "all");
    else if (name)
        buf_append_text(out, name->text);
    else
        json_put_double(out, goal);
}

static void put_goal_key(struct buf *json, const struct eval_input *in, double goal) {
    struct buf name = {0};
    put_goal_name(&name, in, goal);
    json_put_text(json, buf_text(&name));
    buf_append_text(json, ": ");
    buf_release(&name);
}

/* Of the tables' first column. */
static size_t goal_width(const struct eval_input *in) {
    size_t width = 10;
    for (size_t i = 0; in->names && i < in->names->count; i++) {
        const size_t n = strlen(in->names->items[i].text) + 2;
        if (n > width) width = n;
    }
    return width;
}

static void pad_to(struct buf *text, size_t from, size_t width) {
    while (text->size < from + width) buf_append_char(text, ' ');
}

static bool is_scored(const struct goal_samples *s) {
    for (size_t i = 0; i < s->count; i++)
        if (!isnan(s->items[i].score)) return true;
    return false;
}

/* Do the runs have this figure? Scores and a threshold are not always there. */
static bool has(const struct eval_input *in, enum kl_figure figure) {
    bool scored = false;
    if (figure == KL_SEQUENCE || figure == KL_TOKEN) return true;
    for (size_t i = 0; i < in->run_count && !scored; i++) scored = is_scored(&in->samples[i]);
    return scored && (figure != KL_ABOVE || !isnan(in->above));
}

static void put_head(struct buf *text, const struct eval_input *in, const char *second, bool token) {
    buf_printf(text, "%-*s%s", (int)goal_width(in), "goal", second);
    for (int f = 0; f < KL_FIGURES; f++) {
        const size_t from = text->size;
        if (!has(in, (enum kl_figure)f) || (f == KL_TOKEN && !token)) continue;
        buf_append_text(text, headings[f]);
        if (f == KL_ABOVE) buf_printf(text, " %g", in->above);
        pad_to(text, from, 24);
    }
    estimate_end_line(text);
}

/* The figures at one goal: an object without its end, and a line. */
static status put_at(struct buf *json, struct buf *text, const struct goal_samples *s, const struct eval_input *in, double goal) {
    size_t from = text->size;
    put_goal_name(text, in, goal);
    pad_to(text, from, goal_width(in));
    buf_append_char(json, '{');
    for (int f = 0; f < KL_FIGURES; f++) {
        struct estimate e;
        if (!has(in, (enum kl_figure)f)) continue;
        TRY(kl_estimate(&e, s, &in->bootstrap, (enum kl_figure)f, goal, in->above));
        buf_printf(json, "%s\"%s\": ", f ? ", " : "", figure_names[f]);
        estimate_json(json, &e);
        if (f == 0) buf_printf(text, "%-7zu", e.n);
        estimate_text(text, &e);
    }
    estimate_end_line(text);
    return ST_OK;
}

static status put_span(struct buf *json, struct buf *text, const struct goal_samples *s, const struct eval_input *in) {
    struct estimate e;
    if (!is_scored(s) || s->goal_count < 2 || name_of(in, s->goals[0])) return ST_OK;
    TRY(kl_difference(&e, s, s->goals[s->goal_count - 1], s, s->goals[0], &in->bootstrap, KL_ACHIEVED, in->above));
    buf_append_text(json, ", \"span\": ");
    estimate_json(json, &e);
    buf_printf(text, "achieved at %g minus achieved at %g: ", s->goals[s->goal_count - 1], s->goals[0]);
    estimate_text(text, &e);
    estimate_end_line(text);
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const struct goal_samples *s, const struct eval_input *in) {
    const size_t points = s->goal_count + s->without_goal;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, s->name);
    buf_printf(json, ", \"samples\": %zu, \"prompts\": %zu, \"unscored\": %zu, \"curve\": {", s->count, s->prompts, s->unscored);
    buf_printf(text, "%s: %zu samples of %zu prompts; nats from the reference\n", s->name, s->count, s->prompts);
    put_head(text, in, "n      ", true);
    for (size_t g = 0; g < points; g++) {
        const double goal = g < s->goal_count ? s->goals[g] : (double)NAN;
        if (g) buf_append_text(json, ", ");
        put_goal_key(json, in, goal);
        TRY(put_at(json, text, s, in, goal));
        buf_append_char(json, '}');
    }
    buf_append_text(json, "}, \"overall\": {\"all\": ");
    if (points < 2) { /* the same again: in JSON only */
        struct buf none = {0};
        const status code = put_at(json, &none, s, in, KL_ALL);
        buf_release(&none);
        TRY(code);
    } else {
        TRY(put_at(json, text, s, in, KL_ALL));
    }
    TRY(put_span(json, text, s, in));
    buf_append_text(json, "}}}");
    buf_append_char(text, '\n');
    return ST_OK;
}

/* s at one goal minus other at another: JSON members without braces, and cells of a line. */
static status put_minus(struct buf *json, struct buf *text, const struct goal_samples *s, double goal, const struct goal_samples *other,
                        double other_goal, const struct eval_input *in) {
    bool first = true;
    for (int f = 0; f < KL_FIGURES; f++) {
        struct estimate e;
        if (f == KL_TOKEN || !has(in, (enum kl_figure)f)) continue;
        TRY(kl_difference(&e, s, goal, other, other_goal, &in->bootstrap, (enum kl_figure)f, in->above));
        buf_printf(json, "%s\"%s\": ", first ? "" : ", ", figure_names[f]);
        estimate_json(json, &e);
        estimate_text(text, &e);
        first = false;
    }
    estimate_end_line(text);
    return ST_OK;
}

static bool has_goal(const struct goal_samples *s, double goal) {
    for (size_t g = 0; g < s->goal_count; g++)
        if (s->goals[g] == goal) return true;
    return isnan(goal) && s->without_goal;
}

static status put_difference(struct buf *json, struct buf *text, const struct goal_samples *s, const struct goal_samples *first,
                             const struct eval_input *in) {
    bool any = false;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, s->name);
    buf_append_text(json, ", \"minus\": ");
    json_put_text(json, first->name);
    buf_append_text(json, ", \"at\": {");
    buf_printf(text, "%s minus %s, the same prompts\n", s->name, first->name);
    put_head(text, in, "", false);
    for (size_t g = 0; g <= s->goal_count; g++) {
        const double goal = g < s->goal_count ? s->goals[g] : (double)NAN;
        const size_t from = text->size;
        if (!has_goal(s, goal) || !has_goal(first, goal)) continue;
        if (any) buf_append_text(json, ", ");
        put_goal_key(json, in, goal);
        buf_append_char(json, '{');
        put_goal_name(text, in, goal);
        pad_to(text, from, goal_width(in));
        TRY(put_minus(json, text, s, goal, first, goal, in));
        buf_append_char(json, '}');
        any = true;
    }
    buf_append_text(json, "}, \"overall\": {");
    buf_printf(text, "%-*s", (int)goal_width(in), "all");
    TRY(put_minus(json, text, s, KL_ALL, first, KL_ALL, in));
    buf_append_text(json, "}}");
    buf_append_char(text, '\n');
    return ST_OK;
}

double kl_ratio(double a, double b) { return a > 0 && b > 0 ? fmax(a, b) / fmin(a, b) : (double)NAN; }

/* Of the runs without goals the one whose KL is nearest to `kl`, and that KL; SIZE_MAX: there is none. */
static status nearest(size_t *out, double *found, const struct eval_input *in, double kl) {
    double best = INFINITY;
    *out = SIZE_MAX;
    *found = NAN;
    for (size_t i = 1; i < in->run_count; i++) {
        struct estimate e;
        if (in->samples[i].goal_count) continue;
        TRY(kl_estimate(&e, &in->samples[i], &in->bootstrap, KL_SEQUENCE, (double)NAN, in->above));
        if (e.n && fabs(e.value - kl) < best) best = fabs(e.value - kl), *out = i, *found = e.value;
    }
    return ST_OK;
}

/* Each goal of the first run beside the run without goals that is nearest to as far from the reference, and whether it is as far. */
static status put_matched(struct buf *json, struct buf *text, const struct eval_input *in) {
    const struct goal_samples *first = &in->samples[0];
    buf_append_text(json, ", \"matched\": [");
    for (size_t g = 0; g < first->goal_count; g++) {
        struct estimate own;
        double other;
        size_t at, from;
        TRY(kl_estimate(&own, first, &in->bootstrap, KL_SEQUENCE, first->goals[g], in->above));
        TRY(nearest(&at, &other, in, own.value));
        if (at == SIZE_MAX) break;
        if (g == 0) {
            buf_printf(text,
                       "matched: of the runs without goals the one nearest in KL to %s at each goal; %s minus that run, the same prompts. "
                       "KL ratio: the larger by the\n"
                       "smaller; matched up to %g\n",
                       first->name, first->name, KL_MATCHED_RATIO);
            put_head(text, in, "run                 KL ratio  as far?               ", false);
        }
        buf_append_text(json, g ? ", {\"goal\": " : "{\"goal\": ");
        if (name_of(in, first->goals[g]))
            buf_append_text(json, name_of(in, first->goals[g])->json);
        else
            json_put_double(json, first->goals[g]);
        buf_append_text(json, ", \"name\": ");
        json_put_text(json, in->samples[at].name);
        const double ratio = kl_ratio(own.value, other);
        const bool matched = ratio <= KL_MATCHED_RATIO;
        buf_append_text(json, ", \"kl_ratio\": ");
        json_put_double(json, ratio);
        buf_printf(json, ", \"matched\": %s, \"difference\": {", matched ? "true" : "false");
        from = text->size;
        put_goal_name(text, in, first->goals[g]);
        pad_to(text, from, goal_width(in));
        buf_printf(text, "%-19s ", in->samples[at].name);
        if (isnan(ratio))
            buf_printf(text, "%-10s", "-");
        else
            buf_printf(text, "%-10.2f", ratio);
        buf_printf(text, "%-22s", matched ? "matched" : "nearest, not matched");
        TRY(put_minus(json, text, first, first->goals[g], &in->samples[at], (double)NAN, in));
        buf_append_text(json, "}}");
    }
    buf_append_char(json, ']');
    return ST_OK;
}

static status put_all(struct buf *json, struct buf *text, const struct eval_input *in) {
    for (size_t i = 0; i < in->run_count; i++) {
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, &in->samples[i], in));
    }
    buf_append_text(json, "], \"differences\": [");
    for (size_t i = 1; i < in->run_count; i++) {
        if (i > 1) buf_append_text(json, ", ");
        TRY(put_difference(json, text, &in->samples[i], &in->samples[0], in));
    }
    buf_append_char(json, ']');
    return put_matched(json, text, in);
}

status kl_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    if (!isnan(in->above) && !has(in, KL_ABOVE)) return FAIL(ST_MISMATCH, "--above: no response has a score (rapt score gives them)");
    buf_append_text(json, "{\"task\": \"kl\", ");
    if (!isnan(in->above)) {
        buf_append_text(json, "\"above\": ");
        json_put_double(json, in->above);
        buf_append_text(json, ", ");
    }
    buf_append_text(json, "\"runs\": [");
    TRY(put_all(json, text, in));
    buf_append_text(json, "}\n");
    return ST_OK;
}
