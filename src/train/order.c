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

/* The rows of one source_row: a pair under its goals, two or more. */
struct group {
    size_t first, count; /* of the sorted rows */
};
struct groups {
    struct keyed *rows; /* sorted by source */
    struct group *all;
    size_t count;
};

static void groups_release(struct groups *g) {
    free(g->rows);
    free(g->all);
    *g = (struct groups){0};
}

/* Rows alone have no other goal. Of more than two, only pairs: responses that are trained on one by one may share their source_row as well.
 */
static bool is_group(const struct groups *g, const struct group *x, const struct loaded *data) {
    const struct keyed *first = g->rows + x->first;
    if (first->source < 0 || x->count < 2) return false;
    for (size_t i = 0; i < x->count && x->count > 2; i++)
        if (data->rows[first[i].row].responses != 2) return false;
    return true;
}

/* False, and nothing to release, unless all rows fall into groups. */
static bool groups_of(struct groups *g, const struct loaded *data) {
    *g = (struct groups){.rows = mem_alloc(data->count * sizeof *g->rows), .all = mem_alloc(data->count * sizeof *g->all)};
    for (size_t i = 0; i < data->count; i++) g->rows[i] = (struct keyed){data->rows[i].source_row, (uint32_t)i};
    qsort(g->rows, data->count, sizeof *g->rows, by_source);
    for (size_t i = 0, j; i < data->count; i = j) {
        for (j = i + 1; j < data->count && g->rows[j].source == g->rows[i].source;) j++;
        g->all[g->count] = (struct group){i, j - i};
        if (!is_group(g, &g->all[g->count++], data)) {
            groups_release(g);
            return false;
        }
    }
    return true;
}

bool order_can_pair(const struct loaded *data) {
    struct groups g;
    if (!data->count || !groups_of(&g, data)) return false;
    groups_release(&g);
    return true;
}

bool order_any_relabelled(const struct loaded *data) {
    for (size_t i = 0; i < data->count; i++)
        if (data->rows[i].goal_of != 0) return true;
    return false;
}

#define LOOK_AHEAD 64 /* groups */

/* Ends within a step that has room for so many rows more, and leaves no place there that no group fits. */
static bool fits(const struct group *x, size_t room) { return x->count <= room && room - x->count != 1; }

/* The next group: the first of those ahead that fits, else the first of all. It takes its place, the ones before it move on. */
static struct group take_next(const struct groups *g, uint32_t *index, size_t at, size_t room) {
    size_t i = at;
    while (i < g->count && i - at < LOOK_AHEAD && !fits(&g->all[index[i]], room)) i++;
    if (i == g->count || i - at == LOOK_AHEAD) i = at;
    const uint32_t taken = index[i];
    memmove(index + at + 1, index + at, (i - at) * sizeof *index);
    index[at] = taken;
    return g->all[taken];
}

static status order_paired(uint32_t *out, const struct loaded *data, struct rng *r, size_t step_rows) {
    struct groups g;
    if (!groups_of(&g, data))
        return FAIL(ST_USAGE, "--order paired needs relabelled data, two rows or more of each source_row (rapt augment --mode own writes "
                              "them); use --order shuffled");
    uint32_t *index = mem_alloc(g.count * sizeof *index);
    for (size_t i = 0; i < g.count; i++) index[i] = (uint32_t)i;
    rng_shuffle(r, index, g.count);
    for (size_t i = 0, at = 0; i < g.count; i++) {
        const struct group x = take_next(&g, index, i, step_rows - at % step_rows);
        for (size_t k = 0; k < x.count; k++) out[at++] = g.rows[x.first + k].row;
    }
    free(index);
    groups_release(&g);
    return ST_OK;
}

status order_epoch(uint32_t *out, const struct loaded *data, enum order_kind kind, uint64_t seed, uint64_t epoch, size_t step_rows) {
    struct rng r = rng_at(seed, 0x6f72646572u, epoch, 0);
    if (kind == ORDER_PAIRED) return order_paired(out, data, &r, step_rows);
    for (size_t i = 0; i < data->count; i++) out[i] = (uint32_t)i;
    if (kind == ORDER_SHUFFLED) rng_shuffle(&r, out, data->count);
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
            return FAIL(ST_MISMATCH,
                        "%s:%" PRIu64
                        ": this loss takes the two halves of a pair together, and the row has no other half beside it: of the same "
                        "source_row, with the responses swapped (rapt augment --mode own writes both)",
                        path, x->line);
    }
    return ST_OK;
}
