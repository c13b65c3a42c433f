#include "eval/goal_samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "data/attribute.h"
#include "reward/reward.h"
#include "text/goal.h"

#define GRAM 4 /* words of a run */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int by_hash(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Runs of GRAM words as hashes; `words` of them counted. */
static void count_words(struct goal_sample *sample, const struct buf *text) {
    const char *at = buf_text(text), *end = at + text->size;
    uint64_t last[GRAM] = {0}, *grams = NULL;
    size_t words = 0, count = 0, capacity = 0;
    while (at < end) {
        const char *begin = at;
        while (at < end && !is_blank(*at)) at++;
        if (at > begin) {
            last[words++ % GRAM] = hash_bytes(begin, (size_t)(at - begin), 0);
            if (words >= GRAM) {
                uint64_t run[GRAM];
                for (size_t i = 0; i < GRAM; i++) run[i] = last[(words + i) % GRAM];
                if (count == capacity) capacity = capacity ? 2 * capacity : 64, grams = mem_resize(grams, capacity * sizeof *grams);
                grams[count++] = hash_bytes(run, sizeof run, 0);
            }
        }
        while (at < end && is_blank(*at)) at++;
    }
    size_t different = 0;
    if (count) qsort(grams, count, sizeof *grams, by_hash);
    for (size_t i = 0; i < count; i++) different += i == 0 || grams[i] != grams[i - 1];
    free(grams);
    sample->words = (double)words;
    sample->repetition = count ? 1 - (double)different / (double)count : 0;
}

static status read_number(double *out, struct json object, const char *name) {
    const struct json value = json_get(object, name);
    *out = (double)NAN;
    if (json_kind_of(value) == JSON_NONE || json_kind_of(value) == JSON_NULL || json_double(out, value)) return ST_OK;
    return FAIL(ST_FORMAT, "field %s: expected a number or null, found %s", name, json_kind_name(json_kind_of(value)));
}

static status read_ended(double *out, struct json object) {
    const struct json value = json_get(object, "finish");
    *out = (double)NAN;
    if (json_kind_of(value) == JSON_NONE || json_kind_of(value) == JSON_NULL) return ST_OK;
    if (json_kind_of(value) == JSON_STRING && json_equals(value, "stop"))
        *out = 1;
    else if (json_kind_of(value) == JSON_STRING && json_equals(value, "length"))
        *out = 0;
    else
        return FAIL(ST_FORMAT, "field finish: expected \"stop\" or \"length\", as rapt generate writes it");
    return ST_OK;
}

struct json goal_sample_owner(const struct record *r, size_t i, const char *field) {
    if (r->kind != RECORD_RESPONSES || json_kind_of(r->responses[i].source) != JSON_OBJECT) return r->row;
    const struct json own = r->responses[i].source;
    return r->responses[i].own_row || json_kind_of(json_get(own, field)) != JSON_NONE ? own : r->row;
}

/* Runs are compared at goals of one kind. */
static status read_named(double *out, struct json own, struct goal_names *names) {
    const struct json goal = json_get(own, "goal");
    const bool named = json_kind_of(goal) == JSON_OBJECT;
    if (!named) TRY(read_number(out, own, "goal"));
    if (named ? names->numbers : names->count && !isnan(*out))
        return FAIL(ST_MISMATCH, "field goal: %s; expected goals of one kind in all samples",
                    named ? "several attributes, and rows before have one score" : "one score, and rows before have several attributes");
    if (named) return goal_names_number(out, names, goal);
    names->numbers = names->numbers || !isnan(*out);
    return ST_OK;
}

static status read_goal(double *out, struct json own, const char *attribute) {
    const struct json goal = json_get(own, "goal");
    const enum json_kind kind = json_kind_of(goal);
    if (kind != JSON_OBJECT && attribute && kind != JSON_NONE && kind != JSON_NULL)
        return FAIL(ST_FORMAT, "field goal: expected an object with %s, found %s; --attribute is for goals of several attributes",
                    attribute, json_kind_name(kind));
    if (kind != JSON_OBJECT) return read_number(out, own, "goal");
    if (!attribute)
        return FAIL(
            ST_FORMAT,
            "field goal: it has several attributes; a goal curve is of goals that are one score, or of one attribute (--attribute NAME)");
    if (!json_double(out, json_get(goal, attribute)) || !isfinite(*out))
        return FAIL(ST_FORMAT, "field goal.%s: expected a finite number", attribute);
    return ST_OK;
}

