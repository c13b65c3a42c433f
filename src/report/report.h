/* report: one self-contained HTML page from run folders. The page is web/report.* with Chart.js, all embedded in the program; what was
 * measured goes in as one JSON object, checked here field by field, so that the page's script may rely on its shape.
 *
 * The object: {"title", "generated", "rapt_version", "runs": [run_folder.c], "evals": [eval_file.c, harness_file.c], "counts":
 * [counts_file.c], "samples": [samples.c], "sample_counts": {"rows", "shown", "prompts"}}. */
#ifndef RAPT_REPORT_REPORT_H
#define RAPT_REPORT_REPORT_H

#include "base/status.h"

struct report_input {
    const char *path;
    const char *label; /* what the page calls the run or the model; unique among folders; NULL for files that say it themselves */
};
enum report_format { REPORT_HTML, REPORT_MARKDOWN, REPORT_JSON };

struct report_options {
    const struct report_input *folders;
    size_t folder_count;
    const struct report_input *evals, *samples; /* further files */
    size_t eval_count, sample_count;
    const char *title; /* NULL: made from the labels */
    const char *output;
    enum report_format format;
};

/* Writes the page (or the same as Markdown, or the object itself), whole or not at all. A broken line or field fails with file, line and
 * field; ST_MISMATCH when there is nothing to show.
 */
status report_write(const struct report_options *o);

#endif
