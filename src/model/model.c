#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/pages.h"
#include "model/pissa.h"
#include "model/reward_head.h"
#include "num/rope.h"

/* What a role's tensor looks like. */
static void role_shape(size_t *rows, size_t *cols, const struct model_config *c, enum tensor_role role) {
    const size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const size_t shapes[TENSOR_ROLES][2] = {
        [TENSOR_NORM1] = {1, c->hidden},
        [TENSOR_Q] = {q, c->hidden},
        [TENSOR_K] = {kv, c->hidden},
        [TENSOR_V] = {kv, c->hidden},
        [TENSOR_O] = {c->hidden, q},
        [TENSOR_NORM2] = {1, c->hidden},
        [TENSOR_GATE] = {c->ffn, c->hidden},
        [TENSOR_UP] = {c->ffn, c->hidden},
        [TENSOR_DOWN] = {c->hidden, c->ffn},
        [TENSOR_Q_NORM] = {1, c->head_dim},
        [TENSOR_K_NORM] = {1, c->head_dim},
        [TENSOR_POST1] = {1, c->hidden},
        [TENSOR_POST2] = {1, c->hidden},
        [TENSOR_QKV] = {q + 2 * kv, c->hidden},
        [TENSOR_GATE_UP] = {2 * c->ffn, c->hidden},
        [TENSOR_EMBED] = {c->vocab, c->hidden},
        [TENSOR_NORM] = {1, c->hidden},
        [TENSOR_HEAD] = {c->vocab, c->hidden},
        [TENSOR_SCORE] = {c->labels, c->hidden},
        [TENSOR_REGRESSION] = {c->labels, c->hidden},
    };
    *rows = shapes[role][0];
    *cols = shapes[role][1];
}

static status view_of(struct tensor_view *v, const struct model *m, enum tensor_role role, size_t layer) {
    size_t rows, cols;
    role_shape(&rows, &cols, &m->config, role);
    return checkpoint_tensor(v, &m->checkpoint, role, layer, rows, cols);
}

static void linear_describe(struct linear *l, const struct model_config *c, size_t layer, const enum tensor_role *roles, size_t count) {
    *l = (struct linear){
        .layer = layer, .part_count = count, .w_offset = LINEAR_FROZEN, .bias_offset = LINEAR_FROZEN, .saved_offset = LINEAR_FROZEN};
    for (size_t i = 0; i < count; i++) {
        size_t rows, cols;
        role_shape(&rows, &cols, c, roles[i]);
        l->part[i] = (struct linear_part){.role = roles[i], .row = l->out, .rows = rows};
        l->out += rows;
        l->in = cols;
    }
}

static size_t add_named(struct model *m, enum tensor_role role, size_t layer, const char *suffix, size_t rows, size_t cols) {
    char base[TENSOR_NAME_SIZE], name[TENSOR_NAME_SIZE + 8];
    family_tensor_name(base, m->config.family, role, layer, false);
    snprintf(name, sizeof name, "%s.%s", base, suffix);
    return params_add(&m->params, name, rows, cols, rows == 1 && role != TENSOR_SCORE);
}

static size_t add_param(struct model *m, enum tensor_role role, size_t layer) {
    size_t rows, cols;
    role_shape(&rows, &cols, &m->config, role);
    return add_named(m, role, layer, "weight", rows, cols);
}

bool model_norm_at(struct model_norm *out, const struct model_config *c, struct model_layer *l, size_t i) {
    const struct model_norm all[] = {
        {TENSOR_NORM1, &l->norm1, &l->norm1_offset, c->hidden},      {TENSOR_NORM2, &l->norm2, &l->norm2_offset, c->hidden},
        {TENSOR_Q_NORM, &l->q_norm, &l->q_norm_offset, c->head_dim}, {TENSOR_K_NORM, &l->k_norm, &l->k_norm_offset, c->head_dim},
        {TENSOR_POST1, &l->post1, &l->post1_offset, c->hidden},      {TENSOR_POST2, &l->post2, &l->post2_offset, c->hidden},
    };
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        const bool heads = all[k].role == TENSOR_Q_NORM || all[k].role == TENSOR_K_NORM,
                   post = all[k].role == TENSOR_POST1 || all[k].role == TENSOR_POST2;
        if ((heads && !c->qk_norm) || (post && !c->family->gemma)) continue;
        *out = all[k];
        if (i-- == 0) return true;
    }
    return false;
}

