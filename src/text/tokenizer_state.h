/* tokenizer_state: what the tokenizer's own files share: the loaders fill it, tokenizer.c runs it, tokenizer_save.c writes it. */
#ifndef RAPT_TEXT_TOKENIZER_STATE_H
#define RAPT_TEXT_TOKENIZER_STATE_H

#include "text/bpe.h"
#include "text/detoken.h"
#include "text/normalizer.h"
#include "text/pretoken.h"
#include "text/spm.h"
#include "text/tokenizer.h"
#include "text/unigram.h"
#include "text/word_cache.h"

/* A token found in the text before anything else happens to it (tokenizers' AddedVocabulary). */
struct added_token {
    const char *content, *match; /* match: the form that is looked for, normalised if it is so, or set by the
                                  * loader; in the arena */
    size_t size, match_size;
    int32_t id;
    bool special, normalized, lstrip, rstrip, single_word;
};

/* How pieces become tokens; one row a kind. */
struct token_model {
    const char *name; /* for people */
    status (*encode)(const struct tokenizer *t, struct ids *out, const char *piece, size_t size);
};
extern const struct token_model token_model_bytes, token_model_chars, token_model_scores, token_model_unigram;

enum { TOKENIZER_ENDS_MAX = 16 };
struct tokenizer {
    struct arena arena;
    char *path;
    const char *copy_as; /* saving copies the file under this name, NULL: rebuilds it */
    const char *kind;    /* "GGUF gpt2/smollm", "tokenizer.json" */
    struct bpe bpe;      /* also the vocabulary of every other model */
    struct spm spm;
    struct unigram unigram;
    const float *scores;  /* [bpe.count] of a tokenizer.model, else NULL */
    const uint8_t *types; /* the same: its piece types, which are GGUF's token types */
    struct trie keep;     /* user-defined symbols of a tokenizer.model */
    const struct token_model *model;
    struct normalizer normalizer;
    struct pretoken pretoken;
    struct detoken detoken;    /* unused where the vocabulary is of bytes */
    struct added_token *added; /* sorted by the first byte of match, then longest first */
    size_t added_count;
    uint32_t added_from[257];   /* first index by first byte */
    bool added_starts[2][256];  /* some token begins so: before, after normalisation */
    uint8_t *is_special;        /* [bpe.count] */
    uint8_t *is_added;          /* [bpe.count] literal text, not byte-mapped */
    struct word_pool *words;    /* of encode; threads share it */
    bool trim_offsets;          /* a ByteLevel post-processor takes blanks off both ends of a token's place in the text */
    bool trim_keeps_prefix;     /* but not the one that it puts in front of the text */
    struct ids prefix, suffix;  /* what add_special puts around */
    int32_t bos, eos, pad, unk; /* -1 */
    int32_t ends[TOKENIZER_ENDS_MAX];
    size_t end_count;
    char *chat_template;
    bool new_template; /* not the one of the files at `path` */
    char hash[33];
};

status tokenizer_load_gguf(struct tokenizer *t, const char *path);
/* vocab.json with merges.txt, encoder.json with vocab.bpe: GPT-2's first forms. */
status tokenizer_load_vocab_json(struct tokenizer *t, const char *file, const char *folder);
status tokenizer_load_encoder_json(struct tokenizer *t, const char *file, const char *folder);
status tokenizer_load_spm_model(struct tokenizer *t, const char *file, const char *folder);
/* file: the tokenizer.json; folder: where its companions lie, or NULL for the file alone. */
status tokenizer_load_json(struct tokenizer *t, const char *file, const char *folder);
/* What lies beside a tokenizer: special tokens, chat template, ends. */
status tokenizer_read_companions(struct tokenizer *t, const char *folder);
/* After the vocabulary is in: added tokens into their tables, single bytes, ends, hash. */
status tokenizer_finish(struct tokenizer *t);
/* Before tokenizer_finish: the vocabulary's arrays for `count` tokens and `merges` merges, and room for `added` added tokens. */
status tokenizer_reserve(struct tokenizer *t, size_t count, size_t merges, size_t added);
void tokenizer_add_end(struct tokenizer *t, int32_t id);

#endif
