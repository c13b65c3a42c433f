/* config: the numbers that describe a model, from config.json or a GGUF's metadata, and the family they belong to.
 *
 * Legend of sizes, used in every shape comment: T tokens (padded to MODEL_T_UNIT in buffers), C hidden size, H query heads, K key/value
 * heads, D head size, F feed-forward size, V vocabulary. */
#ifndef RAPT_MODEL_CONFIG_H
#define RAPT_MODEL_CONFIG_H

#include "format/gguf.h"
#include "format/json.h"

struct family; /* model/arch.h */

struct model_config {
    const struct family *family;
    size_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, max_position;
    double rope_base, norm_eps;
    bool tied;             /* the output head is the embedding */
    int64_t bos, eos, pad; /* -1 = not stated */
};

/* Every size is checked (positive, bounded, divisible where it must be). Unsupported families and features are ST_UNSUPPORTED and named. */
status model_config_from_json(struct model_config *c, struct json config);
status model_config_from_gguf(struct model_config *c, const struct gguf *g);
/* Parameters in all, LoRA not counted. */
size_t model_config_parameters(const struct model_config *c);
/* The same as a config.json that transformers loads. */
void model_config_put_json(struct buf *out, const struct model_config *c, const char *torch_dtype);

#endif
