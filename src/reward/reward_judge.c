/* reward_judge: scores by a language model that is asked about each response (a rating), or about each two of a row in both orders (who is
 * better).
 *
 * Zheng et al., arXiv 2306.05685: single-answer grading, pairwise comparison, and the swap of positions: where the two orders disagree it
 * is a tie. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reward/judge.h"

struct judged_row {
    struct judged_row *next;
    size_t responses, count;
    struct judge_question *questions; /* [count]: one a response, or two for each two responses i < j, i shown first in the first of them */
};
struct judge {
    const struct judge_backend *backend;
    void *state;
    struct judge_scale scale;
    struct judge_prompt prompt;
    bool weighted;
    struct judged_row *first, **last; /* rows whose scores are not out yet */
    size_t waiting;                   /* questions of theirs, answered or not */
    struct buf asked, *texts;         /* scratch: the row's prompt; [text_capacity] its responses */
    size_t text_capacity;
};

status reward_judge_open(struct reward *r, const struct reward_options *o) {
    struct judge *x = r->state = mem_zero(1, sizeof *x);
    struct buf setting = {0};
    x->last = &x->first;
    x->scale = o->judge.scale;
    x->weighted = o->judge.logprobs;
    x->backend = o->judge.remote.endpoint ? &judge_remote : &judge_local;
    buf_printf(&setting, "judge, %s", x->scale.pairwise ? "pairwise" : "rating");
    r->setting = setting.data;
    TRY(judge_prompt_open(&x->prompt, o->judge.prompt_file, &x->scale));
    return x->backend->open(&x->state, r, o, &x->scale);
}

static void row_free(struct judged_row *row) {
    for (size_t i = 0; i < row->count; i++) buf_release(&row->questions[i].text);
    free(row->questions);
    free(row);
}

void reward_judge_release(struct reward *r) {
    struct judge *x = r->state;
    if (x->state) x->backend->release(x->state); /* before the questions that it knows */
    for (struct judged_row *row = x->first, *next; row; row = next) {
        next = row->next;
        row_free(row);
    }
    judge_prompt_release(&x->prompt);
    buf_release(&x->asked);
    for (size_t i = 0; i < x->text_capacity; i++) buf_release(&x->texts[i]);
    free(x->texts);
    free(x);
}

static status read_texts(struct judge *x, const struct record *row, size_t n) {
    if (n > x->text_capacity) {
        x->texts = mem_resize(x->texts, n * sizeof *x->texts);
        memset(x->texts + x->text_capacity, 0, (n - x->text_capacity) * sizeof *x->texts);
        x->text_capacity = n;
    }
    TRY(judge_prompt_of_row(&x->asked, row));
    for (size_t i = 0; i < n; i++) TRY(reward_response_text(&x->texts[i], row, i));
    if (x->scale.pairwise && n < 2) return FAIL(ST_FORMAT, "the judge compares, and the row has one response");
    return n <= 64 || !x->scale.pairwise ? ST_OK : FAIL(ST_UNSUPPORTED, "%zu responses are too many to compare each two", n);
}

static void write_questions(struct judged_row *out, const struct judge *x, uint64_t line) {
    const size_t n = out->responses;
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = x->scale.pairwise ? i + 1 : i; j < n; j = x->scale.pairwise ? j + 1 : n)
            for (size_t order = 0; order < (x->scale.pairwise ? 2u : 1u); order++) {
                const struct buf *a = &x->texts[order ? j : i], *b = x->scale.pairwise ? &x->texts[order ? i : j] : NULL;
                struct judge_question *q = &out->questions[k++];
                q->remote.number = line;
                if (b && a->size == b->size && memcmp(buf_text(a), buf_text(b), a->size) == 0) {
                    q->remote.state = REMOTE_ANSWERED; /* equal texts are equally good: nobody is asked */
                    q->value = 0.5;
                    continue;
                }
                judge_prompt_put(&q->text, &x->prompt, &x->scale, &x->asked, a, b);
            }
}

