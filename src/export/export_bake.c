/* --bake-goal: the exported chat template asks for the goal by itself; --chat-template: it is another. */
#include <string.h>

#include "base/log.h"
#include "export/export.h"
#include "text/chat.h"
#include "text/goal.h"
#include "text/tokenizer.h"

/* How goals were asked in training: --goal-style, else what travels with the weights. */
static status read_style(struct goal_style *g, const struct export_request *r) {
    struct buf text = {0};
    struct json root = {0};
    status s = goal_text_find(&text, r->adapter, r->model);
    if (s == ST_OK && text.size) s = json_parse(&root, buf_text(&text), text.size);
    if (s == ST_OK && root.size)
        s = goal_style_parse(g, root);
    else if (s == ST_OK)
        goal_style_default(g);
    if (s == ST_OK && r->goal_style)
        s = goal_style_replace(g, r->goal_style);
    else if (s == ST_OK && !root.size)
        log_warn("the model comes without a goal.json, so it may never have seen a goal; baked in the default style (--goal-style)");
    buf_release(&text);
    return s;
}

static status read_goal(struct goal *goal, const struct goal_style *g, const char *text) {
    status s =
        goal_parse(goal, g, text, "no best goal is known; it stands as \"best\" in goal.json once goals were compared on validation data");
    return s == ST_OK ? s : status_note(s, "--bake-goal%s: ", strcmp(text, "best") == 0 ? " best" : "");
}

/* Messages with every turn a goal may go into; what the baked template makes of them must be what the plain one makes of them with the
 * goal. */
static status check_baked(const struct chat_template *plain, const char *baked, const struct tokenizer *t, const struct goal_style *g,
                          const struct goal *goal) {
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, "
                                   "{\"role\": \"user\", \"content\": \"c\"}]";
    const struct json none = {0}, asked = {messages, sizeof messages - 1};
    struct chat_template *c = NULL;
    struct buf with_goal = {0}, want = {0}, got = {0};
    status s = goal_put_messages(&with_goal, g, asked, goal);
    if (s == ST_OK) s = chat_render(plain, &want, (struct json){with_goal.data, with_goal.size}, none, none, true);
    if (s == ST_OK) s = chat_compile(&c, baked, tokenizer_bos_text(t), tokenizer_eos_text(t));
    if (s == ST_OK) s = chat_render(c, &got, asked, none, none, true);
    if (s == ST_OK && (got.size != want.size || memcmp(got.data, want.data, got.size) != 0))
        s = FAIL(ST_UNSUPPORTED, "--bake-goal: the chat template does not take changed messages; it gives \"%.200s\"", buf_text(&got));
    chat_free(c);
    buf_release(&with_goal);
    buf_release(&want);
    buf_release(&got);
    return s;
}

static status bake(struct buf *out, struct goal_style *g, const struct goal *goal, const struct tokenizer *t) {
    const char *template = tokenizer_chat_template(t);
    struct chat_template *plain;
    if (!template) return FAIL(ST_UNSUPPORTED, "--bake-goal: the tokenizer has no chat template; --chat-template gives it one");
    TRY(chat_compile(&plain, template, tokenizer_bos_text(t), tokenizer_eos_text(t)));
    const bool system = chat_has_system(plain);
    if (g->placement == GOAL_AUTO) g->placement = system ? GOAL_SYSTEM : GOAL_USER;
    status s = ST_OK;
    if (g->placement == GOAL_SYSTEM && !system)
        s = FAIL(ST_UNSUPPORTED, "--bake-goal: the goal stands in the system turn, which the chat template does not take");
    if (s == ST_OK) s = goal_bake(out, g, goal, template);
    if (s == ST_OK) s = check_baked(plain, buf_text(out), t, g, goal);
    chat_free(plain);
    return s;
}

static status bake_goal(struct buf *out, const struct export_request *r, const struct tokenizer *t) {
    struct goal_style g = {0};
    struct goal goal;
    status s = read_style(&g, r);
    if (s == ST_OK) s = read_goal(&goal, &g, r->bake_goal);
    if (s == ST_OK) s = bake(out, &g, &goal, t);
    goal_style_release(&g);
    return s;
}

status export_bake(struct buf *out, const struct export_request *r) {
    struct tokenizer *t;
    struct buf given = {0};
    status s = ST_OK;
    if (!r->bake_goal && !r->chat_template) return ST_OK;
    TRY(tokenizer_open(&t, r->model));
    if (r->chat_template) s = export_chat_template(&given, r->chat_template, t);
    if (s == ST_OK && given.size) tokenizer_set_chat_template(t, buf_text(&given));
    if (s == ST_OK && r->bake_goal)
        s = bake_goal(out, r, t);
    else if (s == ST_OK)
        buf_append(out, given.data, given.size);
    buf_release(&given);
    tokenizer_free(t);
    return s;
}
