#include "infer/decode.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/block.h"
#include "model/heads.h"
#include "num/norm.h"
#include "num/softmax_logp.h"

#define DECODE_ROWS 256
#define SHARE_LEAST 16 /* a prompt waits for another one only when that saves this many tokens */

const char *decode_finish_name(enum decode_finish f) { return f == DECODE_STOP ? "stop" : f == DECODE_LENGTH ? "length" : "running"; }

static struct decode_options resolved(const struct decode_options *o) {
    struct decode_options r = *o;
    if (r.rows == 0) r.rows = DECODE_ROWS;
    if (r.rows < r.batch) r.rows = r.batch;
    return r;
}

/* Rows of a step whose logits may be needed. */
static size_t most_wants(const struct decode_options *o) { return o->odds ? o->batch + o->rows : o->batch; }

static struct run_plan plan_of(const struct model *m, const struct decode_options *o) {
    return (struct run_plan){.tokens = o->rows, .scored = most_wants(o), .logits = run_whole_rows(m)};
}

size_t decoder_bytes(const struct model *m, const struct decode_options *options) {
    const struct decode_options o = resolved(options);
    const struct run_plan plan = plan_of(m, &o);
    const size_t each = sizeof(struct sampler_item) + 1 + (o.odds ? sizeof(float) : 0);
    const size_t samplers = (size_t)omp_get_max_threads() * m->config.vocab * each;
    size_t bytes = kv_cache_bytes(&m->config, o.batch, o.length, m->int8), ids;
    if (bytes == SIZE_MAX || !size_mul(&ids, o.batch * sizeof(int32_t), o.length) || !size_add(&bytes, bytes, ids) ||
        !size_add(&bytes, bytes, run_bytes(m, &plan)) || !size_add(&bytes, bytes, samplers))
        return SIZE_MAX;
    return bytes;
}

static status allocate(struct decoder *d) {
    const struct decode_options *o = &d->options;
    const struct run_plan plan = plan_of(d->model, o);
    TRY(model_need_positions(d->model, o->length));
    TRY(run_init(&d->run, d->model, &plan));
    TRY(kv_cache_init(&d->cache, &d->model->config, o->batch, o->length, d->model->int8));
    TRY(mem_try_alloc(&d->slots, o->batch, sizeof *d->slots, "sequences"));
    for (size_t i = 0; i < o->batch; i++) TRY(mem_try_alloc(&d->slots[i].ids, o->length, sizeof(int32_t), "sequences"));
    d->sampler_count = (size_t)omp_get_max_threads();
    TRY(mem_try_alloc(&d->samplers, d->sampler_count, sizeof *d->samplers, "samplers"));
    for (size_t i = 0; i < d->sampler_count; i++) TRY(sampler_init(&d->samplers[i], &o->sampler, d->model->config.vocab));
    TRY(mem_try_alloc(&d->row_id, o->rows, sizeof(int32_t), "rows"));
    TRY(mem_try_alloc(&d->row_position, o->rows, sizeof(int32_t), "rows"));
    TRY(mem_try_alloc(&d->spans, o->rows, sizeof *d->spans, "rows"));
    if (o->odds) TRY(mem_try_alloc(&d->raw, d->sampler_count * d->model->config.vocab, sizeof(float), "logits"));
    return mem_try_alloc(&d->wants, most_wants(o), sizeof *d->wants, "rows");
}

status decoder_init(struct decoder *d, struct model *m, const float *theta, const struct decode_options *o) {
    *d = (struct decoder){.model = m, .theta = theta, .options = resolved(o)};
    CHECK(o->batch >= 1 && o->length >= 2);
    status s = allocate(d);
    if (s != ST_OK) decoder_release(d);
    return s;
}

