#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/optim_apply.h"

#define BLOCK ((size_t)256) /* numbers that share a scale */

/* torch.linspace(0.1, 1, n) in fp32: from both ends towards the middle, each rounded once. */
static float linspace(size_t i, size_t n) {
    const float step = (1.0f - 0.1f) / (float)(n - 1);
    return i < n / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(n - 1 - i), 1.0f);
}

static int rising(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void optim_dynamic_map(float map[256], bool with_sign) {
    size_t count = 0;
    for (int i = 0; i < 7; i++) {
        const size_t n = ((size_t)1 << (with_sign ? i : i + 1)) + 1;
        const float power = (float)pow(10, i - 6);
        for (size_t k = 0; k + 1 < n; k++) {
            const float mean = (linspace(k, n) + linspace(k + 1, n)) / 2.0f;
            map[count++] = power * mean;
            if (with_sign) map[count++] = -power * mean;
        }
    }
    map[count++] = 0;
    map[count++] = 1;
    CHECK(count == 256);
    qsort(map, count, sizeof *map, rising);
}

struct coder {
    float map[256];
};

/* The code whose value is nearest, of two equally near the lower. Eight halvings without a branch find the last value that is not above x;
 * x >= map[0] (-0.99 with sign) may fail, which leaves code 0. */
static unsigned char encode(const struct coder *c, float x) {
    unsigned at = 0;
    for (unsigned step = 128; step; step >>= 1) at += c->map[at + step] <= x ? step : 0;
    return (unsigned char)(at < 255 && c->map[at + 1] - x < x - c->map[at] ? at + 1 : at);
}

struct state {                    /* views of the bytes of one slice */
    float *scale1, *scale2;       /* [blocks] the largest magnitude of each */
    unsigned char *code1, *code2; /* [count] */
};

static size_t blocks_of(size_t count) { return count / BLOCK + (count % BLOCK != 0); }

static struct state view(void *bytes, size_t count) {
    float *scales = bytes;
    unsigned char *codes = (unsigned char *)(scales + 2 * blocks_of(count));
    return (struct state){scales, scales + blocks_of(count), codes, codes + count};
}

size_t optim_adamw_8bit_state(const struct optim_slice *slice, const struct optim_params *p) {
    const size_t count = slice->rows * slice->cols;
    return (double)count < p->min_8bit_size ? optim_adamw_state(slice, p) : 2 * (blocks_of(count) * sizeof(float) + count);
}

static void expand(float *out, const struct coder *c, const unsigned char *codes, float scale, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = c->map[codes[i]] * scale;
}

static void compress(unsigned char *codes, float *scale, const struct coder *c, const float *x, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    const float inverse = most > 0 ? 1 / most : 0;
    *scale = most;
    for (size_t i = 0; i < n; i++) codes[i] = encode(c, x[i] * inverse);
}

struct rates { /* what is the same for all numbers of a step, in fp32 as there */
    float beta1, new1, beta2, new2, root2, eps, keep, step_size, scale;
};

static void block_step(const struct optim_update *u, const struct state *s, const struct rates *r, const struct coder *with_sign,
                       const struct coder *without, size_t b) {
    const size_t begin = b * BLOCK, n = u->count - begin < BLOCK ? u->count - begin : BLOCK;
    float m[BLOCK], v[BLOCK], *value = u->value + begin;
    expand(m, with_sign, s->code1 + begin, s->scale1[b], n);
    expand(v, without, s->code2 + begin, s->scale2[b], n);
    for (size_t i = 0; i < n; i++) {
        const float g = u->dvalue[begin + i] * r->scale;
        m[i] = fmaf(g, r->new1, m[i] * r->beta1); /* one rounding, as in torch */
        v[i] = v[i] * r->beta2 + r->new2 * (g * g);
        value[i] = value[i] * r->keep - r->step_size * (m[i] / (sqrtf(v[i]) / r->root2 + r->eps));
    }
    compress(s->code1 + begin, &s->scale1[b], with_sign, m, n);
    compress(s->code2 + begin, &s->scale2[b], without, v, n);
}

status optim_adamw_8bit(const struct optim_update *u, const struct optim_params *p) {
    struct coder with_sign, without;
    if ((double)u->count < p->min_8bit_size) return optim_adamw(u, p);
    optim_dynamic_map(with_sign.map, true);
    optim_dynamic_map(without.map, false);
    const struct state s = view(u->state, u->count);
    const struct rates r = {.beta1 = (float)p->beta1,
                            .new1 = (float)(1 - p->beta1),
                            .beta2 = (float)p->beta2,
                            .new2 = (float)(1 - p->beta2),
                            .root2 = (float)sqrt(1 - pow(p->beta2, (double)u->step)),
                            .eps = (float)p->eps,
                            .keep = (float)(1 - u->rate * u->weight_decay),
                            .step_size = (float)(u->rate / (1 - pow(p->beta1, (double)u->step))),
                            .scale = u->scale};
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks_of(u->count); b++) block_step(u, &s, &r, &with_sign, &without, b);
    return ST_OK;
}
