/* cli_lora: the options of rapt train that describe a new adapter -> struct lora_options. */
#ifndef RAPT_CLI_CLI_LORA_H
#define RAPT_CLI_CLI_LORA_H

#include "base/opt.h"
#include "model/lora.h"

struct cli_lora {
    int64_t rank;
    double alpha, dropout;
    struct opt_list targets, saved;
    const char *init;
    bool rslora, dora;
};

status cli_lora_set(struct lora_options *out, const struct cli_lora *o);
/* Options without effect: all of them under --full; under --adapter those of what the adapter brings itself. */
status cli_lora_check_effect(const struct opt_result *r, const struct opt_spec *spec, bool full, bool adapter);

#endif
