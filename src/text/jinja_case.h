/* jinja_case: upper and lower case, and the classes of characters, as Python's str has them. */
#ifndef RAPT_TEXT_JINJA_CASE_H
#define RAPT_TEXT_JINJA_CASE_H

#include "text/jinja_value.h"

enum jcase { CASE_UPPER, CASE_LOWER, CASE_TITLE /* str.title() */, CASE_CAPITAL, CASE_WORDS /* the title filter: jinja2's own rule */ };
status jv_case(struct jrender *r, struct jvalue *out, const struct jstr *s, enum jcase how);
bool jinja_is_digit(uint32_t cp);
bool jinja_is_alpha(uint32_t cp);
bool jinja_is_alnum(uint32_t cp);
/* str.isupper or str.islower. */
status jinja_is_cased(struct jrender *r, bool *out, const struct jstr *s, bool upper);

/* Shared with the filters. */
status jv_strip(struct jrender *r, struct jvalue *out, const struct jstr *s, struct jvalue chars, bool left, bool right);
status jv_replace(struct jrender *r, struct jvalue *out, const struct jstr *s, struct jvalue from, struct jvalue to, struct jvalue limit);
status jv_join(struct jrender *r, struct jvalue *out, const struct jstr *glue, const struct jlist *items, bool any_type);

#endif
