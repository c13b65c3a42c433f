#define _POSIX_C_SOURCE 200809L
/* Rows out of every container: the same rows and line numbers whatever they are packed in; files cut at any byte and damaged ones are
 * errors that name the file; nothing is lost at the borders of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "format/json.h"
#include "format/rows.h"

static char path[] = "/tmp/rapt_rows_XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void put_gzip(struct buf *out, const char *text, size_t size) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, size) + 64;
    assert_int_equal(buf_reserve(out, room), ST_OK);
    struct buf in = {0};
    buf_append(&in, text, size);
    z.next_in = (unsigned char *)in.data, z.avail_in = (unsigned)size;
    z.next_out = (unsigned char *)out->data + out->size, z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->size += z.total_out;
    deflateEnd(&z);
    buf_release(&in);
}

static void put_zstd(struct buf *out, const char *text, size_t size) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    assert_int_equal(buf_reserve(out, ZSTD_compressBound(size)), ST_OK);
    size_t made = ZSTD_compress2(c, out->data + out->size, ZSTD_compressBound(size), text, size);
    assert_false(ZSTD_isError(made));
    out->size += made;
    ZSTD_freeCCtx(c);
}

/* The rows as "LINE:ROW\n", or the error's message. */
static void list(struct buf *out) {
    struct rows_in r;
    const char *text;
    size_t size;
    buf_clear(out);
    status s = rows_open(&r, path);
    while (s == ST_OK && (s = rows_next(&r, &text, &size)) == ST_OK && text) {
        buf_printf(out, "%llu:", (unsigned long long)r.number);
        buf_append(out, text, size);
        buf_append_char(out, '\n');
    }
    if (s == ST_OK) { /* the end stays the end */
        assert_int_equal(rows_next(&r, &text, &size), ST_OK);
        assert_null(text);
        rows_release(&r);
        return;
    }
    assert_true(s == ST_FORMAT || s == ST_UNSUPPORTED);
    buf_printf(out, "!%s", status_message());
    rows_release(&r);
}

static void write_packed(const char *text, size_t size, int packing) {
    struct buf packed = {0};
    if (packing == 1) put_gzip(&packed, text, size);
    if (packing == 2) put_zstd(&packed, text, size);
    if (packing == 3) { /* several members */
        put_gzip(&packed, text, size / 2);
        put_gzip(&packed, "", 0);
        put_gzip(&packed, text + size / 2, size - size / 2);
        buf_append(&packed, "\0\0\0\0\0", 5);
    }
    if (packing == 4) { /* several frames, one to be skipped first */
        buf_append(&packed, "\x5e\x2a\x4d\x18\x03\0\0\0abc", 11);
        put_zstd(&packed, text, size / 2);
        put_zstd(&packed, text + size / 2, size - size / 2);
    }
    if (packing == 0) buf_append(&packed, text, size);
    assert_int_equal(file_write(path, buf_text(&packed), packed.size), ST_OK);
    buf_release(&packed);
}

