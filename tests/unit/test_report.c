/* The report page: what a run folder holds is in it, hostile text cannot leave its script element, broken files are named. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/json.h"
#include "report/assets.h"
#include "report/report.h"

static char folder[] = "/tmp/rapt_report_XXXXXX";

static char *path_of(const char *name) { return file_join(folder, name); }

static void put(const char *name, const char *text) {
    char *path = path_of(name);
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    free(path);
}

static void drop(const char *name) {
    char *path = path_of(name);
    remove(path);
    free(path);
}

static status write_page(const char *title) {
    char *out = path_of("page.html");
    const struct report_input folders[] = {{folder, "paired"}};
    const struct report_options o = {.folders = folders, .folder_count = 1, .title = title, .output = out};
    status s = report_write(&o);
    free(out);
    return s;
}

/* The page's bytes and the JSON in it, parsed; text must outlive data. */
static void read_page(struct buf *text, struct json *data) {
    static const char open[] = "<script type=\"application/json\" id=\"data\">";
    char *path = path_of("page.html");
    assert_int_equal(file_read(text, path), ST_OK);
    free(path);
    const char *begin = strstr(text->data, open);
    assert_non_null(begin);
    begin += strlen(open);
    const char *end = strstr(begin, "</script>");
    assert_non_null(end);
    assert_int_equal(json_parse(data, begin, (size_t)(end - begin)), ST_OK);
}

static struct json item(struct json list, size_t index) {
    struct json_iter it = json_iter_begin(list);
    struct json key, value;
    while (json_iter_next(&it, &key, &value))
        if (index-- == 0) return value;
    return (struct json){0};
}

static void fails_with(const char *pattern) {
    drop("page.html");
    assert_int_not_equal(write_page(NULL), ST_OK);
    if (!strstr(status_message(), pattern)) fail_msg("no '%s' in: %s", pattern, status_message());
    char *out = path_of("page.html");
    assert_false(file_exists(out));
    free(out);
}

static const char metrics[] = "{\"eval_loss\": 0.7, \"step\": 0}\n"
                              "{\"loss\": 0.6875, \"rewards/margins\": null, \"grad_norm\": 2, \"step\": 1, \"num_tokens\": 50}\n"
                              "\n"
                              "{\"loss\": 0.5, \"rewards/margins\": 0.25, \"step\": 2, \"num_tokens\": 90}\n"
                              "{\"train_runtime\": 3}\n";
static const char evaluation[] =
    "{\"task\": \"goal-accuracy\", \"runs\": [{\"name\": \"x\", \"pairs\": 3, \"implicit\": {\"all\": {\"flip\": "
    "{\"value\": 0.875, \"low\": 0.5, \"high\": 1, \"n\": 3}, \"both\": null}}, \"raw\": null}], \"base\": null}";

static void a_run_is_on_the_page(void **state) {
    (void)state;
    struct buf text = {0};
    struct json data;
    put("metrics.jsonl", metrics);
    put("manifest.json", "{\"rapt_version\": \"9\", \"options\": {\"beta\": 0.1}}");
    put("goal-accuracy.json", evaluation);
    put("eval_results.json", "{\"not\": \"ours\"}");
    put("samples.jsonl",
        "{\"prompt\": \"p</script><script>alert(1)</script>\", \"goal\": 10, \"text\": \"<!-- <script> &amp; \\u2603\"}\n");
    put("samples-base.jsonl", "{\"prompt\": [5, 6], \"goal\": null, \"text\": \"\"}\n");
    assert_int_equal(write_page("A <b> & title"), ST_OK);
    drop("samples-base.jsonl");
    read_page(&text, &data);
    assert_non_null(strstr(text.data, "<title>A &lt;b&gt; &amp; title</title>"));
    assert_null(strstr(text.data, "<script>alert"));
    assert_null(strstr(text.data, "<!-- <script>"));
    assert_true(json_equals(json_get(data, "title"), "A <b> & title"));
    struct json run = item(json_get(data, "runs"), 0), m = json_get(run, "metrics"), train = json_get(m, "train");
    double v;
    int64_t n;
    assert_true(json_equals(json_get(run, "label"), "paired"));
    assert_true(json_double(&v, item(json_get(train, "loss"), 0)) && v == 0.6875);
    assert_int_equal(json_count(json_get(train, "step")), 2);
    assert_int_equal(json_kind_of(item(json_get(train, "rewards/margins"), 0)), JSON_NULL);
    assert_int_equal(json_kind_of(json_get(train, "entropy")), JSON_NONE);
    assert_int_equal(json_count(json_get(json_get(m, "eval"), "loss")), 1);
    assert_true(json_int(&n, json_get(json_get(m, "summary"), "num_tokens")) && n == 90);
    assert_true(json_equals(json_get(json_get(run, "manifest"), "rapt_version"), "9"));
    assert_int_equal(json_count(json_get(data, "evals")), 1);
    struct json eval = item(json_get(data, "evals"), 0);
    assert_true(json_equals(json_get(eval, "label"), "paired"));
    assert_true(json_equals(json_get(json_get(eval, "data"), "task"), "goal-accuracy"));
    struct json sample = item(json_get(data, "samples"), 1);
    assert_true(json_equals(json_get(item(json_get(data, "samples"), 0), "run"), "base"));
    assert_true(json_equals(json_get(sample, "prompt"), "p</script><script>alert(1)</script>"));
    assert_true(json_equals(json_get(sample, "text"), "<!-- <script> &amp; \xe2\x98\x83"));
    assert_true(json_equals(json_get(sample, "run"), "paired"));
    buf_release(&text);
}

