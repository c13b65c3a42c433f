#include "text/pretoken.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define DIGIT "\\p{N}"

void pretoken_release(struct pretoken *p) {
    for (size_t i = 0; i < p->count; i++) pattern_release(&p->steps[i].pattern);
    *p = (struct pretoken){0};
}

/* Takes the step; pattern: NULL or what to compile into it. */
static status add_step(struct pretoken *p, struct pretoken_step step, const char *pattern) {
    if (p->count == PRETOKEN_STEPS_MAX) {
        pattern_release(&step.pattern);
        return FAIL(ST_UNSUPPORTED, "more than %d pre-tokenizer steps", PRETOKEN_STEPS_MAX);
    }
    p->steps[p->count++] = step;
    return pattern ? pattern_init(&p->steps[p->count - 1].pattern, pattern) : ST_OK;
}

static bool name_in(const char *names, const char *name, size_t size) {
    while (*names) {
        size_t n = strcspn(names, ",");
        if (n == size && memcmp(names, name, n) == 0) return true;
        names += n + (names[n] == ',');
    }
    return false;
}

status pretoken_from_name(struct pretoken *p, const struct pretoken_row **row, const char *name, size_t size) {
    for (size_t i = 0; i < pretoken_count; i++) {
        if (!name_in(pretoken_table[i].names, name, size)) continue;
        *row = &pretoken_table[i];
        p->byte_level = !((*row)->flags & PRE_CHARS);
        for (size_t k = 0; k < sizeof(*row)->patterns / sizeof(*row)->patterns[0] && (*row)->patterns[k]; k++)
            TRY(add_step(p, (struct pretoken_step){0}, (*row)->patterns[k]));
        return ST_OK;
    }
    struct buf known = {0};
    for (size_t i = 0; i < pretoken_count; i++) buf_printf(&known, "%s%s", i ? "," : "", pretoken_table[i].names);
    status s =
        FAIL(ST_UNSUPPORTED, "pre-tokenizer '%.*s' is not known; known are %s", (int)(size > 64 ? 64 : size), name, buf_text(&known));
    buf_release(&known);
    return s;
}

static status behavior_of(enum split_behavior *out, struct json v) {
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_equals(v, names[i])) {
            *out = (enum split_behavior)i;
            return ST_OK;
        }
    return FAIL(ST_UNSUPPORTED, "pre_tokenizer: behavior '%.*s' is not known", (int)(v.size > 40 ? 40 : v.size), v.text);
}

static bool flag(struct json object, const char *key, bool missing) {
    bool b = missing;
    (void)json_bool(&b, json_get(object, key));
    return b;
}

static status add_byte_level(struct pretoken *p, struct json v) {
    struct pretoken_step s = {.prefix_space = flag(v, "add_prefix_space", true)};
    const char *pattern = flag(v, "use_regex", true) ? PRETOKEN_GPT2 : NULL;
    p->byte_level = true;
    return pattern || s.prefix_space ? add_step(p, s, pattern) : ST_OK;
}

static status add_digits(struct pretoken *p, struct json v) {
    return add_step(p, (struct pretoken_step){0}, flag(v, "individual_digits", false) ? DIGIT : DIGIT "+");
}

static status add_split(struct pretoken *p, struct json v) {
    struct pretoken_step s = {.invert = flag(v, "invert", false)};
    TRY(behavior_of(&s.behavior, json_get(v, "behavior")));
    TRY(pattern_from_json(&s.pattern, json_get(v, "pattern"), "pre_tokenizer Split"));
    return add_step(p, s, NULL);
}

static status add_punctuation(struct pretoken *p, struct json v) {
    struct pretoken_step s = {0};
    if (json_kind_of(json_get(v, "behavior")) == JSON_STRING) TRY(behavior_of(&s.behavior, json_get(v, "behavior")));
    return add_step(p, s, "[\\p{P}!-/:-@\\[-`{-~]");
}

