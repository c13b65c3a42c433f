/* Attention where there are no tiles: 8 floats a vector. */
#include <immintrin.h>

#define VEC 8
typedef __m256 vec;
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps((p), (v))
#define vec_set(x) _mm256_set1_ps(x)
#define vec_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define NV 2
#define KERNELS attention_kernels_avx2
#include "num/attention_kernel.h"
