/* The packed tree: sharing, scored entries, capacities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "num/seqtree.h"

static const int32_t a[] = {1, 2, 3, 4, 5}, b[] = {1, 2, 3, 9}, c[] = {1, 7};

static void shares_prefixes(void **state) {
    (void)state;
    struct seqtree t;
    const int32_t *ids[] = {a, b, c};
    const int32_t sizes[] = {5, 4, 2}, from[] = {3, 3, 1};
    assert_int_equal(seqtree_init(&t, 16, 8, 16), ST_OK);
    assert_int_equal(seqtree_build(&t, ids, sizes, from, 3, true), ST_OK);
    assert_int_equal(t.node_count, 7); /* 1, 2 3, 4 5, 9, 7 */
    assert_int_equal(t.segment_count, 5);
    static const int32_t want_ids[] = {1, 2, 3, 4, 5, 9, 7}, want_depth[] = {0, 1, 2, 3, 4, 3, 1}, want_parent[] = {-1, 0, 1, 1, 0};
    for (int i = 0; i < 7; i++) assert_int_equal(t.ids[i], want_ids[i]), assert_int_equal(t.depth[i], want_depth[i]);
    for (int i = 0; i < 5; i++) assert_int_equal(t.segments[i].parent, want_parent[i]);
    /* scored: c's 7 from node 0; a's 4 and b's 9 from node 2; a's 5 from node 3 */
    assert_int_equal(t.score_count, 4);
    static const int32_t want[][3] = {{0, 7, 2}, {2, 4, 0}, {2, 9, 1}, {3, 5, 0}};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.scores[i].node, want[i][0]);
        assert_int_equal(t.scores[i].target, want[i][1]);
        assert_int_equal(t.scores[i].sequence, want[i][2]);
    }
    assert_int_equal(seqtree_build(&t, ids, sizes, from, 3, false), ST_OK);
    assert_int_equal(t.node_count, 11);
    assert_int_equal(t.segment_count, 3);
    assert_int_equal(t.score_count, 4);
    seqtree_release(&t);
}

static void equal_and_contained_sequences(void **state) {
    (void)state;
    struct seqtree t;
    const int32_t *ids[] = {a, a, a};
    const int32_t sizes[] = {5, 5, 3}, from[] = {1, 2, 1};
    assert_int_equal(seqtree_init(&t, 16, 8, 16), ST_OK);
    assert_int_equal(seqtree_build(&t, ids, sizes, from, 3, true), ST_OK);
    assert_int_equal(t.node_count, 5);
    assert_int_equal(t.segment_count, 2);
    assert_int_equal(t.score_count, 4 + 3 + 2);
    seqtree_release(&t);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    struct seqtree t;
    const int32_t *ids[] = {a, b};
    const int32_t sizes[] = {5, 4}, from[] = {1, 1};
    assert_int_equal(seqtree_init(&t, 5, 8, 16), ST_OK);
    assert_int_equal(seqtree_build(&t, ids, sizes, from, 2, true), ST_NOMEM);
    seqtree_release(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares_prefixes), cmocka_unit_test(equal_and_contained_sequences),
                                       cmocka_unit_test(refuses_what_does_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