/* Rust's \w: alphabetic, marks, decimal digits, connectors and joiners. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"

static status add_whitespace(struct pretoken *p, struct json v) {
    (void)v;
    return add_step(p, (struct pretoken_step){.behavior = SPLIT_REMOVED, .invert = true}, "[" WORD "]+|[^" WORD "\\s]+");
}

static status add_whitespace_split(struct pretoken *p, struct json v) {
    (void)v;
    return add_step(p, (struct pretoken_step){.behavior = SPLIT_REMOVED}, "\\s");
}

static status add_metaspace(struct pretoken *p, struct json v) {
    static const char *const schemes[] = {"never", "first", "always"};
    struct pretoken_step s = {.prepend = PREPEND_ALWAYS, .at_marks = flag(v, "split", true)};
    struct json scheme = json_get(v, "prepend_scheme");
    char *mark = json_text(json_get(v, "replacement"));
    size_t n = mark ? strlen(mark) : 0;
    bool ok = n && n < sizeof s.mark && utf8_size(mark, mark + n) == n;
    if (ok) memcpy(s.mark, mark, n);
    free(mark);
    if (!ok) return FAIL(ST_FORMAT, "pre_tokenizer Metaspace: expected a replacement of one character");
    for (size_t i = 0; i < 3; i++)
        if (json_equals(scheme, schemes[i])) s.prepend = (enum pretoken_prepend)i;
    if (!flag(v, "add_prefix_space", true)) s.prepend = PREPEND_NEVER;
    return add_step(p, s, NULL);
}

static const struct {
    const char *name; /* of tokenizer.json */
    status (*add)(struct pretoken *p, struct json v);
} components[] = {
    {"ByteLevel", add_byte_level},
    {"Digits", add_digits},
    {"Split", add_split},
    {"Metaspace", add_metaspace},
    {"Punctuation", add_punctuation},
    {"Whitespace", add_whitespace},
    {"WhitespaceSplit", add_whitespace_split},
};

static status unknown(struct json type) {
    struct buf known = {0};
    for (size_t i = 0; i < sizeof components / sizeof components[0]; i++) buf_printf(&known, ", %s", components[i].name);
    status s = FAIL(ST_UNSUPPORTED, "pre_tokenizer %.*s is not supported; supported are Sequence%s", (int)(type.size > 40 ? 40 : type.size),
                    type.size ? type.text : "without a type", buf_text(&known));
    buf_release(&known);
    return s;
}

static status add_json(struct pretoken *p, struct json v, int depth) {
    struct json type = json_get(v, "type"), key, item;
    if (json_equals(type, "Sequence") && depth < 4) {
        struct json_iter it = json_iter_begin(json_get(v, "pretokenizers"));
        while (json_iter_next(&it, &key, &item)) TRY(add_json(p, item, depth + 1));
        return ST_OK;
    }
    if (p->byte_level)
        return FAIL(ST_UNSUPPORTED, "pre_tokenizer: a step behind ByteLevel would see byte-mapped text; that is not supported");
    for (size_t i = 0; i < sizeof components / sizeof components[0]; i++)
        if (json_equals(type, components[i].name)) return components[i].add(p, v);
    return unknown(type);
}

status pretoken_from_json(struct pretoken *p, struct json value) {
    enum json_kind k = json_kind_of(value);
    if (k == JSON_NONE || k == JSON_NULL) return ST_OK;
    if (k != JSON_OBJECT) return FAIL(ST_FORMAT, "pre_tokenizer: expected an object, found %s", json_kind_name(k));
    return add_json(p, value, 0);
}

