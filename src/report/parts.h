/* parts: the pieces of the page's JSON, one file each. Each appends one or more objects, checked. */
#ifndef RAPT_REPORT_PARTS_H
#define RAPT_REPORT_PARTS_H

#include "format/json.h"

/* run_folder.c. Appends {"label", "folder", "date", "manifest", "metrics", "goal"}; date, manifest, metrics and goal (goal.json) are null
 * where the folder has no such file. *found is set when it has one of the first two. */
status run_folder_put(struct buf *out, const char *folder, const char *label, bool *found);
/* The same of metrics.jsonl alone: {"lines", "stride", "summary": {..}, "train": {"step": [..], "loss": [..], ..}, "eval": {..}}. Long
 * files are thinned: a point is the mean of `stride` logged lines. */
status metrics_file_put(struct buf *out, const char *path);

/* eval_file.c. Appends {"file", "label", "data"} for what rapt eval --json printed; label (may be NULL) is the model's name where the file
 * has one run. A file without a known task is left out with a warning when `found` (a folder was searched), else an error. *put tells
 * whether something was appended. */
status eval_file_put(struct buf *out, const char *path, const char *label, bool found, bool *put);

/* harness_file.c: is it lm-evaluation-harness's results JSON; appends the same as rapt eval's. label may be NULL. */
bool harness_is_results(struct json file);
void harness_put(struct buf *out, struct json file, const char *label);
/* counts_file.c. Appends {"file", "counts"} for what rapt augment --json or rapt pair --json printed; else nothing, with a warning. */
status counts_file_put(struct buf *out, const char *path, bool *put);

/* samples.c: rows of generated text; the first prompts are kept with all their goals and models. */
#define SAMPLE_PROMPTS_MAX 40
#define SAMPLE_REPEATS_MAX 3  /* of one prompt, goal and model */
#define SAMPLE_KINDS_MAX 4096 /* prompts x goals x models */
struct sample_seen {
    uint64_t key; /* prompt, goal, model */
    size_t count;
};
struct samples {
    struct buf rows; /* objects, with commas between */
    uint64_t prompts[SAMPLE_PROMPTS_MAX];
    size_t prompt_count;
    struct sample_seen *seen;
    size_t seen_count, seen_capacity;
    size_t read, shown;
};
/* `label` (may be NULL) is the model's name: of rows that do not say theirs, or of all where `given`. */
status samples_read(struct samples *s, const char *path, const char *label, bool given);
void samples_release(struct samples *s);

/* markdown.c. Appends the report as Markdown: what was measured, training, samples, what was dropped, how to run it again. */
status markdown_put(struct buf *out, const struct buf *json);

/* page.c. Appends the page with `json` in it. */
void page_put(struct buf *out, const char *title, const struct buf *json);

/* "%s: field '%s': expected X, found Y"; the place stands in front. */
status field_fail(const char *place, const char *field, const char *expected, struct json found);

#endif
