#include "eval/gsm8k.h"

#include <stdlib.h>
#include <string.h>

#include "format/rows.h"

const char *const gsm8k_filter_names[GSM8K_FILTERS] = {"strict-match", "flexible-extract"};
const char *const gsm8k_until[] = {"Question:", "</s>", "<|im_end|>", NULL};

/* ---- filters ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_strict(char c) { return is_digit(c) || c == '.' || c == ','; }
static bool is_flexible(char c) { return is_strict(c) || c == '$'; }

static size_t run_of(bool (*in)(char), const char *text, size_t at, size_t size) {
    size_t n = 0;
    while (at + n < size && in(text[at + n])) n++;
    return n;
}

static bool find_strict(size_t *from, size_t *count, const char *text, size_t size) {
    for (size_t at = 0; at + 5 < size; at++) {
        if (memcmp(text + at, "#### ", 5) != 0) continue;
        const size_t sign = text[at + 5] == '-', n = run_of(is_strict, text, at + 5 + sign, size);
        if (!n) continue;
        *from = at + 5;
        *count = sign + n;
        return true;
    }
    return false;
}

static bool find_flexible(size_t *from, size_t *count, const char *text, size_t size) {
    bool found = false;
    for (size_t at = 0; at < size;) {
        const size_t sign = text[at] == '-', n = run_of(is_flexible, text, at + sign, size);
        const size_t used = n >= 2 ? n : run_of(is_digit, text, at + sign, size);
        if (!used) {
            at++;
            continue;
        }
        found = true;
        *from = at;
        *count = sign + used;
        at += sign + used;
    }
    return found;
}

void gsm8k_extract(struct buf *out, enum gsm8k_filter filter, const char *text, size_t size) {
    size_t from = 0, count = 0;
    buf_clear(out);
    if ((filter == GSM8K_STRICT ? find_strict : find_flexible)(&from, &count, text, size))
        buf_append(out, text + from, count);
    else
        buf_append_text(out, "[invalid]");
}

/* ---- exact match ---- */

/* Without "," and "$", and what stands behind the last "#### ". */
static void reduce(struct buf *out, const char *text, size_t size) {
    size_t from = 0;
    struct buf kept = {0};
    for (size_t i = 0; i < size; i++)
        if (text[i] != ',' && text[i] != '$') buf_append_char(&kept, text[i]);
    for (size_t at = 0; at + 5 <= kept.size; at++)
        if (memcmp(kept.data + at, "#### ", 5) == 0) from = at + 5;
    buf_clear(out);
    buf_append(out, buf_text(&kept) + from, kept.size - from);
    buf_release(&kept);
    /* "\.$" matches at the end and before a line break at the end */
    const size_t n = out->size;
    if (n && out->data[n - 1] == '.') {
        out->data[--out->size] = '\0';
    } else if (n > 1 && out->data[n - 1] == '\n' && out->data[n - 2] == '.') {
        out->data[n - 2] = '\n';
        out->data[--out->size] = '\0';
    }
    for (size_t i = 0; i < out->size; i++)
        if (out->data[i] >= 'A' && out->data[i] <= 'Z') out->data[i] |= 32;
}

bool gsm8k_match(const struct buf *extracted, const char *answer) {
    struct buf a = {0}, b = {0};
    reduce(&a, buf_text(extracted), extracted->size);
    reduce(&b, answer, strlen(answer));
    const bool same = a.size == b.size && memcmp(buf_text(&a), buf_text(&b), a.size) == 0;
    buf_release(&a);
    buf_release(&b);
    return same;
}

size_t gsm8k_cut(bool *found, const char *text, size_t size) {
    *found = false;
    for (size_t i = 0; gsm8k_until[i]; i++) {
        const size_t n = strlen(gsm8k_until[i]);
        for (size_t at = 0; at + n <= size; at++) {
            if (memcmp(text + at, gsm8k_until[i], n) != 0) continue;
            size = at;
            *found = true;
            break;
        }
    }
    return size;
}

/* ---- documents ---- */

static void document_release(struct gsm8k_document *d) {
    free(d->text);
    free(d->answer);
    buf_release(&d->row);
    buf_release(&d->context);
    buf_release(&d->response);
    for (size_t i = 0; i < GSM8K_FILTERS; i++) buf_release(&d->extracted[i]);
}

void gsm8k_release(struct gsm8k_set *s) {
    for (size_t i = 0; i < s->count; i++) document_release(&s->items[i]);
    free(s->items);
    *s = (struct gsm8k_set){0};
}

