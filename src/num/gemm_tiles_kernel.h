/* gemm_tiles_kernel: included by gemm_amx.c, gemm_bf16.c and gemm_avx512.c, which include their unit (tiles.h) and define GEMM_TILES_RUN.
 * Blocks of 32 x 32 outputs; a strip of b stays in the second-level cache while rows of a pass by. */
#include <omp.h>
#include <string.h>

#include "num/lanes16.h"

#define TASK_ROWS 128
#define PLAIN_ROWS 256 /* at least, where the task packs b itself */
#define PLAIN_COLUMNS 96
#define STEPS_MOST 128 /* of 32 along K at a time: longer sums are made in even parts */
#define STEPS_MOST_FP32 48

static size_t second_of(const struct gemm_tiles *g, size_t j) { return g->half_offset ? j + g->half_offset : j + 16; }

static size_t planes_of(const struct gemm_tiles *g) { return g->planes ? g->planes : 1; }

/* Where the tiles of b's columns lie: column j in `first`, whose tiles begin with column `origin`; for the second of a pair of columns
 * alike. A strip that was packed for the purpose holds [from, from + steps) of the rows only. */
struct columns {
    const uint16_t *first, *second;
    const uint8_t *used, *second_used; /* of each tile (tiles_parts) */
    size_t origin, second_origin, all, from;
};

static void product_steps(const struct gemm_tiles *g, const struct columns *b, size_t i, size_t rows, size_t j, size_t second, size_t from,
                          size_t steps, bool last, struct tiles_beside *beside) {
    const size_t planes = planes_of(g), tile = planes * TILE_ELEMENTS, extra = g->k2 / 32;
    const size_t t0 = (j - b->origin) / 16 * b->all + from - b->from, t1 = (second - b->second_origin) / 16 * b->all + from - b->from;
    const uint8_t *used0 = b->used ? b->used + t0 : NULL, *used1 = b->used ? b->second_used + t1 : NULL;
    tiles_steps_of(planes, g->a + i * g->lda + from * 32 * planes, g->lda, b->first + t0 * tile, b->second + t1 * tile, used0, used1, steps,
                   rows, beside);
    if (!last || !g->a2) return;
    tiles_steps_of(planes, g->a2 + i * g->lda2, g->lda2, g->b2 + j / 16 * extra * tile, g->b2 + second / 16 * extra * tile, NULL, NULL,
                   extra, rows, NULL);
}

/* c[rows, cols] = or += what the tiles hold, by way of a buffer of their size. Sums over blocks of K are added up apart, in this way: one
 * long chain of additions would round more. */
static void store_through(float *c, size_t ldc, size_t rows, size_t cols, bool add) {
    _Alignas(64) float block[GEMM_TILES_BLOCK * GEMM_TILES_BLOCK];
    tiles_sums_store(block, 32, rows, 16);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < cols; j++) c[r * ldc + j] = add ? c[r * ldc + j] + block[r * 32 + j] : block[r * 32 + j];
}

static void load_through(const float *init, size_t ld, size_t rows, size_t cols) {
    _Alignas(64) float block[GEMM_TILES_BLOCK * GEMM_TILES_BLOCK] = {0};
    for (size_t r = 0; r < rows; r++) memcpy(block + r * 32, init + r * ld, cols * sizeof(float));
    tiles_sums_load(block, 32, rows, 16);
}

/* Where a finished block waits while the next is computed. */
struct waiting {
    _Alignas(64) float block[2][GEMM_TILES_BLOCK * GEMM_TILES_BLOCK];
    size_t used;
};

static void finish_beside(struct waiting *w, struct tiles_beside *beside, size_t i, size_t rows, size_t j, size_t second, size_t steps) {
    tiles_finish_rows(beside, GEMM_TILES_BLOCK);
    w->used ^= 1;
    tiles_sums_store(w->block[w->used], 32, rows, 16);
    beside->block = w->block[w->used], beside->i = i, beside->left = rows, beside->j = j, beside->second = second,
    beside->finish_each = (rows + steps - 1) / steps;
}

