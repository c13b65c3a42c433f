#include "eval/logps_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "format/rows.h"

static status read_number(double *out, struct json object, const char *key, bool required) {
    struct json value = json_get(object, key);
    enum json_kind kind = json_kind_of(value);
    *out = NAN;
    if (kind == JSON_NONE || kind == JSON_NULL) {
        if (!required) return ST_OK;
        return FAIL(ST_FORMAT, "field %s is missing; rapt logps writes logps_chosen, logps_rejected, tokens_chosen, tokens_rejected", key);
    }
    if (!json_double(out, value) || !isfinite(*out))
        return FAIL(ST_FORMAT, "field %s: expected a finite number, found %s", key, json_kind_name(kind));
    return ST_OK;
}

static status read_tokens(int32_t *out, struct json object, const char *key) {
    int64_t n;
    struct json value = json_get(object, key);
    if (json_kind_of(value) == JSON_NONE) return FAIL(ST_FORMAT, "field %s is missing; rapt logps writes it", key);
    if (!json_int(&n, value) || n < 0 || n > INT32_MAX) return FAIL(ST_FORMAT, "field %s: expected a count of tokens", key);
    *out = (int32_t)n;
    return ST_OK;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The text with one mark for every number: the goal may stand anywhere in it, and "on a scale of 1-10" has a 10 of its own. */
static void put_without_numbers(struct buf *out, struct json string) {
    struct buf text = {0};
    if (json_string(&text, string)) {
        const char *at = buf_text(&text), *end = at + text.size;
        for (const char *begin = at; at < end;) {
            const bool negative = *at == '-' && is_digit(at[1]) && (at == begin || at[-1] == ' ');
            if (!negative && !is_digit(*at)) {
                buf_append_char(out, *at++);
                continue;
            }
            for (at++; is_digit(*at) || (*at == '.' && is_digit(at[1])); at++) {
            }
            buf_append_char(out, '#');
        }
    }
    buf_append_char(out, '\0');
    buf_release(&text);
}

/* Prompts that differ only in the goal share a cluster: prompt_id where the row has one; else the turns without system turns (where the
 * goal stands by default) and without numbers: prompts that differ in nothing else count as one, which narrows no interval. Without a
 * prompt every source row is a cluster of its own. */
static uint64_t prompt_cluster(struct json object, int64_t source_row) {
    struct buf text = {0};
    struct json id = json_get(object, "prompt_id"), prompt = json_get(object, "prompt"), key, turn;
    if (json_kind_of(id) == JSON_STRING) {
        json_string(&text, id);
    } else if (json_kind_of(prompt) == JSON_ARRAY) {
        struct json_iter it = json_iter_begin(prompt);
        while (json_iter_next(&it, &key, &turn)) {
            struct json role = json_get(turn, "role");
            if (json_kind_of(role) == JSON_STRING && json_equals(role, "system")) continue;
            put_without_numbers(&text, json_get(turn, "content"));
        }
    } else if (json_kind_of(prompt) == JSON_STRING) {
        put_without_numbers(&text, prompt);
    } else {
        buf_append(&text, &source_row, sizeof source_row);
    }
    uint64_t hash = hash_bytes(buf_text(&text), text.size, 0);
    buf_release(&text);
    return hash;
}

static uint64_t response_hash(struct json response) {
    if (json_kind_of(response) == JSON_NONE) return 0;
    uint64_t hash = hash_bytes(response.text, response.size, 0);
    return hash ? hash : 1;
}

/* A prompt's, however the file writes it: roles and contents of turns, or the text. */
static uint64_t prompt_hash(struct json prompt) {
    struct buf text = {0};
    const bool turns = json_kind_of(prompt) == JSON_ARRAY;
    if (turns) buf_append(&text, prompt.text, prompt.size);
    if (!turns && !json_string(&text, prompt)) return 0;
    const uint64_t hash = record_prompt_key(&text, turns);
    buf_release(&text);
    return hash ? hash : 1;
}

/* Of token ids, whatever blanks stand between them. */
static uint64_t ids_hash(struct json ids) {
    struct json_iter it = json_iter_begin(ids);
    struct json key, item;
    int64_t id;
    uint64_t hash = 1;
    if (json_kind_of(ids) != JSON_ARRAY) return 0;
    while (json_iter_next(&it, &key, &item)) {
        if (!json_int(&id, item)) id = -1;
        hash = hash_bytes(&id, sizeof id, hash);
    }
    return hash ? hash : 1;
}

static status read_goal_of(enum goal_of *out, struct json object) {
    struct json value = json_get(object, "goal_of");
    enum json_kind kind = json_kind_of(value);
    *out = GOAL_OF_NONE;
    if (kind == JSON_NONE || kind == JSON_NULL) return ST_OK;
    if (kind == JSON_STRING && json_equals(value, "chosen"))
        *out = GOAL_OF_CHOSEN;
    else if (kind == JSON_STRING && json_equals(value, "rejected"))
        *out = GOAL_OF_REJECTED;
    else
        return FAIL(ST_FORMAT, "field goal_of: expected \"chosen\" or \"rejected\"");
    return ST_OK;
}

/* The names of a goal of several attributes. */
static status keep_attributes(struct logps_rows *r, struct json goal) {
    struct json_iter it = json_iter_begin(goal);
    struct json key, value;
    if (!json_count(goal) || json_count(goal) > GOAL_MAX)
        return FAIL(ST_FORMAT, "field goal: expected 1 to %d attributes, found %zu", GOAL_MAX, json_count(goal));
    while (json_iter_next(&it, &key, &value)) {
        char *name = json_text(key);
        if (!name) return FAIL(ST_FORMAT, "field goal: a name that is no text");
        r->attributes[r->attribute_count++] = name;
    }
    return ST_OK;
}

static status read_goal(struct logps_row *row, struct logps_rows *r, struct json goal) {
    row->attributes = json_kind_of(goal) == JSON_OBJECT;
    if (json_kind_of(goal) == JSON_NUMBER && (!json_double(&row->goal, goal) || !isfinite(row->goal)))
        return FAIL(ST_FORMAT, "field goal: expected a finite number");
    if (!row->attributes) return ST_OK;
    if (!r->attribute_count) TRY(keep_attributes(r, goal));
    if (json_count(goal) != r->attribute_count)
        return FAIL(ST_FORMAT, "field goal: %zu attributes, and rows before have %zu", json_count(goal), r->attribute_count);
    for (size_t i = 0; i < r->attribute_count; i++) {
        const struct json value = json_get(goal, r->attributes[i]);
        if (!json_double(&row->wanted[i], value) || !isfinite(row->wanted[i]))
            return FAIL(ST_FORMAT, "field goal.%s: expected a finite number, found %s; rows before have it", r->attributes[i],
                        json_kind_name(json_kind_of(value)));
    }
    return ST_OK;
}

static status width_of(double *out, const struct goal_style *scales, const char *name) {
    size_t i = 0;
    while (i < scales->attribute_count && strcmp(scales->attributes[i].name, name) != 0) i++;
    *out = 1;
    if (i < scales->attribute_count)
        *out = scales->attributes[i].high - scales->attributes[i].low;
    else if (scales->attribute_count)
        return FAIL(ST_USAGE, "--score-range names no scale for %s", name);
    return ST_OK;
}

/* What the row's two responses have of an attribute. */
static status read_scores_of(double score[2], struct json object, const char *name) {
    static const char *const sides[] = {"scores_chosen", "scores_rejected"}, *const overall[] = {"score_chosen", "score_rejected"};
    for (size_t k = 0; k < 2; k++) {
        struct json value = json_get(json_get(object, sides[k]), name);
        if (json_kind_of(value) == JSON_NONE && strcmp(name, GOAL_OVERALL) == 0) value = json_get(object, overall[k]);
        if (!json_double(&score[k], value) || !isfinite(score[k]))
            return FAIL(ST_FORMAT, "field %s.%s: expected a finite number, as rapt augment --attributes writes it", sides[k], name);
    }
    return ST_OK;
}

/* The goal and the scores become those of the sweep's attribute. */
static status look_along(struct logps_row *row, const struct logps_rows *r, struct json object) {
    const char *name = r->sweep->attribute;
    const struct json goal = json_get(object, "goal");
    double own[2], own_width, apart = 0;
    TRY(read_scores_of(own, object, name));
    TRY(width_of(&own_width, r->sweep->scales, name));
    memcpy(row->score, own, sizeof own);
    if (json_kind_of(goal) == JSON_NONE || json_kind_of(goal) == JSON_NULL) return ST_OK;
    if (!row->attributes)
        return FAIL(ST_MISMATCH, "field goal: expected an object with %s, found %s; --attribute is for goals of several attributes", name,
                    json_kind_name(json_kind_of(goal)));
    for (size_t i = 0; i < r->attribute_count; i++) {
        const double asked = row->wanted[i] + 0.0; /* no -0 */
        double score[2], width;
        if (strcmp(r->attributes[i], name) == 0) {
            row->goal = asked;
            continue;
        }
        TRY(read_scores_of(score, object, r->attributes[i]));
        TRY(width_of(&width, r->sweep->scales, r->attributes[i]));
        for (int k = 0; k < 2; k++) apart += (k ? -1 : 1) * ((asked - score[k]) / width) * ((asked - score[k]) / width);
        row->others += hash_bytes(&asked, sizeof asked, hash_bytes(r->attributes[i], strlen(r->attributes[i]), 0)); /* in any order */
    }
    if (isnan(row->goal)) return FAIL(ST_MISMATCH, "field goal: it has no %s", name);
    row->middle = (own[0] + own[1]) / 2 + own_width * own_width * apart / (2 * (own[0] - own[1]));
    return ST_OK;
}

status logps_row_read(struct logps_row *row, struct logps_rows *r, struct json object, uint64_t number) {
    *row = (struct logps_row){.source_row = (int64_t)number, .goal = NAN, .middle = NAN};
    if (json_kind_of(object) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(object)));
    struct json source = json_get(object, "source_row");
    if (json_kind_of(source) != JSON_NONE && !json_int(&row->source_row, source))
        return FAIL(ST_FORMAT, "field source_row: expected a whole number");
    TRY(read_goal_of(&row->goal_of, object));
    TRY(read_goal(row, r, json_get(object, "goal")));
    TRY(read_number(&row->score[0], object, "score_chosen", false));
    TRY(read_number(&row->score[1], object, "score_rejected", false));
    if (r->sweep && r->sweep->attribute) TRY(look_along(row, r, object));
    TRY(read_number(&row->logp[0], object, "logps_chosen", true));
    TRY(read_number(&row->logp[1], object, "logps_rejected", true));
    TRY(read_number(&row->ref[0], object, "ref_logps_chosen", false));
    TRY(read_number(&row->ref[1], object, "ref_logps_rejected", false));
    if (isnan(row->ref[0]) != isnan(row->ref[1])) return FAIL(ST_FORMAT, "only one of ref_logps_chosen, ref_logps_rejected is there");
    TRY(read_tokens(&row->tokens[0], object, "tokens_chosen"));
    TRY(read_tokens(&row->tokens[1], object, "tokens_rejected"));
    row->text[0] = response_hash(json_get(object, "chosen"));
    row->text[1] = response_hash(json_get(object, "rejected"));
    row->prompt = prompt_hash(json_get(object, "prompt"));
    row->ids = ids_hash(json_get(object, "prompt_ids"));
    row->cluster = prompt_cluster(object, row->source_row);
    return ST_OK;
}

