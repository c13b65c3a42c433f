/* kv_cache: the keys and values of sequences that are being continued, and attention over them.
 *
 * A cache has slots; a slot holds one sequence's positions 0.. of every layer, in fp32 or in halves. Values of a key/value head lie
 * position by position, keys in groups of KV_GROUP positions turned on their side, so that scores of a group are computed side by side.
 * Memory is reserved for slots x positions and becomes resident only where something was written. */
#ifndef RAPT_MODEL_KV_CACHE_H
#define RAPT_MODEL_KV_CACHE_H

#include "model/config.h"
#include "num/attention.h"

#define KV_GROUP 16

struct kv_cache {
    size_t layers, slots, positions; /* positions: a multiple of KV_GROUP */
    size_t heads, kv_heads, head_dim;
    bool half;        /* F16 instead of fp32 */
    size_t size;      /* bytes of an element */
    size_t head_size; /* elements of one head of one slot: positions x D */
    char *keys;       /* [layers, slots, K, positions / KV_GROUP, D, KV_GROUP] */
    char *values;     /* [layers, slots, K, positions, D] */
};
/* Bytes that kv_cache_init reserves; SIZE_MAX when that overflows. half: in F16 where the CPU has AVX-512, whose kernels read it, else in
 * fp32. */
size_t kv_cache_bytes(const struct model_config *c, size_t slots, size_t positions, bool half);
status kv_cache_init(struct kv_cache *k, const struct model_config *c, size_t slots, size_t positions, bool half);
void kv_cache_release(struct kv_cache *k);
/* The first `count` positions of slot `from` to slot `to`, in every layer: how a shared prefix is computed once. */
void kv_cache_copy(struct kv_cache *k, size_t to, size_t from, size_t count);

/* Rows of a step that continue one slot at neighbouring positions; long ones are cut, so that threads share the work. */
#define KV_SPAN_MAX 16
struct kv_span {
    size_t slot;
    size_t row, count; /* rows [row, row + count) of qkv and out; count <= KV_SPAN_MAX */
    size_t position;   /* of the first row */
};
/* Stores keys and values of qkv[T, stride] (after rope; H query, K key, K value heads of D) and writes out[T, H D]: each row attends to
 * its slot's positions up to its own, as many as the shape's window has. Every output is summed in an order that depends neither on threads
 * nor on other rows. */
void kv_cache_attend(float *out, struct kv_cache *k, size_t layer, const float *qkv, const struct attention_shape *shape,
                     const struct kv_span *spans, size_t count);

#endif
