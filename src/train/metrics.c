#include "train/metrics.h"

#include "format/json.h"

void token_stats_add(struct token_stats *s, const struct run *r, const struct seqtree *tree, const uint8_t *rejected) {
    for (int32_t i = 0; i < tree->score_count; i++) {
        const struct seqtree_score *e = &tree->scores[i];
        const int32_t slot = r->score_slot[i];
        s->entropy += (double)r->entropy[slot];
        if (rejected[e->sequence]) {
            s->logits_rejected += (double)r->mean_logit[slot];
            s->tokens_rejected++;
        } else {
            s->logits_chosen += (double)r->mean_logit[slot];
            s->top1_chosen += r->argmax[slot] == e->target;
            s->tokens_chosen++;
        }
    }
}

static double per(double sum, int64_t count) { return count ? sum / (double)count : 0; }

void metrics_add(struct metrics *m, double loss, const struct token_stats *s, const double *policy, const double *reference, size_t rows,
                 size_t k, double beta) {
    m->count++;
    m->loss += loss;
    m->entropy += per(s->entropy, s->tokens_chosen + s->tokens_rejected);
    m->accuracy += per(s->top1_chosen, s->tokens_chosen);
    m->logits_chosen += per(s->logits_chosen, s->tokens_chosen);
    m->logits_rejected += per(s->logits_rejected, s->tokens_rejected);
    double chosen = 0, rejected = 0, right = 0, lc = 0, lr = 0;
    for (size_t i = 0; i < rows; i++) {
        const double rc = reference ? beta * (policy[i * k] - reference[i * k]) : 0;
        const double rr = reference && k > 1 ? beta * (policy[i * k + 1] - reference[i * k + 1]) : 0;
        chosen += rc;
        rejected += rr;
        right += rc > rr;
        lc += policy[i * k];
        lr += k > 1 ? policy[i * k + 1] : 0;
    }
    const double n = (double)rows;
    m->reward_chosen += chosen / n;
    m->reward_rejected += rejected / n;
    m->reward_margin += (chosen - rejected) / n;
    m->reward_accuracy += right / n;
    m->logps_chosen += lc / n;
    m->logps_rejected += lr / n;
}

void metrics_add_rewards(struct metrics *m, double loss, const double *rewards, size_t rows) {
    double least = rewards[0], most = rewards[0], sum = 0, right = 0, margin = 0;
    for (size_t i = 0; i < 2 * rows; i++) {
        least = rewards[i] < least ? rewards[i] : least;
        most = rewards[i] > most ? rewards[i] : most;
        sum += rewards[i];
    }
    for (size_t i = 0; i < rows; i++) {
        right += rewards[2 * i] > rewards[2 * i + 1];
        margin += rewards[2 * i] - rewards[2 * i + 1];
    }
    const double n = (double)rows;
    m->count++;
    m->loss += loss;
    m->reward_min += least;
    m->reward_mean += sum / (2 * n);
    m->reward_max += most;
    m->reward_accuracy += right / n;
    m->reward_margin += margin / n;
}

void metrics_put(struct buf *out, const struct metrics *m, const char *prefix, enum metrics_kind kind) {
    enum { TOKENS = METRICS_SFT | METRICS_PAIRS_ALONE | METRICS_PAIRS, SIDES = METRICS_PAIRS_ALONE | METRICS_PAIRS };
    const struct {
        const char *name;
        double value;
        unsigned kinds;
    } all[] = {
        {"loss", m->loss, TOKENS | METRICS_REWARDS},
        {"entropy", m->entropy, TOKENS},
        {"mean_token_accuracy", m->accuracy, TOKENS},
        {"logits/chosen", m->logits_chosen, SIDES},
        {"logits/rejected", m->logits_rejected, SIDES},
        {"rewards/chosen", m->reward_chosen, METRICS_PAIRS},
        {"rewards/rejected", m->reward_rejected, METRICS_PAIRS},
        {"rewards/accuracies", m->reward_accuracy, METRICS_PAIRS},
        {"rewards/margins", m->reward_margin, METRICS_PAIRS},
        {"logps/chosen", m->logps_chosen, SIDES},
        {"logps/rejected", m->logps_rejected, SIDES},
        {"min_reward", m->reward_min, METRICS_REWARDS},
        {"mean_reward", m->reward_mean, METRICS_REWARDS},
        {"max_reward", m->reward_max, METRICS_REWARDS},
        {"accuracy", m->reward_accuracy, METRICS_REWARDS},
        {"margin", m->reward_margin, METRICS_REWARDS},
    };
    const char *separator = "";
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!(all[i].kinds & (unsigned)kind)) continue;
        buf_printf(out, "%s\"%s%s\": ", separator, prefix, all[i].name);
        json_put_double(out, per(all[i].value, m->count));
        separator = ", ";
    }
}