void decoder_release(struct decoder *d) {
    for (size_t i = 0; d->slots && i < d->options.batch; i++) free(d->slots[i].ids);
    for (size_t i = 0; d->samplers && i < d->sampler_count; i++) sampler_release(&d->samplers[i]);
    free(d->slots);
    free(d->samplers);
    free(d->row_id);
    free(d->row_position);
    free(d->spans);
    free(d->wants);
    free(d->raw);
    kv_cache_release(&d->cache);
    run_release(&d->run);
    *d = (struct decoder){0};
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t common(const int32_t *a, const int32_t *b, size_t most) {
    size_t n = 0;
    while (n < most && a[n] == b[n]) n++;
    return n;
}

/* The free slot whose cache agrees longest with the prompt; of equals the one that holds least, so that others' prefixes survive. */
static struct decode_slot *choose_slot(struct decoder *d, const struct decode_job *job, size_t *kept) {
    struct decode_slot *best = NULL;
    for (size_t i = 0; i < d->options.batch; i++) {
        struct decode_slot *s = &d->slots[i];
        if (s->active) continue;
        const size_t n = job->prompt_odds ? 0 : common(s->ids, job->prompt, smaller(s->cached, job->prompt_count - 1));
        if (best && (n < *kept || (n == *kept && s->cached >= best->cached))) continue;
        best = s;
        *kept = n;
    }
    return best;
}

static bool any_slot(const struct decoder *d, bool active) {
    for (size_t i = 0; i < d->options.batch; i++)
        if (d->slots[i].active == active) return true;
    return false;
}

static status admit(struct decoder *d, const struct decode_calls *calls, bool *end) {
    while (!*end && any_slot(d, false)) {
        struct decode_job job = {0};
        size_t kept = 0;
        TRY(calls->next(calls->context, &job, end));
        if (*end) break;
        CHECK(job.max_new >= 1 && job.prompt_count >= 1 && job.top <= DECODE_TOP_MAX);
        CHECK((d->options.odds && !calls->pick) || (!job.odds && !job.prompt_odds));
        if (job.prompt_count >= d->options.length)
            return FAIL(ST_UNSUPPORTED, "a prompt of %zu tokens leaves no room for a response within %zu; raise --max-length",
                        job.prompt_count, d->options.length);
        struct decode_slot *s = choose_slot(d, &job, &kept);
        memcpy(s->ids, job.prompt, job.prompt_count * sizeof(int32_t));
        job.prompt = s->ids;
        *s = (struct decode_slot){.active = true,
                                  .order = d->admitted++,
                                  .job = job,
                                  .ids = s->ids,
                                  .count = job.prompt_count,
                                  .cached = kept,
                                  .ready = kept,
                                  .reused = kept};
        d->counts.shared += kept;
    }
    return ST_OK;
}

/* Takes over what another slot has computed of this slot's prompt. True when it is worth waiting for more of it. */
static bool take_shared(struct decoder *d, struct decode_slot *s) {
    const size_t most = s->count - 1; /* the last token is computed here: its logits are wanted */
    bool wait = false;
    if (s->job.prompt_odds) return false;
    for (size_t i = 0; i < d->options.batch; i++) {
        const struct decode_slot *other = &d->slots[i];
        if (other == s) continue;
        const bool ahead = other->active && other->order < s->order; /* never wait for one that may wait for this one */
        const size_t agree = common(other->ids, s->ids, smaller(ahead ? other->count : other->ready, most)),
                     there = smaller(agree, other->ready);
        if (there > s->cached) {
            kv_cache_copy(&d->cache, (size_t)(s - d->slots), i, there);
            d->counts.shared += there - s->cached;
            s->reused += there - s->cached;
            s->cached = s->ready = there;
        }
        if (ahead && agree >= s->cached + SHARE_LEAST) wait = true;
    }
    return wait;
}

static void want(struct decoder *d, size_t row, size_t slot, size_t at) {
    d->wants[d->want_count++] = (struct decode_want){.row = row, .slot = slot, .at = at};
}

/* Up to `room` of the slot's tokens that are not in the cache yet. */
static void add_rows(struct decoder *d, size_t slot, size_t room) {
    struct decode_slot *s = &d->slots[slot];
    const size_t n = smaller(s->count - s->cached, room), end = s->cached + n;
    for (size_t at = s->cached; at < end; at += KV_SPAN_MAX)
        d->spans[d->span_count++] =
            (struct kv_span){.slot = slot, .row = d->row_count + at - s->cached, .count = smaller(end - at, KV_SPAN_MAX), .position = at};
    for (size_t at = s->cached; at < end; at++) {
        if (s->job.prompt_odds && at + 1 < s->job.prompt_count) want(d, d->row_count, slot, at + 1);
        d->row_id[d->row_count] = s->ids[at];
        d->row_position[d->row_count++] = (int32_t)at;
    }
    d->counts.prompt += s->count == s->job.prompt_count ? n : 0;
    s->cached = end;
    if (end == s->count) want(d, d->row_count - 1, slot, 0);
}

/* The next prompt to read: the one admitted first among those not looked at (order > after). */
static struct decode_slot *next_prompt(struct decoder *d, uint64_t from) {
    struct decode_slot *best = NULL;
    for (size_t i = 0; i < d->options.batch; i++) {
        struct decode_slot *s = &d->slots[i];
        if (!s->active || s->count - s->cached < 2 || s->order < from) continue;
        if (!best || s->order < best->order) best = s;
    }
    return best;
}

/* Responses first, so that no prompt holds them up; then prompts in the order they came, as far as the step has room. */
static void gather_rows(struct decoder *d) {
    d->row_count = d->span_count = d->want_count = 0;
    for (size_t i = 0; i < d->options.batch; i++)
        if (d->slots[i].active && d->slots[i].count - d->slots[i].cached == 1) add_rows(d, i, 1);
    struct decode_slot *s = next_prompt(d, 0);
    while (s && d->row_count < d->options.rows) {
        const uint64_t order = s->order;
        if (!take_shared(d, s)) add_rows(d, (size_t)(s - d->slots), d->options.rows - d->row_count);
        s = next_prompt(d, order + 1);
    }
}

/* Few shapes, so that few products are prepared: powers of two, then multiples of MODEL_T_UNIT. Those of int8 need no preparing. */
static size_t padded_rows(const struct decoder *d, size_t n) {
    size_t p = 1;
    if (d->model->int8) return n;
    if (n > MODEL_T_UNIT) return run_round(n);
    while (p < n) p *= 2;
    return p;
}

static status attend_cache(struct layer_acts *a, void *context, const struct run *r, size_t layer) {
    struct decoder *d = context;
    const struct attention_shape shape = block_attention_shape(r->m, layer);
    block_rotate(a->qkv, r, layer, d->row_position, d->row_count, false);
    kv_cache_attend(a->attn.f, &d->cache, layer, a->qkv, &shape, d->spans, d->span_count);
    return ST_OK;
}

/* The rows through all layers, to r->x [T, C]. */
static status run_layers(struct decoder *d) {
    struct run *r = &d->run;
    const size_t t = d->row_count, padded = padded_rows(d, t);
    r->longest = d->options.length; /* one table for a sequence from its first token to its last */
    TRY(model_bind(d->model, d->theta));
    run_embed(r->layers[0].x.f, r, d->theta, d->row_id, t, padded);
    for (size_t i = 0; i < d->model->config.layers; i++)
        TRY(block_forward_attend(run_layer_output(r, i), &r->layers[i], r, i, attend_cache, d, d->theta, t, padded, false));
    return ST_OK;
}

static struct decode_state state_of(const struct decode_slot *s, enum decode_finish finish) {
    const size_t prompt = s->job.prompt_count;
    return (struct decode_state){
        .job = &s->job, .ids = s->ids + prompt, .count = s->count - prompt, .prompt_reused = s->reused, .finish = finish};
}

/* The log-prob of token `id` and of the likeliest `top` by logits[V]. */
static status put_odds(struct decode_odds *o, const float *logits, size_t vocab, int32_t id, size_t top) {
    float lse, entropy, mean;
    int32_t argmax;
    size_t held = 0;
    logp_rows(&lse, &entropy, &argmax, &mean, NULL, logits, 1, vocab);
    if (!isfinite(lse)) return FAIL(ST_FORMAT, "the model's logits are not finite numbers: its weights or the adapter are broken");
    o->logp = logits[id] - lse;
    for (size_t i = 0; top && i < vocab; i++) {
        if (held == top && logits[i] <= o->top_logp[top - 1]) continue;
        size_t at = held < top ? held++ : top - 1;
        for (; at > 0 && o->top_logp[at - 1] < logits[i]; at--) o->top_logp[at] = o->top_logp[at - 1], o->top_id[at] = o->top_id[at - 1];
        o->top_logp[at] = logits[i];
        o->top_id[at] = (int32_t)i;
    }
    for (size_t i = 0; i < top; i++) o->top_logp[i] = i < held ? o->top_logp[i] - lse : -INFINITY;
    return ST_OK;
}

/* What is wanted of one row: the prompt's odds, or the next token with its own. thread: whose sampler is taken. */
static status take_row(struct decode_want *w, struct decoder *d, size_t thread, float *logits) {
    const struct decode_slot *s = &d->slots[w->slot];
    const size_t vocab = d->model->config.vocab;
    struct sampler *sampler = &d->samplers[thread];
    float *raw = s->job.odds ? d->raw + thread * vocab : NULL;
    if (w->at) return put_odds(&s->job.prompt_odds[w->at], logits, vocab, s->ids[w->at], s->job.top);
    const struct sampler_key key = {.row = s->job.row, .sample = s->job.sample, .position = s->count - s->job.prompt_count};
    TRY(sampler_set(sampler, s->job.sampler ? s->job.sampler : &d->options.sampler));
    if (raw) memcpy(raw, logits, vocab * sizeof *raw);
    TRY(sampler_pick(&w->picked, sampler, logits, s->ids, s->count, key));
    return raw ? put_odds(s->job.odds, raw, vocab, w->picked, s->job.top) : ST_OK;
}

/* For wanted rows [from, from + n), whose logits stand in r->logits. */
static status take_rows(struct decoder *d, const struct decode_calls *calls, size_t from, size_t n) {
    const size_t vocab = d->model->config.vocab;
    float *logits = d->run.logits;
    struct decode_want *wants = d->wants + from;
    if (calls->pick) {
        for (size_t i = 0; i < n; i++) {
            const struct decode_state s = state_of(&d->slots[wants[i].slot], DECODE_RUNNING);
            TRY(calls->pick(calls->context, &wants[i].picked, &s, logits + i * vocab));
        }
        return ST_OK;
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < n; i++)
        wants[i].result = take_row(&wants[i], d, (size_t)omp_get_thread_num() % d->sampler_count, logits + i * vocab);
    for (size_t i = 0; i < n; i++) /* once more where it failed: messages belong to their thread */
        if (wants[i].result != ST_OK) TRY(take_row(&wants[i], d, 0, logits + i * vocab));
    return ST_OK;
}

/* Logits of the wanted rows, a chunk at a time, and the tokens picked from them. */
static status run_head(struct decoder *d, const struct decode_calls *calls) {
    struct run *r = &d->run;
    const size_t c = d->model->config.hidden;
    for (size_t from = 0; from < d->want_count; from += r->chunk) {
        const size_t n = smaller(d->want_count - from, r->chunk), padded = smaller(padded_rows(d, n), r->chunk);
        for (size_t i = 0; i < n; i++) memcpy(r->hs + i * c, r->x + d->wants[from + i].row * c, c * sizeof(float));
        memset(r->hs + n * c, 0, (padded - n) * c * sizeof(float));
        rmsnorm_forward(r->hn, NULL, NULL, r->rstd, r->hs, d->model->norm, padded, c, (float)d->model->config.norm_eps);
        TRY(heads_logits(r, d->theta, padded));
        TRY(take_rows(d, calls, from, n));
    }
    return ST_OK;
}

static status take_token(struct decoder *d, const struct decode_calls *calls, struct decode_slot *s, int32_t id) {
    bool stop = false;
    if (id < 0 || (size_t)id >= d->model->config.vocab) return FAIL(ST_MISMATCH, "token id %d is outside the model's vocabulary", id);
    s->ids[s->count++] = id;
    d->counts.generated++;
    enum decode_finish finish = calls->is_end && calls->is_end(calls->context, id) ? DECODE_STOP : DECODE_RUNNING;
    if (finish == DECODE_RUNNING && (s->count - s->job.prompt_count >= s->job.max_new || s->count >= d->options.length))
        finish = DECODE_LENGTH;
    struct decode_state state = state_of(s, finish);
    if (calls->token) TRY(calls->token(calls->context, &state, &stop));
    if (stop && finish == DECODE_RUNNING) state.finish = DECODE_STOP;
    if (state.finish == DECODE_RUNNING) return ST_OK;
    s->active = false;
    return calls->finish(calls->context, &state);
}

static status step(struct decoder *d, const struct decode_calls *calls) {
    gather_rows(d);
    CHECK(d->row_count > 0);
    TRY(run_layers(d));
    for (size_t i = 0; i < d->options.batch; i++) d->slots[i].ready = d->slots[i].cached;
    TRY(run_head(d, calls));
    for (size_t i = 0; i < d->want_count; i++)
        if (!d->wants[i].at) TRY(take_token(d, calls, &d->slots[d->wants[i].slot], d->wants[i].picked));
    d->counts.steps++;
    return ST_OK;
}

/* Ends jobs that nobody waits for. */
static status end_gone(struct decoder *d, const struct decode_calls *calls) {
    for (size_t i = 0; calls->gone && i < d->options.batch; i++) {
        struct decode_slot *s = &d->slots[i];
        if (!s->active || !calls->gone(calls->context, &s->job)) continue;
        const struct decode_state state = state_of(s, DECODE_STOP);
        s->active = false;
        TRY(calls->finish(calls->context, &state));
    }
    return ST_OK;
}

status decode_step(struct decoder *d, const struct decode_calls *calls, bool *end, bool *busy) {
    status s = end_gone(d, calls);
    if (s == ST_OK) s = admit(d, calls, end);
    *busy = s == ST_OK && any_slot(d, true);
    if (*busy) s = step(d, calls);
    if (s != ST_OK) /* what the cache holds of unfinished rows is not known: forget it */
        for (size_t i = 0; i < d->options.batch; i++) d->slots[i].active = false, d->slots[i].cached = d->slots[i].ready = 0;
    return s;
}

status decode_run(struct decoder *d, const struct decode_calls *calls) {
    bool end = false, busy = true;
    while (busy) TRY(decode_step(d, calls, &end, &busy));
    return ST_OK;
}
