/* places: a text with places that are filled, {prompt} for one. Of what is filled in nothing is a place again. */
#ifndef RAPT_TEXT_PLACES_H
#define RAPT_TEXT_PLACES_H

#include "base/buf.h"

struct place {
    const char *name; /* as it stands in the text, "{prompt}"; the first of the list that fits is taken */
    const char *text; /* NULL: not here, the name stays as it is */
    size_t size;
};
/* Python's str.format writes a brace as two. */
#define PLACES_BRACES {"{{", "{", 1}, {"}}", "}", 1}

/* Appends the text with its places filled. */
void places_put(struct buf *out, const char *text, const struct place *places, size_t count);
/* For texts of str.format, PLACES_BRACES among the places: ST_FORMAT names a brace that begins or ends none of them. */
status places_check(const char *text, const struct place *places, size_t count);

#endif
