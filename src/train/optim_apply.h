/* optim_apply: the update rules behind optim_table, one file for each that is not a few lines; private to src/train. */
#ifndef RAPT_TRAIN_OPTIM_APPLY_H
#define RAPT_TRAIN_OPTIM_APPLY_H

#include "train/optim.h"

/* torch.optim.AdamW (arXiv 1711.05101, algorithm 2), operation by operation in fp32 as torch/optim/adamw.py. State: m, v. */
size_t optim_adamw_state(const struct optim_slice *slice, const struct optim_params *p);
status optim_adamw(const struct optim_update *u, const struct optim_params *p);

/* AdamW with m and v in 8 bits (arXiv 2110.02861): blocks of 256 share one scale, codes are those of the dynamic map. Operation by
 * operation as bitsandbytes' AdamW8bit on the CPU; as there, slices below min_8bit_size numbers keep 32 bits. */
size_t optim_adamw_8bit_state(const struct optim_slice *slice, const struct optim_params *p);
status optim_adamw_8bit(const struct optim_update *u, const struct optim_params *p);
/* The dynamic map, rising: signed or not. bitsandbytes functional.py, create_dynamic_map. */
void optim_dynamic_map(float map[256], bool with_sign);

/* Muon (Jordan et al. 2024) as torch.optim.Muon: momentum, orthogonalised by a quintic Newton-Schulz iteration whose numbers are bf16, for
 * hidden matrices; AdamW for the rest. */
size_t optim_muon_state(const struct optim_slice *slice, const struct optim_params *p);
size_t optim_muon_work(const struct optim_slice *slice);
status optim_muon(const struct optim_update *u, const struct optim_params *p);
status optim_muon_check(const struct optim_params *p);

#endif
