/* complete: what a shell completes behind `rapt`, written from the option tables. */
#ifndef RAPT_CLI_COMPLETE_H
#define RAPT_CLI_COMPLETE_H

#include "base/buf.h"

/* Appends the script for "bash", "zsh" or "fish". ST_USAGE for another shell. */
status complete_put(struct buf *out, const char *shell);

#endif
