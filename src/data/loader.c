#include "data/loader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/source.h"

void loaded_release(struct loaded *d) {
    ids_release(&d->ids);
    buf_release(&d->marks);
    free(d->rows);
    free(d->responses);
    *d = (struct loaded){0};
}

static uint64_t prompt_identity(const struct record *r) {
    if (r->source_row >= 0) return hash_bytes(&r->source_row, sizeof r->source_row, 1);
    if (r->prompt.size) return hash_bytes(r->prompt.data, r->prompt.size, 0);
    return hash_bytes(r->prompt_ids.text, r->prompt_ids.size, 2);
}

static void add_row(struct loaded *d, const struct record *r, size_t prompt) {
    if (d->count == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 1024;
        d->rows = mem_resize(d->rows, d->capacity * sizeof *d->rows);
    }
    d->rows[d->count++] = (struct loaded_row){
        .first = d->response_count,
        .prompt = (int32_t)prompt,
        .line = r->line,
        .index = r->index,
        .source_row = r->source_row,
        .goal_of = r->goal_of,
        .goal = r->goal,
        .margin = r->margin,
        .prompt_hash = prompt_identity(r),
    };
}

/* One more response of the row added last. */
static void add_response(struct loaded *d, const struct ids *prompt, const int32_t *ids, size_t count, double score) {
    if (d->response_count == d->response_capacity) {
        d->response_capacity = d->response_capacity ? d->response_capacity * 2 : 1024;
        d->responses = mem_resize(d->responses, d->response_capacity * sizeof *d->responses);
    }
    d->responses[d->response_count++] = (struct loaded_response){
        .at = d->ids.count,
        .prompt = (int32_t)prompt->count,
        .count = (int32_t)count,
        .kept = (int32_t)count,
        .score = score,
        .rejected = d->rows[d->count - 1].responses > 0,
    };
    d->rows[d->count - 1].responses++;
    ids_append(&d->ids, prompt->data, prompt->count);
    ids_append(&d->ids, ids, count);
    if ((int32_t)(prompt->count + count) > d->longest) d->longest = (int32_t)(prompt->count + count);
}

static int32_t last_token(const struct ids *ids, int64_t pad) {
    size_t at = ids->count - 1;
    while (at > 0 && ids->data[at] == pad) at--;
    return (int32_t)at;
}

/* TRL 1.16's RewardTrainer: rows with a response longer than max_length are left out. */
static status take_reward(struct loaded *d, const struct record *r, struct encoded *x, const double score[2],
                          const struct loader_options *o) {
    const size_t room = o->max_length ? o->max_length : SIZE_MAX, chosen = x->chosen.count, rejected = x->rejected.count;
    size_t same = 0;
    if (!chosen || !rejected) return FAIL(ST_FORMAT, "field '%s': no tokens", chosen ? "rejected" : "chosen");
    if (chosen > room || rejected > room) {
        d->dropped_long++;
        return ST_OK;
    }
    if (d->ids.count + chosen + rejected > (size_t)INT32_MAX * 2) return FAIL(ST_NOMEM, "more than 4 billion tokens of data");
    const int32_t last_chosen = last_token(&x->chosen, o->pad), last_rejected = last_token(&x->rejected, o->pad);
    while (same + 1 < chosen && same + 1 < rejected && x->chosen.data[same] == x->rejected.data[same]) same++;
    ids_append(&x->prompt, x->chosen.data, same);
    add_row(d, r, same);
    add_response(d, &x->prompt, x->chosen.data + same, chosen - same, score[0]);
    d->responses[d->response_count - 1].last = last_chosen;
    add_response(d, &x->prompt, x->rejected.data + same, rejected - same, score[1]);
    d->responses[d->response_count - 1].last = last_rejected;
    return ST_OK;
}

static status check_size(struct loaded *d, const struct encoded *x) {
    d->mismatched += x->prefix_mismatch;
    if (x->prompt.count == 0) return FAIL(ST_FORMAT, "field 'prompt': no tokens; a response needs at least one token before it");
    if (d->ids.count + x->prompt.count + x->chosen.count + x->rejected.count > (size_t)INT32_MAX * 2)
        return FAIL(ST_NOMEM, "more than 4 billion tokens of data");
    return ST_OK;
}

