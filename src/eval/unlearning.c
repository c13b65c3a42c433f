#include "eval/unlearning.h"

#include <math.h>
#include <stdlib.h>

const struct unlearning_bucket unlearning_buckets[UNLEARNING_BUCKETS] = {
    {"all", -INFINITY, INFINITY}, {"5_and_above", 5, INFINITY}, {"below_5", -INFINITY, 5}, {"1_3", 1, 3}, {"3_5", 3, 5}, {"5_7", 5, 7}, {"7_9", 7, 9}, {"9_10", 9, INFINITY},
};
static const char *const goal_names[UNLEARNING_GOALS] = {"own_goal", "other_goal", "no_goal"};
static const char *const side_names[2] = {"chosen", "rejected"};

static enum unlearning_goal asked(const struct logps_row *row, int side) {
    if (row->goal_of == GOAL_OF_NONE) return UNLEARNING_NONE;
    return (row->goal_of == GOAL_OF_CHOSEN) == (side == 0) ? UNLEARNING_OWN : UNLEARNING_OTHER;
}

static bool in_bucket(double score, size_t bucket) {
    return bucket == 0 || (score >= unlearning_buckets[bucket].low && score < unlearning_buckets[bucket].high);
}

/* The change of a response that counts, else NaN. */
static double change(const struct logps_row *row, enum unlearning_goal goal, int side, size_t bucket) {
    const bool counts = asked(row, side) == goal && row->tokens[side] > 0 && in_bucket(row->score[side], bucket);
    return counts ? (row->logp[side] - row->ref[side]) / row->tokens[side] : (double)NAN;
}

/* The row of the same half of the same pair; *at goes on from where the last search ended. NULL: there is none. */
static const struct logps_row *same_row(const struct logps_rows *rows, size_t *at, const struct logps_row *row) {
    for (; *at < rows->count; ++*at) {
        const struct logps_row *r = &rows->rows[*at];
        if (r->source_row == row->source_row && r->goal_of == row->goal_of) return r;
        if (r->source_row > row->source_row || (r->source_row == row->source_row && r->goal_of > row->goal_of)) return NULL;
    }
    return NULL;
}

/* other: NULL for the figure itself. */
static status estimate(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other, const struct bootstrap_params *p,
                       enum unlearning_goal goal, int side, size_t bucket) {
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, rows->count ? rows->count : 1, sizeof *values, "changes");
    if (code == ST_OK) code = mem_try_alloc(&cluster, rows->count ? rows->count : 1, sizeof *cluster, "clusters");
    if (code == ST_OK) {
        for (size_t i = 0, at = 0; i < rows->count; i++) {
            const struct logps_row *row = &rows->rows[i], *same = other ? same_row(other, &at, row) : NULL;
            values[i] = change(row, goal, side, bucket);
            if (other) values[i] = same ? values[i] - change(same, goal, side, bucket) : (double)NAN;
            cluster[i] = row->cluster;
        }
        code = bootstrap_mean(out, p, values, cluster, rows->count);
    }
    free(values);
    free(cluster);
    return code;
}

status unlearning_estimate(struct estimate *out, const struct logps_rows *rows, const struct bootstrap_params *p, enum unlearning_goal goal, int side,
                           size_t bucket) {
    return estimate(out, rows, NULL, p, goal, side, bucket);
}

status unlearning_difference(struct estimate *out, const struct logps_rows *rows, const struct logps_rows *other, const struct bootstrap_params *p,
                             enum unlearning_goal goal, int side, size_t bucket) {
    return estimate(out, rows, other, p, goal, side, bucket);
}

