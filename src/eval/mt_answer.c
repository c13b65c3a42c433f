#include "eval/mt_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "format/rows.h"
#include "infer/ask.h"

/* ---- questions ---- */

static double temperature_of(const char *category) {
    static const struct {
        const char *name;
        double temperature;
    } table[] = {{"writing", 0.7}, {"roleplay", 0.7}, {"extraction", 0}, {"math", 0},
                 {"coding", 0},    {"reasoning", 0},  {"stem", 0.1},     {"humanities", 0.1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, category) == 0) return table[i].temperature;
    return 0.7;
}

void mt_asked_release(struct mt_asked_set *s) {
    for (size_t i = 0; i < s->count; i++) {
        struct mt_asked *q = &s->items[i];
        free(q->category);
        for (size_t t = 0; t < MT_ANSWER_TURNS; t++) {
            free(q->turns[t]);
            buf_release(&q->answers[t]);
        }
    }
    free(s->items);
    *s = (struct mt_asked_set){0};
}

status mt_asked_add(struct mt_asked_set *s, struct json row) {
    const struct json id = json_get(row, "question_id"), category = json_get(row, "category"), turns = json_get(row, "turns");
    struct mt_asked q = {0};
    struct json key, turn;
    if (!json_int(&q.id, id))
        return FAIL(ST_FORMAT, "field question_id: expected a whole number, found %s", json_kind_name(json_kind_of(id)));
    if (json_kind_of(category) != JSON_STRING)
        return FAIL(ST_FORMAT, "field category: expected a string, found %s", json_kind_name(json_kind_of(category)));
    if (json_kind_of(turns) != JSON_ARRAY || json_count(turns) < 1 || json_count(turns) > MT_ANSWER_TURNS)
        return FAIL(ST_FORMAT, "field turns: expected an array of one or two texts");
    for (struct json_iter it = json_iter_begin(turns); json_iter_next(&it, &key, &turn);)
        if (json_kind_of(turn) != JSON_STRING)
            return FAIL(ST_FORMAT, "field turns: expected texts, found %s", json_kind_name(json_kind_of(turn)));
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 128;
        s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
    }
    size_t t = 0;
    for (struct json_iter it = json_iter_begin(turns); json_iter_next(&it, &key, &turn);) q.turns[t++] = json_text(turn);
    q.category = json_text(category);
    q.temperature = temperature_of(q.category);
    s->items[s->count++] = q;
    return ST_OK;
}

struct loading {
    struct mt_asked_set *set;
    size_t limit; /* 0: none */
};

static status take_question(void *context, struct json row) {
    const struct loading *x = context;
    return x->limit && x->set->count == x->limit ? ST_OK : mt_asked_add(x->set, row);
}

status mt_asked_load(struct mt_asked_set *s, const char *path, size_t limit) {
    *s = (struct mt_asked_set){0};
    status code = rows_each(path, take_question, &(struct loading){s, limit});
    if (code == ST_OK && !s->count) code = FAIL(ST_FORMAT, "%s: no questions", path);
    if (code != ST_OK) mt_asked_release(s);
    return code;
}

/* ---- prompts ---- */

static void put_message(struct buf *out, const char *role, const char *text, size_t size) {
    buf_printf(out, "%s{\"role\": \"%s\", \"content\": ", out->size > 1 ? ", " : "", role);
    json_put_string(out, text, size);
    buf_append_char(out, '}');
}

status mt_answer_messages(struct buf *out, const struct mt_asking *how, const struct mt_asked *q, size_t turn) {
    struct buf messages = {0};
    buf_append_char(&messages, '[');
    for (size_t t = 0; t <= turn; t++) {
        put_message(&messages, "user", q->turns[t], strlen(q->turns[t]));
        if (t < turn) put_message(&messages, "assistant", buf_text(&q->answers[t]), q->answers[t].size);
    }
    buf_append_char(&messages, ']');
    const struct json array = {messages.data, messages.size};
    status s = ST_OK;
    if (how->style)
        s = goal_put_messages(out, how->style, array, &how->goal);
    else
        buf_append(out, array.text, array.size);
    buf_release(&messages);
    return s;
}

