/* summary_picture: a panel a figure, the runs below each other with their intervals, and the goal curves. */
#include <math.h>
#include <stdio.h>

#include "eval/summary.h"
#include "format/svg.h"

#define PANEL_WIDTH 400.0
#define NAME_WIDTH 120.0
#define ROW 18.0
#define HEAD 30.0 /* title of a panel */
#define FOOT 26.0 /* its axis */
#define CURVE 260.0
#define MARKS 16 /* of an axis, at most */
#define INK "#24211d"
#define SOFT "#7b756c"
#define GRID "#e4dfd6"

struct frame {
    double left, top, width, height; /* of the plot itself */
    double low, high;                /* values at its ends: x of a panel, y of the curves */
};

static size_t entries_of(const struct summary *s, size_t figure) {
    size_t n = 0;
    for (size_t r = 0; r < s->run_count; r++) n += s->entries[figure * SUMMARY_RUNS_MAX + r].own.n != 0;
    return n;
}

static void widen(double *low, double *high, double value) {
    if (!isfinite(value)) return;
    *low = fmin(*low, value);
    *high = fmax(*high, value);
}

/* Some room at both ends, and never an empty range. */
static void pad(double *low, double *high) {
    const double room = fmax(0.06 * (*high - *low), *high > *low ? 1e-6 * fabs(*high) : fmax(0.5, 1e-3 * fabs(*high)));
    *low -= room;
    *high += room;
}

static double x_of(const struct frame *f, double value) { return f->left + f->width * (value - f->low) / (f->high - f->low); }
static double y_of(const struct frame *f, double value) { return f->top + f->height * (f->high - value) / (f->high - f->low); }

static void put_x_axis(struct buf *out, const struct frame *f) {
    double first, step;
    svg_marks(&first, &step, f->low, f->high, 5);
    for (size_t i = 0; i < MARKS && first + (double)i * step <= f->high; i++) {
        const double at = first + (double)i * step;
        char text[32];
        snprintf(text, sizeof text, "%.6g", fabs(at) < step / 1e6 ? 0 : at);
        svg_line(out, x_of(f, at), f->top, x_of(f, at), f->top + f->height, GRID, 1, false);
        svg_text(out, x_of(f, at), f->top + f->height + 14, "middle", 10, SOFT, text);
    }
}

static void put_panel(struct buf *out, const struct summary *s, size_t figure, double left, double top) {
    const struct summary_figure *what = &summary_figures[figure];
    struct frame f = {left + NAME_WIDTH, top + HEAD,       PANEL_WIDTH - NAME_WIDTH - 20, ROW * (double)entries_of(s, figure),
                      (double)INFINITY,  -(double)INFINITY};
    widen(&f.low, &f.high, what->chance);
    for (size_t r = 0; r < s->run_count; r++) {
        const struct estimate *e = &s->entries[figure * SUMMARY_RUNS_MAX + r].own;
        if (e->n) widen(&f.low, &f.high, e->low), widen(&f.low, &f.high, e->high), widen(&f.low, &f.high, e->value);
    }
    pad(&f.low, &f.high);
    svg_text(out, left, top + 18, "start", 13, INK, what->label);
    put_x_axis(out, &f);
    if (isfinite(what->chance)) svg_line(out, x_of(&f, what->chance), f.top, x_of(&f, what->chance), f.top + f.height, SOFT, 1, true);
    double y = f.top + ROW / 2;
    for (size_t r = 0; r < s->run_count; r++) {
        const struct summary_entry *e = &s->entries[figure * SUMMARY_RUNS_MAX + r];
        char name[80];
        if (!e->own.n) continue;
        snprintf(name, sizeof name, "%.60s%s", s->names[r], e->raw ? ", raw" : "");
        svg_text(out, f.left - 8, y + 4, "end", 11, INK, name);
        svg_line(out, x_of(&f, e->own.low), y, x_of(&f, e->own.high), y, svg_colour(r), 2, false);
        svg_circle(out, x_of(&f, e->own.value), y, 3.5, svg_colour(r));
        y += ROW;
    }
}

