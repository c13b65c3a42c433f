/* generate_form: the forms of rapt generate's output: our rows, and the answer files of benchmarks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cli/generate.h"

static status put_row(struct buf *b, struct generate_job *j, const struct generate_item *it) {
    const struct generate_options *o = j->o;
    buf_append_text(b, "{\"prompt\": ");
    buf_append(b, buf_text(&it->prompt), it->prompt.size);
    buf_append_text(b, ", \"goal\": ");
    generate_put_asked(b, j, it);
    if (o->heat_count > 1) {
        buf_append_text(b, ", \"temperature\": ");
        json_put_double(b, it->sampling->temperature);
    }
    buf_printf(b, ", \"sample\": %llu, \"text\": ", (unsigned long long)it->sample);
    json_put_string(b, buf_text(&it->text), it->text.size);
    if (it->tokens || !o->endpoint.endpoint)
        buf_printf(b, ", \"tokens\": %llu", (unsigned long long)it->tokens);
    else
        buf_append_text(b, ", \"tokens\": null");
    if (it->finish)
        buf_printf(b, ", \"finish\": \"%s\"", it->finish);
    else
        buf_append_text(b, ", \"finish\": null");
    if (o->token_ids) buf_printf(b, ", \"response_ids\": %s", buf_text(&it->ids));
    buf_printf(b, ", \"row\": %llu, \"model\": ", (unsigned long long)it->row);
    json_put_text(b, o->id ? o->id : o->endpoint.endpoint ? o->endpoint.model : o->model);
    if (o->adapter) {
        buf_append_text(b, ", \"adapter\": ");
        json_put_text(b, o->adapter);
    }
    buf_append_char(b, '}');
    return ST_OK;
}

/* The prompt as one text, as JSON: a string, or the only message, the user's. */
static status one_text(struct json *text, const struct generate_item *it) {
    struct json prompt = {buf_text(&it->prompt), it->prompt.size}, key, message;
    *text = prompt;
    if (json_kind_of(prompt) == JSON_STRING) return ST_OK;
    struct json_iter messages = json_iter_begin(prompt);
    if (json_count(prompt) != 1 || !json_iter_next(&messages, &key, &message) ||
        json_kind_of(json_get(message, "content")) != JSON_STRING || !json_equals(json_get(message, "role"), "user"))
        return FAIL(ST_FORMAT, "row %llu: this form has one text as its prompt, and the row a conversation or token ids",
                    (unsigned long long)it->row);
    *text = json_get(message, "content");
    return ST_OK;
}

static void put_member(struct buf *b, const char *name, const char *text) {
    buf_printf(b, "\"%s\": ", name);
    json_put_text(b, text);
    buf_append_text(b, ", ");
}

/* An identity that its content gives. */
static void put_hash(struct buf *b, const char *name, const struct generate_item *it) {
    char id[HASH_HEX_SIZE];
    hash_hex(id, buf_text(&it->text), it->text.size);
    put_member(b, name, id);
}

/* AlpacaEval's model_outputs.json. */
static status put_alpaca(struct buf *b, struct generate_job *j, const struct generate_item *it) {
    struct json text;
    TRY(one_text(&text, it));
    buf_append_char(b, '{');
    if (it->dataset) put_member(b, "dataset", it->dataset);
    buf_append_text(b, "\"instruction\": ");
    buf_append(b, text.text, text.size);
    buf_append_text(b, ", \"output\": ");
    json_put_string(b, buf_text(&it->text), it->text.size);
    buf_append_text(b, ", \"generator\": ");
    json_put_text(b, j->o->id);
    buf_append_char(b, '}');
    return ST_OK;
}

static status length_of(size_t *tokens, const struct tokenizer *t, const struct generate_item *it) {
    struct ids ids = {0};
    status s = tokenizer_encode(t, &ids, buf_text(&it->text), it->text.size, false);
    *tokens = ids.count;
    ids_release(&ids);
    return s;
}

static status put_metadata(struct buf *b, struct generate_job *j, const struct generate_item *it) {
    size_t counts[MARKDOWN_COUNTS], tokens;
    TRY(length_of(&tokens, j->lengths, it));
    TRY(markdown_count(counts, &j->markdown, buf_text(&it->text), it->text.size));
    buf_append_text(b, ", \"metadata\": {");
    markdown_put_metadata(b, counts, tokens);
    buf_append_char(b, '}');
    return ST_OK;
}

/* arena-hard-auto's model_answer (196f6b8, gen_answer.py); without a tokenizer for its lengths utils/add_markdown_info.py adds the
 * metadata. */
static status put_arena_v2(struct buf *b, struct generate_job *j, const struct generate_item *it) {
    struct json text;
    TRY(one_text(&text, it));
    buf_append_char(b, '{');
    put_member(b, "uid", it->id);
    put_hash(b, "ans_id", it);
    put_member(b, "model", j->o->id);
    buf_append_text(b, "\"messages\": [{\"role\": \"user\", \"content\": ");
    buf_append(b, text.text, text.size);
    buf_append_text(b, "}, {\"role\": \"assistant\", \"content\": {\"answer\": ");
    json_put_string(b, buf_text(&it->text), it->text.size);
    buf_printf(b, "}}], \"tstamp\": %.3f", j->seconds);
    if (j->lengths) TRY(put_metadata(b, j, it));
    buf_append_char(b, '}');
    return ST_OK;
}

/* The old form (4ce0f00, gen_answer.py); without a tokenizer for its lengths token_len counts the model's own tokens. */
static status put_arena_v01(struct buf *b, struct generate_job *j, const struct generate_item *it) {
    struct json text;
    size_t tokens = (size_t)it->tokens;
    TRY(one_text(&text, it));
    if (j->lengths) TRY(length_of(&tokens, j->lengths, it));
    buf_append_char(b, '{');
    put_member(b, "question_id", it->id);
    put_hash(b, "answer_id", it);
    put_member(b, "model_id", j->o->id);
    buf_append_text(b, "\"choices\": [{\"index\": 0, \"turns\": [{\"content\": ");
    json_put_string(b, buf_text(&it->text), it->text.size);
    buf_printf(b, ", \"token_len\": %zu}]}], \"tstamp\": %.3f}", tokens, j->seconds);
    return ST_OK;
}

const struct generate_form generate_forms[] = {
    {"rows", "our own, a JSON object a line", false, {NULL, NULL}, false, false, true, put_row},
    {"alpaca", "AlpacaEval's model_outputs.json; rows with instruction", true, {NULL, NULL}, true, false, false, put_alpaca},
    {"arena-hard-v0.1",
     "Arena-Hard v0.1's model_answer; rows with prompt and question_id or uid",
     true,
     {"question_id", "uid"},
     false,
     true,
     false,
     put_arena_v01},
    {"arena-hard-v2", "Arena-Hard v2's; rows with prompt and uid", true, {"uid", NULL}, false, true, false, put_arena_v2},
};
const size_t generate_form_count = sizeof generate_forms / sizeof generate_forms[0];

const struct generate_form *generate_form_find(const char *name) {
    for (size_t i = 0; i < generate_form_count; i++)
        if (strcmp(generate_forms[i].name, name) == 0) return &generate_forms[i];
    return NULL;
}
