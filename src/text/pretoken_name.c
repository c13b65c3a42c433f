/* Which name of GGUF files stands for the cuts of a tokenizer.json. */
#include <string.h>

#include "text/pretoken.h"

/* Text on which pre-tokenizers differ: runs of digits, contractions in either case, letters beside marks, digits and punctuation, blanks
 * and line ends in every order, scripts with rules of their own. llama.cpp's converter tells them apart in the same way, by the ids of one
 * text. */
static const char *const probes[] = {
    "it's IT'S we'll WE'LL x'd x'tis o'sword 'tis o'clock can't've 'Ve 're'",
    "a  1  22\t\t3 12 123 1234 12345 123456 1234567 1,234.5 3.14 x1 1x 2nd x\xc2\xb2 \xe2\x85\xa7 \xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6",
    "CamelCase HTTPServer fooBar Foo_bar UPPER lower \xc3\x84pfel \xc7\x85"
    "a \xce\x91\xce\xb2\xce\x93",
    "  two   three    four\t\ttab \n\n \n  \r\n\r\n x\n\n\ny \n z  ",
    "!!! ... ?! (a) [b]{c} <d> #e @f $5 ^g `h` ~i |j| a/b//c\\d --e-- ++f -g .h ,i ;j :k!\n\n?\r\n/x//\n",
    "\xe2\x80\xa6\xe2\x80\x94\xe2\x80\x9cq\xe2\x80\x9d \xe2\x82\xac"
    "5 \xef\xbc\x81\xef\xbc\x9f\xe3\x80\x82\xe3\x80\x81 \xc2\xbfq? \xe2\x84\xa2x",
    "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c"
    "abc\xe3\x81\x8b\xe3\x81\xaa\xe3\x82\xab\xe3\x83\x8a\xe6\xbc\xa2\xe5\xad\x97"
    "123 \xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 x",
    "\xe0\xb8\xaa\xe0\xb8\xa7\xe0\xb8\xb1\xe0\xb8\xaa\xe0\xb8\x94\xe0\xb8\xb5 \xe1\x9e\x80\xe1\x9e\xb6\xe1\x9e\x93\xe1\x9f\x8b e\xcc\x81"
    "cole \xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 \xd7\xa9\xd6\xb8\xd7\x81",
    "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb \xe2\x9c\x85 x\xf0\x9f\x98\x80y \xe2\x80\x8b z",
    " leading blank",
    "<sentinel:12> IMGIMGABZ A\n\nB",
    "\n",
    "   ",
    "a  \n",
    "word                                                                                                                        end",
};

/* Pieces, each behind its size. */
static status collect(void *context, const char *piece, size_t size) {
    struct buf *out = context;
    buf_append(out, &size, sizeof size);
    buf_append(out, piece, size);
    return ST_OK;
}

static status cut_all(struct buf *out, const struct pretoken *p) {
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        TRY(pretoken_split(p, probes[i], strlen(probes[i]), true, collect, out));
        buf_append_char(out, '\n');
    }
    return ST_OK;
}

static bool same_text(const struct buf *a, const struct buf *b) {
    return a->size == b->size && memcmp(buf_text(a), buf_text(b), a->size) == 0;
}

/* Does the row cut as `pieces`, and with the same normal form? */
static status row_fits(bool *cuts, bool *same_form, const struct pretoken_row *row, const struct buf *pieces, const struct buf *form) {
    struct pretoken p = {0};
    struct normalizer n = {0};
    struct buf cut = {0}, named = {0};
    const struct pretoken_row *found;
    status s = pretoken_from_name(&p, &found, row->names, strcspn(row->names, ","));
    if (s == ST_OK) s = normalizer_add_form(&n, row->form);
    if (s == ST_OK) s = cut_all(&cut, &p);
    if (s == ST_OK) normalizer_put_json(&n, &named);
    *cuts = s == ST_OK && same_text(&cut, pieces);
    *same_form = *cuts && same_text(&named, form);
    pretoken_release(&p);
    normalizer_release(&n);
    buf_release(&cut);
    buf_release(&named);
    return s;
}

status pretoken_find_row(const struct pretoken_row **out, bool *same_form, const struct pretoken *p, const struct normalizer *n,
                         bool ignore_merges) {
    struct buf pieces = {0}, form = {0};
    *out = NULL;
    *same_form = false;
    status s = cut_all(&pieces, p);
    normalizer_put_json(n, &form);
    for (size_t i = 0; i < pretoken_count && s == ST_OK && !*same_form; i++) {
        const struct pretoken_row *row = &pretoken_table[i];
        bool cuts = false;
        if ((row->flags & (PRE_CHARS | PRE_ADD_SEP)) || ignore_merges != ((row->flags & PRE_IGNORE_MERGES) != 0)) continue;
        s = row_fits(&cuts, same_form, row, &pieces, &form);
        if (cuts && (!*out || *same_form)) *out = row;
    }
    buf_release(&pieces);
    buf_release(&form);
    return s;
}

struct one {
    const char *text;
    size_t size;
    bool whole;
};

static status take_whole(void *context, const char *piece, size_t size) {
    struct one *one = context;
    one->whole &= size == one->size && memcmp(piece, one->text, size) == 0;
    return ST_OK;
}

status pretoken_is_whole(bool *whole, const struct pretoken *p, const struct normalizer *n) {
    struct buf text = {0};
    struct one one = {.whole = true};
    status s = ST_OK;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0] && s == ST_OK; i++) {
        buf_clear(&text);
        s = normalizer_run(n, &text, probes[i], strlen(probes[i]));
        one.text = buf_text(&text);
        one.size = text.size;
        if (s == ST_OK) s = pretoken_split(p, one.text, one.size, true, take_whole, &one);
    }
    buf_release(&text);
    *whole = one.whole;
    return s;
}