static void describe_layers(struct model *m) {
    static const enum tensor_role qkv[] = {TENSOR_Q, TENSOR_K, TENSOR_V}, o[] = {TENSOR_O}, gate_up[] = {TENSOR_GATE, TENSOR_UP},
                                  down[] = {TENSOR_DOWN}, head[] = {TENSOR_HEAD}, fused_qkv[] = {TENSOR_QKV},
                                  fused_gate_up[] = {TENSOR_GATE_UP};
    const bool fused = m->config.family->fused;
    for (size_t i = 0; i < m->config.layers; i++) {
        struct model_layer *l = &m->layers[i];
        linear_describe(&l->qkv, &m->config, i, fused ? fused_qkv : qkv, fused ? 1 : 3);
        linear_describe(&l->o, &m->config, i, o, 1);
        linear_describe(&l->gate_up, &m->config, i, fused ? fused_gate_up : gate_up, fused ? 1 : 2);
        linear_describe(&l->down, &m->config, i, down, 1);
        l->qkv.biased = m->config.qkv_bias;
        l->o.biased = m->config.o_bias;
        struct model_norm norm;
        for (size_t k = 0; model_norm_at(&norm, &m->config, l, k); k++) *norm.offset = LINEAR_FROZEN;
    }
    linear_describe(&m->head, &m->config, 0, head, m->config.head == HEAD_LM ? 1 : 0);
    m->norm_offset = m->embed_offset = m->score_offset = LINEAR_FROZEN;
}

static void add_linear_params(struct linear *l, void *context) {
    struct model *m = context;
    for (size_t i = 0; i < l->part_count; i++) { /* parts follow each other, so the fused matrix is contiguous */
        size_t offset = add_param(m, l->part[i].role, l->layer);
        if (i == 0) l->w_offset = offset;
    }
    for (size_t i = 0; i < l->part_count && l->biased; i++) {
        size_t offset = add_named(m, l->part[i].role, l->layer, "bias", 1, l->part[i].rows);
        if (i == 0) l->bias_offset = offset;
    }
}

void model_each_linear(struct model *m, void (*visit)(struct linear *l, void *context), void *context) {
    for (size_t i = 0; i < m->config.layers; i++) {
        visit(&m->layers[i].qkv, context);
        visit(&m->layers[i].o, context);
        visit(&m->layers[i].gate_up, context);
        visit(&m->layers[i].down, context);
    }
}

/* Lays the parameter vector of full training out. */
static status plan_full(struct model *m) {
    m->embed_offset = add_param(m, TENSOR_EMBED, 0);
    for (size_t i = 0; i < m->config.layers; i++) {
        struct model_layer *l = &m->layers[i];
        struct model_norm norm;
        for (size_t k = 0; model_norm_at(&norm, &m->config, l, k); k++) *norm.offset = add_param(m, norm.role, i);
        add_linear_params(&l->qkv, m);
        add_linear_params(&l->o, m);
        add_linear_params(&l->gate_up, m);
        add_linear_params(&l->down, m);
    }
    m->norm_offset = add_param(m, TENSOR_NORM, 0);
    if (m->config.head != HEAD_LM)
        m->score_offset = add_param(m, TENSOR_SCORE, 0);
    else if (m->config.tied)
        m->head.w_offset = m->embed_offset;
    else
        m->head.w_offset = add_param(m, TENSOR_HEAD, 0);
    return params_allocate(&m->params, true);
}

static status load_bias(struct linear *l, struct model *m) {
    if (!l->biased) return ST_OK;
    if (l->bias_offset != LINEAR_FROZEN)
        l->bias = m->params.value + l->bias_offset;
    else
        TRY(arena_try_take(&m->packed, &l->bias, l->out, sizeof(float), "biases"));
    for (size_t i = 0; i < l->part_count; i++)
        TRY(checkpoint_bias(l->bias + l->part[i].row, &m->checkpoint, l->part[i].role, l->layer, l->part[i].rows));
    return ST_OK;
}

const char *const model_storage_names[STORAGE_KINDS] = {"packed", "as in the file"};

