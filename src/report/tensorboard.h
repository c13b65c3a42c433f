/* tensorboard: a run's metrics.jsonl as an event file that TensorBoard reads. */
#ifndef RAPT_REPORT_TENSORBOARD_H
#define RAPT_REPORT_TENSORBOARD_H

#include "base/status.h"

/* Writes OUTPUT/LABEL/events.out.tfevents.rapt from FOLDER/metrics.jsonl: every number of every line under the tags of transformers'
 * TensorBoardCallback, train/NAME and eval/NAME (integrations/integration_utils.py, rewrite_logs). The log holds no dates: a line's time is
 * the file's own, less what was left of the run by the tokens and their rate. *written is false where the folder has no metrics. */
status tensorboard_write(bool *written, const char *output, const char *folder, const char *label);

#endif
