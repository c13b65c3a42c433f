/* step: one micro-batch from rows to gradients. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "train/trainer_state.h"

/* Sums are rounded to fp32 on both sides, so that a policy equal to its reference has margin exactly 0 whatever was cached. */
static void round_sums(double *sums, size_t n) {
    for (size_t i = 0; i < n; i++) sums[i] = (double)(float)sums[i];
}

/* What is known of the rows of a micro-batch before they are computed. */
static void describe_rows(struct trainer *t, const struct loaded *data, const uint32_t *rows, size_t count) {
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        const struct loaded_response *x = &data->responses[r->first];
        t->first[i] = at;
        t->margins[i] = t->o->margins == MARGIN_SCORES && r->responses > 1 ? x[0].score - x[1].score : r->margin;
        for (int32_t j = 0; j < r->responses; j++, at++) {
            t->scores[at] = x[j].score;
            t->lengths[at] = x[j].count;
            t->prompts[at] = t->o->score_prompts ? 0 : r->prompt; /* statistics are over all that the loss is over */
            t->rejected[at] = x[j].rejected;
        }
    }
    t->first[count] = at;
}

/* The loss over `count` rows. */
static status loss_of(struct loss_result *r, const struct trainer *t, const struct loaded *data, size_t from, size_t count) {
    const size_t at = t->first[from];
    struct loss_batch b = {.groups = count,
                           .k = data->k,
                           .first = data->k ? NULL : t->first + from,
                           .policy = t->policy + at,
                           .lengths = t->lengths + at,
                           .scores = t->with_scores ? t->scores + at : NULL,
                           .rejected = t->rejected + at,
                           .kl = t->kl,
                           .margins = t->takes_margins && !isnan(t->margins[from]) ? t->margins + from
                                                                                   : NULL, /* all rows of a file have one, or none */
                           .weights = t->o->loss_params.weighting ? t->weights + from : NULL,
                           .text = t->text + at,
                           .text_lengths = t->text_lengths + at,
                           .reference = t->needs_reference ? t->reference + at : NULL};
    *r = (struct loss_result){.dpolicy = t->dpolicy + at, .dtext = t->dtext + at};
    return loss_mix_compute(r, t->o->loss, &b, &t->o->loss_params, t->loss_scratch);
}

/* LoRA dropout differs from step to step and from pack to pack, never with the order in which threads ran. row: the pack's first. */
static void key_dropout(struct trainer *t, uint32_t row) {
    struct rng g = rng_at(t->o->seed, t->step, row, 0);
    t->run.scratch.dropout.key = rng_u64(&g);
}

static status forward_pack(struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t from, size_t count,
                           size_t *taken, bool keep) {
    TRY(pack_rows(t, taken, data, rows + from, count - from));
    const size_t at = t->first[from];
    key_dropout(t, rows[from]);
    if (t->needs_reference) TRY(reference_fill(t, t->reference + at, cache, data, rows + from, *taken));
    const float *theta = t->o->full ? NULL : t->model.params.value;
    TRY(run_forward(&t->run, &t->tree, theta, keep));
    run_sums(t->policy + at, &t->run, &t->tree);
    round_sums(t->policy + at, t->first[from + *taken] - at);
    pack_statistics(t, from, *taken);
    return ST_OK;
}

/* last: of the micro-batch. */
static status backward_pack(struct trainer *t, size_t from, double weight, bool last) {
    const bool text = (t->o->loss->needs & LOSS_NEEDS_TEXT) != 0;
    for (int32_t i = 0; i < t->tree.score_count; i++) {
        const size_t at = t->first[from] + (size_t)t->tree.scores[i].sequence;
        t->dlogp[i] = (float)((t->dpolicy[at] * (double)t->tree.scores[i].weight + (text ? t->dtext[at] : 0)) * weight);
    }
    t->run.graded = t->comm.size > 1 && last && t->last_micro ? overlap_graded : NULL;
    t->run.graded_context = &t->overlap;
    return run_backward(&t->run, &t->tree, t->o->full ? NULL : t->model.params.value, t->dlogp);
}

static void add_stats(struct token_stats *stats, const struct trainer *t, size_t from) {
    token_stats_add(stats, &t->run, &t->tree, t->rejected + t->first[from], t->prompts + t->first[from]);
}

static void count_positions(struct token_stats *stats, const struct trainer *t, const struct loaded *data, const uint32_t *rows,
                            size_t taken) {
    stats->positions += t->tree.node_count;
    for (size_t i = 0; i < taken; i++) stats->alone += (int64_t)batch_row_tokens(data, rows[i], false);
}

/* Each pack's rows are a batch of their own: right for losses that are means over rows. */
static status separable(struct loss_result *total, struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows,
                        size_t count, bool train, double weight, struct token_stats *stats) {
    *total = (struct loss_result){0};
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        struct loss_result r;
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, train));
        if (!t->run.plan.rewards) add_stats(stats, t, from);
        TRY(loss_of(&r, t, data, from, taken));
        const double share = (double)taken / (double)count;
        total->value += r.value * share;
        total->nll += r.nll * share;
        total->log_odds_ratio += r.log_odds_ratio * share;
        total->log_odds_chosen += r.log_odds_chosen * share;
        if (!train) continue;
        count_positions(stats, t, data, rows + from, taken);
        TRY(backward_pack(t, from, weight * share, from + taken == count));
    }
    return ST_OK;
}

