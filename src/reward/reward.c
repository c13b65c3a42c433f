#include "reward/reward.h"

#include <stdlib.h>
#include <string.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SOURCE(name) reward_##name##_open, reward_##name##_score, NULL, reward_##name##_release
#define PACKED(name) reward_##name##_open, reward_##name##_score, reward_##name##_flush, reward_##name##_release
#define MODEL_OPTIONS "model", "adapter", "dtype", "micro-batch-tokens", "threads"
#define SCALE_OPTIONS "scale", "map"

const struct reward_source reward_table[] = {
    {"column", "a number that the rows have already, or a weighted sum of several",
     "UltraFeedback: arXiv 2310.01377; HelpSteer2's weights: arXiv 2406.08673; ranks: Nectar", "--column or --weights", 0, NULL,
     NAMES("column", "weights"), SOURCE(column)},
    {"rule", "a verifiable rule: the right answer, a pattern, a length, valid JSON, a program of your own",
     "gsm8k: EleutherAI/lm-evaluation-harness, lm_eval/tasks/gsm8k/gsm8k.yaml", "--rule", REWARD_UNIT | REWARD_LONE, NULL,
     NAMES("rule", "pattern", "answer-field", "extract", "length", "unit", "command", "command-batch", "command-timeout"), PACKED(rule)},
    {"reward-model", "the head of a reward model: a *ForSequenceClassification, ArmoRM, or an adapter of train --objective reward",
     "arXiv 2203.02155; several attributes: ArmoRM, arXiv 2406.12845", "--model", REWARD_RAW | REWARD_NEEDS_MODEL | REWARD_LONE, NULL,
     NAMES(MODEL_OPTIONS, SCALE_OPTIONS, "weights", "attributes"), PACKED(model)},
    {"judge", "a language model that rates or compares, behind an endpoint or in this process",
     "arXiv 2306.05685; weighted with log-probs: G-Eval, arXiv 2303.16634", "--endpoint or --model", REWARD_UNIT,
     "the judge gave no answer that can be used",
     NAMES(MODEL_OPTIONS, "judge", "judge-prompt", "judge-logprobs", "endpoint", "endpoint-model", "api-key-env", "cache", "concurrency",
           "requests-per-minute", "request-timeout", "request-tries", "retry-wait", "request-extra", "max-answer-tokens", "answer-tries",
           "on-bad-answer", "price-input", "price-output"),
     PACKED(judge)},
    {"implicit",
     "beta (log pi - log pi_ref): what a policy trained by DPO, --adapter, prefers over what it was trained from; mapped by quantiles",
     "arXiv 2305.18290, equation 5; as scores: arXiv 2410.08067; cross-fitting: arXiv 1608.00060", "--model, --adapter or --cross-fit",
     REWARD_RAW | REWARD_MAPPED | REWARD_NEEDS_MODEL | REWARD_NEEDS_ADAPTER, NULL,
     NAMES(MODEL_OPTIONS, SCALE_OPTIONS, "beta", "cross-fit", "reference-adapter"), PACKED(implicit)},
    {"self", "the goal under which a goal-conditioned policy finds the response likeliest: the policy as its own judge",
     "the policy: arXiv 2410.08067; Bayes' rule over goals, all as likely beforehand", "--model", REWARD_NEEDS_MODEL, NULL,
     NAMES(MODEL_OPTIONS, "goals", "self-read", "per-token"), PACKED(self)},
};
const size_t reward_count = sizeof reward_table / sizeof reward_table[0];

const struct reward_source *reward_find(const char *name) {
    for (size_t i = 0; i < reward_count; i++)
        if (strcmp(reward_table[i].name, name) == 0) return &reward_table[i];
    return NULL;
}

status reward_open(struct reward *r, const struct reward_source *source, const struct reward_options *o) {
    *r = (struct reward){.source = source};
    status s = source->open(r, o);
    if (s != ST_OK) reward_release(r);
    return s;
}

void reward_release(struct reward *r) {
    if (r->source && r->state) r->source->release(r);
    for (size_t i = 0; i < r->name_count; i++) free(r->names[i]);
    free(r->names);
    free(r->setting);
    *r = (struct reward){0};
}

void reward_values_add(struct reward_values *v, double value) {
    if (v->count == v->capacity) {
        v->capacity = v->capacity ? 2 * v->capacity : 64;
        v->items = mem_resize(v->items, v->capacity * sizeof *v->items);
    }
    v->items[v->count++] = value;
}

void reward_values_drop(struct reward_values *v, size_t count) {
    CHECK(count <= v->count);
    v->count -= count;
    if (v->count) memmove(v->items, v->items + count, v->count * sizeof *v->items);
}

void reward_values_release(struct reward_values *v) {
    free(v->items);
    *v = (struct reward_values){0};
}

size_t reward_responses(const struct record *row) {
    switch (row->kind) {
    case RECORD_PAIR: return 2;
    case RECORD_RESPONSES: return row->response_count;
    case RECORD_SFT: return 1;
    default: return 0;
    }
}

const struct buf *reward_response(const struct record *row, size_t i) {
    if (row->kind == RECORD_RESPONSES) return &row->responses[i].text;
    return i ? &row->rejected : &row->chosen;
}

void reward_put_content(struct buf *out, struct json content) {
    struct json_iter it = json_iter_begin(content);
    struct json key, part;
    if (json_string(out, content)) return;
    while (json_kind_of(content) == JSON_ARRAY && json_iter_next(&it, &key, &part)) json_string(out, json_get(part, "text"));
}

status reward_response_text(struct buf *out, const struct record *row, size_t i) {
    const struct buf *text = reward_response(row, i);
    buf_clear(out);
    if (!text->size && row->chosen_ids.size) return FAIL(ST_FORMAT, "the row holds token ids, and the score is one of texts");
    if (!row->conversational) {
        buf_append(out, buf_text(text), text->size);
        return ST_OK;
    }
    struct json_iter it = json_iter_begin((struct json){buf_text(text), text->size});
    struct json key, message, last = {0};
    while (json_iter_next(&it, &key, &message)) last = message;
    reward_put_content(out, json_get(last, "content"));
    return ST_OK;
}
