#include "eval/unlearning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct unlearning_bucket unlearning_buckets[UNLEARNING_BUCKETS] = {
    {"all", -INFINITY, INFINITY},
    {"5_and_above", 5, INFINITY},
    {"below_5", -INFINITY, 5},
    {"1_3", 1, 3},
    {"3_5", 3, 5},
    {"5_7", 5, 7},
    {"7_9", 7, 9},
    {"9_10", 9, INFINITY},
};
static const char *const side_names[2] = {"chosen", "rejected"};

void unlearning_cut(struct unlearning_bucket out[UNLEARNING_BUCKETS], double low, double high) {
    const double middle = low + (high - low) / 2, step = (high - low) / 5;
    out[0] = unlearning_buckets[0];
    out[1] = (struct unlearning_bucket){.low = middle, .high = INFINITY};
    out[2] = (struct unlearning_bucket){.low = -INFINITY, .high = middle};
    snprintf(out[1].name, sizeof out[1].name, "%.9g_and_above", middle);
    snprintf(out[2].name, sizeof out[2].name, "below_%.9g", middle);
    for (int i = 0; i < 5; i++) {
        struct unlearning_bucket *b = &out[3 + i];
        *b = (struct unlearning_bucket){.low = low + i * step, .high = i < 4 ? low + (i + 1) * step : (double)INFINITY};
        snprintf(b->name, sizeof b->name, "%.9g_%.9g", b->low, i < 4 ? b->high : high);
    }
}

static enum unlearning_kind kind_of(const struct logps_row *row, int side) {
    if (row->goal_of == GOAL_OF_NONE) return row->attributes || !isnan(row->goal) ? UNLEARNING_AT : UNLEARNING_NONE;
    return (row->goal_of == GOAL_OF_CHOSEN) == (side == 0) ? UNLEARNING_OWN : UNLEARNING_OTHER;
}

static bool is_asked(const struct logps_row *row, int side, const struct unlearning_asked *asked) {
    return kind_of(row, side) == asked->kind && (asked->kind != UNLEARNING_AT || logps_row_compare_asked(row, asked->like) == 0);
}

/* Every response is in the bucket without bounds, also one without a score. */
static bool in_bucket(double score, const struct unlearning_bucket *b) {
    return (isinf(b->low) && isinf(b->high)) || (score >= b->low && score < b->high);
}

/* The change of a response that counts, else NaN. */
static double change(const struct logps_row *row, const struct unlearning_asked *asked, int side, const struct unlearning_bucket *bucket) {
    const bool counts = is_asked(row, side, asked) && row->tokens[side] > 0 && in_bucket(row->score[side], bucket);
    return counts ? (row->logp[side] - row->ref[side]) / row->tokens[side] : (double)NAN;
}

/* The row of the same pair under the same goal; *at goes on from where the last search ended. NULL: there is none. */
static const struct logps_row *same_row(const struct logps_rows *rows, size_t *at, const struct logps_row *row) {
    while (*at < rows->count && logps_row_compare(&rows->rows[*at], row) < 0) ++*at;
    return *at < rows->count && logps_row_compare(&rows->rows[*at], row) == 0 ? &rows->rows[*at] : NULL;
}

/* other: NULL for the figure itself. */
static status estimate(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other,
                       const struct bootstrap_params *p, const struct unlearning_asked *asked, int side,
                       const struct unlearning_bucket *bucket) {
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, rows->count ? rows->count : 1, sizeof *values, "changes");
    if (code == ST_OK) code = mem_try_alloc(&cluster, rows->count ? rows->count : 1, sizeof *cluster, "clusters");
    if (code == ST_OK) {
        for (size_t i = 0, at = 0; i < rows->count; i++) {
            const struct logps_row *row = &rows->rows[i], *same = other ? same_row(other, &at, row) : NULL;
            values[i] = change(row, asked, side, bucket);
            if (other) values[i] = same ? values[i] - change(same, asked, side, bucket) : (double)NAN;
            cluster[i] = row->cluster;
        }
        code = bootstrap_mean(out, p, values, cluster, rows->count);
    }
    free(values);
    free(cluster);
    return code;
}

status unlearning_estimate(struct estimate *out, const struct logps_rows *rows, const struct bootstrap_params *p,
                           const struct unlearning_asked *asked, int side, const struct unlearning_bucket *bucket) {
    return estimate(out, rows, NULL, p, asked, side, bucket);
}