/* What is left for responses behind the prompt; 0: the row is dropped. */
static status room_of(size_t *room, struct loaded *d, const struct encoded *x, const struct loader_options *o) {
    TRY(check_size(d, x));
    const size_t limit = o->max_length ? o->max_length : SIZE_MAX;
    *room = x->prompt.count < limit ? limit - x->prompt.count : 0;
    d->dropped_long += *room == 0;
    return ST_OK;
}

static size_t cut_to(size_t room, const struct ids *response) { return response->count < room ? response->count : room; }

static status label_of(bool *rejected, const struct record *r, int label, double score, const struct loader_options *o) {
    if (isnan(o->threshold)) {
        if (label == LABEL_NONE)
            return FAIL(ST_FORMAT, "no label (field 'label' or 'kto_tag', true or false); --kto-threshold makes labels from scores");
        *rejected = label == LABEL_UNDESIRED;
        return ST_OK;
    }
    if (isnan(score)) return FAIL(ST_FORMAT, "a response without a score, which --kto-threshold makes labels from");
    if (record_has_goal(r))
        return FAIL(ST_FORMAT,
                    "field 'goal': under a goal the pair says which response is desirable, not its score; leave --kto-threshold out");
    *rejected = score < o->threshold;
    return ST_OK;
}

/* The prompt as it stands before the response that was encoded last, and the room behind it. */
static struct ids prompt_of(size_t *room, const struct encoded *x) {
    *room += x->prompt.count - x->common;
    return (struct ids){.data = x->prompt.data, .count = x->common};
}

/* A response with a label as a row of its own. */
static status add_single(struct loaded *d, const struct record *r, const struct ids *prompt, const struct ids *response, size_t room,
                         int label, double score, const struct loader_options *o) {
    bool rejected = false;
    TRY(label_of(&rejected, r, label, score, o));
    const size_t kept = cut_to(o->max_length ? o->max_length - 1 : SIZE_MAX, response), count = cut_to(room, response);
    d->cut += count < response->count;
    add_row(d, r, prompt->count);
    add_response(d, prompt, response->data, kept, score);
    struct loaded_response *added = &d->responses[d->response_count - 1];
    added->count = (int32_t)count;
    added->rejected = rejected;
    return ST_OK;
}

/* The prompt of a row of K responses. */
static status begin_responses(size_t *room, struct loaded *d, const struct record *r, struct encoded *x, struct encoder *e,
                              const struct loader_options *o) {
    x->prompt.count = x->chosen.count = x->rejected.count = 0;
    x->prefix_mismatch = false;
    TRY(encode_prompt(&x->prompt, e, r));
    return room_of(room, d, x, o);
}

static status take_unpaired(struct loaded *d, const struct record *r, struct encoded *x, struct encoder *e,
                            const struct loader_options *o) {
    size_t room = 0;
    if (r->kind == RECORD_RESPONSES) {
        TRY(begin_responses(&room, d, r, x, e, o));
        for (size_t i = 0; i < r->response_count && room; i++) {
            x->chosen.count = 0;
            TRY(encode_completion(&x->chosen, x, e, r, &r->responses[i].text));
            size_t behind = room;
            const struct ids prompt = prompt_of(&behind, x);
            if (!prompt.count) return FAIL(ST_FORMAT, "response %zu has no token in common with its prompt", i + 1);
            TRY(add_single(d, r, &prompt, &x->chosen, behind, LABEL_NONE, r->responses[i].score, o));
        }
        d->mismatched += x->prefix_mismatch;
        return ST_OK;
    }
    if (r->kind != RECORD_PAIR && r->kind != RECORD_SFT)
        return FAIL(ST_FORMAT, "expected a completion with a label (prompt, completion, label), a pair, or scored responses");
    TRY(encode_record(x, e, r));
    TRY(room_of(&room, d, x, o));
    if (!room) return ST_OK;
    const bool pair = r->kind == RECORD_PAIR;
    TRY(add_single(d, r, &x->prompt, &x->chosen, room, pair ? LABEL_DESIRED : r->label, r->score_chosen, o));
    if (!pair) return ST_OK;
    TRY(add_single(d, r, &x->prompt, &x->rejected, room, LABEL_UNDESIRED, r->score_rejected, o));
    d->rows[d->count - 1].second = true;
    return ST_OK;
}

