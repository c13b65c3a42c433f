/* markdown: the report's JSON (report/report.h) as Markdown, for an issue, a model card, a terminal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/parts.h"

#define SAMPLES_MAX 60 /* texts; the page has the others */

/* ---- text ---- */

/* In a cell: what Markdown reads as marks stands as itself, lines become one. */
static void put_cell(struct buf *out, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (strchr("\\|*_<>[]`", text[i]) && text[i]) buf_append_char(out, '\\');
        buf_append_char(out, text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
    }
}

static void put_string(struct buf *out, struct json value) {
    struct buf text = {0};
    if (json_string(&text, value))
        put_cell(out, buf_text(&text), text.size);
    else if (value.size && json_kind_of(value) != JSON_NULL)
        put_cell(out, value.text, value.size);
    else
        buf_append_text(out, "–");
    buf_release(&text);
}

/* As a quotation: `text` line by line. */
static void put_quoted(struct buf *out, struct json value) {
    struct buf text = {0};
    if (!json_string(&text, value)) buf_append(&text, value.text, value.size);
    for (const char *p = buf_text(&text), *end = p + text.size; p <= end;) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        if (!line) line = end;
        buf_append_text(out, "> ");
        put_cell(out, p, (size_t)(line - p));
        buf_append_text(out, line == end ? "\n\n" : "\\\n");
        p = line + 1;
    }
    buf_release(&text);
}

/* ---- estimates, wherever they stand in an evaluation ---- */

static bool is_estimate(struct json v) {
    double number;
    return json_double(&number, json_get(v, "value")) && json_double(&number, json_get(v, "low")) &&
           json_double(&number, json_get(v, "high"));
}

static void put_estimate(struct buf *out, struct json v) {
    double value = 0, low = 0, high = 0;
    json_double(&value, json_get(v, "value"));
    json_double(&low, json_get(v, "low"));
    json_double(&high, json_get(v, "high"));
    buf_printf(out, "%.3f [%.3f, %.3f]", value, low, high);
}

/* One row for each object that holds estimates: the run, where it stands, and its figures by name. */
static void put_figures(struct buf *out, struct json run, struct json object, const struct buf *path, int depth) {
    struct json key, value;
    struct json_iter it = json_iter_begin(object);
    bool any = false;
    if (json_kind_of(object) != JSON_OBJECT || depth > 6) return;
    while (json_iter_next(&it, &key, &value)) {
        if (!is_estimate(value)) continue;
        if (!any) {
            buf_append_text(out, "| ");
            put_string(out, json_get(run, "name"));
            buf_printf(out, " | %s | ", buf_text(path));
        }
        buf_append_text(out, any ? ", " : "");
        put_string(out, key);
        buf_append_char(out, ' ');
        put_estimate(out, value);
        any = true;
    }
    if (any) buf_append_text(out, " |\n");
    it = json_iter_begin(object);
    while (json_iter_next(&it, &key, &value)) {
        if (is_estimate(value) || json_kind_of(value) != JSON_OBJECT) continue;
        struct buf below = {0};
        buf_printf(&below, "%s%s", buf_text(path), path->size ? ", " : "");
        put_string(&below, key);
        put_figures(out, run, value, &below, depth + 1);
        buf_release(&below);
    }
}

static void put_runs(struct buf *out, struct json list) {
    struct json key, run;
    const struct buf top = {0};
    struct json_iter it = json_iter_begin(list);
    while (json_iter_next(&it, &key, &run)) put_figures(out, run, run, &top, 0);
}

/* Of benchmarks with a judge: which version and category, against whom. */
static void put_benchmark(struct buf *out, struct json data) {
    static const struct {
        const char *member, *before;
    } parts[] = {{"bench", ", "}, {"category", ", category "}, {"baseline", ", against "}};
    bool style = false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (json_kind_of(json_get(data, parts[i].member)) != JSON_STRING) continue;
        buf_append_text(out, parts[i].before);
        put_string(out, json_get(data, parts[i].member));
    }
    if (json_bool(&style, json_get(data, "style_control")) && style) buf_append_text(out, ", style control");
}

static void put_eval(struct buf *out, struct json eval) {
    const struct json data = json_get(eval, "data"), base = json_get(data, "base");
    const struct buf top = {0};
    double level = 0.95;
    if (!json_double(&level, json_get(data, "level"))) level = 0.95;
    buf_append_text(out, "## ");
    put_string(out, json_get(data, "task"));
    buf_append_text(out, "\n\nFrom ");
    put_string(out, json_get(eval, "file"));
    put_benchmark(out, data);
    buf_printf(out, "; %g%% intervals in brackets.\n\n| model | of | figures |\n|---|---|---|\n", 100 * level);
    put_runs(out, json_get(data, "runs"));
    put_figures(out, base, base, &top, 0);
    put_runs(out, json_get(data, "differences"));
    buf_append_char(out, '\n');
}

