/* pair: K scored responses -> chosen and rejected, with their scores. */
#ifndef RAPT_DATA_PAIR_H
#define RAPT_DATA_PAIR_H

#include "data/pair_exclude.h"
#include "data/pair_margins.h"
#include "data/record.h"
#include "data/source.h"

#define PAIR_RULE_CHOICES "paper|best-worst|all|best-random|adjacent|cross|top"
enum pair_rule { PAIR_PAPER, PAIR_BEST_WORST, PAIR_ALL, PAIR_BEST_RANDOM, PAIR_ADJACENT, PAIR_CROSS, PAIR_TOP };
enum pair_rule pair_rule_parse(const char *name); /* CHECKs */

/* How responses are paired. Zeroed: the paper's rule with seed 0. */
struct pair_rules {
    enum pair_rule rule;
    size_t top;                    /* PAIR_TOP: pairs of a row at most */
    size_t max_pairs;              /* of a row, drawn from all that the rule gives (keyed by seed and the row's index); 0: all */
    double length_penalty;         /* taken off a score for each character before responses are compared; the rows keep their scores */
    double min_margin, max_margin; /* of score_chosen - score_rejected; 0: none */
    bool has_min_score, has_max_score;
    double min_score, max_score; /* responses with a score below, above, take no part */
    bool drop_ties;              /* pairs of equal scores; else they are kept and counted */
    bool random_ties;            /* which of equal scores comes first is drawn; else the first in the row */
    uint64_t seed;
};

struct pair {
    size_t chosen, rejected; /* indices of responses */
};
struct pair_list {
    struct pair *items;
    size_t count, capacity;
};
void pair_list_release(struct pair_list *l);

/* Everything that happened; the names are the keys of --json. */
#define PAIR_COUNT_MAP(X)                                                                      \
    X(rows_read, "rows read")                                                                  \
    X(rows_skipped, "bad rows skipped")                                                        \
    X(rows_excluded, "rows dropped: TruthfulQA or an excluded prompt")                         \
    X(dropped_no_score, "responses dropped: no score")                                         \
    X(dropped_score, "responses dropped: score outside --min-score, --max-score")              \
    X(dropped_na, "responses dropped: an aspect rated N/A")                                    \
    X(dropped_empty, "responses dropped: empty")                                               \
    X(dropped_few_responses, "rows dropped: fewer than two usable responses")                  \
    X(dropped_equal_text, "pairs dropped: equal responses")                                    \
    X(dropped_fine_order, "rows dropped: chosen has the lower fine-grained mean")              \
    X(dropped_margin, "pairs dropped: margin outside --min-margin, --max-margin")              \
    X(dropped_drawn, "pairs not drawn: more than --max-pairs in their row")                    \
    X(dropped_tie, "pairs dropped: equal scores")                                              \
    X(ties, "pairs with equal scores, kept")                                                   \
    X(reversed, "pairs whose chosen response has the lower score: the length penalty decided") \
    X(pairs_written, "pairs written")

struct pair_counts {
#define PAIR_COUNT_MEMBER(name, text) uint64_t name;
    PAIR_COUNT_MAP(PAIR_COUNT_MEMBER)
#undef PAIR_COUNT_MEMBER
};

/* Fills `out` (cleared first) with the pairs of a RECORD_RESPONSES record and adds what was dropped to `counts`. Responses without a
 * score or without text take no part; two responses of equal text are no pair.
 *   paper:      responses with an N/A aspect are dropped; first of the highest score, a random other (keyed by seed and the row's
 *               index); only when the chosen one's fine-grained mean is not the lower (scripts/preprocess.py and
 *               reward_augmentation.py of the released code). Rows whose `source` is "truthful_qa" give no pair.
 *   best-worst: first of the highest score, first of the lowest.
 *   all:        every two responses, the higher score chosen, ties in the row's order.
 *   best-random: first of the highest score, a random other (keyed by seed and the row's index).
 *   adjacent:   of the different scores in descending order each with the next: first of the one, first of the other.
 *   cross:      what adjacent leaves: every two responses between whose scores another response's score lies.
 *   top:        the i-th best with the i-th worst, i = 1 .. top, while the one is above the other in that order.
 * Under a length penalty, "score" above is the score less the penalty (arXiv 2405.07863, section 3.2: r - lambda |y|). */
void pair_choose(struct pair_list *out, struct pair_counts *counts, const struct record *r, const struct pair_rules *rules);

/* Do the rules leave a response with this score out? NaN is no score, and not for them to say. */
bool pair_score_outside(const struct pair_rules *rules, double score);

/* Or a pair of these two? By how far the chosen one's score is above the other's: 8.1 - 7.1 is a margin of 1. */
bool pair_margin_outside(const struct pair_rules *rules, double chosen, double rejected);

/* Is this row from TruthfulQA, as UltraFeedback's field `source` tells? The paper leaves those out. */
bool pair_from_truthful_qa(const struct record *r);

/* Appends `key` and a text as JSON: a string, or a messages array as it is. */
void pair_put_text(struct buf *out, const char *key, const struct buf *text, bool conversational);
/* Is a member of the record's row the same for all its responses? It is not where they came in rows of their own that differ in it. */
bool pair_is_common(const struct record *r, struct json key, struct json value);
/* Appends `, "key": value` for each field of the row that the pair does not replace and that is common. `as_sft`: see
 * source_field_consumed; `attributes`: the writer gives those of the responses (attribute_is_member) itself. */
void pair_put_others(struct buf *out, const struct record *r, bool as_sft, bool attributes);
/* Numbers of the responses under names of their own (data/attribute.h), which go into scores_chosen and scores_rejected, where augment
 * --attributes finds them. Zeroed: none. */
struct pair_attributes {
    const char *const *names; /* [count] */
    size_t count;
    double *values; /* [capacity] of the row at hand: [responses][count]; owned */
    size_t capacity;
};
/* Appends a pair as one JSON object, without a line break: prompt, chosen, rejected (strings, or messages when the record is
 * conversational), scores, fine-grained means where known, attributes, with `scores` those of all the row's responses (PAIR_SCORES_FIELD,
 * which augment takes for --goals prompt; with attributes {NAME: number} each), then the row's other fields. */
#define PAIR_SCORES_FIELD "prompt_scores"
void pair_put_row(struct buf *out, const struct record *r, struct pair p, const struct pair_attributes *attributes, bool scores);

struct pair_options {
    const char *input, *output; /* "-" is stdin, stdout */
    struct pair_rules rules;
    const char *const
        *attributes; /* [attribute_count] names; GOAL_OVERALL is the response's own score. A response without one takes no part */
    size_t attribute_count;
    bool keep_scores;                   /* write PAIR_SCORES_FIELD */
    struct pair_margins *margins;       /* NULL: not asked for */
    const struct pair_exclude *exclude; /* NULL: none */
    const struct source_map *map;       /* NULL: none */
    enum source_bad_row on_bad_row;
    uint64_t limit; /* pairs at most; 0 = all */
};
/* Reads, pairs, writes; nothing stands under the output's name before all of it is written. Errors name file, line and field. */
status pair_run(struct pair_counts *counts, const struct pair_options *o);

#endif
