/* pair_exclude: prompts that must not be trained on, such as a benchmark's. */
#ifndef RAPT_DATA_PAIR_EXCLUDE_H
#define RAPT_DATA_PAIR_EXCLUDE_H

#include "data/record.h"

struct pair_exclude {
    uint64_t *keys; /* record_prompt_key, sorted */
    size_t count, capacity;
};
/* Reads the prompts of a file into `x`, beside those it has. *.csv: the column Question, question, prompt or instruction of its header
 * (TruthfulQA.csv); *.jsonl: rows of any form, or with a string `question`; else one prompt a line. Errors name file and line. */
status pair_exclude_load(struct pair_exclude *x, const char *path);
void pair_exclude_release(struct pair_exclude *x);
/* Is this prompt one of them? A string and one user message of the same text are the same prompt. */
bool pair_exclude_has(const struct pair_exclude *x, const struct record *r);

#endif
