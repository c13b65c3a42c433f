#include "eval/score_pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/source.h"

/* A row waiting for its pack. */
struct item {
    struct buf text; /* the row's JSON */
    struct encoded ids;
    struct ids sequence[2]; /* prompt + response */
    size_t used[2];         /* response tokens after the cut */
    bool null;              /* the prompt alone is too long */
};

#define ITEMS_MAX 64
struct job {
    const struct score_options *o;
    struct encoder encoder;
    struct scorer scorer;
    struct item items[ITEMS_MAX];
    size_t count, cost;
    struct score_summary *summary;
    score_take *take;
    void *context;
    struct buf line;
};

static void put_ids(struct buf *out, const char *key, const int32_t *ids, size_t count) {
    buf_printf(out, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s%d", i ? ", " : "", ids[i]);
    buf_append_char(out, ']');
}

static void put_token_logps(struct buf *out, const char *key, const struct scorer *s, int32_t sequence, size_t prompt, size_t count) {
    float *values = mem_zero(count + 1, sizeof *values);
    scorer_token_logps(values, s, sequence, prompt, count);
    buf_printf(out, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s%.7g", i ? ", " : "", (double)values[i]);
    buf_append_char(out, ']');
    free(values);
}

static bool ours(struct json key, const struct score_options *o) {
    static const char *const always[] = {"logps_chosen", "logps_rejected", "tokens_chosen", "tokens_rejected"};
    static const char *const ids[] = {"prompt_ids", "chosen_ids", "rejected_ids"};
    static const char *const each[] = {"token_logps_chosen", "token_logps_rejected"};
    for (size_t i = 0; i < 4; i++)
        if (json_equals(key, always[i])) return true;
    for (size_t i = 0; i < 3 && o->tokens; i++)
        if (json_equals(key, ids[i])) return true;
    for (size_t i = 0; i < 2 && o->token_logps; i++)
        if (json_equals(key, each[i])) return true;
    return false;
}

static status write_item(struct job *j, const struct item *it, const double *sums, int32_t sequence) {
    struct buf *b = &j->line;
    struct json row = {buf_text(&it->text), it->text.size}, key, value;
    struct json_iter members = json_iter_begin(row);
    buf_clear(b);
    buf_append_char(b, '{');
    while (json_iter_next(&members, &key, &value)) {
        if (ours(key, j->o)) continue;
        buf_append(b, key.text, key.size);
        buf_append(b, ": ", 2);
        buf_append(b, value.text, value.size);
        buf_append(b, ", ", 2);
    }
    buf_append_text(b, "\"logps_chosen\": ");
    json_put_double(b, it->null ? (double)NAN : sums[0]);
    buf_append_text(b, ", \"logps_rejected\": ");
    json_put_double(b, it->null ? (double)NAN : sums[1]);
    buf_printf(b, ", \"tokens_chosen\": %zu, \"tokens_rejected\": %zu", it->used[0], it->used[1]);
    if (j->o->tokens) {
        put_ids(b, "prompt_ids", it->ids.prompt.data, it->ids.prompt.count);
        put_ids(b, "chosen_ids", it->ids.chosen.data, it->used[0]);
        put_ids(b, "rejected_ids", it->ids.rejected.data, it->used[1]);
    }
    if (j->o->token_logps && !it->null) {
        put_token_logps(b, "token_logps_chosen", &j->scorer, sequence, it->ids.prompt.count, it->used[0]);
        put_token_logps(b, "token_logps_rejected", &j->scorer, sequence + 1, it->ids.prompt.count, it->used[1]);
    }
    buf_append(b, "}\n", 2);
    return j->take(j->context, b->data, b->size, it->null);
}

static status flush(struct job *j) {
    const int32_t *ids[2 * ITEMS_MAX];
    int32_t sizes[2 * ITEMS_MAX], from[2 * ITEMS_MAX], at = 0;
    double sums[2 * ITEMS_MAX];
    for (size_t i = 0; i < j->count; i++)
        for (int k = 0; k < 2 && !j->items[i].null; k++) {
            ids[at] = j->items[i].sequence[k].data;
            sizes[at] = (int32_t)j->items[i].sequence[k].count;
            from[at++] = (int32_t)j->items[i].ids.prompt.count;
        }
    if (at) TRY(scorer_sums(sums, &j->scorer, ids, sizes, from, at));
    at = 0;
    for (size_t i = 0; i < j->count; i++) {
        TRY(write_item(j, &j->items[i], sums + at, at));
        if (!j->items[i].null) at += 2;
    }
    j->count = j->cost = 0;
    return ST_OK;
}

static void fill_item(struct item *it, const struct record *r, size_t max_length) {
    const size_t prompt = it->ids.prompt.count;
    size_t room = max_length ? max_length : SIZE_MAX;
    buf_clear(&it->text);
    buf_append(&it->text, r->row.text, r->row.size);
    it->null = prompt >= room;
    for (int k = 0; k < 2; k++) {
        const struct ids *response = k ? &it->ids.rejected : &it->ids.chosen;
        it->used[k] = it->null ? 0 : response->count < room - prompt ? response->count : room - prompt;
        it->sequence[k].count = 0;
        ids_append(&it->sequence[k], it->ids.prompt.data, prompt);
        ids_append(&it->sequence[k], response->data, it->used[k]);
    }
}

static status take(struct job *j, const struct record *r) {
    if (r->kind != RECORD_PAIR) return FAIL(ST_FORMAT, "expected a pair (prompt, chosen, rejected)");
    struct item *it = &j->items[j->count];
    TRY(encode_record(&it->ids, &j->encoder, r));
    if (!it->ids.prompt.count) return FAIL(ST_FORMAT, "field 'prompt': no tokens; a response needs at least one token before it");
    fill_item(it, r, j->o->max_length);
    size_t cost = it->null ? 0 : it->ids.prompt.count + it->used[0] + it->used[1];
    for (int k = 0; k < 2; k++) TRY(scorer_need_positions(&j->scorer, it->sequence[k].count));
    if (cost > j->o->budget)
        return FAIL(ST_UNSUPPORTED, "the row needs %zu positions; raise --micro-batch-tokens (%zu) or set --max-length", cost,
                    j->o->budget);
    if (j->cost + cost > j->o->budget) { /* the new row opens the next pack */
        struct item keep = *it;
        TRY(flush(j));
        struct item spare = j->items[0];
        j->items[0] = keep;
        *it = spare;
    }
    j->count++;
    j->cost += cost;
    j->summary->rows++;
    j->summary->nulls += j->items[j->count - 1].null;
    return j->count == ITEMS_MAX ? flush(j) : ST_OK;
}

static status read_all(struct job *j) {
    struct source source;
    struct record record = {0};
    struct progress bar;
    bool end = false;
    status s = source_open(&source, j->o->input, j->o->skip_bad ? SOURCE_SKIP : SOURCE_STOP, j->o->beside);
    TRY(s);
    source.map = j->o->map;
    progress_begin(&bar, j->o->what, "rows", rows_count(j->o->input));
    while (s == ST_OK) {
        s = source_next(&source, &record, &end);
        if (s != ST_OK || end) break;
        s = take(j, &record);
        if (s != ST_OK) s = source_reject(&source, &record, s);
        progress_update(&bar, source.rows.count - j->count, NULL); /* those held back are not computed yet */
    }
    if (s == ST_OK) s = flush(j);
    if (s == ST_OK) s = source_commit(&source);
    if (s == ST_OK) progress_end(&bar, source.rows.count, NULL);
    source_release(&source);
    record_release(&record);
    return s;
}

static void release(struct job *j) {
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        buf_release(&j->items[i].text);
        encoded_release(&j->items[i].ids);
        ids_release(&j->items[i].sequence[0]);
        ids_release(&j->items[i].sequence[1]);
    }
    buf_release(&j->line);
    encoder_release(&j->encoder);
    scorer_release(&j->scorer);
    free(j);
}

status score_pairs(struct score_summary *out, const struct score_options *o, score_take *take_line, void *context) {
    struct job *j = mem_zero(1, sizeof *j);
    *out = (struct score_summary){0};
    j->o = o, j->summary = out, j->take = take_line, j->context = context;
    status s = encoder_open(&j->encoder, o->model);
    if (s == ST_OK)
        s = encoder_set_kwargs(&j->encoder, o->kwargs,
                               &(struct kwargs_places){.adapter = o->kwargs_from ? o->kwargs_from : o->adapter, .model = o->model});
    if (s == ST_OK) {
        encoder_kwargs_hash(out->kwargs_hash, &j->encoder);
        memcpy(out->tokenizer_hash, tokenizer_hash(j->encoder.tokenizer), sizeof out->tokenizer_hash);
        s = scorer_open(&j->scorer, o->model, o->adapter, o->kind, o->budget, 16);
    }
    if (s == ST_OK) s = read_all(j);
    release(j);
    return s;
}

static status add_row(void *context, const char *line, size_t size, bool null) {
    struct logps_rows *rows = context;
    struct logps_row row;
    struct json object;
    if (null) return ST_OK;
    TRY(json_parse(&object, line, size));
    TRY(logps_row_read(&row, rows, object, rows->count));
    return logps_rows_add(rows, &row);
}

status score_pairs_rows(struct logps_rows *rows, uint64_t *nulls, const char *name, const struct score_options *o,
                        const struct logps_sweep *sweep) {
    struct score_summary summary;
    *rows = (struct logps_rows){.name = mem_text(name), .sweep = sweep};
    status s = score_pairs(&summary, o, add_row, rows);
    *nulls = summary.nulls;
    if (s == ST_OK) s = sweep ? logps_rows_finish_sweep(rows) : logps_rows_finish(rows);
    if (s != ST_OK) logps_rows_release(rows);
    return s;
}
