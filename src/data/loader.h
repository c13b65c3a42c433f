/* loader: a data file as token ids, held for the length of a run; the rules of what is dropped and cut are in data/fit.h. */
#ifndef RAPT_DATA_LOADER_H
#define RAPT_DATA_LOADER_H

#include "data/encode.h"

#define LOADED_RESPONSES_MAX 1024 /* of one row */
struct loaded_response {
    size_t at;      /* of its sequence in ids: the prompt's tokens and its own stand together */
    int32_t prompt; /* tokens of its prompt: the row's, but under FIT_TRL_024 and FIT_PAPER each response may keep another part of it */
    int32_t count;  /* its own tokens */
    int32_t kept;   /* of unpaired rows: tokens that stand there, which a shorter prompt may have room for; else count */
    int32_t scored; /* with marks: how many of them, the sequence's first token left out, which nothing predicts */
    int32_t last;   /* of reward rows: the position of the last token that is no padding */
    double score;   /* NaN */
    bool rejected;  /* or undesirable */
};
/* A group: a prompt and its responses, which are chosen and rejected, or one, or K with the best score first. */
struct loaded_row {
    size_t first;         /* index of its first response */
    int32_t responses;    /* how many */
    int32_t prompt;       /* tokens */
    uint64_t line, index; /* in the file; index: the row's number, from 0 */
    bool second;          /* the rejected one of a pair that was taken apart */
    int64_t source_row;   /* -1 */
    int goal_of;
    double goal, margin;  /* NaN */
    uint64_t prompt_hash; /* of the goal-free identity where known: source_row, else of the prompt's text */
};
struct loaded {
    struct ids ids;
    struct buf marks; /* of SFT rows under the encoder's `assistants`: a byte for each of ids, 1 = trained on; else empty */
    struct loaded_row *rows;
    size_t count, capacity;
    struct loaded_response *responses;
    size_t response_count, response_capacity;
    size_t k; /* responses of every row; 0: it differs */
    /* counts of what happened */
    size_t read, dropped_long, dropped_partner, cut, mismatched;
    size_t cut_prompt; /* rows whose prompt lost its beginning: FIT_TRL_024 and FIT_PAPER */
    int32_t longest;   /* most tokens of one sequence */
    bool pooled;       /* reward rows */
};

struct loader_options {
    size_t max_length;                 /* 0 = unlimited */
    size_t max_prompt, max_completion; /* of pairs where the encoder's compat is FIT_TRL_024 or FIT_PAPER: see data/fit.h */
    bool paired_drop;                  /* a row that is dropped takes the row with the same source_row along */
    bool sft;                          /* accept SFT rows only; else pairs only */
    bool all_tokens;                   /* sft: prompts are trained on too, and cut like the rest */
    bool completion_only;              /* sft with marks: nothing of a prompt that its row has apart is trained on */
    bool unpaired; /* single responses with a label: rows with one, pairs taken apart as TRL does, or any with scores under a threshold */
    double threshold;   /* unpaired: a score of at least this is desirable; NaN: labels come from the rows */
    bool groups, pairs; /* K scored responses (not where a loss needs pairs), or pairs with scores */
    bool rewards;       /* under a goal g a score s counts as -(g - s)^2: else the pair that a goal turned round would have a gap below 0 */
    bool reward;        /* whole conversations (encoder.whole), dropped when too long, never cut; prompt = what both begin with */
    int64_t pad;        /* reward: the padding token, -1 = none */
    const struct source_map *map; /* NULL: none */
    bool skip_bad;                /* --on-bad-row skip */
    const char *rejected_beside;  /* skipped rows go to this name + .rejected.jsonl; NULL: counted only */
};
/* Reads `path` whole. A bar shows progress. Errors name file, line, field. */
status loaded_read(struct loaded *d, const char *path, struct encoder *e, const struct loader_options *o);
void loaded_release(struct loaded *d);
/* Response j of a row, j < responses; and its sequence, prompt + response. */
static inline const struct loaded_response *loaded_response(const struct loaded *d, size_t row, size_t j) {
    return &d->responses[d->rows[row].first + j];
}
static inline const int32_t *loaded_sequence(const struct loaded *d, size_t row, size_t j) {
    return d->ids.data + loaded_response(d, row, j)->at;
}
/* The marks of that sequence, or NULL. */
static inline const uint8_t *loaded_marks(const struct loaded *d, size_t row, size_t j) {
    return d->marks.size ? (const uint8_t *)d->marks.data + loaded_response(d, row, j)->at : NULL;
}

#endif