status unlearning_difference(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other,
                             const struct bootstrap_params *p, const struct unlearning_asked *asked, int side,
                             const struct unlearning_bucket *bucket) {
    return estimate(out, rows, other, p, asked, side, bucket);
}

/* ---- what the runs have ---- */

/* Both sides in every bucket, and what stands before them: "own_goal", "goal_10", "goal_helpfulness=5,verbosity=2". */
struct table {
    struct unlearning_asked asked[UNLEARNING_GOALS_MAX + 3];
    struct buf names[UNLEARNING_GOALS_MAX + 3];
    size_t count;
    struct unlearning_bucket buckets[UNLEARNING_BUCKETS];
};

static void put_name(struct buf *out, const struct unlearning_asked *a, const struct logps_rows *rows) {
    static const char *const fixed[] = {"own_goal", "other_goal", "goal_", "no_goal"};
    buf_append_text(out, fixed[a->kind]);
    if (a->kind != UNLEARNING_AT) return;
    if (!a->like->attributes) json_put_double(out, a->like->goal);
    for (size_t i = 0; a->like->attributes && i < rows->attribute_count; i++) {
        buf_printf(out, "%s%s=", i ? "," : "", rows->attributes[i]);
        json_put_double(out, a->like->wanted[i]);
    }
}

/* In the order of goals, behind own and other. */
static status add_goal(struct table *t, const struct logps_row *row, const struct logps_rows *rows) {
    size_t at = 2;
    int order = -1;
    while (at < t->count && (order = logps_row_compare_asked(t->asked[at].like, row)) < 0) at++;
    if (at < t->count && order == 0) return ST_OK;
    if (t->count == UNLEARNING_GOALS_MAX + 2)
        return FAIL(ST_UNSUPPORTED, "rows without goal_of under more than %d goals", UNLEARNING_GOALS_MAX);
    memmove(&t->asked[at + 1], &t->asked[at], (t->count - at) * sizeof *t->asked);
    memmove(&t->names[at + 1], &t->names[at], (t->count - at) * sizeof *t->names);
    t->asked[at] = (struct unlearning_asked){UNLEARNING_AT, row};
    t->names[at] = (struct buf){0};
    put_name(&t->names[at], &t->asked[at], rows);
    t->count++;
    return ST_OK;
}

static void add_fixed(struct table *t, enum unlearning_kind kind) {
    t->asked[t->count] = (struct unlearning_asked){kind, NULL};
    put_name(&t->names[t->count], &t->asked[t->count], NULL);
    t->count++;
}

static status table_init(struct table *t, const struct eval_input *in) {
    *t = (struct table){0};
    memcpy(t->buckets, unlearning_buckets, sizeof t->buckets);
    if (in->scaled) unlearning_cut(t->buckets, in->low, in->high);
    add_fixed(t, UNLEARNING_OWN);
    add_fixed(t, UNLEARNING_OTHER);
    for (size_t i = 0; i < in->run_count; i++)
        for (size_t k = 0; k < in->runs[i].count; k++)
            if (kind_of(&in->runs[i].rows[k], 0) == UNLEARNING_AT) TRY(add_goal(t, &in->runs[i].rows[k], &in->runs[i]));
    add_fixed(t, UNLEARNING_NONE);
    return ST_OK;
}

static void table_release(struct table *t) {
    for (size_t i = 0; i < t->count; i++) buf_release(&t->names[i]);
}

/* other: NULL for the figures themselves. */
static status table_row(struct estimate e[2][UNLEARNING_BUCKETS], const struct table *t, size_t at, const struct logps_rows *rows,
                        const struct logps_rows *other, const struct bootstrap_params *p) {
    for (int side = 0; side < 2; side++)
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) TRY(estimate(&e[side][b], rows, other, p, &t->asked[at], side, &t->buckets[b]));
    return ST_OK;
}

/* ---- out ---- */

static void put_label(struct buf *text, const struct table *t, size_t at, size_t bucket) {
    const size_t from = text->size;
    buf_printf(text, "%-11s score %-14s", buf_text(&t->names[at]), t->buckets[bucket].name);
    if (text->size - from > 32) buf_append_char(text, ' ');
}

