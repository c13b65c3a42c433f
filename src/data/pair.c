#include "data/pair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/attribute.h"
#include "text/goal.h"

bool pair_from_truthful_qa(const struct record *r) {
    struct json source = json_get(r->row, "source");
    return source.size && json_equals(source, "truthful_qa");
}

bool pair_is_common(const struct record *r, struct json key, struct json value) {
    if (r->kind != RECORD_RESPONSES || r->response_count < 2 || !r->responses[0].own_row) return true;
    char *name = json_text(key);
    bool same = name != NULL;
    for (size_t i = 0; same && i < r->response_count; i++) same = record_json_same(json_get(r->responses[i].source, name), value);
    free(name);
    return same;
}

void pair_put_others(struct buf *out, const struct record *r, bool as_sft, bool attributes) {
    struct json_iter it = json_iter_begin(r->row);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        if (source_field_consumed(r, key, as_sft) || !pair_is_common(r, key, value)) continue;
        if (attributes ? attribute_is_member(key) : r->kind == RECORD_PAIR && attribute_is_of_side(key)) continue;
        buf_append(out, ", ", 2);
        buf_append(out, key.text, key.size);
        buf_append(out, ": ", 2);
        buf_append(out, value.text, value.size);
    }
}

void pair_put_text(struct buf *out, const char *key, const struct buf *text, bool conversational) {
    buf_append_text(out, key);
    if (conversational)
        buf_append(out, text->data, text->size);
    else
        json_put_string(out, buf_text(text), text->size);
}

static void put_number(struct buf *out, const char *key, double value) {
    if (isnan(value)) return;
    buf_append_text(out, key);
    json_put_double(out, value);
}

static void put_attributes(struct buf *out, const char *key, const struct pair_attributes *a, size_t response) {
    buf_append_text(out, key);
    for (size_t i = 0; i < a->count; i++) {
        buf_append_text(out, i ? ", " : "{");
        json_put_text(out, a->names[i]);
        buf_append_text(out, ": ");
        json_put_double(out, a->values[response * a->count + i]);
    }
    buf_append_char(out, '}');
}

static void put_scores(struct buf *out, const struct record *r, const struct pair_attributes *a) {
    bool first = true;
    buf_append_text(out, ", \"" PAIR_SCORES_FIELD "\": [");
    for (size_t i = 0; i < r->response_count; i++) {
        if (isnan(r->responses[i].score)) continue;
        if (!first) buf_append(out, ", ", 2);
        if (a->count)
            put_attributes(out, "", a, i);
        else
            json_put_double(out, r->responses[i].score);
        first = false;
    }
    buf_append_char(out, ']');
}

void pair_put_row(struct buf *out, const struct record *r, struct pair p, const struct pair_attributes *attributes, bool scores) {
    const struct response *w = &r->responses[p.chosen], *l = &r->responses[p.rejected];
    pair_put_text(out, "{\"prompt\": ", &r->prompt, r->conversational);
    pair_put_text(out, ", \"chosen\": ", &w->text, r->conversational);
    pair_put_text(out, ", \"rejected\": ", &l->text, r->conversational);
    put_number(out, ", \"score_chosen\": ", w->score);
    put_number(out, ", \"score_rejected\": ", l->score);
    if (!isnan(w->fine_mean) && !isnan(l->fine_mean)) {
        put_number(out, ", \"avg_fine_score_chosen\": ", w->fine_mean);
        put_number(out, ", \"avg_fine_score_rejected\": ", l->fine_mean);
    }
    if (attributes->count) {
        put_attributes(out, ", \"scores_chosen\": ", attributes, p.chosen);
        put_attributes(out, ", \"scores_rejected\": ", attributes, p.rejected);
    }
    if (scores) put_scores(out, r, attributes);
    pair_put_others(out, r, false, attributes->count > 0);
    buf_append_char(out, '}');
}

