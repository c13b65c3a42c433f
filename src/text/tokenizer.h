/* tokenizer: text <-> token ids, as the model's own tokenizer does it (transformers' `tokenizer(text)` and `apply_chat_template`). */
#ifndef RAPT_TEXT_TOKENIZER_H
#define RAPT_TEXT_TOKENIZER_H

#include "base/buf.h"
#include "text/bpe.h"     /* struct ids */
#include "text/detoken.h" /* struct detoken_state */

struct tokenizer;

/* Opens the tokenizer of PATH: an HF folder (tokenizer.json, or tokenizer.model, or vocab.json and merges.txt; tokenizer_config.json,
 * chat_template.jinja, generation_config.json), a tokenizer.json, a tokenizer.model, or a .gguf file (also vocab-only). *out is freed with
 * tokenizer_free. */
status tokenizer_open(struct tokenizer **out, const char *path);
void tokenizer_free(struct tokenizer *t);

/* Appends the ids of text[0..size). Special and added tokens inside the text are recognised (parse_special, as transformers does);
 * add_special: also BOS / EOS as the tokenizer's own post-processor adds them (false for rendered chat templates). Thread-safe. */
status tokenizer_encode(const struct tokenizer *t, struct ids *out, const char *text, size_t size, bool add_special);
/* Appends the bytes of the tokens (may end inside a UTF-8 sequence). skip_special leaves out special tokens such as <|im_end|>. */
void tokenizer_decode(const struct tokenizer *t, struct buf *out, const int32_t *ids, size_t count, bool skip_special);

/* The same token by token: `state` is zeroed at a text's beginning. */
void tokenizer_decode_next(const struct tokenizer *t, struct detoken_state *state, struct buf *out, int32_t id, bool skip_special);
/* Appends what the token stands for inside a text: no rule for the beginning of texts applies. */
void tokenizer_piece(const struct tokenizer *t, struct buf *out, int32_t id);

int32_t tokenizer_vocab_size(const struct tokenizer *t);
/* The id of a token by its exact content, or -1. */
int32_t tokenizer_token_id(const struct tokenizer *t, const char *content);
/* Ids of the special tokens, -1 when there is none; and their text (NULL when there is none). */
int32_t tokenizer_bos(const struct tokenizer *t);
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_pad(const struct tokenizer *t);
const char *tokenizer_bos_text(const struct tokenizer *t);
const char *tokenizer_eos_text(const struct tokenizer *t);
/* True for every token that ends a turn: eos, and the known end-of-turn tokens of the vocabulary (<|im_end|>, <|eot_id|>, <end_of_turn>,
 * ...). */
bool tokenizer_is_end(const struct tokenizer *t, int32_t id);
/* The chat template's Jinja source, or NULL. View. */
const char *tokenizer_chat_template(const struct tokenizer *t);
/* Another one from now on, also in what tokenizer_save and tokenizer_put_gguf write. */
void tokenizer_set_chat_template(struct tokenizer *t, const char *chat_template);
/* 32 hex digits that identify vocabulary, merges and special tokens. */
const char *tokenizer_hash(const struct tokenizer *t);
/* One paragraph for `rapt inspect`: kind, size, pre-tokenizer, special tokens. */
void tokenizer_describe(const struct tokenizer *t, struct buf *out);
/* Writes the files that make transformers' AutoTokenizer load the same tokenizer into `folder` (tokenizer.json, tokenizer_config.json,
 * chat template, special_tokens_map.json). A tokenizer opened from a folder copies its files; one from GGUF is rebuilt. */
status tokenizer_save(const struct tokenizer *t, const char *folder);
/* The same as the metadata tokenizer.* of a GGUF (llama.cpp's conversion/base.py). vocab: rows of the model's embedding; ids behind the
 * tokenizer's own become unused tokens. bos, eos, pad: the model's own ids, -1 = none, for those that the tokenizer does not name.
 * ST_UNSUPPORTED where GGUF has no form that gives the same ids. Not for a tokenizer that came from a GGUF: its values are copied. */
struct gguf_writer;
status tokenizer_put_gguf(const struct tokenizer *t, struct gguf_writer *w, size_t vocab, const int64_t model_ids[3]);
/* Does the folder hold any of the files that tokenizer_open looks for? */
bool tokenizer_in_folder(const char *path);

#endif
