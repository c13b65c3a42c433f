/* reward_implicit: what a policy trained by DPO thinks of a response, beta (log pi(y|x) - log pi_ref(y|x)) (arXiv 2305.18290, equation 5). It
 * is known up to a number that depends on the prompt, and grows with length: only its order means something. */
#include <stdlib.h>

#include "reward/reward_pack.h"

struct implicit {
    struct reward_pack pack;
    double beta;
};

status reward_implicit_open(struct reward *r, const struct reward_options *o) {
    struct implicit *x = mem_zero(1, sizeof *x);
    struct buf setting = {0};
    r->state = x;
    x->beta = o->beta;
    buf_printf(&setting, "%s, beta %.9g", r->source->name, o->beta);
    r->setting = setting.data;
    return reward_pack_open(&x->pack, o, false);
}

void reward_implicit_release(struct reward *r) {
    struct implicit *x = r->state;
    reward_pack_release(&x->pack);
    free(x);
}

/* The policy is the model with its adapter, the reference the same without. */
static status compute(struct implicit *x, struct reward_values *out, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX];
    double policy[REWARD_PACK_MAX], reference[REWARD_PACK_MAX];
    struct scorer *s = &x->pack.scorer;
    for (size_t n; (n = reward_pack_next(ids, sizes, from, &x->pack, all)) > 0; reward_pack_drop(&x->pack, n)) {
        TRY(scorer_sums(policy, s, ids, sizes, from, (int32_t)n));
        TRY(run_forward(&s->run, &s->tree, NULL, false));
        run_sums(reference, &s->run, &s->tree);
        for (size_t i = 0; i < n; i++) reward_values_add(out, x->beta * (policy[i] - reference[i]));
    }
    return ST_OK;
}

status reward_implicit_score(struct reward *r, struct reward_values *out, const struct record *row) {
    struct implicit *x = r->state;
    TRY(reward_pack_take(&x->pack, row));
    return compute(x, out, false);
}

status reward_implicit_flush(struct reward *r, struct reward_values *out) { return compute(r->state, out, true); }
