#include "reward/reward_rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* What lm-evaluation-harness compares before it does: `,` and `$` deleted, then all up to the last "#### ", then a full stop at the end
 * (regexes_to_ignore of gsm8k.yaml; blanks around are no part of an answer). */
static void put_answer(struct buf *out, const char *text, size_t size) {
    buf_clear(out);
    for (size_t i = 0; i < size; i++)
        if (text[i] != ',' && text[i] != '$') buf_append_char(out, text[i]);
    const char *at = buf_text(out), *mark = NULL;
    for (const char *next = strstr(at, "#### "); next; next = strstr(next + 1, "#### ")) mark = next;
    if (mark) at = mark + 5;
    const char *end = buf_text(out) + out->size;
    while (at < end && is_blank(*at)) at++;
    while (end > at && is_blank(end[-1])) end--;
    if (end > at && end[-1] == '.') end--;
    const size_t n = (size_t)(end - at);
    if (n) memmove(out->data, at, n);
    while (out->size > n) out->data[--out->size] = '\0';
}

static status read_answer(struct rule *r, const struct record *row) {
    const struct json value = json_get(row->row, r->answer_field);
    struct buf text = {0};
    if (json_kind_of(value) == JSON_NUMBER)
        buf_append(&text, value.text, value.size);
    else if (!json_string(&text, value))
        return FAIL(ST_FORMAT, "field %s: expected the right answer, a number or a text that ends in \"#### n\", found %s", r->answer_field,
                    json_kind_name(json_kind_of(value)));
    put_answer(&r->answer, buf_text(&text), text.size);
    buf_release(&text);
    return r->answer.size ? ST_OK : FAIL(ST_FORMAT, "field %s: the answer is empty", r->answer_field);
}

#define GSM8K_FLEXIBLE "(-?[$0-9.,]{2,})|(-?[0-9]+)"
#define GSM8K_STRICT "#### (\\-?[0-9\\.\\,]+)"
static status gsm8k_open(struct rule *r, const struct reward_options *o) {
    r->answer_field = o->answer_field;
    r->strict = strcmp(o->extract, "strict") == 0;
    return pattern_init_plain(&r->pattern, r->strict ? GSM8K_STRICT : GSM8K_FLEXIBLE);
}

/* strict: the first match, flexible: the last. */
static status gsm8k_judge(double *value, struct rule *r, const struct record *row, const struct buf *text) {
    struct pattern_scan scan = pattern_scan_begin(&r->pattern, r->match, buf_text(text), text->size);
    size_t begin, end, found = SIZE_MAX, found_end = 0;
    TRY(read_answer(r, row));
    do {
        TRY(pattern_scan_next(&scan, &begin, &end));
        if (begin != SIZE_MAX) found = begin, found_end = end;
    } while (begin != SIZE_MAX && !r->strict);
    *value = 0;
    if (found == SIZE_MAX) return ST_OK;
    put_answer(&r->found, text->data + found, found_end - found);
    *value = r->found.size == r->answer.size && memcmp(r->found.data, r->answer.data, r->answer.size) == 0;
    return ST_OK;
}

static status regex_open(struct rule *r, const struct reward_options *o) {
    status s = pattern_init_plain(&r->pattern, o->pattern);
    return s == ST_OK ? s : status_note(ST_USAGE, "--pattern: ");
}

static status regex_judge(double *value, struct rule *r, const struct record *row, const struct buf *text) {
    struct pattern_scan scan = pattern_scan_begin(&r->pattern, r->match, buf_text(text), text->size);
    size_t begin, end;
    (void)row;
    TRY(pattern_scan_next(&scan, &begin, &end));
    *value = begin != SIZE_MAX;
    return ST_OK;
}

static status length_open(struct rule *r, const struct reward_options *o) {
    r->length = (double)o->length;
    r->words = strcmp(o->unit, "words") == 0;
    return ST_OK;
}

