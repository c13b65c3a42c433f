/* augment_goal: the scores of a row's responses, as goals are made of them. Private to data/augment*.c. */
#ifndef RAPT_DATA_AUGMENT_GOAL_H
#define RAPT_DATA_AUGMENT_GOAL_H

#include "data/augment.h"

/* How many responses a row has: of one completion, a pair, several. */
size_t augment_responses(const struct record *r);
/* A response's score, mapped to the style's scale where that is asked for. */
double augment_mapped(const struct augment_options *o, double score);
/* Fills out[augment_responses] with each response's scores on the style's scale or scales, not quantised; no goal where its score, or one
 * of its attributes, is null or "N/A". ST_FORMAT where an attribute is missing. */
status augment_exact(struct goal *out, const struct augment_options *o, const struct record *r);
/* A list's item that tells the scores of one of a prompt's responses: a number, or {NAME: number}. */
status augment_exact_of_item(struct goal *out, const struct augment_options *o, struct json item, const char *field);

#endif