const char *model_storage_name(const struct model *m) {
    return m->use == MODEL_FULL && m->storage != STORAGE_PACKED ? "in fp32" : model_storage_names[m->storage];
}

/* Is l packed anew by each product, from its file? */
static bool is_stored(const struct model *m, const struct linear *l) {
    if (m->pissa && l->u_width) return false; /* the file has not what is left of it */
    return m->use != MODEL_FULL && m->storage == STORAGE_FILE;
}

/* From what is trained. */
static bool is_live(const struct model *m) { return m->use == MODEL_FULL && m->storage == STORAGE_FILE && matmul_packs_tiles(m->kind); }

static status linear_view(struct tensor_view *v, const struct model *m, const struct linear *l, size_t part) {
    const enum tensor_role role = l->part[part].role;
    return view_of(v, m, role == TENSOR_HEAD && m->config.tied ? TENSOR_EMBED : role, l->layer);
}

/* Bytes of l as num/qdot packs it; 0: it takes the ordinary products. */
static size_t int8_bytes(const struct model *m, const struct linear *l) {
    size_t sum = 0;
    for (size_t i = 0; m->int8 && i < l->part_count; i++) {
        struct tensor_view v;
        const size_t bytes = linear_view(&v, m, l, i) == ST_OK ? qdot_bytes(v.type, v.rows, v.cols) : 0;
        if (!bytes) return 0;
        sum += bytes;
    }
    return sum;
}

static enum matmul_kind kind_of(const struct model *m) { return m->int8 ? matmul_kind_auto() : m->kind; }

static const void *stored_row(const void *source, size_t r) {
    const struct tensor_view *v = source;
    return v->data + gguf_row_of(r, v->rows, v->heads) * v->row_bytes;
}

static status load_int8(struct linear *l, struct model *m) {
    for (size_t i = 0; i < l->part_count; i++) {
        struct tensor_view v;
        void *memory;
        TRY(linear_view(&v, m, l, i));
        TRY(arena_try_take(&m->packed, &memory, qdot_bytes(v.type, v.rows, v.cols), 1, "packed weight"));
        qdot_pack(&l->int8[i], memory, v.type, stored_row, &v, v.rows, v.cols);
    }
    matmul_weight_init_int8(&l->w, l->int8, l->part_count, l->out, l->in);
    return load_bias(l, m);
}

static status load_stored(struct linear *l, struct model *m) {
    for (size_t i = 0; i < l->part_count; i++) TRY(linear_view(&l->stored[i], m, l, i));
    TRY(load_bias(l, m));
    return matmul_weight_init_stored(&l->w, kind_of(m), linear_stored_rows, l, l->out, l->in, l != &m->head);
}

/* Reads the parts of l into plain [out, in] and prepares the product. */
static status load_linear(struct linear *l, struct model *m, float *scratch) {
    float *plain = scratch;
    if (int8_bytes(m, l)) return load_int8(l, m);
    if (is_stored(m, l)) return load_stored(l, m);
    if (m->use == MODEL_FULL) {
        plain = m->params.value + l->w_offset;
    } else if (kind_of(m) != MATMUL_BF16) {
        TRY(mem_try_whole(&l->owned, l->out * l->in, sizeof(float), "weights"));
        plain = l->owned;
    }
    for (size_t i = 0; i < l->part_count; i++) {
        struct tensor_view v;
        TRY(linear_view(&v, m, l, i));
        tensor_view_rows(plain + l->part[i].row * l->in, &v);
    }
    if (m->pissa && l->u_width) TRY(pissa_split(plain, m, l));
    TRY(load_bias(l, m));
    if (is_live(m)) return matmul_weight_init_live(&l->w, m->kind, plain, l->out, l->in, l != &m->head);
    return matmul_weight_init(&l->w, &m->packed, kind_of(m), plain, l->out, l->in, m->use != MODEL_INFER);
}

float model_norm_shift(const struct model_config *c) { return c->family->gemma ? 1.0f : 0.0f; }

