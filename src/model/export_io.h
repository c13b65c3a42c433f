/* export_io: a model as a Hugging Face folder: config.json and model.safetensors, the adapter merged in when one is given. */
#ifndef RAPT_MODEL_EXPORT_IO_H
#define RAPT_MODEL_EXPORT_IO_H

#include "model/lora.h"

/* theta: adapter values to merge, or NULL. Under MODEL_FULL the trained weights are written. type: DTYPE_F32, DTYPE_F16 or DTYPE_BF16.
 * Memory: one linear at a time, where it is not there as it is written; a model opened by adapter_open_to_copy has nothing else. The
 * tokenizer's files are the caller's business. */
status export_hf(const struct model *m, const float *theta, const char *folder, enum dtype type);

#endif
