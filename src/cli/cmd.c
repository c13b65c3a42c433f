#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

const struct cmd *cmd_eval_find(const char *task) {
    for (size_t i = 0; i < eval_cmd_count; i++)
        if (strcmp(task, eval_cmd_table[i].name) == 0) return &eval_cmd_table[i];
    return NULL;
}

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
