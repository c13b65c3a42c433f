/* api_parts: what the files of api share. */
#ifndef RAPT_SERVE_API_PARTS_H
#define RAPT_SERVE_API_PARTS_H

#include "serve/api.h"

/* How much of a choice a stream has given. */
struct api_shown {
    bool begun, ended; /* its first event (role, or the echoed prompt) and its last one */
    size_t bytes, tokens;
    size_t chars; /* text_offset of the next token */
};

/* The target of a model's name, and its goal where the name ends in @goal=G (*named). False: e says why. */
bool api_find_name(struct serve_target **target, struct goal *goal, bool *named, struct api_error *e, const char *name,
                   const struct serve_engine *engine);
/* Of a field that nothing reads; key: as it stands in the body. Returns false. */
bool api_refuse_unknown(struct api_error *e, struct json key);
/* Appends a message as {"role", "content": text}; at: its place, for errors. */
bool api_put_message(struct buf *out, struct api_error *e, struct json m, size_t at);
/* Messages or prompts to token ids in c->prompts; at most `most` prompts. */
bool api_read_prompts(struct api_call *c, struct api_error *e, struct json root, size_t most);

#endif
