/* bpe: byte-pair encoding over bytes or characters: a vocabulary of byte strings, ranked merges, and the merge loop (Sennrich et al. 2016;
 * GPT-2; tokenizers src/models/bpe). */
#ifndef RAPT_TEXT_BPE_H
#define RAPT_TEXT_BPE_H

#include "base/arena.h"

/* A growable list of token ids. Zeroed = empty. */
struct ids {
    int32_t *data;
    size_t count, capacity;
};
void ids_push(struct ids *ids, int32_t id);
void ids_append(struct ids *ids, const int32_t *data, size_t count);
void ids_release(struct ids *ids);

struct bpe_merge {
    uint64_t key; /* left id << 32 | right id; UINT64_MAX = free slot */
    int32_t rank, id;
};
struct bpe {
    const char **text; /* [count] bytes of each token, NULL for an id without one; views into the arena */
    uint32_t *size;    /* [count] */
    int32_t count;
    int32_t *slots; /* hash of the texts: ids, -1 free */
    size_t slot_mask;
    struct bpe_merge *merges;
    size_t merge_mask, merge_count;
    int32_t byte_ids[256]; /* -1 when the vocabulary lacks the byte: such bytes are left out, as tokenizers does */
    uint8_t *whole;        /* [count] does a token's text merge to the token? 0 not known yet; set by whichever thread finds out */
    bool ignore_merges;    /* a piece that is a token is taken whole */
    bool lines_whole;      /* a piece of line ends that is a token is taken whole */
    bool chars;            /* merges begin with characters; byte_ids are those of <0x00> to <0xFF> */
    bool byte_fallback;    /* chars: an unknown character becomes its bytes */
    bool fuse_unk;         /* chars: a run of unknown characters is one token */
    int32_t unk;           /* chars: what else an unknown character becomes; -1: nothing */
};

/* Sizes from a file: checked here. Memory belongs to the arena. */
status bpe_init(struct bpe *b, struct arena *arena, size_t token_count, size_t merge_count);
/* Gives id its bytes (a view that lives as long as the arena). A second id with the same bytes is not found by text. */
void bpe_set(struct bpe *b, int32_t id, const char *text, size_t size);
int32_t bpe_find(const struct bpe *b, const char *text, size_t size);
/* The next merge in rank order, by its parts' bytes. ST_FORMAT when a part or the result is no token. */
status bpe_add_merge(struct bpe *b, const char *left, size_t left_size, const char *right, size_t right_size);
/* After the last bpe_set and `chars`. */
void bpe_find_bytes(struct bpe *b);

/* Appends the tokens of one piece; n log n in its size. */
void bpe_encode(const struct bpe *b, struct ids *out, const char *piece, size_t size);

/* GPT-2's printable stand-ins for bytes (encoder.py, bytes_to_unicode). To bytes: false when a character is none of them. */
bool bpe_bytes_of_text(char *out, size_t *out_size, const char *text, size_t size);
/* Writes up to 2 bytes, returns how many. */
size_t bpe_text_of_byte(char out[4], unsigned char byte);

#endif
