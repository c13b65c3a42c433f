/* jinja: the template language of chat templates. A template is parsed once; each render has its own arena, so that a compiled
 * template may be rendered by several threads.
 *
 * What is followed is Jinja2 3.1 as transformers sets it up (chat_template_utils.py): ImmutableSandboxedEnvironment, trim_blocks,
 * lstrip_blocks, loop controls, `generation` tags, autoescape off. Strings are UTF-8 and count code points, as Python's do. Left out,
 * with an error that says so: template inheritance and imports, recursive loops, and the filters that only serve HTML. */
#ifndef RAPT_TEXT_JINJA_H
#define RAPT_TEXT_JINJA_H

#include "base/utf8.h"
#include "format/json.h"

struct jinja;

/* A render's variable. The value is a validated span; JSON_NONE leaves the name undefined. */
struct jinja_var {
    const char *name;
    struct json value;
};

/* A template comes from the model's publisher: it may not run or grow without end. 0 = the default, under which the dearest ones known take
 * 0.7 s of one core (test_jinja). */
struct jinja_limits {
    uint64_t steps;      /* evaluated nodes and items touched; default 5 million and 4 for each byte of the variables */
    size_t output_bytes; /* of the rendering; default 64 MiB */
    size_t memory_bytes; /* of all values; default 256 MiB */
    int64_t now_s;       /* what strftime_now calls now, seconds since 1970; default the clock */
};

/* Compiles. Errors: ST_FORMAT, "template line N: ...". *out is freed with jinja_free. */
status jinja_compile(struct jinja **out, const char *source, size_t size);
void jinja_free(struct jinja *t);

/* Appends the rendering; on failure `out` is as before. Errors: ST_FORMAT with the line for what the template does or raises
 * (raise_exception's text stands in the message), ST_UNSUPPORTED past a limit, ST_NOMEM. limits may be NULL. */
status jinja_render(const struct jinja *t, struct buf *out, const struct jinja_var *vars, size_t var_count,
                    const struct jinja_limits *limits);
/* The same, and appends to `spans` a struct text_span for every {% generation %} block, in the order in which they end: as transformers'
 * AssistantTracker has it, characters of what this call appends, and of a block inside a macro or a block that is captured those from where
 * the template's own output had got to. */
status jinja_render_marked(const struct jinja *t, struct buf *out, struct buf *spans, const struct jinja_var *vars, size_t var_count,
                           const struct jinja_limits *limits);
/* Does the template have such a block? */
bool jinja_has_generation(const struct jinja *t);

#endif