static status put_goal(struct buf *json, struct buf *text, const struct logps_rows *rows, const struct eval_input *in, enum unlearning_goal goal) {
    struct estimate e[2][UNLEARNING_BUCKETS];
    buf_printf(json, ", \"%s\": ", goal_names[goal]);
    for (int side = 0; side < 2; side++)
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) TRY(unlearning_estimate(&e[side][b], rows, &in->bootstrap, goal, side, b));
    if (e[0][0].n == 0 && e[1][0].n == 0) {
        buf_append_text(json, "null");
        return ST_OK;
    }
    for (int side = 0; side < 2; side++) {
        buf_printf(json, "%s\"%s\": {", side ? ", " : "{", side_names[side]);
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
            buf_printf(json, "%s\"%s\": ", b ? ", " : "", unlearning_buckets[b].name);
            estimate_json(json, &e[side][b]);
        }
        buf_append_char(json, '}');
    }
    buf_append_char(json, '}');
    for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
        if (e[0][b].n == 0 && e[1][b].n == 0) continue;
        buf_printf(text, "%-11s score %-14s", goal_names[goal], unlearning_buckets[b].name);
        for (int side = 0; side < 2; side++) {
            estimate_text(text, &e[side][b]);
            buf_printf(text, side ? "%zu\n" : "%-7zu ", e[side][b].n);
        }
    }
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const struct logps_rows *rows, const struct eval_input *in) {
    bool reference = false;
    for (size_t i = 0; i < rows->count; i++) reference = reference || !isnan(rows->rows[i].ref[0]);
    if (!reference)
        return FAIL(ST_MISMATCH, "%s has no reference log-probs; give the base model's with --reference, or rows with ref_logps_chosen, ref_logps_rejected",
                    rows->name);
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, rows->name);
    buf_printf(json, ", \"rows\": %zu", rows->count);
    buf_printf(text, "%s: %zu rows; change of the log-prob a token from the reference, nats\n%-32s%-24s%-8s%-24s%s\n", rows->name, rows->count, "", "chosen",
               "n", "rejected", "n");
    for (int goal = 0; goal < UNLEARNING_GOALS; goal++) TRY(put_goal(json, text, rows, in, (enum unlearning_goal)goal));
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

/* Keys are side_bucket: rejected_5_and_above. */
static status put_difference(struct buf *json, struct buf *text, const struct eval_input *in, size_t run) {
    const struct logps_rows *rows = &in->runs[run], *first = &in->runs[0];
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, rows->name);
    buf_append_text(json, ", \"minus\": ");
    json_put_text(json, first->name);
    buf_printf(text, "%s minus %s, the same responses\n%-32s%-24s%s\n", rows->name, first->name, "", "chosen", "rejected");
    for (int goal = 0; goal < UNLEARNING_GOALS; goal++) {
        struct estimate e[2][UNLEARNING_BUCKETS];
        buf_printf(json, ", \"%s\": {", goal_names[goal]);
        for (int side = 0; side < 2; side++)
            for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
                TRY(unlearning_difference(&e[side][b], rows, first, &in->bootstrap, (enum unlearning_goal)goal, side, b));
                buf_printf(json, "%s\"%s_%s\": ", side || b ? ", " : "", side_names[side], unlearning_buckets[b].name);
                estimate_json(json, &e[side][b]);
            }
        buf_append_char(json, '}');
        for (size_t b = 0; b < UNLEARNING_BUCKETS; b++) {
            if (e[0][b].n == 0 && e[1][b].n == 0) continue;
            buf_printf(text, "%-11s score %-14s", goal_names[goal], unlearning_buckets[b].name);
            for (int side = 0; side < 2; side++) estimate_text(text, &e[side][b]);
            estimate_end_line(text);
        }
    }
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

status unlearning_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    buf_append_text(json, "{\"task\": \"unlearning\", \"runs\": [");
    for (size_t i = 0; i < in->run_count; i++) {
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, &in->runs[i], in));
    }
    buf_append_text(json, "], \"differences\": [");
    for (size_t i = 1; i < in->run_count; i++) {
        if (i > 1) buf_append_text(json, ", ");
        TRY(put_difference(json, text, in, i));
    }
    buf_append_text(json, "]}\n");
    return ST_OK;
}
