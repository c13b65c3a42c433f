#include "data/encode_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/goal.h"
#include "text/token_spans.h"

status encoder_open(struct encoder *e, const char *model_path) {
    *e = (struct encoder){0};
    TRY(tokenizer_open(&e->tokenizer, model_path));
    const char *source = tokenizer_chat_template(e->tokenizer);
    if (!source) {
        e->why_no_chat = mem_text("the tokenizer has no chat template (a folder has it in chat_template.jinja; rapt export --chat-template "
                                  "alpaca writes the model with one)");
        return ST_OK;
    }
    if (chat_compile(&e->chat, source, tokenizer_bos_text(e->tokenizer), tokenizer_eos_text(e->tokenizer)) != ST_OK)
        e->why_no_chat = mem_text(status_message());
    return ST_OK;
}

void encoder_release(struct encoder *e) {
    tokenizer_free(e->tokenizer);
    chat_free(e->chat);
    free(e->why_no_chat);
    buf_release(&e->text);
    buf_release(&e->messages);
    buf_release(&e->spans);
    ids_release(&e->joined);
    *e = (struct encoder){0};
}

status encoder_padding(int64_t *pad, const struct encoder *e, const char *model) {
    if (!e->tokenizer) return FAIL(ST_UNSUPPORTED, "%s has no tokenizer", model);
    *pad = tokenizer_pad(e->tokenizer);
    if (*pad < 0) *pad = tokenizer_eos(e->tokenizer);
    return ST_OK;
}

status encoder_save(const struct encoder *e, const char *folder) { return e->tokenizer ? tokenizer_save(e->tokenizer, folder) : ST_OK; }

void encoded_release(struct encoded *x) {
    ids_release(&x->prompt);
    ids_release(&x->chosen);
    ids_release(&x->rejected);
    ids_release(&x->rejected_prompt);
    buf_release(&x->marks);
}

status encode_json_ids(struct ids *out, const struct encoder *e, struct json array, const char *field) {
    const int32_t vocab = e->tokenizer ? tokenizer_vocab_size(e->tokenizer) : 0;
    struct json key, v;
    int64_t id;
    if (json_kind_of(array) != JSON_ARRAY)
        return FAIL(ST_FORMAT, "field '%s': expected an array of token ids, found %s", field, json_kind_name(json_kind_of(array)));
    struct json_iter it = json_iter_begin(array);
    while (json_iter_next(&it, &key, &v)) {
        if (!json_int(&id, v) || id < 0 || id > INT32_MAX || (vocab && id >= vocab))
            return FAIL(ST_FORMAT, "field '%s': '%.*s' is no token id of this model", field, (int)v.size, v.text);
        ids_push(out, (int32_t)id);
    }
    return ST_OK;
}

static status encode_ids(struct encoded *out, struct encoder *e, const struct record *r) {
    TRY(encode_json_ids(e->whole ? &out->chosen : &out->prompt, e, r->prompt_ids, "prompt_ids"));
    TRY(encode_json_ids(&out->chosen, e, r->chosen_ids, "chosen_ids"));
    if (e->whole && r->kind == RECORD_PAIR) TRY(encode_json_ids(&out->rejected, e, r->prompt_ids, "prompt_ids"));
    if (r->kind == RECORD_PAIR) TRY(encode_json_ids(&out->rejected, e, r->rejected_ids, "rejected_ids"));
    return ST_OK;
}

static status need_tokenizer(const struct encoder *e) {
    return e->tokenizer ? ST_OK : FAIL(ST_USAGE, "the row holds text, and no tokenizer is open for it");
}

void encode_join_messages(struct buf *out, const struct buf *head, const struct buf *tail) {
    buf_clear(out);
    struct json a = {buf_text(head), head->size}, b = {buf_text(tail), tail->size};
    bool both = json_count(a) && json_count(b);
    buf_append(out, a.text, a.size - 1);
    if (both) buf_append_char(out, ',');
    buf_append(out, b.text + 1, b.size - 1);
}