status mt_answer_prompt(struct buf *out, const struct mt_asking *how, const struct mt_asked *q, size_t turn) {
    struct buf asked = {0};
    if (!how->encoder->chat) return FAIL(ST_UNSUPPORTED, "%s", how->encoder->why_no_chat);
    status s = mt_answer_messages(&asked, how, q, turn);
    if (s == ST_OK)
        s = chat_render(how->encoder->chat, out, (struct json){buf_text(&asked), asked.size}, (struct json){0}, (struct json){0}, true);
    buf_release(&asked);
    return s;
}

/* ---- answers ---- */

struct answering {
    struct mt_asked_set *set;
    struct decoder *decoder;
    const struct mt_asking *how;
    double temperature;
    size_t turn, at, done;
    struct ids ids;
    struct buf text;
    struct progress bar;
};

static bool wanted(const struct answering *x, const struct mt_asked *q) {
    const double gap = q->temperature - x->temperature;
    return q->turns[x->turn] && gap < 1e-9 && gap > -1e-9;
}

static status next(void *context, struct decode_job *job, bool *end) {
    struct answering *x = context;
    while (x->at < x->set->count && !wanted(x, &x->set->items[x->at])) x->at++;
    *end = x->at == x->set->count;
    if (*end) return ST_OK;
    struct mt_asked *q = &x->set->items[x->at];
    const size_t length = x->decoder->options.length;
    buf_clear(&x->text);
    x->ids.count = 0;
    status s = mt_answer_prompt(&x->text, x->how, q, x->turn);
    if (s == ST_OK) s = tokenizer_encode(x->how->encoder->tokenizer, &x->ids, buf_text(&x->text), x->text.size, false);
    if (s == ST_OK && (!x->ids.count || x->ids.count >= length))
        s = FAIL(ST_UNSUPPORTED, "%zu tokens leave no room for an answer within %zu (--max-length)", x->ids.count, length);
    if (s != ST_OK) return status_note(s, "question %lld, turn %zu: ", (long long)q->id, x->turn + 1);
    *job = (struct decode_job){
        .prompt = x->ids.data, .prompt_count = x->ids.count, .max_new = x->how->max_tokens, .row = x->at++, .sample = x->turn, .user = q};
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct answering *x = context;
    return tokenizer_is_end(x->how->encoder->tokenizer, id);
}

static status finish(void *context, const struct decode_state *s) {
    struct answering *x = context;
    struct mt_asked *q = s->job->user;
    response_text(&q->answers[x->turn], x->how->encoder->tokenizer, s);
    progress_update(&x->bar, ++x->done, NULL);
    return ST_OK;
}

status mt_answer_turn(struct mt_asked_set *s, struct decoder *d, const struct mt_asking *how, double temperature, size_t turn) {
    struct answering x = {.set = s, .decoder = d, .how = how, .temperature = temperature, .turn = turn};
    uint64_t count = 0;
    for (size_t i = 0; i < s->count; i++) count += wanted(&x, &s->items[i]);
    if (!count) return ST_OK;
    progress_begin(&x.bar, "eval", "answers", count);
    const status code = decode_run(d, &(struct decode_calls){.context = &x, .next = next, .is_end = is_end, .finish = finish});
    progress_end(&x.bar, x.done, NULL);
    ids_release(&x.ids);
    buf_release(&x.text);
    return code;
}

void mt_answer_put(struct buf *out, const struct mt_asked_set *s, const char *model_id, double seconds) {
    for (size_t i = 0; i < s->count; i++) {
        const struct mt_asked *q = &s->items[i];
        char id[HASH_HEX_SIZE];
        hash_hex(id, buf_text(&q->answers[0]), q->answers[0].size);
        buf_printf(out, "{\"question_id\": %lld, \"answer_id\": \"%s\", \"model_id\": ", (long long)q->id, id);
        json_put_text(out, model_id);
        buf_append_text(out, ", \"choices\": [{\"index\": 0, \"turns\": [");
        for (size_t t = 0; t < MT_ANSWER_TURNS && q->turns[t]; t++) {
            if (t) buf_append_text(out, ", ");
            json_put_string(out, buf_text(&q->answers[t]), q->answers[t].size);
        }
        buf_printf(out, "]}], \"tstamp\": %.3f}\n", seconds);
    }
}
