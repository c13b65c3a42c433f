#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

static const struct added {
    uint32_t first, last;
    char category[3];
    bool alphabetic, han;
} added[] = {
#include "text/unicode_added.inc"
};
static const size_t added_count = sizeof added / sizeof added[0];

static int category_named(const char *name) {
    static const char names[] = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCf"; /* in utf8proc's order, from 1 */
    for (int i = 0; names[2 * i]; i++)
        if (memcmp(names + 2 * i, name, 2) == 0) return i + 1;
    return UTF8PROC_CATEGORY_CN;
}

int unicode_category(uint32_t code) {
    const int category = (int)utf8proc_category((utf8proc_int32_t)code);
    if (category != UTF8PROC_CATEGORY_CN) return category;
    size_t low = 0, high = added_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (added[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < added_count && added[low].first <= code ? category_named(added[low].category) : category;
}

bool unicode_is_letter(uint32_t code) {
    const int c = unicode_category(code);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool unicode_is_number(uint32_t code) {
    const int c = unicode_category(code);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

size_t unicode_put_added(struct buf *out, const char *name, size_t size) {
    const bool alphabetic = size == 10 && memcmp(name, "Alphabetic", 10) == 0, han = size == 3 && memcmp(name, "Han", 3) == 0;
    size_t n = 0;
    for (size_t i = 0; i < added_count; i++) {
        const struct added *a = &added[i];
        if (alphabetic ? !a->alphabetic : han ? !a->han : size > 2 || memcmp(a->category, name, size) != 0) continue;
        buf_printf(out, "\\x{%x}-\\x{%x}", a->first, a->last);
        n++;
    }
    return n;
}
