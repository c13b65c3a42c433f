#include "eval/goal_accuracy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const figure_names[GOAL_FIGURES] = {"chosen", "rejected", "both", "strict", "flip", "flip_token"};
const char *const goal_kind_names[GOAL_KINDS] = {"implicit", "raw"};
static const char *const stratum_names[GOAL_STRATA] = {"all",           "straddling", "both_high", "both_low",
                                                       "gap_below_0.5", "gap_0.5_1",  "gap_1_3",   "gap_above_3"};

/* 1 when above 0, 0 when below, 1/2 on a tie, NaN stays. */
static double share(double x) { return isnan(x) ? (double)NAN : x > 0 ? 1 : x < 0 ? 0 : 0.5; }

static double per_token(double sum, int32_t tokens) { return sum / (tokens > 1 ? tokens : 1); }

static void pair_values(double *value, const double own[2], const double other[2], const int32_t own_tokens[2],
                        const int32_t other_tokens[2]) {
    double at_w = own[0] - own[1], at_l = other[0] - other[1]; /* the margin under r_w, under r_l */
    double chosen = share(at_w), rejected = share(-at_l);
    value[GOAL_CHOSEN] = chosen;
    value[GOAL_REJECTED] = rejected;
    value[GOAL_BOTH] = (chosen + rejected) / 2;
    value[GOAL_STRICT] = isnan(chosen) || isnan(rejected) ? (double)NAN : fmin(chosen, rejected);
    value[GOAL_FLIP] = share(at_w - at_l);
    value[GOAL_FLIP_TOKEN] = share((per_token(own[0], own_tokens[0]) - per_token(own[1], own_tokens[1])) -
                                   (per_token(other[0], other_tokens[0]) - per_token(other[1], other_tokens[1])));
}

/* In which attributes the goals of the two halves differ. */
static void compare_goals(struct goal_pair *pair, const struct logps_row *w, const struct logps_row *l, size_t attributes) {
    bool more = false, less = false;
    for (size_t i = 0; w->attributes && l->attributes && i < attributes; i++) {
        if (w->wanted[i] != l->wanted[i]) pair->differs |= (uint32_t)1 << i;
        more = more || w->wanted[i] > l->wanted[i];
        less = less || w->wanted[i] < l->wanted[i];
    }
    pair->opposed = more && less;
}

static void pair_fill(struct goal_pair *pair, const struct logps_row *w, const struct logps_row *l) {
    *pair = (struct goal_pair){.source_row = w->source_row, .cluster = w->cluster, .score = {w->score[0], w->score[1]}};
    double net_w[2], net_l[2];
    for (int i = 0; i < 2; i++) {
        net_w[i] = w->logp[i] - w->ref[i];
        net_l[i] = l->logp[i] - l->ref[i];
    }
    pair_values(pair->value[GOAL_IMPLICIT], net_w, net_l, w->tokens, l->tokens);
    pair_values(pair->value[GOAL_RAW], w->logp, l->logp, w->tokens, l->tokens);
}

static void free_fill(struct goal_free_pair *pair, const struct logps_row *row) {
    const double raw = row->logp[0] - row->logp[1];
    *pair = (struct goal_free_pair){row->source_row, row->cluster, {share(raw - (row->ref[0] - row->ref[1])), share(raw)}};
}

static status fill(struct goal_accuracy *g, const struct logps_rows *rows) {
    const size_t room = rows->count ? rows->count : 1;
    TRY(mem_try_alloc(&g->pairs, room, sizeof *g->pairs, "pairs"));
    TRY(mem_try_alloc(&g->free_pairs, room, sizeof *g->free_pairs, "pairs without goals"));
    for (size_t i = 0; i < rows->count; i++) {
        const struct logps_row *row = &rows->rows[i], *next = row + 1;
        if (i + 1 < rows->count && row->goal_of == GOAL_OF_CHOSEN && next->goal_of == GOAL_OF_REJECTED &&
            next->source_row == row->source_row) {
            pair_fill(&g->pairs[g->count], row, next);
            compare_goals(&g->pairs[g->count++], row, next, rows->attribute_count);
            i++;
        } else if (row->goal_of == GOAL_OF_NONE && isnan(row->goal) && !row->attributes) {
            free_fill(&g->free_pairs[g->free_count++], row);
        } else {
            g->incomplete++;
        }
    }
    return ST_OK;
}