static void put_curve(struct buf *out, const struct frame *x, const struct frame *y, const struct summary_curve *c, size_t run) {
    for (size_t i = 0; i < c->count; i++) {
        const double at = x_of(x, c->goal[i]), here = y_of(y, c->achieved[i].value);
        svg_line(out, at, y_of(y, c->achieved[i].low), at, y_of(y, c->achieved[i].high), svg_colour(run), 1.5, false);
        if (i) svg_line(out, x_of(x, c->goal[i - 1]), y_of(y, c->achieved[i - 1].value), at, here, svg_colour(run), 2, false);
        svg_circle(out, at, here, 3.5, svg_colour(run));
    }
}

static void put_curves(struct buf *out, const struct summary *s, double top) {
    struct frame y = {50, top + HEAD, 2 * PANEL_WIDTH - 220, CURVE - HEAD - FOOT, (double)INFINITY, -(double)INFINITY}, x = y;
    for (size_t r = 0; r < s->run_count; r++)
        for (size_t i = 0; i < s->curves[r].count; i++) {
            widen(&x.low, &x.high, s->curves[r].goal[i]);
            widen(&y.low, &y.high, s->curves[r].achieved[i].low);
            widen(&y.low, &y.high, s->curves[r].achieved[i].high);
        }
    const double from = x.low, to = x.high;
    widen(&y.low, &y.high, from);
    widen(&y.low, &y.high, to);
    pad(&x.low, &x.high);
    pad(&y.low, &y.high);
    svg_text(out, 10, top + 18, "start", 13, INK, "goal curve: achieved score by the score asked for");
    put_x_axis(out, &x);
    double first, step;
    svg_marks(&first, &step, y.low, y.high, 6);
    for (size_t i = 0; i < MARKS && first + (double)i * step <= y.high; i++) {
        char text[32];
        const double at = first + (double)i * step;
        snprintf(text, sizeof text, "%.6g", fabs(at) < step / 1e6 ? 0 : at);
        svg_line(out, y.left, y_of(&y, at), y.left + y.width, y_of(&y, at), GRID, 1, false);
        svg_text(out, y.left - 8, y_of(&y, at) + 4, "end", 10, SOFT, text);
    }
    svg_line(out, x_of(&x, from), y_of(&y, from), x_of(&x, to), y_of(&y, to), SOFT, 1, true);
    double legend = y.top + 10;
    for (size_t r = 0; r < s->run_count; r++) {
        if (!s->curves[r].count) continue;
        put_curve(out, &x, &y, &s->curves[r], r);
        svg_circle(out, y.left + y.width + 20, legend - 4, 4, svg_colour(r));
        svg_text(out, y.left + y.width + 30, legend, "start", 11, INK, s->names[r]);
        legend += ROW;
    }
}

void summary_picture(struct buf *out, const struct summary *s) {
    double top[2] = {10, 10};
    size_t column = 0;
    bool curves = false;
    struct buf body = {0};
    for (size_t f = 0; f < summary_figure_count; f++) {
        if (!entries_of(s, f)) continue;
        put_panel(&body, s, f, 10 + PANEL_WIDTH * (double)column, top[column]);
        top[column] += HEAD + FOOT + ROW * (double)entries_of(s, f);
        column = top[1] < top[0];
    }
    for (size_t r = 0; r < s->run_count; r++) curves = curves || s->curves[r].count;
    double height = fmax(top[0], top[1]);
    if (curves) {
        put_curves(&body, s, height);
        height += CURVE;
    }
    svg_begin(out, 2 * PANEL_WIDTH + 10, height + 10, "What the runs do, with 95% intervals");
    buf_append(out, buf_text(&body), body.size);
    svg_end(out);
    buf_release(&body);
}
