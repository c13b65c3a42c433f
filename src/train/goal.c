#include "train/goal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "data/goal_tokens.h"

/* Whoever cuts the rows out of another file (head, shuf) leaves the goal.json beside that one. */
static void warn_of_goals(const struct train_options *o, const struct loaded *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->rows[i].goal_of != GOAL_OF_NONE || !isnan(rows->rows[i].goal)) {
            log_warn(
                "%s: its rows have goals, and no %s.goal.json says how they were asked: the %s will not know, and generate --goal asks in "
                "its own way. rapt augment wrote one beside the rows; copy it along",
                o->train_data, o->train_data, o->full ? "model" : "adapter");
            return;
        }
}

status train_goal_copy(const struct train_options *o, const struct loaded *rows) {
    struct buf from = {0};
    buf_printf(&from, "%s.goal.json", o->train_data);
    if (!file_exists(buf_text(&from)) && o->adapter) {
        buf_clear(&from);
        buf_printf(&from, "%s/goal.json", o->adapter);
    }
    char *to = file_join(o->output_dir, "goal.json");
    status s = file_copy_if_there(to, buf_text(&from));
    if (s == ST_OK && !o->resume && !file_exists(buf_text(&from)) && file_exists(to) && remove(to) != 0)
        s = FAIL(ST_IO, "%s: cannot remove it, and this run has no goals", to); /* of the run that --overwrite-output-dir replaces */
    if (s == ST_OK && !file_exists(to)) warn_of_goals(o, rows);
    free(to);
    buf_release(&from);
    return s;
}

status train_goal_check_tokens(const struct train_options *o, const struct encoder *e, bool embeddings_trained) {
    char *path = file_join(o->output_dir, "goal.json");
    struct goal_tokens tokens;
    status s = goal_tokens_read(&tokens, e, path);
    if (s == ST_OK && tokens.missing)
        log_warn("the goals' token %s is none of %s's, which will read it as several: rapt augment --goal-tokens takes tokens that the "
                 "model has",
                 tokens.missing, o->model);
    else if (s == ST_OK && tokens.count && !embeddings_trained)
        log_info("the embeddings of the goals' tokens stay as they are: --modules-to-save embed_tokens trains them");
    free(tokens.missing);
    free(path);
    return s;
}

bool train_goal_highest(double *out, const char *folder) {
    char *path = file_join(folder, "goal.json");
    struct buf text = {0};
    struct json root, key, count;
    bool found = false;
    if (file_exists(path) && file_read(&text, path) == ST_OK && json_parse(&root, buf_text(&text), text.size) == ST_OK) {
        struct json_iter it = json_iter_begin(json_get(root, "histogram"));
        while (json_iter_next(&it, &key, &count)) {
            char *name = json_text(key), *end = name;
            const double goal = name ? strtod(name, &end) : 0;
            if (end != name && !*end && (!found || goal > *out)) *out = goal, found = true;
            free(name);
        }
    }
    buf_release(&text);
    free(path);
    return found;
}
