/* reward_pack: responses as token sequences for a model that scores several at a time; shared by the sources that run one. */
#ifndef RAPT_REWARD_REWARD_PACK_H
#define RAPT_REWARD_REWARD_PACK_H

#include "data/encode.h"
#include "model/scorer.h"
#include "reward/reward.h"

#define REWARD_PACK_MAX 256 /* sequences computed together */

struct pack_sequence {
    size_t at;          /* of its first token in ids */
    int32_t size, from; /* tokens; where the response begins, 0 for a reward model */
};
struct reward_pack {
    struct encoder encoder;
    struct scorer scorer;
    size_t budget; /* positions computed at a time */
    const char *budget_option;
    struct ids ids;
    struct pack_sequence *items; /* [count] held back, in order */
    size_t count, capacity;
    struct encoded encoded; /* scratch */
};

/* Opens model, adapter and tokenizer. rewards: a reward model, which sees whole conversations; else a language model. */
status reward_pack_open(struct reward_pack *p, const struct reward_options *o, bool rewards);
void reward_pack_release(struct reward_pack *p);
/* Adds the row's responses. Nothing is added on failure: ST_FORMAT, ST_UNSUPPORTED (too long) mean that the row is unusable. */
status reward_pack_take(struct reward_pack *p, const struct record *row);
/* Adds one sequence of ids, of which the response is scored: both of them not empty. */
status reward_pack_push(struct reward_pack *p, const struct ids *prompt, const struct ids *response);
/* Takes back the last n sequences. */
void reward_pack_undo(struct reward_pack *p, size_t n);
/* How many of the first sequences are to be computed now: as many as fit, when more are held than that, or `all`; 0 for none. ids, sizes,
 * from: [REWARD_PACK_MAX], filled for them. */
size_t reward_pack_next(const int32_t **ids, int32_t *sizes, int32_t *from, const struct reward_pack *p, bool all);
/* Log-prob sums of what can be computed now, or of all, in order, done with. Of a language model. */
status reward_pack_sums(struct reward_values *out, struct reward_pack *p, bool all);
/* They are done. */
void reward_pack_drop(struct reward_pack *p, size_t n);

#endif
