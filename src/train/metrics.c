#include "train/metrics.h"

#include <math.h>
#include <string.h>

#include "format/json.h"

void token_stats_add(struct token_stats *s, const struct run *r, const struct seqtree *tree, const uint8_t *rejected,
                     const int32_t *prompts) {
    for (int32_t i = 0; i < tree->score_count; i++) {
        const struct seqtree_score *e = &tree->scores[i];
        const int32_t slot = r->score_slot[i];
        if (tree->depth[e->node] + 1 < prompts[e->sequence]) continue;
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

void metrics_add(struct metrics *m, const struct loss_result *loss, const struct token_stats *s, const double *policy,
                 const double *reference, const uint32_t *first, size_t rows, double beta) {
    m->count++;
    m->losses++;
    m->loss += loss->value;
    m->nll += loss->nll;
    m->log_odds_ratio += loss->log_odds_ratio;
    m->log_odds_chosen += loss->log_odds_chosen;
    m->entropy += per(s->entropy, s->tokens_chosen + s->tokens_rejected);
    m->accuracy += per(s->top1_chosen, s->tokens_chosen);
    m->logits_chosen += per(s->logits_chosen, s->tokens_chosen);
    m->logits_rejected += per(s->logits_rejected, s->tokens_rejected);
    double chosen = 0, rejected = 0, right = 0, lc = 0, lr = 0;
    for (size_t i = 0; i < rows; i++) {
        const uint32_t at = first[i], end = first[i + 1];
        const double others = (double)(end - at - 1), rc = reference ? beta * (policy[at] - reference[at]) : 0;
        chosen += rc;
        lc += policy[at];
        for (uint32_t j = at + 1; j < end; j++) {
            const double rr = reference ? beta * (policy[j] - reference[j]) : 0;
            rejected += rr / others;
            right += (rc > rr) / others;
            lr += policy[j] / others;
        }
    }
    const double n = (double)rows;
    m->reward_chosen += chosen / n;
    m->reward_rejected += rejected / n;
    m->reward_margin += (chosen - rejected) / n;
    m->reward_accuracy += right / n;
    m->logps_chosen += lc / n;
    m->logps_rejected += lr / n;
}

void metrics_add_labels(struct metrics *m, double loss, const struct token_stats *s, const double *policy, const double *reference,
                        const uint8_t *rejected, size_t rows, double beta, double kl) {
    double count[2] = {0}, rewards[2] = {0}, logps[2] = {0};
    for (size_t i = 0; i < rows; i++) {
        count[rejected[i]]++;
        rewards[rejected[i]] += beta * (policy[i] - reference[i]);
        logps[rejected[i]] += policy[i];
    }
    for (int i = 0; i < 2; i++)
        if (count[i] > 0) rewards[i] /= count[i], logps[i] /= count[i];
    m->count++;
    m->losses++;
    m->loss += loss;
    m->kl += kl;
    m->entropy += per(s->entropy, s->tokens_chosen + s->tokens_rejected);
    m->logits_chosen += per(s->logits_chosen, s->tokens_chosen);
    m->logits_rejected += per(s->logits_rejected, s->tokens_rejected);
    m->reward_chosen += rewards[0];
    m->reward_rejected += rewards[1];
    m->logps_chosen += logps[0];
    m->logps_rejected += logps[1];
    m->with_chosen += count[0] > 0;
    m->with_rejected += count[1] > 0;
    if (count[0] > 0 && count[1] > 0) {
        m->reward_margin += rewards[0] - rewards[1];
        m->with_both++;
    }
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
    m->losses++;
    m->loss += loss;
    m->reward_min += least;
    m->reward_mean += sum / (2 * n);
    m->reward_max += most;
    m->reward_accuracy += right / n;
    m->reward_margin += margin / n;
}

void metrics_end_step(struct metrics *m) {
    if (m->losses == 0) return;
    m->loss /= m->losses;
    m->losses = 1;
}

void metrics_sum(struct metrics *m, const struct metrics *more) {
    double *to = (double *)(void *)m;
    const double *from = (const double *)(const void *)more;
    for (size_t i = 0; i + 1 < sizeof *m / sizeof *to; i++) to[i] += from[i];
    m->count += more->count;
}

enum { VALUES_MAX = 32 };
struct value {
    const char *name;
    double sum, count;
};

/* Those of these kinds, all; a side that no row was on has count 0. */
static size_t values_of(struct value out[VALUES_MAX], const struct metrics *m, unsigned kinds) {
    enum {
        PAIRS = METRICS_PAIRS_ALONE | METRICS_PAIRS,
        LABELS = METRICS_LABELS | METRICS_LABELS_KL,
        TOKENS = METRICS_SFT | PAIRS | LABELS
    };
    const bool labels = (kinds & LABELS) != 0;
    const double every = (double)m->count, chosen = labels ? m->with_chosen : every, rejected = labels ? m->with_rejected : every;
    const double both = labels ? m->with_both : every;
    const struct {
        struct value value;
        unsigned kinds;
    } all[] = {
        {{"loss", m->loss, m->losses}, TOKENS | METRICS_REWARDS},
        {{"kl", m->kl, every}, METRICS_LABELS_KL},
        {{"entropy", m->entropy, every}, TOKENS},
        {{"mean_token_accuracy", m->accuracy, every}, METRICS_SFT | PAIRS},
        {{"logits/chosen", m->logits_chosen, chosen}, PAIRS | LABELS},
        {{"logits/rejected", m->logits_rejected, rejected}, PAIRS | LABELS},
        {{"rewards/chosen", m->reward_chosen, chosen}, METRICS_PAIRS | LABELS},
        {{"rewards/rejected", m->reward_rejected, rejected}, METRICS_PAIRS | LABELS},
        {{"rewards/accuracies", m->reward_accuracy, every}, METRICS_PAIRS},
        {{"rewards/margins", m->reward_margin, both}, METRICS_PAIRS | LABELS},
        {{"logps/chosen", m->logps_chosen, chosen}, PAIRS | LABELS},
        {{"logps/rejected", m->logps_rejected, rejected}, PAIRS | LABELS},
        {{"nll_loss", m->nll, every}, METRICS_NLL},
        {{"log_odds_ratio", m->log_odds_ratio, every}, METRICS_ODDS},
        {{"log_odds_chosen", m->log_odds_chosen, every}, METRICS_ODDS},
        {{"min_reward", m->reward_min, every}, METRICS_REWARDS},
        {{"mean_reward", m->reward_mean, every}, METRICS_REWARDS},
        {{"max_reward", m->reward_max, every}, METRICS_REWARDS},
        {{"accuracy", m->reward_accuracy, every}, METRICS_REWARDS},
        {{"margin", m->reward_margin, every}, METRICS_REWARDS},
        {{"shared_positions", m->alone - m->positions, m->alone},
         TOKENS | METRICS_REWARDS}, /* not TRL's: the part that trees did not compute */
    };
    size_t n = 0;
    _Static_assert(sizeof all / sizeof all[0] <= VALUES_MAX, "values");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].kinds & kinds) out[n++] = all[i].value;
    return n;
}

void metrics_put(struct buf *out, const struct metrics *m, const char *prefix, unsigned kinds) {
    struct value values[VALUES_MAX];
    const size_t n = values_of(values, m, kinds);
    const char *separator = "";
    for (size_t i = 0; i < n; i++) {
        if (values[i].count == 0) continue;
        buf_printf(out, "%s\"%s%s\": ", separator, prefix, values[i].name);
        json_put_double(out, values[i].sum / values[i].count);
        separator = ", ";
    }
}

status metrics_value(double *out, const struct metrics *m, const char *name, unsigned kinds) {
    struct value values[VALUES_MAX];
    const size_t n = values_of(values, m, kinds);
    struct buf names = {0};
    if (strncmp(name, "eval_", 5) == 0) name += 5;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(values[i].name, name) == 0) {
            buf_release(&names);
            *out = values[i].count > 0 ? values[i].sum / values[i].count : (double)NAN;
            return ST_OK;
        }
        buf_printf(&names, "%s%s", i ? ", " : "", values[i].name);
    }
    status s = FAIL(ST_USAGE, "this run has no metric '%s'; it has: %s", name, buf_text(&names));
    buf_release(&names);
    return s;
}
