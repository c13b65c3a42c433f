/* spm: SentencePiece's BPE: any two neighbours whose joined text is a token may merge, the highest score first, the leftmost of equals
 * (sentencepiece src/bpe_model.cc; llama.cpp src/llama-vocab.cpp, llm_tokenizer_spm). */
#ifndef RAPT_TEXT_SPM_H
#define RAPT_TEXT_SPM_H

#include "text/bpe.h"

struct spm {
    int32_t *rank;         /* [count] place of the token's score, 0 the highest; equal scores share one; -1: nothing merges into it */
    uint32_t size_max;     /* bytes of the longest token */
    const uint8_t *unused; /* [count] tokens that merges go through but that do not stay: they fall apart again; NULL: none */
};

/* scores: [vocabulary count]; joins: [count] whether merges may lead to a token, NULL: to all. Memory belongs to the arena. */
status spm_init(struct spm *s, struct arena *arena, const struct bpe *vocabulary, const float *scores, const uint8_t *joins);
/* Appends the tokens of valid UTF-8; n log n. Characters that are no token become their bytes' tokens, or else vocabulary->unk, one for a
 * run of them. */
void spm_encode(const struct spm *s, const struct bpe *vocabulary, struct ids *out, const char *text, size_t size);

#endif
