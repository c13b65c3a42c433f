/* Multiple choice beside lm-evaluation-harness: tests/golden/harness holds made questions, and what lm-eval 0.4.13 says of them with the
 * chat model of golden/score_chat (tests/oracle/eval_harness.py). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval/mc_run.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

static struct json read_json(struct buf *text, const char *path) {
    struct json root;
    ok(file_read(text, path));
    while (text->size && text->data[text->size - 1] == '\n') text->data[--text->size] = '\0';
    ok(json_parse(&root, buf_text(text), text->size));
    return root;
}

static bool flag(struct json object, const char *name) {
    bool value = false;
    return json_bool(&value, json_get(object, name)) && value;
}

static const struct mc_task *task_of(const char *name) {
    if (strncmp(name, "arc_", 4) == 0) return mc_task_find("arc_challenge");
    return mc_task_find(strncmp(name, "leaderboard_bbh", 15) == 0 ? "leaderboard_bbh" : name);
}

static char *golden_file(const char *data, const char *ending) {
    struct buf path = {0};
    buf_printf(&path, GOLDEN "harness/%s%s", data, ending);
    return path.data;
}

/* Each document's numbers. */
static void compare_documents(const struct mc_set *set, struct json expected, double *worst) {
    struct json key, row, value, greedy_row, greedy, acc;
    struct json_iter rows = json_iter_begin(json_get(expected, "logps")), greedies = json_iter_begin(json_get(expected, "greedy")),
                     accs = json_iter_begin(json_get(expected, "acc"));
    assert_int_equal(json_count(json_get(expected, "logps")), set->count);
    for (size_t i = 0; json_iter_next(&rows, &key, &row); i++) {
        const struct mc_document *d = &set->items[i];
        assert_true(json_iter_next(&greedies, &key, &greedy_row) && json_iter_next(&accs, &key, &acc));
        struct json_iter values = json_iter_begin(row), flags = json_iter_begin(greedy_row);
        assert_int_equal(json_count(row), d->item.count);
        for (size_t k = 0; json_iter_next(&values, &key, &value); k++) {
            double logp = 0;
            bool is_greedy = false;
            assert_true(json_iter_next(&flags, &key, &greedy) && json_double(&logp, value) && json_bool(&is_greedy, greedy));
            if (!(fabs(d->logp[k] - logp) <= 1e-3)) fail_msg("question %zu choice %zu: %.6f, lm-eval %.6f", i, k, d->logp[k], logp);
            *worst = fmax(*worst, fabs(d->logp[k] - logp));
            assert_int_equal(d->greedy[k], is_greedy);
        }
    }
}

/* Those that lm-eval reports of the task. */
static void compare_figures(const struct mc_set *set, struct json expected) {
    struct harness_figure figures[3];
    const size_t count = mc_figures(figures, set);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        char name[64], name_error[64];
        double mean, error;
        snprintf(name, sizeof name, "%s,none", figures[i].metric);
        snprintf(name_error, sizeof name_error, "%s_stderr,none", figures[i].metric);
        if (!json_double(&mean, json_get(expected, name))) continue;
        found++;
        const double tolerance = set->task->flags & MC_MASS ? 1e-6 : 1e-12;
        if (!(fabs(figures[i].value.mean - mean) <= tolerance)) fail_msg("%s: %.12f, lm-eval %.12f", name, figures[i].value.mean, mean);
        assert_true(json_double(&error, json_get(expected, name_error)));
        if (!(fabs(figures[i].value.stderr_ - error) <= tolerance))
            fail_msg("%s: %.12f, lm-eval %.12f", name_error, figures[i].value.stderr_, error);
    }
    assert_int_equal(found, json_count(expected) / 2);
}

static void put_as_json(struct buf *out, const struct mc_set *set) {
    const struct mc_document *last = &set->items[set->count - 1];
    json_put_string(out, buf_text(&last->context), last->context.size);
}

