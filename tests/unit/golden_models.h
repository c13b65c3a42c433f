/* golden_models: the small models of tests/golden, found rather than listed, so that a new family's model is tested by every test that
 * loops over them; a family without one fails. */
#ifndef RAPT_TESTS_GOLDEN_MODELS_H
#define RAPT_TESTS_GOLDEN_MODELS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "model/arch.h"

#define GOLDEN_MODELS_MAX 128
struct golden_models {
    char name[GOLDEN_MODELS_MAX][64]; /* "qwen3", "qwen3_gguf/model.gguf" */
    size_t count;
};

static bool golden_is_model(const char *folder, const char *file) {
    char path[512];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/golden/%s/%s", folder, file);
    return file_exists(path);
}

static int golden_by_name(const void *a, const void *b) { return strcmp(a, b); }

/* Language models with logits and gradients of their own (Hugging Face folders), or GGUF forms of such. */
static void golden_models_find(struct golden_models *g) {
    *g = (struct golden_models){0};
    DIR *d = opendir(TEST_SOURCE_DIR "/golden");
    for (struct dirent *e; d && (e = readdir(d));) {
        char twin[64];
        const size_t n = strlen(e->d_name);
        if (e->d_name[0] == '.' || strncmp(e->d_name, "reward_", 7) == 0 || n >= 40 || g->count == GOLDEN_MODELS_MAX) continue;
        const bool gguf = n > 5 && strcmp(e->d_name + n - 5, "_gguf") == 0 && golden_is_model(e->d_name, "model.gguf");
        snprintf(twin, sizeof twin, "%.*s", (int)(gguf ? n - 5 : n), e->d_name);
        if (!golden_is_model(twin, "golden.safetensors") || !golden_is_model(twin, "config.json")) continue;
        snprintf(g->name[g->count++], sizeof g->name[0], "%s%s", e->d_name, gguf ? "/model.gguf" : "");
    }
    if (d) closedir(d);
    qsort(g->name, g->count, sizeof g->name[0], golden_by_name);
}

/* NULL, or the family of the table that no model belongs to. */
static const char *golden_models_lack(const struct golden_models *g) {
    for (size_t f = 0; f < family_count; f++) {
        bool found = false;
        for (size_t i = 0; i < g->count && !found; i++) {
            struct buf config = {0};
            char path[512], want[96];
            if (strchr(g->name[i], '/')) continue;
            snprintf(path, sizeof path, TEST_SOURCE_DIR "/golden/%s/config.json", g->name[i]);
            snprintf(want, sizeof want, "\"%s\"", family_table[f].architecture);
            if (file_read(&config, path) != ST_OK) abort();
            found = strstr(buf_text(&config), want) != NULL;
            buf_release(&config);
        }
        if (!found) return family_table[f].name;
    }
    return NULL;
}

#endif
