#include "eval/kl_score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "infer/ask.h"
#include "reward/reward_pack.h"

struct kl_scorer {
    const struct kl_options *o;
    struct reward_pack pack;
    bool used; /* there was a file before: the encoder has its policy's settings */
    struct goal_asker asker;
    struct reward_values sums;
    struct goal_logps *out;
    struct record asked; /* scratch: the prompt with its goal */
    struct buf bare, completion;
    struct ids response;
    struct encoded encoded;
    size_t other_tokens;
};

status kl_scorer_open(struct kl_scorer **out, const struct kl_options *o) {
    const struct reward_options ro = {.model = o->model, .adapter = o->adapter, .kind = o->kind, .budget = o->budget};
    struct kl_scorer *k = *out = mem_zero(1, sizeof *k);
    k->o = o;
    const status s = reward_pack_open(&k->pack, &ro, false);
    if (s == ST_OK) return ST_OK;
    kl_scorer_free(k);
    *out = NULL;
    return s;
}

/* Prompts are as the file's policy was asked. */
static status ask_as(struct kl_scorer *j, const char *policy_model, const char *policy_adapter) {
    const struct kl_options *o = j->o;
    struct encoder *e = &j->pack.encoder;
    if (j->used) {
        encoder_release(e);
        goal_asker_release(&j->asker);
        TRY(encoder_open(e, o->model));
        TRY(encoder_set_kwargs(e, NULL, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    }
    j->used = true;
    TRY(encoder_set_kwargs(e, o->kwargs, &(struct kwargs_places){.adapter = policy_adapter, .model = policy_model}));
    return goal_asker_open(&j->asker, policy_model, policy_adapter, o->style, e);
}

static void put_message(struct buf *out, const char *role, const struct buf *text) {
    buf_clear(out);
    buf_printf(out, "[{\"role\": \"%s\", \"content\": ", role);
    json_put_string(out, buf_text(text), text->size);
    buf_append_text(out, "}]");
}

/* The row's prompt without goal, as rapt generate takes it. */
static status make_bare(struct kl_scorer *j, const struct record *r) {
    struct record *a = &j->asked;
    const bool chat = r->conversational || (j->pack.encoder.chat && !j->o->raw);
    if (r->prompt_ids.size || r->chosen_ids.size)
        return FAIL(ST_FORMAT, "the row holds token ids in place of its prompt: no goal can be written into them");
    if (r->goal_of != GOAL_OF_NONE)
        return FAIL(ST_FORMAT, "field goal_of: the row's prompt asks for a goal already; expected rows as rapt generate writes them, with "
                               "the goal beside the prompt");
    if (r->conversational ? !json_count((struct json){buf_text(&r->prompt), r->prompt.size}) : !r->prompt.size)
        return FAIL(ST_FORMAT, "field prompt: the row has none");
    record_clear(a);
    a->kind = RECORD_SFT;
    a->conversational = chat;
    a->tools = r->tools;
    a->chat_template_kwargs = r->chat_template_kwargs;
    if (chat && !r->conversational) {
        put_message(&j->bare, "user", &r->prompt);
    } else {
        buf_clear(&j->bare);
        buf_append(&j->bare, buf_text(&r->prompt), r->prompt.size);
    }
    return ST_OK;
}

/* The prompt's ids under the goal, into encoded.prompt. */
static status ask(struct kl_scorer *j, struct json asked) {
    const enum json_kind kind = json_kind_of(asked);
    const bool none = kind == JSON_NONE || kind == JSON_NULL || j->o->without_goal, several = j->asker.style.attribute_count > 0;
    struct goal goal = {0};
    if (!none && j->asker.baked)
        return FAIL(ST_MISMATCH, "field goal: the model's chat template asks for a goal by itself (export --bake-goal)");
    if (!none && kind != JSON_NUMBER && kind != JSON_OBJECT)
        return FAIL(ST_FORMAT, "field goal: expected a number, {NAME: number} or null, found %s", json_kind_name(kind));
    if (!none && (kind == JSON_OBJECT) != several)
        return FAIL(ST_MISMATCH, "field goal: %s",
                    several ? "one score, and the policy was trained under goals of several attributes"
                            : "it has several attributes, and the policy was trained under goals of one score");
    status s = none ? ST_OK : goal_parse_json(&goal, &j->asker.style, asked, NULL);
    if (s != ST_OK) return status_note(ST_FORMAT, "field goal: ");
    buf_clear(&j->asked.prompt);
    TRY(ask_put_goal(&j->asked.prompt, &j->asker.style, (struct json){buf_text(&j->bare), j->bare.size}, j->asked.conversational, &goal));
    j->encoded.prompt.count = 0;
    return encode_prompt(&j->encoded.prompt, &j->pack.encoder, &j->asked);
}

/* Up to the token that ends the response; without it where the response was cut. */
static void cut_end(struct ids *ids, const struct tokenizer *t, bool cut) {
    for (size_t i = ids->count; i > 0; i--)
        if (tokenizer_is_end(t, ids->data[i - 1])) {
            ids->count = cut ? i - 1 : i;
            return;
        }
}

static status response_tokens(struct kl_scorer *j, const struct record *r, size_t i, bool cut) {
    const struct json sampled = json_get(goal_sample_owner(r, i, "response_ids"), "response_ids");
    const struct buf *text = reward_response(r, i);
    j->response.count = 0;
    if (json_kind_of(sampled) != JSON_NONE) {
        j->encoded.common = j->encoded.prompt.count;
        return encode_json_ids(&j->response, &j->pack.encoder, sampled, "response_ids");
    }
    if (j->asked.conversational && !r->conversational) put_message(&j->completion, "assistant", text);
    TRY(encode_completion(&j->response, &j->encoded, &j->pack.encoder, &j->asked,
                          j->asked.conversational && !r->conversational ? &j->completion : text));
    cut_end(&j->response, j->pack.encoder.tokenizer, cut);
    return ST_OK;
}

static status grow(struct goal_logps *l) {
    if (l->count < l->capacity) return ST_OK;
    l->capacity = l->capacity ? 2 * l->capacity : 256;
    l->sums = mem_resize(l->sums, l->capacity * sizeof *l->sums);
    l->tokens = mem_resize(l->tokens, l->capacity * sizeof *l->tokens);
    return ST_OK;
}

static status take_response(struct kl_scorer *j, const struct record *r, size_t i) {
    struct goal_sample sample;
    TRY(goal_sample_check_heat(r, i));
    TRY(goal_sample_read(&sample, r, i));
    TRY(ask(j, json_get(goal_sample_owner(r, i, "goal"), "goal")));
    TRY(response_tokens(j, r, i, sample.ended == 0));
    const struct ids prompt = {.data = j->encoded.prompt.data, .count = j->encoded.common};
    if (!prompt.count) return FAIL(ST_FORMAT, "field prompt: no tokens; a response needs at least one token before it");
    if (!j->response.count) return FAIL(ST_FORMAT, "response %zu: no tokens", i + 1);
    j->other_tokens += !isnan(sample.tokens) && sample.tokens != (double)j->response.count;
    TRY(grow(j->out));
    j->out->tokens[j->out->count++] = (int32_t)j->response.count;
    return reward_pack_push(&j->pack, &prompt, &j->response);
}

static status take(struct kl_scorer *j, const struct record *r) {
    if (r->kind != RECORD_RESPONSES && r->kind != RECORD_SFT)
        return FAIL(ST_FORMAT, "expected rows of responses as rapt generate writes them, found a %s (form %s)", record_kind_name(r->kind),
                    r->form);
    TRY(make_bare(j, r));
    for (size_t i = 0; i < reward_responses(r); i++) TRY(take_response(j, r, i));
    return ST_OK;
}

static status read_all(struct kl_scorer *j, struct source *source, const char *path) {
    struct record record = {0};
    struct progress bar;
    bool end = false;
    status s = ST_OK;
    progress_begin(&bar, path, "rows", rows_count(path));
    while (s == ST_OK) {
        s = source_next(source, &record, &end);
        if (s != ST_OK || end) break;
        s = take(j, &record);
        if (s != ST_OK) s = source_reject(source, &record, s); /* puts file and line in front */
        if (s == ST_OK) s = reward_pack_sums(&j->sums, &j->pack, false);
        progress_update(&bar, j->out->count ? source->rows.count * j->sums.count / j->out->count : source->rows.count,
                        NULL); /* as far as computed */
    }
    if (s == ST_OK) s = reward_pack_sums(&j->sums, &j->pack, true);
    if (s == ST_OK) progress_end(&bar, source->rows.count, NULL);
    record_release(&record);
    return s;
}

void kl_scorer_free(struct kl_scorer *j) {
    if (!j) return;
    reward_pack_release(&j->pack);
    goal_asker_release(&j->asker);
    reward_values_release(&j->sums);
    record_release(&j->asked);
    buf_release(&j->bare);
    buf_release(&j->completion);
    ids_release(&j->response);
    encoded_release(&j->encoded);
    free(j);
}

status kl_scorer_file(struct goal_logps *out, size_t *other_tokens, struct kl_scorer *j, const char *path, const char *policy_model,
                      const char *policy_adapter) {
    struct source source;
    *out = (struct goal_logps){0};
    j->out = out;
    j->sums.count = j->other_tokens = 0;
    status s = ask_as(j, policy_model, policy_adapter);
    if (s == ST_OK) s = source_open(&source, path, SOURCE_STOP, NULL);
    if (s == ST_OK) {
        source.map = j->o->map;
        s = read_all(j, &source, path);
        source_release(&source);
    }
    for (size_t i = 0; s == ST_OK && i < out->count; i++) {
        out->sums[i] = j->sums.items[i];
        if (!isfinite(out->sums[i]))
            s = FAIL(ST_FORMAT, "%s: the model gives a log-prob that is not finite (a broken checkpoint or adapter)", path);
    }
    *other_tokens = j->other_tokens;
    if (s != ST_OK) goal_logps_release(out);
    return s;
}
