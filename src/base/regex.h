/* regex: does a whole name match a pattern? For the patterns that configurations of peft hold (Python's re; PCRE2 here). */
#ifndef RAPT_BASE_REGEX_H
#define RAPT_BASE_REGEX_H

#include "base/status.h"

/* re.fullmatch. ST_FORMAT: the pattern is none, or takes too long. */
status regex_full_match(bool *matches, const char *pattern, const char *text);

#endif
