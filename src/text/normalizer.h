/* normalizer: what happens to text before it is cut: the `normalizer` of a tokenizer.json, or the same said by a GGUF file or a
 * SentencePiece model. One row of a table a kind; semantics are those of Hugging Face tokenizers. */
#ifndef RAPT_TEXT_NORMALIZER_H
#define RAPT_TEXT_NORMALIZER_H

#include "base/arena.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/trie.h"

enum normal_form { NORMAL_NONE, NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD };

/* normalizer_spec of a SentencePiece model. */
struct sentence_rules {
    bool dummy_prefix, remove_extra_spaces, escape_spaces, space_as_suffix;
    const struct trie *keep; /* texts that stay as they are, or NULL; not owned */
};

#define NORMALIZER_STEPS_MAX 16
struct normalizer_row;
struct normalizer_step {
    const struct normalizer_row *row;
    struct pattern pattern; /* Replace by a regular expression */
    char *from, *to;        /* Replace: literal (NULL with a pattern) and replacement; Prepend: to. Owned */
    size_t from_size, to_size;
    bool left, right;               /* Strip */
    struct charsmap *map;           /* Precompiled, SentencePiece; owned */
    struct sentence_rules sentence; /* SentencePiece */
};
struct normalizer {
    struct normalizer_step steps[NORMALIZER_STEPS_MAX];
    size_t count;
};

void normalizer_release(struct normalizer *n);
/* The `normalizer` member of a tokenizer.json; null and absent: nothing. ST_UNSUPPORTED names the component and those that are known. */
status normalizer_from_json(struct normalizer *n, struct json value);
/* One step more, by what it does. */
status normalizer_add_form(struct normalizer *n, enum normal_form form);
status normalizer_add_replace(struct normalizer *n, const char *from, const char *to);
status normalizer_add_prepend(struct normalizer *n, const char *text);
/* SentencePiece's own (sentencepiece src/normalizer.cc); takes the map (NULL: none). It has no form in tokenizer.json. */
status normalizer_add_sentence(struct normalizer *n, struct charsmap *map, struct sentence_rules rules);
/* Appends a `normalizer` member of the same effect ("null" without steps). */
void normalizer_put_json(const struct normalizer *n, struct buf *out);
/* Appends the normalised form of valid UTF-8. Thread-safe. */
status normalizer_run(const struct normalizer *n, struct buf *out, const char *text, size_t size);

#endif
