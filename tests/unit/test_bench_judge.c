/* What benchmarks' judges are asked and how their answers are read, against the benchmarks' own programs (tests/oracle/eval_judge_*.py):
 * each request is one that they made too, each answer that they got gives what they made of it. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "eval/bench_judge.h"
#include "format/rows.h"
#include "text/markdown.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/bench_judge/"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

/* ---- what the benchmark's program asked, and what it was told ---- */

struct asked {
    char **lines; /* {"request": .., "answer": ..} */
    size_t count;
};

static status keep_line(void *context, struct json row) {
    struct asked *x = context;
    x->lines = mem_resize(x->lines, (x->count + 1) * sizeof *x->lines);
    x->lines[x->count++] = mem_text_n(row.text, row.size);
    return ST_OK;
}

static void asked_release(struct asked *x) {
    for (size_t i = 0; i < x->count; i++) free(x->lines[i]);
    free(x->lines);
}

static bool same_text(struct json a, struct json b) {
    char *text = json_text(a);
    const bool same = text && json_equals(b, text);
    free(text);
    return same;
}

static bool same_messages(struct json a, struct json b) {
    struct json_iter x = json_iter_begin(a), y = json_iter_begin(b);
    struct json key, m, n;
    if (json_count(a) != json_count(b)) return false;
    while (json_iter_next(&x, &key, &m) && json_iter_next(&y, &key, &n))
        if (!same_text(json_get(m, "role"), json_get(n, "role")) || !same_text(json_get(m, "content"), json_get(n, "content")))
            return false;
    return true;
}

static double number(struct json object, const char *name) {
    double x = (double)NAN;
    json_double(&x, json_get(object, name));
    return x;
}

/* Asks one question as often as the protocol says; every request is one of theirs, with their settings. */
static void ask_theirs(struct bench *b, struct bench_question *q, const struct asked *theirs) {
    const struct remote_options remote = {.model = "judge", .max_tokens = b->protocol->max_tokens};
    static const char *const settings[] = {"temperature", "max_tokens", "top_logprobs", "top_p"};
    struct remote_answer a = {0};
    for (q->remote.tries = 0; q->remote.tries < b->protocol->tries; q->remote.tries++) {
        struct buf body = {0};
        struct json mine, root = {0}, request = {0};
        bench_put_request(&body, b, q, &remote);
        ok(json_parse(&mine, buf_text(&body), body.size));
        size_t i = 0;
        for (; i < theirs->count; i++) {
            ok(json_parse(&root, theirs->lines[i], strlen(theirs->lines[i])));
            request = json_get(root, "request");
            if (same_messages(json_get(mine, "messages"), json_get(request, "messages"))) break;
        }
        if (i == theirs->count) fail_msg("they never asked: %.3000s", buf_text(&body));
        for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
            const double x = number(mine, settings[k]), y = number(request, settings[k]);
            if (!isnan(y) && x != y) fail_msg("%s: %g, theirs is %g", settings[k], x, y);
        }
        buf_release(&body);
        ok(remote_answer_parse(&a, json_get(root, "answer")));
        const status s = b->protocol->read(q, &a);
        if (s == ST_OK) break;
        assert_int_equal(s, ST_FORMAT);
    }
    buf_release(&a.text);
}

/* All questions asked, the file written and read again: its rows. */
static void judge_as_they(struct asked *rows, const char *name, struct bench_options *o, const char *asked_file) {
    struct bench b;
    struct asked theirs = {0};
    struct buf out = {0};
    o->judge = "judge";
    ok(rows_each(asked_file, keep_line, &theirs));
    ok(bench_open(&b, bench_protocol_find(name), o));
    for (size_t i = 0; i < b.count; i++) ask_theirs(&b, &b.questions[i], &theirs);
    b.protocol->write(&out, &b);
    char path[] = "/tmp/rapt_bench_XXXXXX";
    const int f = mkstemp(path);
    assert_true(f >= 0);
    ok(file_write(path, out.data, out.size));
    ok(rows_each(path, keep_line, rows));
    remove(path);
    close(f);
    buf_release(&out);
    bench_release(&b);
    asked_release(&theirs);
}

