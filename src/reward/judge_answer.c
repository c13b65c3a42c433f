#include "reward/judge_answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t judge_choices(const struct judge_scale *scale) { return scale->pairwise ? 3 : (size_t)(scale->high - scale->low) + 1; }

double judge_value(const struct judge_scale *scale, int choice) {
    static const double verdicts[] = {1, 0, 0.5};
    return scale->pairwise ? verdicts[choice] : (double)choice / (scale->high - scale->low);
}

void judge_put_choice(struct buf *out, const struct judge_scale *scale, size_t choice) {
    if (scale->pairwise)
        buf_append_char(out, (char)('A' + (char)choice));
    else
        buf_printf(out, "%d", scale->low + (int)choice);
}

struct piece {
    const char *at, *end;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Blanks, and marks that writers put around a word. */
static struct piece strip(struct piece p, const char *marks) {
    while (p.at < p.end && (is_blank(*p.at) || (*p.at && strchr(marks, *p.at)))) p.at++;
    while (p.end > p.at && (is_blank(p.end[-1]) || (p.end[-1] && strchr(marks, p.end[-1])))) p.end--;
    return p;
}

static bool skip_word(struct piece *p, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || strncasecmp(p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

/* [-]digits[.digits], all of the piece; at most 12 characters. */
static bool read_number(double *value, struct piece p) {
    char text[16];
    const size_t n = (size_t)(p.end - p.at);
    size_t i = n && *p.at == '-', digits = 0;
    if (!n || n > 12) return false;
    for (; i < n && p.at[i] >= '0' && p.at[i] <= '9'; i++) digits++;
    if (!digits) return false;
    if (i < n && p.at[i] == '.') {
        digits = 0;
        for (i++; i < n && p.at[i] >= '0' && p.at[i] <= '9'; i++) digits++;
        if (!digits) return false;
    }
    if (i != n) return false;
    memcpy(text, p.at, n);
    text[n] = '\0';
    *value = strtod(text, NULL);
    return true;
}

/* A rating or a letter, and nothing else. *p becomes where it stands. */
static bool read_value(double *value, struct piece *p, const struct judge_scale *scale) {
    double number;
    if (!scale->pairwise) {
        if (!read_number(&number, *p) || number < scale->low || number > scale->high) return false;
        *value = (number - scale->low) / (scale->high - scale->low);
        return true;
    }
    if ((size_t)(p->end - p->at) == 3 && strncasecmp(p->at, "tie", 3) == 0) {
        *value = judge_value(scale, 2);
        return true;
    }
    if (p->end - p->at != 1 || *p->at < 'A' || *p->at > 'C') return false;
    *value = judge_value(scale, *p->at - 'A');
    return true;
}

/* The whole text, but for what says that a rating follows, and of how many. */
static bool read_whole(double *value, struct piece *p, const struct judge_scale *scale) {
    static const char *const names[] = {"rating", "score", "verdict", "answer"};
    char of[24];
    *p = strip(*p, "*\"'`_");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct piece rest = *p;
        if (!skip_word(&rest, names[i])) continue;
        rest = strip(rest, "*_");
        if (skip_word(&rest, ":")) *p = strip(rest, "*\"'`_");
        break;
    }
    if (p->end > p->at && p->end[-1] == '.') *p = strip((struct piece){p->at, p->end - 1}, "*\"'`_");
    const int n = snprintf(of, sizeof of, "/%d", scale->high);
    if (!scale->pairwise && p->end - p->at > n && memcmp(p->end - n, of, (size_t)n) == 0)
        *p = strip((struct piece){p->at, p->end - n}, "*_");
    return read_value(value, p, scale);
}

/* Every [[..]] of the text, which must agree. *count: how many. */
static bool read_marked(double *value, struct piece *p, size_t *count, const struct judge_scale *scale) {
    const char *end = p->end;
    *count = 0;
    for (const char *at = p->at; end - at >= 2; at++) {
        if (at[0] != '[' || at[1] != '[') continue;
        const char *close = at + 2;
        while (end - close >= 2 && (close[0] != ']' || close[1] != ']')) close++;
        if (end - close < 2) break;
        struct piece inner = strip((struct piece){at + 2, close}, "");
        double one;
        if (!read_value(&one, &inner, scale) || (*count && one != *value)) return false;
        *value = one;
        *p = inner;
        ++*count;
        at = close + 1;
    }
    return *count > 0;
}

status judge_read(double *value, size_t *at, size_t *size, const struct judge_scale *scale, const char *text, size_t text_size) {
    struct piece p = {text, text + text_size};
    size_t count;
    bool ok = read_marked(value, &p, &count, scale);
    if (!ok && !count) ok = read_whole(value, &p, scale);
    if (!ok && scale->pairwise)
        return FAIL(ST_FORMAT, "expected A, B or C, alone or as [[A]], found '%.*s'", (int)(text_size < 80 ? text_size : 80), text);
    if (!ok)
        return FAIL(ST_FORMAT, "expected a number from %d to %d, alone or as [[8]], found '%.*s'", scale->low, scale->high,
                    (int)(text_size < 80 ? text_size : 80), text);
    *at = (size_t)(p.at - text);
    *size = (size_t)(p.end - p.at);
    return ST_OK;
}

/* Bytes of a token: its list of bytes where there is one, since a token may end inside a character. */
static size_t token_bytes(struct json token, struct buf *text) {
    const struct json bytes = json_get(token, "bytes");
    buf_clear(text);
    json_string(text, json_get(token, "token"));
    return json_kind_of(bytes) == JSON_ARRAY ? json_count(bytes) : text->size;
}

/* The token in which byte `at` of the text lies, the one behind it, and where in the token. */
static bool token_at(struct json *token, struct json *after, size_t *inside, struct json logprobs, size_t at) {
    struct json_iter it = json_iter_begin(logprobs);
    struct json key;
    struct buf text = {0};
    size_t from = 0;
    bool found = false;
    while (!found && json_iter_next(&it, &key, token)) {
        const size_t n = token_bytes(*token, &text);
        found = at < from + n;
        *inside = at - from;
        from += n;
    }
    buf_release(&text);
    *after = (struct json){0};
    if (found && !json_iter_next(&it, &key, after)) *after = (struct json){0};
    return found;
}

/* Mass on each value, by the top tokens of a place. */
#define CHOICES_MAX 11
struct mass {
    double of[CHOICES_MAX];
    double all;
};

static bool top_token(struct piece *p, double *probability, struct buf *text, struct json item) {
    double logprob;
    buf_clear(text);
    if (!json_string(text, json_get(item, "token")) || !json_double(&logprob, json_get(item, "logprob")) || logprob > 1e-3) return false;
    *p = strip((struct piece){buf_text(text), buf_text(text) + text->size}, "");
    *probability = exp(logprob < 0 ? logprob : 0);
    return true;
}

static void weigh_place(struct mass *m, const struct judge_scale *scale, struct json token) {
    struct json_iter it = json_iter_begin(json_get(token, "top_logprobs"));
    struct json key, item;
    struct buf text = {0}, choice = {0};
    struct piece p;
    double probability;
    *m = (struct mass){0};
    while (json_iter_next(&it, &key, &item)) {
        if (!top_token(&p, &probability, &text, item)) continue;
        for (size_t i = 0; i < judge_choices(scale); i++) {
            buf_clear(&choice);
            judge_put_choice(&choice, scale, i);
            if (choice.size != (size_t)(p.end - p.at) || memcmp(choice.data, p.at, choice.size) != 0) continue;
            m->of[i] += probability;
            m->all += probability;
        }
    }
    buf_release(&text);
    buf_release(&choice);
}

/* The probability that the token at a place is this one, without blanks around it. */
static double probability_of(struct json token, const char *digit) {
    struct json_iter it = json_iter_begin(json_get(token, "top_logprobs"));
    struct json key, item;
    struct buf text = {0};
    struct piece p;
    double probability, sum = 0;
    while (json_iter_next(&it, &key, &item))
        if (top_token(&p, &probability, &text, item) && strcmp(buf_text(&text), digit) == 0) sum += probability;
    buf_release(&text);
    return sum > 1 ? 1 : sum;
}

/* Tokens of one digit: 1 stands for 1, or begins 10. Only where the answer took it does the next token tell how much of it does. */
static status part_ten(struct mass *m, const struct judge_scale *scale, struct json after, bool took_one) {
    const size_t one = (size_t)(1 - scale->low), ten = (size_t)(10 - scale->low);
    const bool clear = scale->low > 1 || scale->high < 10 || m->of[ten] > 0 || m->of[one] <= 0;
    if (clear) return ST_OK;
    if (took_one) {
        const double share = probability_of(after, "0");
        m->of[ten] = m->of[one] * share;
        m->of[one] *= 1 - share;
        return ST_OK;
    }
    if (m->of[one] > 0.01 * m->all)
        return FAIL(ST_FORMAT,
                    "the judge's tokens are digits, and %.3f of the mass lies on a 1 that could begin 10: ask for a scale of one digit "
                    "(--score-range 1,9)",
                    m->of[one] / m->all);
    m->all -= m->of[one];
    m->of[one] = 0;
    return ST_OK;
}

status judge_weigh(double *value, bool *there, const struct judge_scale *scale, struct json logprobs, size_t at, size_t size) {
    struct json token, after;
    struct mass m;
    struct buf text = {0};
    size_t inside;
    *there = false;
    CHECK(judge_choices(scale) <= CHOICES_MAX);
    if (!logprobs.size || !token_at(&token, &after, &inside, logprobs, at)) return ST_OK;
    json_string(&text, json_get(token, "token"));
    const struct piece p = strip((struct piece){buf_text(&text), buf_text(&text) + text.size}, "");
    const size_t held = (size_t)(p.end - p.at);
    const bool one = held == 1 && *p.at == '1', begins = (size_t)(p.at - buf_text(&text)) == inside;
    buf_release(&text);
    /* 10 may be a 1 and a 0; another token that holds more than the value, or a part of it, tells nothing. */
    if (!begins || (held != size && !(one && size == 2))) return ST_OK;
    weigh_place(&m, scale, token);
    if (!(m.all > 0)) return ST_OK;
    if (m.all < 0.5)
        return FAIL(ST_FORMAT, "only %.3f of the judge's probability lies on %s", m.all, scale->pairwise ? "A, B and C" : "ratings");
    if (!scale->pairwise) TRY(part_ten(&m, scale, after, one));
    *value = 0;
    for (size_t i = 0; i < judge_choices(scale); i++) *value += m.of[i] / m.all * judge_value(scale, (int)i);
    *there = true;
    return ST_OK;
}
