/* mt_answer_remote: MT-Bench's answers by a model behind an OpenAI-compatible endpoint. */
#include <stdlib.h>

#include "base/log.h"
#include "eval/mt_answer.h"

struct question {
    struct remote_question remote; /* first */
    struct mt_asked *asked;
    struct buf messages;
    uint64_t seed;
};
struct asking {
    struct mt_asked_set *set;
    const struct mt_asking *how;
    const struct remote_options *o;
    const char *goal;
    enum remote_goal_as as;
    uint64_t seed;
    size_t turn, done;
    struct question *questions; /* [set->count] */
    struct remote *remote;
    struct progress bar;
};

static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct asking *x = context;
    const struct question *q = (const struct question *)asked;
    buf_append_char(out, '{');
    remote_put_model(out, x->o->model, x->goal, x->as);
    buf_append_text(out, ", \"messages\": ");
    buf_append(out, q->messages.data, q->messages.size);
    buf_append_text(out, ", \"temperature\": ");
    json_put_double(out, q->asked->temperature);
    if (q->asked->temperature > 0) buf_printf(out, ", \"seed\": %llu", (unsigned long long)q->seed);
    buf_printf(out, ", \"max_tokens\": %zu}", x->how->max_tokens);
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    const struct asking *x = context;
    struct question *q = (struct question *)asked;
    buf_append(&q->asked->answers[x->turn], buf_text(&a->text), a->text.size);
    return ST_OK;
}

static status work(struct asking *x, size_t most, size_t asked) {
    while (remote_waiting(x->remote) > most) {
        TRY(remote_work(x->remote));
        progress_update(&x->bar, x->done + asked - remote_waiting(x->remote), NULL);
    }
    return ST_OK;
}

static status answer_turn(struct asking *x) {
    size_t asked = 0;
    for (size_t i = 0; i < x->set->count; i++) {
        struct question *q = &x->questions[i];
        if (!x->set->items[i].turns[x->turn]) continue;
        buf_clear(&q->messages);
        q->asked = &x->set->items[i];
        q->remote = (struct remote_question){.number = q->asked->id > 0 ? (uint64_t)q->asked->id : 0};
        q->seed = remote_seed(x->seed, i, x->turn);
        TRY(mt_answer_messages(&q->messages, x->how, q->asked, x->turn));
        TRY(remote_ask(x->remote, &q->remote));
        asked++;
        TRY(work(x, REMOTE_WAITING_MAX, asked));
    }
    TRY(work(x, 0, asked));
    x->done += asked;
    return ST_OK;
}

status mt_answer_remote(struct mt_asked_set *s, struct remote_counts *counts, const struct mt_asking *how, const struct remote_options *o,
                        const char *goal, enum remote_goal_as as, uint64_t seed) {
    struct asking x = {.set = s, .how = how, .o = o, .goal = goal, .as = as, .seed = seed};
    const struct remote_calls calls = {&x, put, read};
    uint64_t turns = 0;
    *counts = (struct remote_counts){0};
    TRY(remote_open(&x.remote, o, &calls));
    x.questions = mem_zero(s->count, sizeof *x.questions);
    for (size_t i = 0; i < s->count; i++) turns += 1 + (s->items[i].turns[1] != NULL);
    progress_begin(&x.bar, "eval", "answers", turns);
    status code = ST_OK;
    for (; code == ST_OK && x.turn < MT_ANSWER_TURNS; x.turn++) code = answer_turn(&x);
    progress_end(&x.bar, x.done, NULL);
    *counts = *remote_counted(x.remote);
    remote_free(x.remote); /* before the questions that it knows */
    for (size_t i = 0; i < s->count; i++) buf_release(&x.questions[i].messages);
    free(x.questions);
    return code;
}
