/* amx: the tile registers, for files named *_amx.c. A tile is 16 rows of 64 bytes. _tile_dpbf16ps(c, a, b) adds to c[16,16] (fp32) the product of
 * a[16,32] (bf16, row-major) and b, which holds 32 x 16 bf16 with rows 2i and 2i+1 interleaved: b[i][2j] and b[i][2j+1] are elements (2i, j) and (2i+1, j). */
#ifndef RAPT_NUM_AMX_H
#define RAPT_NUM_AMX_H

#include <immintrin.h>
#include <stdint.h>

/* All eight tiles at full size. Per thread; whoever else uses tiles (oneDNN) sets its own, so every parallel region begins with it. */
static inline void amx_begin(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    _tile_loadconfig(&config);
}

static inline void amx_end(void) { _tile_release(); }

#endif
