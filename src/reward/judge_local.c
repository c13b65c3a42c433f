/* judge_local: a model in this process as the judge. It does not write: the log-probs of every answer that it may give, to the end of its
 * turn, are computed in one pack with the prompt shared, and the likeliest is its answer, or the mean of all is. */
#include <math.h>
#include <stdlib.h>

#include "reward/judge.h"
#include "reward/reward_pack.h"

struct local {
    struct reward_pack pack;
    struct judge_scale scale;
    bool weighted;
    struct reward *reward;
    struct judge_question *first, **last; /* that wait */
    struct reward_values sums;            /* log-probs of the answers to the first question */
    struct record row;                    /* scratch: a conversation and the answers */
};

static status open_local(void **state, struct reward *r, const struct reward_options *o, const struct judge_scale *scale) {
    struct local *x = *state = mem_zero(1, sizeof *x);
    x->scale = *scale;
    x->weighted = o->judge.logprobs;
    x->reward = r;
    x->last = &x->first;
    TRY(reward_pack_open(&x->pack, o, false));
    return x->pack.encoder.chat
               ? ST_OK
               : FAIL(ST_UNSUPPORTED, "%s: a judge is asked in a conversation, and %s", o->model, x->pack.encoder.why_no_chat);
}

static void release(void *state) {
    struct local *x = state;
    reward_pack_release(&x->pack);
    reward_values_release(&x->sums);
    record_release(&x->row);
    free(x);
}

static void put_message(struct buf *out, const char *role, const struct buf *text) {
    buf_clear(out);
    buf_printf(out, "[{\"role\": \"%s\", \"content\": ", role);
    json_put_string(out, buf_text(text), text->size);
    buf_append_text(out, "}]");
}

static status ask(void *state, struct judge_question *q) {
    struct local *x = state;
    struct buf choice = {0};
    record_clear(&x->row);
    x->row.response_count = 0;
    x->row.kind = RECORD_RESPONSES;
    x->row.conversational = true;
    put_message(&x->row.prompt, "user", &q->text);
    for (size_t i = 0; i < judge_choices(&x->scale); i++) {
        buf_clear(&choice);
        judge_put_choice(&choice, &x->scale, i);
        put_message(&record_add_response(&x->row)->text, "assistant", &choice);
    }
    buf_release(&choice);
    status s = reward_pack_take(&x->pack, &x->row);
    if (s != ST_OK) return status_note(s, "the judge's prompt about the row: ");
    q->next = NULL;
    *x->last = q;
    x->last = &q->next;
    x->reward->tally.judge_asked++;
    return ST_OK;
}

/* The last questions' sequences are the last of the pack: none was computed yet. */
static void undo(void *state, size_t count) {
    struct local *x = state;
    size_t kept = 0;
    for (struct judge_question *q = x->first; q; q = q->next) kept++;
    kept -= count;
    x->last = &x->first;
    for (; kept; kept--) x->last = &(*x->last)->next;
    *x->last = NULL;
    x->reward->tally.judge_asked -= count;
    reward_pack_undo(&x->pack, count * judge_choices(&x->scale));
}

static void answer(struct judge_question *q, const struct local *x) {
    const size_t n = judge_choices(&x->scale);
    size_t best = 0;
    double total = 0, sum = 0;
    for (size_t i = 1; i < n; i++)
        if (x->sums.items[i] > x->sums.items[best]) best = i;
    for (size_t i = 0; i < n; i++) {
        const double p = exp(x->sums.items[i] - x->sums.items[best]);
        total += p;
        sum += p * judge_value(&x->scale, (int)i);
    }
    q->value = x->weighted ? sum / total : judge_value(&x->scale, (int)best);
    q->remote.state = isfinite(sum) ? REMOTE_ANSWERED : REMOTE_GIVEN_UP;
}

static status work(void *state, bool all, bool *stuck) {
    struct local *x = state;
    const size_t n = judge_choices(&x->scale);
    *stuck = false;
    while (x->sums.count < n) {
        const size_t before = x->sums.count;
        TRY(reward_pack_sums(&x->sums, &x->pack, all));
        if (x->sums.count == before) {
            *stuck = true;
            return ST_OK;
        }
    }
    while (x->first && x->sums.count >= n) {
        struct judge_question *q = x->first;
        answer(q, x);
        if (q->remote.state == REMOTE_GIVEN_UP)
            return FAIL(ST_MISMATCH, "the judge's log-probs are not finite: a broken checkpoint or adapter");
        x->first = q->next;
        if (!x->first) x->last = &x->first;
        reward_values_drop(&x->sums, n);
    }
    return ST_OK;
}

const struct judge_backend judge_local = {open_local, ask, work, undo, 1, release};
