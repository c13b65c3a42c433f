/* reference: log-probs under the reference model: the same weights with the adapter off (TRL), the initial adapter when training went on
 * from one (TRL's `ref` adapter), or numbers computed before: under --full because the weights move, under --ref-logps by choice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "format/json.h"
#include "train/trainer_state.h"

status reference_fill(struct trainer *t, double *out, float *cache, const uint32_t *rows, size_t count) {
    bool known = true;
    for (size_t i = 0; i < count * t->k; i++) {
        out[i] = (double)cache[(size_t)rows[i / t->k] * t->k + i % t->k];
        known = known && !isnan(out[i]);
    }
    if (known) return ST_OK;
    struct dropout off = {0}, on = t->run.scratch.dropout;
    t->run.scratch.dropout = off;
    status s = run_forward(&t->run, &t->tree, t->initial, false);
    t->run.scratch.dropout = on;
    TRY(s);
    run_sums(out, &t->run, &t->tree);
    for (size_t i = 0; i < count * t->k; i++) {
        float rounded = (float)out[i];
        cache[(size_t)rows[i / t->k] * t->k + i % t->k] = rounded;
        out[i] = (double)rounded;
    }
    return ST_OK;
}

status reference_precompute(struct trainer *t, float *cache, const struct loaded *data, const char *what) {
    uint32_t rows[BATCH_ROWS_MAX];
    struct progress bar;
    progress_begin(&bar, what, "rows", data->count);
    for (size_t from = 0, taken = 0; from < data->count; from += taken) {
        size_t count = data->count - from < t->o->batch ? data->count - from : t->o->batch;
        for (size_t i = 0; i < count; i++) rows[i] = (uint32_t)(from + i);
        TRY(batch_pack(&t->tree, &taken, data, rows, count, t->k, t->run.plan.tokens, t->share));
        TRY(reference_fill(t, t->reference, cache, rows, taken));
        progress_update(&bar, from + taken, NULL);
    }
    progress_end(&bar, data->count, NULL);
    return ST_OK;
}

static status read_number(double *out, struct json row, const char *key) {
    struct json v = json_get(row, key);
    if (!json_double(out, v)) return FAIL(ST_FORMAT, "field '%s': expected a number, found %s", key, json_kind_name(json_kind_of(v)));
    return ST_OK;
}

static status take_line(struct trainer *t, float *cache, const struct loaded *data, size_t row, const char *text, size_t size) {
    struct json v;
    double chosen, rejected, n;
    TRY(json_parse(&v, text, size));
    TRY(read_number(&chosen, v, "logps_chosen"));
    TRY(read_number(&rejected, v, "logps_rejected"));
    if (json_double(&n, json_get(v, "tokens_chosen")) && (int32_t)n != data->rows[row].chosen)
        return FAIL(ST_MISMATCH, "scored %d tokens of chosen, training scores %d: made with another tokenizer, template, --max-length or data", (int)n, data->rows[row].chosen);
    if (json_double(&n, json_get(v, "tokens_rejected")) && (int32_t)n != data->rows[row].rejected)
        return FAIL(ST_MISMATCH, "scored %d tokens of rejected, training scores %d: made with another tokenizer, template, --max-length or data", (int)n, data->rows[row].rejected);
    cache[row * t->k] = (float)chosen;
    cache[row * t->k + 1] = (float)rejected;
    return ST_OK;
}

status reference_from_file(struct trainer *t, float *cache, const struct loaded *data, const char *path) {
    struct file_lines lines;
    const char *text;
    size_t size, row = 0;
    TRY(file_lines_open(&lines, path));
    status s = ST_OK;
    while (s == ST_OK) { /* line n of the file belongs to line n of the training data; dropped rows are passed over */
        s = file_lines_next(&lines, &text, &size);
        if (s != ST_OK || !text) break;
        if (row == data->count || lines.number < data->rows[row].line) continue;
        s = take_line(t, cache, data, row, text, size);
        if (s != ST_OK) status_note(s, "%s:%llu: ", path, (unsigned long long)lines.number);
        row++;
    }
    file_lines_release(&lines);
    TRY(s);
    if (row != data->count) return FAIL(ST_MISMATCH, "%s: has fewer rows than the training data", path);
    return ST_OK;
}
