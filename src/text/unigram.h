/* unigram: the likeliest way to cut a text into tokens with log-probabilities (Kudo 2018; tokenizers src/models/unigram/model.rs,
 * sentencepiece src/unigram_model.cc, EncodeOptimized). */
#ifndef RAPT_TEXT_UNIGRAM_H
#define RAPT_TEXT_UNIGRAM_H

#include "text/bpe.h"
#include "text/trie.h"

struct unigram {
    struct trie trie;
    double *score;    /* [count] */
    double unk_score; /* of a character without a token */
    bool single;      /* path scores are kept in 32 bits, as sentencepiece does */
    bool on;          /* this is the tokenizer's model */
};

/* scores: [count]; takes: [count] which tokens texts may be cut into, NULL: all; lowest: the score that unknown characters are rated 10
 * below. Memory belongs to the arena. */
status unigram_init(struct unigram *u, struct arena *arena, const struct bpe *vocabulary, const double *scores, const uint8_t *takes,
                    double lowest);
/* Appends the tokens of valid UTF-8. Characters without a token become, a run at a time, their bytes' tokens under
 * vocabulary->byte_fallback, or else vocabulary->unk; ST_FORMAT when there is none. */
status unigram_encode(const struct unigram *u, const struct bpe *vocabulary, struct ids *out, const char *text, size_t size);

#endif
