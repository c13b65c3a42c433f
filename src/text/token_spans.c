/* token_spans: the text of the tokens is laid beside the text they were made of, character by character. What differs is a blank's mark
 * (U+2581), a blank put in front, blanks that an added token takes along, and characters that a normal form composes.
 *
 * Offsets follow tokenizers (tokenizer/normalizer.rs, pre_tokenizer.rs, pre_tokenizers/byte_level.rs process_offsets): a token that holds
 * some bytes of a character has the whole of it, a mark put in front has the character behind it, and a ByteLevel post-processor with
 * trim_offsets takes blanks off both ends. */
#include "text/token_spans.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "text/tokenizer_state.h"

#define MARK "\xe2\x96\x81"
#define COMPOSED_MAX 16 /* characters that one piece of a normal form is looked for in */

struct range {
    int32_t from, to; /* characters [from, to) of a token; from > to: none yet */
    const char *at;   /* of an added token: where it was found, with the blanks that it took along; else NULL */
    size_t size;
};
struct walk {
    const struct tokenizer *t;
    const int32_t *ids;
    size_t count;
    const char *text, *at, *end; /* the text, and where the walk is in it */
    int32_t character;           /* the same in characters */
    struct buf made;             /* the tokens' texts, one behind the other */
    uint32_t *starts;            /* [count + 1] where each begins there */
    struct range *ranges;        /* [count] */
    int32_t *owner;              /* [characters] the first token that has it; -1 none, -2 rewritten with others */
    int32_t characters;
};

static const struct added_token *added_of(const struct tokenizer *t, int32_t id) {
    if (!t->is_added[id]) return NULL;
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return &t->added[i];
    return NULL;
}

static status lost(const struct walk *w) {
    return FAIL(ST_UNSUPPORTED, "the tokenizer rewrites the text: its tokens cannot be followed behind character %d", w->character);
}

/* The texts that tokens were found as. */
static status put_texts(struct walk *w) {
    for (size_t i = 0; i < w->count; i++) {
        const int32_t id = w->ids[i];
        const struct added_token *a = added_of(w->t, id);
        const int byte = a || !w->t->bpe.chars ? -1 : detoken_byte(w->t->bpe.text[id], w->t->bpe.size[id]);
        w->starts[i] = (uint32_t)w->made.size;
        if (a)
            buf_append(&w->made, a->normalized ? a->match : a->content, a->normalized ? a->match_size : a->size);
        else if (byte >= 0)
            buf_append_char(&w->made, (char)byte);
        else
            buf_append(&w->made, w->t->bpe.text[id], w->t->bpe.size[id]);
        w->ranges[i] = (struct range){.from = INT32_MAX};
    }
    w->starts[w->count] = (uint32_t)w->made.size;
    return w->made.size < INT32_MAX ? ST_OK : FAIL(ST_UNSUPPORTED, "a text of more than 2 GiB");
}

/* The tokens that have bytes [from, to) of the tokens' text have characters [first, last); *token: where to look, kept for the next call.
 */
static void give(struct walk *w, size_t *token, size_t from, size_t to, int32_t first, int32_t last) {
    while (w->starts[*token + 1] <= from) ++*token;
    for (size_t i = *token; i < w->count && w->starts[i] < to; i++) {
        struct range *r = &w->ranges[i];
        if (first < r->from) r->from = first;
        if (last > r->to) r->to = last;
    }
}

static void step(struct walk *w, size_t bytes) {
    w->at += bytes;
    w->character++;
}

/* Blanks that an added token takes along. */
static void over_blanks(struct walk *w, const char *but, size_t but_size) {
    while (w->at < w->end && !(but && but_size <= (size_t)(w->end - w->at) && memcmp(w->at, but, but_size) == 0)) {
        const size_t n = utf8_size(w->at, w->end);
        if (!n || !utf8_is_space(utf8_get(w->at, n))) return;
        step(w, n);
    }
}

