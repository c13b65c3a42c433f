#include "model/scorer.h"

static status prepare(struct scorer *s, const struct run_plan *plan, size_t longest) {
    TRY(model_need_positions(&s->model, longest));
    status result = run_init(&s->run, &s->model, plan);
    if (result == ST_OK) result = seqtree_init(&s->tree, (int32_t)plan->tokens, (int32_t)plan->tokens, (int32_t)plan->scored);
    if (result == ST_OK) return ST_OK;
    seqtree_release(&s->tree);
    run_release(&s->run);
    return result;
}

static status open_with(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, const struct run_plan *plan,
                        size_t longest) {
    *s = (struct scorer){0};
    TRY(adapter_open_model(&s->model, model, adapter, kind, MODEL_INFER));
    if (adapter) s->theta = s->model.params.value;
    status result = prepare(s, plan, longest);
    if (result != ST_OK) scorer_release(s);
    return result;
}

static struct run_plan plan_of(size_t token_budget) { return (struct run_plan){.tokens = token_budget, .scored = 2 * token_budget}; }

status scorer_prepare(struct scorer *s, size_t token_budget, size_t longest) {
    const struct run_plan plan = plan_of(token_budget);
    return prepare(s, &plan, longest);
}

status scorer_open(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget, size_t longest) {
    const struct run_plan plan = plan_of(token_budget);
    return open_with(s, model, adapter, kind, &plan, longest);
}

status scorer_open_rewards(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget,
                           size_t sequences) {
    return open_with(s, model, adapter, kind, &(struct run_plan){.tokens = token_budget, .scored = 2 * sequences, .rewards = true}, 1);
}

void scorer_release(struct scorer *s) {
    seqtree_release(&s->tree);
    run_release(&s->run);
    model_release(&s->model);
    *s = (struct scorer){0};
}

status scorer_need_positions(struct scorer *s, size_t count) {
    struct model *m = &s->model;
    if (count <= m->rope_positions) return ST_OK;
    return model_need_positions(m, count + 256 < m->config.max_position ? count + 256 : count);
}

status scorer_sums(double *sums, struct scorer *s, const int32_t *const *ids, const int32_t *sizes, const int32_t *from, int32_t count) {
    TRY(seqtree_build(&s->tree, ids, sizes, from, count, true));
    TRY(run_forward(&s->run, &s->tree, s->theta, false));
    run_sums(sums, &s->run, &s->tree);
    return ST_OK;
}

/* The entries are sorted by node, so positions sort them back. */
void scorer_token_logps(float *out, const struct scorer *s, int32_t sequence, size_t from, size_t count) {
    for (int32_t i = 0; i < s->tree.score_count; i++) {
        const struct seqtree_score *e = &s->tree.scores[i];
        const size_t at = (size_t)s->tree.depth[e->node] + 1;
        if (e->sequence == sequence && at >= from && at - from < count) out[at - from] = s->run.logp[i];
    }
}
