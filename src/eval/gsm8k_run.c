#include "eval/gsm8k_run.h"

#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

struct answering {
    struct gsm8k_set *set;
    const struct harness_prompt *prompt;
    const struct harness_shot *shots;
    size_t shot_count, max_tokens, longest, at, done, truncated;
    struct ids ids;
    struct buf text;
    struct progress bar;
};

static status next(void *context, struct decode_job *job, bool *end) {
    struct answering *x = context;
    *end = x->at == x->set->count;
    if (*end) return ST_OK;
    struct gsm8k_document *d = &x->set->items[x->at];
    status s = harness_context(&d->context, x->prompt, NULL, x->shots, x->shot_count, d->text);
    x->ids.count = 0;
    if (s == ST_OK) s = harness_encode(&x->ids, x->prompt->encoder, buf_text(&d->context), d->context.size);
    if (s == ST_OK && !x->ids.count) s = FAIL(ST_FORMAT, "no tokens");
    if (s != ST_OK) return status_note(s, "question %zu: ", x->at + 1);
    const size_t cut = x->ids.count > x->longest ? x->ids.count - x->longest : 0;
    if (cut) x->truncated++;
    *job = (struct decode_job){
        .prompt = x->ids.data + cut, .prompt_count = x->ids.count - cut, .max_new = x->max_tokens, .row = x->at++, .user = d};
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct answering *x = context;
    return tokenizer_is_end(x->prompt->encoder->tokenizer, id);
}

/* The text so far. Special tokens stand in it only where end texts are looked for. */
static void decode_text(struct answering *x, const struct decode_state *s, bool skip_special) {
    buf_clear(&x->text);
    tokenizer_decode(x->prompt->encoder->tokenizer, &x->text, s->ids, s->count, skip_special);
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    struct answering *x = context;
    decode_text(x, s, false);
    gsm8k_cut(stop, buf_text(&x->text), x->text.size);
    return ST_OK;
}

static status finish(void *context, const struct decode_state *s) {
    struct answering *x = context;
    struct gsm8k_document *d = s->job->user;
    bool found;
    decode_text(x, s, true);
    utf8_put_clean(&d->response, buf_text(&x->text), gsm8k_cut(&found, buf_text(&x->text), x->text.size));
    d->tokens = s->count;
    d->ended = s->finish == DECODE_STOP;
    progress_update(&x->bar, ++x->done, NULL);
    return ST_OK;
}

status gsm8k_run(struct gsm8k_set *s, size_t *truncated, struct decoder *d, const struct harness_prompt *prompt,
                 const struct harness_shot *shots, size_t shot_count, size_t max_tokens) {
    struct answering x = {.set = s, .prompt = prompt, .shots = shots, .shot_count = shot_count, .max_tokens = max_tokens};
    if (d->options.length <= max_tokens)
        return FAIL(ST_USAGE, "%zu tokens of a response leave no room for a question within %zu", max_tokens, d->options.length);
    x.longest = d->options.length - max_tokens;
    progress_begin(&x.bar, "eval", "questions", s->count);
    const status code =
        decode_run(d, &(struct decode_calls){.context = &x, .next = next, .is_end = is_end, .finish = finish, .token = token});
    progress_end(&x.bar, x.done, NULL);
    ids_release(&x.ids);
    buf_release(&x.text);
    *truncated = x.truncated;
    return code;
}
