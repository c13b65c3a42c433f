/* cli_loss: the options of rapt train that say which loss is trained -> struct loss_mix and struct loss_params. */
#ifndef RAPT_CLI_CLI_LOSS_H
#define RAPT_CLI_CLI_LOSS_H

#include "base/opt.h"
#include "loss/loss.h"

struct cli_loss {
    struct opt_list types, weights;
    const char *divergence, *odpo_offset;
    const char *kto_threshold;
    double temperature_alpha, desirable_weight, undesirable_weight;
    double beta, label_smoothing, discopop_tau, center_rewards, alpha_divergence, ld_alpha, simpo_gamma, cpo_alpha, odpo_alpha, rpo_eta;
    bool weighting;
};

/* objective: "dpo", "kto", "sft", "reward". An option that no loss of the mix looks at is refused; `spec` has them under their own names.
 * Presets that hang on the loss are written back. */
status cli_loss_set(struct loss_mix *m, struct loss_params *p, struct cli_loss *o, const char *objective, const struct opt_result *r,
                    const struct opt_spec *spec);
/* --kto-threshold as a number; NaN where it is not given. */
status cli_loss_threshold(double *out, const struct cli_loss *o);
/* The losses of the objectives, for --help. */
void cli_loss_names(struct buf *out);

#endif
