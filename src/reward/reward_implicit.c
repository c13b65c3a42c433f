/* reward_implicit: what a policy trained by DPO thinks of a response, beta (log pi(y|x) - log pi_ref(y|x)) (arXiv 2305.18290, equation 5). It
 * is known up to a number that depends on the prompt, and grows with length: only its order means something.
 *
 * A policy that has trained on a pair knows its order by heart. Cross-fitted (arXiv 1608.00060), each prompt is scored by a policy that has not
 * seen it: two adapters, trained on the prompts of augment_fold 0 and 1 of 2, each score the other's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/augment.h"
#include "reward/reward_pack.h"

struct implicit {
    struct reward_pack pack[2];
    size_t packs;                 /* 1, or 2: pack[f] scores the prompts of fold f */
    struct reward_values ready[2]; /* of each pack, those that wait for the other's */
    uint8_t *fold;                /* [count] whose number is next, then next, .. */
    size_t count, capacity;
    double beta;
};

status reward_implicit_open(struct reward *r, const struct reward_options *o) {
    struct implicit *x = mem_zero(1, sizeof *x);
    struct buf setting = {0};
    struct reward_options one = *o;
    r->state = x;
    x->beta = o->beta;
    x->packs = o->cross_fit[0] ? 2 : 1;
    buf_printf(&setting, "%s, beta %.9g%s", r->source->name, o->beta, x->packs == 2 ? ", cross-fitted" : "");
    r->setting = setting.data;
    for (size_t f = 0; f < x->packs; f++) {
        if (x->packs == 2) one.adapter = o->cross_fit[1 - f];
        TRY(reward_pack_open(&x->pack[f], &one, false));
    }
    return ST_OK;
}

void reward_implicit_release(struct reward *r) {
    struct implicit *x = r->state;
    for (size_t f = 0; f < 2; f++) {
        reward_pack_release(&x->pack[f]);
        reward_values_release(&x->ready[f]);
    }
    free(x->fold);
    free(x);
}

/* The policy is the model with its adapter, the reference the same without. */
static status compute(struct reward_values *out, struct reward_pack *pack, double beta, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX];
    double policy[REWARD_PACK_MAX], reference[REWARD_PACK_MAX];
    struct scorer *s = &pack->scorer;
    for (size_t n; (n = reward_pack_next(ids, sizes, from, pack, all)) > 0; reward_pack_drop(pack, n)) {
        TRY(scorer_sums(policy, s, ids, sizes, from, (int32_t)n));
        TRY(run_forward(&s->run, &s->tree, NULL, false));
        run_sums(reference, &s->run, &s->tree);
        for (size_t i = 0; i < n; i++) reward_values_add(out, beta * (policy[i] - reference[i]));
    }
    return ST_OK;
}

/* Numbers in the order of the responses, as far as both packs have come. */
static status put_ready(struct implicit *x, struct reward_values *out, bool all) {
    size_t used[2] = {0}, n = 0;
    for (size_t f = 0; f < x->packs; f++) TRY(compute(&x->ready[f], &x->pack[f], x->beta, all));
    while (n < x->count && used[x->fold[n]] < x->ready[x->fold[n]].count) {
        const size_t f = x->fold[n++];
        reward_values_add(out, x->ready[f].items[used[f]++]);
    }
    for (size_t f = 0; f < x->packs; f++) reward_values_drop(&x->ready[f], used[f]);
    x->count -= n;
    if (x->count) memmove(x->fold, x->fold + n, x->count);
    return ST_OK;
}

status reward_implicit_score(struct reward *r, struct reward_values *out, const struct record *row) {
    struct implicit *x = r->state;
    size_t f = 0;
    if (x->packs == 2) {
        if (row->prompt_ids.size) return FAIL(ST_FORMAT, "the row holds token ids, and folds are made of the prompt's text");
        if (record_has_goal(row) && strcmp(row->form, "samples") != 0)
            return FAIL(ST_FORMAT, "field goal: the row's prompt asks for a goal, and folds are made of prompts without");
        f = augment_fold(record_prompt_key(&row->prompt, row->conversational), 2);
    }
    const size_t n = reward_responses(row);
    TRY(reward_pack_take(&x->pack[f], row));
    if (x->count + n > x->capacity) {
        x->capacity = 2 * (x->count + n) + 64;
        x->fold = mem_resize(x->fold, x->capacity);
    }
    memset(x->fold + x->count, (int)f, n);
    x->count += n;
    return put_ready(x, out, false);
}

status reward_implicit_flush(struct reward *r, struct reward_values *out) { return put_ready(r->state, out, true); }
