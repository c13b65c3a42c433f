/* loader: a data file as token ids, held for the length of a run; the rules of what is dropped and cut are TRL 1.x's. */
#ifndef RAPT_DATA_LOADER_H
#define RAPT_DATA_LOADER_H

#include "data/encode.h"

struct loaded_row {
    size_t at;                          /* offset of the prompt's first id in ids */
    int32_t prompt, chosen, rejected;   /* token counts; stored as prompt, chosen, prompt, rejected: each sequence is contiguous */
    uint64_t line;                      /* in the file */
    int64_t source_row;                 /* -1 */
    int goal_of;
    double goal, score_chosen, score_rejected, margin; /* NaN */
    int32_t last_chosen, last_rejected; /* of reward rows: the position of the last token that is no padding */
    uint64_t prompt_hash;               /* of the goal-free identity where known: source_row, else of the prompt's text */
};
struct loaded {
    struct ids ids;
    struct loaded_row *rows;
    size_t count, capacity;
    /* counts of what happened */
    size_t read, dropped_long, dropped_partner, cut, mismatched;
    int32_t longest;                    /* most tokens of one sequence */
    bool pooled;                        /* reward rows */
};

struct loader_options {
    size_t max_length;   /* 0 = unlimited */
    bool paired_drop;    /* a row that is dropped takes the row with the same source_row along */
    bool sft;            /* accept SFT rows only; else pairs only */
    bool reward;         /* whole conversations (encoder.whole), dropped when too long, never cut; prompt = what both begin with */
    int64_t pad;         /* reward: the padding token, -1 = none */
    bool skip_bad;       /* --on-bad-row skip */
    const char *rejected_beside; /* skipped rows go to this name + .rejected.jsonl; NULL: counted only */
};
/* Reads `path` whole. A bar shows progress. Errors name file, line, field. */
status loaded_read(struct loaded *d, const char *path, struct encoder *e, const struct loader_options *o);
void loaded_release(struct loaded *d);
/* Views of a row's two sequences: prompt + chosen, prompt + rejected. */
static inline const int32_t *loaded_chosen_sequence(const struct loaded *d, size_t i) { return d->ids.data + d->rows[i].at; }
static inline const int32_t *loaded_rejected_sequence(const struct loaded *d, size_t i) {
    return loaded_chosen_sequence(d, i) + d->rows[i].prompt + d->rows[i].chosen;
}

#endif
