/* goal: how the data asks for its goals, which goes beside the weights that are trained on it. */
#ifndef RAPT_TRAIN_GOAL_H
#define RAPT_TRAIN_GOAL_H

#include "data/encode.h"
#include "train/trainer.h"

/* goal.json, which rapt augment writes beside the data, goes beside the weights trained on them, so that generate and chat ask the same
 * way. Data without one: an adapter that is trained on keeps its own, and rows that have goals all the same are warned about. */
status train_goal_copy(const struct train_options *o, const struct loaded *rows);
/* Warns of goals' tokens (augment --goal-tokens) that are not tokens of this model, and says so where none of them can learn. After
 * train_goal_copy. */
status train_goal_check_tokens(const struct train_options *o, const struct encoder *e, bool embeddings_trained);

/* The highest goal that the folder's goal.json says was trained, as --goal takes it; false: there is none that is one score. */
bool train_goal_highest(double *out, const char *folder);

#endif
