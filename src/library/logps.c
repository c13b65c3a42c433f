/* logps: log-probs of responses to one prompt, packed with the prompt shared. */
#include <stdlib.h>
#include <string.h>

#include "library/library.h"

#define PACK_MAX 64 /* responses computed together */

struct job {
    struct rapt_model *m;
    struct record record;
    struct buf completion;
    struct encoded encoded;
    struct pack {
        struct ids ids; /* prompt and response */
        size_t from;    /* where the response begins */
    } items[PACK_MAX];
    size_t count, cost; /* in the pack */
    struct rapt_logps *out;
    size_t done;
};

static void keep(struct rapt_logps *out, const struct job *j, size_t i, double sum) {
    const struct pack *p = &j->items[i];
    out->sum = sum;
    out->count = p->ids.count - p->from;
    out->ids = mem_alloc((out->count + 1) * sizeof *out->ids);
    out->logps = mem_alloc((out->count + 1) * sizeof *out->logps);
    memcpy(out->ids, p->ids.data + p->from, out->count * sizeof *out->ids);
    scorer_token_logps(out->logps, &j->m->scorer, (int32_t)i, p->from, out->count);
}

static status flush(struct job *j) {
    const int32_t *ids[PACK_MAX];
    int32_t sizes[PACK_MAX], from[PACK_MAX];
    double sums[PACK_MAX];
    if (!j->count) return ST_OK;
    for (size_t i = 0; i < j->count; i++) {
        ids[i] = j->items[i].ids.data;
        sizes[i] = (int32_t)j->items[i].ids.count;
        from[i] = (int32_t)j->items[i].from;
    }
    TRY(scorer_sums(sums, &j->m->scorer, ids, sizes, from, (int32_t)j->count));
    for (size_t i = 0; i < j->count; i++) keep(&j->out[j->done++], j, i, sums[i]);
    j->count = j->cost = 0;
    return ST_OK;
}

/* The response behind the prompt, in the pack or in the next one. */
static status take(struct job *j, const char *response, size_t number) {
    struct encoded *x = &j->encoded;
    const size_t vocab = j->m->scorer.model.config.vocab;
    library_completion(&j->completion, &j->record, response);
    x->chosen.count = 0;
    TRY(encode_completion(&x->chosen, x, &j->m->encoder, &j->record, &j->completion));
    const size_t prompt = x->common, size = prompt + x->chosen.count;
    if (!prompt) return FAIL(ST_FORMAT, "response %zu: no token stands before it", number);
    if (size > j->m->length)
        return FAIL(ST_UNSUPPORTED, "response %zu: %zu tokens with its prompt, more than the %zu of max_length", number, size,
                    j->m->length);
    for (size_t i = 0; i < x->chosen.count; i++)
        if ((size_t)x->chosen.data[i] >= vocab)
            return FAIL(ST_MISMATCH, "token id %d is outside the model's vocabulary of %zu", x->chosen.data[i], vocab);
    if (j->count == PACK_MAX || j->cost + size > j->m->budget) TRY(flush(j));
    struct pack *p = &j->items[j->count++];
    p->ids.count = 0;
    p->from = prompt;
    ids_append(&p->ids, x->prompt.data, prompt);
    ids_append(&p->ids, x->chosen.data, x->chosen.count);
    j->cost += size;
    return scorer_need_positions(&j->m->scorer, size);
}

static status run(struct job *j, const struct rapt_prompt *prompt, const char *const *responses, size_t count) {
    struct rapt_model *m = j->m;
    if (!m->scores) TRY(scorer_prepare(&m->scorer, m->budget, 16));
    m->scores = true;
    TRY(library_prompt(&j->record, m, prompt));
    j->record.kind = RECORD_RESPONSES; /* a prompt with completions */
    TRY(library_prompt_ids(&j->encoded.prompt, m, &j->record));
    for (size_t i = 0; i < count; i++) TRY(take(j, responses[i], i));
    return flush(j);
}

RAPT_API rapt_status rapt_logps(struct rapt_model *m, struct rapt_logps *out, const struct rapt_prompt *prompt,
                                const char *const *responses, size_t count) {
    struct library_turn turn;
    status s = library_enter(&turn, m->threads);
    if (s != ST_OK) return (rapt_status)s;
    struct job *j = mem_zero(1, sizeof *j);
    j->m = m;
    j->out = mem_zero(count, sizeof *out);
    s = run(j, prompt, responses, count);
    if (s == ST_OK)
        memcpy(out, j->out, count * sizeof *out);
    else
        rapt_logps_release(j->out, j->done);
    free(j->out);
    for (size_t i = 0; i < PACK_MAX; i++) ids_release(&j->items[i].ids);
    record_release(&j->record);
    buf_release(&j->completion);
    encoded_release(&j->encoded);
    free(j);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API void rapt_logps_release(struct rapt_logps *logps, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(logps[i].ids);
        free(logps[i].logps);
        logps[i] = (struct rapt_logps){0};
    }
}
