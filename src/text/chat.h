/* chat: messages -> the text a model sees, through its Jinja chat template (text/jinja). */
#ifndef RAPT_TEXT_CHAT_H
#define RAPT_TEXT_CHAT_H

#include "base/buf.h"
#include "format/json.h"

struct chat_template;

/* Compiles a template. bos/eos may be NULL. Errors name the template's line. *out is freed with chat_free. */
status chat_compile(struct chat_template **out, const char *source, const char *bos_text, const char *eos_text);
void chat_free(struct chat_template *c);

/* Appends the rendering. messages: a validated JSON array of {"role", "content", ...}; tools and kwargs may be JSON_NONE (kwargs: an
 * object whose members become template variables). Semantics of transformers' apply_chat_template: ImmutableSandboxedEnvironment with
 * trim_blocks and lstrip_blocks, loop controls, raise_exception, strftime_now, tojson without ASCII or HTML escapes, generation tags. */
status chat_render(const struct chat_template *c, struct buf *out, struct json messages, struct json tools, struct json kwargs,
                   bool add_generation_prompt);
/* The same, and appends what the template's generation blocks hold to `spans` (struct text_span; NULL: not asked for): text/jinja.h. */
status chat_render_marked(const struct chat_template *c, struct buf *out, struct buf *spans, struct json messages, struct json tools,
                          struct json kwargs, bool add_generation_prompt);
/* A whole conversation, and to `spans` what the assistant wrote in it: the generation blocks, or where the template has none
 * (chat_turns.c) what each of its turns adds to the rendering. ST_UNSUPPORTED where that cannot be told. */
status chat_render_assistant(const struct chat_template *c, struct buf *out, struct buf *spans, struct json messages, struct json tools,
                             struct json kwargs);
/* Variables of every rendering, which a call's own come before; text: a JSON object. Under `strict` the template must name each of them. */
status chat_set_kwargs(struct chat_template *c, const char *text, size_t size, bool strict);
/* Those variables, or nothing. View. */
struct json chat_kwargs(const struct chat_template *c);
/* The end-of-text token as the JSON string that templates are given, or nothing. View. */
struct json chat_eos(const struct chat_template *c);
/* Does the template have generation blocks? */
bool chat_has_generation(const struct chat_template *c);
/* Does the template accept a system message (probe render: it neither fails nor loses the system text)? */
bool chat_has_system(const struct chat_template *c);

#endif
