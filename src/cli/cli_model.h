/* cli_model: options that every command with a model shares. */
#ifndef RAPT_CLI_CLI_MODEL_H
#define RAPT_CLI_CLI_MODEL_H

#include "base/status.h"
#include "num/matmul.h"

#define DTYPE_CHOICES "auto|f32|bf16|f16|reference"
#define DTYPE_HELP                                                                                                                    \
    "arithmetic of matrix products: auto is bf16 where the CPU has AMX or AMD's AVX512-BF16, else f32; f16 takes AVX512-FP16, which " \
    "without AMX is faster than f32, with about the error of bf16; reference is the slow plain twin"

#define MEMORY_HELP "how much the run may take: 900M, 10G, or auto, four fifths of what the machine has"

/* "auto" or a number of bytes with an optional K, M or G (of 1024). */
status cli_memory(size_t *bytes, const char *text);

/* Refuses f16 where the CPU has no such arithmetic. */
status cli_dtype(enum matmul_kind *kind, const char *name);
/* 0 = as many as the machine has. */
status cli_threads(int64_t threads);
/* --micro-batch-tokens of commands that do not train. */
enum { CLI_MICRO_BATCH_MOST = 1 << 22 };
status cli_micro_batch_tokens(int64_t tokens);

#endif