status goal_accuracy_init(struct goal_accuracy *g, const struct logps_rows *rows) {
    *g = (struct goal_accuracy){.attributes = rows->attributes, .attribute_count = rows->attribute_count};
    const status code = fill(g, rows);
    if (code == ST_OK && g->count + g->free_count) return ST_OK;
    goal_accuracy_release(g);
    TRY(code);
    return FAIL(ST_MISMATCH,
                "%s: no pair has both halves; expected rows with goal_of \"chosen\" and \"rejected\" and one source_row, as rapt augment "
                "writes, or rows without a goal",
                rows->name);
}

void goal_accuracy_release(struct goal_accuracy *g) {
    free(g->pairs);
    free(g->free_pairs);
    *g = (struct goal_accuracy){0};
}

static bool in_stratum(const struct goal_pair *pair, int stratum, double middle) {
    if (stratum == STRATUM_OPPOSED) return pair->opposed;
    if (stratum > STRATUM_OPPOSED) {
        const uint32_t attribute = (uint32_t)1 << (stratum - STRATUM_OPPOSED - 1) / 2;
        return (stratum - STRATUM_OPPOSED - 1) % 2 ? pair->differs == attribute : (pair->differs & attribute) != 0;
    }
    double w = pair->score[0], l = pair->score[1], gap = fabs(w - l);
    if (stratum == STRATUM_ALL) return true;
    if (isnan(gap)) return false;
    switch ((enum goal_stratum)stratum) {
    case STRATUM_STRADDLING: return (w < middle) != (l < middle);
    case STRATUM_HIGH: return w >= middle && l >= middle;
    case STRATUM_LOW: return w < middle && l < middle;
    case STRATUM_GAP_TINY: return gap < 0.5;
    case STRATUM_GAP_SMALL: return gap >= 0.5 && gap <= 1;
    case STRATUM_GAP_MIDDLE: return gap > 1 && gap <= 3;
    case STRATUM_GAP_LARGE: return gap > 3;
    case STRATUM_ALL:
    case GOAL_STRATA: break;
    }
    return false;
}

status goal_accuracy_estimate(struct estimate *out, const struct goal_accuracy *g, const struct bootstrap_params *p, int stratum,
                              enum goal_kind kind, enum goal_figure figure, double middle) {
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, g->count ? g->count : 1, sizeof *values, "figures");
    if (code == ST_OK) code = mem_try_alloc(&cluster, g->count ? g->count : 1, sizeof *cluster, "clusters");
    if (code == ST_OK) {
        for (size_t i = 0; i < g->count; i++) {
            values[i] = in_stratum(&g->pairs[i], stratum, middle) ? g->pairs[i].value[kind][figure] : (double)NAN;
            cluster[i] = g->pairs[i].cluster;
        }
        code = bootstrap_mean(out, p, values, cluster, g->count);
    }
    free(values);
    free(cluster);
    return code;
}

status goal_accuracy_difference(struct estimate *out, const struct goal_accuracy *g, const struct goal_accuracy *other,
                                const struct bootstrap_params *p, enum goal_kind kind, enum goal_figure figure) {
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, g->count ? g->count : 1, sizeof *values, "differences");
    if (code == ST_OK) code = mem_try_alloc(&cluster, g->count ? g->count : 1, sizeof *cluster, "clusters");
    if (code == ST_OK) {
        for (size_t i = 0, j = 0; i < g->count; i++) {
            const struct goal_pair *pair = &g->pairs[i];
            while (j < other->count && other->pairs[j].source_row < pair->source_row) j++;
            bool shared = j < other->count && other->pairs[j].source_row == pair->source_row;
            values[i] = shared ? pair->value[kind][figure] - other->pairs[j].value[kind][figure] : (double)NAN;
            cluster[i] = pair->cluster;
        }
        code = bootstrap_mean(out, p, values, cluster, g->count);
    }
    free(values);
    free(cluster);
    return code;
}

