/* Fuzz target: any bytes as a recipe, over a command of every kind of option. What loads has stages of whole command lines within the
 * bounds, whose options parse as they stand. */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/recipe.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tool {
    const char *input, *output, *choice;
    struct opt_list goals, texts;
    double rate;
    int64_t steps;
    bool quick;
};
static const struct opt_row rows[] = {
    {"input", OPT_STR, offsetof(struct tool, input), "F", NULL, NULL, "in"},
    {"output", OPT_STR, offsetof(struct tool, output), "F", NULL, NULL, "out"},
    {"mode", OPT_CHOICE, offsetof(struct tool, choice), NULL, "a", "a|b", "a choice"},
    {"goal", OPT_LIST, offsetof(struct tool, goals), "G", NULL, NULL, "goals"},
    {"text", OPT_TEXTS, offsetof(struct tool, texts), "T", NULL, NULL, "texts"},
    {"rate", OPT_DOUBLE, offsetof(struct tool, rate), "X", "0.5", NULL, "rate"},
    {"steps", OPT_INT, offsetof(struct tool, steps), "N", "1", NULL, "steps"},
    {"quick", OPT_FLAG, offsetof(struct tool, quick), NULL, NULL, NULL, "quick"},
};
static const struct opt_spec spec = {
    .command = "tool", .summary = "a tool", .positional = "[WORD]", .rows = rows, .row_count = sizeof rows / sizeof rows[0]};
static const struct opt_spec *find(const char *name) { return strcmp(name, "tool") == 0 ? &spec : NULL; }

static void check_stage(const struct recipe_stage *stage) {
    struct tool options;
    struct opt_result given;
    struct buf line = {0};
    int count = 0;
    CHECK(stage->name && stage->spec == &spec && stage->options_json);
    while (stage->argv[count]) CHECK(strlen(stage->argv[count++]) <= 2 * RECIPE_TEXT_MAX);
    CHECK(count == stage->argc && opt_parse(&given, &spec, &options, stage->argc, stage->argv) == ST_OK);
    recipe_shell_line(&line, stage);
    buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = scratch();
    struct recipe r;
    FILE *f = fopen(path, "wb"); /* file_write would wait for the disk */
    CHECK(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    const struct opt_list set = {.items = {"seeds=3", "4"}, .count = 2};
    if (recipe_load(&r, path, find, memmem(data, size, "seeds", 5) ? &set : NULL) == ST_OK) {
        CHECK(r.stage_count > 0 && r.stage_count <= RECIPE_STAGES_MAX && *r.output);
        for (size_t i = 0; i < r.stage_count; i++) check_stage(&r.stages[i]);
    }
    recipe_release(&r);
    return 0;
}
