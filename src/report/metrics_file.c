/* metrics_file: the curves of one metrics.jsonl, in bounded memory whatever its length. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/parts.h"

#define POINTS_MAX 1500 /* more than a chart has pixels */

static const char *const field_names[] = {
    "loss",           "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies",  "logps/chosen",
    "logps/rejected", "learning_rate",  "grad_norm",        "entropy",         "mean_token_accuracy",
};
#define FIELDS (sizeof field_names / sizeof field_names[0])

/* Sums over up to `stride` lines; a field that a line lacks, or that is null there (not finite), does not count. */
struct point {
    int64_t step; /* of the last line */
    double sum[FIELDS];
    uint32_t count[FIELDS];
};
struct curve {
    struct point *points;
    size_t count;
    uint64_t stride, lines_in_last;
};
struct summary {
    uint64_t lines;
    int64_t step;
    double num_tokens, tokens_per_second, peak_rss_bytes, epoch; /* the last ones; NaN unknown */
};

static void point_merge(struct point *into, const struct point *from) {
    into->step = from->step;
    for (size_t f = 0; f < FIELDS; f++) {
        into->sum[f] += from->sum[f];
        into->count[f] += from->count[f];
    }
}

static void curve_add(struct curve *c, const struct point *p) {
    if (!c->points) {
        c->points = mem_zero(POINTS_MAX, sizeof *c->points);
        c->stride = 1;
    }
    if (c->count && c->lines_in_last < c->stride) {
        point_merge(&c->points[c->count - 1], p);
        c->lines_in_last++;
        return;
    }
    if (c->count == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++) {
            struct point merged = c->points[2 * i];
            point_merge(&merged, &c->points[2 * i + 1]);
            c->points[i] = merged;
        }
        c->count = POINTS_MAX / 2;
        c->stride *= 2;
    }
    c->points[c->count++] = *p;
    c->lines_in_last = 1;
}

static void put_short(struct buf *out, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", value);
    buf_append_text(out, text);
}

static void curve_put(struct buf *out, const struct curve *c) {
    if (!c->count) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_text(out, "{\"step\": [");
    for (size_t i = 0; i < c->count; i++) buf_printf(out, "%s%lld", i ? "," : "", (long long)c->points[i].step);
    buf_append_char(out, ']');
    for (size_t f = 0; f < FIELDS; f++) {
        bool any = false;
        for (size_t i = 0; i < c->count; i++) any = any || c->points[i].count[f];
        if (!any) continue;
        buf_printf(out, ", \"%s\": [", field_names[f]);
        for (size_t i = 0; i < c->count; i++) {
            const struct point *p = &c->points[i];
            double mean = p->count[f] ? p->sum[f] / p->count[f] : (double)NAN;
            if (i) buf_append_char(out, ',');
            if (isfinite(mean))
                put_short(out, mean);
            else
                buf_append_text(out, "null");
        }
        buf_append_char(out, ']');
    }
    buf_append_char(out, '}');
}

/* NaN for a field that is absent or null. */
static status read_number(double *out, struct json row, const char *name, const char *place) {
    struct json v = json_get(row, name);
    enum json_kind kind = json_kind_of(v);
    *out = (double)NAN;
    if (kind == JSON_NONE || kind == JSON_NULL) return ST_OK;
    if (!json_double(out, v)) return field_fail(place, name, "a finite number", v);
    return ST_OK;
}

static status read_point(struct point *p, struct json row, const char *prefix, const char *place) {
    char name[64];
    for (size_t f = 0; f < FIELDS; f++) {
        double value;
        snprintf(name, sizeof name, "%s%s", prefix, field_names[f]);
        TRY(read_number(&value, row, name, place));
        if (isnan(value)) continue;
        p->sum[f] = value;
        p->count[f] = 1;
    }
    return ST_OK;
}

static status read_summary(struct summary *s, struct json row, const char *place) {
    const struct {
        const char *name;
        double *value;
    } all[] = {{"num_tokens", &s->num_tokens},
               {"tokens_per_second", &s->tokens_per_second},
               {"peak_rss_bytes", &s->peak_rss_bytes},
               {"epoch", &s->epoch}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        double value;
        TRY(read_number(&value, row, all[i].name, place));
        if (!isnan(value)) *all[i].value = value;
    }
    return ST_OK;
}

static status read_line(struct curve curves[2], struct summary *s, const char *text, size_t size, const char *place) {
    struct json row;
    struct point p = {0};
    if (json_parse(&row, text, size) != ST_OK) return status_note(ST_FORMAT, "%s: ", place);
    if (json_kind_of(row) != JSON_OBJECT)
        return FAIL(ST_FORMAT, "%s: expected an object, found %s", place, json_kind_name(json_kind_of(row)));
    bool eval = json_kind_of(json_get(row, "eval_loss")) != JSON_NONE;
    if (!eval && json_kind_of(json_get(row, "loss")) == JSON_NONE) return ST_OK; /* the summary that TRL writes last, and the like */
    struct json step = json_get(row, "step");
    if (!json_int(&p.step, step) || p.step < 0) return field_fail(place, "step", "a whole number from 0", step);
    TRY(read_point(&p, row, eval ? "eval_" : "", place));
    TRY(read_summary(s, row, place));
    s->lines++;
    if (p.step > s->step) s->step = p.step;
    curve_add(&curves[eval], &p);
    return ST_OK;
}

static void summary_put(struct buf *out, const struct summary *s) {
    buf_printf(out, "{\"step\": %lld, \"num_tokens\": ", (long long)s->step);
    json_put_double(out, s->num_tokens);
    buf_append_text(out, ", \"tokens_per_second\": ");
    json_put_double(out, s->tokens_per_second);
    buf_append_text(out, ", \"peak_rss_bytes\": ");
    json_put_double(out, s->peak_rss_bytes);
    buf_append_text(out, ", \"epoch\": ");
    json_put_double(out, s->epoch);
    buf_append_char(out, '}');
}

static status read_lines(struct curve curves[2], struct summary *s, struct file_lines *l) {
    struct buf place = {0};
    status code = ST_OK;
    while (code == ST_OK) {
        const char *text;
        size_t size;
        code = file_lines_next(l, &text, &size);
        if (code != ST_OK || !text) break;
        size_t blank = 0;
        while (blank < size && (text[blank] == ' ' || text[blank] == '\t' || text[blank] == '\r')) blank++;
        if (blank == size) continue;
        buf_clear(&place);
        buf_printf(&place, "%s:%llu", l->in.path, (unsigned long long)l->number);
        code = read_line(curves, s, text, size, buf_text(&place));
    }
    buf_release(&place);
    return code;
}

status metrics_file_put(struct buf *out, const char *path) {
    struct curve curves[2] = {{0}};
    struct summary s = {0, 0, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    struct file_lines l;
    TRY(file_lines_open(&l, path));
    status code = read_lines(curves, &s, &l);
    file_lines_release(&l);
    if (code == ST_OK && !s.lines)
        buf_append_text(out, "null");
    else if (code == ST_OK) {
        buf_printf(out, "{\"lines\": %llu, \"stride\": %llu, \"summary\": ", (unsigned long long)s.lines,
                   (unsigned long long)(curves[0].count ? curves[0].stride : 1));
        summary_put(out, &s);
        buf_append_text(out, ", \"train\": ");
        curve_put(out, &curves[0]);
        buf_append_text(out, ", \"eval\": ");
        curve_put(out, &curves[1]);
        buf_append_char(out, '}');
    }
    free(curves[0].points);
    free(curves[1].points);
    return code;
}
