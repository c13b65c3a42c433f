#define _GNU_SOURCE
#include "num/cpu.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* RAPT_ISA=avx2, avx512 or avx512-fp16 hides what is newer, and avx512-bf16 takes its dot products whoever made them: how a test compares
 * the twins on one machine. */
static bool limited_to(const char *isa) {
    const char *limit = getenv("RAPT_ISA");
    return limit && strcmp(limit, isa) == 0;
}

bool cpu_has_avx512(void) {
    static int known = -1;
    if (known < 0)
        known = !limited_to("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return known;
}

bool cpu_has_avx512_vnni(void) {
    static int known = -1;
    if (known < 0) known = cpu_has_avx512() && __builtin_cpu_supports("avx512vnni");
    return known;
}

bool cpu_has_avx512_fp16(void) {
    static int known = -1;
    unsigned a, b, c, d;
    if (known < 0)
        known = cpu_has_avx512() && !limited_to("avx512") && __builtin_cpu_supports("avx512bf16") &&
                __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1);
    return known;
}

#ifdef RAPT_EMULATE_AMX /* tests/emulate */
static bool has_tile_registers(void) { return true; }
static bool has_tile_int8(void) { return true; }
#else
static bool feature_7_edx(unsigned bit) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> bit & 1);
}

/* AMX-BF16 and AMX-TILE; Linux hands out the tile registers' state on request, once for the process: ARCH_REQ_XCOMP_PERM of
 * XFEATURE_XTILEDATA. */
static bool has_tile_registers(void) { return feature_7_edx(22) && feature_7_edx(24) && syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
static bool has_tile_int8(void) { return feature_7_edx(25); }
#endif

bool cpu_has_amx_bf16(void) {
    static int known = -1;
    if (known < 0)
        known = cpu_has_avx512() && !limited_to("avx512") && !limited_to("avx512-fp16") && !limited_to("avx512-bf16") &&
                __builtin_cpu_supports("avx512bf16") && has_tile_registers();
    return known;
}

bool cpu_has_bf16_dots(void) {
    static int known = -1;
    if (known < 0)
        known = cpu_has_avx512() && !limited_to("avx512") && !limited_to("avx512-fp16") && __builtin_cpu_supports("avx512bf16") &&
                (__builtin_cpu_is("amd") || limited_to("avx512-bf16"));
    return known;
}

bool cpu_has_tiles(void) { return cpu_has_amx_bf16() || cpu_has_bf16_dots(); }

bool cpu_has_amx_int8(void) {
    static int known = -1;
    if (known < 0) known = cpu_has_amx_bf16() && cpu_has_avx512_vnni() && has_tile_int8();
    return known;
}

void cpu_describe(struct buf *out) {
    buf_append_text(out, "avx2");
    if (cpu_has_avx512()) buf_append_text(out, ", avx512");
    if (cpu_has_amx_bf16()) buf_append_text(out, ", amx-bf16");
    if (!cpu_has_amx_bf16() && cpu_has_bf16_dots()) buf_append_text(out, ", avx512-bf16");
}