static status take_added(struct walk *w, size_t token, const struct added_token *a) {
    const int32_t first = w->character;
    const char *at = w->at;
    if (a->lstrip) over_blanks(w, a->content, a->size);
    if (a->size > (size_t)(w->end - w->at) || memcmp(w->at, a->content, a->size) != 0) return lost(w);
    for (const char *stop = w->at + a->size; w->at < stop;) step(w, utf8_size(w->at, w->end));
    if (a->rstrip) over_blanks(w, NULL, 0);
    w->ranges[token] = (struct range){first, w->character, at, (size_t)(w->at - at)};
    return ST_OK;
}

/* Characters of the text that become the beginning of made[0..size): their bytes in *bytes, those that they become in *used; 0: none do. */
static void composed(size_t *bytes, size_t *used, const struct walk *w, const char *made, size_t size) {
    struct buf form = {0};
    size_t n = 0;
    *used = 0;
    for (int i = 0; i < COMPOSED_MAX && !*used && w->at + n < w->end; i++) {
        n += utf8_size(w->at + n, w->end);
        buf_clear(&form);
        if (normalizer_run(&w->t->normalizer, &form, w->at, n) == ST_OK && form.size && form.size <= size &&
            memcmp(form.data, made, form.size) == 0)
            *used = form.size;
    }
    *bytes = n;
    buf_release(&form);
}

/* One character of the tokens' text, at byte `from`; *from goes on behind it. */
static status take_character(struct walk *w, size_t *from, size_t *token) {
    const char *made = buf_text(&w->made) + *from, *end = buf_text(&w->made) + w->made.size;
    const size_t n = utf8_size(made, end), mark = sizeof MARK - 1;
    size_t bytes, used;
    const bool escaped = n == mark && memcmp(made, MARK, mark) == 0, blank = escaped || *made == ' ';
    const int32_t first = w->character;
    int32_t last = 0;
    if (!n) return lost(w);
    if (n <= (size_t)(w->end - w->at) && memcmp(w->at, made, n) == 0) {
        step(w, n), used = n;
    } else if (escaped && w->at < w->end && *w->at == ' ') {
        step(w, 1), used = n;
    } else if (blank && w->at < w->end) { /* put in front: it has the character that follows */
        give(w, token, *from, *from + n, first, first + 1);
        *from += n;
        return ST_OK;
    } else {
        composed(&bytes, &used, w, made, (size_t)(end - made));
        if (!used) return lost(w);
        const bool one = used == n; /* the one character that it becomes is the first one's; the others are nobody's */
        for (const char *stop = w->at + bytes; w->at < stop;) {
            if (!one) w->owner[w->character] = -2;
            step(w, utf8_size(w->at, w->end));
        }
        if (one) last = first + 1;
    }
    give(w, token, *from, *from + used, first, last ? last : w->character);
    *from += used;
    return ST_OK;
}

static bool blank_char(const char *at, size_t n) { return utf8_is_space(utf8_get(at, n)); }

/* process_offsets: in a vocabulary of bytes only the space is a blank, the other bytes have printable stand-ins. */
static void trim(struct walk *w, size_t token) {
    const bool literal = w->t->is_added[w->ids[token]];
    struct range *r = &w->ranges[token];
    const char *at = r->at ? r->at : buf_text(&w->made) + w->starts[token];
    const char *end = at + (r->at ? r->size : w->starts[token + 1] - w->starts[token]);
    int32_t leading = 0, trailing = 0, run = 0;
    bool all = true;
    while (at < end) {
        const size_t n = literal ? utf8_size(at, end) : 1;
        const bool blank = literal ? blank_char(at, n) : *at == ' ';
        run = blank ? run + 1 : 0;
        all = all && blank;
        leading += all;
        at += n;
    }
    trailing = run;
    if (leading && (token == 0 || r->from == 0) && w->t->trim_keeps_prefix) leading--;
    r->from = r->from + leading < r->to ? r->from + leading : r->to;
    if (trailing && r->to >= trailing) r->to = r->to - trailing > r->from ? r->to - trailing : r->from;
}

