/* Fuzz target: any bytes as rows of the evaluations' data: the first byte says of which, the rest is the row. */
#include <stdlib.h>
#include <string.h>

#include "eval/alpaca.h"
#include "eval/arena_hard.h"
#include "eval/gsm8k.h"
#include "eval/mc_task.h"
#include "eval/mt_answer.h"
#include "eval/mt_bench.h"
#include "format/bench_results.h"
#include "format/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_choices(const struct mc_task *task, struct json row) {
    static char *choices[] = {"yes", "no"};
    const struct mc_extra extra = {.choices = choices, .choice_count = 2};
    struct mc_reader reader = {.extra = &extra};
    struct mc_item item = {0};
    twister_seed_python(&reader.random, 0);
    if (task->read(&item, &reader, row) == ST_OK) {
        CHECK(item.text && item.count && item.count <= MC_CHOICES_MAX && item.gold < item.count && item.gold_text.size);
        for (size_t i = 0; i < item.count; i++) CHECK(item.choices[i] && *item.choices[i]);
    }
    mc_item_release(&item);
    buf_release(&reader.text);
}

static void read_list(const char *text, size_t size) {
    char **items;
    size_t count;
    if (mc_python_list(&items, &count, text, size) == ST_OK) CHECK(count <= MC_CHOICES_MAX);
    for (size_t i = 0; i < count; i++) free(items[i]);
    free(items);
}

static void read_alpaca(struct json row) {
    struct alpaca_set set = {0};
    for (int i = 0; i < 2; i++)
        if (alpaca_add(&set, row) == ST_OK) CHECK(set.generator[0] && set.generator[1] && set.items[set.count - 1].length[1] >= 0);
    alpaca_release(&set);
}

static void read_verdicts(struct json row) {
    static char baseline[] = "b";
    for (int v = 0; v < 2; v++) {
        struct arena_set set = {.version = v ? ARENA_V2 : ARENA_V01, .baseline = mem_text(baseline), .keep_questions = true};
        if (arena_hard_add(&set, row) == ST_OK) CHECK(set.count <= 6);
        for (size_t i = 0; i < set.count; i++) CHECK(set.items[i].model < set.model_count && set.questions[i]);
        arena_hard_release(&set);
    }
    struct mt_bench b = {0};
    struct mt_asked_set asked = {0};
    if (mt_add(&b, row) == ST_OK) CHECK(b.singles + b.pairs == 1);
    if (mt_asked_add(&asked, row) == ST_OK) CHECK(asked.count == 1 && asked.items[0].turns[0]);
    mt_release(&b);
    mt_asked_release(&asked);
}

/* What benchmarks print, as runs: whatever is taken is JSON again. */
static void read_results(struct json file) {
    struct buf out = {0};
    struct json runs;
    if (bench_is_results(file) && bench_put_runs(&out, file) == ST_OK)
        CHECK(json_parse(&runs, buf_text(&out), out.size) == ST_OK && json_kind_of(json_get(runs, "runs")) == JSON_ARRAY);
    buf_release(&out);
}

static void read_csv(const char *text, size_t size) {
    struct csv c;
    bool end = false;
    double value;
    if (csv_parse(&c, "fuzz", text, size) != ST_OK) return;
    while (csv_next(&c, &end) == ST_OK && !end)
        for (size_t i = 0; i < c.columns; i++) CHECK(csv_number(&value, &c, i) != ST_OK || strlen(c.fields[i]) <= size);
    csv_release(&c);
}

static void read_response(const char *text, size_t size) {
    struct buf out = {0};
    bool found;
    for (int f = 0; f < GSM8K_FILTERS; f++) {
        gsm8k_extract(&out, (enum gsm8k_filter)f, text, size);
        CHECK(out.size && out.size <= size + 9);
        gsm8k_match(&out, "#### 7");
    }
    CHECK(gsm8k_cut(&found, text, size) <= size);
    CHECK(mt_grade(text, size) >= -1);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    char *exact = malloc(size); /* exactly sized: a read past the end is seen */
    struct json row;
    if (!exact) return 0;
    memcpy(exact, data + 1, size - 1);
    read_list(exact, size - 1);
    read_csv(exact, size - 1);
    read_response(exact, size - 1);
    if (json_parse(&row, exact, size - 1) == ST_OK) {
        read_choices(&mc_task_table[data[0] % mc_task_count], row);
        read_alpaca(row);
        read_verdicts(row);
        read_results(row);
    }
    free(exact);
    return 0;
}
