#include "base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#define STEPS_MAX 1000000 /* a name has a hundred characters: what needs more is a trap */

status regex_full_match(bool *matches, const char *pattern, const char *text) {
    int error;
    size_t at;
    char why[128];
    *matches = false;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &error, &at, NULL);
    if (!code) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
        return FAIL(ST_FORMAT, "pattern '%s' is broken at character %zu: %s", pattern, at + 1, why);
    }
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int found = PCRE2_ERROR_NOMEMORY;
    if (data && context) {
        pcre2_set_match_limit(context, STEPS_MAX);
        found = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    *matches = found >= 0;
    if (found >= 0 || found == PCRE2_ERROR_NOMATCH) return ST_OK;
    return FAIL(ST_FORMAT, "pattern '%s' cannot be matched (PCRE2 error %d)", pattern, found);
}
