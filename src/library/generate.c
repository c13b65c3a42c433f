/* generate: responses to several prompts at once, piece by piece where the caller listens. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "library/library.h"

struct item {
    size_t prompt, sample;
    struct detoken_state detoken;
    struct buf raw; /* text that is not handed over yet: the beginning of a character */
    bool stopped;   /* by the callback */
};

struct job {
    struct rapt_model *m;
    const struct rapt_generation *g;
    const struct rapt_prompt *prompts;
    size_t count, at; /* responses wanted, given out */
    struct ids ids;   /* of the prompt of response `at` */
    size_t ready;     /* 1 + the prompt whose ids these are; 0: none */
    struct item *items;
    struct rapt_response *out;
    struct sampler sampler;
    float *logits; /* [V] */
};

static status prepare(struct job *j, size_t prompt) {
    struct record record = {0};
    if (j->ready == prompt + 1) return ST_OK;
    status s = library_prompt(&record, j->m, library_prompt_at(j->prompts, prompt));
    if (s == ST_OK) s = library_prompt_ids(&j->ids, j->m, &record);
    record_release(&record);
    if (s == ST_OK && j->ids.count >= j->m->decoder.options.length)
        s = FAIL(ST_UNSUPPORTED, "%zu tokens leave no room for a response within the %zu of max_length", j->ids.count,
                 j->m->decoder.options.length);
    j->ready = s == ST_OK ? prompt + 1 : 0;
    return s == ST_OK ? s : status_note(s, "prompt %zu: ", prompt);
}

static status next(void *context, struct decode_job *out, bool *end) {
    struct job *j = context;
    *end = j->at == j->count;
    if (*end) return ST_OK;
    struct item *it = &j->items[j->at];
    it->prompt = j->at / j->g->samples;
    it->sample = j->at % j->g->samples;
    TRY(prepare(j, it->prompt));
    *out = (struct decode_job){.prompt = j->ids.data,
                               .prompt_count = j->ids.count,
                               .max_new = j->g->max_new_tokens,
                               .row = it->prompt,
                               .sample = it->sample,
                               .user = it};
    j->at++;
    return ST_OK;
}

static bool is_end(void *context, int32_t id) { return tokenizer_is_end(((struct job *)context)->m->encoder.tokenizer, id); }

/* Hands over the first `ready` bytes of what waits. */
static void hand_over(struct job *j, struct item *it, size_t ready) {
    struct buf clean = {0};
    if (!ready) return;
    utf8_put_clean(&clean, it->raw.data, ready);
    it->stopped = it->stopped || j->g->piece(j->g->context, it->prompt, it->sample, clean.data, clean.size) != 0;
    memmove(it->raw.data, it->raw.data + ready, it->raw.size - ready);
    it->raw.size -= ready;
    buf_release(&clean);
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    struct job *j = context;
    struct item *it = s->job->user;
    const struct tokenizer *t = j->m->encoder.tokenizer;
    const int32_t id = s->ids[s->count - 1];
    if (!j->g->piece || tokenizer_is_end(t, id)) return ST_OK;
    tokenizer_decode_next(t, &it->detoken, &it->raw, id, true);
    hand_over(j, it, utf8_complete(buf_text(&it->raw), it->raw.size));
    *stop = it->stopped;
    return ST_OK;
}

static status finish(void *context, const struct decode_state *s) {
    struct job *j = context;
    struct item *it = s->job->user;
    struct rapt_response *r = &j->out[it - j->items];
    struct buf text = {0};
    if (j->g->piece && !it->stopped) hand_over(j, it, it->raw.size);
    response_text(&text, j->m->encoder.tokenizer, s);
    *r = (struct rapt_response){.text = text.data ? text.data : mem_text(""),
                                .size = text.size,
                                .tokens = s->count,
                                .finish = it->stopped                ? RAPT_FINISH_CALLBACK
                                          : s->finish == DECODE_STOP ? RAPT_FINISH_STOP
                                                                     : RAPT_FINISH_LENGTH};
    return ST_OK;
}