/* Both orders of a comparison -> what the first of the two gets. */
static double combined(const struct judge *x, struct reward_tally *tally, const struct judge_question q[2]) {
    const double forth = q[0].value, back = 1 - q[1].value;
    if (q[0].remote.state == REMOTE_GIVEN_UP || q[1].remote.state == REMOTE_GIVEN_UP) return (double)NAN;
    tally->judge_orders_disagree += x->weighted ? (forth - 0.5) * (back - 0.5) < 0 : forth != back;
    if (x->weighted) return (forth + back) / 2;
    return forth == back ? forth : 0.5;
}

static void put_scores(struct reward *r, struct reward_values *out, const struct judged_row *row) {
    const struct judge *x = r->state;
    const size_t n = row->responses, from = out->count;
    if (!x->scale.pairwise) {
        for (size_t i = 0; i < n; i++)
            reward_values_add(out, row->questions[i].remote.state == REMOTE_ANSWERED ? row->questions[i].value : (double)NAN);
        return;
    }
    for (size_t i = 0; i < n; i++) reward_values_add(out, 0);
    for (size_t i = 0, k = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, k += 2) {
            const double won = combined(x, &r->tally, &row->questions[k]);
            out->items[from + i] += won / (double)(n - 1);
            out->items[from + j] += (1 - won) / (double)(n - 1);
        }
}

static bool is_done(const struct judged_row *row) {
    for (size_t i = 0; i < row->count; i++)
        if (row->questions[i].remote.state == REMOTE_ASKED) return false;
    return true;
}

static void emit(struct reward *r, struct reward_values *out) {
    struct judge *x = r->state;
    for (struct judged_row *row; (row = x->first) != NULL && is_done(row);) {
        put_scores(r, out, row);
        x->waiting -= row->count;
        x->first = row->next;
        if (!x->first) x->last = &x->first;
        row_free(row);
    }
}

static status ask_all(const struct judge *x, struct judged_row *row) {
    size_t asked = 0;
    for (size_t i = 0; i < row->count; i++) {
        if (row->questions[i].remote.state != REMOTE_ASKED) continue;
        status s = x->backend->ask(x->state, &row->questions[i]);
        if (s != ST_OK && asked && x->backend->undo) x->backend->undo(x->state, asked);
        if (s != ST_OK) return s;
        asked++;
    }
    return ST_OK;
}

static status work(struct reward *r, struct reward_values *out, bool all) {
    struct judge *x = r->state;
    emit(r, out);
    while (x->first && (all || x->waiting > x->backend->most)) {
        bool stuck;
        TRY(x->backend->work(x->state, all, &stuck));
        emit(r, out);
        if (stuck) break;
    }
    CHECK(!all || !x->first);
    return ST_OK;
}

status reward_judge_score(struct reward *r, struct reward_values *out, const struct record *record) {
    struct judge *x = r->state;
    const size_t n = reward_responses(record);
    TRY(read_texts(x, record, n));
    struct judged_row *row = mem_zero(1, sizeof *row);
    row->responses = n;
    row->count = x->scale.pairwise ? n * (n - 1) : n;
    row->questions = mem_zero(row->count + 1, sizeof *row->questions);
    write_questions(row, x, record->line);
    *x->last = row; /* in the queue before it is asked: a backend that fails for good still knows its questions */
    struct judged_row **mine = x->last;
    x->last = &row->next;
    status s = ask_all(x, row);
    if (s == ST_FORMAT || s == ST_UNSUPPORTED) { /* nothing of it was taken */
        *mine = NULL;
        x->last = mine;
        row_free(row);
    }
    TRY(s);
    x->waiting += row->count;
    return work(r, out, false);
}

status reward_judge_flush(struct reward *r, struct reward_values *out) { return work(r, out, true); }
