/* augment: the method's relabelling. Pairs with scores -> goal-conditioned pairs: under the goal r_w the response y_w beats y_l, under
 * the goal r_l it is the other way round, because R(x, y, g) = -(g - r(x, y))^2 (arXiv 2410.08067). Also its controls and ablations.
 *
 * A goal is a response's score, or with several attributes the vector of its scores: R = -|g - r|^2 with each attribute divided by the
 * width of its scale, so that each response matches its own vector exactly.
 *
 * Rows stream; memory is the longest row, plus 16 bytes a pair and attribute where scores are permuted (AUGMENT_SHUFFLED, which reads
 * twice). */
#ifndef RAPT_DATA_AUGMENT_H
#define RAPT_DATA_AUGMENT_H

#include "data/pair.h"
#include "data/source.h"
#include "text/goal.h"

#define AUGMENT_MODE_CHOICES "own|plain|prefix-only|random-order|shuffled|half-pairs|half-goals|sft"
enum augment_mode {
    AUGMENT_OWN,          /* both goals, responses swapped under the rejected one's: the method */
    AUGMENT_PLAIN,        /* no goal: the pair as it is */
    AUGMENT_PREFIX_ONLY,  /* both goals, never swapped */
    AUGMENT_RANDOM_ORDER, /* as own, but each pair's two goals exchanged with probability 1/2 */
    AUGMENT_SHUFFLED,     /* as own, the goals (r_w, r_l) of another pair */
    AUGMENT_HALF_PAIRS,   /* as own, every second pair (a random one of two neighbours) */
    AUGMENT_HALF_GOALS,   /* as own, one of the two rows at random */
    AUGMENT_SFT           /* each response under its own goal, as prompt and completion */
};
enum augment_mode augment_mode_parse(const char *name); /* CHECKs */
const char *augment_mode_name(enum augment_mode mode);

enum augment_ties { AUGMENT_TIES_DROP, AUGMENT_TIES_KEEP, AUGMENT_TIES_PLAIN };
enum augment_disagree { AUGMENT_DISAGREE_DROP, AUGMENT_DISAGREE_RELABEL, AUGMENT_DISAGREE_KEEP };
enum augment_goals { AUGMENT_GOALS_OWN, AUGMENT_GOALS_PROMPT, AUGMENT_GOALS_LIST };

struct augment_options {
    const char *input, *output; /* "-" is stdin, stdout */
    const char *input_name;     /* what messages call the input; NULL: its path */
    status (*put)(void *context, const char *lines,
                  size_t size); /* takes the training rows in place of output, and of OUTPUT.goal.json; may be NULL */
    void *put_context;
    const char *test_output;       /* NULL: no split */
    size_t fold, folds;            /* training rows of the prompts of fold 0 .. folds - 1 alone (augment_fold); folds 0: of all */
    double test_split;             /* fraction of the prompts that go to test_output, by a hash of the goal-free prompt alone */
    bool test_unconditioned;       /* test rows without a goal, in their original order */
    const struct goal *test_goals; /* [test_goal_count]; not empty: test pairs under each of these in place of their own, never swapped */
    size_t test_goal_count;
    enum augment_mode mode;
    enum augment_ties ties;
    enum augment_disagree on_disagree;
    enum augment_goals goals;
    const struct goal *goal_list; /* [goal_count], as goal_printed gives them, for AUGMENT_GOALS_LIST */
    size_t goal_count;
    const struct goal *
        without_goals; /* [without_goal_count], as goal_printed gives them: never trained; a pair with such a score goes with both halves */
    size_t without_goal_count;
    double goal_dropout;                /* share of pairs (responses in AUGMENT_SFT) that lose their goal and become one plain row */
    struct pair_rules rules;            /* for rows with K responses; its range of scores for all rows */
    const struct pair_exclude *exclude; /* NULL: none */
    const struct source_map *map;       /* NULL: none */
    const struct goal_style *style;     /* placement resolved, not GOAL_AUTO */
    bool map_scores;                    /* linear from [from_low, from_high] to the style's scale, then rounded to 0.01 */
    double from_low, from_high;
    double attribute_from[GOAL_MAX][2]; /* the same for each attribute, to its scale; two equal numbers: it is taken as it is */
    bool paper_nosys_bug;               /* the released code's negative half: not swapped, and the rejected side's goal twice */
    enum source_bad_row on_bad_row;
    uint64_t limit; /* stop after so many used pairs, train and test together (responses in AUGMENT_SFT); 0 = all */
    uint64_t seed;
};

