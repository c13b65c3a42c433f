/* encode_parts: what data/encode*.c share. */
#ifndef RAPT_DATA_ENCODE_PARTS_H
#define RAPT_DATA_ENCODE_PARTS_H

#include "data/encode.h"

/* [a, b] + [c] -> [a, b, c]; either may be empty. */
void encode_join_messages(struct buf *out, const struct buf *head, const struct buf *tail);
/* The messages through the chat template into e->text. */
status encode_render(struct encoder *e, const struct record *r, const struct buf *messages, bool generation);
/* A pair by e->compat, which is not FIT_TRL_1. */
status encode_compat(struct encoded *x, struct encoder *e, const struct record *r);

#endif
