/* score_pairs: a file of pairs through a model: each row again, with the summed log-probs of its two responses. `rapt logps` writes the
 * lines, evaluation reads them in memory: one way in, one form out. */
#ifndef RAPT_EVAL_SCORE_PAIRS_H
#define RAPT_EVAL_SCORE_PAIRS_H

#include "data/encode.h"
#include "eval/logps_file.h"
#include "model/scorer.h"

struct score_options {
    const char *model, *adapter; /* adapter may be NULL */
    const char *input;           /* JSONL of pairs; rows may carry ids instead of text */
    const char *beside;          /* skipped rows go to this name + .rejected.jsonl; NULL: counted only */
    const char *what;            /* of the progress bar */
    size_t max_length;           /* cut responses as train does; 0 = no limit */
    size_t budget;               /* positions computed at a time */
    enum matmul_kind kind;
    bool tokens, token_logps; /* also prompt_ids ..., also one log-prob a token */
    bool skip_bad;
    const char *kwargs;           /* chat_template_kwargs as asked for; NULL: as kept with kwargs_from, the adapter or the model */
    const char *kwargs_from;      /* NULL: the adapter */
    const struct source_map *map; /* NULL: none */
};
struct score_summary {
    uint64_t rows, nulls; /* nulls: rows whose prompt reaches max_length; their log-probs are null */
    char tokenizer_hash[33];
    char kwargs_hash[33]; /* of the chat_template_kwargs of all renderings; "" without any */
};
/* Called with each line (JSON object and line break), in the file's order. */
typedef status score_take(void *context, const char *line, size_t size, bool null);

status score_pairs(struct score_summary *out, const struct score_options *o, score_take *take, void *context);
/* The same into rows for the evaluations (finished, as a sweep or as halves). Rows with null log-probs are left out and counted in *nulls.
 */
status score_pairs_rows(struct logps_rows *rows, uint64_t *nulls, const char *name, const struct score_options *o,
                        const struct logps_sweep *sweep);

#endif
