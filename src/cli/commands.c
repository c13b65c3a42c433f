/* commands: every command is one row here; its options live in its own file. */
#include "cli/cmd.h"

#define COMMAND_LIST(X)

#define COMMAND_DECLARE(name, group)                                                                                                       \
    extern const struct opt_spec cmd_##name##_spec;                                                                                        \
    cmd_fn cmd_##name##_run;
COMMAND_LIST(COMMAND_DECLARE)

#define COMMAND_ROW(name, group) {#name, group, &cmd_##name##_spec, cmd_##name##_run},
const struct cmd cmd_table[] = {COMMAND_LIST(COMMAND_ROW){0}};
const size_t cmd_count = sizeof cmd_table / sizeof cmd_table[0] - 1;