/* frozen: where the next norm that is not trained goes. */
static status load_norm(float **out, float **frozen, struct model *m, enum tensor_role role, size_t layer, size_t offset) {
    struct tensor_view v;
    TRY(view_of(&v, m, role, layer));
    *out = offset == LINEAR_FROZEN ? *frozen : m->params.value + offset;
    if (offset == LINEAR_FROZEN) *frozen += v.cols;
    tensor_view_row(*out, &v, 0);
    const float shift = m->checkpoint.is_gguf ? 0 : model_norm_shift(&m->config);
    for (size_t i = 0; shift != 0 && i < v.cols; i++) (*out)[i] += shift;
    return ST_OK;
}

static status load_weights(struct model *m, float *scratch) {
    float *frozen = m->norms;
    for (size_t i = 0; i < m->config.layers; i++) {
        struct model_layer *l = &m->layers[i];
        struct model_norm norm;
        for (size_t k = 0; model_norm_at(&norm, &m->config, l, k); k++) TRY(load_norm(norm.weight, &frozen, m, norm.role, i, *norm.offset));
        TRY(load_linear(&l->qkv, m, scratch));
        TRY(load_linear(&l->o, m, scratch));
        TRY(load_linear(&l->gate_up, m, scratch));
        TRY(load_linear(&l->down, m, scratch));
    }
    TRY(load_norm(&m->norm, &frozen, m, TENSOR_NORM, 0, m->norm_offset));
    TRY(view_of(&m->embed_view, m, TENSOR_EMBED, 0));
    if (m->use == MODEL_FULL) tensor_view_rows(m->params.value + m->embed_offset, &m->embed_view);
    if (m->config.head != HEAD_LM) return reward_head_load(m);
    TRY(view_of(&m->head_view, m, m->config.tied ? TENSOR_EMBED : TENSOR_HEAD, 0));
    return load_linear(&m->head, m, scratch);
}

struct packed_sum {
    const struct model *m;
    size_t bytes, largest; /* of the arena; elements of the largest weight that passes through scratch */
};
static void add_packed(struct linear *l, void *context) {
    struct packed_sum *s = context;
    const size_t int8 = int8_bytes(s->m, l);
    s->bytes += l->out * sizeof(float) + 256 + int8;
    if (int8 || is_stored(s->m, l) || is_live(s->m)) return;
    s->bytes += matmul_weight_bytes(kind_of(s->m), l->out, l->in, s->m->use != MODEL_INFER);
    if (l->out * l->in > s->largest) s->largest = l->out * l->in;
}

static status load(struct model *m) {
    const struct model_config *c = &m->config;
    TRY(checkpoint_check(&m->checkpoint));
    TRY(mem_try_alloc(&m->norms, (4 * c->layers + 1) * c->hidden + 2 * c->layers * c->head_dim, sizeof(float), "norm weights"));
    struct packed_sum sum = {.m = m};
    model_each_linear(m, add_packed, &sum);
    add_packed(&m->head, &sum);
    float *scratch = NULL;
    m->packed.block_size = sum.bytes; /* one block: it lies on large pages */
    if (kind_of(m) == MATMUL_BF16 && m->use != MODEL_FULL && sum.largest)
        TRY(mem_try_alloc(&scratch, sum.largest, sizeof(float), "weight conversion"));
    status s = load_weights(m, scratch);
    checkpoint_drop_pages(&m->checkpoint);
    free(scratch);
    return s;
}

/* One linear of the layers will do: others take ordinary products beside it. */
static void settle_int8(struct model *m) {
    bool any = false;
    CHECK(m->use == MODEL_INFER);
    m->int8 = true;
    for (size_t i = 0; i < m->config.layers; i++) {
        const struct model_layer *l = &m->layers[i];
        any = any || int8_bytes(m, &l->qkv) || int8_bytes(m, &l->o) || int8_bytes(m, &l->gate_up) || int8_bytes(m, &l->down);
    }
    m->int8 = any;
    m->kind = any ? MATMUL_F32 : matmul_kind_auto();
}

/* labels: of a new reward head where the checkpoint has none; 0 = the model as it is. */
static status describe(struct model *m, const char *path, enum matmul_kind kind, enum model_use use, size_t labels) {
    *m = (struct model){.kind = kind, .use = use};
    TRY(checkpoint_open(&m->checkpoint, path));
    m->config = m->checkpoint.config;
    if (labels) model_config_as_scorer(&m->config, labels);
    status s = mem_try_alloc(&m->layers, m->config.layers, sizeof *m->layers, "layers");
    if (s == ST_OK) {
        describe_layers(m);
        if (kind == MATMUL_INT8) settle_int8(m);
        if (m->use == MODEL_FULL) s = plan_full(m);
    }
    if (s != ST_OK) model_release(m);
    return s;
}

