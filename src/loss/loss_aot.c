/* aot (arXiv 2406.05882), as TRL 1.x: over the micro-batch, d = sort(policy_w - policy_l) - sort(reference_w - reference_l), and of each d
 *   -(1 - e) log sigma(beta d) - e log sigma(-beta d). aot_unpaired: d = sort(s_w) - sort(s_l), s = policy - reference.
 * A gradient goes to the response whose value stands at that place of the order. */
#include <stdlib.h>

#include "base/buf.h"
#include "loss/loss.h"

struct place {
    double value;
    size_t group;
};

static int by_value(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->group < y->group ? -1 : x->group > y->group;
}

/* policy_w - policy_l, reference_w - reference_l; or s_w, s_l. */
static void fill(struct place *left, struct place *right, const struct loss_batch *b, bool paired) {
    for (size_t g = 0; g < b->groups; g++) {
        const double *policy = b->policy + 2 * g, *reference = b->reference + 2 * g;
        left[g] = (struct place){paired ? policy[0] - policy[1] : policy[0] - reference[0], g};
        right[g] = (struct place){paired ? reference[0] - reference[1] : policy[1] - reference[1], g};
    }
    qsort(left, b->groups, sizeof *left, by_value);
    qsort(right, b->groups, sizeof *right, by_value);
}

#define GROUPS_SMALL 256 /* a training step allocates nothing */

static status compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p, const char *name, bool paired) {
    TRY(loss_check_batch(b, name, LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS));
    struct place small[2 * GROUPS_SMALL], *left = small;
    if (b->groups > GROUPS_SMALL) TRY(mem_try_alloc(&left, 2 * b->groups, sizeof *left, "sorted log-ratios"));
    struct place *right = left + b->groups;
    fill(left, right, b, paired);
    const double e = p->label_smoothing, scale = p->beta / (double)b->groups;
    double total = 0;
    for (size_t i = 0; i < b->groups; i++) {
        const double x = p->beta * (left[i].value - right[i].value), dx = scale * (e * loss_sigmoid(x) - (1 - e) * loss_sigmoid(-x));
        total += (1 - e) * loss_softplus(-x) + e * loss_softplus(x);
        r->dpolicy[2 * left[i].group] = dx;
        r->dpolicy[2 * (paired ? left[i].group : right[i].group) + 1] = -dx;
    }
    r->value = total / (double)b->groups;
    if (left != small) free(left);
    return ST_OK;
}

status loss_aot_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return compute(r, b, p, "aot", true);
}
status loss_aot_unpaired_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    return compute(r, b, p, "aot_unpaired", false);
}
