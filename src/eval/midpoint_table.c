/* midpoint_table: the midpoint test of runs as JSON and as a table. */
#include <math.h>
#include <stdlib.h>

#include "eval/midpoint.h"

static const char *const figure_names[MIDPOINT_FIGURES] = {"sign", "crossed", "distance", "correlation"};

static void put_heads(struct buf *text) {
    buf_printf(text, "%-12s", "");
    for (int f = 0; f < MIDPOINT_FIGURES; f++) buf_printf(text, "%-24s", figure_names[f]);
    estimate_end_line(text);
}

/* The figures of one kind; minus NULL: of a run, else its difference to that one. */
static status put_kind(struct buf *json, struct buf *text, const struct midpoint *m, const struct midpoint *minus,
                       const struct eval_input *in, enum goal_kind kind) {
    buf_append_char(json, '{');
    buf_printf(text, "%-12s", goal_kind_names[kind]);
    for (int f = 0; f < MIDPOINT_FIGURES; f++) {
        struct estimate e;
        TRY(minus ? midpoint_difference(&e, m, minus, &in->bootstrap, kind, (enum midpoint_figure)f)
                  : midpoint_estimate(&e, m, &in->bootstrap, kind, (enum midpoint_figure)f));
        buf_printf(json, "%s\"%s\": ", f ? ", " : "", figure_names[f]);
        estimate_json(json, &e);
        estimate_text(text, &e);
    }
    buf_append_char(json, '}');
    estimate_end_line(text);
    return ST_OK;
}

static status put_run(struct buf *json, struct buf *text, const void *run, const char *name, const struct eval_input *in) {
    const struct midpoint *m = run;
    buf_append_text(json, "{\"name\": ");
    json_put_text(json, name);
    buf_printf(json, ", \"pairs\": %zu, \"left_out\": %zu", m->count, m->left_out);
    buf_printf(text, "%s: %zu pairs", name, m->count);
    if (in->attribute) buf_printf(text, " along %s", in->attribute);
    if (m->left_out) buf_printf(text, ", %zu left out (equal or no scores, or one goal only)", m->left_out);
    buf_append_char(text, '\n');
    put_heads(text);
    for (int kind = 0; kind < GOAL_KINDS; kind++) {
        buf_printf(json, ", \"%s\": ", goal_kind_names[kind]);
        if (kind == GOAL_IMPLICIT && isnan(m->pairs[0].crossing[kind])) { /* no reference */
            buf_append_text(json, "null");
            continue;
        }
        buf_append_text(json, "{\"all\": ");
        TRY(put_kind(json, text, m, NULL, in, (enum goal_kind)kind));
        buf_append_char(json, '}');
    }
    buf_append_char(json, '}');
    buf_append_char(text, '\n');
    return ST_OK;
}

static status put_difference(struct buf *json, struct buf *text, const void *run, const void *first, const struct eval_input *in) {
    put_heads(text);
    for (int kind = 0; kind < GOAL_KINDS; kind++) {
        buf_printf(json, ", \"%s\": ", goal_kind_names[kind]);
        TRY(put_kind(json, text, run, first, in, (enum goal_kind)kind));
    }
    return ST_OK;
}

static status init(void *run, const struct logps_rows *rows) { return midpoint_init(run, rows); }
static void release(void *run) { midpoint_release(run); }

status midpoint_run(struct buf *json, struct buf *text, const struct eval_input *in) {
    const struct eval_report report = {"midpoint", sizeof(struct midpoint), init, release, put_run, put_difference};
    return eval_put_report(json, text, &report, in);
}
