/* cpu: which instruction sets this machine has; kernels are chosen by this and by shape, never by timing. */
#ifndef RAPT_NUM_CPU_H
#define RAPT_NUM_CPU_H

#include "base/buf.h"

bool cpu_has_avx512(void);      /* F, BW, DQ, VL */
bool cpu_has_avx512_vnni(void); /* AVX-512 with dot products of int8 */
bool cpu_has_avx512_fp16(void); /* and AVX512-BF16 */
/* AMX-BF16 and AVX512-BF16. The first call asks the kernel for the tile registers: call it before threads use them. */
bool cpu_has_amx_bf16(void);
/* AVX512-BF16 whose dot products do twice the work of fp32's multiply-adds: AMD's, from Zen 4. Intel's do no more than those. */
bool cpu_has_bf16_dots(void);
bool cpu_has_tiles(void);    /* products in tiles of bf16 (num/tiles.h): AMX-BF16 or those */
bool cpu_has_amx_int8(void); /* and AMX-BF16, AVX-512 VNNI; call it as that */
/* "avx2, avx512, amx-bf16": for manifests and checkpoints. */
void cpu_describe(struct buf *out);

#endif
