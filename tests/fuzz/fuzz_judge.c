/* Fuzz target: any bytes as what a judge's endpoint answers: the JSON, its text, the log-probs; and the same bytes as the text itself. What
 * is taken lies where it is said to, and on the scale. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/bench_judge.h"
#include "net/remote.h"
#include "reward/judge_answer.h"

/* Each benchmark reads the answer as if it had asked once. */
static void read_bench(const struct remote_answer *a) {
    for (size_t i = 0; i < bench_protocol_count; i++) {
        struct bench_question q = {0};
        bench_put_message(&q.messages, "user", "x", 1);
        bench_end_messages(&q.messages);
        for (int k = 0; k < 2; k++)
            if (bench_protocols[i]->read(&q, a) == ST_OK) break;
        struct json messages;
        CHECK(json_parse(&messages, q.messages.data, q.messages.size) == ST_OK);
        CHECK(memchr(q.verdict, '\0', sizeof q.verdict));
        buf_release(&q.messages);
        buf_release(&q.said);
        buf_release(&q.raw);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_text(const struct judge_scale *scale, const char *text, size_t size, struct json logprobs) {
    double value = -1;
    size_t at = SIZE_MAX, n = SIZE_MAX;
    bool there;
    if (judge_read(&value, &at, &n, scale, text, size) != ST_OK) return;
    CHECK(value >= 0 && value <= 1 && n && at < size && n <= size - at);
    if (judge_weigh(&value, &there, scale, logprobs, at, n) == ST_OK) CHECK(value >= 0 && value <= 1 + 1e-9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct judge_scale scales[] = {{.low = 1, .high = 10}, {.low = 0, .high = 4}, {.pairwise = true, .high = 1}};
    char *exact = malloc(size ? size : 1); /* exactly sized: a read past the end is seen */
    struct remote_answer a = {0};
    struct json root;
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    for (size_t i = 0; i < 3; i++) {
        read_text(&scales[i], exact, size, (struct json){0});
        if (json_parse(&root, exact, size) != ST_OK || remote_answer_parse(&a, root) != ST_OK) continue;
        if (!i) read_bench(&a);
        char *copy = malloc(a.text.size ? a.text.size : 1);
        if (!copy) break;
        if (a.text.size) memcpy(copy, a.text.data, a.text.size);
        read_text(&scales[i], copy, a.text.size, a.logprobs);
        free(copy);
    }
    buf_release(&a.text);
    free(exact);
    return 0;
}