/* ---- training ---- */

static void put_number(struct buf *out, double value) {
    if (isfinite(value))
        buf_printf(out, "%.5g", value);
    else
        buf_append_text(out, "–");
}

static void put_curve(struct buf *out, struct json label, const char *data, struct json curve) {
    struct json name, values, key, v;
    struct json_iter it = json_iter_begin(curve);
    while (json_iter_next(&it, &name, &values)) {
        double number, first = (double)NAN, last = (double)NAN, low = (double)INFINITY, high = -(double)INFINITY;
        if (json_equals(name, "step")) continue;
        struct json_iter points = json_iter_begin(values);
        while (json_iter_next(&points, &key, &v)) {
            if (!json_double(&number, v)) continue;
            if (isnan(first)) first = number;
            last = number;
            low = number < low ? number : low;
            high = number > high ? number : high;
        }
        if (isnan(first)) continue;
        buf_append_text(out, "| ");
        put_string(out, name);
        buf_append_text(out, " | ");
        put_string(out, label);
        buf_printf(out, " | %s | ", data);
        put_number(out, first);
        buf_append_text(out, " | ");
        put_number(out, last);
        buf_append_text(out, " | ");
        put_number(out, low);
        buf_append_text(out, " | ");
        put_number(out, high);
        buf_append_text(out, " |\n");
    }
}

static void put_training(struct buf *out, struct json runs) {
    struct json key, run;
    struct json_iter it = json_iter_begin(runs);
    struct buf rows = {0};
    while (json_iter_next(&it, &key, &run)) {
        const struct json metrics = json_get(run, "metrics");
        put_curve(&rows, json_get(run, "label"), "training", json_get(metrics, "train"));
        put_curve(&rows, json_get(run, "label"), "held out", json_get(metrics, "eval"));
    }
    if (rows.size) {
        buf_append_text(out, "## Training\n\n| metric | run | data | first | last | lowest | highest |\n|---|---|---|---|---|---|---|\n");
        buf_append(out, rows.data, rows.size);
        buf_append_char(out, '\n');
    }
    buf_release(&rows);
}

/* ---- samples ---- */

static void put_prompt(struct buf *out, struct json prompt) {
    struct json key, turn, last = prompt;
    struct json_iter it = json_iter_begin(prompt);
    while (json_kind_of(prompt) == JSON_ARRAY && json_iter_next(&it, &key, &turn))
        if (json_kind_of(json_get(turn, "content")) == JSON_STRING) last = json_get(turn, "content");
    buf_append_text(out, "### ");
    put_string(out, last);
    buf_append_text(out, "\n\n");
}

static void put_goal(struct buf *out, struct json goal) {
    struct json key, value;
    struct json_iter it = json_iter_begin(goal);
    buf_append_text(out, json_kind_of(goal) == JSON_NULL ? ", no goal" : ", goal ");
    if (json_kind_of(goal) == JSON_NUMBER) put_string(out, goal);
    for (size_t i = 0; json_kind_of(goal) == JSON_OBJECT && json_iter_next(&it, &key, &value); i++) {
        buf_append_text(out, i ? ", " : "");
        put_string(out, key);
        buf_append_char(out, ' ');
        put_string(out, value);
    }
}

/* Rows of one prompt follow each other in no order: each prompt is gone through once, at its first row. */
static void put_samples(struct buf *out, struct json samples) {
    struct json key, row, other;
    size_t shown = 0, at = 0;
    struct json_iter it = json_iter_begin(samples);
    if (json_count(samples)) buf_append_text(out, "## Samples\n\n");
    for (; shown < SAMPLES_MAX && json_iter_next(&it, &key, &row); at++) {
        const struct json prompt = json_get(row, "prompt");
        struct json_iter again = json_iter_begin(samples);
        bool first = true, seen = false;
        for (size_t i = 0; json_iter_next(&again, &key, &other); i++) {
            const struct json theirs = json_get(other, "prompt");
            if (theirs.size != prompt.size || memcmp(theirs.text, prompt.text, prompt.size) != 0) continue;
            seen = seen || i < at;
            if (seen) break;
            if (first) put_prompt(out, prompt);
            first = false;
            const struct json model = json_get(other, "model"), goal = json_get(other, "goal");
            buf_append_text(out, "**");
            put_string(out, json_kind_of(model) == JSON_STRING ? model : json_get(other, "run"));
            put_goal(out, goal);
            buf_append_text(out, ":**\n\n");
            put_quoted(out, json_get(other, "text"));
            shown++;
        }
    }
}