status logps_rows_add(struct logps_rows *r, const struct logps_row *row) {
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 256;
        struct logps_row *rows;
        TRY(mem_try_alloc(&rows, capacity, sizeof *rows, "log-prob rows"));
        if (r->count) memcpy(rows, r->rows, r->count * sizeof *rows);
        free(r->rows);
        r->rows = rows;
        r->capacity = capacity;
    }
    r->rows[r->count++] = *row;
    return ST_OK;
}

int logps_row_compare_asked(const struct logps_row *x, const struct logps_row *y) {
    if (x->attributes != y->attributes) return x->attributes ? 1 : -1;
    for (size_t i = 0; x->attributes && i < GOAL_MAX; i++)
        if (x->wanted[i] != y->wanted[i]) return x->wanted[i] < y->wanted[i] ? -1 : 1;
    if (x->attributes) return 0;
    if (isnan(x->goal) || isnan(y->goal)) return (isnan(x->goal) != 0) - (isnan(y->goal) != 0);
    return (x->goal > y->goal) - (x->goal < y->goal);
}

int logps_row_compare(const struct logps_row *x, const struct logps_row *y) {
    if (x->source_row != y->source_row) return x->source_row < y->source_row ? -1 : 1;
    if (x->goal_of != y->goal_of) return x->goal_of < y->goal_of ? -1 : 1;
    return x->goal_of == GOAL_OF_NONE ? logps_row_compare_asked(x, y) : 0;
}

