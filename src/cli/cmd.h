/* cmd: the table of commands. A command is one file src/cli/cmd_NAME.c with its option table and one row in COMMAND_LIST. */
#ifndef RAPT_CLI_CMD_H
#define RAPT_CLI_CMD_H

#include "base/opt.h"

/* Runs with argv past the command name. Prints results to stdout itself; on failure returns a status whose message main prints. */
typedef status cmd_fn(int argc, char **argv);

/* Every command is one row here, in the order of rapt --help: X(name, "group"). */
/* One row a line, so that branches merge */
/* clang-format off */
#define COMMAND_LIST(X) \
    X(score, "Data") \
    X(pair, "Data") \
    X(augment, "Data") \
    X(train, "Train") \
    X(logps, "Train") \
    X(run, "Train") \
    X(export, "Use") \
    X(generate, "Use") \
    X(chat, "Use") \
    X(serve, "Use") \
    X(eval, "Measure") \
    X(report, "Measure") \
    X(inspect, "Look") \
    X(tokenize, "Look") \
    X(template, "Look")
/* clang-format on */

#define COMMAND_DECLARE(name, group)                \
    extern const struct opt_spec cmd_##name##_spec; \
    cmd_fn cmd_##name##_run;
COMMAND_LIST(COMMAND_DECLARE)

/* Tasks of rapt eval that have options of their own, in the same way: X(name, "NAME", "citation"), file src/cli/cmd_eval_*.c. */
/* clang-format off */
#define EVAL_COMMAND_LIST(X) \
    X(eval_kl, "kl", "TRL's objective/kl; policies beside each other at one KL: arXiv 2210.10760") \
    X(eval_multiple_choice, "multiple-choice", "lm-evaluation-harness 0.4.13, api/task.py") \
    X(eval_gsm8k, "gsm8k", "lm-evaluation-harness 0.4.13, tasks/gsm8k") \
    X(eval_judge, "judge", "the judges of AlpacaEval 2, MT-Bench and Arena-Hard: docs/evaluation.md") \
    X(eval_alpaca, "alpaca", "AlpacaEval 2: arXiv 2404.04475, alpaca_eval 0.6.6") \
    X(eval_arena_hard, "arena-hard", "lmarena/arena-hard-auto, v0.1 and v2") \
    X(eval_mt_bench, "mt-bench", "arXiv 2306.05685; fschat 0.2.36, show_result.py") \
    X(eval_mt_answers, "mt-answers", "fschat 0.2.36, gen_model_answer.py")
/* clang-format on */
#define EVAL_COMMAND_DECLARE(name, task, citation) COMMAND_DECLARE(name, "Measure")
EVAL_COMMAND_LIST(EVAL_COMMAND_DECLARE)

struct cmd {
    const char *name;
    const char *group; /* heading in rapt --help */
    const struct opt_spec *spec;
    cmd_fn *run;
};
extern const struct cmd cmd_table[];
extern const size_t cmd_count;
/* The rows of EVAL_COMMAND_LIST: name is the task's, group its citation. */
extern const struct cmd eval_cmd_table[];
extern const size_t eval_cmd_count;

const struct cmd *cmd_eval_find(const char *task); /* NULL: no task with options of its own */

/* opt_parse for commands: prints --help to stdout when asked. *done is then true and the command returns ST_OK. */
status cmd_parse(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv, bool *done);

#endif
