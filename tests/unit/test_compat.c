#define _POSIX_C_SOURCE 200809L
/* Token ids and scored tokens of pairs under --compat, against what the functions of TRL 0.24.0 and 0.8.2 themselves give
 * (tests/oracle/make_compat.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"
#include "row_folder.h"

static void put_model(struct json model) {
    char *name = json_text(json_get(model, "tokenizer"));
    struct buf path = {0}, text = {0};
    buf_printf(&path, "%s/golden/tokenizer/%s", TEST_SOURCE_DIR, name);
    assert_int_equal(file_read(&text, buf_text(&path)), ST_OK);
    put(names[0], text.data, text.size);
    struct json config = json_get(model, "config");
    put(names[1], config.text, config.size);
    free(name);
    buf_release(&path);
    buf_release(&text);
}

static void compare_row(const struct loaded *d, size_t row, struct json want, size_t case_at) {
    for (size_t side = 0; side < 2; side++) {
        const struct loaded_response *x = loaded_response(d, row, side);
        const int32_t *ids = loaded_sequence(d, row, side);
        struct json list = item(json_get(want, "ids"), side);
        int64_t from, id;
        assert_true(json_int(&from, item(json_get(want, "from"), side)));
        if (x->prompt != from || (size_t)(x->prompt + x->count) != json_count(list))
            fail_msg("case %zu, row %zu, side %zu: %d + %d tokens, want %lld of %zu before the response", case_at, row, side, x->prompt,
                     x->count, (long long)from, json_count(list));
        struct json_iter it = json_iter_begin(list);
        struct json key, value;
        for (size_t i = 0; json_iter_next(&it, &key, &value); i++)
            if (!json_int(&id, value) || id != ids[i])
                fail_msg("case %zu, row %zu, side %zu: token %zu is %d, want %lld", case_at, row, side, i, ids[i], (long long)id);
    }
}

static void compare_case(struct json one, size_t case_at, const char *rows) {
    char *name = json_text(json_get(one, "compat"));
    struct encoder e;
    struct loaded d;
    struct loader_options o = {.max_length = number(one, "max_length"),
                               .max_prompt = number(one, "max_prompt"),
                               .max_completion = number(one, "max_completion"),
                               .skip_bad = true};
    assert_int_equal(encoder_open(&e, folder), ST_OK);
    e.compat = fit_compat_parse(name);
    assert_int_equal(loaded_read(&d, rows, &e, &o), ST_OK);
    struct json want = json_get(one, "rows"), key, value;
    struct json_iter it = json_iter_begin(want);
    size_t row = 0, cut = 0;
    for (size_t i = 0; json_iter_next(&it, &key, &value); i++) {
        if (json_kind_of(value) == JSON_NULL) continue;
        assert_true(row < d.count && d.rows[row].index == i);
        compare_row(&d, row++, value, case_at);
    }
    assert_true(row == d.count && d.dropped_long == 0);
    cut = d.cut + d.cut_prompt;
    assert_true((o.max_length == 1024) == (cut == 0)); /* what was cut is counted */
    loaded_release(&d);
    encoder_release(&e);
    free(name);
}

static void agrees_with_trl(void **state) {
    (void)state;
    struct buf text = {0}, rows = {0};
    struct json all, key, value;
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/compat/cases.json"), ST_OK);
    while (text.size && text.data[text.size - 1] <= ' ') text.size--;
    assert_int_equal(json_parse(&all, text.data, text.size), ST_OK);
    struct json_iter it = json_iter_begin(json_get(all, "rows"));
    while (json_iter_next(&it, &key, &value)) {
        buf_append(&rows, value.text, value.size);
        buf_append_char(&rows, '\n');
    }
    put(names[2], rows.data, rows.size);
    char *path = file_join(folder, names[2]);
    size_t cases = 0;
    it = json_iter_begin(json_get(all, "cases"));
    while (json_iter_next(&it, &key, &value)) {
        put_model(item(json_get(all, "models"), number(value, "model")));
        compare_case(value, cases++, path);
    }
    assert_true(cases >= 30);
    free(path);
    buf_release(&text);
    buf_release(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_trl)};
    return cmocka_run_group_tests(tests, begin, end);
}
