#include "model/run.h"

#include <string.h>

#include "base/buf.h"
#include "model/block.h"
#include "model/heads.h"
#include "model/reward_head.h"

size_t run_round(size_t t) { return size_round_up(t, MODEL_T_UNIT); }

/* Takes memory for real, or only counts it: one list of buffers serves run_init and run_bytes, so that the printed plan is what happens. */
struct taker {
    struct arena *arena; /* NULL: count only */
    size_t bytes;
    status result;
};

static void take(struct taker *k, void *out, size_t count, size_t size) {
    size_t bytes;
    void *p = NULL;
    if (k->result != ST_OK) return;
    if (!size_mul(&bytes, count, size) || !size_add(&k->bytes, k->bytes, bytes)) {
        k->result = FAIL(ST_NOMEM, "activations: size overflows");
        return;
    }
    if (k->arena) k->result = arena_try_take(k->arena, &p, count, size, "activations");
    memcpy(out, &p, sizeof p);
}

/* Floats a row of what the four linears keep of their adapters. */
struct u_widths {
    size_t qkv, o, gate_up, down;
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static struct u_widths u_widths_of(const struct model_layer *l) {
    return (struct u_widths){linear_kept(&l->qkv), linear_kept(&l->o), linear_kept(&l->gate_up), linear_kept(&l->down)};
}

/* Where layers share their buffers: adapters need not be the same in all of them. */
static struct u_widths u_widths_most(const struct model *m) {
    struct u_widths most = {0};
    for (size_t i = 0; i < m->config.layers; i++) {
        const struct u_widths n = u_widths_of(&m->layers[i]);
        most = (struct u_widths){larger(most.qkv, n.qkv), larger(most.o, n.o), larger(most.gate_up, n.gate_up), larger(most.down, n.down)};
    }
    return most;
}

/* The first so many layers are run again in backward. */
static size_t recomputed(const struct run *r) {
    const size_t layers = r->m->config.layers, asked = r->plan.train ? r->plan.recompute_layers : 0;
    return asked < layers ? asked : layers;
}

/* The fp32 forms of rows, which are kept themselves or were taken for all layers; and their bf16 forms. */
static void take_kept(struct taker *k, struct kept *x, const struct kept *all, size_t count) {
    if (!all) {
        take(k, &x->f, count, sizeof(float));
        return;
    }
    x->f = all->f;
    take(k, &x->h, count + GEMM_TILES_K, sizeof(uint16_t));
}

/* working: has the fp32 forms where bf16 is kept; else NULL. */
static void take_layer(struct taker *k, struct layer_acts *a, const struct layer_acts *working, const struct model *m, size_t layer,
                       struct u_widths widths, size_t t, bool train) {
    const struct model_config *c = &m->config;
    const struct model_layer *l = &m->layers[layer];
    take(k, &a->rstd1, t, sizeof(float));
    take(k, &a->rstd2, t, sizeof(float));
    take(k, &a->qkv, t * l->qkv.out, sizeof(float));
    if (c->qk_norm) take_kept(k, &a->qk_raw, working ? &working->qk_raw : NULL, t * (c->heads + c->kv_heads) * c->head_dim);
    if (c->qk_norm) take(k, &a->qk_rstd, t * (c->heads + c->kv_heads), sizeof(float));
    take_kept(k, &a->attn, working ? &working->attn : NULL, t * l->o.in);
    take(k, &a->lse, t * c->heads, sizeof(float));
    if (c->family->gemma) {
        take_kept(k, &a->o_out, working ? &working->o_out : NULL, t * c->hidden);
        take(k, &a->rstd_post1, t, sizeof(float));
        take_kept(k, &a->down_out, working ? &working->down_out : NULL, t * c->hidden);
        take(k, &a->rstd_post2, t, sizeof(float));
    }
    take_kept(k, &a->mid, working ? &working->mid : NULL, t * c->hidden);
    if (m->kind != MATMUL_BF16)
        take(k, &a->gate_up, t * l->gate_up.out, sizeof(float));
    else if (train)
        take(k, &a->gate_up_half, t * l->gate_up.out + GEMM_TILES_K, sizeof(uint16_t));
    take(k, &a->u_qkv, t * widths.qkv, sizeof(float));
    take(k, &a->u_o, t * widths.o, sizeof(float));
    take(k, &a->u_gate_up, t * widths.gate_up, sizeof(float));
    take(k, &a->u_down, t * widths.down, sizeof(float));
}

enum what { WIDEST, KEPT_RANKS, WIDEST_INPUT, WIDEST_OPERAND };

static size_t size_of(const struct linear *l, enum what what) {
    if (what == WIDEST_OPERAND) return larger(gemm_tiles_operand_row(l->in), gemm_tiles_operand_row(l->out));
    return what == WIDEST ? larger(l->in, l->out) : what == KEPT_RANKS ? l->u_width : l->in;
}

static size_t largest_of(const struct model *m, enum what what) {
    size_t most = 0;
    for (size_t i = 0; i < m->config.layers; i++) {
        const struct model_layer *l = &m->layers[i];
        const struct linear *all[] = {&l->qkv, &l->o, &l->gate_up, &l->down};
        for (size_t n = 0; n < 4; n++) most = larger(most, size_of(all[n], what));
    }
    return most;
}

/* The fp32 forms of what layers keep in bf16: heads before their norm are only kept, and the two norms behind projections see one after the
 * other. */
static void take_working(struct taker *k, struct layer_acts *a, const struct model *m, size_t t) {
    take(k, &a->x.f, t * m->config.hidden, sizeof(float));
    take(k, &a->attn.f, t * m->layers[0].o.in, sizeof(float));
    take(k, &a->mid.f, t * m->config.hidden, sizeof(float));
    if (m->config.family->gemma) take(k, &a->o_out.f, t * m->config.hidden, sizeof(float));
    a->down_out = a->o_out;
}

static void take_layers(struct taker *k, struct run *r, size_t t) {
    const struct model *m = r->m;
    const size_t again = recomputed(r), x = t * m->config.hidden;
    const bool train = r->plan.train, halves = train && m->kind == MATMUL_BF16 && again < m->config.layers;
    struct layer_acts working = {0}, shared = {0};
    take(k, &r->layers, m->config.layers, sizeof *r->layers);
    if (halves) take_working(k, &working, m, t);
    if (again || !train) take_layer(k, &shared, NULL, m, 0, u_widths_most(m), t, train);
    if (!train) take(k, &shared.x.f, x, sizeof(float));
    for (size_t i = 0; i < m->config.layers; i++) {
        struct layer_acts counted = {0}, *a = r->layers ? &r->layers[i] : &counted;
        const bool exact = i < again || !halves; /* a layer that is computed again starts from what it had */
        if (i < again || !train)
            *a = shared;
        else
            take_layer(k, a, halves ? &working : NULL, m, i, u_widths_of(&m->layers[i]), t, train);
        if (train) take_kept(k, &a->x, exact ? NULL : &working.x, x);
    }
}

/* linear_kept of the part of the head that is worked on at a time. */
static size_t head_kept(const struct run *r) { return r->m->head.u_width + (r->m->head.dora ? r->panel : 0); }

static void take_head(struct taker *k, struct run *r) {
    const struct model_config *c = &r->m->config;
    const bool frozen = c->head == HEAD_LM && r->m->head.w_offset == LINEAR_FROZEN && !heads_adapted(r->m);
    const size_t s = run_round(r->plan.scored),
                 behind = s + larger(RUN_UNIT_MOST, r->plan.logits); /* so many may be read behind the last row */
    take(k, &r->slot_node, s, sizeof(int32_t));
    take(k, &r->score_slot, s, sizeof(int32_t));
    take(k, &r->argmax, s, sizeof(int32_t));
    take(k, &r->logp, s, sizeof(float));
    take(k, &r->lse, s, sizeof(float));
    take(k, &r->entropy, s, sizeof(float));
    take(k, &r->mean_logit, s, sizeof(float));
    if (r->plan.squares) take(k, &r->log_squares, s, sizeof(float));
    take(k, &r->rstd, s, sizeof(float));
    take(k, &r->row, c->hidden, sizeof(float));
    take(k, &r->hs, behind * c->hidden, sizeof(float));
    take(k, &r->hn, behind * c->hidden, sizeof(float));
    if (r->chunk && !r->plan.logits) take(k, &r->sums, r->chunk, sizeof *r->sums);
    if (heads_adapted(r->m)) take(k, &r->u_head, r->chunk * head_kept(r), sizeof(float));
    if (!r->plan.train) return;
    take(k, &r->dhn, behind * c->hidden, sizeof(float));
    if (frozen) take(k, &r->expected, behind * c->hidden, sizeof(float));
}

/* Sizes of the working memory of linears: [rows, width] of the layers, or of the head where an adapter is on it. */
struct extent {
    size_t wide, ranks, all_ranks, inputs, rows,
        operand; /* elements of an operand, of u; the widest u; elements of an input; rows; uint16_t of a made operand of fp32 */
};

static struct extent extent_of(const struct run *r, size_t t) {
    const struct model *m = r->m;
    struct extent e = {
        t * largest_of(m, WIDEST),        t * largest_of(m, KEPT_RANKS), largest_of(m, KEPT_RANKS), t * largest_of(m, WIDEST_INPUT), t,
        t * largest_of(m, WIDEST_OPERAND)};
    if (!heads_adapted(m)) return e;
    e.wide = larger(e.wide, r->chunk * larger(r->panel, m->head.in));
    e.all_ranks = larger(e.all_ranks, m->head.u_width);
    e.rows = larger(t, r->chunk);
    e.ranks = larger(e.ranks, r->chunk * m->head.u_width);
    e.inputs = larger(e.inputs, r->chunk * m->head.in);
    e.operand = larger(e.operand, r->chunk * larger(gemm_tiles_operand_row(m->head.in), gemm_tiles_operand_row(r->panel)));
    return e;
}

/* Inputs of products, and where the adapters' matrices are packed. A product in bf16 reads a little behind its last row. */
static void take_operands(struct taker *k, struct run *r, size_t t) {
    const struct model_config *c = &r->m->config;
    const struct extent e = extent_of(r, t);
    const size_t gate_up = r->m->layers[0].gate_up.out, u = e.all_ranks,
                 widest = larger(largest_of(r->m, WIDEST), heads_adapted(r->m) ? larger(r->panel, c->hidden) : 0);
    const bool half = r->m->kind == MATMUL_BF16, tiles = matmul_packs_tiles(r->m->kind), plain = !half || r->plan.dropout,
               split = matmul_may_split(r->m->kind);
    const size_t planes = split ? gemm_tiles_fp32() : 1;
    const struct linear *down = &r->m->layers[0].down;
    const bool finishes = tiles || (r->plan.train && matmul_split_finishes(r->m->kind, down->out, down->in) &&
                                    matmul_splits(r->m->kind, t, down->out, down->in));
    r->one_pass = finishes && !r->plan.dropout && !r->m->dora && c->ffn % 16 == 0;
    if (plain) take(k, &r->h, t * c->hidden, sizeof(float));
    if (plain) take(k, &r->act, t * c->ffn, sizeof(float));
    if (r->plan.train && !r->one_pass) take(k, &r->dact, t * c->ffn, sizeof(float));
    if (half && !r->one_pass) take(k, &r->gate_up, t * gate_up, sizeof(float));
    if (r->plan.train && u) take(k, &r->scratch.du, e.ranks, sizeof(float));
    if (r->plan.train && r->m->dora) take(k, &r->scratch.dz, e.wide, sizeof(float));
    if (r->plan.dropout) take(k, &r->scratch.dropped, e.inputs, sizeof(float));
    if (half) take(k, &r->h_half, size_round_up(t, RUN_UNIT_MOST) * c->hidden + GEMM_TILES_K, sizeof(uint16_t)); /* the head's rows too */
    if (half) take(k, &r->act_half, t * c->ffn + GEMM_TILES_K, sizeof(uint16_t));
    if (half || split) take(k, &r->scratch.half, (split ? e.operand : e.wide) + GEMM_TILES_K, sizeof(uint16_t));
    if ((!tiles && !split) || !u) return;
    take(k, &r->scratch.u_half, e.rows * ((u + 31) / 32 * 32) * planes, sizeof(uint16_t));
    take(k, &r->scratch.pack_a, gemm_tiles_bytes(widest, u, planes), 1);
    take(k, &r->scratch.pack_b, gemm_tiles_bytes(widest, u, planes), 1);
    take(k, &r->scratch.up, widest * u, sizeof(float));
}

#define WHOLE_ROWS_MOST ((size_t)256)

size_t run_whole_rows(const struct model *m) {
    const size_t rows = WHOLE_ROWS_MOST * 30720 / m->config.vocab / 16 * 16;
    return rows < 16 ? 16 : rows > WHOLE_ROWS_MOST ? WHOLE_ROWS_MOST : rows;
}

/* Panels are about as wide as each other. */
static size_t panel_of(size_t vocab) {
    const size_t panels = (vocab + RUN_PANEL_MOST - 1) / RUN_PANEL_MOST;
    return size_round_up((vocab + panels - 1) / panels, 64);
}

/* Products of int8 take all of a weight. */
static void set_pieces(struct run *r) {
    const size_t vocab = r->m->config.vocab, all = size_round_up(r->plan.scored, RUN_UNIT_MOST);
    const bool whole = r->plan.logits || r->m->int8;
    const size_t most = r->plan.logits ? r->plan.logits : whole ? run_whole_rows(r->m) : RUN_CHUNK_MOST;
    r->chunk = r->m->config.head != HEAD_LM ? 0 : r->plan.logits || all > most ? most : all;
    r->panel = whole ? vocab : panel_of(vocab);
}

static void take_all(struct taker *k, struct run *r) {
    const struct model_config *c = &r->m->config;
    const struct model_layer *l = &r->m->layers[0];
    size_t t = run_round(r->plan.tokens);
    set_pieces(r);
    take_layers(k, r, t);
    take(k, &r->x, t * c->hidden, sizeof(float));
    take_operands(k, r, t);
    /* layers and the head are never at work at the same time */
    take(k, &r->attention_scratch,
         larger(block_attention_scratch(r->m, t, r->plan.train), (r->chunk * r->panel + GEMM_TILES_K) * sizeof(float)), 1);
    r->logits = r->attention_scratch;
    if (r->plan.train) {
        take(k, &r->dx, t * c->hidden, sizeof(float));
        take(k, &r->dh, t * c->hidden, sizeof(float));
        if (c->family->gemma) take(k, &r->dpost, t * c->hidden, sizeof(float));
        take(k, &r->dqkv, t * l->qkv.out, sizeof(float));
        take(k, &r->dattn, t * l->o.in, sizeof(float));
    }
    take_head(k, r);
}

size_t run_bytes(const struct model *m, const struct run_plan *plan) {
    struct model *writable = (struct model *)(uintptr_t)m; /* only read while counting */
    struct run r = {.m = writable, .plan = *plan};
    struct taker k = {0};
    take_all(&k, &r);
    return k.bytes;
}

status run_init(struct run *r, struct model *m, const struct run_plan *plan) {
    if (plan->rewards != (m->config.head != HEAD_LM)) {
        char name[FAMILY_ARCHITECTURE_SIZE];
        family_architecture(name, m->config.family, m->config.head);
        *r = (struct run){0};
        return FAIL(ST_UNSUPPORTED, "%s: a %s is a %s", m->checkpoint.path, name,
                    plan->rewards ? "language model, not a reward model" : "reward model: it has no next tokens");
    }
    *r = (struct run){.m = m, .plan = *plan};
    r->arena.block_size =
        run_bytes(m, plan) + ((m->config.layers + 4) << 10); /* one block: it lies on large pages; plus every buffer's alignment */
    struct taker k = {.arena = &r->arena};
    take_all(&k, r);
    r->bytes = k.bytes;
    if (k.result != ST_OK) run_release(r);
    return k.result;
}

void run_release(struct run *r) {
    arena_release(&r->arena);
    *r = (struct run){0};
}

void run_embed(float *x, const struct run *r, const float *theta, const int32_t *ids, size_t t, size_t padded) {
    const size_t c = r->m->config.hidden;
    const float scale = r->m->config.embed_scale;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < t; i++) {
        model_embedding_row(x + i * c, r->m, theta, ids[i]);
        for (size_t j = 0; scale != 1.0f && j < c; j++) x[i * c + j] *= scale;
    }
    memset(x + t * c, 0, (padded - t) * c * sizeof(float));
}

