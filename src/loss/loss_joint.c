/* joint (ours): the preference that a goal makes, and nothing else. Of a pair's two halves, y_w over y_l under the goal r_w and y_l over
 * y_w under r_l, with m(g) the margin of y_w over y_l under g, policy less reference, the first's margin is m(r_w) and the second's
 * -m(r_l): x = beta (m(r_w) - m(r_l)) = beta (margin of the one half + margin of the other),   loss = -log sigma(x), the mean over pairs.
 * What a policy adds to m whatever the goal cancels in x, and so in the gradient at every margin; in DPO's loss on the two halves, -log
 * sigma(beta m(r_w))
 * - log sigma(-beta m(r_l)), it cancels only where the two margins are equal. Groups 2 i and 2 i + 1 are the halves of one pair. */
#include "loss/loss.h"

static double margin(const struct loss_batch *b, size_t group) {
    const size_t w = 2 * group, l = w + 1;
    return b->policy[w] - b->reference[w] - (b->policy[l] - b->reference[l]);
}

status loss_joint_compute(struct loss_result *r, const struct loss_batch *b, const struct loss_params *p) {
    TRY(loss_check_batch(b, "joint", LOSS_NEEDS_REFERENCE | LOSS_NEEDS_PAIRS | LOSS_NEEDS_HALVES));
    const double pairs = (double)b->groups / 2;
    r->value = 0;
    for (size_t i = 0; i < b->groups; i += 2) {
        const double x = p->beta * (margin(b, i) + margin(b, i + 1)), dx = -loss_sigmoid(-x);
        r->value += loss_softplus(-x) / pairs;
        for (size_t at = 2 * i; at < 2 * i + 4; at += 2) {
            r->dpolicy[at] = p->beta * dx / pairs;
            r->dpolicy[at + 1] = -r->dpolicy[at];
        }
    }
    return ST_OK;
}
