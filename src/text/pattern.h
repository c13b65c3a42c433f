/* pattern: the regular expressions of tokenizer files, through PCRE2 (UTF, Unicode classes, JIT), with Oniguruma's meaning: \p{...} of
 * Unicode 16 and of scripts without extensions, \s without U+180E, ASCII contractions. Inside a negated class only \P and \S keep PCRE2's.
 */
#ifndef RAPT_TEXT_PATTERN_H
#define RAPT_TEXT_PATTERN_H

#include "base/buf.h"
#include "format/json.h"
#include "text/split_fast.h"

struct pattern {
    char *source;                  /* owned; as the file has it; a literal is escaped */
    void *code;                    /* pcre2_code */
    const struct split_fast *fast; /* the same matches by hand, or NULL */
};

/* Compiles `source`. ST_FORMAT says what PCRE2 refuses and where. */
status pattern_init(struct pattern *p, const char *source);
/* Compiles it as PCRE2 reads it (UTF, Unicode classes): patterns that users write. */
status pattern_init_plain(struct pattern *p, const char *source);
/* pattern_init of {"Regex": "..."} or {"String": "..."} of a tokenizer.json; `where` names the component in messages. */
status pattern_from_json(struct pattern *p, struct json value, const char *where);
void pattern_release(struct pattern *p);

/* One search area a thread: pattern_match_new (NULL: out of memory), pattern_match_free. */
void *pattern_match_new(void);
void pattern_match_free(void *match);
/* The matches in valid UTF-8, left to right, empty ones too where they do not touch the one before (Oniguruma's find_iter, which
 * tokenizers uses). */
struct pattern_scan {
    const struct pattern *pattern;
    void *match;
    const char *text;
    size_t size, at, last; /* last: where the match before ended; SIZE_MAX at first */
};
struct pattern_scan pattern_scan_begin(const struct pattern *p, void *match, const char *text, size_t size);
/* *begin == SIZE_MAX when there is no more. ST_FORMAT when PCRE2 gives up (its backtracking limit). */
status pattern_scan_next(struct pattern_scan *s, size_t *begin, size_t *end);

#endif