static void one_block(const struct gemm_tiles *g, const struct columns *b, size_t i, size_t rows, size_t j, size_t from, size_t steps,
                      bool last, struct tiles_beside *beside, struct waiting *w) {
    const size_t second = second_of(g, j), cols = g->n - j < 32 ? g->n - j : 32;
    const bool edge = !g->half_offset && cols < 32 && !g->finish;
    float *c = g->c ? g->c + i * g->ldc + j : NULL;
    if (!g->init || from || g->add)
        tiles_sums_zero();
    else if (edge)
        load_through(g->init + i * g->ld_init + j, g->ld_init, rows, cols);
    else
        tiles_sums_load(g->init + i * g->ld_init + j, g->ld_init, rows, second - j);
    product_steps(g, b, i, rows, j, second, from, steps, last, beside);
    if (last && g->finish)
        finish_beside(w, beside, i, rows, j, second, steps);
    else if (edge || from || g->add)
        store_through(c, g->ldc, rows, cols, from || g->add);
    else
        tiles_sums_store(c, g->ldc, rows, second - j);
}

static size_t width_of(const struct gemm_tiles *g) { return g->half_offset ? 16 : 32; }
static size_t columns_of(const struct gemm_tiles *g) { return g->half_offset ? g->half_offset : g->n; }
static size_t all_steps(const struct gemm_tiles *g) { return size_round_up(g->k, 32) / 32; }
static size_t most_steps(const struct gemm_tiles *g) {
    const size_t all = all_steps(g), most = planes_of(g) == 1 ? STEPS_MOST : STEPS_MOST_FP32,
                 parts = g->finish ? 1 : (all + most - 1) / most;
    return (all + parts - 1) / parts;
}

/* Rows of the block that begins with row i; 0 behind the last. */
static size_t rows_at(size_t i, size_t to) { return i >= to ? 0 : to - i < 32 ? to - i : 32; }

/* What is touched next at (i, j), where `rows` rows are: the sums of a block, or what the function behind it reads and writes. */
static void look_ahead(struct tiles_beside *beside, const struct gemm_tiles *g, size_t i, size_t j, size_t rows, size_t from,
                       size_t steps) {
    beside->count = beside->written = 0, beside->rows = rows, beside->each = (rows + steps - 1) / steps;
    if (!rows) return;
    if (g->finish) {
        if (g->look) g->look(g->context, beside, i, j, second_of(g, j));
        return;
    }
    for (size_t line = 0; line < 32; line += 16) tiles_look_at(beside, g->c + i * g->ldc + j + line, g->ldc * sizeof(float), true);
    for (size_t line = 0; line < 32 && g->init && !from && !g->add; line += 16)
        tiles_look_at(beside, g->init + i * g->ld_init + j + line, g->ld_init * sizeof(float), false);
}

/* Rows [i, to) by columns [j_from, j_to) and steps [from, from + steps): b's strip is read once a row block, from the second-level cache.
 */
static void run_rows(const struct gemm_tiles *g, const struct columns *b, size_t i, size_t to, size_t j_from, size_t j_to, size_t from,
                     size_t steps) {
    const bool last = from + steps == all_steps(g);
    struct tiles_beside beside = {.finish = g->finish, .context = g->context};
    struct waiting waiting = {.used = 0};
    size_t configured = 0;
    for (size_t r = i; r < to; r += 32) {
        const size_t rows = rows_at(r, to);
        if (rows != configured) tiles_begin(configured = rows);
        for (size_t j = j_from; j < j_to; j += width_of(g)) {
            if (g->finish || j + 32 < j_to) /* a function comes to this block while the next is computed */
                look_ahead(&beside, g, r, g->finish ? j : j + 32, rows, from, steps);
            else
                look_ahead(&beside, g, r + 32, j_from, rows_at(r + 32, to), from, steps);
            one_block(g, b, r, rows, j, from, steps, last, &beside, &waiting);
        }
    }
    tiles_finish_rows(&beside, GEMM_TILES_BLOCK);
}

static void run_packed(const struct gemm_tiles *g, size_t i, size_t to, size_t j_from, size_t j_to) {
    const struct columns b = {.first = g->b, .second = g->b, .all = g->b_steps ? g->b_steps : all_steps(g)};
    for (size_t from = 0; from < all_steps(g); from += most_steps(g)) {
        const size_t left = all_steps(g) - from;
        run_rows(g, &b, i, to, j_from, j_to, from, left < most_steps(g) ? left : most_steps(g));
    }
}

/* --- b as floats: the thread that takes a strip packs it first, into its own second-level cache --- */

static void pack_columns(const struct gemm_tiles *g, uint16_t *out, uint8_t *used, float *rows, size_t k_from, size_t k, size_t j,
                         size_t n) {
    if (g->plain)
        gemm_tiles_pack_here(out, used, g->plain + (g->transposed ? j * g->ld_plain + k_from : k_from * g->ld_plain + j), g->ld_plain,
                             g->transposed, k, n, planes_of(g));
    else
        gemm_tiles_pack_made_here(out, used, g->make, g->source, g->first + j, n, g->k, k_from, k, planes_of(g), rows);
}