static status field(char **out, struct json row, const char *name) {
    const struct json value = json_get(row, name);
    struct buf b = {0};
    if (!json_string(&b, value)) return FAIL(ST_FORMAT, "field %s: expected a string, found %s", name, json_kind_name(json_kind_of(value)));
    const bool zero = b.size && memchr(b.data, 0, b.size);
    *out = zero ? NULL : mem_text(buf_text(&b));
    buf_release(&b);
    return zero ? FAIL(ST_FORMAT, "field %s: a zero byte inside", name) : ST_OK;
}

struct loading {
    struct gsm8k_set *set;
    size_t limit; /* 0: none */
};

static status add_document(void *context, struct json row) {
    const struct loading *x = context;
    struct gsm8k_set *s = x->set;
    struct buf question = {0};
    char *asked;
    s->rows++;
    if (x->limit && s->count == x->limit) return ST_OK;
    if (json_kind_of(row) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "expected an object with question and answer, found %s", json_kind_name(json_kind_of(row)));
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 256;
        s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
    }
    struct gsm8k_document *d = &s->items[s->count++];
    *d = (struct gsm8k_document){0};
    buf_append(&d->row, row.text, row.size);
    TRY(field(&asked, row, "question"));
    buf_printf(&question, "Question: %s\nAnswer:", asked);
    free(asked);
    d->text = question.data;
    return field(&d->answer, row, "answer");
}

status gsm8k_load(struct gsm8k_set *s, const char *path, size_t limit) {
    *s = (struct gsm8k_set){0};
    status code = rows_each(path, add_document, &(struct loading){s, limit});
    if (code == ST_OK && !s->count) code = FAIL(ST_FORMAT, "%s: no rows", path);
    if (code != ST_OK) gsm8k_release(s);
    return code;
}

status gsm8k_shots(struct harness_shot **out, const char *path, size_t count) {
    struct gsm8k_set set;
    *out = NULL;
    TRY(gsm8k_load(&set, path, count));
    status code = set.count == count ? ST_OK : FAIL(ST_FORMAT, "%s: %zu rows, and %zu examples are asked for", path, set.count, count);
    if (code == ST_OK) *out = mem_zero(count, sizeof **out);
    for (size_t i = 0; code == ST_OK && i < count; i++)
        (*out)[i] = (struct harness_shot){mem_text(set.items[i].text), mem_text(set.items[i].answer)};
    gsm8k_release(&set);
    return code;
}

/* ---- figures and samples ---- */

void gsm8k_judge(struct harness_figure out[GSM8K_FILTERS], struct gsm8k_set *s) {
    double *values = mem_zero(s->count, sizeof *values);
    for (int f = 0; f < GSM8K_FILTERS; f++) {
        for (size_t i = 0; i < s->count; i++) {
            struct gsm8k_document *d = &s->items[i];
            gsm8k_extract(&d->extracted[f], (enum gsm8k_filter)f, buf_text(&d->response), d->response.size);
            d->matched[f] = gsm8k_match(&d->extracted[f], d->answer);
            values[i] = d->matched[f];
        }
        out[f] = (struct harness_figure){"exact_match", gsm8k_filter_names[f], harness_mean_of(values, s->count)};
    }
    free(values);
}

static void put_sample(struct buf *out, const struct gsm8k_document *d, size_t index, int f, size_t max_tokens) {
    buf_printf(out, "{\"doc_id\": %zu, \"doc\": ", index);
    buf_append(out, d->row.data, d->row.size);
    buf_append_text(out, ", \"target\": ");
    json_put_text(out, d->answer);
    buf_append_text(out, ", \"arguments\": {\"gen_args_0\": {\"arg_0\": ");
    json_put_string(out, buf_text(&d->context), d->context.size);
    buf_append_text(out, ", \"arg_1\": {\"until\": [");
    for (size_t i = 0; gsm8k_until[i]; i++) buf_printf(out, "%s\"%s\"", i ? ", " : "", gsm8k_until[i]);
    buf_printf(out, "], \"do_sample\": false, \"temperature\": 0.0, \"max_gen_toks\": %zu}}}, \"resps\": [[", max_tokens);
    json_put_string(out, buf_text(&d->response), d->response.size);
    buf_append_text(out, "]], \"filtered_resps\": [");
    json_put_string(out, buf_text(&d->extracted[f]), d->extracted[f].size);
    buf_printf(out, "], \"filter\": \"%s\", \"metrics\": [\"exact_match\"], \"exact_match\": %d, \"tokens\": %zu, \"finish\": \"%s\"}\n",
               gsm8k_filter_names[f], d->matched[f], d->tokens, d->ended ? "stop" : "length");
}

void gsm8k_put_samples(struct buf *out, const struct gsm8k_set *s, size_t max_tokens) {
    for (int f = 0; f < GSM8K_FILTERS; f++)
        for (size_t i = 0; i < s->count; i++) put_sample(out, &s->items[i], i, f, max_tokens);
}
