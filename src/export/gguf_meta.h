/* gguf_meta: a model's configuration as the metadata that llama.cpp reads (its conversion/ folder and the load_arch_hparams of src/models).
 */
#ifndef RAPT_EXPORT_GGUF_META_H
#define RAPT_EXPORT_GGUF_META_H

#include "format/gguf_write.h"
#include "model/config.h"

/* ST_UNSUPPORTED names what this architecture has no words for in GGUF, where llama.cpp would compute something else. A sliding window that
 * llama.cpp does not know in this architecture is a warning: within the window the numbers are the same, and its own converter leaves it
 * out too. */
status gguf_meta_check(const struct model_config *c);
/* general.architecture is the caller's; ARCH.* are written here. */
void gguf_meta_put(struct gguf_writer *w, const struct model_config *c);
/* The divisors of each frequency for the tensor rope_freqs.weight, out [rotary / 2]. */
void gguf_meta_divisors(float *out, const struct model_config *c);

#endif
