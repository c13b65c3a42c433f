/* A chat template that asks for one goal by itself, as goal_put_messages would write it. */
#include <string.h>

#include "text/goal.h"

#define MARK "{#- rapt --bake-goal "

bool goal_is_baked(const char *chat_template) { return chat_template && strncmp(chat_template, MARK, sizeof MARK - 1) == 0; }

/* A Jinja string: Python's escapes, of which llama.cpp's interpreter knows these too. */
static void put_literal(struct buf *out, const char *text) {
    buf_append_char(out, '\'');
    for (; *text; text++) {
        const char *plain = "\n\r\t\\'", *at = strchr(plain, *text);
        if (at) {
            buf_append_char(out, '\\');
            buf_append_char(out, "nrt\\'"[at - plain]);
        } else {
            buf_append_char(out, *text);
        }
    }
    buf_append_char(out, '\'');
}

/* Sets rapt_new: the content of the message `of` with the goal at its head or tail; parts ([{"type": "text", ...}]) get one more. */
static void put_content(struct buf *out, const char *of, bool at_end) {
    buf_printf(out, "{%%- set rapt_old = %s['content'] -%%}{%%- if not rapt_old -%%}{%%- set rapt_new = rapt_goal -%%}", of);
    buf_append_text(out, at_end ? "{%- elif rapt_old is string -%}{%- set rapt_new = rapt_old + '\\n\\n' + rapt_goal -%}"
                                  "{%- else -%}{%- set rapt_new = rapt_old + [{'type': 'text', 'text': '\\n\\n' + rapt_goal}] -%}"
                                : "{%- elif rapt_old is string -%}{%- set rapt_new = rapt_goal + '\\n\\n' + rapt_old -%}"
                                  "{%- else -%}{%- set rapt_new = [{'type': 'text', 'text': rapt_goal + '\\n\\n'}] + rapt_old -%}");
    buf_append_text(out, "{%- endif -%}");
}

static void put_system(struct buf *out) {
    buf_append_text(out, "{%- if messages and messages[0]['role'] == 'system' -%}");
    put_content(out, "messages[0]", false);
    buf_append_text(out, "{%- set messages = [{'role': 'system', 'content': rapt_new}] + messages[1:] -%}"
                         "{%- else -%}{%- set messages = [{'role': 'system', 'content': rapt_goal}] + messages -%}{%- endif ");
}

/* The first or the last user turn; without one the messages stay as they are. Only a namespace outlives a loop's turn. */
static void put_user(struct buf *out, bool last) {
    buf_append_text(out, "{%- set rapt_ns = namespace(at=-1, all=[]) -%}{%- for rapt_m in messages -%}");
    buf_printf(out, "{%%- if rapt_m['role'] == 'user'%s -%%}{%%- set rapt_ns.at = loop.index0 -%%}{%%- endif -%%}{%%- endfor -%%}",
               last ? "" : " and rapt_ns.at < 0");
    buf_append_text(out, "{%- for rapt_m in messages -%}{%- if loop.index0 == rapt_ns.at -%}");
    put_content(out, "rapt_m", last);
    buf_append_text(out, "{%- set rapt_ns.all = rapt_ns.all + [{'role': 'user', 'content': rapt_new}] -%}"
                         "{%- else -%}{%- set rapt_ns.all = rapt_ns.all + [rapt_m] -%}{%- endif -%}{%- endfor -%}"
                         "{%- set messages = rapt_ns.all ");
}

status goal_bake(struct buf *out, const struct goal_style *g, const struct goal *goal, const char *chat_template) {
    struct buf block = {0};
    CHECK(g->placement != GOAL_AUTO);
    if (goal_is_baked(chat_template)) return FAIL(ST_UNSUPPORTED, "the chat template asks for a goal by itself already");
    buf_append_text(out, MARK);
    goal_put_name(out, g, goal);
    buf_append_text(out, " -#}{%- set rapt_goal = ");
    goal_put_block(&block, g, goal);
    put_literal(out, buf_text(&block));
    buf_append_text(out, " -%}");
    buf_release(&block);
    if (g->placement == GOAL_SYSTEM)
        put_system(out);
    else
        put_user(out, g->placement == GOAL_AFTER);
    /* The last tag ends like this so that what follows begins as at a file's beginning: trim_blocks takes this one line break, and a tag
     * that is indented behind it still stands first in its line (lstrip_blocks). */
    buf_append_text(out, "%}\n");
    buf_append_text(out, chat_template);
    return ST_OK;
}
