/* arena_hard_score: Arena-Hard's bootstrap and fits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/arena_hard.h"
#include "eval/twister.h"

#define STEPS 50
#define RATE 0.1
#define TOLERANCE 1e-9

static int by_double(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy's percentile of sorted values: linear between the two nearest. */
static double quantile(const double *sorted, size_t n, double q) {
    const double at = q * (double)(n - 1);
    const size_t low = (size_t)floor(at), high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
}

double arena_hard_tail(enum arena_version version) { return version == ARENA_V01 ? 0.025 : 0.05; }

static int best_first(const void *a, const void *b) {
    const struct arena_score *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->model > y->model) - (x->model < y->model);
}

/* ---- shares ---- */

/* v0.1: all battles drawn together, shares of each model; a round without a model leaves its row out. values [models][rounds], filled
 * [models]. */
static void resample_together(double *values, size_t *filled, const struct arena_set *s, const struct arena_params *p,
                              struct twister *random) {
    double *won = mem_zero(s->model_count, sizeof *won);
    size_t *seen = mem_zero(s->model_count, sizeof *seen);
    for (size_t round = 0; round < p->rounds; round++) {
        memset(won, 0, s->model_count * sizeof *won);
        memset(seen, 0, s->model_count * sizeof *seen);
        for (size_t i = 0; i < s->count; i++) {
            const struct arena_battle *b = &s->items[twister_below_numpy(random, (uint32_t)s->count)];
            won[b->model] += b->outcome;
            seen[b->model]++;
        }
        for (size_t m = 0; m < s->model_count; m++)
            if (seen[m]) values[m * p->rounds + filled[m]++] = 100 * won[m] / (double)seen[m];
    }
    free(won);
    free(seen);
}

/* v2: each model's battles by themselves, models in the order of their names. */
static void resample_apart(double *values, size_t *filled, const struct arena_set *s, const size_t *order, const struct arena_params *p,
                           struct twister *random) {
    double *outcomes = mem_zero(s->count, sizeof *outcomes);
    size_t *start = mem_zero(s->model_count + 1, sizeof *start), *at = mem_zero(s->model_count + 1, sizeof *at);
    for (size_t i = 0; i < s->count; i++) start[s->items[i].model + 1]++;
    for (size_t m = 0; m < s->model_count; m++) start[m + 1] += start[m], at[m] = start[m];
    for (size_t i = 0; i < s->count; i++) outcomes[at[s->items[i].model]++] = s->items[i].outcome;
    for (size_t round = 0; round < p->rounds; round++)
        for (size_t k = 0; k < s->model_count; k++) {
            const size_t m = order[k], n = start[m + 1] - start[m];
            double won = 0;
            for (size_t i = 0; i < n; i++) won += outcomes[start[m] + twister_below_numpy(random, (uint32_t)n)];
            if (n) values[m * p->rounds + filled[m]++] = 100 * won / (double)n;
        }
    free(outcomes);
    free(start);
    free(at);
}

struct named {
    const char *name;
    size_t model;
};
static int by_name(const void *a, const void *b) { return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name); }

/* Models as Python sorts their names. */
static void name_order(size_t *order, const struct arena_set *s) {
    struct named *names = mem_zero(s->model_count, sizeof *names);
    for (size_t m = 0; m < s->model_count; m++) names[m] = (struct named){s->models[m], m};
    qsort(names, s->model_count, sizeof *names, by_name);
    for (size_t m = 0; m < s->model_count; m++) order[m] = names[m].model;
    free(names);
}

static void count_battles(struct arena_score *scores, const struct arena_set *s) {
    for (size_t m = 0; m < s->model_count; m++) scores[m] = (struct arena_score){.model = m};
    for (size_t i = 0; i < s->count; i++) {
        scores[s->items[i].model].battles++;
        scores[s->items[i].model].score += s->items[i].outcome;
    }
    for (size_t m = 0; m < s->model_count; m++) scores[m].score *= 100 / (double)scores[m].battles;
}

