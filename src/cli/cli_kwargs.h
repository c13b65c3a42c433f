/* cli_kwargs: --chat-template-kwargs, which every command that renders conversations has; what it means is in data/encode_kwargs.c. */
#ifndef RAPT_CLI_CLI_KWARGS_H
#define RAPT_CLI_CLI_KWARGS_H

#include "base/opt.h"

/* clang-format off */
#define CLI_KWARGS_ROW(offset)                                                                                                  \
    {"chat-template-kwargs", OPT_STR, offset, "JSON", NULL, NULL,                                                               \
     "variables of the chat template, e.g. '{\"enable_thinking\": false}'; a row's own chat_template_kwargs come before them. " \
     "Training keeps them beside the weights, where they are found again without this option"}
/* clang-format on */

#endif
