/* schedule_watch: the schedules that follow what evaluation measures. */
#ifndef RAPT_TRAIN_SCHEDULE_WATCH_H
#define RAPT_TRAIN_SCHEDULE_WATCH_H

#include "train/schedule.h"

/* reduce_lr_on_plateau: torch.optim.lr_scheduler.ReduceLROnPlateau. The rate is multiplied by `factor` once the measure has failed to beat
 * its best by `threshold` more than `patience` evaluations in a row. */
status plateau_complete(struct schedule *s);
void plateau_watch(struct schedule *s, double measured);
/* greedy: transformers' GreedyLR (arXiv 2512.14527): the same, and divided by `factor` once it has improved more than `patience` times in a
 * row; back to the start when it has stood at min_lr for `reset_start` reductions. */
status greedy_complete(struct schedule *s);
void greedy_watch(struct schedule *s, double measured);

#endif
