#include "cli/cli_model.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "num/cpu.h"

status cli_memory(size_t *bytes, const char *text) {
    static const char units[] = "KMG";
    char *end;
    *bytes = model_memory_auto();
    if (strcmp(text, "auto") == 0) return ST_OK;
    double size = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end & ~32) : NULL;
    if (unit) end++;
    for (const char *u = units; unit && u <= unit; u++) size *= 1024;
    if (end == text || *end || !(size >= 1 && size < 1e18))
        return FAIL(ST_USAGE, "--memory expects auto or a size such as 900M or 10G, not '%s'", text);
    *bytes = (size_t)size;
    return ST_OK;
}

status cli_dtype(enum matmul_kind *kind, const char *name) {
    *kind = matmul_kind_parse(name);
    if (*kind == MATMUL_F16 && !cpu_has_avx512_fp16())
        return FAIL(ST_USAGE, "--dtype f16 needs a CPU with AVX512-FP16; --dtype f32 runs everywhere");
    return ST_OK;
}

status cli_threads(int64_t threads) {
    if (threads < 0 || threads > 1024) return FAIL(ST_USAGE, "--threads expects 0 (all) to 1024, not %lld", (long long)threads);
    omp_set_dynamic(0);
    if (threads) omp_set_num_threads((int)threads);
    return ST_OK;
}

status cli_micro_batch_tokens(int64_t tokens) {
    if (tokens < 16 || tokens > CLI_MICRO_BATCH_MOST) return FAIL(ST_USAGE, "--micro-batch-tokens expects 16 to %d", CLI_MICRO_BATCH_MOST);
    return ST_OK;
}