struct text_case {
    const char *text, *rows; /* rows: as list() gives them; "!..." a part of the error's message */
};
static const struct text_case cases[] = {
    {"", ""},
    {"\n \n", ""},
    {"{\"a\":1}\n\n{\"b\":2}\r\n  {\"c\":[3]}", "1:{\"a\":1}\n3:{\"b\":2}\n4:  {\"c\":[3]}\n"},
    {"\xef\xbb\xbf{\"a\":1}\n", "1:{\"a\":1}\n"},
    {"{\"a\":1}\n[1]\n", "1:{\"a\":1}\n2:[1]\n"},
    {"[]", ""},
    {" [ ] \n", ""},
    {"\xef\xbb\xbf\n[{\"a\":1},{\"a\":2}\n,\n{\n \"a\" :\r\n\"]}\\\"{,\"\n}]\n",
     "2:{\"a\":1}\n2:{\"a\":2}\n4:{  \"a\" :  \"]}\\\"{,\" }\n"},
    {"[1 , \"x\\\\\",null,[[]],-2.5e3]", "1:1\n1:\"x\\\\\"\n1:null\n1:[[]]\n1:-2.5e3\n"},
    {"[\"a\nb\"]", "1:\"a\nb\"\n"}, /* left for json_parse to refuse */
    {"{\"data\":[{\"a\":1}]}", "1:{\"a\":1}\n"},
    {"{\"version\":\"1\",\n\"n\":[{}],\"data\" : [\n{\"a\":1},\n{\"a\":2}], \"more\":{\"x\":[1]},\n\"end\":3 }\n",
     "3:{\"a\":1}\n4:{\"a\":2}\n"},
    {"{\"type\":\"text_only\",\"instances\":[{\"a\":1},{\"a\":2}]}", "1:{\"a\":1}\n1:{\"a\":2}\n"},
    {"{\"data\":[]}", ""},
    {"{\"data\":[{\"a\":1}]}\n{\"data\":[]}\n", "1:{\"data\":[{\"a\":1}]}\n2:{\"data\":[]}\n"},
    {"{\"data\":[1]}\n", "1:{\"data\":[1]}\n"},
    {"{\"text\":\"data\",\"x\":[{}]}\n", "1:{\"text\":\"data\",\"x\":[{}]}\n"},
    {"[{\"a\":1}", "!:1: expected ',' or ']' behind a row, but the file ends"},
    {"[\n{\"a\":1},\n\n{\"a\":", "!:4: the file ends inside the row that begins here"},
    {"[{\"a\":1}\n{\"a\":2}]", "!:2: expected ',' or ']' behind a row, found '{'"},
    {"[{\"a\":1},]", "!:1: expected a row behind ',', found ']'"},
    {"[,]", "!:1: expected a row or ']', found ','"},
    {"[{}]\n[{}]", "!:2: expected the end of the file behind the rows, found '['"},
    {"[}", "!:1: expected a row, found '}'"},
    {"{\"data\":[{}]", "!:1: expected ',' or '}' behind the rows, but the file ends"},
    {"{\"data\":[{}],\n\"x\":+1}", "!:2: byte 1: expected a value"},
    {"{\"data\":[{}],\"x\"\n1", "!:2: expected ':', found '1'"},
    {"{\"data\":[{}],\"x\":", "!:1: expected a value, but the file ends"},
    {"{\"data\":[{}],5:5}", "!:1: expected a name in quotes, found '5'"},
    {"[{}", "!:1: expected ',' or ']'"},
};

static void every_container_holds_the_same_rows(void **state) {
    (void)state;
    struct buf got = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int packing = 0; packing < 5; packing++) {
            const struct text_case *c = &cases[i];
            write_packed(c->text, strlen(c->text), packing);
            list(&got);
            if (c->rows[0] == '!') {
                const char *error = strchr(buf_text(&got), '!');
                if (!error || !strstr(error, c->rows + 1) || !strstr(error, path))
                    fail_msg("case %zu, packing %d: %s", i, packing, buf_text(&got));
            } else if (strcmp(buf_text(&got), c->rows) != 0) {
                fail_msg("case %zu, packing %d: %s", i, packing, buf_text(&got));
            }
        }
    buf_release(&got);
}

/* Rows of many sizes, so that the ends of chunks fall everywhere; as lines and as an array they are the same. */
static void chunks_lose_nothing(void **state) {
    (void)state;
    struct buf lines = {0}, array = {0}, first = {0}, got = {0};
    buf_append_text(&array, "[\n");
    for (unsigned i = 0; i < 3000; i++) {
        struct buf row = {0};
        buf_printf(&row, "{\"n\":%u,\"t\":\"", i);
        for (unsigned k = 0; k < i * 7919u % 2003; k++) buf_append_text(&row, k % 41 ? "x" : "\\\"[\\\\");
        buf_append_text(&row, i % 100 ? "\"}" : "\xc3\xa9\"}");
        if (i) buf_append_text(&array, ",\n"), buf_append_text(&lines, "\n");
        buf_append(&array, row.data, row.size);
        buf_append(&lines, row.data, row.size);
        buf_release(&row);
    }
    buf_append_text(&array, "]");
    assert_true(lines.size > (size_t)3 << 20);
    for (int packing = 0; packing < 5; packing++) {
        write_packed(lines.data, lines.size, packing);
        list(packing ? &got : &first);
        if (packing) assert_string_equal(got.data, first.data);
        write_packed(array.data, array.size, packing);
        struct rows_in r;
        const char *text, *want = first.data;
        size_t size;
        uint64_t taken = 0;
        assert_int_equal(rows_open(&r, path), ST_OK);
        for (uint64_t n = 1; n <= 3000; n++) {
            assert_int_equal(rows_next(&r, &text, &size), ST_OK);
            assert_true(r.number == n + 1 && r.count == n);
            assert_true(file_lines_taken(&r.lines) >= taken); /* progress goes with the rows, not with what was read ahead */
            taken = file_lines_taken(&r.lines);
            if (n == 1) assert_true(taken < file_size_bytes(path) / 4);
            if (packing == 0) assert_in_range(taken, r.lines.next_offset - 1, r.lines.next_offset);
            want = strchr(want, ':') + 1;
            assert_memory_equal(text, want, size);
            want += size;
            assert_int_equal(*want++, '\n');
        }
        assert_int_equal(rows_next(&r, &text, &size), ST_OK);
        assert_null(text);
        assert_int_equal(file_lines_taken(&r.lines), file_size_bytes(path));
        rows_release(&r);
    }
    buf_release(&lines);
    buf_release(&array);
    buf_release(&first);
    buf_release(&got);
}

