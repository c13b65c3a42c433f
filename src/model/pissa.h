/* pissa: adapters that begin with the largest singular values of W (Meng et al. 2024, arXiv 2404.02948; peft tuners/lora/layer.py,
 * pissa_init). */
#ifndef RAPT_MODEL_PISSA_H
#define RAPT_MODEL_PISSA_H

#include "model/model.h"

/* w[out, in] = scale B A + rest: fills A and B of every adapted part of l in m->params, and leaves the rest in w. */
status pissa_split(float *w, struct model *m, const struct linear *l);

#endif
