/* step: one micro-batch from rows to gradients. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "train/trainer_state.h"

/* Sums are rounded to fp32 on both sides, so that a policy equal to its reference has margin exactly 0 whatever was cached. */
static void round_sums(double *sums, size_t n) {
    for (size_t i = 0; i < n; i++) sums[i] = (double)(float)sums[i];
}

/* What a loss of rewards looks at beside them. */
static void row_scores(struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        t->scores[i * t->k] = r->score_chosen;
        if (t->k > 1) t->scores[i * t->k + 1] = r->score_rejected;
        t->margins[i] = t->o->margins == MARGIN_SCORES ? r->score_chosen - r->score_rejected : r->margin;
    }
}

static void row_lengths(int32_t *out, const struct loaded *data, const uint32_t *rows, size_t count, size_t k) {
    for (size_t i = 0; i < count; i++) {
        out[i * k] = data->rows[rows[i]].chosen;
        if (k > 1) out[i * k + 1] = data->rows[rows[i]].rejected;
    }
}

/* The loss over `count` rows; under sft the mean cross-entropy of all completion tokens, which is the loss table's sft with k = 1. */
static status loss_of(struct loss_result *r, const struct trainer *t, size_t from, size_t count) {
    const struct loss_row *row = t->o->objective == OBJECTIVE_SFT ? loss_find("sft") : t->o->loss;
    struct loss_batch b = {.groups = count,
                           .k = t->k,
                           .policy = t->policy + from * t->k,
                           .lengths = t->lengths + from * t->k,
                           .scores = t->with_scores ? t->scores + from * t->k : NULL,
                           .margins = t->with_margins ? t->margins + from : NULL,
                           .reference = t->needs_reference ? t->reference + from * t->k : NULL};
    *r = (struct loss_result){.dpolicy = t->dpolicy + from * t->k};
    return row->compute(r, &b, &t->o->loss_params);
}

static status forward_pack(struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t from, size_t count,
                           size_t *taken, bool keep) {
    TRY(batch_pack(&t->tree, taken, data, rows + from, count - from, t->k, t->run.plan.tokens, t->share));
    if (t->needs_reference) TRY(reference_fill(t, t->reference + from * t->k, cache, rows + from, *taken));
    const float *theta = t->o->full ? NULL : t->model.params.value;
    TRY(run_forward(&t->run, &t->tree, theta, keep));
    run_sums(t->policy + from * t->k, &t->run, &t->tree);
    round_sums(t->policy + from * t->k, *taken * t->k);
    return ST_OK;
}

static status backward_pack(struct trainer *t, size_t from, double weight) {
    for (int32_t i = 0; i < t->tree.score_count; i++)
        t->dlogp[i] = (float)(t->dpolicy[from * t->k + (size_t)t->tree.scores[i].sequence] * weight);
    return run_backward(&t->run, &t->tree, t->o->full ? NULL : t->model.params.value, t->dlogp);
}

/* Do the rows of a micro-batch fit one pack? */
static bool fits(const struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += batch_row_tokens(data, rows[i], t->k);
        if (!t->share && t->k > 1) total += (size_t)data->rows[rows[i]].prompt;
    }
    return total <= t->run.plan.tokens;
}

/* Each pack's rows are a batch of their own: right for losses that are means over rows. */
static status separable(double *value, struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t count,
                        bool train, double weight, struct token_stats *stats) {
    *value = 0;
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        struct loss_result r;
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, train));
        if (!t->run.plan.rewards) token_stats_add(stats, &t->run, &t->tree, t->k);
        TRY(loss_of(&r, t, from, taken));
        const double share = (double)taken / (double)count;
        *value += r.value * share;
        if (train) TRY(backward_pack(t, from, weight * share));
    }
    return ST_OK;
}

/* A loss that looks at the whole batch: all log-probs first, then every pack again for its gradient. */
static status whole(double *value, struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t count,
                    bool train, double weight, struct token_stats *stats) {
    struct loss_result r;
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, false));
        token_stats_add(stats, &t->run, &t->tree, t->k);
    }
    TRY(loss_of(&r, t, 0, count));
    *value = r.value;
    for (size_t from = 0, taken = 0; train && from < count; from += taken) {
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, true));
        TRY(backward_pack(t, from, weight));
    }
    return ST_OK;
}

status step_micro(struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t count, bool train, double weight,
                  struct metrics *m) {
    struct token_stats stats = {0};
    double value = 0;
    const struct loss_row *row = t->o->objective == OBJECTIVE_SFT ? loss_find("sft") : t->o->loss;
    row_lengths(t->lengths, data, rows, count, t->k);
    row_scores(t, data, rows, count);
    /* LoRA dropout differs from step to step and from pack to pack, never with the order in which threads ran */
    t->run.scratch.dropout.p = train ? (float)t->o->lora.dropout : 0;
    t->run.scratch.dropout.key = t->o->seed * 0x9e3779b97f4a7c15u + t->step * 4096 + (uint64_t)rows[0];
    status s = (row->needs & LOSS_NEEDS_BATCH) && !fits(t, data, rows, count)
                   ? whole(&value, t, data, cache, rows, count, train, weight, &stats)
                   : separable(&value, t, data, cache, rows, count, train, weight, &stats);
    TRY(s);
    for (size_t i = 0; i < count && train; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        t->tokens_seen += r->prompt + r->chosen + (t->k > 1 ? r->prompt + r->rejected : 0);
    }
    if (t->run.plan.rewards)
        metrics_add_rewards(m, value, t->policy, count);
    else
        metrics_add(m, value, &stats, t->policy, t->needs_reference ? t->reference : NULL, count, t->k, t->o->loss_params.beta);
    return ST_OK;
}

/* The loss is the mean over rows, as transformers' evaluation_loop takes it; every other metric is a mean over micro-batches, as TRL does.
 */
status step_evaluate(struct trainer *t, struct metrics *m) {
    uint32_t rows[BATCH_ROWS_MAX];
    double loss_of_rows = 0;
    struct progress bar;
    *m = (struct metrics){0};
    progress_begin(&bar, "evaluate", "rows", t->eval.count);
    for (size_t from = 0; from < t->eval.count; from += t->o->eval_batch) {
        size_t count = t->eval.count - from < t->o->eval_batch ? t->eval.count - from : t->o->eval_batch;
        for (size_t i = 0; i < count; i++) rows[i] = (uint32_t)(from + i);
        const double before = m->loss;
        TRY(step_micro(t, &t->eval, t->eval_ref, rows, count, false, 0, m));
        loss_of_rows += (m->loss - before) * (double)count;
        progress_update(&bar, from + count, NULL);
    }
    if (m->count) m->loss = loss_of_rows / (double)t->eval.count * (double)m->count;
    progress_end(&bar, t->eval.count, NULL);
    return ST_OK;
}