/* The decoder stays open from call to call, with what its caches hold; its sampler would be of the first call's settings. */
static status pick(void *context, int32_t *id, const struct decode_state *s, const float *logits) {
    struct job *j = context;
    const struct sampler_key key = {.row = s->job->row, .sample = s->job->sample, .position = s->count};
    memcpy(j->logits, logits, j->sampler.vocab * sizeof *logits);
    return sampler_pick(id, &j->sampler, j->logits, s->job->prompt, s->job->prompt_count + s->count, key);
}

static status check(struct rapt_generation *g, const struct rapt_generation *given, struct sampler_options *sampler) {
    *g = (struct rapt_generation)RAPT_GENERATION_INIT;
    TRY(library_options(g, sizeof *g, given, "rapt_generation"));
    if (!g->max_new_tokens) g->max_new_tokens = 256;
    *sampler = (struct sampler_options){.temperature = g->temperature,
                                        .top_p = g->top_p,
                                        .min_p = g->min_p,
                                        .repetition_penalty = g->repetition_penalty,
                                        .top_k = g->top_k,
                                        .seed = g->seed};
    TRY(sampler_options_check(sampler));
    if (!g->samples || g->samples > 1 << 20) return FAIL(ST_USAGE, "samples expects 1 to 1048576, not %zu", g->samples);
    if (g->max_new_tokens > 1 << 24) return FAIL(ST_USAGE, "max_new_tokens expects 1 to 16777216, not %zu", g->max_new_tokens);
    if (g->samples > 1 && g->temperature == 0)
        return FAIL(ST_USAGE, "samples %zu with temperature 0 would be the same response every time", g->samples);
    return ST_OK;
}

static status run(struct job *j, const struct sampler_options *sampler) {
    struct rapt_model *m = j->m;
    const struct sampler_options unused = sampler_options_default();
    const struct decode_calls calls = {.context = j, .next = next, .is_end = is_end, .finish = finish, .token = token, .pick = pick};
    if (!m->decodes)
        TRY(decoder_open(&m->decoder, &m->scorer.model, m->scorer.theta,
                         &(struct decode_options){.batch = m->batch, .length = m->length, .sampler = unused}));
    m->decodes = true;
    TRY(sampler_init(&j->sampler, sampler, m->scorer.model.config.vocab));
    TRY(mem_try_alloc(&j->logits, j->sampler.vocab, sizeof *j->logits, "logits"));
    return decode_run(&m->decoder, &calls);
}

RAPT_API rapt_status rapt_generate(struct rapt_model *m, struct rapt_response *out, const struct rapt_prompt *prompts, size_t count,
                                   const struct rapt_generation *generation) {
    struct rapt_generation g;
    struct sampler_options sampler;
    struct library_turn turn;
    struct job j = {.m = m, .g = &g, .prompts = prompts};
    status s = check(&g, generation, &sampler);
    if (s == ST_OK && !size_mul(&j.count, count, g.samples))
        s = FAIL(ST_USAGE, "%zu prompts and %zu samples are too many", count, g.samples);
    if (s == ST_OK) s = library_enter(&turn, m->threads);
    if (s != ST_OK || !count) {
        if (s == ST_OK) library_leave(&turn);
        return (rapt_status)s;
    }
    s = mem_try_alloc(&j.items, j.count, sizeof *j.items, "responses");
    if (s == ST_OK) s = mem_try_alloc(&j.out, j.count, sizeof *j.out, "responses");
    if (s == ST_OK) s = run(&j, &sampler);
    if (s == ST_OK)
        memcpy(out, j.out, j.count * sizeof *out);
    else if (j.out)
        rapt_responses_release(j.out, j.count);
    for (size_t i = 0; j.items && i < j.count; i++) buf_release(&j.items[i].raw);
    free(j.items);
    free(j.out);
    free(j.logits);
    ids_release(&j.ids);
    sampler_release(&j.sampler);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API void rapt_responses_release(struct rapt_response *responses, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(responses[i].text);
        responses[i] = (struct rapt_response){0};
    }
}
