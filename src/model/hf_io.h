/* hf_io: the tensors of a checkpoint, whichever form it has, by role and layer, in the layout of the Hugging Face model. */
#ifndef RAPT_MODEL_HF_IO_H
#define RAPT_MODEL_HF_IO_H

#include "format/gguf.h"
#include "format/safetensors.h"
#include "model/arch.h"
#include "model/config.h"

/* An open checkpoint. Tensors stay in their file until read. */
struct checkpoint {
    char *path;
    bool is_gguf, checked; /* checked: checkpoint_check found nothing */
    struct gguf gguf;
    struct safetensors st;
    struct model_config config;
};
/* PATH: a folder with config.json and *.safetensors, or a .gguf file. */
status checkpoint_open(struct checkpoint *c, const char *path);
void checkpoint_release(struct checkpoint *c);
/* Before weights are read: gguf_check_scales, once. */
status checkpoint_check(struct checkpoint *c);
/* Once the weights are copied: the file's pages may leave memory. */
void checkpoint_drop_pages(const struct checkpoint *c);

/* A tensor's rows as stored. */
struct tensor_view {
    enum dtype type;
    size_t rows, cols, row_bytes;
    const char *data;
    size_t heads; /* > 0: rows are permuted inside each of this many heads (GGUF q and k), tensor_view_row undoes it */
};
/* Checks the shape: rows x cols. An error names the tensor, what it has and what was expected. */
status checkpoint_tensor(struct tensor_view *out, const struct checkpoint *c, enum tensor_role role, size_t layer, size_t rows,
                         size_t cols);
/* Where row r of `rows` lies in a GGUF that permutes the rows of each of so many heads: [head, half, i] of the Hugging Face layout is at
 * [head, i, half]; and back. heads 0: nothing moves. */
size_t gguf_row_of(size_t r, size_t rows, size_t heads);
size_t gguf_row_from(size_t at, size_t rows, size_t heads);
/* Of how many heads the rows of this tensor are permuted in a GGUF. */
size_t gguf_permuted_heads(const struct model_config *c, enum tensor_role role);
/* The bias of a projection, out [n] fp32 in the Hugging Face layout. */
status checkpoint_bias(float *out, const struct checkpoint *c, enum tensor_role role, size_t layer, size_t n);
/* Row r of the Hugging Face layout as fp32, out [cols]. */
void tensor_view_row(float *out, const struct tensor_view *v, size_t r);
/* All rows, out [rows, cols], in parallel. */
void tensor_view_rows(float *out, const struct tensor_view *v);

#endif