static void run_case(const char *name, struct json expected, size_t budget, double *worst) {
    struct reward_pack pack = {0};
    struct mc_set set;
    struct mc_extra extra = {0};
    struct harness_shot *own = NULL;
    struct buf context = {0};
    int64_t shots = 0;
    size_t truncated;
    char *data = json_text(json_get(expected, "data")), *system = json_text(json_get(expected, "system")),
         *path = golden_file(data, ".jsonl"), *shot_path = golden_file(data, "_shots.jsonl");
    const struct mc_task *task = task_of(name);
    const bool file = task->flags & MC_NEEDS_FILE;
    assert_true(json_int(&shots, json_get(expected, "shots")));
    if (file) ok(mc_extra_load(&extra, GOLDEN "harness/bbh.yaml"));
    if (shots && !file) ok(mc_shots_load(&own, task, &extra, shot_path, (size_t)shots));
    ok(mc_set_load(&set, task, &extra, path, 0));
    ok(reward_pack_open(&pack, &(struct reward_options){.model = GOLDEN "score_chat", .kind = MATMUL_F32, .budget = budget}, false));
    const struct harness_prompt prompt = {
        .encoder = &pack.encoder, .system = system, .chat = flag(expected, "chat"), .one_turn = !flag(expected, "multiturn")};
    ok(mc_run(&set, &truncated, &pack, &prompt, extra.description, own ? own : extra.shots, (size_t)shots, 1024));
    assert_int_equal(truncated, 0);
    put_as_json(&context, &set);
    struct json rendered;
    ok(json_parse(&rendered, context.data, context.size));
    char *theirs = json_text(json_get(expected, "context")), *ours = json_text(rendered);
    assert_string_equal(ours, theirs);
    compare_documents(&set, expected, worst);
    compare_figures(&set, json_get(expected, "figures"));
    free(theirs);
    free(ours);
    if (own) harness_shots_release(own, (size_t)shots);
    buf_release(&context);
    mc_set_release(&set);
    mc_extra_release(&extra);
    reward_pack_release(&pack);
    free(data);
    free(system);
    free(path);
    free(shot_path);
}

/* What results files call a model (names.json); a goal makes another of it. */
static void compare_names(void) {
    struct buf text = {0};
    struct json root = read_json(&text, GOLDEN "harness/names.json"), key, value;
    struct json_iter it = json_iter_begin(root);
    struct goal_style style;
    size_t seen = 0;
    goal_style_default(&style);
    for (; json_iter_next(&it, &key, &value); seen++) {
        char *model = json_text(json_get(json_get(value, "model_args"), "pretrained")),
             *adapter = json_text(json_get(json_get(value, "model_args"), "peft"));
        for (int with_goal = 0; with_goal < 2; with_goal++) {
            struct harness_prompt prompt = {.style = with_goal ? &style : NULL, .goal = goal_of_score(8.5)};
            const struct harness_run run = {.model = model, .adapter = adapter, .prompt = &prompt};
            struct buf name = {0}, sanitized = {0};
            char *expected[2] = {json_text(json_get(value, "model_name")), json_text(json_get(value, "model_name_sanitized"))};
            harness_model_name(&name, &sanitized, &run);
            for (int i = 0; i < 2; i++) {
                const struct buf *ours = i ? &sanitized : &name;
                assert_memory_equal(buf_text(ours), expected[i], strlen(expected[i]));
                assert_string_equal(buf_text(ours) + strlen(expected[i]), with_goal ? "@goal=8.5" : "");
                free(expected[i]);
            }
            buf_release(&name);
            buf_release(&sanitized);
        }
        free(model);
        free(adapter);
    }
    assert_int_equal(seen, 3);
    goal_style_release(&style);
    buf_release(&text);
}

static void as_lm_eval(void **state) {
    (void)state;
    struct buf text = {0};
    struct json root = read_json(&text, GOLDEN "harness/expected.json"), key, value;
    double worst = 0;
    size_t cases = 0;
    for (struct json_iter it = json_iter_begin(root); json_iter_next(&it, &key, &value); cases++) {
        char *name = json_text(key);
        run_case(name, value, cases % 2 ? 4096 : 1200, &worst);
        free(name);
    }
    assert_int_equal(cases, 11);
    print_message("largest difference of a log-prob: %.2g nats\n", worst);
    buf_release(&text);
    compare_names();
}

/* random.Random(0): the first numbers below 4, 3, 2, as shuffle draws them. */
static void random_as_python(void **state) {
    (void)state;
    struct twister r;
    char drawn[64] = "";
    twister_seed_python(&r, 0);
    for (size_t i = 0; i < 4; i++)
        for (uint32_t n = 4; n > 1; n--) snprintf(drawn + strlen(drawn), 8, "%u", twister_below_python(&r, n));
    assert_string_equal(drawn, "310221311220");
}

