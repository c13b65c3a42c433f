/* Fuzz target: any bytes as a cache file. What is opened finds its keys, takes another answer, and then opens again without a torn line. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "net/cache.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = scratch();
    struct cache c;
    struct buf answer = {0};
    bool found;
    CHECK(file_write(path, data, size) == ST_OK);
    if (cache_open(&c, path) != ST_OK) {
        CHECK(file_size_bytes(path) == size); /* what is refused is left alone */
        return 0;
    }
    for (size_t i = 0; i < c.room; i++)
        if (c.items[i].key[0]) CHECK(cache_get(&found, &answer, &c, c.items[i].key) == ST_OK && found);
    const size_t count = c.count;
    const struct json value = {"[1, {\"a\":\n2}]", 13};
    char key[HASH_HEX_SIZE];
    cache_key(key, data, size);
    CHECK(cache_put(&c, key, value) == ST_OK);
    cache_release(&c);
    CHECK(cache_open(&c, path) == ST_OK && !c.torn && c.count >= count && c.count <= count + 1);
    CHECK(cache_get(&found, &answer, &c, key) == ST_OK && found);
    cache_release(&c);
    buf_release(&answer);
    return 0;
}
