/* gsm8k: grade-school arithmetic as lm-evaluation-harness counts it (lm_eval 0.4.13): tasks/gsm8k/gsm8k.yaml, filters/extraction.py,
 * api/metrics.py exact_match_hf_evaluate. */
#ifndef RAPT_EVAL_GSM8K_H
#define RAPT_EVAL_GSM8K_H

#include "eval/harness.h"
#include "format/json.h"

enum gsm8k_filter { GSM8K_STRICT, GSM8K_FLEXIBLE, GSM8K_FILTERS };
extern const char *const gsm8k_filter_names[GSM8K_FILTERS]; /* "strict-match", "flexible-extract" */

/* The answer in a response (cleared): the first `#### (\-?[0-9\.\,]+)`; or the last `(-?[$0-9.,]{2,})|(-?[0-9]+)`. "[invalid]" where there
 * is none. */
void gsm8k_extract(struct buf *out, enum gsm8k_filter filter, const char *text, size_t size);
/* Are the two equal once `,`, `$`, all up to the last `#### ` and a dot at the end are taken from both? Letters of A to Z in either case.
 */
bool gsm8k_match(const struct buf *extracted, const char *answer);

struct gsm8k_document {
    char *text, *answer; /* doc_to_text; the whole solution */
    struct buf row, context, response, extracted[GSM8K_FILTERS];
    size_t tokens; /* of the response */
    bool ended, matched[GSM8K_FILTERS];
};
struct gsm8k_set {
    struct gsm8k_document *items; /* [count] */
    size_t count, capacity, rows;
};
/* Rows with question and answer; at most `limit` (0: all). Errors name file, line and field. */
status gsm8k_load(struct gsm8k_set *s, const char *path, size_t limit);
void gsm8k_release(struct gsm8k_set *s);
/* The first `count` as examples. */
status gsm8k_shots(struct harness_shot **out, const char *path, size_t count);

/* Where a response ends: the first of these texts, taken in this order, and what stands before it. NULL at the end. */
extern const char *const gsm8k_until[];
/* Bytes of the response without the end text. *found: there is one. */
size_t gsm8k_cut(bool *found, const char *text, size_t size);

/* Fills extracted and matched from the responses, and the figures. */
void gsm8k_judge(struct harness_figure out[GSM8K_FILTERS], struct gsm8k_set *s);
/* Appends lm-eval's samples_*.jsonl: a line for each document and filter. */
void gsm8k_put_samples(struct buf *out, const struct gsm8k_set *s, size_t max_tokens);

#endif
