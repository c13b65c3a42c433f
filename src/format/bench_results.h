/* bench_results: what rapt eval alpaca, arena-hard and mt-bench print, {"task", .., "models": [..]} with the names of the benchmarks' own
 * programs, as runs with estimates, which is the form of all other evaluations: for the report and the summary. */
#ifndef RAPT_FORMAT_BENCH_RESULTS_H
#define RAPT_FORMAT_BENCH_RESULTS_H

#include "format/json.h"

bool bench_is_results(struct json file);
/* Appends {"task", "level", .., "runs": [{"name", .., "all": {FIGURE: {"value", "low", "high", "n"} or null, ..}, ..}]}; `level` is of the
 * intervals (0.95; Arena-Hard v2 prints 0.9). Figures of all: alpaca win_rate, length_controlled_win_rate, average_length; arena-hard
 * score; mt-bench turn_1, turn_2, average; mt-bench also "categories": {NAME: the same}, "pairwise": {"all": {win_rate, loss_rate,
 * win_rate_adjusted}}. Where a file has no interval it is 1.96 standard errors to both sides. ST_FORMAT names the field, also of a figure
 * without either. */
status bench_put_runs(struct buf *out, struct json file);

#endif
