/* detoken: token texts back to text: the `decoder` of a tokenizer.json, or the same said by a GGUF file or a SentencePiece model. It works
 * token by token, so that streams and whole texts go the same way. Unlike tokenizers it leaves bytes that are no character as they are. */
#ifndef RAPT_TEXT_DETOKEN_H
#define RAPT_TEXT_DETOKEN_H

#include "base/buf.h"
#include "format/json.h"

#define DETOKEN_STEPS_MAX 8
struct detoken_row;
struct detoken_step {
    const struct detoken_row *row;
    char *from, *to; /* Replace, Metaspace. Owned */
    size_t from_size, to_size;
    bool drop_first; /* Metaspace: the first token's marks go */
    char content[5]; /* Strip: one character */
    size_t start;    /* Strip: how many at most */
};
struct detoken {
    struct detoken_step steps[DETOKEN_STEPS_MAX];
    size_t count;
    bool fused;      /* Fuse was there: what follows sees the whole text */
    bool byte_level; /* a ByteLevel step was there */
    bool spaced;     /* no decoder at all: tokens with spaces between */
    char content[5]; /* Strip behind Fuse: */
    size_t start;    /* up to so many at the text's beginning */
};

/* Where a text is: zeroed at its beginning. */
struct detoken_state {
    size_t tokens, stripped;
    bool strip_done;
};

void detoken_release(struct detoken *d);
/* The `decoder` member of a tokenizer.json. ST_UNSUPPORTED names the component. */
status detoken_from_json(struct detoken *d, struct json value);
/* SentencePiece's: the mark becomes a space, <0xNN> a byte, up to `strip` spaces at the beginning go. */
status detoken_init_spm(struct detoken *d, size_t strip);
/* Appends a `decoder` member of the same effect. */
void detoken_put_json(const struct detoken *d, struct buf *out);
/* Appends what the next token adds to the text. */
void detoken_next(const struct detoken *d, struct detoken_state *state, struct buf *out, const char *token, size_t size);

/* The byte that "<0x41>" stands for, or -1. */
int detoken_byte(const char *token, size_t size);

#endif