static size_t longest_of(const struct seqtree *tree) {
    int32_t most = 0;
    for (int32_t i = 0; i < tree->segment_count; i++) {
        const int32_t end = tree->segments[i].depth + tree->segments[i].count;
        if (end > most) most = end;
    }
    return (size_t)most;
}

float *run_layer_output(struct run *r, size_t layer) { return layer + 1 < r->m->config.layers ? r->layers[layer + 1].x.f : r->x; }

status run_forward(struct run *r, const struct seqtree *tree, const float *theta, bool keep) {
    const size_t t = (size_t)tree->node_count, padded = run_round(t);
    CHECK(t <= r->plan.tokens && (size_t)tree->score_count <= r->plan.scored && (!keep || r->plan.train));
    r->longest = longest_of(tree);
    TRY(model_bind(r->m, theta));
    run_embed(r->layers[0].x.f, r, theta, tree->ids, t, padded);
    for (size_t i = 0; i < r->m->config.layers; i++)
        TRY(block_forward(run_layer_output(r, i), &r->layers[i], r, i, tree, theta, padded, keep));
    if (!r->plan.rewards) return heads_forward(r, tree, theta, keep);
    reward_head_forward(r, tree, theta);
    return ST_OK;
}

/* The embedding's gradient: rows of the same id add up in node order. */
static void embed_backward(struct run *r, const struct seqtree *tree) {
    const size_t c = r->m->config.hidden;
    const float scale = r->m->config.embed_scale;
    if (r->m->embed_offset == LINEAR_FROZEN) return;
    for (int32_t i = 0; i < tree->node_count; i++) {
        if (tree->ids[i] == r->m->config.pad) continue; /* torch's padding_idx: as an input it takes no gradient */
        float *g = r->m->params.grad + r->m->embed_offset + (size_t)tree->ids[i] * c;
        for (size_t j = 0; j < c; j++) g[j] += scale * r->dx[(size_t)i * c + j];
    }
}

