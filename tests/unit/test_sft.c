#define _POSIX_C_SOURCE 200809L
/* Token ids and marks of SFT rows, against TRL's SFTTrainer and transformers' return_assistant_tokens_mask (tests/oracle/make_sft.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"
#include "row_folder.h"

static bool flag(struct json object, const char *name) {
    bool yes;
    assert_true(json_bool(&yes, json_get(object, name)));
    return yes;
}

/* The tokenizer's file, with the model's post-processor in place of its own where it has one. */
static void put_model(struct json model) {
    char *name = json_text(json_get(model, "tokenizer"));
    struct buf path = {0}, text = {0}, changed = {0};
    struct json root, post = json_get(model, "post"), config = json_get(model, "config");
    buf_printf(&path, "%s/golden/tokenizer/%s", TEST_SOURCE_DIR, name);
    assert_int_equal(file_read(&text, buf_text(&path)), ST_OK);
    while (text.size && text.data[text.size - 1] <= ' ') text.size--;
    assert_int_equal(json_parse(&root, text.data, text.size), ST_OK);
    struct json own = json_get(root, "post_processor");
    if (json_kind_of(post) == JSON_OBJECT) {
        assert_true(own.size);
        buf_append(&changed, text.data, (size_t)(own.text - text.data));
        buf_append(&changed, post.text, post.size);
        buf_append(&changed, own.text + own.size, text.size - (size_t)(own.text + own.size - text.data));
    } else {
        buf_append(&changed, text.data, text.size);
    }
    put(names[0], changed.data, changed.size);
    put(names[1], config.text, config.size);
    free(name);
    buf_release(&path);
    buf_release(&text);
    buf_release(&changed);
}

/* Is token i of the only row trained on? The first one never is: nothing predicts it. */
static bool trained(const struct loaded *d, size_t i, bool all) {
    const uint8_t *marks = loaded_marks(d, 0, 0);
    return marks ? marks[i] != 0 : all || (int32_t)i >= loaded_response(d, 0, 0)->prompt;
}

static void compare_row(const struct loaded *d, struct json want, bool all, const char *where) {
    const struct loaded_response *x = loaded_response(d, 0, 0);
    const int32_t *ids = loaded_sequence(d, 0, 0), count = x->prompt + x->count;
    struct json_iter id_at = json_iter_begin(json_get(want, "ids")), mask_at = json_iter_begin(json_get(want, "mask"));
    struct json key, value;
    int32_t scored = 0;
    if ((size_t)count != json_count(json_get(want, "ids")))
        fail_msg("%s: %d tokens, want %zu", where, count, json_count(json_get(want, "ids")));
    for (size_t i = 0; json_iter_next(&id_at, &key, &value); i++) {
        int64_t id, mask;
        assert_true(json_int(&id, value) && json_iter_next(&mask_at, &key, &value) && json_int(&mask, value));
        if (id != ids[i]) fail_msg("%s: token %zu is %d, want %lld", where, i, ids[i], (long long)id);
        if (i && trained(d, i, all) != (mask != 0)) fail_msg("%s: token %zu: want %lld", where, i, (long long)mask);
        scored += i && mask;
    }
    if (d->marks.size) assert_int_equal(x->scored, scored);
}

/* As train does it; ST_UNSUPPORTED where the template has no marks. */
static status load(struct loaded *d, struct encoder *e, struct json one, const char *path) {
    const bool assistants = flag(one, "assistant_only"), completions = flag(one, "completion_only");
    const struct loader_options o = {
        .max_length = number(one, "max_length"), .sft = true, .all_tokens = !completions, .completion_only = completions};
    assert_int_equal(encoder_open(e, folder), ST_OK);
    e->assistants = assistants;
    e->one_text = !completions;
    *d = (struct loaded){0};
    if (assistants && !chat_has_generation(e->chat)) return ST_UNSUPPORTED;
    return loaded_read(d, path, e, &o);
}

static void compare_case(struct json one, size_t case_at, struct json rows, size_t *counts) {
    struct json_iter it = json_iter_begin(json_get(one, "rows")), row_at = json_iter_begin(rows);
    struct json key, want, row;
    const bool all = !flag(one, "completion_only");
    char *path = file_join(folder, names[2]);
    for (size_t i = 0; json_iter_next(&it, &key, &want); i++) {
        char where[60];
        struct encoder e;
        struct loaded d;
        snprintf(where, sizeof where, "case %zu, row %zu", case_at, i);
        assert_true(json_iter_next(&row_at, &key, &row));
        /* a list of messages with the loss of completions: ours is of the last answer, TRL's of everything */
        if (!all && !flag(one, "assistant_only") && json_get(row, "messages").size) continue;
        put(names[2], row.text, row.size);
        status s = load(&d, &e, one, path);
        if (json_kind_of(want) == JSON_STRING) {
            if (s == ST_OK) fail_msg("%s: TRL refuses it", where);
            counts[0]++;
        } else if (s != ST_OK) {
            fail_msg("%s: %s", where, status_message());
        } else if (json_kind_of(want) == JSON_NULL) {
            if (d.count || d.dropped_long != 1) fail_msg("%s: %zu rows, want it dropped", where, d.count);
            counts[1]++;
        } else {
            if (d.count != 1) fail_msg("%s: dropped", where);
            compare_row(&d, want, all, where);
            counts[2]++;
        }
        loaded_release(&d);
        encoder_release(&e);
    }
    free(path);
}

static void agrees_with_trl(void **state) {
    (void)state;
    struct buf text = {0};
    struct json all, key, value;
    size_t cases = 0, counts[3] = {0};
    assert_int_equal(file_read(&text, TEST_SOURCE_DIR "/golden/sft/cases.json"), ST_OK);
    while (text.size && text.data[text.size - 1] <= ' ') text.size--;
    assert_int_equal(json_parse(&all, text.data, text.size), ST_OK);
    struct json_iter it = json_iter_begin(json_get(all, "cases"));
    while (json_iter_next(&it, &key, &value)) {
        put_model(item(json_get(all, "models"), number(value, "model")));
        compare_case(value, cases++, json_get(all, "rows"), counts);
    }
    assert_true(cases >= 60 && counts[0] > 50 && counts[1] > 20 && counts[2] > 300);
    buf_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_trl)};
    return cmocka_run_group_tests(tests, begin, end);
}
