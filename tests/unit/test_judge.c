/* What judges say, read strictly; the cache of answers; judges and policies in this process against transformers and peft
 * (tests/oracle/make_judges.py). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "data/augment.h"
#include "data/source.h"
#include "net/cache.h"
#include "net/remote.h"
#include "reward/judge_answer.h"
#include "score_rows.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"

static const struct judge_scale ten = {.low = 1, .high = 10}, verdict = {.pairwise = true, .high = 1};

#define NONSENSE ((double)NAN)
struct reading {
    const char *text;
    double want; /* a rating, or the value of a verdict; or NONSENSE */
};
/* clang-format off */
static const struct reading ratings[] = {
    {"8", 8}, {" 8\n", 8}, {"10", 10}, {"1", 1}, {"8.5", 8.5}, {"8.", 8}, {"**8**", 8}, {"\"8\"", 8}, {"Rating: 7", 7},
    {"score: **7/10**", 7}, {"7/10", 7}, {"7 / 10", NONSENSE}, {"It says 3, I say [[6]].", 6},
    {"[[6]] because .. [[6.0]]", 6}, {"Rating: [[9]]", 9}, {"**Rating:** 4", 4}, {"", NONSENSE}, {"eight", NONSENSE},
    {"0", NONSENSE}, {"11", NONSENSE}, {"-3", NONSENSE}, {"8 or 9", NONSENSE}, {"8, I think", NONSENSE},
    {"[[6]] or [[7]]", NONSENSE}, {"[[x]]", NONSENSE}, {"[[6", NONSENSE}, {"[[11]] 5", NONSENSE}, {"1e1", NONSENSE},
    {"0x8", NONSENSE}, {"nan", NONSENSE}, {"8..", NONSENSE}, {"7/100", NONSENSE}, {"1/10/10", NONSENSE},
    {"0000000000007", NONSENSE}, {"/10", NONSENSE}, {".", NONSENSE}, {"rating", NONSENSE}, {"[[]]", NONSENSE},
    {"8.5.", 8.5}, {"8 out of 10", NONSENSE},
};
static const struct reading verdicts[] = {
    {"A", 1}, {"B", 0}, {"C", 0.5}, {" \"A\"\n", 1}, {"[[B]]", 0}, {"A is good, B is better: [[B]]", 0}, {"tie", 0.5},
    {"Verdict: C", 0.5}, {"[[C]] .. [[C]]", 0.5}, {"a", NONSENSE}, {"D", NONSENSE}, {"AB", NONSENSE},
    {"A and B", NONSENSE}, {"[[A]] [[B]]", NONSENSE}, {"8", NONSENSE}, {"", NONSENSE}, {"A.", 1},
};
/* clang-format on */

static void reads(const struct judge_scale *scale, const struct reading *r, double want) {
    double got = -1;
    size_t at, size;
    const status s = judge_read(&got, &at, &size, scale, r->text, strlen(r->text));
    if (s != (isnan(want) ? ST_FORMAT : ST_OK)) fail_msg("'%s': %s", r->text, s == ST_OK ? "taken" : status_message());
    if (s == ST_OK && got != want) fail_msg("'%s' is %g, expected %g", r->text, got, want);
    if (s == ST_OK) assert_true(at + size <= strlen(r->text) && size > 0);
}

static void answers_are_read_strictly(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ratings / sizeof ratings[0]; i++) reads(&ten, &ratings[i], (ratings[i].want - 1) / 9);
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) reads(&verdict, &verdicts[i], verdicts[i].want);
}

/* Places of numbers of the text. tokens: one place after the other, each a list of alternatives of which the first is in the text. */
struct place {
    const char *token[4];
    double p[4];
};

static void put_places(struct buf *out, const struct place *places, size_t n) {
    buf_append_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        buf_append_text(out, i ? ", {\"token\": " : "{\"token\": ");
        json_put_text(out, places[i].token[0]);
        buf_append_text(out, ", \"logprob\": 0, \"top_logprobs\": [");
        for (size_t k = 0; k < 4 && places[i].token[k]; k++) {
            buf_append_text(out, k ? ", {\"token\": " : "{\"token\": ");
            json_put_text(out, places[i].token[k]);
            buf_printf(out, ", \"logprob\": %.17g}", log(places[i].p[k]));
        }
        buf_append_text(out, "]}");
    }
    buf_append_text(out, "]");
}

