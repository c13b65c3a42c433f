/* reward_model: the head of a reward model over the whole conversation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/reward_head.h"
#include "reward/reward_pack.h"

struct scored_model {
    struct reward_pack pack;
    int64_t pad;
    struct ids mark;        /* where ArmoRM's gate reads; empty for other heads */
    double *weights;        /* [labels] of the score; NULL: the head's own score */
    float *rewards, *gates; /* [labels] */
};

static size_t labels_of(const struct scored_model *x) { return x->pack.scorer.model.config.labels; }

/* The names of config.json's id2label, {"0": NAME, ..}, where it has them. */
static status read_names(char **names, const struct scored_model *x) {
    const struct checkpoint *c = &x->pack.scorer.model.checkpoint;
    struct buf text = {0};
    struct json root;
    char *path = file_join(c->path, "config.json");
    status s = c->is_gguf ? ST_OK : file_read(&text, path);
    if (s == ST_OK && text.size) s = json_parse(&root, buf_text(&text), text.size);
    for (size_t i = 0; s == ST_OK && i < labels_of(x); i++) {
        char key[40];
        snprintf(key, sizeof key, "%zu", i);
        names[i] = text.size ? json_text(json_get(json_get(root, "id2label"), key)) : NULL;
        if (names[i]) continue;
        snprintf(key, sizeof key, "LABEL_%zu", i); /* as transformers names them */
        names[i] = mem_text(key);
    }
    free(path);
    buf_release(&text);
    return s;
}

static status name_attributes(struct reward *r, const struct scored_model *x, const struct reward_options *o) {
    const size_t labels = labels_of(x);
    if (o->attribute_count && o->attribute_count != (labels == 1 ? 0 : labels))
        return FAIL(ST_USAGE, "--attributes: %zu names, and the model's head has %zu %s", o->attribute_count, labels,
                    labels == 1 ? "number, which is the score" : "numbers");
    if (labels == 1) return ST_OK;
    r->names = mem_zero(labels, sizeof *r->names);
    r->name_count = labels;
    if (!o->attribute_count) return read_names(r->names, x);
    for (size_t i = 0; i < labels; i++) r->names[i] = mem_text(o->attributes[i]);
    return ST_OK;
}

static status read_weights(struct scored_model *x, struct buf *setting, const struct reward *r, const struct reward_options *o) {
    if (!o->weight_count) return ST_OK;
    if (!r->name_count) return FAIL(ST_USAGE, "--weights has no effect on a model whose head has one number");
    x->weights = mem_zero(r->name_count, sizeof *x->weights);
    for (size_t i = 0; i < o->weight_count; i++) {
        size_t k = 0;
        while (k < r->name_count && strcmp(r->names[k], o->weights[i].name) != 0) k++;
        if (k == r->name_count) {
            struct buf names = {0};
            for (size_t j = 0; j < r->name_count; j++) buf_printf(&names, "%s%s", j ? ", " : "", r->names[j]);
            status s = FAIL(ST_USAGE, "--weights: the model has no attribute '%s'; it has %s", o->weights[i].name, buf_text(&names));
            buf_release(&names);
            return s;
        }
        x->weights[k] += o->weights[i].weight;
        buf_printf(setting, ", %s %.9g", r->names[k], o->weights[i].weight);
    }
    return ST_OK;
}

/* A head that an adapter brings was trained with this padding (train); others have theirs in the configuration. */
static status find_ends(struct scored_model *x, const struct reward_options *o) {
    const struct model *m = &x->pack.scorer.model;
    x->pad = m->config.pad;
    if (m->checkpoint.config.head == HEAD_LM) TRY(encoder_padding(&x->pad, &x->pack.encoder, o->model));
    if (m->config.head != HEAD_GATED) return ST_OK;
    return tokenizer_encode(x->pack.encoder.tokenizer, &x->mark, REWARD_HEAD_GATE, strlen(REWARD_HEAD_GATE), false);
}