status goal_sample_read(struct goal_sample *sample, const struct record *r, size_t i) {
    TRY(read_number(&sample->tokens, goal_sample_owner(r, i, "tokens"), "tokens"));
    return read_ended(&sample->ended, goal_sample_owner(r, i, "finish"));
}

status goal_sample_check_heat(const struct record *r, size_t i) {
    double temperature;
    TRY(read_number(&temperature, goal_sample_owner(r, i, "temperature"), "temperature"));
    if (isnan(temperature) || temperature == 1) return ST_OK;
    return FAIL(ST_MISMATCH, "field temperature: expected 1, found %g: other samples are not the policy's own, and tell no KL",
                temperature);
}

static status add(struct goal_samples *s, const struct goal_sample *sample) {
    if (s->count == s->capacity) {
        struct goal_sample *items;
        const size_t capacity = s->capacity ? 2 * s->capacity : 256;
        TRY(mem_try_alloc(&items, capacity, sizeof *items, "samples"));
        for (size_t i = 0; i < s->count; i++) items[i] = s->items[i];
        free(s->items);
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->count++] = *sample;
    return ST_OK;
}

static status add_goal(struct goal_samples *s, double goal) {
    size_t at = 0;
    if (isnan(goal)) {
        s->without_goal = true;
        return ST_OK;
    }
    while (at < s->goal_count && s->goals[at] < goal) at++;
    if (at < s->goal_count && s->goals[at] == goal) return ST_OK;
    if (s->goal_count == GOAL_SAMPLES_GOALS_MAX)
        return FAIL(ST_UNSUPPORTED, "more than %d different goals; a goal curve has a point for each", GOAL_SAMPLES_GOALS_MAX);
    for (size_t i = s->goal_count++; i > at; i--) s->goals[i] = s->goals[i - 1];
    s->goals[at] = goal;
    return ST_OK;
}

#define MISSING                                                                                                                      \
    "field %s: missing or null; rapt eval kl --model computes log-probs, without --model rows have logps, ref_logps (sums over the " \
    "response, nats) and tokens"

/* Those computed for the response, which is the file's number `at`, or those of its row. */
static status take_logps(struct goal_sample *sample, const struct record *r, size_t i, const struct goal_samples_options *o, size_t at) {
    if (!o->log_probs) return ST_OK;
    TRY(goal_sample_check_heat(r, i));
    if (!o->policy) {
        TRY(read_number(&sample->logp, goal_sample_owner(r, i, "logps"), "logps"));
        TRY(read_number(&sample->ref, goal_sample_owner(r, i, "ref_logps"), "ref_logps"));
        const char *missing = isnan(sample->logp) ? "logps" : isnan(sample->ref) ? "ref_logps" : isnan(sample->tokens) ? "tokens" : NULL;
        if (missing) return FAIL(ST_FORMAT, MISSING, missing);
        return sample->tokens >= 1 ? ST_OK : FAIL(ST_FORMAT, "field tokens: expected 1 or more, found %g", sample->tokens);
    }
    if (at >= o->policy->count || at >= o->reference->count) return FAIL(ST_MISMATCH, "the file has more responses than a moment ago");
    sample->logp = o->policy->sums[at];
    sample->ref = o->reference->sums[at];
    sample->tokens = o->policy->tokens[at];
    return ST_OK;
}

static status take(struct goal_samples *s, const struct record *r, struct buf *text, const struct goal_samples_options *o, size_t *at) {
    if (r->kind != RECORD_RESPONSES && r->kind != RECORD_SFT)
        return FAIL(ST_FORMAT, "expected rows of responses with goal and score, found a %s (form %s)", record_kind_name(r->kind), r->form);
    for (size_t i = 0; i < reward_responses(r); i++) {
        struct goal_sample sample = {.key = record_prompt_key(&r->prompt, r->conversational),
                                     .score = r->kind == RECORD_SFT ? r->score_chosen : r->responses[i].score};
        const size_t number = (*at)++;
        if (o->attribute && strcmp(o->attribute, GOAL_OVERALL) != 0) TRY(attribute_find(&sample.score, r, i, o->attribute));
        s->unscored += isnan(sample.score);
        if (isnan(sample.score) && !o->log_probs) continue;
        const struct json own = goal_sample_owner(r, i, "goal");
        TRY(o->names && !o->attribute ? read_named(&sample.goal, own, o->names) : read_goal(&sample.goal, own, o->attribute));
        TRY(goal_sample_read(&sample, r, i));
        TRY(take_logps(&sample, r, i, o, number));
        TRY(reward_response_text(text, r, i));
        count_words(&sample, text);
        TRY(add_goal(s, sample.goal));
        TRY(add(s, &sample));
    }
    return ST_OK;
}

