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

status unlearning_estimate(struct estimate *out, const struct logps_rows *rows, const struct bootstrap_params *p, enum unlearning_goal goal, int side,
                           size_t bucket) {
    double *values = NULL;
    uint64_t *cluster = NULL;
    status code = mem_try_alloc(&values, rows->count ? rows->count : 1, sizeof *values, "changes");
    if (code == ST_OK) code = mem_try_alloc(&cluster, rows->count ? rows->count : 1, sizeof *cluster, "clusters");
    if (code == ST_OK) {
        for (size_t i = 0; i < rows->count; i++) {
            const struct logps_row *row = &rows->rows[i];
            bool counts = asked(row, side) == goal && row->tokens[side] > 0 && in_bucket(row->score[side], bucket);
            values[i] = counts ? (row->logp[side] - row->ref[side]) / row->tokens[side] : (double)NAN;
            cluster[i] = row->cluster;
        }
        code = bootstrap_mean(out, p, values, cluster, rows->count);
    }
    free(values);
    free(cluster);
    return code;
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

status unlearning_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    buf_append_text(json, "{\"task\": \"unlearning\", \"runs\": [");
    for (size_t i = 0; i < in->run_count; i++) {
        if (i) buf_append_text(json, ", ");
        TRY(put_run(json, text, &in->runs[i], in));
    }
    buf_append_text(json, "]}\n");
    return ST_OK;
}
