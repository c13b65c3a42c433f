/* reference: log-probs under the reference model: the same weights with the adapter off (TRL), the initial adapter when training went on
 * from one (TRL's `ref` adapter), or numbers computed before: under --full because the weights move, under --ref-logps by choice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "format/json.h"
#include "format/rows.h"
#include "num/cpu.h"
#include "train/trainer_state.h"

status reference_fill(struct trainer *t, double *out, float *cache, const struct loaded *data, const uint32_t *rows, size_t count) {
    bool known = true;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        for (size_t j = 0; j < (size_t)r->responses; j++, at++) {
            out[at] = (double)cache[r->first + j];
            known = known && !isnan(out[at]);
        }
    }
    if (known) return ST_OK;
    struct dropout off = {0}, on = t->run.scratch.dropout;
    t->run.scratch.dropout = off;
    status s = run_forward(&t->run, &t->tree, reference_theta(t), false);
    t->run.scratch.dropout = on;
    TRY(s);
    run_sums(out, &t->run, &t->tree);
    at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct loaded_row *r = &data->rows[rows[i]];
        for (size_t j = 0; j < (size_t)r->responses; j++, at++) {
            cache[r->first + j] = (float)out[at];
            out[at] = (double)cache[r->first + j];
        }
    }
    return ST_OK;
}

status reference_fill_batch(struct trainer *t, float *cache, const struct loaded *data, const uint32_t *rows, size_t count) {
    for (size_t from = 0, taken = 0; from < count; from += taken) {
        TRY(pack_rows(t, &taken, data, rows + from, count - from));
        TRY(reference_fill(t, t->reference, cache, data, rows + from, taken));
    }
    return ST_OK;
}

/* The sums of `count` rows, all of them where rows is NULL; packed as batches of training are, so that a policy equal to its reference has
 * the same sums to the last bit: what rows share decides in which order their sums round. */
static status precompute(struct trainer *t, float *cache, const struct loaded *data, const uint32_t *rows, size_t count, const char *what) {
    uint32_t some[BATCH_ROWS_MAX];
    struct progress bar;
    const struct span mine = ranks_share(&t->comm, count, t->o->batch);
    progress_begin(&bar, what, "rows", mine.end - mine.first);
    for (size_t from = mine.first, n; from < mine.end; from += n) {
        n = mine.end - from < t->o->batch ? mine.end - from : t->o->batch;
        for (size_t i = 0; i < n; i++) some[i] = rows ? rows[from + i] : (uint32_t)(from + i);
        TRY(reference_fill_batch(t, cache, data, some, n));
        progress_update(&bar, from + n - mine.first, NULL);
    }
    progress_end(&bar, mine.end - mine.first, NULL);
    return ranks_merge(&t->comm, cache, data->response_count);
}

status reference_precompute(struct trainer *t) {
    const uint32_t *rows = NULL;
    size_t count = t->train.count, n;
    TRY(step_rows(t, &rows, &n, 0)); /* the first epoch's, in its order */
    if (t->total_steps < t->steps_per_epoch)
        count = (size_t)t->total_steps * t->rows_per_step; /* --max-steps: the rows behind those are never seen */
    return precompute(t, t->train_ref, &t->train, rows, count, "reference");
}

status reference_precompute_evaluation(struct trainer *t) {
    return t->eval.count ? precompute(t, t->eval_ref, &t->eval, NULL, t->eval.count, "reference of the evaluation data") : ST_OK;
}

static status read_number(double *out, struct json row, const char *key) {
    struct json v = json_get(row, key);
    if (!json_double(out, v)) return FAIL(ST_FORMAT, "field '%s': expected a number, found %s", key, json_kind_name(json_kind_of(v)));
    return ST_OK;
}

