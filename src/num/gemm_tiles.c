/* gemm_tiles: what the units have in common, and the choice between them. */
#include <omp.h>

#include "num/cpu.h"
#include "num/lanes16.h"
#include "num/tiles.h"

void gemm_tiles_run(const struct gemm_tiles *g) {
    if (g->planes == GEMM_TILES_WHOLE)
        gemm_tiles_run_avx512(g);
    else
        (cpu_has_amx_bf16() ? gemm_tiles_run_amx : gemm_tiles_run_bf16)(g);
}

size_t gemm_tiles_fp32(void) { return cpu_has_amx_bf16() ? GEMM_TILES_SPLIT : GEMM_TILES_WHOLE; }

/* Rows are read up to whole steps. */
size_t gemm_tiles_operand_row(size_t cols) {
    return gemm_tiles_fp32() == GEMM_TILES_WHOLE && cols % GEMM_TILES_K == 0 ? 0 : gemm_tiles_row(cols, gemm_tiles_fp32());
}

void gemm_tiles_operand(struct gemm_tiles *g, uint16_t *into, const float *x, size_t ld, size_t cols) {
    g->planes = gemm_tiles_fp32();
    if (gemm_tiles_operand_row(cols) == 0) {
        g->a = (const uint16_t *)(const void *)x, g->lda = ld * GEMM_TILES_WHOLE;
        return;
    }
    gemm_tiles_split(into, x, ld, false, g->m, cols, g->planes);
    g->a = into, g->lda = gemm_tiles_row(cols, g->planes);
}

struct tiles_room tiles_room_of(size_t k) {
    const size_t whole = k < TILES_FINISHED_K ? k : TILES_FINISHED_K,
                 least = 64 * size_round_up(whole, 32) * sizeof(uint16_t) * GEMM_TILES_SPLIT,
                 tiles = least > TILES_STRIP ? least : TILES_STRIP;
    const size_t used = size_round_up(tiles / TILE_ELEMENTS / sizeof(uint16_t), 64), rows = 32 * size_round_up(k, 32) * sizeof(float);
    return (struct tiles_room){tiles, used, rows, tiles + used + rows};
}

size_t gemm_tiles_plain_bytes(size_t k) { return (size_t)omp_get_max_threads() * tiles_room_of(k).all; }

void gemm_tiles_half(uint16_t *out, size_t ldo, const float *in, size_t ldi, size_t rows, size_t cols) {
#pragma omp parallel for schedule(dynamic, 64) if (rows * cols > 16384)
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < ldo; j += 16) {
            const __mmask16 read = (__mmask16)(j + 16 <= cols ? 0xffffu : j < cols ? (1u << (cols - j)) - 1 : 0u);
            const __mmask16 write = (__mmask16)(j + 16 <= ldo ? 0xffffu : (1u << (ldo - j)) - 1);
            const __m512 x = _mm512_maskz_loadu_ps(read, in + r * ldi + j);
            _mm256_mask_storeu_epi16(out + r * ldo + j, write, (__m256i)_mm512_cvtneps_pbh(x));
        }
}
