/* slices: the trained tensors as the optimizer sees them. */
#ifndef RAPT_TRAIN_SLICES_H
#define RAPT_TRAIN_SLICES_H

#include "model/model.h"
#include "train/optim.h"

/* One for each of m->params, whose values need not be there yet. The caller frees it. loraplus_ratio: times the rate of B and of DoRA's
 * norms (Hayou et al. 2024, arXiv 2402.12354; peft's create_loraplus_optimizer). */
struct optim_slice *slices_of(const struct model *m, double loraplus_ratio);

#endif
