/* config_read: what the readers of config.json and of GGUF metadata share. */
#ifndef RAPT_MODEL_CONFIG_READ_H
#define RAPT_MODEL_CONFIG_READ_H

#include "model/config.h"

/* Fills what follows from the family and the sizes where the file did not say, and checks every number. */
status model_config_finish(struct model_config *c);
/* Which layers are local when the file has no list. */
void model_config_local_layers(struct model_config *c, size_t step);

#endif
