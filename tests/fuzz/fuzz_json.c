/* Fuzz target: json_parse on any bytes; what it accepts is walked, decoded and written again, and must read back. */
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sink;

static void walk(struct json value, int depth) {
    CHECK(depth <= JSON_DEPTH_MAX);
    struct buf text = {0}, written = {0}, again = {0};
    double d = 0;
    int64_t i = 0;
    if (json_string(&text, value)) {
        struct json back = {0};
        json_put_string(&written, buf_text(&text), text.size);
        CHECK(json_parse(&back, written.data, written.size) == ST_OK);
        CHECK(json_string(&again, back) && again.size == text.size && memcmp(buf_text(&again), buf_text(&text), text.size) == 0);
    }
    if (json_double(&d, value) && json_int(&i, value)) sink = d + (double)i;
    buf_release(&text);
    buf_release(&written);
    buf_release(&again);
    size_t count = 0;
    struct json key, item;
    for (struct json_iter it = json_iter_begin(value); json_iter_next(&it, &key, &item); count++) walk(item, depth + 1);
    CHECK(count == json_count(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *exact = malloc(size ? size : 1); /* exactly sized: a read past the end is seen */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    struct json value;
    if (json_parse(&value, exact, size) == ST_OK) walk(value, 0);
    free(exact);
    return 0;
}
