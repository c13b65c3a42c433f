#include "eval/bench_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct bench_protocol *const bench_protocols[] = {&bench_alpaca, &bench_mt_single, &bench_mt_pair, &bench_arena_v01, &bench_arena_v2};
const size_t bench_protocol_count = sizeof bench_protocols / sizeof bench_protocols[0];

const struct bench_protocol *bench_protocol_find(const char *name) {
    for (size_t i = 0; i < bench_protocol_count; i++)
        if (strcmp(bench_protocols[i]->name, name) == 0) return bench_protocols[i];
    return NULL;
}

size_t bench_add(struct bench *b) {
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 256;
        b->questions = mem_resize(b->questions, b->capacity * sizeof *b->questions);
    }
    b->questions[b->count] = (struct bench_question){.value = (double)NAN, .remote.number = b->count + 1};
    return b->count++;
}

void bench_put_message(struct buf *messages, const char *role, const char *text, size_t size) {
    buf_append_text(messages, messages->size ? ", {\"role\": " : "[{\"role\": ");
    json_put_text(messages, role);
    buf_append_text(messages, ", \"content\": ");
    json_put_string(messages, text, size);
    buf_append_char(messages, '}');
}

void bench_end_messages(struct buf *messages) { buf_append_char(messages, ']'); }

void bench_put_asked(struct buf *messages, const char *system, const struct buf *text) {
    if (system) bench_put_message(messages, "system", system, strlen(system));
    bench_put_message(messages, "user", buf_text(text), text->size);
    bench_end_messages(messages);
}

void bench_put_text(struct buf *out, const char *name, const char *text) {
    buf_printf(out, "\"%s\": ", name);
    json_put_text(out, text);
    buf_append_text(out, ", ");
}

status bench_open(struct bench *b, const struct bench_protocol *protocol, const struct bench_options *o) {
    *b = (struct bench){.protocol = protocol, .o = o};
    status s = protocol->open(b);
    if (s == ST_OK && !b->count && !b->equal) s = FAIL(ST_FORMAT, "%s: no answers to judge", o->answers);
    if (s != ST_OK) bench_release(b);
    return s;
}

void bench_release(struct bench *b) {
    for (size_t i = 0; i < b->count; i++) {
        buf_release(&b->questions[i].messages);
        buf_release(&b->questions[i].said);
        buf_release(&b->questions[i].raw);
    }
    free(b->questions);
    if (b->state) b->protocol->release(b->state);
    *b = (struct bench){0};
}

/* ---- asking ---- */

struct asking {
    struct bench *b;
    const struct remote_options *remote;
};

static bool is_fresh(const struct bench *b, const struct bench_question *q) {
    return q->remote.tries > 0 && !(b->protocol->continues && q->said.size);
}

double bench_temperature(const struct bench *b, const struct bench_question *q) { return is_fresh(b, q) ? 1 : b->protocol->temperature; }

void bench_put_request(struct buf *out, const struct bench *b, const struct bench_question *q, const struct remote_options *remote) {
    const struct bench_protocol *p = b->protocol;
    buf_append_text(out, "{\"model\": ");
    json_put_text(out, remote->model);
    buf_append_text(out, ", \"messages\": ");
    buf_append(out, q->messages.data, q->messages.size);
    buf_append_text(out, ", \"temperature\": ");
    json_put_double(out, bench_temperature(b, q));
    if (is_fresh(b, q)) buf_printf(out, ", \"seed\": %lld", (long long)q->remote.tries);
    buf_printf(out, ", \"max_tokens\": %lld%s", (long long)remote->max_tokens, p->members);
    if (p->top) buf_printf(out, ", \"logprobs\": true, \"top_logprobs\": %zu", p->top);
    buf_append_char(out, '}');
}

static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct asking *x = context;
    bench_put_request(out, x->b, (const struct bench_question *)asked, x->remote);
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    const struct asking *x = context;
    struct bench_question *q = (struct bench_question *)asked;
    return x->b->protocol->read(q, a);
}

void bench_resolve(struct remote_options *o, const struct bench *b) {
    if (!o->max_tokens) o->max_tokens = b->protocol->max_tokens;
    if (!o->answer_tries) o->answer_tries = b->protocol->tries;
}

status bench_ask(struct bench *b, struct remote_counts *counts, struct remote_options *remote) {
    struct asking x = {b, remote};
    const struct remote_calls calls = {&x, put, read};
    bench_resolve(remote, b);
    return remote_ask_all(counts, remote, &calls, b->questions, sizeof *b->questions, b->count, "judge", "judgements");
}