/* random.Random(TEXT).randrange(1000000), three times: texts whose SHA-512 takes one block, none, two. */
static void texts_seed_as_python(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t drawn[3];
    } cases[] = {{"abc", {809526, 585282, 482557}},
                 {"", {476559, 624334, 216936}},
                 {"na\xc3\xafve", {272639, 295638, 965282}},
                 {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                  {954585, 958114, 490958}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct twister r;
        twister_seed_python_text(&r, cases[i].text, strlen(cases[i].text));
        for (size_t k = 0; k < 3; k++) assert_int_equal(twister_below_python(&r, 1000000), cases[i].drawn[k]);
    }
}

static void python_lists(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected; /* NULL: refused */
    } cases[] = {{"['a', 'b']", "a|b|"},
                 {" [ \"it's\" ,'say \"x\"', ]\n", "it's|say \"x\"|"},
                 {"['\\u00e9\\x41\\n' 'b']", "\xc3\xa9"
                                             "A\nb|"},
                 {"[]", ""},
                 {"['a'", NULL},
                 {"['a' 1]", NULL},
                 {"[a]", NULL},
                 {"['\\q']", NULL},
                 {"['\\ud800']", NULL},
                 {"['a'] x", NULL},
                 {"", NULL},
                 {"['\\x4']", NULL},
                 {"('a', 'b')", NULL},
                 {"['a\nb']", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char **items;
        size_t count;
        struct buf joined = {0};
        const status s = mc_python_list(&items, &count, cases[i].text, strlen(cases[i].text));
        if ((s == ST_OK) != (cases[i].expected != NULL)) fail_msg("%s: %s", cases[i].text, s == ST_OK ? "taken" : status_message());
        for (size_t k = 0; k < count; k++) {
            buf_printf(&joined, "%s|", items[k]);
            free(items[k]);
        }
        if (cases[i].expected) assert_string_equal(buf_text(&joined), cases[i].expected);
        free(items);
        buf_release(&joined);
    }
}

