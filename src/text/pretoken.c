#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretoken.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define DIGIT "\\p{N}"
#define LLAMA3(digits)                                                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const struct pretoken_row pretoken_table[] = {
    {"gpt-2,gpt2,phi-2,jina-es,jina-de,mpt,olmo,jais,trillion,granite-docling", {GPT2}, NORMAL_NONE, false},
    {"smollm,starcoder,refact,command-r,codeshell,exaone,minerva-7b", {DIGIT, GPT2}, NORMAL_NONE, false},
    {"llama-bpe,llama3,llama-v3,falcon3,falcon-h1,pixtral,midm-2.0,lfm2", {LLAMA3("\\p{N}{1,3}")}, NORMAL_NONE, true},
    {"qwen2,deepseek-r1-qwen,kormo,megrez,hunyuan", {LLAMA3("\\p{N}")}, NORMAL_NFC, false},
    {"dbrx,smaug-bpe", {LLAMA3("\\p{N}{1,3}")}, NORMAL_NONE, false},
};
const size_t pretoken_count = sizeof pretoken_table / sizeof pretoken_table[0];

/* Under Unicode case folding PCRE2 lets (?i:'s) match U+017F, the long s; Oniguruma, which wrote the vocabularies, does not. */
static const struct {
    const char *from, *to;
} rewrites[] = {
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"},
    {"(?i:[sdmt]|ll|ve|re)", "(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])"},
};

void pretoken_release(struct pretoken *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(p->steps[i].pattern);
        pcre2_code_free(p->steps[i].code);
    }
    *p = (struct pretoken){0};
}

static void put_rewritten(struct buf *out, const char *pattern) {
    while (*pattern) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof rewrites / sizeof rewrites[0] && !n; i++)
            if (strncmp(pattern, rewrites[i].from, strlen(rewrites[i].from)) == 0) {
                n = strlen(rewrites[i].from);
                buf_append_text(out, rewrites[i].to);
            }
        if (!n) buf_append(out, pattern, n = 1);
        pattern += n;
    }
}

static status compile(struct pretoken_step *s) {
    struct buf text = {0};
    int error = 0;
    PCRE2_SIZE at = 0;
    put_rewritten(&text, s->pattern);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)buf_text(&text), text.size, PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    buf_release(&text);
    if (!code) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(error, message, sizeof message);
        return FAIL(ST_FORMAT, "split pattern: character %zu: %s", (size_t)at, (const char *)message);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter does the same, slower */
    s->code = code;
    return ST_OK;
}

