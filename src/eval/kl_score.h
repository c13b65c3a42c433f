/* kl_score: log-probs of sampled responses under a model, each to the prompt that the policy was asked with: the row's, its goal written in as
 * goal.json says. The tokens are those that were sampled: up to the one that ended the response, and without that one where it was cut. Where the row has
 * the sampled ids (response_ids; rapt generate --token-ids) these are taken, else the text is tokenised again, which may give other ids for it. */
#ifndef RAPT_EVAL_KL_SCORE_H
#define RAPT_EVAL_KL_SCORE_H

#include "eval/goal_samples.h"
#include "model/scorer.h"

struct kl_options {
    const char *model, *adapter;             /* whose log-probs; adapter may be NULL */
    const char *policy_model, *policy_adapter; /* whose goal.json says how prompts ask for a goal, and what their chat_template_kwargs are */
    const char *style;                       /* a file in place of that goal.json; NULL: none */
    const char *kwargs;                      /* NULL: as kept with the policy */
    const char *what;                        /* of the progress bar */
    bool without_goal;                       /* the prompt as it stands in the row, whatever the goal */
    bool raw;                                /* string prompts go in without the chat template */
    enum matmul_kind kind;
    size_t budget;                           /* positions computed at a time */
    const struct source_map *map;            /* NULL: none */
};
/* All responses of a file. other_tokens: responses whose number of tokens is not the one that the row says. Errors name file and line. */
status kl_logps(struct goal_logps *out, size_t *other_tokens, const char *path, const struct kl_options *o);

#endif
