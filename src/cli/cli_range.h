/* cli_range: options that name the two ends of a scale. */
#ifndef RAPT_CLI_CLI_RANGE_H
#define RAPT_CLI_CLI_RANGE_H

#include "base/status.h"

/* "1,10" for --NAME: two finite numbers, the lower first. */
status cli_range(double *low, double *high, const char *name, const char *text);

#endif
