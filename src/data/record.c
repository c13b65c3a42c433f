#include "data/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

const char *record_kind_name(enum record_kind kind) {
    static const char *const names[] = {"pair", "responses", "sft", "prompt"};
    return names[kind];
}

void record_clear(struct record *r) {
    struct buf prompt = r->prompt, chosen = r->chosen, rejected = r->rejected, tools = r->tools_text;
    struct response *responses = r->responses;
    size_t capacity = r->response_capacity;
    buf_clear(&prompt);
    buf_clear(&chosen);
    buf_clear(&rejected);
    buf_clear(&tools);
    *r = (struct record){.prompt = prompt,
                         .chosen = chosen,
                         .rejected = rejected,
                         .tools_text = tools,
                         .map = r->map,
                         .responses = responses,
                         .response_capacity = capacity,
                         .source_row = -1,
                         .label = LABEL_NONE,
                         .score_chosen = (double)NAN,
                         .score_rejected = (double)NAN,
                         .fine_chosen = (double)NAN,
                         .fine_rejected = (double)NAN,
                         .goal = (double)NAN,
                         .margin = (double)NAN};
}

void record_release(struct record *r) {
    buf_release(&r->prompt);
    buf_release(&r->chosen);
    buf_release(&r->rejected);
    buf_release(&r->tools_text);
    for (size_t i = 0; i < r->response_capacity; i++) buf_release(&r->responses[i].text);
    free(r->responses);
    *r = (struct record){0};
}

struct response *record_add_response(struct record *r) {
    if (r->response_count == r->response_capacity) {
        size_t capacity = r->response_capacity ? r->response_capacity * 2 : 8;
        r->responses = mem_resize(r->responses, capacity * sizeof *r->responses);
        memset(r->responses + r->response_capacity, 0, (capacity - r->response_capacity) * sizeof *r->responses);
        r->response_capacity = capacity;
    }
    struct response *p = &r->responses[r->response_count++];
    struct buf text = p->text;
    buf_clear(&text);
    *p = (struct response){.text = text, .score = (double)NAN, .fine_mean = (double)NAN};
    return p;
}

static bool blank(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n\v\f", text[i]) || !text[i]) return false;
    return true;
}

/* Is a JSON string blank? Only a short prefix is looked at: the first character that is not white space decides. */
static bool blank_string(struct json s) {
    for (size_t i = 1; i + 1 < s.size; i++) {
        char c = s.text[i];
        if (c == ' ') continue;
        if (c == '\\' && (s.text[i + 1] == 'n' || s.text[i + 1] == 't' || s.text[i + 1] == 'r')) {
            i++;
            continue;
        }
        return false;
    }
    return true;
}

static struct json view(const struct buf *b) { return (struct json){b->data, b->size}; }

bool record_text_empty(const struct buf *text, bool conversational) {
    if (!conversational) return blank(buf_text(text), text->size);
    struct json_iter it = json_iter_begin(view(text));
    struct json key, message, last = {0};
    while (json_iter_next(&it, &key, &message)) last = message;
    if (!last.size) return true;
    struct json content = json_get(last, "content");
    enum json_kind kind = json_kind_of(content);
    if (kind == JSON_STRING && !blank_string(content)) return false;
    if (kind == JSON_ARRAY && json_count(content)) return false;
    return json_count(json_get(last, "tool_calls")) == 0;
}

static bool same_members(struct json a, struct json b) {
    struct json ka, va, kb, vb;
    struct json_iter ia = json_iter_begin(a), ib = json_iter_begin(b);
    /* Usually both rows were written by one program, so keys come in one order. */
    size_t count = 0;
    while (json_iter_next(&ia, &ka, &va)) {
        if (!json_iter_next(&ib, &kb, &vb)) return false;
        count++;
        if (record_json_same(ka, kb) && record_json_same(va, vb)) continue;
        if (!ka.size || count > 64) return false;
        char *key = json_text(ka);
        struct json other = key ? json_get(b, key) : (struct json){0};
        free(key);
        if (!other.size || !record_json_same(va, other)) return false;
    }
    return !json_iter_next(&ib, &kb, &vb);
}

bool record_json_same(struct json a, struct json b) {
    if (a.size == b.size && memcmp(a.text ? a.text : "", b.text ? b.text : "", a.size) == 0) return true;
    enum json_kind kind = json_kind_of(a);
    if (kind != json_kind_of(b)) return false;
    if (kind == JSON_ARRAY || kind == JSON_OBJECT) return same_members(a, b);
    if (kind == JSON_NUMBER) {
        double x, y;
        return json_double(&x, a) && json_double(&y, b) && x == y;
    }
    if (kind != JSON_STRING || (!memchr(a.text, '\\', a.size) && !memchr(b.text, '\\', b.size))) return false;
    struct buf x = {0}, y = {0};
    json_string(&x, a);
    json_string(&y, b);
    bool same = x.size == y.size && memcmp(buf_text(&x), buf_text(&y), x.size) == 0;
    buf_release(&x);
    buf_release(&y);
    return same;
}

bool record_text_equal(const struct buf *a, const struct buf *b, bool conversational) {
    if (a->size == b->size && memcmp(buf_text(a), buf_text(b), a->size) == 0) return true;
    return conversational && record_json_same(view(a), view(b));
}

static uint64_t key_of_string(struct buf *scratch, struct json value, uint64_t seed) {
    if (json_kind_of(value) != JSON_STRING) return hash_bytes(value.text ? value.text : "", value.size, seed);
    if (!memchr(value.text, '\\', value.size)) return hash_bytes(value.text + 1, value.size - 2, seed);
    buf_clear(scratch);
    json_string(scratch, value);
    return hash_bytes(buf_text(scratch), scratch->size, seed);
}

/* Bytes of a text up to its last answer's mark, all where it has none. */
static size_t question_size(const struct buf *text) {
    static const char mark[] = "\n\nAssistant:";
    size_t size = 0;
    for (const char *at = buf_text(text); (at = strstr(at, mark)); at += sizeof mark - 1)
        size = (size_t)(at - buf_text(text)) + sizeof mark - 1;
    return size ? size : text->size;
}

uint64_t record_prompt_key(const struct buf *prompt, bool conversational) {
    const uint64_t user = hash_bytes("user", 4, 0);
    if (!conversational) return hash_bytes(buf_text(prompt), question_size(prompt), user);
    struct buf scratch = {0};
    uint64_t hash = 0;
    struct json_iter it = json_iter_begin(view(prompt));
    struct json key, message, k, v;
    while (json_iter_next(&it, &key, &message)) {
        struct json role = {0}, content = {0};
        struct json_iter members = json_iter_begin(message);
        while (json_iter_next(&members, &k, &v)) {
            if (!role.size && json_equals(k, "role")) role = v;
            if (!content.size && json_equals(k, "content")) content = v;
        }
        hash = key_of_string(&scratch, content, key_of_string(&scratch, role, hash));
    }
    buf_release(&scratch);
    return hash;
}
