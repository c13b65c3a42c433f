/* Fuzz target: any bytes as the body of a request to rapt serve: what a chat, a text or a score asks for. A refusal is an error of HTTP in
 * whole JSON; what is taken keeps to its bounds, and its answer is whole JSON too. The first byte says which of them, and of which model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/api.h"

#define CHOICES_MOST 16
#define LENGTH 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tokenizer of the tests, beside this file. */
static struct tokenizer *open_tokenizer(void) {
    struct tokenizer *t = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s", __FILE__);
    char *end = strrchr(path, '/');
    CHECK(end);
    snprintf(end, sizeof path - (size_t)(end - path), "/../golden/score_chat");
    CHECK(tokenizer_open(&t, path) == ST_OK);
    return t;
}

/* The base without a goal, one that takes a score, one of two attributes, and one without a chat template. */
static struct serve_engine *engine(void) {
    static const char template[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                                   "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    static struct goal_style styles[4];
    static struct serve_target targets[4];
    static struct serve_engine e = {.targets = targets, .target_count = 4};
    static const char *const names[] = {"base", "goals", "attributes", "plain"};
    static struct chat_template *chat;
    if (chat) return &e;
    struct tokenizer *t = open_tokenizer();
    CHECK(chat_compile(&chat, template, NULL, NULL) == ST_OK);
    for (size_t i = 0; i < 4; i++) {
        goal_style_default(&styles[i]);
        styles[i].placement = i == 3 ? GOAL_AFTER : GOAL_SYSTEM;
        targets[i] = (struct serve_target){.name = names[i], .tokenizer = t, .chat = i == 3 ? NULL : chat, .style = &styles[i]};
        targets[i].why_no_chat = "it has no chat template";
        targets[i].trained = i > 0;
        targets[i].vocab = (size_t)tokenizer_vocab_size(t);
        targets[i].decoder.options.length = LENGTH;
    }
    styles[1].best = goal_of_score(10);
    CHECK(goal_style_add(&styles[2], "helpful") == ST_OK && goal_style_add(&styles[2], "short") == ST_OK);
    for (size_t i = 0; i < 2; i++) styles[2].attributes[i].low = 1, styles[2].attributes[i].high = 10;
    goal_style_default_lines(&styles[2]);
    return &e;
}

static void check_json(const struct buf *text) {
    struct json root;
    CHECK(json_parse(&root, buf_text(text), text->size) == ST_OK && json_kind_of(root) == JSON_OBJECT);
}

static void check_error(const struct api_error *e) {
    struct buf out = {0};
    CHECK(e->code >= 400 && e->code < 600);
    api_put_error(&out, e);
    check_json(&out);
    buf_release(&out);
}

/* As if every choice had ended without a token. */
static void check_call(struct api_call *c) {
    struct api_error e = {0};
    struct buf out = {0};
    struct serve_request *r = &c->request;
    CHECK(c->prompt_count > 0 && r->choice_count == c->prompt_count * (size_t)c->n && r->choice_count <= CHOICES_MOST);
    for (size_t i = 0; i < r->choice_count; i++) {
        struct serve_choice *x = &r->choices[i];
        for (size_t j = 0; j < x->prompt_count; j++) CHECK(x->prompt[j] >= 0 && (size_t)x->prompt[j] < c->target->vocab);
        CHECK(x->max_new > 0);
        x->finish = SERVE_LENGTH;
        x->prompt_done = true;
    }
    r->over = r->choice_count;
    if (api_put_answer(&out, &e, c))
        check_json(&out);
    else
        check_error(&e);
    api_error_release(&e);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    struct api_error e = {0};
    const unsigned which = data[0] % 3;
    char *exact = malloc(size); /* exactly sized: a read past the end is seen */
    if (!exact) return 0;
    memcpy(exact, data + 1, size - 1);
    if (which == 2) {
        struct buf row = {0};
        if (api_read_score(&row, &e, exact, size - 1))
            check_json(&row);
        else
            check_error(&e);
        buf_release(&row);
    } else {
        struct api_call c;
        const struct api_limits limits = {.max_new = data[0] & 8 ? 64 : 0, .choices_max = CHOICES_MOST};
        if (api_read(&c, &e, which ? API_TEXT : API_CHAT, exact, size - 1, engine(), &limits))
            check_call(&c);
        else
            check_error(&e);
        api_release(&c);
    }
    api_error_release(&e);
    free(exact);
    return 0;
}