/* TRL 1.16's SFTTrainer (_prepare_dataset): what is cut off takes its marks along, and a row without any that is left is dropped. The
 * prompt of x and its completion are one text. False: dropped. */
static bool take_marks(int32_t *scored, struct loaded *d, const struct record *r, struct encoded *x, const struct fit_side *s,
                       bool completion_only) {
    const size_t n = s->prompt + s->count, completion = completion_only && !r->one_list ? x->prompt.count : 0;
    uint8_t *marks = (uint8_t *)x->marks.data;
    CHECK(x->marks.size == x->prompt.count + x->chosen.count);
    *scored = 0;
    for (size_t i = 0; i < n; i++) {
        if (i < completion) marks[i] = 0;
        *scored += i && marks[i];
    }
    if (*scored) buf_append(&d->marks, marks, n);
    return *scored > 0;
}

/* A pair or an SFT row, as much of it as fits; score: [2]. */
static void add_fitted(struct loaded *d, const struct record *r, struct encoded *x, const double *score, const struct fit_rules *rules,
                       const struct loader_options *o) {
    const struct ids *prompt[2] = {&x->prompt, x->rejected_prompt.count ? &x->rejected_prompt : &x->prompt},
                     *response[2] = {&x->chosen, &x->rejected};
    const size_t n = r->kind == RECORD_PAIR ? 2 : 1;
    int32_t scored = 0;
    struct fit_side side[2] = {{0}};
    if (!fit_row(side, (const size_t[]){prompt[0]->count, prompt[1]->count}, (const size_t[]){response[0]->count, response[1]->count}, n,
                 rules) ||
        (x->marks.size && !take_marks(&scored, d, r, x, &side[0], o->completion_only))) {
        d->dropped_long++;
        return;
    }
    d->cut += side[0].count < response[0]->count || side[n - 1].count < response[n - 1]->count;
    d->cut_prompt += side[0].prompt < prompt[0]->count || side[n - 1].prompt < prompt[n - 1]->count;
    for (size_t i = 0; i < n; i++) {
        struct fit_side s = side[i];
        struct ids head = {.data = prompt[i]->data + s.prompt_at, .count = s.prompt};
        if (!s.prompt) { /* nothing left of it: the response's first token is what the others are predicted from */
            head = (struct ids){.data = response[i]->data + s.at, .count = 1};
            s.at++, s.count--;
        }
        if (!i) add_row(d, r, head.count);
        add_response(d, &head, response[i]->data + s.at, s.count, score[i]);
        d->responses[d->response_count - 1].scored = scored;
    }
}

/* The reward under the row's goal, where it has one. */
static status reward_at(double *out, const struct record *r, double score) {
    *out = isnan(r->goal) ? score : -(r->goal - score) * (r->goal - score);
    if (!r->goals.size) return ST_OK;
    return FAIL(ST_FORMAT,
                "field goal: it has several attributes, and this loss takes rewards -(goal - score)^2 of goals that are one score");
}

static status reward_of(double *out, const struct record *r, double score, const char *what, size_t number) {
    TRY(reward_at(out, r, score));
    return isnan(score) ? FAIL(ST_FORMAT, "%s %zu has no score", what, number + 1) : ST_OK;
}