void pretoken_put_json(const struct pretoken *p, struct buf *out) {
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    static const char *const schemes[] = {"never", "first", "always"};
    bool mapped = !p->byte_level;
    const char *comma = "";
    if (mapped && !p->count) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_text(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (size_t i = 0; i < p->count; i++, comma = ", ") {
        const struct pretoken_step *s = &p->steps[i];
        buf_append_text(out, comma);
        if (s->mark[0]) {
            buf_append_text(out, "{\"type\": \"Metaspace\", \"replacement\": ");
            json_put_text(out, s->mark);
            buf_printf(out, ", \"prepend_scheme\": \"%s\", \"split\": %s}", schemes[s->prepend], s->at_marks ? "true" : "false");
        } else if (s->prefix_space) { /* only ByteLevel has it, as the last step */
            buf_printf(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": %s}",
                       s->pattern.code ? "true" : "false");
            mapped = true;
        } else {
            buf_append_text(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
            json_put_text(out, s->pattern.source);
            buf_printf(out, "}, \"behavior\": \"%s\", \"invert\": %s}", names[s->behavior], s->invert ? "true" : "false");
        }
    }
    if (!mapped)
        buf_printf(out, "%s{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}", comma);
    buf_append_text(out, "]}");
}

struct cut {
    const struct pretoken *p;
    pretoken_visit *visit;
    void *context;
    void *match[PRETOKEN_STEPS_MAX];
    const char *start; /* where the whole text's beginning is now, or NULL */
};

static status run(struct cut *c, size_t step, const char *text, size_t size);

/* Pieces so far of one step: MERGED_PREVIOUS and the like hold one back. */
struct pending {
    const char *at;
    size_t size;
    bool full, separator;
};

static status emit(struct cut *c, size_t step, struct pending *held, const char *text, size_t size, bool separator) {
    enum split_behavior how = c->p->steps[step].behavior;
    if (!size) return ST_OK;
    if (how == SPLIT_ISOLATED) return run(c, step + 1, text, size);
    if (how == SPLIT_REMOVED) return separator ? ST_OK : run(c, step + 1, text, size);
    bool joins = held->full && (how == SPLIT_CONTIGUOUS        ? held->separator == separator
                                : how == SPLIT_MERGED_PREVIOUS ? separator && !held->separator
                                                               : held->separator && !separator);
    if (joins) {
        held->size += size;
        held->separator = separator;
        return ST_OK;
    }
    struct pending before = *held;
    *held = (struct pending){text, size, true, separator};
    return before.full ? run(c, step + 1, before.at, before.size) : ST_OK;
}

static status split_step(struct cut *c, size_t step, const char *text, size_t size) {
    const struct pretoken_step *s = &c->p->steps[step];
    struct pending held = {0};
    struct pattern_scan scan = pattern_scan_begin(&s->pattern, c->match[step], text, size);
    size_t from = 0, begin, end;
    for (;;) {
        TRY(pattern_scan_next(&scan, &begin, &end));
        if (begin == SIZE_MAX) break;
        TRY(emit(c, step, &held, text + from, begin - from, s->invert));
        TRY(emit(c, step, &held, text + begin, end - begin, !s->invert));
        from = end;
    }
    TRY(emit(c, step, &held, text + from, size - from, s->invert));
    return held.full ? run(c, step + 1, held.at, held.size) : ST_OK;
}

/* Every mark begins a piece. */
static status split_marks(struct cut *c, size_t step, const char *text, size_t size) {
    const char *mark = c->p->steps[step].mark, *from = text, *at = text, *end = text + size;
    const size_t n = strlen(mark);
    while (at < end && (at = memchr(at, mark[0], (size_t)(end - at)))) {
        if ((size_t)(end - at) >= n && memcmp(at, mark, n) == 0 && at > from) {
            TRY(run(c, step + 1, from, (size_t)(at - from)));
            from = at;
        }
        at++;
    }
    return from < end ? run(c, step + 1, from, (size_t)(end - from)) : ST_OK;
}

static status run_copy(struct cut *c, size_t step, const char *text, const struct buf *copy) {
    const char *start = c->start, *at = buf_text(copy);
    const struct pretoken_step *s = &c->p->steps[step];
    if (start == text) c->start = at;
    status e = s->at_marks       ? split_marks(c, step, at, copy->size)
               : s->pattern.code ? split_step(c, step, at, copy->size)
                                 : run(c, step + 1, at, copy->size);
    c->start = start;
    return e;
}

/* Metaspace: spaces become marks, and one more stands in front as the scheme says. */
static void put_marked(struct buf *out, const struct pretoken_step *s, const char *text, size_t size, bool first) {
    const size_t n = strlen(s->mark);
    bool marked = size && (text[0] == ' ' || (size >= n && memcmp(text, s->mark, n) == 0));
    if (!marked && (s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && first))) buf_append(out, s->mark, n);
    for (const char *at = text, *end = text + size; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at)), *stop = space ? space : end;
        buf_append(out, at, (size_t)(stop - at));
        if (space) buf_append(out, s->mark, n);
        at = stop + (space != NULL);
    }
}

static status run(struct cut *c, size_t step, const char *text, size_t size) {
    if (step == c->p->count) return c->visit(c->context, text, size);
    const struct pretoken_step *s = &c->p->steps[step];
    struct buf copy = {0};
    if (!s->mark[0] && (!s->prefix_space || !size || text[0] == ' '))
        return s->pattern.code ? split_step(c, step, text, size) : run(c, step + 1, text, size);
    if (s->mark[0])
        put_marked(&copy, s, text, size, c->start == text);
    else {
        buf_append_char(&copy, ' ');
        buf_append(&copy, text, size);
    }
    status e = run_copy(c, step, text, &copy);
    buf_release(&copy);
    return e;
}

status pretoken_split(const struct pretoken *p, const char *text, size_t size, bool at_start, pretoken_visit *visit, void *context) {
    struct cut c = {.p = p, .visit = visit, .context = context, .start = at_start ? text : NULL};
    status e = ST_OK;
    for (size_t i = 0; i < p->count && e == ST_OK; i++)
        if (p->steps[i].pattern.code && !p->steps[i].pattern.fast && !(c.match[i] = pattern_match_new()))
            e = FAIL(ST_NOMEM, "pre-tokenizer: out of memory");
    if (e == ST_OK && size) e = run(&c, 0, text, size);
    for (size_t i = 0; i < p->count; i++) pattern_match_free(c.match[i]);
    return e;
}
