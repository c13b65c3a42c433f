/* source_responses: rows that hold K responses to one prompt. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/source_fields.h"

/* annotations: {aspect: {"Rating": "4" | "N/A", ...}}; the mean over the aspects that have a number. */
static status read_aspects(struct response *p, struct json annotations, const char *list, size_t index) {
    struct json_iter it = json_iter_begin(annotations);
    struct json key, aspect;
    double sum = 0;
    size_t count = 0;
    while (json_iter_next(&it, &key, &aspect)) {
        struct json rating = json_get(aspect, "Rating");
        char path[96];
        double value;
        snprintf(path, sizeof path, "%s[%zu].annotations.%.*s.Rating", list, index, key.size < 22 ? (int)key.size - 2 : 20, key.text + 1);
        TRY(field_score(&value, rating, path));
        if (isnan(value)) {
            p->has_na = p->has_na || json_equals(rating, "N/A");
            continue;
        }
        sum += value;
        count++;
    }
    if (count) p->fine_mean = sum / (double)count;
    return ST_OK;
}

/* What UltraFeedback says of a response beside its score. */
static status read_fine(struct response *p, struct json item, const char *list, size_t index) {
    char path[64];
    TRY(read_aspects(p, json_get(item, "annotations"), list, index));
    if (!isnan(p->fine_mean)) return ST_OK;
    snprintf(path, sizeof path, "%s[%zu].fine-grained_score", list, index);
    return field_score(&p->fine_mean, json_get(item, "fine-grained_score"), path);
}

bool source_ultrafeedback_sniff(const struct fields *f) { return f->instruction.size && f->completions.size; }

status source_ultrafeedback_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_RESPONSES;
    TRY(field_put_text(&r->prompt, f->instruction, false, "instruction"));
    if (json_kind_of(f->completions) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field completions: expected a list, found %s", json_kind_name(json_kind_of(f->completions)));
    struct json_iter it = json_iter_begin(f->completions);
    struct json key, item;
    char path[64];
    for (size_t i = 0; json_iter_next(&it, &key, &item); i++) {
        if (json_kind_of(item) != JSON_OBJECT)
            return FAIL(ST_FORMAT, "field completions[%zu]: expected an object, found %s", i, json_kind_name(json_kind_of(item)));
        struct response *p = record_add_response(r);
        p->source = item;
        snprintf(path, sizeof path, "completions[%zu].response", i);
        TRY(field_put_text(&p->text, json_get(item, "response"), false, path));
        snprintf(path, sizeof path, "completions[%zu].overall_score", i);
        TRY(field_score(&p->score, json_get(item, "overall_score"), path));
        TRY(read_fine(p, item, "completions", i));
    }
    return ST_OK;
}

/* Reads one response's text: a string, or an object with text | response | content | messages. */
static status read_text(struct response *p, struct json item, bool conversational, size_t index) {
    char path[64];
    struct json text = item;
    const char *name = "";
    if (json_kind_of(item) == JSON_OBJECT) {
        static const char *const names[] = {"text", "messages", "response", "content", "answer"};
        text = (struct json){0};
        for (size_t i = 0; i < sizeof names / sizeof names[0] && !text.size; i++) text = json_get(item, names[i]), name = names[i];
        if (!text.size) return FAIL(ST_FORMAT, "field responses[%zu]: neither text nor messages", index);
    }
    snprintf(path, sizeof path, "responses[%zu]%s%s", index, *name ? "." : "", name);
    if (conversational && field_is_string(text)) {
        field_put_message(&p->text, "assistant", text);
        return ST_OK;
    }
    if (!conversational && field_is_messages(text)) { /* a plain prompt answered in messages: one turn is the same as its text */
        struct json_iter it = json_iter_begin(text);
        struct json key, turn = {0};
        json_iter_next(&it, &key, &turn);
        if (json_count(text) != 1) return FAIL(ST_FORMAT, "field %s: several messages to a prompt that is a string", path);
        return field_put_text(&p->text, json_get(turn, "content"), false, path);
    }
    return field_put_text(&p->text, text, conversational, path);
}

