/* cli_optim: the options of rapt train that say how parameters follow gradients -> optimizer and schedule of struct train_options. */
#ifndef RAPT_CLI_CLI_OPTIM_H
#define RAPT_CLI_CLI_OPTIM_H

#include "base/opt.h"
#include "train/trainer.h"

struct cli_optim {
    const char *name, *schedule, *watched;
    struct opt_list args, schedule_kwargs;
    double learning_rate, warmup_ratio, weight_decay, beta1, beta2, epsilon, loraplus_ratio;
    int64_t warmup_steps;
};

/* Checks everything that needs no data. Presets that depend on the optimizer are written back into o. */
status cli_optim_set(struct train_options *t, struct cli_optim *o, const struct opt_result *r, const struct opt_spec *spec);

#endif
