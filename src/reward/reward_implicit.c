/* reward_implicit: what a policy trained by DPO thinks of a response, beta (log pi(y|x) - log pi_ref(y|x)) (arXiv 2305.18290, equation 5).
 * It is known up to a number that depends on the prompt, and grows with length: only its order means something. pi_ref is what the policy
 * was trained from: the model, or the model with the adapter that training went on from. A policy may be a model of its own (train --full),
 * which is held against the model.
 *
 * A policy that has trained on a pair knows its order by heart. Cross-fitted (arXiv 1608.00060), each prompt is scored by a policy that has
 * not seen it: two adapters, trained on the prompts of augment_fold 0 and 1 of 2, each score the other's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/augment.h"
#include "reward/policy_start.h"
#include "reward/reward_pack.h"

struct implicit {
    struct reward_pack pack[2];
    struct scorer reference[2]; /* of each pack, where it is apart: else the pack's own model without its adapter */
    bool apart[2];
    size_t packs;                  /* 1, or 2: pack[f] scores the prompts of fold f */
    struct reward_values ready[2]; /* of each pack, those that wait for the other's */
    uint8_t *fold;                 /* [count] whose number is next, then next, .. */
    size_t count, capacity;
    double beta;
};

/* A reference: a model, and an adapter on it or NULL. */
struct place {
    const char *model, *adapter;
};

/* A policy that was trained whole must have been trained from the model that it is held against. */
static status check_model(const struct policy_start *start, const char *policy, const char *model) {
    char hash[HASH_HEX_SIZE];
    if (strcmp(start->model, model) == 0 || !start->model_hash[0]) return ST_OK;
    TRY(hash_path(hash, model));
    if (strcmp(hash, start->model_hash) == 0) return ST_OK;
    return FAIL(ST_MISMATCH,
                "%s was trained from %s, which is another model than %s: --reference-adapter says what it is held against, none is --model",
                policy, start->model, model);
}

/* What the policy's manifest says, or the model. */
static status find_reference(struct place *out, const struct policy_start *start, const char *policy, bool whole,
                             const struct reward_options *o) {
    *out = (struct place){o->model, NULL};
    if (!start->known) {
        log_info("%s: no manifest.json says what it was trained from; the reference is %s (--reference-adapter names another)", policy,
                 o->model);
        return ST_OK;
    }
    if (start->moved)
        return FAIL(
            ST_USAGE,
            "%s was trained with --sync-ref-model, whose reference moved: say with --reference-adapter D, or none, what it is held against",
            policy);
    if (whole) TRY(check_model(start, policy, o->model));
    if (start->logps)
        log_info("%s: its --ref-logps %s are taken as of what it was trained from (--reference-adapter names another)", policy,
                 start->logps);
    if (!start->adapter) return ST_OK;
    if (!file_exists(start->adapter))
        return FAIL(ST_USAGE,
                    "%s was trained from the adapter %s, which is not there: say with --reference-adapter D where it is, or none for the "
                    "base model",
                    policy, start->adapter);
    log_info("%s: the reference is %s, which it was trained from", policy, start->adapter);
    out->adapter = start->adapter;
    return ST_OK;
}

static status check_tokenizer(const struct reward_pack *pack, const char *policy, const char *model) {
    struct encoder other = {0};
    status s = encoder_open(&other, model);
    if (s == ST_OK && strcmp(tokenizer_hash(other.tokenizer), tokenizer_hash(pack->encoder.tokenizer)) != 0)
        s = FAIL(ST_MISMATCH, "%s and %s have different tokenizers: log-probs of the same text are not comparable", policy, model);
    encoder_release(&other);
    return s;
}

static status open_reference(struct implicit *x, size_t f, const char *policy, bool whole, const struct place *reference,
                             const struct reward_options *o) {
    x->apart[f] = whole || reference->adapter || reference->model != o->model;
    if (!x->apart[f]) return ST_OK;
    if (whole || reference->model != o->model) TRY(check_tokenizer(&x->pack[f], policy, reference->model));
    return scorer_open(&x->reference[f], reference->model, reference->adapter, o->kind, o->budget, 16);
}