/* Everything that happened; the names are the keys of --json. */
#define AUGMENT_COUNT_MAP(X)                                                                                      \
    X(rows_read, "rows read")                                                                                     \
    X(rows_skipped, "bad rows skipped")                                                                           \
    X(rows_excluded, "rows dropped: TruthfulQA or an excluded prompt")                                            \
    X(rows_other_folds, "rows left out: their prompts are of other folds")                                        \
    X(pairs_read, "pairs found")                                                                                  \
    X(pairs_train, "pairs used for training")                                                                     \
    X(pairs_test, "pairs put into the test split")                                                                \
    X(rows_written, "rows written")                                                                               \
    X(test_rows_written, "test rows written")                                                                     \
    X(dropped_few_responses, "rows dropped: fewer than two usable responses")                                     \
    X(dropped_fine_order, "rows dropped: chosen has the lower fine-grained mean")                                 \
    X(dropped_no_score, "responses dropped: no score")                                                            \
    X(dropped_score, "responses (of rows that are pairs: pairs) dropped: score outside --min-score, --max-score") \
    X(dropped_goal, "training pairs or responses dropped: a goal of --without-goals")                             \
    X(dropped_na, "responses (of rows that are pairs: pairs) dropped: an aspect or attribute rated N/A")          \
    X(dropped_empty, "pairs or responses dropped: empty response")                                                \
    X(dropped_equal_text, "pairs dropped: equal responses")                                                       \
    X(dropped_margin, "pairs dropped: margin outside --min-margin, --max-margin")                                 \
    X(dropped_drawn, "pairs not drawn: more than --max-pairs in their row")                                       \
    X(dropped_tie, "pairs dropped: goals print the same")                                                         \
    X(ties_kept, "ties kept with both goals")                                                                     \
    X(ties_plain, "ties written once without a goal")                                                             \
    X(dropped_disagree, "pairs dropped: chosen scored below rejected")                                            \
    X(disagree_relabelled, "pairs turned round: chosen scored below rejected")                                    \
    X(disagree_kept, "pairs kept although chosen scored below rejected")                                          \
    X(dropped_half, "pairs or goals left out by a half mode")                                                     \
    X(goals_equidistant, "goals dropped: as far from both scores")                                                \
    X(goals_above_both, "goals above both scores: they prefer the higher, however low")                           \
    X(goals_dropped_out, "pairs or responses written without a goal by dropout")                                  \
    X(scores_off_scale, "scores outside the printed scale")

struct augment_counts {
#define AUGMENT_COUNT_MEMBER(name, text) uint64_t name;
    AUGMENT_COUNT_MAP(AUGMENT_COUNT_MEMBER)
#undef AUGMENT_COUNT_MEMBER
};

/* Reads, relabels, writes; nothing stands under the output names before all of it is written. Beside `output` goes OUTPUT.goal.json,
 * the goal style for train and generate, unless no row of it has a goal. Errors name file, line and field. */
status augment_run(struct augment_counts *counts, const struct augment_options *o);

/* Finds the scales of the style's attributes that are not known (NaN): the lowest and the highest number of each in the input, which is
 * read once more for that. ST_FORMAT where an attribute is the same in all rows. Rows that are broken or lack an attribute count as in
 * augment_run, but are not kept aside. */
status augment_find_scales(struct goal_style *style, const struct augment_options *o);

/* Is this goal one of without_goals? */
bool augment_without(const struct augment_options *o, const struct goal *goal);

/* One row to be written for a pair. */
struct augment_emit {
    bool swap; /* the rejected response first */
    struct goal goal;
    int goal_of; /* enum goal_of */
};
struct augment_emits {
    struct augment_emit *items;
    size_t count, capacity;
};
void augment_emits_release(struct augment_emits *e);

enum augment_fate { AUGMENT_DROP, AUGMENT_USE, AUGMENT_USE_TURNED, AUGMENT_USE_PLAIN };
/* What becomes of a pair with these scores (NaN absent) and goals as printed (none: no goal); counts it. In a test split ties are always
 * dropped. */
enum augment_fate augment_judge(struct augment_counts *counts, const struct augment_options *o, const double score[2],
                                const struct goal goal[2], bool test);

/* Fills `out` with the rows that a training pair becomes. goal: of chosen and rejected, as printed; exact: before quantising;
 * prompt_goals[prompt_goal_count]: the goals of all responses to the prompt; id: the pair's key for random draws; ordinal: its number
 * among the used pairs. */
void augment_plan(struct augment_emits *out, struct augment_counts *counts, const struct augment_options *o, const struct goal goal[2],
                  const struct goal exact[2], const struct goal *prompt_goals, size_t prompt_goal_count, uint64_t id, uint64_t ordinal);

/* Does this prompt (record_prompt_key) belong to the test split? Depends on nothing but the prompt and the fraction. */
bool augment_in_test(uint64_t prompt_key, double fraction);
/* The fold of a prompt, 0 .. folds - 1: by a hash of its own, so that a test split takes from all folds alike. Of `rapt augment --fold` and
 * of cross-fitted scores. */
size_t augment_fold(uint64_t prompt_key, size_t folds);

#endif