static void graded(const struct run *r, size_t stage) {
    if (r->graded) r->graded(r->graded_context, stage);
}

status run_backward(struct run *r, const struct seqtree *tree, const float *theta, const float *dlogp) {
    const size_t padded = run_round((size_t)tree->node_count);
    if (r->plan.rewards)
        reward_head_backward(r, tree, theta, dlogp, padded);
    else
        TRY(heads_backward(r, tree, theta, dlogp, padded));
    graded(r, RUN_STAGE_HEAD(r->m->config.layers));
    for (size_t i = r->m->config.layers; i-- > 0;) {
        if (i < recomputed(r)) TRY(block_forward(r->x, &r->layers[i], r, i, tree, theta, padded, true));
        TRY(block_backward(r, i, tree, theta, padded));
        graded(r, RUN_STAGE_LAYER(i));
    }
    embed_backward(r, tree);
    graded(r, RUN_STAGE_EMBEDDING);
    return ST_OK;
}

void run_sums(double *out, const struct run *r, const struct seqtree *tree) {
    for (int32_t i = 0; i < tree->sequence_count; i++) out[i] = 0;
    for (int32_t i = 0; i < tree->score_count; i++) out[tree->scores[i].sequence] += (double)r->logp[i] * (double)tree->scores[i].weight;
}
