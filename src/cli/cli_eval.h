/* cli_eval: what the tasks of rapt eval over several runs share on the command line. */
#ifndef RAPT_CLI_CLI_EVAL_H
#define RAPT_CLI_CLI_EVAL_H

#include "base/opt.h"
#include "eval/eval.h"
#include "eval/goal_samples.h"

/* Rows of an option table: how the intervals are drawn. resamples and seed are offsets; over: "prompts", "questions". */
/* clang-format off */
#define CLI_BOOTSTRAP_ROWS(resamples, seed, over)                                                                          \
    {"resamples", OPT_INT, resamples, "N", "2000", NULL, "Bootstrap resamples, over " over ", behind the 95% intervals."}, \
    {"seed", OPT_INT, seed, "N", "0", NULL, "Of the bootstrap."}
/* clang-format on */
status cli_bootstrap(struct bootstrap_params *out, int64_t resamples, int64_t seed);

/* "name=path", or a path that is its own name. A path that exists under the whole text is taken whole. The path is a view of text, *name
 * the caller's. */
const char *cli_split_name(char **name, const char *text);
/* Every run is of as many files, or differences would be over the seeds that happen to be there. */
status cli_check_pooled(const char *name, size_t pooled, const char *first, size_t first_pooled);
/* A file's samples become the next of runs, or go to the run of their name. Takes the file. */
status cli_add_samples(struct goal_samples *runs, size_t *count, struct goal_samples *file);
/* After the last: every run of as many files, and only the goals of --goals, where it is given. names: as in goal_samples_options, or NULL.
 */
status cli_finish_samples(struct goal_samples *runs, size_t count, const char *goals, const struct goal_names *names);
/* Prints the table or the JSON; the JSON goes to the file `output` too, where it is not NULL. */
status cli_put_results(const struct buf *json, const struct buf *text, const char *output, bool as_json);
/* Runs a task and puts out what it found. */
status cli_evaluate(eval_run *run, const struct eval_input *in, const char *output, bool as_json);

#endif
