#include "num/norm.h"

#include <math.h>

void rmsnorm_forward(float *out, float *rstd, const float *x, const float *weight, size_t t, size_t c, float eps) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *xi = x + i * c;
        float *oi = out + i * c, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < c; j++) sum += xi[j] * xi[j];
        const float r = 1.0f / sqrtf(sum / (float)c + eps);
        rstd[i] = r;
        for (size_t j = 0; j < c; j++) oi[j] = weight[j] * (xi[j] * r);
    }
}

/* With n = x r: dx = r (w dout - n mean(w dout n)); dweight = sum over t of dout n. */
void rmsnorm_backward(float *dx, float *dweight, const float *dout, const float *x, const float *weight, const float *rstd, size_t t, size_t c) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        const float *xi = x + i * c, *di = dout + i * c;
        float *gi = dx + i * c, sum = 0;
        const float r = rstd[i];
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < c; j++) sum += weight[j] * di[j] * xi[j];
        const float back = sum * r * r * r / (float)c;
        for (size_t j = 0; j < c; j++) gi[j] += weight[j] * di[j] * r - xi[j] * back;
    }
    if (!dweight) return;
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < c; from += 64) { /* each thread owns columns, so rows add up in order */
        size_t to = from + 64 < c ? from + 64 : c;
        for (size_t i = 0; i < t; i++)
            for (size_t j = from; j < to; j++) dweight[j] += dout[i * c + j] * (x[i * c + j] * rstd[i]);
    }
}
