/* policy_start: what a policy was trained from, as the manifest.json that rapt train wrote beside it says: DPO's reference, unless another
 * was named. */
#ifndef RAPT_REWARD_POLICY_START_H
#define RAPT_REWARD_POLICY_START_H

#include "base/hash.h"
#include "base/status.h"

struct policy_start {
    bool known;                     /* there is a manifest: what follows is from it */
    char *model;                    /* --model */
    char *adapter;                  /* --adapter, NULL: the model as it is */
    char model_hash[HASH_HEX_SIZE]; /* "": not said */
    bool moved;                     /* --sync-ref-model: the reference did not stay there */
    char *logps;                    /* --ref-logps, whose log-probs may be another reference's; NULL: none */
};
/* folder: an adapter, a fully trained model, or a checkpoint-N of either, whose manifest stands a folder higher. ST_FORMAT: a manifest that
 * says nothing. */
status policy_start_read(struct policy_start *out, const char *folder);
void policy_start_release(struct policy_start *s);

#endif
