/* A Hugging Face folder. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "export/export.h"
#include "model/export_io.h"
#include "model/peft_io.h"
#include "text/goal.h"
#include "text/tokenizer.h"

static enum dtype storage(const char *name) {
    return strcmp(name, "f32") == 0 ? DTYPE_F32 : strcmp(name, "f16") == 0 ? DTYPE_F16 : DTYPE_BF16;
}

/* The goal block travels with the weights that were trained under it. */
static status write_goal(const struct export_request *r) {
    struct buf text = {0};
    status s = goal_text_find(&text, r->adapter, r->model);
    if (s == ST_OK && text.size) {
        char *to = file_join(r->output, "goal.json");
        s = file_write(to, text.data, text.size);
        free(to);
    }
    buf_release(&text);
    return s;
}

/* baked: a chat template in place of the model's own, or empty. */
static status write_tokenizer(const struct export_request *r, const struct buf *baked) {
    struct tokenizer *t = NULL;
    if (tokenizer_open(&t, r->model) != ST_OK) {
        log_warn("no tokenizer written: %s", status_message());
        return ST_OK; /* the weights are there, and the warning says what is not */
    }
    if (baked->size) tokenizer_set_chat_template(t, buf_text(baked));
    status s = tokenizer_save(t, r->output);
    tokenizer_free(t);
    return s;
}

status export_hf_run(const struct export_request *r) {
    struct model m;
    if (file_is_dir(r->model) && strcmp(r->model, r->output) == 0) return FAIL(ST_USAGE, "--output is the model itself");
    struct buf baked = {0};
    TRY(export_bake(&baked, r));
    status s = adapter_open_to_copy(&m, r->model, r->adapter);
    if (s != ST_OK) {
        buf_release(&baked);
        return s;
    }
    s = file_make_dirs(r->output);
    if (s == ST_OK) s = export_hf(&m, r->adapter ? m.params.value : NULL, r->output, storage(r->dtype));
    model_release(&m);
    if (s == ST_OK) s = write_tokenizer(r, &baked);
    if (s == ST_OK) s = write_goal(r);
    buf_release(&baked);
    return s;
}