void arena_hard_scores(struct arena_score *scores, const struct arena_set *s, const struct arena_params *p) {
    const bool together = s->version == ARENA_V01;
    struct twister random;
    double *values = mem_zero(s->model_count * p->rounds, sizeof *values);
    size_t *filled = mem_zero(s->model_count, sizeof *filled), *order = mem_zero(s->model_count, sizeof *order);
    twister_seed_numpy(&random, p->seed);
    name_order(order, s);
    count_battles(scores, s);
    if (together)
        resample_together(values, filled, s, p, &random);
    else
        resample_apart(values, filled, s, order, p, &random);
    for (size_t m = 0; m < s->model_count; m++) {
        double *row = values + m * p->rounds, sum = 0;
        const size_t n = filled[m];
        if (!n) continue;
        for (size_t i = 0; i < n; i++) sum += row[i];
        qsort(row, n, sizeof *row, by_double);
        scores[m].low = quantile(row, n, arena_hard_tail(s->version));
        scores[m].high = quantile(row, n, 1 - arena_hard_tail(s->version));
        if (!together) scores[m].score = sum / (double)n; /* v2 shows the bootstrap's mean */
    }
    qsort(scores, s->model_count, sizeof *scores, best_first);
    free(values);
    free(filled);
    free(order);
}

/* ---- style control ---- */

status arena_hard_normalise(double *out, const struct arena_set *s) {
    static const char *const names[ARENA_STYLES] = {"length", "headers", "list items", "bold marks"};
    for (size_t k = 0; k < ARENA_STYLES; k++) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < s->count; i++) mean += s->items[i].style[k];
        mean /= (double)s->count;
        for (size_t i = 0; i < s->count; i++) squares += (s->items[i].style[k] - mean) * (s->items[i].style[k] - mean);
        const double spread = s->count > 1 ? sqrt(squares / (double)(s->count - 1)) : 0;
        if (!(spread > 1e-12)) return FAIL(ST_MISMATCH, "style control: all answers differ from the baseline's by the same %s", names[k]);
        for (size_t i = 0; i < s->count; i++) out[i * ARENA_STYLES + k] = (s->items[i].style[k] - mean) / spread;
    }
    return ST_OK;
}

/* Cross-entropy of the battles and its derivatives. */
static double loss_of(double *gradient, const double *w, const struct arena_set *s, const double *styles, const uint32_t *drawn) {
    const size_t base = s->model_count, n = base + 1 + ARENA_STYLES;
    double sum = 0;
    memset(gradient, 0, n * sizeof *gradient);
    for (size_t i = 0; i < s->count; i++) {
        const size_t at = drawn ? drawn[i] : i;
        const struct arena_battle *b = &s->items[at];
        const double *x = styles + at * ARENA_STYLES;
        double z = w[b->model] - w[base];
        for (size_t k = 0; k < ARENA_STYLES; k++) z += x[k] * w[base + 1 + k];
        const double tail = log1p(exp(-fabs(z))), p = z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z)), slope = p - b->outcome;
        sum += (z > 0 ? z : 0) - z * b->outcome + tail;
        gradient[b->model] += slope;
        gradient[base] -= slope;
        for (size_t k = 0; k < ARENA_STYLES; k++) gradient[base + 1 + k] += slope * x[k];
    }
    return sum;
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(const double *a, size_t n, double factor) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(a[i] * factor));
    return most;
}

/* What L-BFGS remembers: differences of the gradients and steps. Fewer than torch's 100, so none is ever dropped. */
struct memory {
    double *y[STEPS], *step[STEPS], rho[STEPS], diagonal;
    size_t count;
};

static void remember(struct memory *m, const double *g, const double *before, const double *d, double t, size_t n) {
    double *y = mem_zero(n, sizeof *y), *step = mem_zero(n, sizeof *step);
    for (size_t i = 0; i < n; i++) y[i] = g[i] - before[i], step[i] = d[i] * t;
    const double ys = dot(y, step, n);
    if (ys > 1e-10) {
        m->y[m->count] = y;
        m->step[m->count] = step;
        m->rho[m->count++] = 1 / ys;
        m->diagonal = ys / dot(y, y, n);
        return;
    }
    free(y);
    free(step);
}

