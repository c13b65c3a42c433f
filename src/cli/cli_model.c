#include "cli/cli_model.h"

#include <omp.h>
#include <string.h>

enum matmul_kind cli_dtype(const char *name) {
    if (strcmp(name, "f32") == 0) return MATMUL_F32;
    if (strcmp(name, "bf16") == 0) return MATMUL_BF16;
    if (strcmp(name, "reference") == 0) return MATMUL_REFERENCE;
    return matmul_kind_auto();
}

status cli_threads(int64_t threads) {
    if (threads < 0 || threads > 1024) return FAIL(ST_USAGE, "--threads expects 0 (all) to 1024, not %lld", (long long)threads);
    omp_set_dynamic(0);
    if (threads) omp_set_num_threads((int)threads);
    return ST_OK;
}