static status read_list(struct record *r, struct json list, struct json scores) {
    if (json_kind_of(list) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field responses: expected a list, found %s", json_kind_name(json_kind_of(list)));
    if (scores.size && json_count(scores) != json_count(list))
        return FAIL(ST_FORMAT, "fields responses, scores: %zu responses, %zu scores", json_count(list), json_count(scores));
    struct json_iter it = json_iter_begin(list), score_it = json_iter_begin(scores);
    struct json key, item, score;
    char path[64];
    for (size_t i = 0; json_iter_next(&it, &key, &item); i++) {
        struct response *p = record_add_response(r);
        p->source = item;
        TRY(read_text(p, item, r->conversational, i));
        if (!scores.size || !json_iter_next(&score_it, &key, &score)) score = json_get(item, "score");
        snprintf(path, sizeof path, "responses[%zu].score", i);
        TRY(field_score(&p->score, score, path));
        TRY(read_fine(p, item, "responses", i)); /* rapt score keeps them beside its own */
    }
    return ST_OK;
}

static status read_prompt(struct record *r, const struct fields *f) {
    r->kind = RECORD_RESPONSES;
    struct json prompt = f->prompt.size ? f->prompt : f->instruction.size ? f->instruction : f->messages;
    r->conversational = field_is_messages(prompt);
    return field_put_text(&r->prompt, prompt, r->conversational, "prompt");
}

bool source_responses_sniff(const struct fields *f) { return f->responses.size != 0; }

status source_responses_read(struct record *r, const struct fields *f) {
    TRY(read_prompt(r, f));
    struct json scores = f->rewards.size ? f->rewards : f->scores;
    return read_list(r, f->responses, json_kind_of(scores) == JSON_ARRAY ? scores : (struct json){0});
}

bool source_best_of_sniff(const struct fields *f) { return f->all_generated_responses.size && f->all_rm_scores.size; }

status source_best_of_read(struct record *r, const struct fields *f) {
    TRY(read_prompt(r, f));
    return read_list(r, f->all_generated_responses, f->all_rm_scores);
}

bool source_helpsteer_sniff(const struct fields *f) { return f->prompt.size && f->response.size && f->helpfulness.size; }

/* One of the responses to the prompt; source_next brings those of the adjacent rows. Its score is helpfulness, the attribute that the data
 * set's authors tell preferences by (HelpSteer2, arXiv 2406.08673). */
status source_helpsteer_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_RESPONSES;
    TRY(field_put_turns(r, f->prompt, &turns_helpsteer, "prompt"));
    struct response *p = record_add_response(r);
    p->source = r->row;
    p->own_row = true;
    TRY(field_put_answer(&p->text, r, f->response, "response"));
    return field_score(&p->score, f->helpfulness, "helpfulness");
}

bool source_samples_sniff(const struct fields *f) { return f->prompt.size && f->text.size && f->sample.size; }

status source_samples_read(struct record *r, const struct fields *f) {
    TRY(read_prompt(r, f));
    struct response *p = record_add_response(r);
    p->source = r->row;
    p->own_row = true;
    TRY(field_score(&p->score, f->score, "score"));
    return field_put_answer(&p->text, r, f->text, "text");
}

bool source_nectar_sniff(const struct fields *f) { return f->prompt.size && f->answers.size; }

status source_score_of_rank(double *score, double rank, size_t count, const char *path) {
    *score = (double)NAN;
    if (isnan(rank)) return ST_OK;
    if (rank < 1 || rank > (double)count)
        return FAIL(ST_FORMAT, "field %s: expected a rank of 1 to %zu answers, found %g", path, count, rank);
    if (count > 1) *score = round(100 * (10 - 9 * (rank - 1) / (double)(count - 1))) / 100;
    return ST_OK;
}

status source_nectar_read(struct record *r, const struct fields *f) {
    r->kind = RECORD_RESPONSES;
    TRY(field_put_turns(r, f->prompt, &turns_hh, "prompt"));
    if (json_kind_of(f->answers) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field answers: expected a list, found %s", json_kind_name(json_kind_of(f->answers)));
    const size_t count = json_count(f->answers);
    struct json_iter it = json_iter_begin(f->answers);
    struct json key, item;
    char path[64];
    for (size_t i = 0; json_iter_next(&it, &key, &item); i++) {
        if (json_kind_of(item) != JSON_OBJECT)
            return FAIL(ST_FORMAT, "field answers[%zu]: expected an object, found %s", i, json_kind_name(json_kind_of(item)));
        struct response *p = record_add_response(r);
        p->source = item;
        snprintf(path, sizeof path, "answers[%zu].answer", i);
        TRY(field_put_answer(&p->text, r, json_get(item, "answer"), path));
        snprintf(path, sizeof path, "answers[%zu].rank", i);
        double rank;
        TRY(field_score(&rank, json_get(item, "rank"), path));
        TRY(source_score_of_rank(&p->score, rank, count, path));
        p->from_rank = true;
    }
    return ST_OK;
}