/* 1 at the wanted length, falling evenly to 0 at nothing and at twice as much. */
static status length_judge(double *value, struct rule *r, const struct record *row, const struct buf *text) {
    double n = 0;
    bool inside = false;
    (void)row;
    for (size_t i = 0; i < text->size; i++) {
        const char c = text->data[i];
        const bool blank = is_blank(c) || c == '\v' || c == '\f';
        if (r->words ? !blank && !inside : ((unsigned char)c & 0xc0) != 0x80) n++;
        inside = !blank;
    }
    *value = fmax(0, 1 - fabs(n - r->length) / r->length);
    return ST_OK;
}

static status json_open(struct rule *r, const struct reward_options *o) {
    (void)r, (void)o;
    return ST_OK;
}

static status json_judge(double *value, struct rule *r, const struct record *row, const struct buf *text) {
    const char *at = buf_text(text), *end = at + text->size;
    struct json parsed;
    (void)r, (void)row;
    while (at < end && is_blank(*at)) at++;
    while (end > at && is_blank(end[-1])) end--;
    *value = json_parse(&parsed, at, (size_t)(end - at)) == ST_OK;
    return ST_OK;
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
const struct rule_row rule_table[] = {
    {"gsm8k", "the final number of the response is that of the row's answer", OPTIONS("answer-field", "extract"), gsm8k_open, gsm8k_judge,
     NULL, NULL, NULL, true},
    {"regex", "--pattern matches somewhere in the response", OPTIONS("pattern"), regex_open, regex_judge, NULL, NULL, NULL, false},
    {"length", "--length words or characters are best; the score falls evenly to the lowest at none and at twice as many",
     OPTIONS("length", "unit"), length_open, length_judge, NULL, NULL, NULL, false},
    {"json", "the response is one valid JSON value and nothing else", OPTIONS(NULL), json_open, json_judge, NULL, NULL, NULL, false},
    {"command", "--command judges: it reads a line of JSON for each response and prints a number from 0 to 1 for each",
     OPTIONS("command", "command-batch", "command-timeout"), rule_command_open, NULL, rule_command_hold, rule_command_flush,
     rule_command_close, false},
};
const size_t rule_count = sizeof rule_table / sizeof rule_table[0];

const struct rule_row *rule_find(const char *name) {
    for (size_t i = 0; i < rule_count; i++)
        if (strcmp(rule_table[i].name, name) == 0) return &rule_table[i];
    return NULL;
}

status reward_rule_open(struct reward *reward, const struct reward_options *o) {
    struct rule *r = mem_zero(1, sizeof *r);
    reward->state = r;
    r->row = rule_find(o->rule);
    CHECK(r->row);
    r->match = pattern_match_new();
    if (!r->match) return FAIL(ST_NOMEM, "no memory for matches");
    return r->row->open(r, o);
}

void reward_rule_release(struct reward *reward) {
    struct rule *r = reward->state;
    if (r->row->close) r->row->close(r);
    pattern_release(&r->pattern);
    pattern_match_free(r->match);
    buf_release(&r->text);
    buf_release(&r->answer);
    buf_release(&r->found);
    free(r);
}

/* All texts are read before the first is held: a row is taken whole or not. */
static status hold_row(struct rule *r, struct reward_values *out, const struct record *row) {
    const size_t n = reward_responses(row);
    for (size_t i = 0; i < n; i++) TRY(reward_response_text(&r->text, row, i));
    for (size_t i = 0; i < n; i++) {
        TRY(reward_response_text(&r->text, row, i));
        TRY(r->row->hold(r, out, row, &r->text));
    }
    return ST_OK;
}

status reward_rule_flush(struct reward *reward, struct reward_values *out) {
    struct rule *r = reward->state;
    return r->row->flush ? r->row->flush(r, out) : ST_OK;
}

status reward_rule_score(struct reward *reward, struct reward_values *out, const struct record *row) {
    struct rule *r = reward->state;
    const size_t n = reward_responses(row), before = out->count;
    if (r->row->hold) return hold_row(r, out, row);
    for (size_t i = 0; i < n; i++) {
        double value;
        status s = reward_response_text(&r->text, row, i);
        if (s == ST_OK) s = r->row->judge(&value, r, row, &r->text);
        if (s != ST_OK) {
            out->count = before;
            return s;
        }
        reward_values_add(out, value);
    }
    return ST_OK;
}