/* Nocedal's two loops (Mathematics of Computation 35, 1980). */
static void direction(double *d, const struct memory *m, const double *g, size_t n) {
    double alpha[STEPS];
    for (size_t i = 0; i < n; i++) d[i] = -g[i];
    for (size_t k = m->count; k-- > 0;) {
        alpha[k] = dot(m->step[k], d, n) * m->rho[k];
        for (size_t i = 0; i < n; i++) d[i] -= alpha[k] * m->y[k][i];
    }
    for (size_t i = 0; i < n; i++) d[i] *= m->diagonal;
    for (size_t k = 0; k < m->count; k++) {
        const double beta = dot(m->y[k], d, n) * m->rho[k];
        for (size_t i = 0; i < n; i++) d[i] += m->step[k][i] * (alpha[k] - beta);
    }
}

void arena_hard_fit(double *w, const struct arena_set *s, const double *styles, const uint32_t *drawn) {
    const size_t n = s->model_count + 1 + ARENA_STYLES;
    double *g = mem_zero(n, sizeof *g), *before = mem_zero(n, sizeof *before), *d = mem_zero(n, sizeof *d), t = 0;
    struct memory m = {.diagonal = 1};
    for (size_t i = 0; i < n; i++) w[i] = 0.5;
    double loss = loss_of(g, w, s, styles, drawn);
    for (int step = 1; step <= STEPS && largest(g, n, 1) > TOLERANCE; step++) {
        double size = 0, last = loss;
        if (step > 1) remember(&m, g, before, d, t, n);
        direction(d, &m, g, n);
        memcpy(before, g, n * sizeof *g);
        for (size_t i = 0; i < n; i++) size += fabs(g[i]);
        t = step == 1 ? fmin(1, 1 / size) * RATE : RATE;
        if (dot(g, d, n) > -TOLERANCE) break;
        for (size_t i = 0; i < n; i++) w[i] += t * d[i];
        if (step == STEPS) break;
        loss = loss_of(g, w, s, styles, drawn);
        if (largest(d, n, t) <= TOLERANCE || fabs(loss - last) < TOLERANCE) break;
    }
    for (size_t k = 0; k < m.count; k++) {
        free(m.y[k]);
        free(m.step[k]);
    }
    free(g);
    free(before);
    free(d);
}

static double median_of(double *values, size_t n) {
    qsort(values, n, sizeof *values, by_double);
    return quantile(values, n, 0.5);
}

/* rates [rounds][models], styles [rounds][ARENA_STYLES] */
static void fit_rounds(double *rates, double *styles, const struct arena_set *s, const double *normalised, const struct arena_params *p) {
    struct twister random;
    const size_t models = s->model_count;
    uint32_t *drawn = mem_zero(s->count, sizeof *drawn);
    double *w = mem_zero(models + 1 + ARENA_STYLES, sizeof *w);
    twister_seed_numpy(&random, p->seed);
    for (size_t round = 0; round < p->rounds; round++) {
        for (size_t i = 0; i < s->count; i++) drawn[i] = twister_below_numpy(&random, (uint32_t)s->count);
        arena_hard_fit(w, s, normalised, drawn);
        for (size_t m = 0; m < models; m++) rates[m * p->rounds + round] = 100 / (1 + exp(w[models] - w[m]));
        for (size_t k = 0; k < ARENA_STYLES; k++) styles[k * p->rounds + round] = w[models + 1 + k];
    }
    free(drawn);
    free(w);
}

status arena_hard_scores_styled(struct arena_score *scores, double *styles, const struct arena_set *s, const struct arena_params *p) {
    double *normalised = mem_zero(s->count * ARENA_STYLES, sizeof *normalised),
           *rates = mem_zero(s->model_count * p->rounds, sizeof *rates),
           *coefficients = mem_zero(ARENA_STYLES * p->rounds, sizeof *coefficients);
    count_battles(scores, s);
    const status code = arena_hard_normalise(normalised, s);
    if (code == ST_OK) {
        fit_rounds(rates, coefficients, s, normalised, p);
        for (size_t m = 0; m < s->model_count; m++) {
            double *row = rates + m * p->rounds;
            scores[m].score = median_of(row, p->rounds);
            scores[m].low = quantile(row, p->rounds, arena_hard_tail(s->version));
            scores[m].high = quantile(row, p->rounds, 1 - arena_hard_tail(s->version));
        }
        for (size_t k = 0; k < ARENA_STYLES; k++) styles[k] = median_of(coefficients + k * p->rounds, p->rounds);
        qsort(scores, s->model_count, sizeof *scores, best_first);
    }
    free(normalised);
    free(rates);
    free(coefficients);
    return code;
}