/* Expected by hand. */
static void answers_are_weighed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        struct place places[6];
        size_t count;
        double rating; /* NaN: refused; 0: the log-probs do not tell */
    } cases[] = {{"8", {{{"8", "9", "x"}, {0.6, 0.2, 0.2}}}, 1, (0.6 * 8 + 0.2 * 9) / 0.8},
                 {"8", {{{"8", " 8", " 7"}, {0.5, 0.25, 0.25}}}, 1, 7.75}, /* two tokens of one meaning add up */
                 {"8", {{{"8", "x"}, {0.3, 0.7}}}, 1, (double)NAN},
                 {"10", {{{"10", "1", "9"}, {0.5, 0.25, 0.25}}}, 1, 5 + 0.25 + 2.25}, /* a token of its own: 1 is 1 */
                 {"10", {{{"1", "9"}, {0.5, 0.5}}, {{"0", "!"}, {0.8, 0.2}}}, 2, 0.4 * 10 + 0.1 * 1 + 0.5 * 9},
                 {"1", {{{"1", "9"}, {0.5, 0.5}}, {{"!", "0"}, {0.75, 0.25}}}, 2, 0.375 * 1 + 0.125 * 10 + 0.5 * 9},
                 {"1", {{{"1", "9"}, {0.5, 0.5}}}, 1, 5},     /* nothing follows */
                 {"9", {{{"9", "1"}, {0.995, 0.005}}}, 1, 9}, /* left out */
                 {"9", {{{"9", "1"}, {0.9, 0.1}}}, 1, (double)NAN},
                 {"So: [[8]]", {{{"So"}, {1}}, {{":"}, {1}}, {{" [["}, {1}}, {{"8", "4"}, {0.75, 0.25}}, {{"]]"}, {1}}}, 5, 7},
                 {"[[8]]", {{{"[[8", "[[9"}, {0.5, 0.5}}, {{"]]"}, {1}}}, 2, 0}, /* a token with more than the number */
                 {"8.5", {{{"8", "9"}, {0.5, 0.5}}, {{"."}, {1}}, {{"5"}, {1}}}, 3, 0},
                 {"8", {{{"9"}, {1}}}, 1, 9}, /* the tokens say what was meant */
                 {"8", {{{""}, {1}}}, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = {0};
        struct json logprobs = {0};
        double value = -1;
        size_t at, size;
        bool there = false;
        put_places(&text, cases[i].places, cases[i].count);
        ok(json_parse(&logprobs, buf_text(&text), text.size));
        ok(judge_read(&value, &at, &size, &ten, cases[i].text, strlen(cases[i].text)));
        status s = judge_weigh(&value, &there, &ten, logprobs, at, size);
        if (isnan(cases[i].rating)) {
            assert_int_equal(s, ST_FORMAT);
        } else {
            ok(s);
            assert_int_equal(there, cases[i].rating != 0);
            if (there && !(fabs(1 + 9 * value - cases[i].rating) <= 1e-12))
                fail_msg("case %zu: %.15g, expected %.15g", i, 1 + 9 * value, cases[i].rating);
        }
        buf_release(&text);
    }
}

static void verdicts_are_weighed(void **state) {
    (void)state;
    struct buf text = {0};
    struct json logprobs;
    double value;
    size_t at, size;
    bool there;
    put_places(&text, (const struct place[]){{{"A", "B", "C", "D"}, {0.5, 0.125, 0.125, 0.25}}}, 1);
    ok(json_parse(&logprobs, buf_text(&text), text.size));
    ok(judge_read(&value, &at, &size, &verdict, "A", 1));
    ok(judge_weigh(&value, &there, &verdict, logprobs, at, size));
    assert_true(there && fabs(value - (0.5 + 0.0625) / 0.75) <= 1e-12);
    buf_release(&text);
}

