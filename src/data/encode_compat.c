/* encode_compat: a record -> token ids as older TRL versions made them. */
#include <string.h>

#include "data/encode_parts.h"

static status encode_plain(struct ids *out, const struct encoder *e, const char *text, size_t size) {
    return tokenizer_encode(e->tokenizer, out, text, size, false);
}

/* The texts of the row before they become tokens: the prompt's, and prompt + completion of both sides. */
struct texts {
    struct buf prompt, whole[2];
};

static status read_texts(struct texts *t, struct encoder *e, const struct record *r, bool generation) {
    const struct buf *completion[2] = {&r->chosen, &r->rejected};
    if (!r->conversational) {
        buf_append(&t->prompt, buf_text(&r->prompt), r->prompt.size);
        for (int i = 0; i < 2; i++) {
            buf_append(&t->whole[i], buf_text(&r->prompt), r->prompt.size);
            buf_append(&t->whole[i], buf_text(completion[i]), completion[i]->size);
        }
        return ST_OK;
    }
    TRY(encode_render(e, r, &r->prompt, generation));
    buf_append(&t->prompt, buf_text(&e->text), e->text.size);
    for (int i = 0; i < 2; i++) {
        encode_join_messages(&e->messages, &r->prompt, completion[i]);
        TRY(encode_render(e, r, &e->messages, false));
        buf_append(&t->whole[i], buf_text(&e->text), e->text.size);
    }
    return ST_OK;
}

static size_t common_prefix(const struct buf *a, const struct buf *b) {
    size_t n = 0;
    while (n < a->size && n < b->size && a->data[n] == b->data[n]) n++;
    while (n && n < a->size && ((unsigned char)a->data[n] & 0xc0) == 0x80) n--; /* between characters */
    return n;
}

/* TRL 0.24 (trainer/dpo_trainer.py tokenize_row; data_utils.py apply_chat_template): prompt and responses are tokenised apart, without
 * special tokens, and every response ends with EOS, also where the template has written it already. A prompt that is no prefix of the
 * conversation is cut to what they share, first with the chosen one, then with the rejected one; the chosen response is what lies behind
 * the first. */
static status encode_024(struct encoded *x, struct encoder *e, const struct texts *t) {
    struct ids *out[2] = {&x->chosen, &x->rejected};
    struct buf prompt = {0};
    buf_append(&prompt, buf_text(&t->prompt), t->prompt.size);
    status s = ST_OK;
    for (int i = 0; i < 2 && s == ST_OK; i++) {
        const size_t at = common_prefix(&prompt, &t->whole[i]);
        x->prefix_mismatch = x->prefix_mismatch || at < prompt.size;
        prompt.size = at;
        s = encode_plain(out[i], e, buf_text(&t->whole[i]) + at, t->whole[i].size - at);
        ids_push(out[i], tokenizer_eos(e->tokenizer));
    }
    if (s == ST_OK) s = encode_plain(&x->prompt, e, buf_text(&prompt), prompt.size);
    buf_release(&prompt);
    return s;
}

/* TRL 0.8.2 build_tokenized_answer: prompt + answer are tokenised together; where the prompt's last token has merged with the answer's
 * first it goes to the answer. */
static status encode_answer(struct ids *prompt, struct ids *answer, struct encoder *e, const struct buf *text, const struct ids *alone) {
    e->joined.count = 0;
    TRY(encode_plain(&e->joined, e, buf_text(text), text->size));
    size_t n = alone->count;
    if (e->joined.count < n || memcmp(e->joined.data ? e->joined.data : (const int32_t[]){0},
                                      alone->data ? alone->data : (const int32_t[]){0}, n * sizeof(int32_t)) != 0) {
        if (n) n--;
    }
    if (n > e->joined.count)
        return FAIL(ST_FORMAT, "the prompt alone has more tokens than prompt and response; TRL 0.8.2 refuses such a row");
    const int32_t bos = tokenizer_bos(e->tokenizer);
    if (bos >= 0) ids_push(prompt, bos);
    ids_append(prompt, e->joined.data, n);
    ids_append(answer, e->joined.data + n, e->joined.count - n);
    ids_push(answer, tokenizer_eos(e->tokenizer));
    return ST_OK;
}

static status check_prompts(const struct encoded *x) {
    const struct ids *a = &x->prompt, *b = &x->rejected_prompt;
    size_t differ = a->count > b->count ? a->count - b->count : b->count - a->count, tokens = 0;
    for (size_t i = 0; i < a->count && i < b->count; i++) tokens += a->data[i] != b->data[i];
    if (differ <= 1 && tokens <= 1) return ST_OK;
    return FAIL(ST_FORMAT,
                "the prompt's tokens before chosen and before rejected differ in more than the last; TRL 0.8.2 refuses such a row");
}

/* The paper's data.py takes the rendered prompt out of the rendered conversation; where it does not stand at its beginning, the whole
 * conversation would become the response, which is not reproduced. */
static status encode_paper(struct encoded *x, struct encoder *e, const struct texts *t) {
    struct ids alone = {0};
    status s = encode_plain(&alone, e, buf_text(&t->prompt), t->prompt.size);
    for (int i = 0; i < 2 && s == ST_OK; i++) {
        if (t->whole[i].size < t->prompt.size || memcmp(buf_text(&t->whole[i]), buf_text(&t->prompt), t->prompt.size) != 0)
            s = FAIL(
                ST_FORMAT,
                "the chat template renders the prompt differently alone and before its answer, so that --compat paper cannot take it off");
        if (s == ST_OK) s = encode_answer(i ? &x->rejected_prompt : &x->prompt, i ? &x->rejected : &x->chosen, e, &t->whole[i], &alone);
    }
    ids_release(&alone);
    return s == ST_OK ? check_prompts(x) : s;
}

status encode_compat(struct encoded *x, struct encoder *e, const struct record *r) {
    struct texts t = {0};
    const bool paper = e->compat == FIT_PAPER;
    if (tokenizer_eos(e->tokenizer) < 0)
        return FAIL(ST_UNSUPPORTED, "the tokenizer has no end-of-text token, which --compat appends to every response");
    status s = read_texts(&t, e, r, !paper);
    if (s == ST_OK) s = (paper ? encode_paper : encode_024)(x, e, &t);
    buf_release(&t.prompt);
    buf_release(&t.whole[0]);
    buf_release(&t.whole[1]);
    return s;
}
