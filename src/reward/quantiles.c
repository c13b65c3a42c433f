#include "reward/quantiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/json.h"

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

status quantiles_make(struct quantiles *q, const double *values, size_t n, const char *setting, double low, double high) {
    double *sorted;
    size_t count = 0;
    *q = (struct quantiles){.low = low, .high = high};
    TRY(mem_try_alloc(&sorted, n + 1, sizeof *sorted, "quantile map"));
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) sorted[count++] = values[i];
    if (!count) {
        free(sorted);
        return FAIL(ST_FORMAT, "no response has a number to make a quantile map of");
    }
    qsort(sorted, count, sizeof *sorted, compare);
    q->made_of = count;
    q->count = count < QUANTILES_MAX ? count : QUANTILES_MAX;
    for (size_t i = 0; i < q->count; i++) {
        const double rank = q->count > 1 ? (double)i * (double)(count - 1) / (double)(q->count - 1) : 0;
        const size_t below = (size_t)rank;
        q->at[i] = below + 1 < count ? sorted[below] + (rank - (double)below) * (sorted[below + 1] - sorted[below]) : sorted[count - 1];
    }
    free(sorted);
    q->setting = mem_text(setting);
    return ST_OK;
}

double quantiles_map(const struct quantiles *q, double value) {
    const double same = 1e-5 * (q->at[q->count - 1] - q->at[0]); /* a response computed again, beside others, differs in the last digits */
    size_t below = 0, upto;                                      /* quantiles under the value; under or at it */
    double place;
    if (isnan(value)) return value;
    while (below < q->count && q->at[below] < value - same) below++;
    for (upto = below; upto < q->count && q->at[upto] <= value + same;) upto++;
    if (q->count == 1)
        place = upto > below ? 0.5 : below ? 1 : 0;
    else if (upto > below)
        place = (double)(below + upto - 1) / 2 / (double)(q->count - 1);
    else if (below == 0 || below == q->count)
        place = below ? 1 : 0;
    else
        place = ((double)below - 1 + (value - q->at[below - 1]) / (q->at[below] - q->at[below - 1])) / (double)(q->count - 1);
    return q->low + (q->high - q->low) * place;
}

status quantiles_save(const struct quantiles *q, const char *path) {
    struct buf b = {0};
    buf_append_text(&b, "{\"source\": ");
    json_put_text(&b, q->setting);
    buf_append_text(&b, ", \"low\": ");
    json_put_double(&b, q->low);
    buf_append_text(&b, ", \"high\": ");
    json_put_double(&b, q->high);
    buf_printf(&b, ", \"made_of\": %llu, \"quantiles\": [", (unsigned long long)q->made_of);
    for (size_t i = 0; i < q->count; i++) {
        if (i) buf_append_text(&b, ", ");
        json_put_double(&b, q->at[i]);
    }
    buf_append_text(&b, "]}\n");
    status s = file_write(path, b.data, b.size);
    buf_release(&b);
    return s;
}

static status read_map(struct quantiles *q, struct json root, const char *setting) {
    struct json key, item;
    int64_t made_of;
    struct json_iter it = json_iter_begin(json_get(root, "quantiles"));
    q->setting = json_text(json_get(root, "source"));
    if (!q->setting) return FAIL(ST_FORMAT, "field source: expected a string; expected a map that rapt score wrote");
    if (!json_double(&q->low, json_get(root, "low")) || !json_double(&q->high, json_get(root, "high")) || !(q->low < q->high))
        return FAIL(ST_FORMAT, "fields low, high: expected two numbers, the lower first");
    if (!json_int(&made_of, json_get(root, "made_of")) || made_of < 1) return FAIL(ST_FORMAT, "field made_of: expected a count");
    q->made_of = (uint64_t)made_of;
    while (json_iter_next(&it, &key, &item)) {
        if (q->count == QUANTILES_MAX) return FAIL(ST_FORMAT, "field quantiles: more than %d", QUANTILES_MAX);
        if (!json_double(&q->at[q->count], item) || (q->count && q->at[q->count] < q->at[q->count - 1]))
            return FAIL(ST_FORMAT, "field quantiles[%zu]: expected a number not below the one before it", q->count);
        q->count++;
    }
    if (!q->count) return FAIL(ST_FORMAT, "field quantiles: expected a list of numbers");
    if (strcmp(q->setting, setting) != 0) return FAIL(ST_MISMATCH, "the map is for '%s', and the numbers are '%s'", q->setting, setting);
    return ST_OK;
}

status quantiles_load(struct quantiles *q, const char *path, const char *setting) {
    struct buf text = {0};
    struct json root;
    *q = (struct quantiles){0};
    status s = file_read(&text, path);
    if (s == ST_OK) {
        s = json_parse(&root, buf_text(&text), text.size);
        if (s == ST_OK) s = read_map(q, root, setting);
        if (s != ST_OK) s = status_note(s, "%s: ", path);
    }
    buf_release(&text);
    if (s != ST_OK) quantiles_release(q);
    return s;
}

void quantiles_release(struct quantiles *q) {
    free(q->setting);
    q->setting = NULL;
}