status reward_model_open(struct reward *r, const struct reward_options *o) {
    struct scored_model *x = mem_zero(1, sizeof *x);
    struct buf setting = {0};
    r->state = x;
    TRY(reward_pack_open(&x->pack, o, true));
    TRY(find_ends(x, o));
    TRY(name_attributes(r, x, o));
    buf_append_text(&setting, r->source->name);
    status s = read_weights(x, &setting, r, o);
    r->setting = setting.data;
    TRY(s);
    TRY(mem_try_alloc(&x->rewards, labels_of(x), sizeof *x->rewards, "rewards"));
    return mem_try_alloc(&x->gates, labels_of(x), sizeof *x->gates, "rewards");
}

void reward_model_release(struct reward *r) {
    struct scored_model *x = r->state;
    reward_pack_release(&x->pack);
    ids_release(&x->mark);
    free(x->weights);
    free(x->rewards);
    free(x->gates);
    free(x);
}

static status put_scores(struct reward_values *out, struct scored_model *x, const int32_t *entry, size_t pools, size_t n) {
    const size_t labels = labels_of(x);
    for (size_t i = 0; i < n; i++) {
        double score;
        TRY(reward_head_read(&score, x->rewards, x->gates, &x->pack.scorer.run, x->pack.scorer.theta, entry[i * pools],
                             entry[i * pools + pools - 1]));
        if (x->weights) score = 0;
        for (size_t k = 0; x->weights && k < labels; k++) score += x->weights[k] * (double)x->rewards[k];
        reward_values_add(out, score);
        for (size_t k = 0; labels > 1 && k < labels; k++) reward_values_add(out, (double)x->rewards[k]);
    }
    return ST_OK;
}

static status compute(struct scored_model *x, struct reward_values *out, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX], pool[2 * REWARD_PACK_MAX], entry[2 * REWARD_PACK_MAX];
    const size_t pools = x->mark.count ? 2 : 1;
    struct scorer *s = &x->pack.scorer;
    for (size_t n; (n = reward_pack_next(ids, sizes, from, &x->pack, all)) > 0; reward_pack_drop(&x->pack, n)) {
        for (size_t i = 0; i < n; i++) {
            pool[i * pools] = reward_head_last(ids[i], sizes[i], x->pad);
            if (pools == 2) pool[i * pools + 1] = reward_head_gate(ids[i], sizes[i], x->mark.data, (int32_t)x->mark.count);
        }
        TRY(seqtree_build_pooled(&s->tree, ids, sizes, pool, (int32_t)pools, (int32_t)n, true));
        TRY(run_forward(&s->run, &s->tree, s->theta, false));
        for (int32_t i = 0; i < s->tree.score_count; i++) {
            const struct seqtree_score *e = &s->tree.scores[i];
            entry[(size_t)e->sequence * pools + (size_t)e->target] = i;
        }
        TRY(put_scores(out, x, entry, pools, n));
    }
    return ST_OK;
}

status reward_model_score(struct reward *r, struct reward_values *out, const struct record *row) {
    struct scored_model *x = r->state;
    const size_t before = x->pack.count;
    TRY(reward_pack_take(&x->pack, row));
    for (size_t i = before; i < x->pack.count && x->mark.count; i++) {
        const struct pack_sequence *s = &x->pack.items[i];
        if (reward_head_gate(x->pack.ids.data + s->at, s->size, x->mark.data, (int32_t)x->mark.count) >= 0) continue;
        reward_pack_undo(&x->pack, x->pack.count - before);
        return FAIL(ST_FORMAT, "response %zu: its conversation has no assistant's turn as the model's gate looks for it", i - before + 1);
    }
    return compute(x, out, false);
}

status reward_model_flush(struct reward *r, struct reward_values *out) {
    struct scored_model *x = r->state;
    const status s = compute(x, out, true);
    if (s != ST_OK) reward_pack_undo(&x->pack, x->pack.count);
    return s;
}