static void long_logs_are_thinned(void **state) {
    (void)state;
    struct buf lines = {0}, text = {0};
    struct json data;
    for (int i = 1; i <= 5000; i++) buf_printf(&lines, "{\"loss\": %d, \"step\": %d}\n", i, i);
    put("metrics.jsonl", lines.data);
    assert_int_equal(write_page(NULL), ST_OK);
    read_page(&text, &data);
    struct json m = json_get(item(json_get(data, "runs"), 0), "metrics"), train = json_get(m, "train");
    int64_t stride, step;
    double loss;
    assert_true(json_int(&stride, json_get(m, "stride")));
    assert_int_equal(stride, 4);
    assert_int_equal(json_count(json_get(train, "step")), 1250);
    assert_true(json_int(&step, item(json_get(train, "step"), 1249)));
    assert_int_equal(step, 5000);
    assert_true(json_double(&loss, item(json_get(train, "loss"), 0)) && loss == 2.5); /* the mean of 1, 2, 3, 4 */
    assert_true(json_double(&loss, item(json_get(train, "loss"), 1249)) && loss == 4998.5);
    buf_release(&lines);
    buf_release(&text);
}

static void broken_files_are_named(void **state) {
    (void)state;
    put("metrics.jsonl", "{\"loss\": 1, \"step\": 1}\n{\"loss\": \"low\", \"step\": 2}\n");
    fails_with("metrics.jsonl:2: field 'loss': expected a finite number, found a string");
    put("metrics.jsonl", "{\"loss\": 1}\n");
    fails_with("metrics.jsonl:1: field 'step': expected a whole number from 0, found nothing");
    put("metrics.jsonl", "{\"loss\": 1, \"step\": 1}\n{\"loss\": 1, \"st");
    fails_with("metrics.jsonl:2: ");
    put("metrics.jsonl", "[1]\n");
    fails_with("metrics.jsonl:1: expected an object, found an array");
    put("metrics.jsonl", metrics);
    put("manifest.json", "{\"options\": 3}");
    fails_with("manifest.json: field 'options': expected an object, found a number");
    put("manifest.json", "{}");
    put("goal-accuracy.json", "{\"task\": \"goal-accuracy\", \"runs\": [{\"name\": \"x\", \"implicit\": {\"all\": {\"flip\": {\"value\": "
                              "1, \"low\": \"0\"}}}}]}");
    fails_with("goal-accuracy.json: field 'runs[0].implicit.all.flip.low': expected a finite number, found a string");
    put("goal-accuracy.json", "{\"task\": \"goal-accuracy\", \"runs\": {}}");
    fails_with("field 'runs': expected an array, found an object");
    put("goal-accuracy.json", evaluation);
    put("samples.jsonl", "{\"prompt\": [{\"content\": \"hi\"}], \"text\": \"a\"}\n");
    fails_with("samples.jsonl:1: field 'prompt[0].role': expected a string, found nothing");
    put("samples.jsonl", "{\"prompt\": [1, \"2\"], \"text\": \"a\"}\n");
    fails_with("samples.jsonl:1: field 'prompt[1]': expected a token id, found a string");
    put("samples.jsonl", "{\"prompt\": \"a\", \"text\": \"a\", \"goal\": \"10\"}\n");
    fails_with("samples.jsonl:1: field 'goal': expected a finite number, numbers by attribute, or null, found a string");
    drop("samples.jsonl");
    assert_int_equal(write_page(NULL), ST_OK);
}

static void an_empty_folder_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"metrics.jsonl", "manifest.json", "goal-accuracy.json", "samples.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) drop(names[i]);
    fails_with("holds none of metrics.jsonl");
}

static void the_page_loads_nothing(void **state) {
    (void)state;
    static const enum asset_name ours[] = {ASSET_HTML, ASSET_CSS, ASSET_JS};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        struct asset a = asset_get(ours[i]);
        char *text = mem_text_n(a.data, a.size);
        assert_null(strstr(text, "http://"));
        assert_null(strstr(text, "https://"));
        assert_null(strstr(text, "innerHTML"));
        assert_null(strstr(text, "src="));
        free(text);
    }
    assert_true(asset_get(ASSET_CHART).size > 100000);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_on_the_page),       cmocka_unit_test(long_logs_are_thinned),  cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(an_empty_folder_is_refused), cmocka_unit_test(the_page_loads_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