static int compare_rows(const void *a, const void *b) { return logps_row_compare(a, b); }

/* By goal in place of the half, along an attribute by the others first; no goal comes last. */
static int compare_goals(const void *a, const void *b) {
    const struct logps_row *x = a, *y = b;
    if (x->source_row != y->source_row) return x->source_row < y->source_row ? -1 : 1;
    if (isnan(x->goal) || isnan(y->goal)) return isnan(x->goal) - isnan(y->goal);
    if (x->others != y->others) return x->others < y->others ? -1 : 1;
    return (x->goal > y->goal) - (x->goal < y->goal);
}

#define SWAP(type, pair)         \
    do {                         \
        type first_ = (pair)[0]; \
        (pair)[0] = (pair)[1];   \
        (pair)[1] = first_;      \
    } while (0)

/* All but the scores. */
static void swap_sides(struct logps_row *row) {
    SWAP(double, row->logp);
    SWAP(double, row->ref);
    SWAP(int32_t, row->tokens);
    SWAP(uint64_t, row->text);
}

/* `own`: the same pair's row of the chosen half, or NULL. */
static status orient(struct logps_row *row, const struct logps_row *own) {
    bool swapped = true;
    if (own && own->text[0] && row->text[0] && own->text[0] != own->text[1]) {
        swapped = row->text[0] == own->text[1] && row->text[1] == own->text[0];
        if (!swapped && !(row->text[0] == own->text[0] && row->text[1] == own->text[1]))
            return FAIL(ST_MISMATCH, "source_row %" PRId64 ": its two halves do not hold the same two responses", row->source_row);
    }
    if (swapped) {
        /* Scores may stand with the row's own order or with the original one: the goal is the loser's score and tells. */
        bool scores_follow = !(fabs(row->goal - row->score[1]) < fabs(row->goal - row->score[0]));
        if (scores_follow) SWAP(double, row->score);
        swap_sides(row);
    }
    row->oriented = true;
    return ST_OK;
}

