/* The table of forms of rapt export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cmd.h"
#include "export/export.h"

static bool is_option(const char *name, size_t size) {
    for (size_t i = 0; i < cmd_export_spec.row_count; i++) {
        const char *known = cmd_export_spec.rows[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0) return true;
    }
    return false;
}

/* Every word of list is an option of the command. */
static void check_options(const char *list) {
    while (list && *list) {
        size_t n = strcspn(list, ",");
        assert_true(is_option(list, n));
        list += n + (list[n] == ',');
    }
}

static const char *choices_of(const char *name) {
    for (size_t i = 0; i < cmd_export_spec.row_count; i++)
        if (strcmp(cmd_export_spec.rows[i].name, name) == 0) return cmd_export_spec.rows[i].choices;
    return "";
}

static void table(void **state) {
    (void)state;
    for (size_t i = 0; i < export_count; i++) {
        const struct export_format *f = &export_table[i];
        assert_ptr_equal(export_find(f->name), f);
        assert_non_null(f->run);
        assert_true(export_list_has(choices_of("format"), f->name, '|'));
        check_options(f->needs);
        check_options(f->takes);
        assert_non_null(strstr(f->example, "--format"));
        assert_non_null(strstr(f->example, f->name));
        for (const char *d = f->dtypes; d && *d;) { /* what --dtype parses */
            char word[16] = {0};
            const size_t n = strcspn(d, "|");
            assert_true(n < sizeof word);
            memcpy(word, d, n);
            assert_true(export_list_has(choices_of("dtype"), word, '|'));
            d += n + (d[n] == '|');
        }
    }
    assert_null(export_find("nothing"));
}

static void lists(void **state) {
    (void)state;
    assert_true(export_list_has("a,bc,d", "bc", ','));
    assert_true(export_list_has("a,bc,d", "d", ','));
    assert_false(export_list_has("a,bc,d", "b", ','));
    assert_false(export_list_has("", "b", ','));
    assert_false(export_list_has(NULL, "b", ','));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
