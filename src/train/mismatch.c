/* mismatch: KTO's estimate of the KL divergence (TRL 1.16, kto_trainer.py): each prompt of a micro-batch is answered by the response of the
 * row before it, the first by the last one's, and z = max(0, mean of log policy - log reference) of these pairs. It is a constant of the
 * loss: no gradient goes through it. TRL fixes the pairs of the evaluation data by the training batch size in file order; so does this. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "train/trainer_state.h"

/* The row that answers the prompt of rows[i]. */
static uint32_t partner_of(const struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t i, size_t count) {
    if (data != &t->eval) return rows[(i + count - 1) % count];
    const size_t from = rows[i] / t->o->batch * t->o->batch, n = data->count - from < t->o->batch ? data->count - from : t->o->batch;
    return (uint32_t)(from + (rows[i] - from + n - 1) % n);
}

/* Response tokens of the pair, after --max-length. */
static int32_t answer_tokens(const struct trainer *t, const struct loaded *data, uint32_t row, uint32_t partner) {
    const int64_t kept = loaded_response(data, partner, 0)->kept, room = (int64_t)t->o->max_length - data->rows[row].prompt;
    return (int32_t)(t->o->max_length && room < kept ? room : kept);
}

/* rows[from...] with their partners' responses, as many as fit a pack. */
static status pack(struct trainer *t, size_t *taken, const struct loaded *data, const uint32_t *rows, size_t from, size_t count) {
    const int32_t *ids[BATCH_ROWS_MAX];
    int32_t sizes[BATCH_ROWS_MAX], scored[BATCH_ROWS_MAX];
    size_t used = 0, n = 0;
    for (; from + n < count; n++) {
        const uint32_t row = rows[from + n], partner = partner_of(t, data, rows, from + n, count);
        const struct loaded_row *r = &data->rows[row];
        const int32_t answer = answer_tokens(t, data, row, partner);
        int32_t *to = t->mismatched_ids + used;
        sizes[n] = r->prompt + answer;
        if (used + (size_t)sizes[n] > t->run.plan.tokens) break;
        memcpy(to, loaded_sequence(data, row, 0), (size_t)r->prompt * sizeof *to);
        memcpy(to + r->prompt, loaded_sequence(data, partner, 0) + data->rows[partner].prompt, (size_t)answer * sizeof *to);
        ids[n] = to;
        scored[n] = r->prompt;
        used += (size_t)sizes[n];
    }
    CHECK(n > 0);
    *taken = n;
    return seqtree_build(&t->tree, ids, sizes, scored, (int32_t)n, t->share);
}

/* Where the reference sums of a micro-batch's pairs are kept: under a shuffled order the pairs differ from epoch to epoch. */
static float *cache_of(const struct trainer *t, const struct loaded *data) {
    if (data == &t->eval) return t->eval_mismatched;
    return t->train_mismatched + (t->order_kind == ORDER_FILE ? 0 : (size_t)t->order_epoch * data->count);
}

/* The pack's sums under theta, rounded to fp32, with LoRA dropout off. */
static status sums_under(double *out, struct trainer *t, const float *theta, size_t count) {
    const struct dropout off = {0}, on = t->run.scratch.dropout;
    t->run.scratch.dropout = off;
    const status s = run_forward(&t->run, &t->tree, theta, false);
    t->run.scratch.dropout = on;
    TRY(s);
    run_sums(out, &t->run, &t->tree);
    for (size_t i = 0; i < count; i++) out[i] = (double)(float)out[i];
    return ST_OK;
}

static status fill_reference(struct trainer *t, float *cache, const uint32_t *rows, size_t count) {
    bool known = true;
    for (size_t i = 0; i < count; i++) known = known && !isnan(cache[rows[i]]);
    if (known) return ST_OK;
    TRY(sums_under(t->reference, t, reference_theta(t), count));
    for (size_t i = 0; i < count; i++) cache[rows[i]] = (float)t->reference[i];
    return ST_OK;
}

status mismatched_kl(double *kl, struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count) {
    float *cache = cache_of(t, data);
    double sum = 0;
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        TRY(pack(t, &taken, data, rows, from, count));
        TRY(fill_reference(t, cache, rows + from, taken));
        TRY(sums_under(t->policy, t, t->o->full ? NULL : t->model.params.value, taken));
        for (size_t i = 0; i < taken; i++) sum += t->policy[i] - (double)cache[rows[from + i]];
    }
    *kl = sum > 0 ? sum / (double)count : 0;
    return ST_OK;
}

status mismatched_reference(struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count) {
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        TRY(pack(t, &taken, data, rows, from, count));
        TRY(fill_reference(t, cache_of(t, data), rows + from, taken));
    }
    return ST_OK;
}

status mismatched_precompute(struct trainer *t) {
    const uint64_t epochs = t->mismatched_epochs;
    uint32_t rows[BATCH_ROWS_MAX];
    struct progress bar;
    const size_t ranks = (size_t)t->comm.size, rank = (size_t)t->comm.rank; /* micro-batches go round */
    progress_begin(&bar, "reference of mismatched pairs", "rows", epochs * t->train.count + t->eval.count);
    for (uint64_t e = 0; e < epochs; e++) {
        TRY(order_epoch(t->order, &t->train, t->order_kind, t->o->seed, e, t->rows_per_step));
        t->order_epoch = (int64_t)e;
        for (size_t from = 0, n; from < t->train.count; from += n) {
            n = t->train.count - from < t->o->batch ? t->train.count - from : t->o->batch;
            if (from / t->o->batch % ranks == rank) TRY(mismatched_reference(t, &t->train, t->order + from, n));
            progress_update(&bar, e * t->train.count + from + n, NULL);
        }
    }
    for (size_t from = 0, n; from < t->eval.count; from += n) {
        n = t->eval.count - from < t->o->eval_batch ? t->eval.count - from : t->o->eval_batch;
        for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)(from + i);
        if (from / t->o->eval_batch % ranks == rank) TRY(mismatched_reference(t, &t->eval, rows, n));
    }
    TRY(ranks_merge(&t->comm, t->train_mismatched, epochs * t->train.count));
    TRY(ranks_merge(&t->comm, t->eval_mismatched, t->eval.count));
    progress_end(&bar, epochs * t->train.count + t->eval.count, NULL);
    return ST_OK;
}
