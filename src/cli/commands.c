/* commands: the tables behind COMMAND_LIST and EVAL_COMMAND_LIST of cli/cmd.h. */
#include "cli/cmd.h"

#define COMMAND_ROW(name, group) {#name, group, &cmd_##name##_spec, cmd_##name##_run},
const struct cmd cmd_table[] = {COMMAND_LIST(COMMAND_ROW){0}};
const size_t cmd_count = sizeof cmd_table / sizeof cmd_table[0] - 1;

#define EVAL_COMMAND_ROW(name, task, citation) {task, citation, &cmd_##name##_spec, cmd_##name##_run},
const struct cmd eval_cmd_table[] = {EVAL_COMMAND_LIST(EVAL_COMMAND_ROW){0}};
const size_t eval_cmd_count = sizeof eval_cmd_table / sizeof eval_cmd_table[0] - 1;