/* rewards[responses], and response numbers with the best reward first, equal ones in the row's order. */
static status rank_responses(size_t *order, double *rewards, const struct record *r) {
    if (r->response_count < 2) return FAIL(ST_FORMAT, "%zu responses, where two or more are compared", r->response_count);
    if (r->response_count > LOADED_RESPONSES_MAX)
        return FAIL(ST_FORMAT, "%zu responses, at most %d are read", r->response_count, LOADED_RESPONSES_MAX);
    for (size_t i = 0; i < r->response_count; i++) {
        size_t at = i;
        TRY(reward_of(&rewards[i], r, r->responses[i].score, "response", i));
        for (; at > 0 && rewards[order[at - 1]] < rewards[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    return ST_OK;
}

static status take_group(struct loaded *d, const struct record *r, struct encoded *x, struct encoder *e, const struct loader_options *o) {
    size_t order[LOADED_RESPONSES_MAX], room = 0;
    double rewards[LOADED_RESPONSES_MAX];
    bool cut = false;
    status s = ST_OK;
    if (e->compat != FIT_TRL_1)
        return FAIL(ST_UNSUPPORTED, "a row of %zu responses, which TRL did not have: --compat is for pairs", r->response_count);
    TRY(rank_responses(order, rewards, r));
    TRY(begin_responses(&room, d, r, x, e, o));
    if (!room) return ST_OK;
    add_row(d, r, x->prompt.count);
    for (size_t i = 0; s == ST_OK && i < r->response_count; i++) {
        x->chosen.count = 0;
        s = encode_completion(&x->chosen, x, e, r, &r->responses[order[i]].text);
        size_t behind = room;
        const struct ids prompt = prompt_of(&behind, x);
        cut = cut || x->chosen.count > behind;
        if (s == ST_OK && !prompt.count) s = FAIL(ST_FORMAT, "response %zu has no token in common with its prompt", order[i] + 1);
        if (s == ST_OK) add_response(d, &prompt, x->chosen.data, cut_to(behind, &x->chosen), rewards[order[i]]);
    }
    d->cut += cut;
    d->mismatched += x->prefix_mismatch;
    return s;
}

static status take_record(struct loaded *d, const struct record *r, struct encoded *x, struct encoder *e, const struct loader_options *o) {
    enum record_kind want = o->sft ? RECORD_SFT : RECORD_PAIR;
    const bool one_text = o->sft && encode_is_one_text(e, r);
    if (o->unpaired) return take_unpaired(d, r, x, e, o);
    if (o->groups && !o->pairs && r->kind == RECORD_RESPONSES) return take_group(d, r, x, e, o);
    if (r->kind != want && !one_text)
        return FAIL(ST_FORMAT, "expected %s",
                    o->sft                   ? "an SFT row (messages, or prompt and completion)"
                    : o->groups && !o->pairs ? "scored responses (prompt, responses), or a pair (prompt, chosen, rejected) with scores"
                                             : "a pair (prompt, chosen, rejected)");
    double score[2] = {r->score_chosen, r->score_rejected};
    for (size_t i = 0; o->groups && i < 2; i++) TRY(reward_of(&score[i], r, score[i], "response", i));
    for (size_t i = 0; o->rewards && !o->groups && i < 2; i++) TRY(reward_at(&score[i], r, score[i]));
    TRY(encode_record(x, e, r));
    if (o->reward) return take_reward(d, r, x, score, o);
    TRY(check_size(d, x));
    add_fitted(
        d, r, x, score,
        &(struct fit_rules){e->compat, o->max_length, o->max_prompt, o->max_completion, o->all_tokens || (one_text && e->assistants)}, o);
    return ST_OK;
}

/* All of a record, or nothing of it: what is told as a bad row must not be half there. */
static status take_whole(struct loaded *d, const struct record *r, struct encoded *x, struct encoder *e, const struct loader_options *o) {
    const size_t rows = d->count, responses = d->response_count, ids = d->ids.count, marks = d->marks.size;
    const status s = take_record(d, r, x, e, o);
    if (s == ST_OK) return s;
    d->count = rows;
    d->response_count = responses;
    d->ids.count = ids;
    d->marks.size = marks;
    return s;
}

/* The order in which TRL takes pairs apart: of every thousand (the block size of datasets.map) first all chosen, then all rejected ones. */
#define UNPAIR_BLOCK 1000
static int by_block(const void *a, const void *b) {
    const struct loaded_row *x = a, *y = b;
    if (x->index / UNPAIR_BLOCK != y->index / UNPAIR_BLOCK) return x->index < y->index ? -1 : 1;
    if (x->second != y->second) return x->second ? 1 : -1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The longest sequence that a prompt and any response make. */
static void measure_mismatched(struct loaded *d, size_t max_length) {
    int64_t prompt = 0, response = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct loaded_response *x = loaded_response(d, i, 0);
        if (d->rows[i].prompt > prompt) prompt = d->rows[i].prompt;
        if (x->kept > response) response = x->kept;
    }
    const int64_t longest = prompt + response, limit = max_length && max_length < INT32_MAX ? (int64_t)max_length : INT32_MAX;
    d->longest = (int32_t)(longest < limit ? longest : limit);
}

static int by_source(const void *a, const void *b) {
    const struct loaded_row *x = a, *y = b;
    if (x->source_row != y->source_row) return x->source_row < y->source_row ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}
static int by_index(const void *a, const void *b) {
    const struct loaded_row *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

/* Is `value` at least twice in the sorted list? */
static bool twice(const struct ids *sorted, int64_t value) {
    size_t low = 0, high = sorted->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sorted->data[mid] < value)
            low = mid + 1;
        else
            high = mid;
    }
    return low + 1 < sorted->count && sorted->data[low] == value && sorted->data[low + 1] == value;
}

/* Is it a pair under one of several goals? A goal beyond the two scores is of neither response. */
static bool is_relabelled(const struct loaded_row *r) { return r->goal_of != 0 || (r->responses == 2 && !isnan(r->goal)); }

/* The last row of a relabelled pair whose others were dropped goes too: alone, its goal-blind gradient would no longer cancel. `sources`
 * holds the source_row of every row read, so rows that never had a partner stay. */
static void drop_partners(struct loaded *d, struct ids *sources) {
    if (!d->dropped_long || !sources->count) return;
    qsort(sources->data, sources->count, sizeof *sources->data, by_value);
    qsort(d->rows, d->count, sizeof *d->rows, by_source);
    size_t kept = 0;
    for (size_t i = 0, j; i < d->count; i = j) {
        for (j = i; j < d->count && d->rows[j].source_row == d->rows[i].source_row;) j++;
        if (j - i == 1 && is_relabelled(&d->rows[i]) && twice(sources, d->rows[i].source_row)) {
            d->dropped_partner++;
            continue;
        }
        for (size_t k = i; k < j; k++) d->rows[kept++] = d->rows[k];
    }
    d->count = kept;
    qsort(d->rows, d->count, sizeof *d->rows, by_index);
}

static size_t common_k(const struct loaded *d) {
    for (size_t i = 1; i < d->count; i++)
        if (d->rows[i].responses != d->rows[0].responses) return 0;
    return d->count ? (size_t)d->rows[0].responses : 0;
}

status loaded_read(struct loaded *d, const char *path, struct encoder *e, const struct loader_options *o) {
    struct source source;
    struct record record = {0};
    struct encoded x = {0};
    struct ids sources = {0};
    struct progress bar;
    bool end = false;
    *d = (struct loaded){.pooled = o->reward};
    TRY(source_open(&source, path, o->skip_bad ? SOURCE_SKIP : SOURCE_STOP, o->rejected_beside));
    source.map = o->map;
    progress_begin(&bar, "tokenise", "MB", file_size_bytes(path) >> 20);
    status s = ST_OK;
    for (;;) {
        s = source_next(&source, &record, &end);
        if (s != ST_OK || end) break;
        d->read++;
        if (o->paired_drop && record.source_row >= 0 && record.source_row < INT32_MAX) ids_push(&sources, (int32_t)record.source_row);
        s = take_whole(d, &record, &x, e, o);
        if (s != ST_OK) s = source_reject(&source, &record, s);
        if (s != ST_OK) break;
        progress_update(&bar, file_lines_taken(&source.rows.lines) >> 20, NULL);
    }
    if (s == ST_OK) progress_end(&bar, file_lines_taken(&source.rows.lines) >> 20, NULL);
    if (s == ST_OK) s = source_commit(&source);
    if (s == ST_OK && o->paired_drop) drop_partners(d, &sources);
    if (s == ST_OK && o->unpaired && d->count) qsort(d->rows, d->count, sizeof *d->rows, by_block);
    if (s == ST_OK && o->unpaired) measure_mismatched(d, o->max_length);
    d->k = common_k(d);
    source_release(&source);
    record_release(&record);
    encoded_release(&x);
    ids_release(&sources);
    if (s != ST_OK) loaded_release(d);
    return s;
}