status encode_render(struct encoder *e, const struct record *r, const struct buf *messages, bool generation) {
    if (!e->chat) return FAIL(ST_UNSUPPORTED, "the row is a conversation, but %s", e->why_no_chat);
    buf_clear(&e->text);
    struct json array = {buf_text(messages), messages->size};
    buf_clear(&e->spans);
    const bool marked = e->assistants && !generation;
    status s = marked ? chat_render_assistant(e->chat, &e->text, &e->spans, array, r->tools, r->chat_template_kwargs)
                      : chat_render(e->chat, &e->text, array, r->tools, r->chat_template_kwargs, generation);
    return s == ST_OK ? s : status_note(s, "chat template: ");
}

/* What of the joined encoding is not the prompt's goes to out. */
static void take_completion(struct ids *out, struct encoded *x, const struct ids *joined) {
    size_t n = 0;
    while (n < x->prompt.count && n < joined->count && x->prompt.data[n] == joined->data[n]) n++;
    if (n < x->prompt.count) x->prefix_mismatch = true;
    x->common = n;
    if (joined->count > n) ids_append(out, joined->data + n, joined->count - n);
}

/* The prompt's tokens [from, to) in front of a completion. */
static void give_back(struct ids *completion, const struct ids *prompt, size_t from, size_t to) {
    const size_t n = to - from, old = completion->count;
    if (!n) return;
    ids_append(completion, prompt->data + from, n); /* makes room */
    memmove(completion->data + n, completion->data, old * sizeof *completion->data);
    memcpy(completion->data, prompt->data + from, n * sizeof *completion->data);
}

/* The marks of the tokens in e->joined, which are those of e->text. */
static status put_marks(struct encoded *x, const struct encoder *e) {
    const size_t n = e->joined.count;
    buf_clear(&x->marks);
    TRY(buf_reserve(&x->marks, n + 1));
    TRY(tokenizer_mark_spans((uint8_t *)x->marks.data, e->tokenizer, e->joined.data, n, buf_text(&e->text), e->text.size,
                             (const struct text_span *)(const void *)e->spans.data, e->spans.size / sizeof(struct text_span)));
    x->marks.size = n;
    return n && memchr(x->marks.data, 1, n)
               ? ST_OK
               : FAIL(ST_FORMAT, "--assistant-only-loss: the chat template marks nothing of the row as the assistant's");
}

static status encode_conversation(struct ids *out, struct encoded *x, struct encoder *e, const struct record *r,
                                  const struct buf *completion) {
    if (r->kind == RECORD_PROMPT) {
        TRY(encode_render(e, r, &r->prompt, false)); /* one text that ends with another turn */
    } else {
        encode_join_messages(&e->messages, &r->prompt, completion);
        TRY(encode_render(e, r, &e->messages, false));
    }
    e->joined.count = 0;
    TRY(tokenizer_encode(e->tokenizer, &e->joined, buf_text(&e->text), e->text.size, false));
    take_completion(out, x, &e->joined);
    if (e->assistants) return put_marks(x, e);
    return ST_OK;
}

/* Plain text: prompt + completion + EOS text unless it is there already, tokenised together. */
static status encode_text(struct ids *out, struct encoded *x, struct encoder *e, const struct record *r, const struct buf *completion) {
    const char *eos = tokenizer_eos_text(e->tokenizer);
    size_t n = eos ? strlen(eos) : 0;
    buf_clear(&e->text);
    buf_append(&e->text, buf_text(&r->prompt), r->prompt.size);
    buf_append(&e->text, buf_text(completion), completion->size);
    bool has = completion->size >= n && memcmp(buf_text(completion) + completion->size - n, eos ? eos : "", n) == 0;
    if (n && !has) buf_append(&e->text, eos, n);
    e->joined.count = 0;
    TRY(tokenizer_encode(e->tokenizer, &e->joined, buf_text(&e->text), e->text.size, true));
    take_completion(out, x, &e->joined);
    return ST_OK;
}

