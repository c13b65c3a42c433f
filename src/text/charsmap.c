#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"

static status take_trie(struct charsmap *m) {
    uint32_t bytes = 0;
    if (m->blob_size < 4) return FAIL(ST_FORMAT, "precompiled_charsmap: %zu bytes; expected at least 4", m->blob_size);
    memcpy(&bytes, m->blob, 4);
    if (bytes % 4 || bytes > m->blob_size - 4)
        return FAIL(ST_FORMAT, "precompiled_charsmap: a trie of %u bytes in %zu; expected a multiple of 4 that fits", bytes, m->blob_size);
    m->unit_count = bytes / 4;
    m->texts_size = m->blob_size - 4 - bytes;
    TRY(mem_try_alloc(&m->units, m->unit_count + 1, 4, "a character map"));
    TRY(mem_try_alloc(&m->texts, m->texts_size + 1, 1, "a character map"));
    memcpy(m->units, m->blob + 4, bytes);
    memcpy(m->texts, m->blob + 4 + bytes, m->texts_size);
    return ST_OK;
}

status charsmap_new(struct charsmap **out, const char *blob, size_t size) {
    struct charsmap *m = mem_zero(1, sizeof *m);
    m->blob = mem_text_n(blob, size);
    m->blob_size = size;
    status s = size ? take_trie(m) : ST_OK;
    if (s != ST_OK) {
        charsmap_free(m);
        return s;
    }
    *out = m;
    return ST_OK;
}

void charsmap_free(struct charsmap *m) {
    if (!m) return;
    free(m->units);
    free(m->texts);
    free(m->blob);
    free(m);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

status charsmap_from_base64(struct charsmap **out, struct json text) {
    struct buf in = {0}, blob = {0};
    uint32_t bits = 0;
    int have = 0;
    bool ok = json_string(&in, text);
    for (size_t i = 0; i < in.size && ok && in.data[i] != '='; i++) {
        const char *at = in.data[i] ? strchr(alphabet, in.data[i]) : NULL;
        ok = at != NULL;
        if (!ok) break;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        have += 6;
        if (have >= 8) buf_append_char(&blob, (char)(bits >> (have -= 8)));
    }
    status s = ok ? charsmap_new(out, buf_text(&blob), blob.size) : FAIL(ST_FORMAT, "precompiled_charsmap: expected base64");
    buf_release(&in);
    buf_release(&blob);
    return s;
}

void charsmap_put_base64(const struct charsmap *m, struct buf *out) {
    const unsigned char *b = (const unsigned char *)m->blob;
    buf_append_char(out, '"');
    for (size_t i = 0; i < m->blob_size; i += 3) {
        size_t n = m->blob_size - i < 3 ? m->blob_size - i : 3;
        uint32_t v = (uint32_t)b[i] << 16 | (n > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (n > 2 ? b[i + 2] : 0u);
        for (size_t k = 0; k < 4; k++) buf_append_char(out, k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=');
    }
    buf_append_char(out, '"');
}

/* darts-clone's unit: bit 31 a value, bits 0..7 and 31 the label, bit 8 "has a value", bits 10..30 the offset, shifted by 8 if bit 9. */
static size_t unit_offset(uint32_t u) { return (size_t)(u >> 10) << ((u & (1u << 9)) >> 6); }

/* One byte down the trie. False when there is no such branch; *value is -1 when no key ends here. */
static bool descend(const struct charsmap *m, size_t *node, int64_t *value, unsigned char byte) {
    size_t next = *node ^ byte;
    *value = -1;
    if (next >= m->unit_count) return false;
    uint32_t u = m->units[next];
    if ((u & (1u << 31 | 0xff)) != byte) return false;
    *node = next ^ unit_offset(u);
    if ((u >> 8 & 1) && *node < m->unit_count) *value = m->units[*node] & 0x7fffffff;
    return true;
}

static bool text_at(const struct charsmap *m, const char **to, size_t *to_size, int64_t value) {
    if (value < 0 || (size_t)value >= m->texts_size) return false;
    *to = m->texts + value;
    *to_size = strlen(*to); /* texts ends in a NUL of ours */
    return utf8_valid_prefix(*to, *to_size) == *to_size;
}

static size_t root_of(const struct charsmap *m) { return m->unit_count ? unit_offset(m->units[0]) : 0; }

size_t charsmap_longest(const struct charsmap *m, const char **to, size_t *to_size, const char *text, size_t size) {
    size_t node = root_of(m), best = 0, n;
    int64_t value;
    const char *found;
    for (size_t i = 0; i < size && descend(m, &node, &value, (unsigned char)text[i]); i++) {
        if (value < 0 || !text_at(m, &found, &n, value)) continue;
        best = i + 1;
        *to = found;
        *to_size = n;
    }
    return best;
}

/* spm_precompiled's transform: the first, shortest key. */
static bool transform(const struct charsmap *m, struct buf *out, const char *text, size_t size) {
    size_t node = root_of(m), n;
    int64_t value;
    const char *to;
    for (size_t i = 0; i < size && text[i] && descend(m, &node, &value, (unsigned char)text[i]); i++) {
        if (value < 0) continue;
        if (!text_at(m, &to, &n, value)) return false;
        buf_append(out, to, n);
        return true;
    }
    return false;
}

void charsmap_apply_graphemes(const struct charsmap *m, struct buf *out, const char *text, size_t size) {
    const char *at = text, *end = text + size;
    while (at < end) {
        size_t n = utf8_size(at, end), whole = n;
        utf8proc_int32_t state = 0, code = (utf8proc_int32_t)utf8_get(at, n);
        while (at + whole < end) {
            size_t k = utf8_size(at + whole, end);
            utf8proc_int32_t next = (utf8proc_int32_t)utf8_get(at + whole, k);
            if (utf8proc_grapheme_break_stateful(code, next, &state)) break;
            code = next;
            whole += k;
        }
        const char *stop = at + whole;
        if (whole < 6 && transform(m, out, at, whole)) at = stop;
        for (; at < stop; at += n) {
            n = utf8_size(at, end);
            if (!transform(m, out, at, n)) buf_append(out, at, n);
        }
    }
}
