/* commands: the table behind COMMAND_LIST of cli/cmd.h. */
#include "cli/cmd.h"

#define COMMAND_ROW(name, group) {#name, group, &cmd_##name##_spec, cmd_##name##_run},
const struct cmd cmd_table[] = {COMMAND_LIST(COMMAND_ROW){0}};
const size_t cmd_count = sizeof cmd_table / sizeof cmd_table[0] - 1;