static status open_policy(struct implicit *x, size_t f, struct buf *setting, const char *policy, const struct reward_options *o) {
    const bool whole = adapter_is_model(policy);
    struct reward_options one = *o;
    struct policy_start start = {0};
    struct place reference = {o->model, NULL};
    one.model = whole ? policy : o->model;
    one.adapter = whole ? NULL : policy;
    TRY(reward_pack_open(&x->pack[f], &one, false));
    status s = ST_OK;
    if (!o->reference) {
        s = policy_start_read(&start, policy);
        if (s == ST_OK) s = find_reference(&reference, &start, policy, whole, o);
    } else if (strcmp(o->reference, "none") != 0) {
        if (adapter_is_model(o->reference))
            reference.model = o->reference;
        else
            reference.adapter = o->reference;
    }
    if (s == ST_OK) s = open_reference(x, f, policy, whole, &reference, o);
    if (f == 0 && (reference.adapter || reference.model != o->model))
        buf_append_text(setting, reference.adapter ? ", against an adapter" : ", against a model");
    policy_start_release(&start);
    return s;
}

status reward_implicit_open(struct reward *r, const struct reward_options *o) {
    struct implicit *x = mem_zero(1, sizeof *x);
    struct buf setting = {0};
    status s = ST_OK;
    r->state = x;
    x->beta = o->beta;
    x->packs = o->cross_fit[0] ? 2 : 1;
    buf_printf(&setting, "%s, beta %.9g%s", r->source->name, o->beta, x->packs == 2 ? ", cross-fitted" : "");
    for (size_t f = 0; f < x->packs && s == ST_OK; f++)
        s = open_policy(x, f, &setting, x->packs == 2 ? o->cross_fit[1 - f] : o->adapter, o);
    r->setting = setting.data;
    return s;
}

void reward_implicit_release(struct reward *r) {
    struct implicit *x = r->state;
    for (size_t f = 0; f < 2; f++) {
        reward_pack_release(&x->pack[f]);
        if (x->apart[f]) scorer_release(&x->reference[f]);
        reward_values_release(&x->ready[f]);
    }
    free(x->fold);
    free(x);
}

/* apart: the reference's own model; NULL: the policy's without its adapter. */
static status reference_sums(double *out, struct scorer *policy, struct scorer *apart, const int32_t *const *ids, const int32_t *sizes,
                             const int32_t *from, size_t n) {
    if (!apart) {
        TRY(run_forward(&policy->run, &policy->tree, NULL, false));
        run_sums(out, &policy->run, &policy->tree);
        return ST_OK;
    }
    for (size_t i = 0; i < n; i++) TRY(scorer_need_positions(apart, (size_t)sizes[i]));
    return scorer_sums(out, apart, ids, sizes, from, (int32_t)n);
}

static status compute(struct reward_values *out, struct reward_pack *pack, struct scorer *apart, double beta, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX];
    double policy[REWARD_PACK_MAX], reference[REWARD_PACK_MAX];
    struct scorer *s = &pack->scorer;
    for (size_t n; (n = reward_pack_next(ids, sizes, from, pack, all)) > 0; reward_pack_drop(pack, n)) {
        TRY(scorer_sums(policy, s, ids, sizes, from, (int32_t)n));
        TRY(reference_sums(reference, s, apart, ids, sizes, from, n));
        for (size_t i = 0; i < n; i++) reward_values_add(out, beta * (policy[i] - reference[i]));
    }
    return ST_OK;
}

/* Numbers in the order of the responses, as far as both packs have come. */
static status put_ready(struct implicit *x, struct reward_values *out, bool all) {
    size_t used[2] = {0}, n = 0;
    for (size_t f = 0; f < x->packs; f++) TRY(compute(&x->ready[f], &x->pack[f], x->apart[f] ? &x->reference[f] : NULL, x->beta, all));
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