/* A loss that looks at the whole batch: all log-probs first, then every pack again for its gradient. */
static status whole(struct loss_result *total, struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows,
                    size_t count, bool train, double weight, struct token_stats *stats) {
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, false));
        add_stats(stats, t, from);
    }
    TRY(loss_of(total, t, data, 0, count));
    for (size_t from = 0, taken = 0; train && from < count; from += taken) {
        TRY(forward_pack(t, data, cache, rows, from, count, &taken, true));
        count_positions(stats, t, data, rows + from, taken);
        TRY(backward_pack(t, from, weight, from + taken == count));
    }
    return ST_OK;
}

/* Of a loss of the policy alone, rewards are beta times its log-probs, as over a reference of 0; of a loss of means, log-probs are means.
 */
static void add_metrics(struct metrics *m, struct trainer *t, const struct loss_result *r, const struct token_stats *stats, size_t count) {
    const unsigned needs = t->o->loss->needs;
    for (size_t i = 0; i < t->first[count]; i++) {
        if (needs & LOSS_OF_MEANS && t->lengths[i] > 1) t->policy[i] /= t->lengths[i];
        if (needs & LOSS_OF_POLICY) t->reference[i] = 0;
    }
    const double *reference = needs & (LOSS_NEEDS_REFERENCE | LOSS_OF_POLICY) ? t->reference : NULL;
    metrics_add(m, r, stats, t->policy, reference, t->first, count, t->o->loss_params.beta);
}

status step_micro(struct trainer *t, const struct loaded *data, float *cache, const uint32_t *rows, size_t count, bool train, double weight,
                  struct metrics *m) {
    struct token_stats stats = {0};
    struct loss_result r;
    describe_rows(t, data, rows, count);
    t->run.scratch.dropout.p = train ? (float)t->o->lora.dropout : 0;
    key_dropout(t, rows[0]); /* of what comes before the packs */
    if (t->o->loss->needs & LOSS_NEEDS_KL) TRY(mismatched_kl(&t->kl, t, data, rows, count));
    status s =
        (t->o->loss->needs & LOSS_NEEDS_BATCH) && !batch_fits(data, rows, count, t->run.plan.tokens, t->share, pack_scores_prompts(t))
            ? whole(&r, t, data, cache, rows, count, train, weight, &stats)
            : separable(&r, t, data, cache, rows, count, train, weight, &stats);
    TRY(s);
    for (size_t i = 0; i < count && train; i++)
        for (uint32_t at = t->first[i]; at < t->first[i + 1]; at++)
            t->tokens_seen += loaded_response(data, rows[i], at - t->first[i])->prompt + t->lengths[at];
    m->positions += (double)stats.positions;
    m->alone += (double)stats.alone;
    if (t->run.plan.rewards)
        metrics_add_rewards(m, r.value, t->policy, count);
    else if (t->o->objective == OBJECTIVE_KTO)
        metrics_add_labels(m, r.value, &stats, t->policy, t->reference, t->rejected, count, t->o->loss_params.beta, t->kl);
    else
        add_metrics(m, t, &r, &stats, count);
    return ST_OK;
}

struct span evaluation_share(const struct trainer *t) {
    const size_t n = t->o->eval_batch, count = t->eval.count;
    const struct span micros = ranks_share(&t->comm, (count + n - 1) / n, 1);
    return (struct span){micros.first * n < count ? micros.first * n : count, micros.end * n < count ? micros.end * n : count};
}

/* The loss is the mean over rows, as transformers' evaluation_loop takes it; every other metric is a mean over micro-batches, as TRL does.
 */
status step_evaluate(struct trainer *t, struct metrics *m) {
    uint32_t rows[BATCH_ROWS_MAX];
    double loss_of_rows = 0;
    struct progress bar;
    const struct span mine = evaluation_share(t);
    *m = (struct metrics){0};
    progress_begin(&bar, "evaluate", "rows", mine.end - mine.first);
    for (size_t from = mine.first; from < mine.end; from += t->o->eval_batch) {
        size_t count = mine.end - from < t->o->eval_batch ? mine.end - from : t->o->eval_batch;
        for (size_t i = 0; i < count; i++) rows[i] = (uint32_t)(from + i);
        const double before = m->loss;
        TRY(step_micro(t, &t->eval, t->eval_ref, rows, count, false, 0, m));
        loss_of_rows += (m->loss - before) * (double)count;
        progress_update(&bar, from + count - mine.first, NULL);
    }
    TRY(ranks_sum_metrics(&t->comm, m, &loss_of_rows));
    if (m->count) m->loss = loss_of_rows / (double)t->eval.count * m->losses;
    progress_end(&bar, mine.end - mine.first, NULL);
    return ST_OK;
}