static void cut_and_damaged_files_are_errors(void **state) {
    (void)state;
    const char *text = "{\"a\":\"the quick brown fox\"}\n{\"a\":\"jumps over the lazy dog\"}\n";
    struct buf got = {0};
    for (int packing = 1; packing <= 2; packing++) {
        struct buf packed = {0};
        char want[96];
        if (packing == 1)
            put_gzip(&packed, text, strlen(text));
        else
            put_zstd(&packed, text, strlen(text));
        for (size_t size = 4; size < packed.size; size++) { /* the first bytes are what it is known by */
            assert_int_equal(file_write(path, packed.data, size), ST_OK);
            list(&got);
            snprintf(want, sizeof want, "!%s: byte %zu: damaged %s data (the file ends too early)", path, size,
                     packing == 1 ? "gzip" : "zstd");
            if (!strstr(buf_text(&got), want)) fail_msg("%zu bytes: %s", size, buf_text(&got));
        }
        for (size_t at = packed.size / 2; at < packed.size; at++) { /* the text and its checksum */
            packed.data[at] ^= 0x55;
            assert_int_equal(file_write(path, packed.data, packed.size), ST_OK);
            packed.data[at] ^= 0x55;
            list(&got);
            const char *error = strchr(buf_text(&got), '!');
            if (!error || !strstr(error, packing == 1 ? "damaged gzip data (" : "damaged zstd data ("))
                fail_msg("byte %zu: %s", at, buf_text(&got));
        }
        buf_append_text(&packed, "no more");
        assert_int_equal(file_write(path, packed.data, packed.size), ST_OK);
        list(&got);
        assert_non_null(strstr(buf_text(&got), "damaged"));
        buf_release(&packed);
    }
    static const struct {
        const char *bytes, *what;
    } refused[] = {
        {"BZh91AY", "is a bzip2 file"},
        {"PK\x03\x04zip", "is a zip archive"},
        {"ARROW1  ", "is an Arrow file"},
        {"GGUF\x03", "is a GGUF model"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(file_write(path, refused[i].bytes, strlen(refused[i].bytes)), ST_OK);
        list(&got);
        assert_non_null(strstr(buf_text(&got), refused[i].what));
    }
    buf_release(&got);
}

/* 300 MB of one line in a file of 300 kB: refused once it is longer than any row, not held whole. */
static void a_line_has_a_limit(void **state) {
    (void)state;
    struct buf packed = {0}, got = {0};
    const size_t size = (size_t)300 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '{';
    put_zstd(&packed, text, size);
    free(text);
    assert_true(packed.size < (size_t)1 << 20);
    assert_int_equal(file_write(path, packed.data, packed.size), ST_OK);
    list(&got);
    assert_non_null(strstr(buf_text(&got), ":1: longer than 256 MiB"));
    buf_release(&packed);
    buf_release(&got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_holds_the_same_rows),
        cmocka_unit_test(chunks_lose_nothing),
        cmocka_unit_test(cut_and_damaged_files_are_errors),
        cmocka_unit_test(a_line_has_a_limit),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
