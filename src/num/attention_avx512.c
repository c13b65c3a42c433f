/* 16 floats a vector; used where the CPU has AVX-512. */
#include <immintrin.h>

#define VEC 16
typedef __m512 vec;
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps((p), (v))
#define vec_set(x) _mm512_set1_ps(x)
#define vec_fma(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define NV 4
#define KERNELS attention_kernels_avx512
#include "num/attention_kernel.h"
