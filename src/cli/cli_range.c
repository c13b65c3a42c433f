#include "cli/cli_range.h"

#include <math.h>
#include <stdio.h>

status cli_range(double *low, double *high, const char *name, const char *text) {
    char behind;
    if (sscanf(text, "%lf,%lf%c", low, high, &behind) != 2 || !isfinite(*low) || !isfinite(*high) || !(*low < *high))
        return FAIL(ST_USAGE, "--%s expects two numbers, the lower first, such as 1,10; found '%s'", name, text);
    return ST_OK;
}
