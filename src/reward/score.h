/* score: a file of rows through a source of scores: each row again, with a score for every response. */
#ifndef RAPT_REWARD_SCORE_H
#define RAPT_REWARD_SCORE_H

#include "data/source.h"
#include "reward/quantiles.h"
#include "reward/reward.h"

enum score_scale {
    SCORE_AS_IS,    /* as the source gives them */
    SCORE_LINEAR,   /* 0 .. 1 to low .. high */
    SCORE_QUANTILES /* by rank to low .. high */
};

struct score_options {
    const char *input, *output; /* "-" is stdin, stdout */
    const struct reward_source *source;
    struct reward_options reward;
    enum score_scale scale;
    const char
        *quantile_map; /* SCORE_QUANTILES: a file to read; NULL: made of this input, which is read twice, and written to OUTPUT.map.json */
    double low, high;
    double quantum; /* scores are rounded to multiples of it; 0: as they are */
    const char *as; /* NULL, or the name of an attribute that the numbers become: a member of scores (of a pair scores_chosen, ..), beside
                       those that are there */
    bool overwrite; /* scores that rows have already are replaced; else they are an error */
    const struct source_map *map; /* NULL: none */
    enum source_bad_row on_bad_row;
};

/* The names are the keys of --json. */
#define SCORE_COUNT_MAP(X)                                                       \
    X(rows_read, "rows read")                                                    \
    X(rows_skipped, "bad rows skipped")                                          \
    X(rows_written, "rows written")                                              \
    X(responses_scored, "responses scored")                                      \
    X(responses_unscored, "responses left without a score: the source has none") \
    X(scores_replaced, "scores replaced")                                        \
    X(scores_at_lowest, "scores at the lowest of the range")                     \
    X(scores_at_highest, "scores at the highest of the range")

struct score_counts {
#define SCORE_COUNT_MEMBER(name, text) uint64_t name;
    SCORE_COUNT_MAP(SCORE_COUNT_MEMBER)
#undef SCORE_COUNT_MEMBER
    struct reward_tally tally; /* of a judge */
};

/* Reads, scores, writes; nothing stands under the output's name before all of it is written.
 *   pairs:        score_chosen and score_rejected, every other field as it was; other names of a pair's scores go when they are replaced.
 *   K responses:  {prompt, responses: [{text | messages, score, the response's other members}], the row's other fields}, whatever the form.
 *   completions:  score, every other field as it was.
 * A response without a score has null there, and where the source could have had one score_error (of pairs score_error_chosen, ..) says
 * why. A source with attributes adds scores_chosen and scores_rejected, or scores: {NAME: number}. With `as` the scores stay as they are,
 * and ST_USAGE for a source with attributes. */
status score_run(struct score_counts *counts, const struct score_options *o);

/* A row with holes for its scores; src/reward/score_row.c. */
struct score_row {
    struct buf text;
    size_t *hole; /* [count] offsets in text, ascending */
    size_t count, capacity;
    bool pair;
};
/* ST_USAGE where the row has scores (with `as`, see score_options: numbers of that name) and replace is false; else *replaced says how
 * many. ST_FORMAT for a row without responses. */
status score_row_check(size_t *replaced, const struct record *r, bool replace, const char *as);
/* replace: the row has scores. named: attributes will stand beside the new ones. Either way those that are there go. as: NULL, or holes are
 * behind the beginning of scores, which has the other attributes, and what goes there ends it; the scores stay. */
void score_row_render(struct score_row *out, const struct record *r, bool replace, bool named, const char *as);
void score_row_release(struct score_row *row);

#endif