/* Rows that no task takes: each names its field. */
static void bad_rows(void **state) {
    (void)state;
    static const struct {
        const char *task, *row, *message;
    } cases[] = {
        {"arc_easy", "[1]", "expected an object"},
        {"arc_easy", "{\"question\": 3}", "field question: expected a string"},
        {"arc_easy", "{\"question\": \"a\"}", "field choices: expected"},
        {"arc_easy", "{\"question\": \"a\", \"choices\": {\"text\": [], \"label\": []}, \"answerKey\": \"A\"}",
         "expected 1 to 256 choices"},
        {"arc_easy", "{\"question\": \"a\", \"choices\": {\"text\": [\"x\", \"\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}",
         "choice 2 is empty"},
        {"arc_easy", "{\"question\": \"a\", \"choices\": {\"text\": [\"x\", 2], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}",
         "expected a string"},
        {"arc_easy", "{\"question\": \"a\", \"choices\": {\"text\": [\"x\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"B\"}",
         "none of the choices' labels"},
        {"arc_easy", "{\"question\": {\"stem\": \"a\", \"choices\": [{\"text\": \"x\", \"label\": \"A\"}]}, \"answerKey\": \"C\"}",
         "none of the choices' labels"},
        {"arc_easy", "{\"question\": {\"stem\": \"a\", \"choices\": [7]}, \"answerKey\": \"C\"}", "expected a string"},
        {"arc_easy", "{\"question\": \"a\\u0000b\", \"choices\": {}}", "a zero byte"},
        {"truthfulqa_mc1", "{\"question\": \"a\", \"mc1_targets\": []}", "field mc1_targets: expected"},
        {"truthfulqa_mc1", "{\"question\": \"a\", \"mc1_targets\": {\"choices\": [\"x\"], \"labels\": []}}", "as many labels as choices"},
        {"truthfulqa_mc1", "{\"question\": \"a\", \"mc1_targets\": {\"x\": 2}}", "expected 0 or 1"},
        {"truthfulqa_mc1", "{\"question\": \"a\", \"mc1_targets\": {\"x\": 0, \"y\": 1}}", "the first choice is the right one"},
        {"truthfulqa_mc2", "{\"question\": \"a\", \"mc2_targets\": {\"x\": 0}}", "no choice is labelled 1"},
        {"gpqa_zeroshot", "{\"Question\": \"a\", \"Correct Answer\": \"x\"}", "field Incorrect Answer 1"},
        {"gpqa_zeroshot", "{\"Question\": \"a\", \"choice1\": \"x\"}", "field choice2"},
        {"gpqa_zeroshot",
         "{\"Question\": \"a\", \"choice1\": \"x\", \"choice2\": \"x\", \"choice3\": \"x\", \"choice4\": \"x\", \"answer\": \"A\"}",
         "field answer: expected \"(A)\""},
        {"leaderboard_gpqa",
         "{\"Question\": \"a\", \"Correct Answer\": \"[x]\", \"Incorrect Answer 1\": \"\", \"Incorrect Answer 2\": \"\", \"Incorrect "
         "Answer 3\": \"\"}",
         "nothing is left"},
        {"leaderboard_musr", "{\"narrative\": \"a\", \"question\": \"b\", \"choices\": \"['x'\", \"answer_choice\": \"x\"}",
         "expected a Python list"},
        {"leaderboard_musr", "{\"narrative\": \"a\", \"question\": \"b\", \"choices\": \"['x', '']\", \"answer_choice\": \"x\"}",
         "choice 2 is empty"},
        {"leaderboard_musr", "{\"narrative\": \"a\", \"question\": \"b\", \"choices\": [\"x\"], \"answer_choice\": \"y\"}",
         "none of the choices"},
        {"leaderboard_musr", "{\"narrative\": \"a\", \"question\": \"b\", \"choices\": \"[]\", \"answer_choice\": \"y\"}",
         "expected 1 to 256 choices"},
        {"leaderboard_bbh", "{\"input\": \"a\", \"target\": \"maybe\"}", "none of the choices"},
        {"arc_easy", "{\"question\": ", "expected"},
        {"arc_easy", "\n", "no rows"},
    };
    struct mc_extra extra;
    ok(mc_extra_load(&extra, GOLDEN "harness/bbh.yaml"));
    char path[] = "/tmp/rapt_harness_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mc_set set;
        ok(file_write(path, cases[i].row, strlen(cases[i].row)));
        if (mc_set_load(&set, mc_task_find(cases[i].task), &extra, path, 0) == ST_OK) fail_msg("%s was taken", cases[i].row);
        if (!strstr(status_message(), cases[i].message))
            fail_msg("%s: '%s' is not in: %s", cases[i].row, cases[i].message, status_message());
        if (!strstr(status_message(), path)) fail_msg("no path in: %s", status_message());
    }
    remove(path);
    mc_extra_release(&extra);
}

/* Other forms of the same question give the same item. */
static void other_forms(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"question\": \"q\", \"choices\": {\"text\": [\"x\", \"y\"], \"label\": [\"1\", \"2\"]}, \"answerKey\": \"2\"}",
        "{\"question\": {\"stem\": \"q\", \"choices\": [{\"text\": \"x\", \"label\": \"1\"}, {\"label\": \"2\", \"text\": \"y\"}]}, "
        "\"answerKey\": \"2\"}"};
    for (size_t i = 0; i < 2; i++) {
        struct mc_item item = {0};
        struct mc_reader reader = {0};
        ok(mc_task_find("arc_easy")->read(&item, &reader, (struct json){rows[i], strlen(rows[i])}));
        assert_string_equal(item.text, "Question: q\nAnswer:");
        assert_true(item.count == 2 && item.gold == 1 && strcmp(item.choices[1], "y") == 0);
        mc_item_release(&item);
        buf_release(&reader.text);
    }
    struct mc_item item = {0};
    struct mc_reader reader = {0};
    static const char truthful[] = "{\"question\": \"q\", \"mc2_targets\": {\"x\": 1, \"y\": 0, \"z\": 1}}";
    ok(mc_task_find("truthfulqa_mc2")->read(&item, &reader, (struct json){truthful, sizeof truthful - 1}));
    assert_true(item.count == 3 && item.right[0] && !item.right[1] && item.right[2] && strcmp(item.choices[2], "z") == 0);
    mc_item_release(&item);
    buf_release(&reader.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_lm_eval),   cmocka_unit_test(random_as_python), cmocka_unit_test(texts_seed_as_python),
        cmocka_unit_test(python_lists), cmocka_unit_test(bad_rows),         cmocka_unit_test(other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