/* ---- where it comes from ---- */

static void put_members(struct buf *out, struct json object, struct json label) {
    struct json key, value;
    struct json_iter it = json_iter_begin(object);
    while (json_iter_next(&it, &key, &value)) {
        buf_append_text(out, "| ");
        put_string(out, label);
        buf_append_text(out, " | ");
        put_string(out, key);
        buf_append_text(out, " | ");
        put_string(out, value);
        buf_append_text(out, " |\n");
    }
}

/* What the relabelling did not use; zeros say nothing. */
static void put_counts(struct buf *out, struct json counts) {
    struct json key, file, name, value;
    struct json_iter it = json_iter_begin(counts);
    int64_t number;
    while (json_iter_next(&it, &key, &file)) {
        buf_append_text(out, "## Counts of ");
        put_string(out, json_get(file, "file"));
        buf_append_text(out, "\n\n| | |\n|---|---|\n");
        for (struct json_iter each = json_iter_begin(json_get(file, "counts")); json_iter_next(&each, &name, &value);) {
            if (!json_int(&number, value) || !number) continue;
            buf_append_text(out, "| ");
            put_string(out, name);
            buf_printf(out, " | %lld |\n", (long long)number);
        }
        buf_append_char(out, '\n');
    }
}

/* Of runs whose goals have several attributes: each with its scale, and what is best. */
static void put_attributes(struct buf *out, struct json runs) {
    struct json key, run, attribute;
    struct buf rows = {0};
    for (struct json_iter it = json_iter_begin(runs); json_iter_next(&it, &key, &run);)
        for (struct json_iter each = json_iter_begin(json_get(json_get(run, "goal"), "attributes"));
             json_iter_next(&each, &key, &attribute);) {
            static const char *const members[] = {"name", "low", "high", "best"};
            buf_append_text(&rows, "| ");
            put_string(&rows, json_get(run, "label"));
            for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
                buf_append_text(&rows, " | ");
                if (json_get(attribute, members[i]).size) put_string(&rows, json_get(attribute, members[i]));
            }
            buf_append_text(&rows, " |\n");
        }
    if (rows.size) {
        buf_append_text(out, "## Attributes of goals\n\n| run | attribute | lowest | highest | best |\n|---|---|---|---|---|\n");
        buf_append(out, rows.data, rows.size);
        buf_append_char(out, '\n');
    }
    buf_release(&rows);
}

static void put_provenance(struct buf *out, struct json runs) {
    static const struct {
        const char *title, *member;
    } parts[] = {{"Rows used and dropped", "rows"}, {"Options", "options"}, {"Machine", "machine"}};
    struct json key, run;
    struct json_iter it;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct buf rows = {0};
        for (it = json_iter_begin(runs); json_iter_next(&it, &key, &run);)
            put_members(&rows, json_get(json_get(run, "manifest"), parts[i].member), json_get(run, "label"));
        if (rows.size) {
            buf_printf(out, "## %s\n\n| run | | |\n|---|---|---|\n", parts[i].title);
            buf_append(out, rows.data, rows.size);
            buf_append_char(out, '\n');
        }
        buf_release(&rows);
    }
    for (it = json_iter_begin(runs); json_iter_next(&it, &key, &run);) {
        struct buf command = {0};
        if (json_string(&command, json_get(json_get(run, "manifest"), "command"))) {
            buf_append_text(out, "## To run ");
            put_string(out, json_get(run, "label"));
            buf_append_text(out, " again\n\n");
            for (const char *p = buf_text(&command); *p;) { /* indented: no text in it can end the block */
                const size_t n = strcspn(p, "\n");
                buf_printf(out, "    %.*s\n", (int)n, p);
                p += n + (p[n] == '\n');
            }
            buf_append_char(out, '\n');
        }
        buf_release(&command);
    }
}

status markdown_put(struct buf *out, const struct buf *text) {
    struct json root, key, eval;
    TRY(json_parse(&root, buf_text(text), text->size));
    const struct json runs = json_get(root, "runs");
    buf_append_text(out, "# ");
    put_string(out, json_get(root, "title"));
    buf_append_text(out, "\n\nMade with rapt ");
    put_string(out, json_get(root, "rapt_version"));
    buf_append_text(out, " on ");
    put_string(out, json_get(root, "generated"));
    buf_append_text(out, ".\n\n");
    struct json_iter it = json_iter_begin(json_get(root, "evals"));
    while (json_iter_next(&it, &key, &eval)) put_eval(out, eval);
    put_samples(out, json_get(root, "samples"));
    put_training(out, runs);
    put_counts(out, json_get(root, "counts"));
    put_attributes(out, runs);
    put_provenance(out, runs);
    return ST_OK;
}
