/* A temporary folder with a tokenizer and rows, as rapt's readers find them; and what tests read from a golden's JSON. */
#ifndef RAPT_TESTS_ROW_FOLDER_H
#define RAPT_TESTS_ROW_FOLDER_H

#include <unistd.h>

#include "base/file.h"
#include "format/json.h"

#define ROW_FILE "rows.jsonl"
static char folder[] = "/tmp/rapt_rows_XXXXXX";
static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", ROW_FILE};

static void put(const char *name, const char *text, size_t size) {
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, text, size), ST_OK);
    free(path);
}

static int begin(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *path = file_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    return rmdir(folder);
}

static size_t number(struct json object, const char *name) {
    int64_t n;
    assert_true(json_int(&n, json_get(object, name)));
    return (size_t)n;
}

static struct json item(struct json array, size_t at) {
    struct json_iter it = json_iter_begin(array);
    struct json key, value = {0};
    for (size_t i = 0; i <= at; i++) assert_true(json_iter_next(&it, &key, &value));
    return value;
}

#endif
