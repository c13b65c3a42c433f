/* charsmap: SentencePiece's precompiled character map: a double-array trie over UTF-8 prefixes whose values are offsets of replacement
 * texts (sentencepiece src/normalizer.cc; the trie is darts-clone's). */
#ifndef RAPT_TEXT_CHARSMAP_H
#define RAPT_TEXT_CHARSMAP_H

#include "base/buf.h"
#include "format/json.h"

struct charsmap {
    uint32_t *units;
    size_t unit_count;
    char *texts; /* NUL-terminated replacements, one after the other */
    size_t texts_size;
    char *blob; /* as the file has it */
    size_t blob_size;
};

/* Checks the sizes; ST_FORMAT. An empty blob is an empty map. *out is freed with charsmap_free. */
status charsmap_new(struct charsmap **out, const char *blob, size_t size);
/* The blob in base64, as tokenizer.json has it; and back, with quotes. */
status charsmap_from_base64(struct charsmap **out, struct json text);
void charsmap_put_base64(const struct charsmap *m, struct buf *out);
void charsmap_free(struct charsmap *m);

/* The longest key that text begins with: its length (0: none) and replacement. */
size_t charsmap_longest(const struct charsmap *m, const char **to, size_t *to_size, const char *text, size_t size);
/* As tokenizers' Precompiled: by grapheme of up to 5 bytes, else by character; the shortest key that begins one replaces all of it. */
void charsmap_apply_graphemes(const struct charsmap *m, struct buf *out, const char *text, size_t size);

#endif
