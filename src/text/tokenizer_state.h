/* tokenizer_state: what the tokenizer's own files share: the loaders fill it, tokenizer.c runs it, tokenizer_save.c writes it. */
#ifndef RAPT_TEXT_TOKENIZER_STATE_H
#define RAPT_TEXT_TOKENIZER_STATE_H

#include "text/bpe.h"
#include "text/pretoken.h"
#include "text/tokenizer.h"

/* A token found in the text before anything else happens to it (tokenizers' AddedVocabulary). */
struct added_token {
    const char *content; /* in the arena */
    size_t size;
    int32_t id;
    bool special, normalized, lstrip, rstrip, single_word;
};

enum { TOKENIZER_ENDS_MAX = 16 };
struct tokenizer {
    struct arena arena;
    char *path;
    const char *kind; /* "GGUF gpt2/smollm", "tokenizer.json" */
    struct bpe bpe;
    struct pretoken pretoken;
    enum normal_form form;
    struct added_token *added; /* sorted by first byte, then longest first */
    size_t added_count;
    uint32_t added_from[257];   /* first index by first byte */
    uint8_t *is_special;        /* [bpe.count] */
    uint8_t *is_added;          /* [bpe.count] literal text, not byte-mapped */
    struct ids prefix, suffix;  /* what add_special puts around */
    int32_t bos, eos, pad, unk; /* -1 */
    int32_t ends[TOKENIZER_ENDS_MAX];
    size_t end_count;
    char *chat_template;
    char hash[33];
};

status tokenizer_load_gguf(struct tokenizer *t, const char *path);
/* file: the tokenizer.json; folder: where its companions lie, or NULL for the file alone. */
status tokenizer_load_json(struct tokenizer *t, const char *file, const char *folder);
/* After the vocabulary is in: added tokens into their tables, single bytes, ends, hash. */
status tokenizer_finish(struct tokenizer *t);
void tokenizer_add_end(struct tokenizer *t, int32_t id);

#endif