status goal_accuracy_free(struct estimate *out, const struct goal_accuracy *g, const struct goal_accuracy *other,
                          const struct bootstrap_params *p, enum goal_kind kind) {
    const size_t n = g->free_count;
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, n ? n : 1, sizeof *values, "figures");
    if (code == ST_OK) code = mem_try_alloc(&cluster, n ? n : 1, sizeof *cluster, "clusters");
    for (size_t i = 0, j = 0; code == ST_OK && i < n; i++) {
        const struct goal_free_pair *pair = &g->free_pairs[i];
        while (other && j < other->free_count && other->free_pairs[j].source_row < pair->source_row) j++;
        const bool shared = other && j < other->free_count && other->free_pairs[j].source_row == pair->source_row;
        values[i] = !other ? pair->preferred[kind] : shared ? pair->preferred[kind] - other->free_pairs[j].preferred[kind] : (double)NAN;
        cluster[i] = pair->cluster;
    }
    if (code == ST_OK) code = bootstrap_mean(out, p, values, cluster, n);
    free(values);
    free(cluster);
    return code;
}

/* Nothing where there are no such pairs. other: NULL for the figures themselves. */
static status put_free(struct buf *json, struct buf *text, const struct goal_accuracy *g, const struct goal_accuracy *other,
                       const struct eval_input *in) {
    if (!g->free_count || (other && !other->free_count)) return ST_OK;
    buf_append_text(json, ", \"without_goal\": {");
    if (!other) buf_printf(json, "\"pairs\": %zu, ", g->free_count);
    for (int k = 0; k < GOAL_KINDS; k++) {
        struct estimate e;
        TRY(goal_accuracy_free(&e, g, other, &in->bootstrap, (enum goal_kind)k));
        buf_printf(json, "%s\"%s\": ", k ? ", " : "", goal_kind_names[k]);
        estimate_json(json, &e);
        if (!e.n) continue;
        buf_printf(text, "without a goal, %-10s", goal_kind_names[k]);
        estimate_text(text, &e);
        if (!other) buf_printf(text, "of %zu pairs prefer y_w", e.n);
        estimate_end_line(text);
    }
    buf_append_char(json, '}');
    return ST_OK;
}

static void text_header(struct buf *text, const char *first) {
    buf_printf(text, "%-26s", first);
    for (int f = 0; f < GOAL_FIGURES; f++) buf_printf(text, f + 1 < GOAL_FIGURES ? "%-24s" : "%s", figure_names[f]);
    buf_append_char(text, '\n');
}

static void put_stratum_name(struct buf *out, const struct goal_accuracy *g, int stratum) {
    if (stratum < GOAL_STRATA)
        buf_append_text(out, stratum_names[stratum]);
    else if (stratum == STRATUM_OPPOSED)
        buf_append_text(out, "opposed");
    else
        buf_printf(out, "%s_%s", (stratum - STRATUM_OPPOSED) % 2 ? "differ" : "alone", g->attributes[(stratum - STRATUM_OPPOSED - 1) / 2]);
}

