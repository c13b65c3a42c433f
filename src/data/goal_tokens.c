#include "data/goal_tokens.h"

#include "base/file.h"
#include "text/goal.h"

status goal_tokens_read(struct goal_tokens *out, const struct encoder *e, const char *goal_json) {
    struct goal_style g;
    *out = (struct goal_tokens){0};
    if (!file_exists(goal_json)) return ST_OK;
    TRY(goal_style_load(&g, goal_json));
    out->count = g.token_count;
    for (size_t i = 0; i < g.token_count && !out->missing; i++)
        if (tokenizer_token_id(e->tokenizer, g.tokens[i]) < 0) out->missing = mem_text(g.tokens[i]);
    goal_style_release(&g);
    return ST_OK;
}
