#include "num/cpu.h"

#include <cpuid.h>
#include <stdlib.h>

bool cpu_has_avx512(void) {
    /* RAPT_ISA=avx2 is how a test compares the twins on one machine */
    static int known = -1;
    if (known < 0) {
        const char *limit = getenv("RAPT_ISA");
        bool limited = limit && limit[0] == 'a' && limit[3] == '2';
        known = !limited && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
    }
    return known;
}

bool cpu_has_amx_bf16(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1); /* AMX-BF16, AMX-TILE */
}

void cpu_describe(struct buf *out) {
    buf_append_text(out, "avx2");
    if (cpu_has_avx512()) buf_append_text(out, ", avx512");
    if (cpu_has_amx_bf16()) buf_append_text(out, ", amx-bf16");
}
