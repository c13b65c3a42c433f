/* Rows to packs: what rows have in common counts once, pairs of rows that share their prompt stay together, and nothing exceeds its room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "train/batch.h"

#define OPENING 8   /* ids that all rows begin with */
#define PROMPT 60   /* then those of a prompt, which two rows share */
#define GOAL 2      /* then a row's own */
#define RESPONSE 20 /* two a row, the same texts for both rows of a prompt */
#define ROWS 6

enum { LENGTH = OPENING + PROMPT + GOAL + RESPONSE, PAIR = OPENING + PROMPT + 2 * (GOAL + 2 * RESPONSE) };

struct rows {
    struct loaded data;
    struct loaded_row row[ROWS];
    struct loaded_response response[2 * ROWS];
    int32_t ids[2 * ROWS * LENGTH];
};

static void put(int32_t **at, int32_t first, int32_t count) {
    for (int32_t i = 0; i < count; i++) *(*at)++ = first + i;
}

/* Rows 0 and 1 have one prompt, 2 and 3, 4 and 5. */
static void make(struct rows *r) {
    memset(r, 0, sizeof *r);
    int32_t *at = r->ids;
    for (int32_t i = 0; i < 2 * ROWS; i++) {
        const int32_t row = i / 2;
        r->response[i] = (struct loaded_response){.at = (size_t)(at - r->ids), .prompt = OPENING + PROMPT + GOAL, .count = RESPONSE};
        put(&at, 0, OPENING);
        put(&at, 1000 + row / 2 * 100, PROMPT);
        put(&at, 5000 + row * 10, GOAL);
        put(&at, 9000 + i % 2 * 100, RESPONSE);
        r->row[row] =
            (struct loaded_row){.first = (size_t)row * 2, .responses = 2, .prompt = OPENING + PROMPT + GOAL, .line = (uint64_t)row + 1};
    }
    r->data = (struct loaded){.ids = {.data = r->ids, .count = 2 * ROWS * LENGTH},
                              .rows = r->row,
                              .count = ROWS,
                              .responses = r->response,
                              .response_count = 2 * ROWS,
                              .longest = LENGTH};
}

static const uint32_t all[ROWS] = {0, 1, 2, 3, 4, 5};

static void pack(struct seqtree *tree, size_t *taken, const struct rows *r, size_t from, size_t budget, bool share) {
    assert_int_equal(batch_tree_init(tree, budget), ST_OK);
    assert_int_equal(batch_pack(tree, taken, &r->data, all + from, ROWS - from, budget, share, false), ST_OK);
    assert_true((size_t)tree->node_count <= budget);
    assert_int_equal(tree->sequence_count, 2 * *taken);
}

static void what_is_shared_counts_once(void **state) {
    (void)state;
    struct rows r;
    struct seqtree tree;
    size_t taken;
    make(&r);
    const size_t whole = OPENING + ROWS / 2 * (PAIR - OPENING);
    pack(&tree, &taken, &r, 0, whole, true);
    assert_int_equal(taken, ROWS);
    assert_int_equal(tree.node_count, whole);
    seqtree_release(&tree);
    assert_true(batch_fits(&r.data, all, ROWS, whole, true, false));
    assert_false(batch_fits(&r.data, all, ROWS, whole - 1, true, false));
    pack(&tree, &taken, &r, 0, 4 * LENGTH, false); /* without sharing two rows are four sequences */
    assert_int_equal(taken, 2);
    assert_int_equal(tree.node_count, 4 * LENGTH);
    seqtree_release(&tree);
}

static void the_rows_of_a_prompt_stay_together(void **state) {
    (void)state;
    struct rows r;
    struct seqtree tree;
    size_t taken;
    make(&r);
    /* a third row would fit, and be parted from the fourth */
    const size_t budget = PAIR + PROMPT + GOAL + 2 * RESPONSE;
    pack(&tree, &taken, &r, 0, budget, true);
    assert_int_equal(taken, 2);
    assert_int_equal(tree.node_count, PAIR);
    seqtree_release(&tree);
    /* from the middle of a pair on: its second row and the next pair, not the row behind that */
    pack(&tree, &taken, &r, 1, OPENING + 2 * (PAIR - OPENING) + 1, true);
    assert_int_equal(taken, 3);
    seqtree_release(&tree);
}

static void scored_entries_have_room_too(void **state) {
    (void)state;
    struct rows r;
    struct seqtree tree;
    size_t taken;
    make(&r);
    /* the same row six times: hardly more positions than one, but six times its entries */
    for (int i = 1; i < ROWS; i++) r.row[i].first = 0;
    const size_t budget = 4 * RESPONSE + OPENING + PROMPT + GOAL;
    assert_int_equal(batch_tree_init(&tree, budget), ST_OK);
    assert_int_equal(batch_pack(&tree, &taken, &r.data, all, ROWS, budget, true, false), ST_OK);
    assert_int_equal(tree.node_count, OPENING + PROMPT + GOAL + 2 * RESPONSE);
    assert_true((size_t)tree.score_count <= budget);
    assert_int_equal(taken, 3);
    seqtree_release(&tree);
}

static void a_row_that_is_too_long_is_an_error(void **state) {
    (void)state;
    struct rows r;
    struct seqtree tree;
    size_t taken;
    make(&r);
    assert_int_equal(batch_tree_init(&tree, LENGTH), ST_OK);
    assert_int_equal(batch_pack(&tree, &taken, &r.data, all, ROWS, LENGTH, true, false), ST_UNSUPPORTED);
    seqtree_release(&tree);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shared_counts_once),
        cmocka_unit_test(the_rows_of_a_prompt_stay_together),
        cmocka_unit_test(scored_entries_have_room_too),
        cmocka_unit_test(a_row_that_is_too_long_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
