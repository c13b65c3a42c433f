/* Fuzz target: any bytes as the small files of a model's folder and of a run: config.json, adapter_config.json, goal.json, a table of
 * results (CSV). The first byte says of which. What is taken keeps to the bounds that the rest counts on. */
#define _GNU_SOURCE /* mkdtemp */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "format/csv.h"
#include "model/config.h"
#include "model/peft_io.h"
#include "text/goal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/rapt_fuzz_folder_XXXXXX";
static char *file;

static void remove_folder(void) {
    remove(file);
    free(file);
    rmdir(folder);
}

static void config(const char *text, size_t size) {
    struct json root;
    struct model_config *c = malloc(sizeof *c);
    if (!c) return;
    if (json_parse(&root, text, size) == ST_OK && model_config_from_json(c, root) == ST_OK) {
        CHECK(c->family && c->layers > 0 && c->layers <= MODEL_LAYERS_MAX && c->vocab && c->hidden && c->ffn && c->head_dim);
        CHECK(c->kv_heads && c->heads % c->kv_heads == 0 && c->rotary <= c->head_dim && c->rotary / 2 <= ROPE_PAIRS_MAX);
        CHECK(isfinite(c->norm_eps) && isfinite(c->rope.base) && c->bos < (int64_t)c->vocab && c->eos < (int64_t)c->vocab);
    }
    free(c);
}

static void adapter(const char *text, size_t size) {
    struct lora_options *o = malloc(sizeof *o);
    if (!o) return;
    CHECK(file_write(file, text, size) == ST_OK);
    if (adapter_read_options(o, folder) == ST_OK) CHECK(o->rank > 0 && isfinite(o->alpha));
    free(o);
}

static void goal(const char *text, size_t size) {
    struct json root;
    struct goal_style g, again;
    struct buf prompt = {0};
    if (json_parse(&root, text, size) != ST_OK) return;
    if (goal_style_parse(&g, root) == ST_OK) {
        CHECK(goal_style_check(&g) == ST_OK && g.attribute_count <= GOAL_MAX);
        struct goal asked = {.count = g.attribute_count ? g.attribute_count : 1};
        for (size_t i = 0; i < asked.count; i++) asked.value[i] = g.attribute_count ? g.attributes[i].high : g.high;
        if (g.placement == GOAL_USER || g.placement == GOAL_AFTER) goal_put_prompt(&prompt, &g, "text", 4, &asked);
        CHECK(goal_style_save(&g, NULL, file) == ST_OK && goal_style_load(&again, file) == ST_OK); /* what was read can be kept */
        CHECK(strcmp(again.text, g.text) == 0 && again.placement == g.placement && again.token_count == g.token_count);
        goal_style_release(&again);
    }
    buf_release(&prompt);
    goal_style_release(&g);
}

static void table(const char *text, size_t size) {
    struct csv c;
    bool end = false;
    double x;
    if (csv_parse(&c, "fuzz", text, size) == ST_OK)
        while (csv_next(&c, &end) == ST_OK && !end)
            for (size_t i = 0; i < c.columns; i++) {
                CHECK(csv_column(&c, c.names[i]) <= i);
                csv_number(&x, &c, i);
            }
    csv_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(const char *, size_t) = {config, adapter, goal, table};
    if (!file) {
        CHECK(mkdtemp(folder));
        file = file_join(folder, "adapter_config.json");
        atexit(remove_folder);
        log_set_level(LOG_QUIET);
    }
    if (!size) return 0;
    char *exact = malloc(size); /* exactly sized: a read past the end is seen */
    if (!exact) return 0;
    memcpy(exact, data + 1, size - 1);
    readers[data[0] % 4](exact, size - 1);
    free(exact);
    return 0;
}