static void completions_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: none */
        uint64_t prompt, completion;
        bool logprobs;
    } cases[] = {
        {"{\"choices\": [{\"message\": {\"content\": \"8\\n\"}, \"logprobs\": {\"content\": []}}], \"usage\": {\"prompt_tokens\": 7, "
         "\"completion_tokens\": 2}}",
         "8\n", 7, 2, true},
        {"{\"choices\": [{\"message\": {\"content\": \"8\"}, \"logprobs\": null}, {\"message\": {\"content\": \"9\"}}]}", "8", 0, 0, false},
        {"{\"choices\": [], \"usage\": {\"prompt_tokens\": 7}}", NULL, 7, 0, false},
        {"{\"choices\": [{\"message\": {\"content\": null}}], \"usage\": {\"prompt_tokens\": -7, \"completion_tokens\": 1e300}}", NULL, 0,
         0, false},
        {"{\"choices\": {\"message\": 1}}", NULL, 0, 0, false},
        {"{\"choices\": [7]}", NULL, 0, 0, false},
        {"\"8\"", NULL, 0, 0, false},
        {"[]", NULL, 0, 0, false}};
    struct remote_answer a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json root;
        ok(json_parse(&root, cases[i].json, strlen(cases[i].json)));
        status s = remote_answer_parse(&a, root);
        assert_int_equal(s, cases[i].text ? ST_OK : ST_FORMAT);
        if (cases[i].text) assert_string_equal(buf_text(&a.text), cases[i].text);
        assert_true(a.prompt_tokens == cases[i].prompt && a.completion_tokens == cases[i].completion);
        assert_int_equal(a.logprobs.size > 0, cases[i].logprobs);
    }
    buf_release(&a.text);
}

static struct json text_of(struct buf *b, const char *text) {
    struct json v;
    buf_clear(b);
    buf_append_text(b, text);
    ok(json_parse(&v, buf_text(b), b->size));
    return v;
}

static void check_has(const struct cache *c, const char *request, const char *want) {
    struct buf out = {0};
    char key[HASH_HEX_SIZE];
    bool found;
    cache_key(key, request, strlen(request));
    ok(cache_get(&found, &out, c, key));
    assert_int_equal(found, want != NULL);
    if (want) assert_string_equal(buf_text(&out), want);
    buf_release(&out);
}

/* Whatever the file is cut to, what is whole before the cut is there, and the rest can be written again. */
static void caches_lose_only_their_torn_line(void **state) {
    (void)state;
    char path[] = "/tmp/rapt_cache_XXXXXX", key[HASH_HEX_SIZE];
    struct cache c, other;
    struct buf b = {0}, whole = {0};
    size_t ends[41] = {0};
    close(mkstemp(path));
    log_set_level(LOG_QUIET);
    ok(cache_open(&c, path));
    assert_int_equal(cache_open(&other, path), ST_MISMATCH); /* one process at a time */
    ends[0] = file_size_bytes(path);
    for (int i = 0; i < 40; i++) {
        char request[32];
        snprintf(request, sizeof request, "request %d", i);
        cache_key(key, request, strlen(request));
        ok(cache_put(&c, key, text_of(&b, i % 2 ? "{\"a\":\n[1, \"x\\n\"]}" : "\"text\"")));
        ends[i + 1] = file_size_bytes(path);
    }
    check_has(&c, "request 39", "{\"a\": [1, \"x\\n\"]}");
    check_has(&c, "request 40", NULL);
    cache_release(&c);
    ok(file_read(&whole, path));
    for (size_t cut = 0; cut <= whole.size; cut += cut < ends[3] ? 1 : 37) {
        size_t left = 0;
        while (left < 40 && ends[left + 1] <= cut) left++;
        ok(file_write(path, whole.data, cut));
        ok(cache_open(&c, path));
        assert_int_equal(c.count, left);
        assert_int_equal(c.torn, cut < ends[0] ? cut : cut - ends[left]);
        check_has(&c, "request 0", left > 0 ? "\"text\"" : NULL);
        check_has(&c, "request 39", left == 40 ? "{\"a\": [1, \"x\\n\"]}" : NULL);
        cache_key(key, "new", 3);
        ok(cache_put(&c, key, text_of(&b, "7")));
        cache_release(&c);
        ok(cache_open(&c, path));
        assert_true(c.count == left + 1 && !c.torn);
        check_has(&c, "new", "7");
        cache_release(&c);
    }
    static const char *const broken[] = {"{\"rapt_cache\": 2}\n",
                                         "x",
                                         "{\"rapt_cache\": 1}\n{\"key\": \"00\", \"answer\": 1}\n",
                                         "{\"rapt_cache\": 1}\n\n",
                                         "{\"rapt_cache\": 1}\n[]\n",
                                         "{\"rapt_cache\": 1}\n{\"key\": \"0123456789abcdef0123456789abcdef\"}\n",
                                         "{\"rapt_cache\": 1}\n{\"key\": \"0123456789abcdef0123456789abcdeX\", \"answer\": 1}\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ok(file_write(path, broken[i], strlen(broken[i])));
        assert_int_equal(cache_open(&c, path), ST_FORMAT);
        assert_int_equal(file_size_bytes(path), strlen(broken[i])); /* untouched */
    }
    log_set_level(LOG_INFO);
    remove(path);
    buf_release(&b);
    buf_release(&whole);
}

