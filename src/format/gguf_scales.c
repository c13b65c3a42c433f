/* gguf_scales: a block whose factor is NaN or infinite would make every number behind it one; seen once, before any is expanded. */
#include <string.h>

#include "format/gguf.h"

#define CHUNK 4096 /* blocks a thread looks at between two tests */

/* Exponent bits all set: infinite, or no number. */
static bool is_bad(const uint8_t *half) {
    uint16_t h;
    memcpy(&h, half, sizeof h);
    return (h & 0x7c00) == 0x7c00;
}

static bool block_is_bad(const uint8_t *block, const struct dtype_info *info) {
    bool bad = false;
    for (size_t k = 0; k < info->factors; k++) bad |= is_bad(block + info->factor_at[k]);
    return bad;
}

/* The first block of the tensor that has such a factor, or their number. */
static size_t first_bad(const struct gguf_tensor *t, size_t blocks) {
    const struct dtype_info *info = &dtype_table[t->type];
    const uint8_t *data = t->data;
    size_t first = blocks;
#pragma omp parallel for schedule(static) reduction(min : first)
    for (size_t from = 0; from < blocks; from += CHUNK) {
        const size_t to = blocks - from < CHUNK ? blocks : from + CHUNK;
        bool bad = false;
        for (size_t b = from; b < to; b++) bad |= block_is_bad(data + b * info->block_bytes, info);
        for (size_t b = from; bad && b < to; b++)
            if (block_is_bad(data + b * info->block_bytes, info)) {
                if (b < first) first = b;
                break;
            }
    }
    return first;
}

status gguf_check_scales(const struct gguf *g) {
    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        const struct dtype_info *info = &dtype_table[t->type];
        if (!info->factors) continue;
        const size_t row = t->cols / info->block, blocks = t->rows * row, at = first_bad(t, blocks);
        if (at == blocks) continue;
        const size_t byte = (size_t)((const char *)t->data - (const char *)g->map.data) + at * info->block_bytes;
        return FAIL(ST_FORMAT,
                    "%s: byte %zu: tensor '%.*s', row %zu, block %zu of its %zu: a %s block with a factor that is NaN or infinite; "
                    "the file is damaged",
                    g->path, byte, (int)(t->name.size < 100 ? t->name.size : 100), t->name.data, at / row, at % row, row, info->name);
    }
    return ST_OK;
}