/* Texts, and numbers within 1e-12; of objects the members that theirs has. */
static bool same_value(struct json mine, struct json theirs) {
    struct json_iter x = json_iter_begin(mine), y = json_iter_begin(theirs);
    struct json key, m, n;
    double p, q;
    bool same = true;
    if (json_kind_of(mine) != json_kind_of(theirs)) return false;
    switch (json_kind_of(theirs)) {
    case JSON_STRING: return same_text(mine, theirs);
    case JSON_NUMBER: return json_double(&p, mine) && json_double(&q, theirs) && fabs(p - q) <= 1e-12;
    case JSON_ARRAY:
        if (json_count(mine) != json_count(theirs)) return false;
        while (same && json_iter_next(&x, &key, &m) && json_iter_next(&y, &key, &n)) same = same_value(m, n);
        return same;
    case JSON_OBJECT:
        while (same && json_iter_next(&y, &key, &n)) {
            char *name = json_text(key);
            same = same_value(json_get(mine, name), n);
            free(name);
        }
        return same;
    default: return mine.size == theirs.size && memcmp(mine.text, theirs.text, mine.size) == 0;
    }
}

static void same_rows(const struct asked *mine, const char *file) {
    struct asked theirs = {0};
    ok(rows_each(file, keep_line, &theirs));
    assert_int_equal(mine->count, theirs.count);
    for (size_t i = 0; i < theirs.count; i++) {
        struct json a, b;
        ok(json_parse(&a, mine->lines[i], strlen(mine->lines[i])));
        ok(json_parse(&b, theirs.lines[i], strlen(theirs.lines[i])));
        if (!same_value(a, b)) fail_msg("%s, row %zu:\n%s\nours is\n%s", file, i, theirs.lines[i], mine->lines[i]);
    }
    asked_release(&theirs);
}

static void asks_and_reads_as_theirs(void **state) {
    (void)state;
    const struct {
        const char *name, *asked, *expected;
        struct bench_options o;
    } cases[] = {{"alpaca",
                  GOLDEN "alpaca_asked.jsonl",
                  GOLDEN "alpaca_expected.json",
                  {.answers = GOLDEN "alpaca_own.json", .baselines = {GOLDEN "alpaca_base.json"}, .baseline_count = 1}},
                 {"mt-bench",
                  GOLDEN "mt_single_asked.jsonl",
                  GOLDEN "mt_single_expected.jsonl",
                  {.answers = GOLDEN "mt_own.jsonl",
                   .questions = GOLDEN "mt_question.jsonl",
                   .references = GOLDEN "mt_reference.jsonl",
                   .seconds = 1.5}},
                 {"mt-bench-pair",
                  GOLDEN "mt_pair_asked.jsonl",
                  GOLDEN "mt_pair_expected.jsonl",
                  {.answers = GOLDEN "mt_own.jsonl",
                   .questions = GOLDEN "mt_question.jsonl",
                   .references = GOLDEN "mt_reference.jsonl",
                   .baselines = {GOLDEN "mt_base.jsonl"},
                   .baseline_count = 1,
                   .seconds = 1.5}},
                 {"arena-hard-v0.1",
                  GOLDEN "arena_v01_asked.jsonl",
                  GOLDEN "arena_v01_expected.jsonl",
                  {.answers = GOLDEN "arena_v01_own.jsonl",
                   .questions = GOLDEN "arena_v01_question.jsonl",
                   .baselines = {GOLDEN "arena_v01_base.jsonl"},
                   .baseline_count = 1}},
                 {"arena-hard-v2",
                  GOLDEN "arena_v2_asked.jsonl",
                  GOLDEN "arena_v2_expected.jsonl",
                  {.answers = GOLDEN "arena_v2_own.jsonl",
                   .questions = GOLDEN "arena_v2_question.jsonl",
                   .baselines = {GOLDEN "arena_v2_base.jsonl", GOLDEN "arena_v2_base_creative.jsonl"},
                   .baseline_count = 2}}};
    assert_int_equal(sizeof cases / sizeof cases[0], bench_protocol_count); /* a new row needs its golden */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked rows = {0};
        struct bench_options o = cases[i].o;
        judge_as_they(&rows, cases[i].name, &o, cases[i].asked);
        same_rows(&rows, cases[i].expected);
        asked_release(&rows);
    }
}