/* A disk that fills within a line (a limit on the file's size stands in for it): the next answer stands behind a whole one. */
static void a_full_disk_leaves_whole_lines(void **state) {
    (void)state;
    char path[] = "/tmp/rapt_cache_XXXXXX", key[HASH_HEX_SIZE];
    struct cache c;
    struct buf b = {0};
    close(mkstemp(path));
    struct rlimit least, most;
    ok(cache_open(&c, path));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &most), 0);
    least = most, least.rlim_cur = (rlim_t)c.end + 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &least), 0);
    cache_key(key, "full", 4);
    assert_int_equal(cache_put(&c, key, text_of(&b, "8")), ST_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
    cache_key(key, "later", 5);
    ok(cache_put(&c, key, text_of(&b, "9")));
    cache_release(&c);
    ok(cache_open(&c, path));
    assert_true(c.count == 1 && !c.torn);
    check_has(&c, "later", "9");
    check_has(&c, "full", NULL);
    cache_release(&c);
    remove(path);
    buf_release(&b);
}

static struct json golden(struct buf *text) {
    ok(file_read(text, GOLDEN "judge/expected.json"));
    struct json root;
    ok(json_parse(&root, buf_text(text), text->size - 1));
    return root;
}

/* got[i] is the member `which` of the i-th list. */
static void check_column(const struct reward_values *got, struct json lists, size_t which, const char *what) {
    struct json_iter it = json_iter_begin(lists);
    struct json key, list, number;
    size_t n = 0;
    for (; json_iter_next(&it, &key, &list); n++) {
        struct json_iter numbers = json_iter_begin(list);
        double want = 0;
        for (size_t k = 0; k <= which; k++) assert_true(json_iter_next(&numbers, &key, &number) && json_double(&want, number));
        assert_true(n < got->count);
        if (!(fabs(got->items[n] - want) <= 1e-5 * fmax(1, fabs(want))))
            fail_msg("%s: number %zu is %.9g, golden %.9g", what, n, got->items[n], want);
    }
    assert_int_equal(n, got->count);
}

static const size_t budgets[] = {260, 700, 4096};

static void models_judge_as_theirs(void **state) {
    (void)state;
    struct buf text = {0};
    const struct json root = golden(&text);
    for (size_t pairwise = 0; pairwise < 2; pairwise++)
        for (size_t weighted = 0; weighted < 2; weighted++)
            for (size_t b = 0; b < 3; b++) {
                struct reward_options o = {.model = GOLDEN "score_chat", .kind = MATMUL_F32, .budget = budgets[b]};
                struct reward_values got;
                o.judge.scale = pairwise ? verdict : ten;
                o.judge.logprobs = weighted;
                o.judge.prompt_file = pairwise ? GOLDEN "judge/pairwise.txt" : GOLDEN "judge/rating.txt";
                score_all(&got, "judge", &o, GOLDEN "judge/rows.jsonl", NULL);
                check_column(&got, json_get(root, pairwise ? "verdicts" : "ratings"), weighted, pairwise ? "pairwise" : "rating");
                reward_values_release(&got);
            }
    buf_release(&text);
}