static bool asks(const struct logps_row *row) { return row->attributes || !isnan(row->goal); }

status logps_rows_finish(struct logps_rows *r) {
    if (r->count == 0) return FAIL(ST_FORMAT, "no rows");
    qsort(r->rows, r->count, sizeof *r->rows, compare_rows);
    for (size_t i = 0; i < r->count; i++) {
        struct logps_row *row = &r->rows[i], *before = i ? row - 1 : NULL;
        bool same = before && before->source_row == row->source_row;
        if (same && logps_row_compare(before, row) == 0)
            return FAIL(ST_MISMATCH,
                        "source_row %" PRId64
                        " has more than one row %s; expected one for each half of a pair, and one under each other goal",
                        row->source_row, row->goal_of == GOAL_OF_NONE ? "without goal_of under one goal" : "with the same goal_of");
        if (row->oriented) continue;
        const struct logps_row *own = same && before->goal_of == GOAL_OF_CHOSEN ? before : NULL;
        if (row->goal_of == GOAL_OF_REJECTED) TRY(orient(row, own));
        if (row->goal_of == GOAL_OF_NONE && asks(row) && row->score[0] < row->score[1]) {
            SWAP(double, row->score);
            swap_sides(row);
        }
        if (same) row->cluster = before->cluster;
        if (own && !isnan(own->score[0]) && !isnan(own->score[1])) memcpy(row->score, own->score, sizeof row->score);
        row->oriented = true;
    }
    return ST_OK;
}

