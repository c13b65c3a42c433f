/* reference_sync: a reference that follows the policy (TR-DPO, Gorbatovski et al. 2024, arXiv 2404.09656, eq. 4; TRL's
 * SyncRefModelCallback): after every --ref-model-sync-steps steps reference <- (1 - alpha) reference + alpha policy, in fp32. What is mixed
 * is the vector of trained parameters: all weights under --full, the adapter's matrices under LoRA.
 *
 * Sums known so far are forgotten then. Under LoRA new ones are computed as rows come, with the reference's adapter. Under --full the
 * model holds one set of weights: for the steps up to the next synchronisation or the end of the epoch the two sets change places once,
 * so that a second copy for products is not needed. */
#include <math.h>

#include "base/log.h"
#include "train/trainer_state.h"

void reference_forget(float *cache, size_t n) {
    for (size_t i = 0; cache && i < n; i++) cache[i] = NAN;
}

status reference_sync(struct trainer *t) {
    const uint64_t every = t->o->ref_sync_steps;
    if (!every || t->step % every != 0) return ST_OK;
    const float alpha = (float)t->o->ref_mixup_alpha, rest = (float)(1 - t->o->ref_mixup_alpha);
    for (size_t i = 0; i < t->model.params.size; i++) t->initial[i] = t->initial[i] * rest + alpha * t->model.params.value[i];
    model_changed(&t->model);
    reference_forget(t->train_ref, t->train.response_count);
    reference_forget(t->eval_ref, t->eval.response_count);
    reference_forget(t->train_mismatched, t->mismatched_epochs * t->train.count);
    reference_forget(t->eval_mismatched, t->eval.count);
    t->reference_until = t->step;
    return ST_OK;
}

static status exchange(struct trainer *t) {
    float *a = t->model.params.value, *b = t->initial;
    for (size_t i = 0; i < t->model.params.size; i++) {
        const float x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
    return model_refresh(&t->model);
}

/* The reference's sums of one micro-batch, with the reference's weights in place. */
static status fill_micro(struct trainer *t, float *cache, const struct loaded *data, const uint32_t *rows, size_t count) {
    TRY(reference_fill_batch(t, cache, data, rows, count));
    return t->o->loss->needs & LOSS_NEEDS_KL ? mismatched_reference(t, data, rows, count) : ST_OK;
}

/* Those of this rank's rows in the steps before `until`, which lie in one epoch. */
static status fill_steps(struct trainer *t, uint64_t until) {
    const size_t batch = t->o->batch;
    const uint32_t *rows;
    struct progress bar;
    size_t count;
    progress_begin(&bar, "reference", "steps", until - t->step);
    for (uint64_t step = t->step; step < until; step++) {
        TRY(step_rows(t, &rows, &count, step));
        const struct span mine = step_share(t, count);
        for (size_t at = mine.first, n; at < mine.end; at += n) {
            n = mine.end - at < batch ? mine.end - at : batch;
            TRY(fill_micro(t, t->train_ref, &t->train, rows + at, n));
        }
        progress_update(&bar, step + 1 - t->step, NULL);
    }
    progress_end(&bar, until - t->step, NULL);
    return ST_OK;
}

status reference_ready(struct trainer *t) {
    if (!t->o->ref_sync_steps || !t->o->full || t->step < t->reference_until) return ST_OK;
    const uint64_t sync = (t->step / t->o->ref_sync_steps + 1) * t->o->ref_sync_steps;
    const uint64_t epoch = (t->step / t->steps_per_epoch + 1) * t->steps_per_epoch;
    uint64_t until = sync < epoch ? sync : epoch;
    if (until > t->total_steps) until = t->total_steps;
    TRY(exchange(t));
    const status s = fill_steps(t, until);
    TRY(exchange(t));
    t->reference_until = until;
    return s;
}

status reference_ready_for_evaluation(struct trainer *t) {
    uint32_t rows[BATCH_ROWS_MAX];
    status s = ST_OK;
    const struct span mine = evaluation_share(t);
    if (!t->o->ref_sync_steps || !t->o->full || !t->needs_reference ||
        (mine.first < mine.end && !isnan(t->eval_ref[t->eval.rows[mine.first].first])))
        return ST_OK;
    TRY(exchange(t));
    for (size_t from = mine.first, n; s == ST_OK && from < mine.end; from += n) {
        n = mine.end - from < t->o->eval_batch ? mine.end - from : t->o->eval_batch;
        for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)(from + i);
        s = fill_micro(t, t->eval_ref, &t->eval, rows, n);
    }
    TRY(exchange(t));
    return s;
}
