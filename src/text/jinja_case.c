/* jinja_case: upper and lower case by Unicode's simple mappings, with the letters whose upper case is two. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_case.h"

/* Letters whose upper (or title) case is longer: what Python's str gives for them. */
static const struct {
    uint32_t cp;
    const char *upper, *title;
} expanding[] = {
    {0xdf, "SS", "Ss"},     {0x149, "\u02bcN", "\u02bcN"}, {0x1f0, "J\u030c", "J\u030c"}, {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0xfb00, "FF", "Ff"},   {0xfb01, "FI", "Fi"},          {0xfb02, "FL", "Fl"},          {0xfb03, "FFI", "Ffi"},
    {0xfb04, "FFL", "Ffl"}, {0xfb05, "ST", "St"},          {0xfb06, "ST", "St"},
};

static bool is_mark(utf8proc_category_t c) { return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF; }
static bool is_letter(utf8proc_category_t c) { return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO; }
static bool is_cased(uint32_t cp) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT || utf8proc_islower((utf8proc_int32_t)cp) ||
           utf8proc_isupper((utf8proc_int32_t)cp);
}

bool jinja_is_digit(uint32_t cp) {
    return cp < 0x80 ? cp >= '0' && cp <= '9' : utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND;
}
bool jinja_is_alpha(uint32_t cp) { return is_letter(utf8proc_category((utf8proc_int32_t)cp)); }
bool jinja_is_alnum(uint32_t cp) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return is_letter(c) || c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}
status jinja_is_cased(struct jrender *r, bool *out, const struct jstr *s, bool upper) {
    bool any = false;
    *out = false;
    TRY(jr_tick(r, s->size));
    for (size_t i = 0, n; i < s->size; i += n) {
        utf8proc_int32_t cp = (utf8proc_int32_t)jinja_char(&n, s->data + i, s->size - i);
        if (upper ? utf8proc_islower(cp) : utf8proc_isupper(cp)) return ST_OK;
        any |= upper ? utf8proc_isupper(cp) : utf8proc_islower(cp);
    }
    *out = any;
    return ST_OK;
}

enum step { TO_UPPER, TO_LOWER, TO_TITLE };

/* A capital sigma ends a word as U+03C2: behind a cased letter, not in front of one, marks left out. */
static bool ends_word(const struct jstr *s, size_t floor, size_t at, size_t next) {
    bool before = false;
    for (size_t i = at; i > floor;) {
        size_t n = 0;
        do i--;
        while (i > floor && ((unsigned char)s->data[i] & 0xc0) == 0x80);
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        if (is_mark(utf8proc_category((utf8proc_int32_t)cp))) continue;
        before = is_cased(cp);
        break;
    }
    for (size_t i = next, n; before && i < s->size; i += n) {
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        if (!is_mark(utf8proc_category((utf8proc_int32_t)cp))) return !is_cased(cp);
    }
    return before;
}

static status put_case(struct jrender *r, struct buf *out, const struct jstr *s, size_t floor, size_t at, size_t n, uint32_t cp,
                       enum step step) {
    utf8proc_uint8_t bytes[4];
    utf8proc_int32_t c = (utf8proc_int32_t)cp;
    if (cp < 0x80) {
        char a = (char)cp;
        if (step == TO_LOWER) a = a >= 'A' && a <= 'Z' ? (char)(a + 32) : a;
        if (step != TO_LOWER) a = a >= 'a' && a <= 'z' ? (char)(a - 32) : a;
        return jr_put(r, out, &a, 1);
    }
    for (size_t i = 0; step != TO_LOWER && i < sizeof expanding / sizeof expanding[0]; i++) {
        const char *text = step == TO_UPPER ? expanding[i].upper : expanding[i].title;
        if (expanding[i].cp == cp) return jr_put(r, out, text, strlen(text));
    }
    if (step == TO_LOWER && cp == 0x130) return jr_put(r, out, "i\u0307", 3);
    if (step == TO_LOWER && cp == 0x3a3 && ends_word(s, floor, at, at + n)) {
        c = 0x3c2;
    } else {
        c = step == TO_LOWER ? utf8proc_tolower(c) : step == TO_UPPER ? utf8proc_toupper(c) : utf8proc_totitle(c);
    }
    return jr_put(r, out, (const char *)bytes, (size_t)utf8proc_encode_char(c, bytes));
}

static status case_into(struct jrender *r, struct buf *out, const struct jstr *s, enum jcase how) {
    bool start = true;
    size_t floor = 0; /* jinja2's title lowers each word's tail by itself */
    for (size_t i = 0, n; i < s->size; i += n) {
        uint32_t cp = jinja_char(&n, s->data + i, s->size - i);
        enum step step = how == CASE_UPPER   ? TO_UPPER
                         : how == CASE_LOWER ? TO_LOWER
                         : start             ? (how == CASE_WORDS ? TO_UPPER : TO_TITLE)
                                             : TO_LOWER;
        TRY(jr_tick(r, 2));
        TRY(put_case(r, out, s, floor, i, n, cp, step));
        if (how == CASE_TITLE) start = !is_cased(cp);
        if (how == CASE_CAPITAL) start = false;
        if (how == CASE_WORDS && start) floor = i + n;
        if (how == CASE_WORDS) start = jinja_is_space(cp) || (cp < 0x80 && cp && strchr("-({[<", (int)cp));
    }
    return ST_OK;
}

status jv_case(struct jrender *r, struct jvalue *out, const struct jstr *s, enum jcase how) {
    struct buf text = {0};
    status st = case_into(r, &text, s, how);
    if (st == ST_OK) st = jv_string(r, out, buf_text(&text), text.size);
    buf_release(&text);
    return st;
}