/* Into the order of the pair's first row, whose higher score is y_w's. */
static status orient_sweep(struct logps_row *row, const struct logps_row *first) {
    bool swapped = row->score[0] < row->score[1];
    if (first && first->text[0] && row->text[0]) {
        const bool same = row->text[0] == first->text[0] && row->text[1] == first->text[1];
        if (!same && !(row->text[0] == first->text[1] && row->text[1] == first->text[0]))
            return FAIL(ST_MISMATCH, "source_row %" PRId64 ": its rows do not hold the same two responses", row->source_row);
        swapped = !same;
    }
    if (swapped) swap_sides(row);
    if (row->score[0] < row->score[1]) SWAP(double, row->score);
    row->oriented = true;
    return ST_OK;
}

status logps_rows_finish_sweep(struct logps_rows *r) {
    const struct logps_row *first = NULL;
    CHECK(r->sweep);
    if (r->count == 0) return FAIL(ST_FORMAT, "no rows");
    qsort(r->rows, r->count, sizeof *r->rows, compare_goals);
    for (size_t i = 0; i < r->count; i++) {
        struct logps_row *row = &r->rows[i];
        if (row->attributes && !r->sweep->attribute)
            return FAIL(
                ST_MISMATCH,
                "source_row %" PRId64
                " is under a goal of several attributes; a sweep has goals of one score, or is along one of them (--attribute NAME)",
                row->source_row);
        if (first && first->source_row != row->source_row) first = NULL;
        if (first && compare_goals(row - 1, row) == 0)
            return FAIL(ST_MISMATCH, "source_row %" PRId64 " has two rows under one goal; expected one for each goal of a sweep",
                        row->source_row);
        if (!row->oriented) TRY(orient_sweep(row, first));
        if (!first) first = row;
        row->cluster = first->cluster;
    }
    return ST_OK;
}

/* What rapt logps writes for a row whose prompt reaches --max-length. */
static bool is_unscored(struct json object) {
    return json_kind_of(json_get(object, "logps_chosen")) == JSON_NULL && json_kind_of(json_get(object, "logps_rejected")) == JSON_NULL;
}

static status load_lines(struct logps_rows *r, struct rows_in *rows) {
    for (;;) {
        const char *text;
        size_t size;
        struct json object;
        struct logps_row row;
        TRY(rows_next(rows, &text, &size));
        if (!text) return ST_OK;
        status code = json_parse(&object, text, size);
        if (code == ST_OK && is_unscored(object)) {
            r->unscored++;
            continue;
        }
        if (code == ST_OK) code = logps_row_read(&row, r, object, rows->count - 1);
        if (code != ST_OK) return status_note(code, "line %" PRIu64 ": ", rows->number);
        TRY(logps_rows_add(r, &row));
    }
}

status logps_rows_load(struct logps_rows *r, const char *name, const char *path, const struct logps_sweep *sweep) {
    struct rows_in rows = {0};
    *r = (struct logps_rows){.name = mem_text(name), .sweep = sweep};
    status code = rows_open(&rows, path);
    if (code == ST_OK) {
        code = load_lines(r, &rows);
        if (code == ST_OK && r->unscored)
            log_info("%s: %zu rows without log-probs (null: the prompt reached --max-length) are left out", path, r->unscored);
        if (code == ST_OK) code = sweep ? logps_rows_finish_sweep(r) : logps_rows_finish(r);
        if (code != ST_OK) status_note(code, "%s: ", path);
        rows_release(&rows);
    }
    if (code != ST_OK) logps_rows_release(r);
    return code;
}

static bool differ(uint64_t a, uint64_t b) { return a && b && a != b; }