static void policies_judge_themselves(void **state) {
    (void)state;
    struct buf text = {0};
    const struct json root = golden(&text);
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t b = 0; b < 3; b++) {
            const struct reward_options o = {.model = GOLDEN "score_chat",
                                             .adapter = GOLDEN "score_chat_lora",
                                             .kind = MATMUL_F32,
                                             .budget = budgets[b],
                                             .expected = kind > 0,
                                             .per_token = kind > 1};
            struct reward_values got;
            score_all(&got, "self", &o, GOLDEN "judge/rows.jsonl", NULL);
            check_column(&got, json_get(root, "self"), kind, "self");
            reward_values_release(&got);
        }
    struct reward r;
    assert_int_equal(
        reward_open(&r, reward_find("self"), &(struct reward_options){.model = GOLDEN "score_chat", .kind = MATMUL_F32, .budget = 256}),
        ST_MISMATCH);
    buf_release(&text);
}

/* Each prompt by the adapter of the other fold, whose place in the list is that of its own. */
static void folds_are_crossed(void **state) {
    (void)state;
    struct buf text = {0};
    const struct json root = golden(&text);
    struct json_iter both = json_iter_begin(json_get(root, "fit"));
    struct json key, lists[2];
    for (size_t f = 0; f < 2; f++) assert_true(json_iter_next(&both, &key, &lists[f]));
    for (size_t b = 0; b < 3; b++) {
        const struct reward_options o = {.model = GOLDEN "score_chat",
                                         .cross_fit = {GOLDEN "score_chat_lora", GOLDEN "score_chat_lora2"},
                                         .kind = MATMUL_F32,
                                         .budget = b ? budgets[b] : 64,
                                         .beta = 0.5};
        struct reward_values got;
        struct source in;
        struct record record = {0};
        struct json_iter it[2] = {json_iter_begin(lists[0]), json_iter_begin(lists[1])};
        size_t n = 0, of_fold[2] = {0};
        bool end;
        score_all(&got, "implicit", &o, GOLDEN "judge/lines.jsonl", NULL);
        ok(source_open(&in, GOLDEN "judge/lines.jsonl", SOURCE_STOP, NULL));
        for (ok(source_next(&in, &record, &end)); !end; ok(source_next(&in, &record, &end))) {
            const size_t fold = augment_fold(record_prompt_key(&record.prompt, record.conversational), 2);
            of_fold[fold]++;
            for (size_t side = 0; side < 2; side++, n++) {
                double want[2];
                struct json number;
                for (size_t f = 0; f < 2; f++) assert_true(json_iter_next(&it[f], &key, &number) && json_double(&want[f], number));
                assert_true(n < got.count && fabs(got.items[n] - 0.5 * want[1 - fold]) <= 1e-5 * fmax(1, fabs(want[1 - fold])));
            }
        }
        assert_int_equal(n, got.count);
        assert_true(of_fold[0] >= 3 && of_fold[1] >= 3);
        source_release(&in);
        record_release(&record);
        reward_values_release(&got);
    }
    buf_release(&text);
}

/* Folds have about as many prompts each, and a test split takes from each alike. */
static void folds_are_even(void **state) {
    (void)state;
    size_t count[5] = {0}, test[5] = {0};
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t key = hash_bytes(&i, sizeof i, 0);
        const size_t f = augment_fold(key, 5);
        assert_true(f < 5);
        count[f]++;
        test[f] += augment_in_test(key, 0.25);
    }
    for (size_t f = 0; f < 5; f++)
        assert_true(count[f] > 3800 && count[f] < 4200 && test[f] > 900 && test[f] < 1100); /* more than 3 deviations */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_read_strictly),
                                       cmocka_unit_test(answers_are_weighed),
                                       cmocka_unit_test(verdicts_are_weighed),
                                       cmocka_unit_test(completions_are_parsed),
                                       cmocka_unit_test(caches_lose_only_their_torn_line),
                                       cmocka_unit_test(a_full_disk_leaves_whole_lines),
                                       cmocka_unit_test(models_judge_as_theirs),
                                       cmocka_unit_test(policies_judge_themselves),
                                       cmocka_unit_test(folds_are_crossed),
                                       cmocka_unit_test(folds_are_even)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