status encode_prompt(struct ids *out, struct encoder *e, const struct record *r) {
    if (json_kind_of(r->prompt_ids) != JSON_NONE) return encode_json_ids(out, e, r->prompt_ids, "prompt_ids");
    TRY(need_tokenizer(e));
    if (!r->conversational) return tokenizer_encode(e->tokenizer, out, buf_text(&r->prompt), r->prompt.size, true);
    TRY(encode_render(e, r, &r->prompt, true));
    return tokenizer_encode(e->tokenizer, out, buf_text(&e->text), e->text.size, false);
}

status encode_completion(struct ids *out, struct encoded *x, struct encoder *e, const struct record *r, const struct buf *completion) {
    return r->conversational ? encode_conversation(out, x, e, r, completion) : encode_text(out, x, e, r, completion);
}

/* A row of text has no prompt. Its first token is what the others are predicted from, as in TRL's shifted labels: the beginning-of-text
 * token, which is in the prompt's ids already, or else the text's own first. */
static void first_to_prompt(struct encoded *x) {
    if (!x->chosen.count) return;
    ids_push(&x->prompt, x->chosen.data[0]);
    memmove(x->chosen.data, x->chosen.data + 1, --x->chosen.count * sizeof *x->chosen.data);
}

bool encode_is_one_text(const struct encoder *e, const struct record *r) {
    return (e->one_text || e->assistants) && r->one_list && (r->kind == RECORD_SFT || r->kind == RECORD_PROMPT);
}

status encode_record(struct encoded *out, struct encoder *e, const struct record *r) {
    out->prompt.count = out->chosen.count = out->rejected.count = out->rejected_prompt.count = 0;
    out->prefix_mismatch = false;
    buf_clear(&out->marks);
    const bool one_text = encode_is_one_text(e, r);
    if (r->kind != RECORD_PAIR && r->kind != RECORD_SFT && !one_text)
        return FAIL(ST_FORMAT, "expected a pair (prompt, chosen, rejected) or an SFT row (messages, or prompt and completion); K-response "
                               "rows go through rapt pair or rapt augment first");
    if (e->assistants && !r->conversational)
        return FAIL(ST_FORMAT, "--assistant-only-loss: the row is no conversation, so no chat template marks what the assistant wrote");
    if (json_kind_of(r->prompt_ids) != JSON_NONE && json_kind_of(r->chosen_ids) != JSON_NONE) return encode_ids(out, e, r);
    if (r->conversational && record_has_goal(r) && e->tokenizer && goal_is_baked(tokenizer_chat_template(e->tokenizer)))
        return FAIL(ST_MISMATCH,
                    "field goal: the row's prompt asks for a goal, and so does the model's chat template (export --bake-goal)");
    if (e->compat != FIT_TRL_1) {
        if (r->kind != RECORD_PAIR) return FAIL(ST_FORMAT, "expected a pair (prompt, chosen, rejected)");
        TRY(need_tokenizer(e));
        return encode_compat(out, e, r);
    }
    if (e->whole || one_text)
        TRY(need_tokenizer(e));
    else
        TRY(encode_prompt(&out->prompt, e, r));
    TRY(encode_completion(&out->chosen, out, e, r, &r->chosen));
    if (r->kind == RECORD_PAIR) {
        const size_t chosen = out->common;
        TRY(encode_completion(&out->rejected, out, e, r, &r->rejected));
        const size_t rejected = out->common, both = chosen < rejected ? chosen : rejected;
        give_back(&out->chosen, &out->prompt, both, chosen);
        give_back(&out->rejected, &out->prompt, both, rejected);
        out->common = both;
    }
    out->prompt.count = out->common;
    if (one_text || (r->kind == RECORD_SFT && !e->whole && !r->prompt.size && !out->prompt.count)) first_to_prompt(out);
    return ST_OK;
}
