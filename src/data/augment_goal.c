#include "data/augment_goal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/attribute.h"

size_t augment_responses(const struct record *r) {
    return r->kind == RECORD_RESPONSES ? r->response_count : r->kind == RECORD_PAIR ? 2 : 1;
}

static double map_linear(double score, const double from[2], double low, double high) {
    return round((low + (score - from[0]) * (high - low) / (from[1] - from[0])) * 100) / 100;
}

double augment_mapped(const struct augment_options *o, double score) {
    if (!o->map_scores) return score;
    return map_linear(score, (const double[]){o->from_low, o->from_high}, o->style->low, o->style->high);
}

static double own_score(const struct record *r, size_t i) {
    return r->kind == RECORD_RESPONSES ? r->responses[i].score : i ? r->score_rejected : r->score_chosen;
}

/* The number of one attribute as the row has it. */
static status raw_attribute(double *out, const struct record *r, size_t i, const char *name) {
    *out = strcmp(name, GOAL_OVERALL) == 0 ? own_score(r, i) : (double)NAN;
    return isnan(*out) ? attribute_find(out, r, i, name) : ST_OK;
}

static double mapped_attribute(const struct augment_options *o, size_t k, double value) {
    const double *from = o->attribute_from[k];
    return from[0] == from[1] ? value : map_linear(value, from, o->style->attributes[k].low, o->style->attributes[k].high);
}

static status exact_attributes(struct goal *out, const struct augment_options *o, const struct record *r, size_t i) {
    bool all = true;
    for (size_t k = 0; k < o->style->attribute_count; k++) {
        double value;
        TRY(raw_attribute(&value, r, i, o->style->attributes[k].name));
        all = all && !isnan(value);
        out->value[k] = mapped_attribute(o, k, value);
    }
    out->count = all ? o->style->attribute_count : 0;
    return ST_OK;
}

status augment_exact(struct goal *out, const struct augment_options *o, const struct record *r) {
    for (size_t i = 0; i < augment_responses(r); i++) {
        const double score = own_score(r, i);
        if (o->style->attribute_count)
            TRY(exact_attributes(&out[i], o, r, i));
        else
            out[i] = isnan(score) ? (struct goal){0} : goal_of_score(augment_mapped(o, score));
    }
    return ST_OK;
}

status augment_exact_of_item(struct goal *out, const struct augment_options *o, struct json item, const char *field) {
    double value;
    if (!o->style->attribute_count) {
        TRY(field_score(&value, item, field));
        *out = isnan(value) ? (struct goal){0} : goal_of_score(augment_mapped(o, value));
        return ST_OK;
    }
    out->count = o->style->attribute_count;
    for (size_t k = 0; k < o->style->attribute_count; k++) {
        const char *name = o->style->attributes[k].name;
        const struct json number = json_kind_of(item) == JSON_OBJECT ? json_get(item, name) : (struct json){0};
        if (!number.size)
            return FAIL(ST_FORMAT, "field %s: an item has no %s; with --attributes each is an object {NAME: number}", field, name);
        TRY(field_score(&value, number, field));
        if (isnan(value)) out->count = 0;
        out->value[k] = mapped_attribute(o, k, value);
    }
    return ST_OK;
}

/* Widens the scales in `wanted` by one row's numbers. */
static status widen(struct goal_style *style, const bool *wanted, const struct record *r) {
    for (size_t i = 0; i < augment_responses(r); i++) {
        for (size_t k = 0; k < style->attribute_count; k++) {
            struct goal_attribute *a = &style->attributes[k];
            double value;
            if (!wanted[k]) continue;
            TRY(raw_attribute(&value, r, i, a->name));
            a->low = fmin(a->low, value); /* NaN, not known, gives way */
            a->high = fmax(a->high, value);
        }
    }
    return ST_OK;
}

static status widen_all(struct goal_style *style, const bool *wanted, struct source *source, struct record *record) {
    struct progress bar;
    bool end = false;
    progress_begin(&bar, "augment: scales", "rows", 0);
    for (;;) {
        TRY(source_next(source, record, &end));
        if (end) break;
        status s = record->kind == RECORD_PROMPT ? ST_OK : widen(style, wanted, record);
        if (s != ST_OK) TRY(source_reject(source, record, s));
        if (source->row_count % 1024 == 0) progress_update(&bar, source->row_count, NULL);
    }
    progress_end(&bar, source->row_count, NULL);
    return ST_OK;
}

status augment_find_scales(struct goal_style *style, const struct augment_options *o) {
    struct source source;
    struct record record = {0};
    bool wanted[GOAL_MAX];
    for (size_t k = 0; k < style->attribute_count; k++) wanted[k] = isnan(style->attributes[k].low);
    TRY(source_open(&source, o->input, o->on_bad_row, NULL));
    source.map = o->map;
    status s = widen_all(style, wanted, &source, &record);
    source_release(&source);
    record_release(&record);
    for (size_t k = 0; s == ST_OK && k < style->attribute_count; k++) {
        const struct goal_attribute *a = &style->attributes[k];
        if (!wanted[k]) continue;
        if (!(a->low < a->high))
            s = FAIL(ST_FORMAT,
                     "%s: no two different numbers of the attribute %s, so that its scale has to be named (--score-range %s=A,B), or it "
                     "asks for nothing",
                     o->input, a->name, a->name);
        else
            log_info("scale of %s: %g to %g, as found in the data (--score-range)", a->name, a->low, a->high);
    }
    return s;
}
