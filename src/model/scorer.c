#include "model/scorer.h"

status scorer_open(struct scorer *s, const char *model, const char *adapter, enum matmul_kind kind, size_t token_budget, size_t longest) {
    *s = (struct scorer){0};
    TRY(adapter_open_model(&s->model, model, adapter, kind, MODEL_INFER));
    status result = ST_OK;
    if (adapter) s->theta = s->model.params.value;
    struct run_plan plan = {.tokens = token_budget, .scored = 2 * token_budget};
    if (result == ST_OK) result = model_need_positions(&s->model, longest);
    if (result == ST_OK) result = run_init(&s->run, &s->model, &plan);
    if (result == ST_OK) result = seqtree_init(&s->tree, (int32_t)token_budget, (int32_t)token_budget, (int32_t)(2 * token_budget));
    if (result != ST_OK) scorer_release(s);
    return result;
}

void scorer_release(struct scorer *s) {
    seqtree_release(&s->tree);
    run_release(&s->run);
    model_release(&s->model);
    *s = (struct scorer){0};
}

status scorer_sums(double *sums, struct scorer *s, const int32_t *const *ids, const int32_t *sizes, const int32_t *from, int32_t count) {
    TRY(seqtree_build(&s->tree, ids, sizes, from, count, true));
    TRY(run_forward(&s->run, &s->tree, s->theta, false));
    run_sums(sums, &s->run, &s->tree);
    return ST_OK;
}
