/* score: a reward model's raw scores, through the row of reward_table that rapt score --source reward-model takes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/library.h"
#include "reward/reward.h"

struct rapt_scorer {
    struct reward reward;
    int threads;
};

static status read_options(struct rapt_model_options *o, const struct rapt_model_options *given) {
    *o = (struct rapt_model_options)RAPT_MODEL_OPTIONS_INIT;
    TRY(library_options(o, sizeof *o, given, "rapt_model_options"));
    if (o->goal_style || o->chat_kwargs || o->batch)
        return FAIL(ST_USAGE, "goal_style, chat_kwargs and batch have no effect on a reward model");
    if (!o->dtype) o->dtype = "auto";
    if (strcmp(o->dtype, "auto") != 0 && strcmp(o->dtype, "reference") != 0 && strcmp(o->dtype, "bf16") != 0 &&
        strcmp(o->dtype, "f32") != 0)
        return FAIL(ST_USAGE, "dtype expects auto, f32, bf16 or reference for a reward model, not '%s'", o->dtype);
    if (!o->max_length) o->max_length = 2048;
    if (o->max_length < 16 || o->max_length > 1 << 22) return FAIL(ST_USAGE, "max_length expects 16 to 4194304, not %zu", o->max_length);
    if (o->threads < 0 || o->threads > 1024) return FAIL(ST_USAGE, "threads expects 0 (all) to 1024, not %d", o->threads);
    return ST_OK;
}

RAPT_API rapt_status rapt_scorer_open(struct rapt_scorer **out, const char *path, const struct rapt_model_options *options) {
    struct rapt_model_options o;
    struct library_turn turn;
    status s = read_options(&o, options);
    if (s == ST_OK) s = library_enter(&turn, o.threads);
    if (s != ST_OK) return (rapt_status)s;
    const struct reward_options reward = {.model = path, .adapter = o.adapter, .kind = matmul_kind_parse(o.dtype), .budget = o.max_length};
    struct rapt_scorer *scorer = mem_zero(1, sizeof *scorer);
    scorer->threads = library_threads(o.threads);
    s = reward_open(&scorer->reward, reward_find("reward-model"), &reward);
    if (s == ST_OK)
        *out = scorer;
    else
        free(scorer);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API void rapt_scorer_free(struct rapt_scorer *s) {
    struct library_turn turn;
    if (!s || library_enter(&turn, s->threads) != ST_OK) return;
    reward_release(&s->reward);
    free(s);
    library_leave(&turn);
}

/* The row as rapt score would read it: a prompt and K responses. */
static status read_row(struct record *record, struct buf *row, const struct rapt_prompt *prompt, const char *const *responses,
                       size_t count) {
    struct rapt_prompt own;
    struct buf more = {0};
    TRY(library_prompt_read(&own, prompt));
    if (!isnan(own.goal)) return FAIL(ST_USAGE, "a reward model sees the prompt without a goal");
    if (own.system) return FAIL(ST_USAGE, "a system text of a prompt that is scored stands in its messages");
    if (own.raw) return FAIL(ST_USAGE, "raw has no effect on a reward model");
    buf_append_text(&more, ", \"responses\": [");
    for (size_t i = 0; i < count; i++) {
        buf_append_text(&more, i ? ", {\"text\": " : "{\"text\": ");
        json_put_text(&more, responses[i]);
        buf_append_char(&more, '}');
    }
    buf_append_char(&more, ']');
    status s = library_prompt_record(record, row, &own, buf_text(&more));
    buf_release(&more);
    return s;
}

/* Rows of text are conversations to a reward model with a chat template. */
RAPT_API rapt_status rapt_score(struct rapt_scorer *scorer, double *out, const struct rapt_prompt *prompt, const char *const *responses,
                                size_t count) {
    struct library_turn turn;
    struct record record = {0};
    struct buf row = {0};
    struct reward_values values = {0};
    struct reward *r = &scorer->reward;
    status s = library_enter(&turn, scorer->threads);
    if (s != ST_OK) return (rapt_status)s;
    if (count) {
        s = read_row(&record, &row, prompt, responses, count);
        if (s == ST_OK) s = r->source->score(r, &values, &record);
        if (s == ST_OK) s = r->source->flush(r, &values);
        const size_t width = 1 + r->name_count;
        if (s == ST_OK) CHECK(values.count == count * width);
        for (size_t i = 0; s == ST_OK && i < count; i++) out[i] = values.items[i * width];
    }
    reward_values_release(&values);
    record_release(&record);
    buf_release(&row);
    library_leave(&turn);
    return (rapt_status)s;
}
