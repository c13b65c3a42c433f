/* The order of rows: every row once an epoch, a pair's rows together, and pairs of unequal numbers of goals seldom divided between two
 * steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "train/order.h"

#define ROWS_MOST 4096

static struct loaded_row rows[ROWS_MOST];
static struct loaded data = {.rows = rows};
static uint32_t order[ROWS_MOST];

/* Sources 0, 1, ... with so many rows each in turn; their rows stand apart in the file. */
static void make(size_t sources, const size_t *sizes, size_t size_count) {
    size_t least = 0, n = 0;
    for (size_t round = 0; round < 8; round++)
        for (size_t i = 0; i < sources; i++)
            if (round < sizes[i % size_count])
                rows[n++] = (struct loaded_row){.source_row = (int64_t)(1000 - i), .responses = 2, .goal_of = (int)round};
    data.count = n;
    for (size_t i = 0; i < n; i++) least += rows[i].goal_of == 0;
    assert_int_equal(least, sources);
}

/* Every row once, those of a source side by side in the file's order. Returns how many sources lie in two steps. */
static size_t check(size_t step_rows) {
    static bool seen[ROWS_MOST];
    size_t divided = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0, j; i < data.count; i = j) {
        const int64_t source = rows[order[i]].source_row;
        for (j = i; j < data.count && rows[order[j]].source_row == source; j++) {
            assert_false(seen[order[j]]);
            seen[order[j]] = true;
            assert_int_equal(rows[order[j]].goal_of, j - i);
        }
        divided += i / step_rows != (j - 1) / step_rows;
    }
    for (size_t i = 0; i < data.count; i++) assert_true(seen[i]);
    return divided;
}

static void pairs_stay_together(void **state) {
    (void)state;
    make(100, (size_t[]){2}, 1);
    assert_true(order_can_pair(&data));
    uint32_t before[ROWS_MOST];
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        assert_int_equal(order_epoch(order, &data, ORDER_PAIRED, 7, epoch, 8), ST_OK);
        assert_int_equal(check(8), 0);
        if (epoch) assert_memory_not_equal(order, before, data.count * sizeof *order);
        memcpy(before, order, data.count * sizeof *order);
    }
    assert_int_equal(order_epoch(order, &data, ORDER_PAIRED, 7, 1, 3), ST_OK); /* steps that pairs do not fill change nothing */
    assert_memory_equal(order, before, data.count * sizeof *order);
}

static void several_goals(void **state) {
    (void)state;
    make(300, (size_t[]){2, 3, 4, 3}, 4);
    assert_true(order_can_pair(&data));
    assert_int_equal(order_epoch(order, &data, ORDER_PAIRED, 7, 0, 8), ST_OK);
    const size_t divided = check(8);
    assert_true(divided <= 12); /* of 300: in a shuffle without regard to steps about a quarter, 75 */
    assert_int_equal(order_epoch(order, &data, ORDER_PAIRED, 7, 0, data.count + 1), ST_OK);
    assert_int_equal(check(data.count + 1), 0);
}

static void what_cannot_be_paired(void **state) {
    (void)state;
    make(4, (size_t[]){2, 1}, 2); /* one without another goal */
    assert_false(order_can_pair(&data));
    assert_int_equal(order_epoch(order, &data, ORDER_PAIRED, 7, 0, 8), ST_USAGE);
    make(4, (size_t[]){3}, 1);
    assert_true(order_can_pair(&data));
    rows[5].responses = 1; /* responses one by one */
    assert_false(order_can_pair(&data));
    make(4, (size_t[]){2}, 1);
    rows[3].source_row = -1;
    assert_false(order_can_pair(&data));
    data.count = 0;
    assert_false(order_can_pair(&data));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs_stay_together), cmocka_unit_test(several_goals),
                                       cmocka_unit_test(what_cannot_be_paired)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
