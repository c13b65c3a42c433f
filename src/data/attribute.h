/* attribute: numbers that a row has about its responses under names of its own: UltraFeedback's ratings, HelpSteer's columns, the outputs
 * of a reward model, columns of the user's. */
#ifndef RAPT_DATA_ATTRIBUTE_H
#define RAPT_DATA_ATTRIBUTE_H

#include "data/record.h"

/* The number `name` of response i: of one of K responses; of the chosen (0) or the rejected (1) one; of a completion (0). It is found as
 *   one of K:    a member of that name (a.b: inside a), annotations.NAME.Rating, NAME inside scores or attributes, or item i of the row's
 * list NAME; a pair's:    NAME_chosen, chosen_NAME, chosen-NAME, or NAME inside fine_grain_score_chosen, scores_chosen or
 * attributes_chosen; completion:  a member of that name (a.b: inside a), or NAME inside scores or attributes. NaN where it is null or
 * "N/A". ST_FORMAT where it is not there, or is no number. */
status attribute_find(double *out, const struct record *row, size_t i, const char *name);
/* Is this a member that holds such numbers of a response or a pair: scores, scores_chosen, attributes, ..? */
bool attribute_is_member(struct json key);
/* Is it one of them that belongs to one response of a pair, and would be the other's after a swap? */
bool attribute_is_of_side(struct json key);

#endif