/* What of a row is another than in the reference's, or NULL. */
static const char *difference(const struct logps_row *row, const struct logps_row *base) {
    if (differ(row->prompt, base->prompt)) return "another prompt";
    if (differ(row->text[0], base->text[0]) || differ(row->text[1], base->text[1])) return "other responses";
    if (row->tokens[0] != base->tokens[0] || row->tokens[1] != base->tokens[1]) return "other token counts";
    return differ(row->ids, base->ids) ? "other prompt_ids" : NULL;
}

status logps_rows_join(struct logps_rows *r, const struct logps_rows *base) {
    for (size_t i = 0; i < r->count; i++) {
        struct logps_row *row = &r->rows[i];
        const struct logps_row *b = bsearch(row, base->rows, base->count, sizeof *row, r->sweep ? compare_goals : compare_rows);
        if (!b)
            return FAIL(ST_MISMATCH, "%s: source_row %" PRId64 " of %s is not among the reference's rows", base->name, row->source_row,
                        r->name);
        const char *what = difference(row, b);
        if (what)
            return FAIL(ST_MISMATCH, "%s: source_row %" PRId64 "%s has %s than in %s: other data, or another tokenizer, template or length",
                        base->name, row->source_row,
                        r->sweep                           ? ""
                        : row->goal_of == GOAL_OF_REJECTED ? ", the rejected half,"
                                                           : "",
                        what, r->name);
        memcpy(row->ref, b->logp, sizeof row->ref);
    }
    return ST_OK;
}

/* In either order: which comes first may hang on scores that only one file has. */
static bool same_responses(const struct logps_row *x, const struct logps_row *y) {
    if (!x->text[0] || !x->text[1] || !y->text[0] || !y->text[1]) return true;
    const bool straight = x->text[0] == y->text[0] && x->text[1] == y->text[1];
    return straight || (x->text[0] == y->text[1] && x->text[1] == y->text[0]);
}

status logps_rows_check_pairs(const struct logps_rows *r, const struct logps_rows *other) {
    for (size_t i = 0, j = 0; i < r->count; i++) {
        const struct logps_row *row = &r->rows[i];
        while (j < other->count && other->rows[j].source_row < row->source_row) j++;
        if (j == other->count || other->rows[j].source_row != row->source_row || same_responses(row, &other->rows[j])) continue;
        return FAIL(ST_MISMATCH,
                    "%s and %s are not of the same data: source_row %" PRId64 " holds other responses, and runs are compared pair by pair",
                    r->name, other->name, row->source_row % ((int64_t)1 << 40));
    }
    return ST_OK;
}

static status check_source_rows(const struct logps_rows *r, int64_t end) {
    for (size_t i = 0; i < r->count; i++)
        if (r->rows[i].source_row < 0 || r->rows[i].source_row >= end)
            return FAIL(ST_MISMATCH, "%s: source_row %" PRId64 " lies outside 0 .. 2^40 - 1, and files of one run cannot be told apart",
                        r->name, r->rows[i].source_row);
    return ST_OK;
}

static bool same_attributes(const struct logps_rows *a, const struct logps_rows *b) {
    size_t i = 0;
    while (i < a->attribute_count && i < b->attribute_count && strcmp(a->attributes[i], b->attributes[i]) == 0) i++;
    return i == a->attribute_count && i == b->attribute_count;
}

status logps_rows_pool(struct logps_rows *r, const struct logps_rows *seed) {
    const int64_t step = (int64_t)1 << 40;
    if (!same_attributes(r, seed)) return FAIL(ST_MISMATCH, "%s: its files have goals of other attributes, or in another order", r->name);
    if (!r->pooled++) TRY(check_source_rows(r, step));
    TRY(check_source_rows(seed, step));
    for (size_t i = 0; i < seed->count; i++) {
        struct logps_row row = seed->rows[i];
        row.source_row += (int64_t)r->pooled * step;
        TRY(logps_rows_add(r, &row));
    }
    r->unscored += seed->unscored;
    return ST_OK;
}

void logps_rows_release(struct logps_rows *r) {
    free(r->name);
    for (size_t i = 0; i < r->attribute_count; i++) free(r->attributes[i]);
    free(r->rows);
    *r = (struct logps_rows){0};
}
