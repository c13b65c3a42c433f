#include "data/pair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"

#define RNG_PAIR 0x70616972u /* keeps this module's draws apart from others of the same seed and row */

enum pair_rule pair_rule_parse(const char *name) {
    if (strcmp(name, "best-worst") == 0) return PAIR_BEST_WORST;
    if (strcmp(name, "all") == 0) return PAIR_ALL;
    CHECK(strcmp(name, "paper") == 0);
    return PAIR_PAPER;
}

void pair_list_release(struct pair_list *l) {
    free(l->items);
    *l = (struct pair_list){0};
}

static void push(struct pair_list *l, size_t chosen, size_t rejected) {
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->items = mem_resize(l->items, l->capacity * sizeof *l->items);
    }
    l->items[l->count++] = (struct pair){chosen, rejected};
}

/* Why a response takes no part, or NULL; the reason is one of the counts. */
static uint64_t *unusable(struct pair_counts *counts, const struct record *r, size_t i, enum pair_rule rule) {
    const struct response *p = &r->responses[i];
    if (isnan(p->score)) return &counts->dropped_no_score;
    if (rule == PAIR_PAPER && p->has_na) return &counts->dropped_na;
    return record_text_empty(&p->text, r->conversational) ? &counts->dropped_empty : NULL;
}

static bool same_text(const struct record *r, size_t i, size_t j) {
    return record_text_equal(&r->responses[i].text, &r->responses[j].text, r->conversational);
}

/* Every two usable responses; `usable` holds their indices. */
static void choose_all(struct pair_list *out, struct pair_counts *counts, const struct record *r, const size_t *usable, size_t count) {
    for (size_t a = 0; a < count; a++)
        for (size_t b = a + 1; b < count; b++) {
            size_t i = usable[a], j = usable[b];
            if (same_text(r, i, j)) {
                counts->dropped_equal_text++;
                continue;
            }
            bool second = r->responses[j].score > r->responses[i].score;
            push(out, second ? j : i, second ? i : j);
        }
}

/* The released code draws until it finds a response unlike the chosen one; drawing among the unlike ones is the same. */
static void choose_paper(struct pair_list *out, struct pair_counts *counts, const struct record *r, size_t *usable, size_t count,
                         uint64_t seed) {
    size_t best = usable[0], others = 0;
    for (size_t a = 1; a < count; a++)
        if (r->responses[usable[a]].score > r->responses[best].score) best = usable[a];
    for (size_t a = 0; a < count; a++)
        if (usable[a] != best && !same_text(r, usable[a], best)) usable[others++] = usable[a];
    if (!others) {
        counts->dropped_equal_text++;
        return;
    }
    struct rng rng = rng_at(seed, r->index, RNG_PAIR, 0);
    size_t other = usable[rng_below(&rng, others)];
    if (r->responses[best].fine_mean < r->responses[other].fine_mean)
        counts->dropped_fine_order++;
    else
        push(out, best, other);
}

static void choose_best_worst(struct pair_list *out, struct pair_counts *counts, const struct record *r, const size_t *usable,
                              size_t count) {
    size_t best = usable[0], worst = usable[0];
    for (size_t a = 1; a < count; a++) {
        if (r->responses[usable[a]].score > r->responses[best].score) best = usable[a];
        if (r->responses[usable[a]].score < r->responses[worst].score) worst = usable[a];
    }
    if (best == worst) worst = usable[1]; /* all scores are equal */
    if (same_text(r, best, worst))
        counts->dropped_equal_text++;
    else
        push(out, best, worst);
}

void pair_choose(struct pair_list *out, struct pair_counts *counts, const struct record *r, enum pair_rule rule, uint64_t seed) {
    out->count = 0;
    size_t few[16], *usable = r->response_count <= 16 ? few : mem_alloc(r->response_count * sizeof *usable), count = 0;
    for (size_t i = 0; i < r->response_count; i++) {
        uint64_t *reason = unusable(counts, r, i, rule);
        if (reason)
            ++*reason;
        else
            usable[count++] = i;
    }
    if (count < 2)
        counts->dropped_few_responses++;
    else if (rule == PAIR_ALL)
        choose_all(out, counts, r, usable, count);
    else if (rule == PAIR_PAPER)
        choose_paper(out, counts, r, usable, count, seed);
    else
        choose_best_worst(out, counts, r, usable, count);
    for (size_t i = 0; i < out->count; i++)
        counts->ties += r->responses[out->items[i].chosen].score == r->responses[out->items[i].rejected].score;
    if (usable != few) free(usable);
}

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

void pair_put_others(struct buf *out, const struct record *r, bool as_sft) {
    struct json_iter it = json_iter_begin(r->row);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        if (source_field_consumed(r, key, as_sft) || !pair_is_common(r, key, value)) continue;
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

void pair_put_row(struct buf *out, const struct record *r, struct pair p) {
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
    pair_put_others(out, r, false);
    buf_append_char(out, '}');
}

struct run {
    struct pair_counts *counts;
    const struct pair_options *o;
    struct source source;
    struct file_out out;
    struct record record;
    struct pair_list pairs;
    struct buf text;
};

static status pair_row(struct run *x) {
    const struct record *r = &x->record;
    if (r->kind != RECORD_RESPONSES)
        return source_reject(&x->source, r,
                             FAIL(ST_FORMAT, "expected a row with several responses, found %s %s (form %s)",
                                  r->kind == RECORD_SFT ? "an" : "a", record_kind_name(r->kind), r->form));
    if ((x->o->rule == PAIR_PAPER && pair_from_truthful_qa(r)) || pair_exclude_has(x->o->exclude, r)) {
        x->counts->rows_excluded++;
        return ST_OK;
    }
    pair_choose(&x->pairs, x->counts, r, x->o->rule, x->o->seed);
    for (size_t i = 0; i < x->pairs.count; i++) {
        if (x->o->limit && x->counts->pairs_written == x->o->limit) break;
        buf_clear(&x->text);
        pair_put_row(&x->text, r, x->pairs.items[i]);
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
    struct run x = {.counts = counts, .o = o};
    TRY(source_open(&x.source, o->input, o->on_bad_row, o->output));
    x.source.map = o->map;
    status s = file_out_open(&x.out, o->output);
    if (s == ST_OK) s = pair_rows(&x);
    file_out_abandon(&x.out);
    source_release(&x.source);
    record_release(&x.record);
    pair_list_release(&x.pairs);
    buf_release(&x.text);
    return s;
}
