/* kl_score: log-probs of sampled responses under a model, each to the prompt that the policy was asked with: the row's, its goal written in
 * as goal.json says. The tokens are those that were sampled: up to the one that ended the response, and without that one where it was cut.
 * Where the row has the sampled ids (response_ids; rapt generate --token-ids) these are taken, else the text is tokenised again, which may
 * give other ids for it. A model is opened once for all the files that it looks at. */
#ifndef RAPT_EVAL_KL_SCORE_H
#define RAPT_EVAL_KL_SCORE_H

#include "eval/goal_samples.h"
#include "model/scorer.h"

struct kl_options {
    const char *model, *adapter; /* whose log-probs; adapter may be NULL */
    const char *style;           /* a file in place of that goal.json; NULL: none */
    const char *kwargs;          /* NULL: as kept with the policy */
    bool without_goal;           /* the prompt as it stands in the row, whatever the goal */
    bool raw;                    /* string prompts go in without the chat template */
    enum matmul_kind kind;
    size_t budget;                /* positions computed at a time */
    const struct source_map *map; /* NULL: none */
};
struct kl_scorer;
/* *out is NULL on failure. o stays the caller's, and stays. */
status kl_scorer_open(struct kl_scorer **out, const struct kl_options *o);
void kl_scorer_free(struct kl_scorer *k);
/* All responses of a file. policy_model and policy_adapter (or NULL): who wrote them, whose goal.json says how prompts ask for a goal, and
 * what their chat_template_kwargs are. other_tokens: responses whose number of tokens is not the one that the row says. Errors name file
 * and line. */
status kl_scorer_file(struct goal_logps *out, size_t *other_tokens, struct kl_scorer *k, const char *path, const char *policy_model,
                      const char *policy_adapter);

#endif
