/* bench_local: a model in this process as the judge of a benchmark. Its answers take the form in which an endpoint gives them, so that a
 * protocol reads both alike; each is what rapt serve answers with the same model. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "eval/bench_judge.h"
#include "infer/ask.h"
#include "infer/token_json.h"

struct asking {
    struct bench *b;
    const struct bench_model *m;
    const struct remote_options *how;
    struct remote_counts *counts;
    struct decoder decoder;
    struct sampler_options sampler[2]; /* the protocol's; of an asking that shall give another answer */
    struct decode_odds *odds;          /* [b->count] of an answer's one token; NULL: the protocol asks for none */
    size_t at, done;
    struct ids ids;
    struct buf text, root;
    struct remote_answer answer;
    struct progress bar;
};

static bool has_system(struct json messages) {
    struct json_iter it = json_iter_begin(messages);
    struct json key, first;
    return json_iter_next(&it, &key, &first) && json_equals(json_get(first, "role"), "system");
}

/* The question's ids. */
static status encode(struct asking *x, const struct bench_question *q) {
    const struct encoder *e = x->m->encoder;
    const struct json messages = {buf_text(&q->messages), q->messages.size};
    buf_clear(&x->text);
    x->ids.count = 0;
    TRY(chat_render(e->chat, &x->text, messages, (struct json){0}, (struct json){0}, true));
    return tokenizer_encode(e->tokenizer, &x->ids, buf_text(&x->text), x->text.size, false);
}

/* Tokens of a sequence at most: what was asked for, else the longest question with its answers. */
static status find_length(size_t *length, struct asking *x) {
    const struct bench *b = x->b;
    const size_t answers = b->protocol->continues ? (size_t)x->how->answer_tries : 1, positions = x->m->model->config.max_position;
    const size_t answer = (size_t)x->how->max_tokens + 64; /* with what is said between two askings of a conversation */
    *length = x->m->length;
    for (size_t i = 0; i < b->count; i++) {
        status s = ST_OK;
        if (i == 0 && has_system((struct json){buf_text(&b->questions[i].messages), b->questions[i].messages.size}) &&
            !chat_has_system(x->m->encoder->chat))
            s = FAIL(ST_UNSUPPORTED, "the judge reads a system text, which the chat template of this model does not take");
        if (s == ST_OK && !x->m->length) s = encode(x, &b->questions[i]);
        if (s != ST_OK) return status_note(s, "%s: --bench %s: ", x->m->name, b->protocol->name);
        if (!x->m->length && x->ids.count + answers * answer > *length) *length = x->ids.count + answers * answer;
    }
    if (*length > positions) *length = positions;
    return *length >= 2 ? ST_OK : FAIL(ST_UNSUPPORTED, "%s: a model of %zu positions judges nothing", x->m->name, positions);
}

static status next(void *context, struct decode_job *job, bool *end) {
    struct asking *x = context;
    const size_t length = x->decoder.options.length;
    for (; x->at < x->b->count; x->at++) {
        struct bench_question *q = &x->b->questions[x->at];
        if (q->remote.state != REMOTE_ASKED) continue;
        TRY(encode(x, q));
        if (x->ids.count && x->ids.count < length) {
            *job = (struct decode_job){.prompt = x->ids.data,
                                       .prompt_count = x->ids.count,
                                       .max_new = (size_t)x->how->max_tokens,
                                       .row = x->at,
                                       .user = q,
                                       .sampler = &x->sampler[q->remote.tries && bench_temperature(x->b, q) > x->b->protocol->temperature],
                                       .top = x->odds ? x->b->protocol->top : 0,
                                       .odds = x->odds ? &x->odds[x->at] : NULL};
            x->at++;
            return ST_OK;
        }
        (void)FAIL(ST_FORMAT,
                   "a question of %zu tokens leaves no room for an answer within %zu (--max-length; the model has %zu positions)",
                   x->ids.count, length, x->m->model->config.max_position);
        if (!x->counts->given_up && !x->how->stop_on_bad)
            log_warn("%s %llu: %s", x->how->item, (unsigned long long)q->remote.number, status_message());
        TRY(remote_not_read(&q->remote, x->counts, x->how, true));
    }
    *end = true;
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct asking *x = context;
    return tokenizer_is_end(x->m->encoder->tokenizer, id);
}

