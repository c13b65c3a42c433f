#include "train/goal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "data/goal_tokens.h"

status train_goal_copy(const struct train_options *o) {
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
