#include "model/scorer.h"

static status open_with(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, const struct run_plan *plan,
    size_t longest) {
    *s = (struct scorer){0};
    TRY(adapter_open_model(&s->model, model, adapter, kind, MODEL_INFER));
    if (adapter) s->theta = s->model.params.value;
    status result = model_need_positions(&s->model, longest);
    if (result == ST_OK) result = run_init(&s->run, &s->model, plan);
    if (result == ST_OK) result = seqtree_init(&s->tree, (int32_t)plan->tokens, (int32_t)plan->tokens, (int32_t)plan->scored);
    if (result != ST_OK) scorer_release(s);
    return result;
}

status scorer_open(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget, size_t longest) {
    return open_with(s, model, adapter, kind, &(struct run_plan){.tokens = token_budget, .scored = 2 * token_budget}, longest);
}

status scorer_open_rewards(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget, size_t sequences) {
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