static void run_plain(const struct gemm_tiles *g, size_t i, size_t to, size_t j_from, size_t j_to) {
    const size_t width = j_to - j_from;
    const struct tiles_room room = tiles_room_of(g->k);
    char *own = (char *)g->strips + (size_t)omp_get_thread_num() * room.all;
    uint16_t *strip = (uint16_t *)(void *)own;
    uint8_t *used = (uint8_t *)own + room.tiles;
    float *rows = (float *)(void *)(own + room.tiles + room.used);
    for (size_t from = 0; from < all_steps(g); from += most_steps(g)) {
        const size_t left = all_steps(g) - from, steps = left < most_steps(g) ? left : most_steps(g);
        const size_t k = g->k - from * 32 < steps * 32 ? g->k - from * 32 : steps * 32;
        uint16_t *second = strip + size_round_up(width, 32) * steps * 32 * planes_of(g);
        const size_t tiles = size_round_up(width, 32) / 16 * steps;
        struct columns b = {.first = strip,
                            .second = strip,
                            .used = used,
                            .second_used = used,
                            .origin = j_from,
                            .second_origin = j_from,
                            .all = steps,
                            .from = from};
        pack_columns(g, strip, used, rows, from * 32, k, j_from, width);
        if (g->half_offset) {
            pack_columns(g, second, used + tiles, rows, from * 32, k, j_from + g->half_offset, width);
            b.second = second, b.second_used = used + tiles, b.second_origin = j_from + g->half_offset;
        }
        run_rows(g, &b, i, to, j_from, j_to, from, steps);
    }
}

/* What one thread takes at a time: `rows` by `columns`. */
struct task {
    size_t rows, columns;
};

/* Columns: as many as the cache holds. Enough tasks that a core which is slower for a while (its tiles shared with another machine's work,
 * say) holds up nobody; but each packs its strip of b anew, so that not too few rows go by it. */
static struct task task_of(const struct gemm_tiles *g) {
    const size_t width = width_of(g), columns = columns_of(g), want = 4 * (size_t)omp_get_max_threads();
    size_t strip = TILES_STRIP / (most_steps(g) * 32 * planes_of(g) * sizeof(uint16_t) * (g->half_offset ? 2 : 1)) / 32 * 32;
    if (strip < 2 * width) strip = 2 * width;
    if (!g->b && planes_of(g) == GEMM_TILES_WHOLE) { /* reading a again costs next to nothing, packing b again does */
        const size_t even = size_round_up((columns + want - 1) / want, 32), narrow = even < PLAIN_COLUMNS ? PLAIN_COLUMNS : even;
        if (narrow < strip) strip = narrow;
    }
    const size_t strips = (columns + strip - 1) / strip;
    if (!g->b) {
        const size_t parts = (want + strips - 1) / strips, most = (g->m + PLAIN_ROWS - 1) / PLAIN_ROWS, n = parts < most ? parts : most;
        return (struct task){size_round_up((g->m + n - 1) / n, 32), size_round_up((columns + strips - 1) / strips, 32)};
    }
    const size_t row_tasks = (g->m + TASK_ROWS - 1) / TASK_ROWS;
    if (row_tasks < want) { /* few rows: more tasks along the columns */
        const size_t more = (want + row_tasks - 1) / row_tasks, most = size_round_up((columns + more - 1) / more, width);
        if (most < strip) strip = most;
    }
    return (struct task){TASK_ROWS, strip};
}

void GEMM_TILES_RUN(const struct gemm_tiles *g) {
    const struct task t = task_of(g);
    const size_t columns = columns_of(g), strips = (columns + t.columns - 1) / t.columns, row_tasks = (g->m + t.rows - 1) / t.rows;
    CHECK((!g->a2 || g->k2 % 32 == 0) && (!g->finish || g->b || g->k <= TILES_FINISHED_K));
#pragma omp parallel for schedule(dynamic, 1) if (row_tasks * strips > 1)
    for (size_t task = 0; task < row_tasks * strips; task++) {
        const size_t j = task / row_tasks * t.columns, i = task % row_tasks * t.rows, to = i + t.rows < g->m ? i + t.rows : g->m,
                     end = j + t.columns < columns ? j + t.columns : columns;
        if (g->b)
            run_packed(g, i, to, j, end);
        else
            run_plain(g, i, to, j, end);
        tiles_end();
    }
}