static status take_line(float *cache, const struct loaded *data, size_t row, const char *text, size_t size) {
    struct json v;
    double chosen, rejected, n;
    TRY(json_parse(&v, text, size));
    TRY(read_number(&chosen, v, "logps_chosen"));
    TRY(read_number(&rejected, v, "logps_rejected"));
    for (size_t j = 0; j < 2; j++) {
        const int32_t scored = loaded_response(data, row, j)->count;
        if (json_double(&n, json_get(v, j ? "tokens_rejected" : "tokens_chosen")) && (int32_t)n != scored)
            return FAIL(ST_MISMATCH,
                        "scored %d tokens of %s, training scores %d: made with another tokenizer, template, --max-length or data", (int)n,
                        j ? "rejected" : "chosen", scored);
        cache[data->rows[row].first + j] = (float)(j ? rejected : chosen);
    }
    return ST_OK;
}

static status same_text(struct json meta, const char *key, const char *want, const char *what) {
    struct json v = json_get(meta, key);
    if (json_equals(v, want)) return ST_OK;
    return FAIL(ST_MISMATCH, "%s: made with %.*s, this run has \"%s\"%s", key, (int)v.size, v.size ? v.text : "", want, what);
}

static status check_meta(const struct trainer *t, struct json meta) {
    const struct train_options *o = t->o;
    char model[HASH_HEX_SIZE], kwargs[HASH_HEX_SIZE];
    struct buf cpu = {0};
    int64_t length = -1;
    bool adapter = false;
    const char *drift = "; --allow-drift takes it all the same";
    TRY(hash_path(model, o->model));
    TRY(same_text(meta, "model_hash", model, ""));
    TRY(same_text(meta, "tokenizer_hash", tokenizer_hash(t->encoder.tokenizer), ""));
    encoder_kwargs_hash(kwargs, &t->encoder);
    if (kwargs[0] || json_get(meta, "chat_template_kwargs_hash").size) TRY(same_text(meta, "chat_template_kwargs_hash", kwargs, ""));
    if (!json_int(&length, json_get(meta, "max_length")) || length != (int64_t)o->max_length)
        return FAIL(ST_MISMATCH, "max_length: made with %lld, this run has %zu", (long long)length, o->max_length);
    if (!json_bool(&adapter, json_get(meta, "adapter")) || adapter != (o->adapter != NULL))
        return FAIL(ST_MISMATCH, "adapter: made %s an adapter, and the reference of this run is %s", adapter ? "with" : "without",
                    o->adapter ? "--adapter" : "the base model");
    if (o->allow_drift) return ST_OK;
    TRY(same_text(meta, "dtype", matmul_kind_name(o->kind), drift));
    cpu_describe(&cpu);
    status s = same_text(meta, "instruction_set", buf_text(&cpu), drift);
    buf_release(&cpu);
    return s;
}

/* FILE.meta.json, which rapt logps writes; files made elsewhere have none and are held against token counts alone. */
static status read_meta(const struct trainer *t, const char *path) {
    struct buf name = {0}, text = {0};
    struct json meta;
    status s = ST_OK;
    buf_printf(&name, "%s.meta.json", path);
    if (file_exists(buf_text(&name))) {
        s = file_read(&text, buf_text(&name));
        if (s == ST_OK) s = json_parse(&meta, buf_text(&text), text.size);
        if (s == ST_OK) s = check_meta(t, meta);
        if (s != ST_OK) status_note(s, "%s: ", buf_text(&name));
    }
    buf_release(&name);
    buf_release(&text);
    return s;
}

status reference_from_file(struct trainer *t, float *cache, const struct loaded *data, const char *path) {
    struct rows_in rows;
    const char *text;
    size_t size, row = 0;
    if (data->k != 2) return FAIL(ST_MISMATCH, "%s: holds log-probs of pairs, and not all rows of the training data are pairs", path);
    TRY(read_meta(t, path));
    TRY(rows_open(&rows, path));
    status s = ST_OK;
    while (s == ST_OK) { /* row n of the file belongs to row n of the training data; dropped rows are passed over */
        s = rows_next(&rows, &text, &size);
        if (s != ST_OK || !text) break;
        if (row == data->count || rows.count - 1 < data->rows[row].index) continue;
        s = take_line(cache, data, row, text, size);
        if (s != ST_OK) status_note(s, "%s:%llu: ", path, (unsigned long long)rows.number);
        row++;
    }
    rows_release(&rows);
    TRY(s);
    if (row != data->count) return FAIL(ST_MISMATCH, "%s: has fewer rows than the training data", path);
    return ST_OK;
}
