/* json: validated spans over JSON text. A value is a view of the bytes that hold it; unknown fields can be copied through untouched.
 * Numbers keep their text, strings keep \u0000. (cJSON does neither, which is why rows do not go through it.) */
#ifndef RAPT_FORMAT_JSON_H
#define RAPT_FORMAT_JSON_H

#include "base/buf.h"

enum json_kind { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* One complete value without blanks around it. A zeroed span is "no value" (JSON_NONE). */
struct json {
    const char *text;
    size_t size;
};

#define JSON_DEPTH_MAX 128

/* Validates all of text: one value, RFC 8259, valid UTF-8, depth <= JSON_DEPTH_MAX. The message names the byte (1-based) and what was
 * expected. All other functions here want spans that came from a validated text. */
status json_parse(struct json *out, const char *text, size_t size);

enum json_kind json_kind_of(struct json value);
const char *json_kind_name(enum json_kind kind); /* "a string", "an object" ... for messages */

/* Iterates over an array (key stays empty) or an object (key is the string span with its quotes). Any other kind has no items. */
struct json_iter {
    const char *at, *end;
    bool object;
};
struct json_iter json_iter_begin(struct json value);
bool json_iter_next(struct json_iter *it, struct json *key, struct json *value);
size_t json_count(struct json value);

/* The value of the first key equal to `key`; a zeroed span when absent or when `object` is not an object. */
struct json json_get(struct json object, const char *key);
/* Is this string span equal to text? Escapes are resolved. */
bool json_equals(struct json string, const char *text);
/* Appends the decoded string. False unless it is a string. A lone surrogate escape becomes U+FFFD. */
bool json_string(struct buf *out, struct json value);
/* The decoded string in fresh memory, or NULL unless it is a string. Caller frees. */
char *json_text(struct json value);
/* False unless the span is a number (or, for json_int, a number without fraction in range). */
bool json_double(double *out, struct json value);
bool json_int(int64_t *out, struct json value);
bool json_bool(bool *out, struct json value);

/* Writing. A string with quotes and escapes; "/" and non-ASCII stay as they are. */
void json_put_string(struct buf *out, const char *text, size_t size);
void json_put_text(struct buf *out, const char *text);
/* The shortest text that reads back as the same double; 8 for 8.0. Non-finite becomes null. */
void json_put_double(struct buf *out, double value);

#endif