static status put_goal(struct buf *json, struct buf *text, const struct table *t, size_t at, const struct logps_rows *rows,
                       const struct eval_input *in) {
    struct estimate e[2][UNLEARNING_BUCKETS];
    TRY(table_row(e, t, at, rows, NULL, &in->bootstrap));
    buf_append_text(json, ", ");
    json_put_string(json, t->names[at].data, t->names[at].size);
    buf_append_text(json, ": ");
    if (e[0][0].n == 0 && e[1][0].n == 0) {
        buf_append_text(json, "null");
        return ST_OK;
    }
    for (int side = 0; side < 2; side++) {
        buf_printf(json, "%s\"%s\": {", side ? ", " : "{", side_names[side]);
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
            buf_printf(json, "%s\"%s\": ", b ? ", " : "", t->buckets[b].name);
            estimate_json(json, &e[side][b]);
        }
        buf_append_char(json, '}');
    }
    buf_append_char(json, '}');
    for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
        if (e[0][b].n == 0 && e[1][b].n == 0) continue;
        put_label(text, t, at, b);
        for (int side = 0; side < 2; side++) {
            estimate_text(text, &e[side][b]);
            buf_printf(text, side ? "%zu\n" : "%-7zu ", e[side][b].n);
        }
    }
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const struct table *t, const struct logps_rows *rows,
                      const struct eval_input *in) {
    bool reference = false;
    for (size_t i = 0; i < rows->count; i++) reference = reference || !isnan(rows->rows[i].ref[0]);
    if (!reference)
        return FAIL(
            ST_MISMATCH,
            "%s has no reference log-probs; give the base model's with --reference, or rows with ref_logps_chosen, ref_logps_rejected",
            rows->name);
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, rows->name);
    buf_printf(json, ", \"rows\": %zu", rows->count);
    buf_printf(text, "%s: %zu rows; change of the log-prob a token from the reference, nats\n%-32s%-24s%-8s%-24s%s\n", rows->name,
               rows->count, "", "chosen", "n", "rejected", "n");
    for (size_t at = 0; at < t->count; at++) TRY(put_goal(json, text, t, at, rows, in));
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

/* Keys are side_bucket: rejected_5_and_above. */
static status put_difference(struct buf *json, struct buf *text, const struct table *t, const struct eval_input *in, size_t run) {
    const struct logps_rows *rows = &in->runs[run], *first = &in->runs[0];
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, rows->name);
    buf_append_text(json, ", \"minus\": ");
    json_put_text(json, first->name);
    buf_printf(text, "%s minus %s, the same responses\n%-32s%-24s%s\n", rows->name, first->name, "", "chosen", "rejected");
    for (size_t at = 0; at < t->count; at++) {
        struct estimate e[2][UNLEARNING_BUCKETS];
        TRY(table_row(e, t, at, rows, first, &in->bootstrap));
        buf_append_text(json, ", ");
        json_put_string(json, t->names[at].data, t->names[at].size);
        buf_append_text(json, ": {");
        for (int side = 0; side < 2; side++)
            for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
                buf_printf(json, "%s\"%s_%s\": ", side || b ? ", " : "", side_names[side], t->buckets[b].name);
                estimate_json(json, &e[side][b]);
            }
        buf_append_char(json, '}');
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
            if (e[0][b].n == 0 && e[1][b].n == 0) continue;
            put_label(text, t, at, b);
            for (int side = 0; side < 2; side++) estimate_text(text, &e[side][b]);
            estimate_end_line(text);
        }
    }
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_all(struct buf *json, struct buf *text, const struct table *t, const struct eval_input *in) {
    buf_append_text(json, "{\"task\": \"unlearning\", \"runs\": [");
    for (size_t i = 0; i < in->run_count; i++) {
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, t, &in->runs[i], in));
    }
    buf_append_text(json, "], \"differences\": [");
    for (size_t i = 1; i < in->run_count; i++) {
        if (i > 1) buf_append_text(json, ", ");
        TRY(put_difference(json, text, t, in, i));
    }
    buf_append_text(json, "]}\n");
    return ST_OK;
}

status unlearning_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    struct table t;
    status code = table_init(&t, in);
    if (code == ST_OK) code = put_all(json, text, &t, in);
    table_release(&t);
    return code;
}