static status put_strata(struct buf *json, struct buf *text, const struct goal_accuracy *g, const struct eval_input *in,
                         enum goal_kind kind) {
    const double middle = (in->low + in->high) / 2;
    const int strata = g->attribute_count ? goal_stratum_differ(g->attribute_count) : GOAL_STRATA;
    struct buf name = {0}, label = {0};
    status code = ST_OK;
    for (int s = 0; s < strata && code == ST_OK; s++) {
        struct estimate e[GOAL_FIGURES] = {{0}};
        buf_clear(&name);
        put_stratum_name(&name, g, s);
        if (s) buf_append_text(json, ", ");
        json_put_text(json, buf_text(&name));
        buf_append_text(json, ": {");
        for (int f = 0; f < GOAL_FIGURES && code == ST_OK; f++) {
            code = goal_accuracy_estimate(&e[f], g, &in->bootstrap, s, kind, (enum goal_figure)f, middle);
            buf_printf(json, "%s\"%s\": ", f ? ", " : "", figure_names[f]);
            estimate_json(json, &e[f]);
        }
        buf_append_char(json, '}');
        if (s != STRATUM_ALL && e[0].n == 0) continue;
        buf_clear(&label);
        buf_printf(&label, "%s %s", goal_kind_names[kind], buf_text(&name));
        buf_printf(text, "%-25s ", buf_text(&label));
        for (int f = 0; f < GOAL_FIGURES; f++) estimate_text(text, &e[f]);
        estimate_end_line(text);
        if (e[0].n == 0) break; /* no reference: one line of dashes is enough */
    }
    buf_release(&name);
    buf_release(&label);
    return code;
}

static status put_run(struct buf *json, struct buf *text, const void *run, const char *name, const struct eval_input *in) {
    const struct goal_accuracy *g = run;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, name);
    buf_printf(json, ", \"pairs\": %zu, \"incomplete\": %zu", g->count, g->incomplete);
    buf_printf(text, "%s: %zu pairs", name, g->count ? g->count : g->free_count);
    if (g->free_count) buf_printf(text, g->count ? ", %zu without a goal" : " without a goal", g->free_count);
    if (g->incomplete) buf_printf(text, ", %zu rows left out (no other half)", g->incomplete);
    buf_append_char(text, '\n');
    if (g->count) text_header(text, "");
    for (int k = 0; k < GOAL_KINDS; k++) {
        buf_printf(json, ", \"%s\": ", goal_kind_names[k]);
        if (!g->count || (k == GOAL_IMPLICIT && isnan(g->pairs[0].value[k][0]))) {
            buf_append_text(json, "null");
            continue;
        }
        buf_append_char(json, '{');
        TRY(put_strata(json, text, g, in, (enum goal_kind)k));
        buf_append_char(json, '}');
    }
    TRY(put_free(json, text, g, NULL, in));
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_halves_difference(struct buf *json, struct buf *text, const struct goal_accuracy *run, const struct goal_accuracy *first,
                                    const struct eval_input *in) {
    if (!run->count || !first->count) {
        for (int k = 0; k < GOAL_KINDS; k++) buf_printf(json, ", \"%s\": null", goal_kind_names[k]);
        return ST_OK;
    }
    text_header(text, "");
    for (int k = 0; k < GOAL_KINDS; k++) {
        buf_printf(json, ", \"%s\": {", goal_kind_names[k]);
        buf_printf(text, "%-26s", goal_kind_names[k]);
        for (int f = 0; f < GOAL_FIGURES; f++) {
            struct estimate e;
            TRY(goal_accuracy_difference(&e, run, first, &in->bootstrap, (enum goal_kind)k, (enum goal_figure)f));
            buf_printf(json, "%s\"%s\": ", f ? ", " : "", figure_names[f]);
            estimate_json(json, &e);
            estimate_text(text, &e);
        }
        buf_append_char(json, '}');
        estimate_end_line(text);
    }
    return ST_OK;
}

static status put_difference(struct buf *json, struct buf *text, const void *run, const void *first, const struct eval_input *in) {
    TRY(put_halves_difference(json, text, run, first, in));
    return put_free(json, text, run, first, in);
}

static status init(void *run, const struct logps_rows *rows) { return goal_accuracy_init(run, rows); }
static void release(void *run) { goal_accuracy_release(run); }

status goal_accuracy_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    const struct eval_report report = {"goal-accuracy", sizeof(struct goal_accuracy), init, release, put_run, put_difference};
    return eval_put_report(json, text, &report, in);
}
