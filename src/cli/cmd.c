#include "cli/cmd.h"

#include <stdio.h>

status cmd_parse(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv, bool *done) {
    *done = false;
    TRY(opt_parse(result, spec, options, argc, argv));
    if (result->help) {
        struct buf text = {0};
        opt_help(&text, spec);
        fputs(buf_text(&text), stdout);
        buf_release(&text);
        *done = true;
    }
    return ST_OK;
}
