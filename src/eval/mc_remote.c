/* mc_remote: the log-probs of choices by a model behind an OpenAI-compatible endpoint, as lm-evaluation-harness's local-completions asks
 * for them and reads them (lm_eval 0.4.13, models/openai_completions.py: _create_payload, parse_logprobs). */
#include <math.h>
#include <stdlib.h>

#include "eval/mc_run.h"
#include "base/utf8.h"

struct question {
    struct remote_question remote; /* first */
    struct mc_document *document;
    size_t choice;
    struct ids ids; /* with a tokenizer */
    size_t from;    /* of ids: the choice's first */
};
struct asking {
    const struct harness_remote *r;
    const struct harness_prompt *prompt;
};

static void put_choice(struct buf *out, const struct asking *x, const struct question *q) {
    buf_printf(out, "%s%s", x->prompt->chat ? "" : " ", q->document->item.choices[q->choice]);
}

static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct asking *x = context;
    const struct question *q = (const struct question *)asked;
    struct buf text = {0};
    buf_append_char(out, '{');
    remote_put_model(out, x->r->o->model, x->r->goal, x->r->as);
    buf_append_text(out, ", \"prompt\": ");
    if (x->prompt->encoder) {
        for (size_t i = 0; i < q->ids.count; i++) buf_printf(out, "%s%d", i ? ", " : "[", q->ids.data[i]);
        buf_append_char(out, ']');
    } else {
        buf_append(&text, q->document->context.data, q->document->context.size);
        put_choice(&text, x, q);
        json_put_string(out, buf_text(&text), text.size);
        buf_release(&text);
    }
    buf_append_text(out, ", \"temperature\": 0, \"max_tokens\": 1, \"logprobs\": 1, \"echo\": true}");
}

/* The token where the choice begins, by where the server says that tokens begin. It is counted from the token behind the prompt, which is
 * the answer's only one: what stands in front may be longer than what was sent, by a begin-of-text token or a goal that the server wrote.
 */
static status find_choice(size_t *from, const struct asking *x, const struct question *q, struct json offsets, size_t count) {
    const struct buf *context = &q->document->context;
    const size_t kept = harness_rstrip(buf_text(context), context->size);
    struct buf choice = {0};
    struct json key, item;
    struct json_iter it = json_iter_begin(offsets);
    int64_t last = 0, at;
    buf_append(&choice, buf_text(context) + kept, context->size - kept);
    put_choice(&choice, x, q);
    const size_t length = utf8_count(buf_text(&choice), choice.size);
    buf_release(&choice);
    for (size_t i = 0; i < count; i++)
        if (!json_iter_next(&it, &key, &item) || !json_int(&last, item))
            return FAIL(ST_FORMAT, "text_offset expects a whole number for each token");
    it = json_iter_begin(offsets);
    for (size_t i = 0; i + 1 < count && json_iter_next(&it, &key, &item) && json_int(&at, item); i++) {
        *from = i;
        if (at == last - (int64_t)length) return ST_OK;
    }
    return FAIL(ST_FORMAT, "no token of the server begins where the choice does; --tokenizer M sends token ids");
}

/* Sums entries [from, count - 1): the last is of the token that was written, which nobody asked for. */
static status add_up(struct mc_document *d, size_t choice, struct json logps, struct json tops, size_t from, size_t count) {
    struct json_iter a = json_iter_begin(logps), b = json_iter_begin(tops);
    struct json key, item, top;
    double sum = 0, logp, other;
    bool greedy = true;
    for (size_t i = 0; i + 1 < count; i++) {
        if (!json_iter_next(&a, &key, &item) || !json_iter_next(&b, &key, &top))
            return FAIL(ST_FORMAT, "log-probs and top_logprobs are not of the same tokens");
        if (i < from) continue;
        if (!json_double(&logp, item) || !isfinite(logp) || json_kind_of(top) != JSON_OBJECT || !json_count(top))
            return FAIL(ST_FORMAT, "token %zu of the prompt has no log-prob, or no likeliest token beside it", i + 1);
        sum += logp;
        for (struct json_iter k = json_iter_begin(top); json_iter_next(&k, &key, &item);)
            if (!json_double(&other, item) || other > logp) greedy = false;
    }
    d->logp[choice] = sum;
    d->greedy[choice] = greedy;
    return ST_OK;
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    const struct asking *x = context;
    struct question *q = (struct question *)asked;
    struct json_iter it = json_iter_begin(json_get(a->root, "choices"));
    struct json key, choice = {0};
    json_iter_next(&it, &key, &choice);
    const struct json all = json_get(choice, "logprobs"), logps = json_get(all, "token_logprobs"), tops = json_get(all, "top_logprobs");
    const size_t count = json_kind_of(logps) == JSON_ARRAY ? json_count(logps) : 0;
    size_t from = q->from;
    if (count < 2 || json_kind_of(tops) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "the answer has no log-probs of its prompt: the server does not know echo with logprobs in /v1/completions "
                               "(rapt serve and vLLM do, llama.cpp's server does not)");
    if (!x->prompt->encoder)
        TRY(find_choice(&from, x, q, json_get(all, "text_offset"), count));
    else if (count != q->ids.count + 1)
        return FAIL(ST_FORMAT, "%zu log-probs for %zu token ids and one that was written", count, q->ids.count);
    return add_up(q->document, q->choice, logps, tops, from, count);
}

/* Contexts, and with a tokenizer the ids. */
static status prepare(struct question *questions, struct asking *x, struct mc_set *s, const char *description,
                      const struct harness_shot *shots, size_t shot_count) {
    struct question *q = questions;
    struct buf choice = {0};
    status code = ST_OK;
    for (size_t i = 0; code == ST_OK && i < s->count; i++) {
        struct mc_document *d = &s->items[i];
        code = harness_context(&d->context, x->prompt, description, shots, shot_count, d->item.text);
        for (size_t k = 0; code == ST_OK && k < d->item.count; k++, q++) {
            *q = (struct question){.remote.number = i + 1, .document = d, .choice = k};
            buf_clear(&choice);
            put_choice(&choice, x, q);
            if (x->prompt->encoder) code = harness_encode_pair(&q->ids, &q->from, x->prompt->encoder, &d->context, buf_text(&choice));
        }
        if (code != ST_OK) code = status_note(code, "question %zu: ", i + 1);
    }
    buf_release(&choice);
    return code;
}

status mc_ask(struct mc_set *s, const struct harness_remote *r, const struct harness_prompt *prompt, const char *description,
              const struct harness_shot *shots, size_t shot_count) {
    struct asking x = {.r = r, .prompt = prompt};
    struct harness_remote sized = *r;
    size_t count = 0, longest = 0;
    for (size_t i = 0; i < s->count; i++) count += s->items[i].item.count;
    struct question *questions = mem_zero(count ? count : 1, sizeof *questions);
    status code = prepare(questions, &x, s, description, shots, shot_count);
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].context.size > longest) longest = s->items[i].context.size;
    sized.max_tokens = (int64_t)(longest / 8) + 64; /* half a KiB of JSON for a byte of the prompt */
    if (code == ST_OK)
        code = harness_ask_all(&sized, &(struct remote_calls){&x, put, read}, questions, sizeof *questions, count, "choices");
    if (code == ST_OK) mc_judge(s);
    for (size_t i = 0; i < count; i++) ids_release(&questions[i].ids);
    free(questions);
    return code;
}