status model_describe(struct model *m, const char *path, enum matmul_kind kind, enum model_use use) {
    return describe(m, path, kind, use, 0);
}

status model_describe_scorer(struct model *m, const char *path, enum matmul_kind kind, enum model_use use, size_t labels) {
    return describe(m, path, kind, use, labels);
}

status model_load(struct model *m) {
    status s = load(m);
    if (s != ST_OK) model_release(m);
    return s;
}

status model_open(struct model *m, const char *path, enum matmul_kind kind, enum model_use use) {
    TRY(model_describe(m, path, kind, use));
    m->storage = model_storage_within(m, model_memory_auto());
    return model_load(m);
}

static void release_linear(struct linear *l, void *context) {
    (void)context;
    free(l->owned);
}

status model_share(struct model *out, const struct model *base) {
    CHECK(base->use == MODEL_INFER && !base->params.size && base->config.head == HEAD_LM);
    struct model_layer *layers;
    TRY(mem_try_alloc(&layers, base->config.layers, sizeof *layers, "layers"));
    memcpy(layers, base->layers, base->config.layers * sizeof *layers);
    *out = *base;
    out->layers = layers;
    out->shared = true;
    return ST_OK;
}

static void release_shared(struct model *m) {
    arena_release(&m->adapter);
    params_release(&m->params);
    free(m->layers);
    *m = (struct model){0};
}

void model_release(struct model *m) {
    if (m->shared) {
        release_shared(m);
        return;
    }
    if (m->layers) {
        model_each_linear(m, release_linear, NULL);
        release_linear(&m->head, NULL);
    }
    arena_release(&m->packed);
    arena_release(&m->adapter);
    reward_head_release(m);
    free(m->layers);
    free(m->norms);
    free(m->rope);
    free(m->rope_local);
    free(m->rope_long);
    params_release(&m->params);
    checkpoint_release(&m->checkpoint);
    *m = (struct model){0};
}

static status make_rope(float **table, const struct rope_config *r, const struct model_config *c, size_t count, bool longer) {
    float frequency[ROPE_PAIRS_MAX];
    free(*table);
    *table = NULL;
    TRY(mem_try_alloc(table, count, c->rotary * sizeof(float), "rotation table"));
    const float factor = rope_config_frequencies(frequency, r, c->rotary, longer);
    rope_table(*table, frequency, factor, count, c->rotary);
    return ST_OK;
}

status model_need_positions(struct model *m, size_t count) {
    if (count <= m->rope_positions) return ST_OK;
    CHECK(!m->shared);
    if (count > m->config.max_position)
        return FAIL(ST_UNSUPPORTED, "sequences of %zu tokens are longer than the model's %zu positions; lower --max-length", count,
                    m->config.max_position);
    const struct model_config *c = &m->config;
    m->rope_positions = 0;
    TRY(make_rope(&m->rope, &c->rope, c, count, false));
    if (c->family->local_rope_base > 0) TRY(make_rope(&m->rope_local, &c->local_rope, c, count, false));
    if (c->rope.kind == ROPE_LONG && count > c->rope.original_max_position) TRY(make_rope(&m->rope_long, &c->rope, c, count, true));
    m->rope_positions = count;
    return ST_OK;
}

const float *model_rope(const struct model *m, size_t layer, size_t longest) {
    if (m->config.no_rope[layer]) return NULL;
    if (m->rope_local && m->config.local[layer]) return m->rope_local;
    return m->config.rope.kind == ROPE_LONG && longest > m->config.rope.original_max_position ? m->rope_long : m->rope;
}

void model_changed(struct model *m) { m->version++; }

struct bind {
    struct model *m;
    const float *theta;
    status result;
};
static void bind_linear(struct linear *l, void *context) {
    struct bind *b = context;
    if (b->result == ST_OK) b->result = linear_bind(l, b->theta, b->m->products);
}