/* OpenAI's form, as rapt serve writes it. */
static void put_answer(struct asking *x, const struct decode_state *s) {
    const struct tokenizer *t = x->m->encoder->tokenizer;
    struct buf *out = &x->root;
    buf_clear(out);
    buf_clear(&x->text);
    response_text(&x->text, t, s);
    buf_append_text(out, "{\"choices\": [{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": ");
    json_put_string(out, buf_text(&x->text), x->text.size);
    buf_append_text(out, ", \"refusal\": null}, \"logprobs\": ");
    buf_append_text(out, s->job->odds ? "{\"content\": [" : "null");
    if (s->job->odds && !tokenizer_is_end(t, s->ids[0])) token_json_put(out, t, s->ids[0], s->job->odds, s->job->top);
    buf_append_text(out, s->job->odds ? "], \"refusal\": null}" : "");
    buf_printf(out, ", \"finish_reason\": \"%s\"}], \"usage\": {\"prompt_tokens\": %zu, \"completion_tokens\": %zu}}",
               decode_finish_name(s->finish), s->job->prompt_count, s->count);
}

static status finish(void *context, const struct decode_state *s) {
    struct asking *x = context;
    struct bench_question *q = s->job->user;
    struct json root;
    put_answer(x, s);
    TRY(json_parse(&root, buf_text(&x->root), x->root.size));
    status code = remote_answer_parse(&x->answer, root);
    x->counts->prompt_tokens += x->answer.prompt_tokens;
    x->counts->completion_tokens += x->answer.completion_tokens;
    if (code == ST_OK) code = x->b->protocol->read(q, &x->answer);
    if (code == ST_OK)
        q->remote.state = REMOTE_ANSWERED;
    else if (code == ST_FORMAT)
        TRY(remote_not_read(&q->remote, x->counts, x->how, false));
    else
        return code;
    if (q->remote.state != REMOTE_ASKED) progress_update(&x->bar, ++x->done, NULL);
    return ST_OK;
}

/* Those that had no answer that can be read, again: as often as the protocol says. */
static status ask_all(struct asking *x) {
    const struct decode_calls calls = {.context = x, .next = next, .is_end = is_end, .finish = finish};
    bool more = x->b->count > 0;
    for (uint64_t round = 0; more; round++) {
        for (size_t i = 0; i < 2; i++)
            x->sampler[i] = (struct sampler_options){
                .temperature = i ? 1 : x->b->protocol->temperature, .top_p = 1, .repetition_penalty = 1, .seed = round};
        x->at = 0;
        TRY(decode_run(&x->decoder, &calls));
        more = false;
        for (size_t i = 0; i < x->b->count; i++) more = more || x->b->questions[i].remote.state == REMOTE_ASKED;
    }
    return ST_OK;
}

static status ask(struct asking *x) {
    const struct bench *b = x->b;
    struct decode_options o = {
        .batch = x->m->batch < b->count ? x->m->batch : b->count, .odds = b->protocol->top > 0, .sampler = sampler_options_default()};
    TRY(find_length(&o.length, x));
    TRY(decoder_open(&x->decoder, x->m->model, x->m->theta, &o));
    if (o.odds) x->odds = mem_zero(b->count, sizeof *x->odds);
    progress_begin(&x->bar, "judge", "judgements", b->count);
    const status s = ask_all(x);
    progress_end(&x->bar, x->done, NULL);
    return s;
}

status bench_ask_local(struct bench *b, struct remote_counts *counts, const struct remote_options *how, const struct bench_model *m) {
    struct remote_options resolved = *how;
    struct asking x = {.b = b, .m = m, .how = &resolved, .counts = counts};
    bench_resolve(&resolved, b);
    *counts = (struct remote_counts){.asked = b->count};
    CHECK(!b->protocol->top || resolved.max_tokens == 1); /* odds are kept of one token */
    if (!m->encoder->chat) return FAIL(ST_UNSUPPORTED, "%s: a judge is asked in a conversation, and %s", m->name, m->encoder->why_no_chat);
    const status s = b->count ? ask(&x) : ST_OK;
    decoder_release(&x.decoder);
    free(x.odds);
    ids_release(&x.ids);
    buf_release(&x.text);
    buf_release(&x.root);
    buf_release(&x.answer.text);
    return s;
}
