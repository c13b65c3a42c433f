/* Where a completion begins when the prompt's ids are no prefix of it: as TRL 1.16 cuts pairs (tests/oracle/make_prefix.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "data/encode.h"
#include "data/source.h"

static void same_ids(const struct ids *got, struct json row, const char *field) {
    struct json key, v, want = json_get(row, field);
    struct json_iter it = json_iter_begin(want);
    assert_int_equal(got->count, json_count(want));
    for (size_t i = 0; json_iter_next(&it, &key, &v); i++) {
        int64_t id = -1;
        assert_true(json_int(&id, v) && id == got->data[i]);
    }
}

static void pairs_begin_where_trl_has_it(void **state) {
    (void)state;
    struct encoder e;
    struct encoded x = {0};
    struct record r = {0};
    struct buf text = {0}, plain = {0};
    struct json rows, key, row;
    size_t moved = 0, seen = 0;
    assert_int_equal(encoder_open(&e, TEST_SOURCE_DIR "/golden/llama_tiny"), ST_OK);
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/prefix/cases.json"), ST_OK);
    assert_int_equal(json_parse(&rows, text.data, text.size), ST_OK);
    struct json_iter it = json_iter_begin(rows);
    for (; json_iter_next(&it, &key, &row); seen++) {
        struct json only, prompt = json_get(row, "prompt"), chosen = json_get(row, "chosen"), rejected = json_get(row, "rejected");
        buf_clear(&plain); /* without the ids, which would be taken as they are */
        buf_printf(&plain, "{\"prompt\": %.*s, \"chosen\": %.*s, \"rejected\": %.*s}", (int)prompt.size, prompt.text, (int)chosen.size,
                   chosen.text, (int)rejected.size, rejected.text);
        assert_int_equal(json_parse(&only, plain.data, plain.size), ST_OK);
        assert_int_equal(source_read_row(&r, only), ST_OK);
        assert_int_equal(encode_record(&x, &e, &r), ST_OK);
        same_ids(&x.prompt, row, "prompt_ids");
        same_ids(&x.chosen, row, "chosen_ids");
        same_ids(&x.rejected, row, "rejected_ids");
        moved += x.prefix_mismatch;
    }
    assert_true(seen >= 8 && moved >= 3);
    buf_release(&text);
    buf_release(&plain);
    record_release(&r);
    encoded_release(&x);
    encoder_release(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs_begin_where_trl_has_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
