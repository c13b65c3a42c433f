/* model: a model with its tokenizer, its adapter and how its goals are asked. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "library/library.h"
#include "model/peft_io.h"

static char *copied(const char *text) { return text ? mem_text(text) : NULL; }

static status check_dtype(const char *name) {
    static const char *const names[] = {"auto", "f32", "bf16", "reference", "int8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return ST_OK;
    return FAIL(ST_USAGE, "dtype expects auto, f32, bf16, int8 or reference, not '%s'", name);
}

/* Defaults in place of what is not given. */
static status read_options(struct rapt_model_options *o, const struct rapt_model_options *given) {
    *o = (struct rapt_model_options)RAPT_MODEL_OPTIONS_INIT;
    TRY(library_options(o, sizeof *o, given, "rapt_model_options"));
    if (!o->dtype) o->dtype = "auto";
    if (!o->max_length) o->max_length = 2048;
    if (!o->batch) o->batch = 8;
    TRY(check_dtype(o->dtype));
    if (o->threads < 0 || o->threads > 1024) return FAIL(ST_USAGE, "threads expects 0 (all) to 1024, not %d", o->threads);
    if (o->max_length < 2 || o->max_length > 1 << 24) return FAIL(ST_USAGE, "max_length expects 2 to 16777216, not %zu", o->max_length);
    if (o->batch > 4096) return FAIL(ST_USAGE, "batch expects 1 to 4096, not %zu", o->batch);
    return ST_OK;
}

static status open_model(struct rapt_model *m, const struct rapt_model_options *o) {
    struct model *model = &m->scorer.model;
    TRY(encoder_open(&m->encoder, m->path));
    TRY(encoder_set_kwargs(&m->encoder, o->chat_kwargs, &(struct kwargs_places){.adapter = m->adapter, .model = m->path}));
    /* auto is here what it is for log-probs: the same numbers whether a model scores or writes */
    TRY(infer_model_open(model, m->path, strcmp(o->dtype, "auto") == 0 ? matmul_kind_name(matmul_kind_auto()) : o->dtype));
    if (model->config.head != HEAD_LM) return FAIL(ST_UNSUPPORTED, "%s is a reward model; rapt_scorer_open takes those", m->path);
    if (m->adapter) {
        TRY(adapter_load(model, m->adapter, false));
        m->scorer.theta = model->params.value;
    }
    m->length = o->max_length < model->config.max_position ? o->max_length : model->config.max_position;
    m->budget = m->length < 2048 ? 2048 : m->length;
    m->batch = o->batch;
    return ST_OK;
}

static void release(struct rapt_model *m) {
    if (m->decodes) decoder_release(&m->decoder);
    scorer_release(&m->scorer);
    if (m->asks) goal_asker_release(&m->asker);
    encoder_release(&m->encoder);
    free(m->path);
    free(m->adapter);
    free(m->goal_style);
    free(m);
}

RAPT_API rapt_status rapt_model_open(struct rapt_model **out, const char *path, const struct rapt_model_options *options) {
    struct rapt_model_options o;
    struct library_turn turn;
    status s = read_options(&o, options);
    if (s == ST_OK) s = library_enter(&turn, o.threads);
    if (s != ST_OK) return (rapt_status)s;
    struct rapt_model *m = mem_zero(1, sizeof *m);
    m->path = mem_text(path);
    m->adapter = copied(o.adapter);
    m->goal_style = copied(o.goal_style);
    m->threads = library_threads(o.threads);
    s = open_model(m, &o);
    if (s == ST_OK)
        *out = m;
    else
        release(m);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API void rapt_model_free(struct rapt_model *m) {
    struct library_turn turn;
    if (!m || library_enter(&turn, m->threads) != ST_OK) return;
    release(m);
    library_leave(&turn);
}

RAPT_API const char *rapt_model_family(const struct rapt_model *m) { return m->scorer.model.config.family->name; }
RAPT_API size_t rapt_model_vocab(const struct rapt_model *m) { return m->scorer.model.config.vocab; }
RAPT_API size_t rapt_model_positions(const struct rapt_model *m) { return m->scorer.model.config.max_position; }

status library_asker(struct rapt_model *m) {
    if (m->asks) return ST_OK;
    TRY(goal_asker_open(&m->asker, m->path, m->adapter, m->goal_style, &m->encoder));
    m->asks = true;
    return ST_OK;
}

status library_one_score(const struct rapt_model *m) {
    if (!m->asker.style.attribute_count) return ST_OK;
    return FAIL(ST_UNSUPPORTED, "the model's goals have several attributes, and this function takes a goal of one score");
}

RAPT_API rapt_status rapt_model_best_goal(double *goal, struct rapt_model *m) {
    struct library_turn turn;
    status s = library_enter(&turn, m->threads);
    if (s != ST_OK) return (rapt_status)s;
    s = library_asker(m);
    if (s == ST_OK) s = library_one_score(m);
    struct goal best;
    if (s == ST_OK) s = goal_asker_parse(&best, &m->asker, "best");
    if (s == ST_OK) *goal = best.value[0];
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API rapt_status rapt_tokenize(int32_t **ids, size_t *count, struct rapt_model *m, const char *text, size_t size, int add_special) {
    struct ids out = {0};
    status s = tokenizer_encode(m->encoder.tokenizer, &out, text, size, add_special != 0); /* thread-safe */
    if (s != ST_OK) {
        ids_release(&out);
        return (rapt_status)s;
    }
    *ids = out.data ? out.data : mem_alloc(1);
    *count = out.count;
    return RAPT_OK;
}

RAPT_API rapt_status rapt_detokenize(char **text, size_t *size, struct rapt_model *m, const int32_t *ids, size_t count, int skip_special) {
    struct buf raw = {0}, clean = {0};
    const int32_t vocab = tokenizer_vocab_size(m->encoder.tokenizer);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return (rapt_status)FAIL(ST_MISMATCH, "token id %d is outside the vocabulary of %d", ids[i], vocab);
    tokenizer_decode(m->encoder.tokenizer, &raw, ids, count, skip_special != 0);
    utf8_put_clean(&clean, buf_text(&raw), raw.size);
    buf_release(&raw);
    *text = clean.data ? clean.data : mem_text("");
    if (size) *size = clean.size;
    return RAPT_OK;
}
