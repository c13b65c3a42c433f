/* gguf_types: which type each tensor of a quantised GGUF gets: the rules of llama.cpp's quantiser (src/llama-quant.cpp,
 * llama_tensor_get_type_impl) for the plain presets, without an importance matrix. */
#ifndef RAPT_EXPORT_GGUF_TYPES_H
#define RAPT_EXPORT_GGUF_TYPES_H

#include "model/config.h"
#include "num/dtype.h"

/* What --dtype names. */
struct gguf_preset {
    const char *name;   /* "q4_k" */
    enum dtype type;    /* of most tensors */
    uint32_t file_type; /* general.file_type: llama_ftype */
};
/* CHECKs that the name is one of the table's. */
const struct gguf_preset *gguf_preset_find(const char *name);

/* The type of a weight of this role and layer, cols long: norms and biases are F32 whatever was asked for. */
enum dtype gguf_tensor_type(const struct gguf_preset *p, const struct model_config *c, enum tensor_role role, size_t layer, size_t cols);

#endif
