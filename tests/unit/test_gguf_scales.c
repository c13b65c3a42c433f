#define _POSIX_C_SOURCE 200809L
/* A factor that is NaN or infinite, in any block of any quantised tensor, is found before a model is computed with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "format/gguf.h"

static char path[] = "/tmp/rapt_scales_XXXXXX";

static status checked(const struct buf *file) {
    struct gguf g;
    assert_int_equal(file_write(path, file->data, file->size), ST_OK);
    assert_int_equal(gguf_open(&g, path), ST_OK);
    status s = gguf_check_scales(&g);
    gguf_release(&g);
    return s;
}

/* Tensors of every type (tests/oracle/make_gguf_types.py): the first and last block, each factor, each bad number. The expansion of a
 * spoiled block is what says that the table's places are the factors'. */
static void every_factor_is_seen(void **state) {
    (void)state;
    static const uint16_t bad[] = {0x7c00, 0xfc00, 0x7e01, 0xffff};
    struct buf file = {0};
    struct gguf g;
    size_t types = 0;
    assert_int_equal(file_read(&file, TEST_SOURCE_DIR "/golden/gguf_types/types.gguf"), ST_OK);
    assert_int_equal(checked(&file), ST_OK);
    assert_int_equal(gguf_open(&g, TEST_SOURCE_DIR "/golden/gguf_types/types.gguf"), ST_OK);
    for (size_t i = 0; i < g.tensor_count; i++) {
        const struct gguf_tensor *t = &g.tensors[i];
        const struct dtype_info *info = &dtype_table[t->type];
        const size_t blocks = t->rows * (t->cols / info->block), at = (size_t)((const char *)t->data - g.map.data);
        assert_true(info->block == 1 ? info->factors == 0 : info->factors > 0);
        types += info->factors > 0;
        for (size_t k = 0; k < info->factors * 8; k++) {
            const size_t block = k & 1 ? blocks - 1 : 0, place = at + block * info->block_bytes + info->factor_at[k / 8];
            char kept[2], name[64];
            float out[256];
            memcpy(kept, file.data + place, 2);
            memcpy(file.data + place, &bad[k / 2 % 4], 2);
            assert_int_equal(checked(&file), ST_FORMAT);
            snprintf(name, sizeof name, "block with a factor that is NaN or infinite");
            assert_non_null(strstr(status_message(), name));
            snprintf(name, sizeof name, "'%.*s', row %zu, block", (int)t->name.size, t->name.data, block ? t->rows - 1 : 0);
            assert_non_null(strstr(status_message(), name));
            info->expand(out, file.data + at + block * info->block_bytes, info->block);
            size_t spoiled = 0;
            for (size_t e = 0; e < info->block; e++) spoiled += !isfinite(out[e]);
            assert_true(spoiled > info->block / 2);
            memcpy(file.data + place, kept, 2);
        }
    }
    assert_true(types >= 12);
    gguf_release(&g);
    buf_release(&file);
}

static int begin(void **state) {
    (void)state;
    return close(mkstemp(path));
}
static int end(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_factor_is_seen)};
    return cmocka_run_group_tests(tests, begin, end);
}