/* A token for what has none: one character, or under fuse_unk a run of them. */
static status take_unknown(struct walk *w, size_t token) {
    const struct bpe *b = &w->t->bpe;
    const int32_t first = w->character;
    const bool run = b->fuse_unk || w->t->unigram.on;
    do {
        const size_t n = utf8_size(w->at, w->end);
        if (!n || (w->character > first && bpe_find(b, w->at, n) >= 0)) break;
        step(w, n);
    } while (run);
    w->ranges[token] = (struct range){.from = first, .to = w->character};
    return first < w->character ? ST_OK : lost(w);
}

static bool is_unknown(const struct walk *w, size_t token) {
    const struct bpe *b = &w->t->bpe;
    if (!b->chars || w->ids[token] != b->unk) return false;
    return b->size[b->unk] > (size_t)(w->end - w->at) || memcmp(w->at, b->text[b->unk], b->size[b->unk]) != 0;
}

static status follow(struct walk *w) {
    size_t token = 0, from = 0, next = 0; /* next: the first token that the walk has not met */
    TRY(put_texts(w));
    while (from < w->made.size) {
        while (next < w->count && w->starts[next] < from) next++;
        const struct added_token *a = next < w->count && w->starts[next] == from ? added_of(w->t, w->ids[next]) : NULL;
        const bool unknown = next < w->count && w->starts[next] == from && is_unknown(w, next);
        if (unknown || (a && !a->normalized)) {
            TRY(unknown ? take_unknown(w, next) : take_added(w, next, a));
            from = w->starts[next + 1];
        } else {
            TRY(take_character(w, &from, &token));
        }
    }
    if (w->at != w->end) return lost(w);
    for (size_t i = w->count; i-- > 0;) {
        if (w->t->trim_offsets && w->ranges[i].from < w->ranges[i].to) trim(w, i);
        for (int32_t c = w->ranges[i].from; c < w->ranges[i].to; c++)
            if (w->owner[c] != -2) w->owner[c] = (int32_t)i;
    }
    return ST_OK;
}

static status owner_of(int32_t *token, const struct walk *w, size_t character) {
    *token = character < (size_t)w->characters ? w->owner[character] : -1;
    return *token == -2
               ? FAIL(ST_UNSUPPORTED,
                      "character %zu, where a marked part of the text begins or ends, is rewritten together with others by the tokenizer",
                      character)
               : ST_OK;
}

static status mark(uint8_t *mask, const struct walk *w, const struct text_span *spans, size_t count) {
    memset(mask, 0, w->count);
    for (size_t i = 0; i < count; i++) {
        int32_t first, last;
        if (!spans[i].end) return FAIL(ST_FORMAT, "the chat template marks nothing at the text's beginning as the assistant's");
        TRY(owner_of(&first, w, spans[i].start));
        TRY(owner_of(&last, w, spans[i].end - 1));
        if (first < 0) break;
        for (size_t k = (size_t)first; k < (last > 0 ? (size_t)last + 1 : w->count); k++) mask[k] = 1;
    }
    return ST_OK;
}

status tokenizer_mark_spans(uint8_t *mask, const struct tokenizer *t, const int32_t *ids, size_t count, const char *text, size_t size,
                            const struct text_span *spans, size_t span_count) {
    struct walk w = {.t = t, .ids = ids, .count = count, .text = text, .at = text, .end = text + size};
    w.characters = (int32_t)utf8_count(text, size);
    w.starts = mem_alloc((count + 1) * sizeof *w.starts);
    w.ranges = mem_alloc((count + 1) * sizeof *w.ranges);
    w.owner = mem_alloc(((size_t)w.characters + 1) * sizeof *w.owner);
    for (int32_t i = 0; i < w.characters; i++) w.owner[i] = -1;
    status s = follow(&w);
    if (s == ST_OK) s = mark(mask, &w, spans, span_count);
    buf_release(&w.made);
    free(w.starts);
    free(w.ranges);
    free(w.owner);
    return s;
}
