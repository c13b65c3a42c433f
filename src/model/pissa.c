#include "model/pissa.h"

#include <math.h>
#include <stdlib.h>

#include "num/svd.h"

static void subtract(float *w, const float *a, const float *b, float scale, size_t rows, size_t in, size_t rank) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < rank; k++) {
            const float s = scale * b[i * rank + k];
            for (size_t j = 0; j < in; j++) w[i * in + j] -= s * a[k * in + j];
        }
}

static status split_part(float *w, struct model *m, const struct linear *l, const struct linear_part *p) {
    float *a = m->params.value + l->a_offset, *b = m->params.value + p->b_offset, *values;
    for (size_t i = 0; i < l->part_count && &l->part[i] != p; i++)
        if (l->part[i].adapted) a += l->part[i].rank * l->in;
    if (p->rank > p->rows || p->rank > l->in)
        return FAIL(ST_USAGE, "--init-lora-weights pissa: rank %zu is above the %zu singular values of a [%zu, %zu] projection", p->rank,
                    p->rows < l->in ? p->rows : l->in, p->rows, l->in);
    TRY(mem_try_alloc(&values, p->rank, sizeof *values, "singular values"));
    status s = svd_largest(b, values, a, w, p->rows, l->in, p->rank, m->pissa_steps);
    for (size_t k = 0; k < p->rank && s == ST_OK; k++) {
        const float root = sqrtf(values[k] / p->scale);
        for (size_t j = 0; j < l->in; j++) a[k * l->in + j] *= root;
        for (size_t i = 0; i < p->rows; i++) b[i * p->rank + k] *= root;
    }
    if (s == ST_OK) subtract(w, a, b, p->scale, p->rows, l->in, p->rank);
    free(values);
    return s;
}

status pissa_split(float *w, struct model *m, const struct linear *l) {
    for (size_t i = 0; i < l->part_count; i++)
        if (l->part[i].adapted) TRY(split_part(w + l->part[i].row * l->in, m, l, &l->part[i]));
    model_changed(m);
    return ST_OK;
}
