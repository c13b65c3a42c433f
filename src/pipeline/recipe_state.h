/* recipe_state: which stages of a recipe are done, in OUTPUT/recipe-state.json, so that a second run does only what changed.
 *
 * A stage's key is a hash of its resolved options, the contents of what it reads, and rapt's version. Files and folders that this stage or
 * a later one makes are left out of a folder that it reads: they would change the key of a stage by its own work. */
#ifndef RAPT_PIPELINE_RECIPE_STATE_H
#define RAPT_PIPELINE_RECIPE_STATE_H

#include "base/hash.h"
#include "pipeline/recipe.h"

#define RECIPE_STATE_NAME "recipe-state.json"

struct recipe_mark {
    char name[64], key[HASH_HEX_SIZE];
    bool finished; /* else begun and not ended */
    double seconds;
};

/* The hash of a large file, remembered while one run lasts: several stages read the same model. */
#define RECIPE_MEMO_MAX 32
struct recipe_memo {
    char *path;
    uint64_t size;
    int64_t changed_ns;
    char hash[HASH_HEX_SIZE];
};

struct recipe_state {
    char *path;
    int lock; /* an open file that this run alone has locked, or -1 */
    struct recipe_memo memos[RECIPE_MEMO_MAX];
    size_t memo_count;
    struct recipe_mark marks[RECIPE_STAGES_MAX];
    size_t count;
};

/* Makes the output folder, locks it against a second run (ST_IO when one is at work) and reads the state; none there is an empty one; a
 * broken one is warned about and counts as none. */
status recipe_state_load(struct recipe_state *s, const struct recipe *r);
void recipe_state_release(struct recipe_state *s);
/* The mark of a stage or NULL. */
const struct recipe_mark *recipe_state_get(const struct recipe_state *s, const char *stage);
/* Sets a stage's mark and writes the file. */
status recipe_state_put(struct recipe_state *s, const struct recipe *r, const char *stage, const char *key, bool finished, double seconds);
/* Forgets a stage's mark and writes the file. Keeps the thread's message of a failure unless writing fails too. */
status recipe_state_drop(struct recipe_state *s, const struct recipe *r, const char *stage);

/* The key as things stand now. ST_IO where an input is missing or unreadable. */
status recipe_stage_key(char out[HASH_HEX_SIZE], struct recipe_state *s, const struct recipe *r, size_t stage);
/* Are all its outputs there? A stage without outputs is never done before. */
bool recipe_stage_has_outputs(const struct recipe_stage *stage);

#endif
