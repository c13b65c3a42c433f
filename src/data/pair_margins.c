#include "data/pair_margins.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/svg.h"

#define BINS_MAX 40
#define BAR 40 /* characters */
#define INK "#24211d"
#define SOFT "#7b756c"

void pair_margins_add(struct pair_margins *m, double chosen, double rejected) {
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 256;
        m->items = mem_resize(m->items, 2 * m->capacity * sizeof *m->items);
    }
    m->items[2 * m->count] = chosen;
    m->items[2 * m->count++ + 1] = rejected;
}

void pair_margins_release(struct pair_margins *m) {
    free(m->items);
    *m = (struct pair_margins){0};
}

/* Equal bins at round numbers; the last one takes its upper end too. */
struct histogram {
    double first, step;
    size_t count[2][BINS_MAX], bins, most;
};

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void lay_out(struct histogram *h, double low, double high, size_t about) {
    *h = (struct histogram){.step = 1};
    if (!(high > low)) high = low + 1;
    svg_marks(&h->first, &h->step, low, high, about);
    if (h->first > low) h->first -= h->step;
    h->bins = (size_t)fmin(BINS_MAX, fmax(1, ceil((high - h->first) / h->step - 1e-9)));
}

static void drop_in(struct histogram *h, int which, double value) {
    const double at = floor((value - h->first) / h->step + 1e-9);
    const size_t bin = !(at > 0) ? 0 : at >= (double)h->bins ? h->bins - 1 : (size_t)at;
    const size_t count = ++h->count[which][bin];
    if (count > h->most) h->most = count;
}

/* margin[count] in ascending order: fresh memory. */
static double *sorted_margins(const struct pair_margins *m) {
    double *margin = mem_alloc(m->count * sizeof *margin);
    for (size_t i = 0; i < m->count; i++) margin[i] = m->items[2 * i] - m->items[2 * i + 1];
    qsort(margin, m->count, sizeof *margin, ascending);
    return margin;
}

static void fill_margins(struct histogram *h, const double *margin, size_t count) {
    lay_out(h, margin[0], margin[count - 1], 10);
    for (size_t i = 0; i < count; i++) drop_in(h, 0, margin[i]);
}

/* The value with a share q of the pairs below it, between two by a straight line. */
static double quantile(const double *sorted, size_t n, double q) {
    const double at = q * (double)(n - 1);
    const size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void put_words(struct buf *out, const struct pair_margins *m, const double *margin) {
    double w = 0, l = 0;
    for (size_t i = 0; i < m->count; i++) w += m->items[2 * i], l += m->items[2 * i + 1];
    const double n = (double)m->count;
    buf_printf(out, "margin: mean %.3g, median %.3g, 10%% %.3g, 90%% %.3g; mean score: chosen %.3g, rejected %.3g", (w - l) / n,
               quantile(margin, m->count, 0.5), quantile(margin, m->count, 0.1), quantile(margin, m->count, 0.9), w / n, l / n);
}

void pair_margins_text(struct buf *out, const struct pair_margins *m) {
    struct histogram h;
    if (!m->count) return;
    double *margin = sorted_margins(m);
    put_words(out, m, margin);
    buf_append_char(out, '\n');
    fill_margins(&h, margin, m->count);
    for (size_t b = 0; b < h.bins; b++) {
        const size_t width = (BAR * h.count[0][b] + h.most - 1) / h.most;
        buf_printf(out, "%8.3g to %-8.3g ", h.first + (double)b * h.step, h.first + (double)(b + 1) * h.step);
        for (size_t i = 0; i < width; i++) buf_append_char(out, '#');
        buf_printf(out, "%s%zu\n", width ? " " : "", h.count[0][b]);
    }
    free(margin);
}

/* A histogram in a box; series: 1, or 2 beside each other in a bin. */
static void put_histogram(struct buf *out, const struct histogram *h, double left, double top, double width, double height, int series) {
    const double slot = width / (double)h->bins, bar = 0.84 * slot / series;
    char text[32];
    for (size_t b = 0; b <= h->bins; b++) {
        if (h->bins > 12 && b % 4) continue;
        const double at = h->first + (double)b * h->step;
        snprintf(text, sizeof text, "%.4g", fabs(at) < h->step / 1e6 ? 0 : at);
        svg_text(out, left + slot * (double)b, top + height + 15, "middle", 10, SOFT, text);
    }
    for (size_t b = 0; b < h->bins; b++)
        for (int s = 0; s < series; s++) {
            const double tall = height * (double)h->count[s][b] / (double)(h->most ? h->most : 1);
            svg_rect(out, left + slot * ((double)b + 0.08) + bar * s, top + height - tall, bar, tall, svg_colour((size_t)s));
        }
    svg_line(out, left, top + height, left + width, top + height, SOFT, 1, false);
    snprintf(text, sizeof text, "%zu", h->most);
    svg_text(out, left - 6, top + 8, "end", 10, SOFT, text);
}

void pair_margins_picture(struct buf *out, const struct pair_margins *m) {
    struct histogram margins, scores;
    struct buf words = {0};
    double low = (double)INFINITY, high = -(double)INFINITY;
    svg_begin(out, 800, 270, "Margins and scores of the pairs");
    if (m->count) {
        double *margin = sorted_margins(m);
        fill_margins(&margins, margin, m->count);
        put_words(&words, m, margin);
        free(margin);
        for (size_t i = 0; i < 2 * m->count; i++) low = fmin(low, m->items[i]), high = fmax(high, m->items[i]);
        lay_out(&scores, low, high, 10);
        for (size_t i = 0; i < 2 * m->count; i++) drop_in(&scores, i % 2, m->items[i]);
        put_histogram(out, &margins, 50, 50, 320, 170, 1);
        put_histogram(out, &scores, 450, 50, 320, 170, 2);
    } else {
        buf_append_text(&words, "no pairs");
    }
    svg_text(out, 50, 30, "start", 13, INK, "score chosen - score rejected: pairs");
    svg_text(out, 450, 30, "start", 13, INK, "scores:");
    svg_text(out, 505, 30, "start", 13, svg_colour(0), "chosen");
    svg_text(out, 560, 30, "start", 13, svg_colour(1), "rejected");
    svg_text(out, 50, 258, "start", 11, SOFT, buf_text(&words));
    svg_end(out);
    buf_release(&words);
}
