/* accumulate: an optimizer step from its rows to the gradient of all ranks. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "train/trainer_state.h"

status step_rows(struct trainer *t, const uint32_t **rows, size_t *count, uint64_t step) {
    const uint64_t epoch = step / t->steps_per_epoch, at = step % t->steps_per_epoch * t->rows_per_step;
    if (t->order_epoch != (int64_t)epoch) TRY(order_epoch(t->order, &t->train, t->order_kind, t->o->seed, epoch, t->rows_per_step));
    t->order_epoch = (int64_t)epoch;
    *rows = t->order + at;
    *count = t->train.count - at < t->rows_per_step ? t->train.count - at : t->rows_per_step;
    return ST_OK;
}

struct span step_share(const struct trainer *t, size_t count) {
    const size_t batch = t->o->batch, pair = t->order_kind == ORDER_PAIRED && batch % 2 ? 2 : 1;
    const struct span micros = ranks_share(&t->comm, (count + batch - 1) / batch, pair);
    const size_t first = micros.first * batch, end = micros.end * batch;
    return (struct span){first < count ? first : count, end < count ? end : count};
}

static double scored_tokens(const struct trainer *t, const uint32_t *rows, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (t->train.marks.size) {
            sum += loaded_response(&t->train, rows[i], 0)->scored;
            continue;
        }
        const int32_t prompt = t->train.rows[rows[i]].prompt;
        sum += loaded_response(&t->train, rows[i], 0)->count + (t->o->score_prompts && prompt ? prompt - 1 : 0);
    }
    return sum;
}

/* What a micro-batch counts for in its step: all the same, as in TRL's DPOTrainer; under sft by its tokens, so that the step's loss is the
 * mean over all of its tokens (transformers' num_items_in_batch). */
static status weighted_micro(struct trainer *t, const uint32_t *rows, size_t count, size_t micros, double step_tokens) {
    struct metrics *m = &t->step_metrics;
    if (t->o->objective != OBJECTIVE_SFT) return step_micro(t, &t->train, t->train_ref, rows, count, true, 1.0 / (double)micros, m);
    const double before = m->loss, weight = scored_tokens(t, rows, count) / step_tokens;
    TRY(step_micro(t, &t->train, t->train_ref, rows, count, true, weight, m));
    m->loss = before + (m->loss - before) * weight * (double)micros;
    return ST_OK;
}

/* The responses of the step, where one of them has no reference sum yet: then ranks tell each other what they computed, so that every rank
 * knows the same, and a checkpoint of one of them is enough. */
static size_t responses_to_share(struct trainer *t, const uint32_t *rows, size_t count) {
    size_t n = 0;
    bool known = true;
    for (size_t i = 0; t->comm.size > 1 && t->train_ref && i < count; i++) {
        const struct loaded_row *r = &t->train.rows[rows[i]];
        for (size_t j = 0; j < (size_t)r->responses; j++) {
            t->step_responses[n++] = (uint32_t)(r->first + j);
            known = known && !isnan(t->train_ref[r->first + j]);
        }
    }
    return known || (t->o->full && t->o->ref_sync_steps) ? 0 : n; /* then sums are computed ahead, by the rank that will want them */
}

/* Reference sums of rows that other ranks take are theirs to say. */
static void forget_others(struct trainer *t, const uint32_t *rows, size_t count, struct span mine) {
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *r = &t->train.rows[rows[i]];
        for (size_t j = 0; (i < mine.first || i >= mine.end) && j < (size_t)r->responses; j++) t->train_ref[r->first + j] = NAN;
    }
}

status step_gradients(struct trainer *t) {
    const uint32_t *rows;
    size_t count;
    const size_t batch = t->o->batch;
    TRY(step_rows(t, &rows, &count, t->step));
    const struct span mine = step_share(t, count);
    const size_t micros = (count + batch - 1) / batch, shared = responses_to_share(t, rows, count);
    const double step_tokens = scored_tokens(t, rows, count);
    int64_t tokens = t->tokens_seen;
    memset(t->model.params.grad, 0, t->model.params.size * sizeof(float));
    t->step_metrics = (struct metrics){0};
    t->tokens_seen = 0;
    if (mine.first == mine.end && t->comm.size > 1) overlap_send_all(&t->overlap);
    for (size_t from = mine.first, n; from < mine.end; from += n) {
        n = mine.end - from < batch ? mine.end - from : batch;
        t->last_micro = from + n == mine.end;
        TRY(weighted_micro(t, rows + from, n, micros, step_tokens));
    }
    TRY(t->overlap.result);
    TRY(comm_finish(&t->comm));
    if (shared) forget_others(t, rows, count, mine);
    t->stop = *t->comm.stop;
    TRY(ranks_sum_step(&t->comm, &t->step_metrics, &t->tokens_seen, &t->stop, t->step_numbers, t->train_ref, t->step_responses, shared));
    t->tokens_seen += tokens;
    metrics_end_step(&t->step_metrics);
    metrics_sum(&t->metrics, &t->step_metrics);
    return ST_OK;
}