static status add_step(struct pretoken *p, struct pretoken_step step) {
    if (p->count == PRETOKEN_STEPS_MAX) {
        free(step.pattern);
        return FAIL(ST_UNSUPPORTED, "more than %d pre-tokenizer steps", PRETOKEN_STEPS_MAX);
    }
    p->steps[p->count++] = step;
    return step.pattern ? compile(&p->steps[p->count - 1]) : ST_OK;
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
        p->byte_level = true;
        for (size_t k = 0; k < 3 && (*row)->patterns[k]; k++)
            TRY(add_step(p, (struct pretoken_step){.pattern = mem_text((*row)->patterns[k])}));
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

/* A literal string as a pattern. */
static char *quoted(struct json text) {
    struct buf out = {0}, in = {0};
    json_string(&in, text);
    for (size_t i = 0; i < in.size; i++) {
        if (strchr("\\^$.[]|()?*+{}#- \n", in.data[i]) && in.data[i]) buf_append_char(&out, '\\');
        buf_append_char(&out, in.data[i]);
    }
    char *copy = mem_text(buf_text(&out));
    buf_release(&in);
    buf_release(&out);
    return copy;
}

static bool flag(struct json object, const char *key, bool missing) {
    bool b = missing;
    (void)json_bool(&b, json_get(object, key));
    return b;
}

static status add_json(struct pretoken *p, struct json v, int depth) {
    struct json type = json_get(v, "type"), key, item;
    if (json_equals(type, "Sequence") && depth < 4) {
        struct json_iter it = json_iter_begin(json_get(v, "pretokenizers"));
        while (json_iter_next(&it, &key, &item)) TRY(add_json(p, item, depth + 1));
        return ST_OK;
    }
    struct pretoken_step s = {0};
    if (p->byte_level)
        return FAIL(ST_UNSUPPORTED, "pre_tokenizer: a step behind ByteLevel would see byte-mapped text; that is not supported");
    if (json_equals(type, "ByteLevel")) {
        p->byte_level = true;
        s.prefix_space = flag(v, "add_prefix_space", true);
        if (flag(v, "use_regex", true)) s.pattern = mem_text(GPT2);
        return s.pattern || s.prefix_space ? add_step(p, s) : ST_OK;
    }
    if (json_equals(type, "Digits")) {
        s.pattern = mem_text(flag(v, "individual_digits", false) ? DIGIT : DIGIT "+");
        return add_step(p, s);
    }
    if (json_equals(type, "Split")) {
        struct json pattern = json_get(v, "pattern"), regex = json_get(pattern, "Regex"), text = json_get(pattern, "String");
        TRY(behavior_of(&s.behavior, json_get(v, "behavior")));
        s.invert = flag(v, "invert", false);
        if (json_kind_of(regex) == JSON_STRING)
            s.pattern = json_text(regex);
        else if (json_kind_of(text) == JSON_STRING)
            s.pattern = quoted(text);
        else
            return FAIL(ST_FORMAT, "pre_tokenizer: a Split without a pattern of Regex or String");
        return add_step(p, s);
    }
    return FAIL(ST_UNSUPPORTED, "pre_tokenizer %.*s is not supported; supported are Sequence, Split, Digits, ByteLevel",
                (int)(type.size > 40 ? 40 : type.size), type.size ? type.text : "without a type");
}

status pretoken_from_json(struct pretoken *p, struct json value) {
    enum json_kind k = json_kind_of(value);
    if (k == JSON_NONE || k == JSON_NULL) return ST_OK;
    if (k != JSON_OBJECT) return FAIL(ST_FORMAT, "pre_tokenizer: expected an object, found %s", json_kind_name(k));
    return add_json(p, value, 0);
}

void pretoken_put_json(const struct pretoken *p, struct buf *out) {
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    bool mapped = false;
    buf_append_text(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (size_t i = 0; i < p->count; i++) {
        const struct pretoken_step *s = &p->steps[i];
        if (s->prefix_space) { /* only ByteLevel has it, as the last step */
            buf_printf(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": %s}",
                       s->pattern ? "true" : "false");
            mapped = true;
            continue;
        }
        buf_append_text(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        json_put_text(out, s->pattern);
        buf_printf(out, "}, \"behavior\": \"%s\", \"invert\": %s}, ", names[s->behavior], s->invert ? "true" : "false");
    }
    buf_append_text(out, mapped ? "]}"
                                : "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]}");
}

struct cut {
    const struct pretoken *p;
    pretoken_visit *visit;
    void *context;
    pcre2_match_data *match[PRETOKEN_STEPS_MAX];
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
    size_t at = 0, from = 0;
    while (at < size) {
        int n = pcre2_match(s->code, (PCRE2_SPTR)text, size, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, c->match[step], NULL);
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0) return FAIL(ST_FORMAT, "split pattern gave up (PCRE2 error %d) at byte %zu of a piece of %zu", n, at, size);
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(c->match[step]);
        TRY(emit(c, step, &held, text + from, ends[0] - from, s->invert));
        TRY(emit(c, step, &held, text + ends[0], ends[1] - ends[0], !s->invert));
        at = from = ends[1];
    }
    TRY(emit(c, step, &held, text + from, size - from, s->invert));
    return held.full ? run(c, step + 1, held.at, held.size) : ST_OK;
}

static status run(struct cut *c, size_t step, const char *text, size_t size) {
    if (step == c->p->count) return c->visit(c->context, text, size);
    const struct pretoken_step *s = &c->p->steps[step];
    if (!s->prefix_space || !size || text[0] == ' ') return s->pattern ? split_step(c, step, text, size) : run(c, step + 1, text, size);
    struct buf spaced = {0};
    buf_append_char(&spaced, ' ');
    buf_append(&spaced, text, size);
    status e = s->pattern ? split_step(c, step, spaced.data, spaced.size) : run(c, step + 1, spaced.data, spaced.size);
    buf_release(&spaced);
    return e;
}

status pretoken_split(const struct pretoken *p, const char *text, size_t size, pretoken_visit *visit, void *context) {
    struct cut c = {.p = p, .visit = visit, .context = context};
    status e = ST_OK;
    for (size_t i = 0; i < p->count && e == ST_OK; i++)
        if (p->steps[i].code && !(c.match[i] = pcre2_match_data_create(1, NULL))) e = FAIL(ST_NOMEM, "pre-tokenizer: out of memory");
    if (e == ST_OK && size) e = run(&c, 0, text, size);
    for (size_t i = 0; i < p->count; i++) pcre2_match_data_free(c.match[i]);
    return e;
}