struct run {
    struct pair_counts *counts;
    const struct pair_options *o;
    struct source source;
    struct file_out out;
    struct record record;
    struct pair_list pairs;
    struct pair_attributes attributes;
    struct buf text;
};

/* A response with an attribute that is not rated takes no part, as in augment. */
static status find_attributes(struct run *x) {
    struct pair_attributes *a = &x->attributes;
    const struct record *r = &x->record;
    if (a->count * r->response_count > a->capacity) {
        a->capacity = a->count * r->response_count;
        a->values = mem_resize(a->values, a->capacity * sizeof *a->values);
    }
    for (size_t i = 0; a->count && i < r->response_count; i++) {
        struct response *response = &r->responses[i];
        bool rated = true;
        for (size_t k = 0; k < a->count; k++) {
            double *value = &a->values[i * a->count + k];
            if (strcmp(a->names[k], GOAL_OVERALL) == 0)
                *value = response->score;
            else
                TRY(attribute_find(value, r, i, a->names[k]));
            rated = rated && !isnan(*value);
        }
        if (rated || isnan(response->score)) continue;
        response->score = (double)NAN;
        x->counts->dropped_na++;
    }
    return ST_OK;
}

static status pair_row(struct run *x) {
    const struct record *r = &x->record;
    if (r->kind != RECORD_RESPONSES)
        return source_reject(&x->source, r,
                             FAIL(ST_FORMAT, "expected a row with several responses, found %s %s (form %s)",
                                  r->kind == RECORD_SFT ? "an" : "a", record_kind_name(r->kind), r->form));
    if ((x->o->rules.rule == PAIR_PAPER && pair_from_truthful_qa(r)) || pair_exclude_has(x->o->exclude, r)) {
        x->counts->rows_excluded++;
        return ST_OK;
    }
    const status found = find_attributes(x);
    if (found != ST_OK) return source_reject(&x->source, r, found);
    pair_choose(&x->pairs, x->counts, r, &x->o->rules);
    for (size_t i = 0; i < x->pairs.count; i++) {
        const struct pair p = x->pairs.items[i];
        if (x->o->limit && x->counts->pairs_written == x->o->limit) break;
        buf_clear(&x->text);
        pair_put_row(&x->text, r, p, &x->attributes, x->o->keep_scores);
        if (x->o->margins) pair_margins_add(x->o->margins, r->responses[p.chosen].score, r->responses[p.rejected].score);
        buf_append_char(&x->text, '\n');
        TRY(file_out_write(&x->out, x->text.data, x->text.size));
        x->counts->pairs_written++;
    }
    return ST_OK;
}

static status pair_rows(struct run *x) {
    struct progress bar;
    bool end;
    progress_begin(&bar, "pair", "rows", 0);
    while (!x->o->limit || x->counts->pairs_written < x->o->limit) {
        TRY(source_next(&x->source, &x->record, &end));
        if (end) break;
        TRY(pair_row(x));
        if (x->source.row_count % 1024 == 0) progress_update(&bar, x->source.row_count, NULL);
    }
    progress_end(&bar, x->source.row_count, NULL);
    x->counts->rows_read = x->source.row_count;
    x->counts->rows_skipped = x->source.skipped_count;
    TRY(source_commit(&x->source));
    return file_out_commit(&x->out);
}

status pair_run(struct pair_counts *counts, const struct pair_options *o) {
    *counts = (struct pair_counts){0};
    struct run x = {.counts = counts, .o = o, .attributes = {.names = o->attributes, .count = o->attribute_count}};
    TRY(source_open(&x.source, o->input, o->on_bad_row, o->output));
    x.source.map = o->map;
    status s = file_out_open(&x.out, o->output);
    if (s == ST_OK) s = pair_rows(&x);
    file_out_abandon(&x.out);
    source_release(&x.source);
    record_release(&x.record);
    pair_list_release(&x.pairs);
    free(x.attributes.values);
    buf_release(&x.text);
    return s;
}
