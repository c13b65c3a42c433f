#include "train/order.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"

struct keyed {
    int64_t source;
    uint32_t row;
};

static int by_source(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    if (x->source != y->source) return x->source < y->source ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Rows sorted by source; NULL unless they fall into pairs. Caller frees. */
static struct keyed *sorted_pairs(const struct loaded *data) {
    if (data->count % 2) return NULL;
    struct keyed *k = mem_alloc(data->count * sizeof *k);
    for (size_t i = 0; i < data->count; i++) k[i] = (struct keyed){data->rows[i].source_row, (uint32_t)i};
    qsort(k, data->count, sizeof *k, by_source);
    for (size_t i = 0; i < data->count; i += 2)
        if (k[i].source < 0 || k[i].source != k[i + 1].source || (i + 2 < data->count && k[i + 2].source == k[i].source)) {
            free(k);
            return NULL;
        }
    return k;
}

bool order_can_pair(const struct loaded *data) {
    struct keyed *k = sorted_pairs(data);
    free(k);
    return k != NULL && data->count > 0;
}

status order_epoch(uint32_t *out, const struct loaded *data, enum order_kind kind, uint64_t seed, uint64_t epoch) {
    struct rng r = rng_at(seed, 0x6f72646572u, epoch, 0);
    if (kind != ORDER_PAIRED) {
        for (size_t i = 0; i < data->count; i++) out[i] = (uint32_t)i;
        if (kind == ORDER_SHUFFLED) rng_shuffle(&r, out, data->count);
        return ST_OK;
    }
    struct keyed *k = sorted_pairs(data);
    if (!k)
        return FAIL(ST_USAGE, "--order paired needs relabelled data, two rows of each source_row (rapt augment --mode own writes them); use --order shuffled");
    size_t pairs = data->count / 2;
    uint32_t *index = mem_alloc(pairs * sizeof *index);
    for (size_t i = 0; i < pairs; i++) index[i] = (uint32_t)i;
    rng_shuffle(&r, index, pairs);
    for (size_t i = 0; i < pairs; i++) {
        out[2 * i] = k[2 * (size_t)index[i]].row;
        out[2 * i + 1] = k[2 * (size_t)index[i] + 1].row;
    }
    free(index);
    free(k);
    return ST_OK;
}

/* The same response, as far as both are kept: behind a longer prompt more of it was cut. */
static bool same_response(const struct loaded *d, size_t row, size_t j, size_t other, size_t k) {
    const struct loaded_response *a = loaded_response(d, row, j), *b = loaded_response(d, other, k);
    const size_t n = (size_t)(a->count < b->count ? a->count : b->count);
    return memcmp(loaded_sequence(d, row, j) + a->prompt, loaded_sequence(d, other, k) + b->prompt, n * sizeof(int32_t)) == 0;
}

status order_check_halves(const struct loaded *data, const uint32_t *order, const char *path) {
    for (size_t i = 0; i < data->count; i += 2) {
        const size_t a = order ? order[i] : i, b = i + 1 == data->count ? a : order ? order[i + 1] : i + 1;
        const struct loaded_row *x = &data->rows[a], *y = &data->rows[b];
        const bool halves = a != b && x->source_row >= 0 && x->source_row == y->source_row && x->responses == 2 && y->responses == 2 &&
                            same_response(data, a, 0, b, 1) && same_response(data, a, 1, b, 0);
        if (!halves)
            return FAIL(ST_MISMATCH, "%s:%" PRIu64 ": this loss takes the two halves of a pair together, and the row has no other half beside it: of the same "
                                     "source_row, with the responses swapped (rapt augment --mode own writes both)", path, x->line);
    }
    return ST_OK;
}