status model_bind(struct model *m, const float *theta) {
    struct bind b = {m, theta, ST_OK};
    if (!theta || (m->bound == theta && m->bound_version == m->version)) return ST_OK;
    if (m->dora) model_each_linear(m, bind_linear, &b);
    if (m->config.head == HEAD_LM) bind_linear(&m->head, &b);
    m->bound = theta;
    m->bound_version = m->version;
    return b.result;
}

void model_embedding_row(float *out, const struct model *m, const float *theta, int32_t id) {
    const size_t c = m->config.hidden;
    const float *values = m->use == MODEL_FULL ? m->params.value : theta;
    if (m->embed_offset != LINEAR_FROZEN && values)
        memcpy(out, values + m->embed_offset + (size_t)id * c, c * sizeof(float));
    else
        tensor_view_row(out, &m->embed_view, (size_t)id);
}

void model_head_row(float *out, const struct model *m, int32_t id) {
    const size_t c = m->config.hidden;
    if (m->head.w_offset != LINEAR_FROZEN)
        memcpy(out, m->params.value + m->head.w_offset + (size_t)id * c, c * sizeof(float));
    else
        tensor_view_row(out, &m->head_view, (size_t)id);
}

float *model_grad_at(const struct model *m, size_t offset) { return offset == LINEAR_FROZEN ? NULL : m->params.grad + offset; }

struct refresh {
    struct model *m;
    status result;
};
static void refresh_linear(struct linear *l, void *context) {
    struct refresh *r = context;
    if (r->result == ST_OK && l->w_offset != LINEAR_FROZEN) r->result = matmul_weight_update(&l->w, r->m->params.value + l->w_offset);
}

status model_refresh(struct model *m) {
    struct refresh r = {m, ST_OK};
    model_each_linear(m, refresh_linear, &r);
    refresh_linear(&m->head, &r);
    return r.result;
}

struct weight_sum {
    const struct model *m;
    size_t bytes, scratch; /* all that stays; the largest scratch that stored weights share */
};
static void add_weight(struct linear *l, void *context) {
    struct weight_sum *s = context;
    const struct model *m = s->m;
    const bool whole = l != &m->head;
    const size_t int8 = int8_bytes(m, l),
                 scratch = is_stored(m, l) || matmul_may_split(kind_of(m)) ? matmul_stored_bytes(kind_of(m), l->out, l->in, whole) : 0;
    if (!int8 && scratch > s->scratch) s->scratch = scratch;
    if (int8 || !is_stored(m, l)) {
        s->bytes += int8                        ? int8
                    : kind_of(m) == MATMUL_BF16 ? matmul_weight_bytes(kind_of(m), l->out, l->in, m->use != MODEL_INFER)
                                                : l->out * l->in * sizeof(float);
        return;
    }
    for (size_t i = 0; i < l->part_count; i++) {
        struct tensor_view v;
        if (linear_view(&v, m, l, i) == ST_OK) s->bytes += v.rows * v.row_bytes;
    }
}

/* What products read beside the parameters. */
static void add_copy(struct linear *l, void *context) {
    struct weight_sum *s = context;
    const size_t live = is_live(s->m) ? matmul_live_bytes(l->out, l->in, l != &s->m->head) : 0;
    if (live > s->scratch) s->scratch = live;
    if (!live) s->bytes += matmul_weight_bytes(s->m->kind, l->out, l->in, true);
}

size_t model_weight_bytes(const struct model *m) {
    struct model *writable = (struct model *)(uintptr_t)m; /* only read */
    struct weight_sum s = {.m = m};
    const bool full = m->use == MODEL_FULL;
    if (full) s.bytes = model_config_parameters(&m->config) * sizeof(float);
    model_each_linear(writable, full ? add_copy : add_weight, &s);
    if (m->config.head == HEAD_LM) (full ? add_copy : add_weight)(&writable->head, &s);
    return s.bytes + s.scratch;
}

size_t model_memory_auto(void) { return pages_physical() / 5 * 4; }

enum model_storage model_storage_within(const struct model *m, size_t bytes) {
    struct model trial = *m;
    for (trial.storage = STORAGE_PACKED; trial.storage + 1 < STORAGE_KINDS; trial.storage++)
        if (model_weight_bytes(&trial) <= bytes) break;
    return trial.storage;
}