/* Headers, lists and bold marks as Arena-Hard's own function counts them. */
static void markdown_is_counted_as_theirs(void **state) {
    (void)state;
    struct markdown m;
    struct buf file = {0}, text = {0}, mine = {0};
    struct json root, key, pair;
    size_t n = 0;
    ok(markdown_init(&m));
    ok(file_read(&file, GOLDEN "markdown.json"));
    while (file.data[file.size - 1] == '\n') file.size--;
    ok(json_parse(&root, file.data, file.size));
    for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &pair); n++) {
        struct json_iter parts = json_iter_begin(pair);
        struct json theirs = {0}, source = {0}, ours;
        size_t counts[MARKDOWN_COUNTS];
        assert_true(json_iter_next(&parts, &key, &source) && json_iter_next(&parts, &key, &theirs));
        buf_clear(&text);
        buf_clear(&mine);
        assert_true(json_string(&text, source));
        ok(markdown_count(counts, &m, buf_text(&text), text.size));
        buf_append_char(&mine, '{');
        markdown_put_metadata(&mine, counts, 7);
        buf_append_char(&mine, '}');
        ok(json_parse(&ours, mine.data, mine.size));
        if (!same_value(ours, theirs))
            fail_msg("%.*s: %s, theirs %.*s", (int)source.size, source.text, buf_text(&mine), (int)theirs.size, theirs.text);
    }
    assert_true(n >= 50);
    markdown_release(&m);
    buf_release(&file);
    buf_release(&text);
    buf_release(&mine);
}

/* Rows of an annotations.json say the index of their instruction where some have no output, and only there. */
static void gaps_are_told(void **state) {
    (void)state;
    char path[] = "/tmp/rapt_bench_XXXXXX";
    struct buf text = {0}, part = {0}, out = {0};
    struct json root, key, row;
    struct bench b;
    struct bench_options o = {.answers = path, .baselines = {GOLDEN "alpaca_base.json"}, .baseline_count = 1, .judge = "j"};
    close(mkstemp(path));
    ok(file_read(&text, GOLDEN "alpaca_own.json"));
    ok(json_parse(&root, buf_text(&text), text.size));
    const size_t all = json_count(root);
    struct json_iter it = json_iter_begin(root);
    buf_append_char(&part, '[');
    for (size_t i = 0; json_iter_next(&it, &key, &row); i++) {
        if (i == 1) continue;
        buf_append_text(&part, i ? ", " : "");
        buf_append(&part, row.text, row.size);
    }
    buf_append_char(&part, ']');
    for (int gap = 0; gap < 2; gap++) {
        const struct buf *own = gap ? &part : &text;
        ok(file_write(path, own->data, own->size));
        ok(bench_open(&b, bench_protocol_find("alpaca"), &o));
        assert_int_equal(b.missing, gap);
        buf_clear(&out);
        b.protocol->write(&out, &b);
        ok(json_parse(&root, buf_text(&out), out.size - 1));
        assert_int_equal(json_count(root), all - (size_t)gap);
        it = json_iter_begin(root);
        int64_t index = -1, last = -1;
        for (size_t i = 0; json_iter_next(&it, &key, &row); i++, last = index) {
            assert_true(json_int(&index, json_get(row, "index")) == (gap == 1));
            assert_true(!gap || (index > last && (size_t)index < all));
        }
        assert_true(!gap || (size_t)index == all - 1);
        bench_release(&b);
    }
    remove(path);
    buf_release(&text);
    buf_release(&part);
    buf_release(&out);
}

static void files_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *own, *message;
    } cases[] = {{"[{\"instruction\": \"x\", \"output\": \"y\"}]", "field generator"},
                 {"[{\"instruction\": 7}]", "field instruction"},
                 {"[3]", "expected an object"},
                 {"[]", "no answers"},
                 {"[{\"instruction\": \"x\", \"output\": \"y\", \"generator\": \"z\"}]", "none of its instructions"},
                 {"[{\"instruction\": \"Do number 1.\", \"output\": \"y\", \"generator\": \"z\"}, {\"instruction\": \"x\", \"output\": "
                  "\"y\", \"generator\": \"z\"}]",
                  "1 of its instructions are none of"},
                 {"[{\"instruction\": \"Do number 1.\", \"output\": \"y\", \"generator\": \"z\"}, {\"instruction\": \"Do number 2.\", "
                  "\"output\": \"y\", \"generator\": \"a\"}]",
                  "one file a model"}};
    char path[] = "/tmp/rapt_bench_XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        const struct bench_options o = {.answers = path, .baselines = {GOLDEN "alpaca_base.json"}, .baseline_count = 1};
        ok(file_write(path, cases[i].own, strlen(cases[i].own)));
        assert_true(bench_open(&b, bench_protocol_find("alpaca"), &o) != ST_OK);
        if (!strstr(status_message(), cases[i].message)) fail_msg("'%s', expected '%s'", status_message(), cases[i].message);
    }
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_reads_as_theirs),
        cmocka_unit_test(markdown_is_counted_as_theirs),
        cmocka_unit_test(gaps_are_told),
        cmocka_unit_test(files_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
