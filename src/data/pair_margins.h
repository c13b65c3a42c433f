/* pair_margins: the margins and scores of the pairs that were written, as a summary in words, a histogram for a terminal and one as SVG. */
#ifndef RAPT_DATA_PAIR_MARGINS_H
#define RAPT_DATA_PAIR_MARGINS_H

#include "base/buf.h"

struct pair_margins {
    double *items; /* [2 count]: the scores of chosen and rejected; 16 bytes a pair */
    size_t count, capacity;
};
void pair_margins_add(struct pair_margins *m, double chosen, double rejected);
void pair_margins_release(struct pair_margins *m);
/* "margin: mean 2.13, median 2, 10% 0.5, 90% 5; score: chosen 7.9, rejected 5.2" and a histogram of the margins, a bar a line. Nothing for
 * no pairs. */
void pair_margins_text(struct buf *out, const struct pair_margins *m);
/* Two histograms beside each other: margins, and the scores of chosen and rejected. */
void pair_margins_picture(struct buf *out, const struct pair_margins *m);

#endif
