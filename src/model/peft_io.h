/* peft_io: adapters in PEFT's form: adapter_config.json and adapter_model.safetensors. */
#ifndef RAPT_MODEL_PEFT_IO_H
#define RAPT_MODEL_PEFT_IO_H

#include "model/lora.h"

/* Reads the config, attaches, and fills A and B. Unsupported kinds (biases, layer replication, ...) are errors that name the key. */
status adapter_load(struct model *m, const char *folder, bool with_grad);
/* Opens a model and, unless adapter is NULL, the adapter on it; one with a reward head makes a language model a reward model. */
status adapter_open_model(struct model *m, const char *model, const char *adapter, enum matmul_kind kind, enum model_use use);
/* The same for whoever copies weights and computes nothing: matrices stay in the file, of which no more than what is being read is in
 * memory. */
status adapter_open_to_copy(struct model *m, const char *model, const char *adapter);
/* The same without the base's weights: shapes, the open checkpoint, and the adapter's values in m->params. */
status adapter_describe_model(struct model *m, const char *model, const char *adapter);
/* Writes both files into `folder` (made if missing). theta: the values to write, [m->params.size]. base: base_model_name_or_path.
 * start: NULL, or with what PiSSA began: the file is then for the original weights, as peft's path_initial_model_for_weight_conversion
 * makes it: of twice the rank, B A - B0 A0 = [B, -B0] [A; A0]. */
status adapter_save(const struct model *m, const struct lora_options *o, const float *theta, const float *start, const char *folder,
                    const char *base);
/* Is it a model of its own, no adapter: a folder with a config.json and no adapter_config.json, or a .gguf file? */
bool adapter_is_model(const char *path);
/* Only the options, e.g. to continue training with them. Target strings live as long as the process. */
status adapter_read_options(struct lora_options *o, const char *folder);

#endif
