/* svg: the few shapes that pictures of figures are made of (SVG 1.1). Lengths are pixels, y grows downwards, colours are CSS's. */
#ifndef RAPT_FORMAT_SVG_H
#define RAPT_FORMAT_SVG_H

#include "base/buf.h"

/* Opens a picture on a white ground, with a title for those who cannot see it. */
void svg_begin(struct buf *out, double width, double height, const char *title);
void svg_end(struct buf *out);
void svg_rect(struct buf *out, double x, double y, double width, double height, const char *fill);
void svg_line(struct buf *out, double x1, double y1, double x2, double y2, const char *stroke, double width, bool dashed);
void svg_circle(struct buf *out, double x, double y, double radius, const char *fill);
/* A text on the baseline y; anchor: start, middle, end. Markup in it is escaped; bytes that XML cannot hold are replaced. */
void svg_text(struct buf *out, double x, double y, const char *anchor, double size, const char *fill, const char *text);
/* The i-th of a handful of colours that can be told apart. */
const char *svg_colour(size_t i);

/* Round steps for an axis from low to high (low < high, finite): the first mark at or above low and the distance between marks, about
 * `most` of them. */
void svg_marks(double *first, double *step, double low, double high, size_t most);

#endif