static int by_prompt(const void *a, const void *b) {
    const struct goal_sample *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    if (isnan(x->goal) != isnan(y->goal)) return isnan(x->goal) ? 1 : -1;
    if (x->goal != y->goal && !isnan(x->goal)) return x->goal < y->goal ? -1 : 1;
    if (isnan(x->score) || isnan(y->score)) return isnan(x->score) - isnan(y->score);
    return (x->score > y->score) - (x->score < y->score);
}

static size_t place_of(const struct goal_samples *s, double goal) {
    size_t at = 0;
    while (at < s->goal_count && s->goals[at] != goal) at++;
    return at < s->goal_count ? at : SIZE_MAX;
}

static status finish(struct goal_samples *s) {
    if (!s->count && s->unscored)
        return FAIL(ST_MISMATCH,
                    "none of the %zu responses has a score; rapt score --input FILE --output SCORED --source NAME gives them one",
                    s->unscored);
    if (!s->count) return FAIL(ST_MISMATCH, "no rows");
    qsort(s->items, s->count, sizeof *s->items, by_prompt);
    s->prompts = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (i && s->items[i].key != s->items[i - 1].key) s->prompts++;
        s->items[i].prompt = s->prompts;
        s->items[i].goal_at = place_of(s, s->items[i].goal);
    }
    s->prompts++;
    return ST_OK;
}

static status read_all(struct goal_samples *s, struct source *source, const struct goal_samples_options *o) {
    struct record record = {0};
    struct buf text = {0};
    size_t at = 0;
    bool end = false;
    status code = ST_OK;
    while (code == ST_OK) {
        code = source_next(source, &record, &end);
        if (code != ST_OK || end) break;
        code = take(s, &record, &text, o, &at);
        if (code != ST_OK) code = source_reject(source, &record, code); /* puts file and line in front */
    }
    record_release(&record);
    buf_release(&text);
    return code;
}

status goal_samples_load(struct goal_samples *s, const char *name, const char *path, const struct goal_samples_options *given) {
    static const struct goal_samples_options none = {0};
    const struct goal_samples_options *o = given ? given : &none;
    struct source source;
    *s = (struct goal_samples){.name = mem_text(name)};
    status code = source_open(&source, path, SOURCE_STOP, NULL);
    if (code == ST_OK) {
        source.map = o->map;
        code = read_all(s, &source, o);
        source_release(&source);
        if (code == ST_OK && (code = finish(s)) != ST_OK) status_note(code, "%s: ", path);
    }
    if (code == ST_OK && s->unscored && !o->log_probs) log_warn("%s: %zu responses without a score are left out", path, s->unscored);
    if (code != ST_OK) goal_samples_release(s);
    return code;
}

status goal_samples_keep(struct goal_samples *s, const double *goals, size_t count, const struct goal_names *names) {
    size_t kept = 0, goal_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (place_of(s, goals[i]) != SIZE_MAX || !s->goal_count) continue;
        if (names && names->count)
            return FAIL(ST_MISMATCH, "%s has no samples under goal %s", s->name, names->items[(size_t)goals[i]].text);
        return FAIL(ST_MISMATCH, "%s has no samples under goal %g", s->name, goals[i]);
    }
    for (size_t i = 0; i < s->count; i++) {
        bool keep = isnan(s->items[i].goal);
        for (size_t j = 0; j < count; j++) keep = keep || s->items[i].goal == goals[j];
        if (keep) s->items[kept++] = s->items[i];
    }
    for (size_t i = 0; i < s->goal_count; i++)
        for (size_t j = 0; j < count; j++)
            if (s->goals[i] == goals[j]) {
                s->goals[goal_count++] = goals[j];
                break;
            }
    s->count = kept;
    s->goal_count = goal_count;
    return finish(s);
}

status goal_samples_pool(struct goal_samples *s, const struct goal_samples *seed) {
    s->pooled++;
    s->unscored += seed->unscored;
    for (size_t i = 0; i < seed->count; i++) {
        TRY(add_goal(s, seed->items[i].goal));
        TRY(add(s, &seed->items[i]));
    }
    return finish(s);
}

void goal_samples_release(struct goal_samples *s) {
    free(s->name);
    free(s->items);
    *s = (struct goal_samples){0};
}

void goal_logps_release(struct goal_logps *l) {
    free(l->sums);
    free(l->tokens);
    *l = (struct goal_logps){0};
}
