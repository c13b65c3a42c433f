#include "infer/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/rng.h"
#include "num/vexp.h"

struct sampler_options sampler_options_default(void) {
    return (struct sampler_options){.temperature = 1.0, .top_p = 1.0, .repetition_penalty = 1.0};
}

status sampler_options_check(const struct sampler_options *o) {
    if (o->temperature != 0 && !(o->temperature >= 0.001 && o->temperature <= 100))
        return FAIL(ST_USAGE, "--temperature expects 0 (greedy) or 0.001 to 100, not %g", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1)) return FAIL(ST_USAGE, "--top-p expects a number above 0, at most 1 (off), not %g", o->top_p);
    if (!(o->min_p >= 0 && o->min_p <= 1)) return FAIL(ST_USAGE, "--min-p expects 0 (off) to 1, not %g", o->min_p);
    if (o->top_k < 0) return FAIL(ST_USAGE, "--top-k expects 0 (off) or more, not %lld", (long long)o->top_k);
    if (!(o->repetition_penalty > 0 && o->repetition_penalty <= 100))
        return FAIL(ST_USAGE, "--repetition-penalty expects a number above 0 (1 = off), not %g", o->repetition_penalty);
    return ST_OK;
}

status sampler_set(struct sampler *s, const struct sampler_options *o) {
    const size_t k = o->top_k <= 0 ? 0 : (uint64_t)o->top_k < s->vocab ? (size_t)o->top_k : s->vocab;
    TRY(sampler_options_check(o));
    if (k > s->heap_size) {
        free(s->heap);
        s->heap = NULL;
        s->heap_size = 0;
        TRY(mem_try_alloc(&s->heap, k, sizeof *s->heap, "sampler"));
        s->heap_size = k;
    }
    if (o->repetition_penalty != 1.0 && !s->seen) TRY(mem_try_alloc(&s->seen, s->vocab, 1, "sampler"));
    s->options = *o;
    return ST_OK;
}

status sampler_init(struct sampler *s, const struct sampler_options *o, size_t vocab) {
    *s = (struct sampler){.vocab = vocab};
    status code = mem_try_alloc(&s->items, vocab, sizeof *s->items, "sampler");
    if (code == ST_OK) code = sampler_set(s, o);
    if (code != ST_OK) sampler_release(s);
    return code;
}

void sampler_release(struct sampler *s) {
    free(s->items);
    free(s->heap);
    free(s->seen);
    *s = (struct sampler){0};
}

/* RepetitionPenaltyLogitsProcessor: every token of the context once, however often it stands there. */
static void penalise(struct sampler *s, float *logits, const int32_t *context, size_t count) {
    const float p = (float)s->options.repetition_penalty;
    for (size_t i = 0; i < count; i++) {
        const size_t id = (size_t)context[i];
        if (id >= s->vocab || s->seen[id]) continue;
        s->seen[id] = 1;
        logits[id] = logits[id] < 0 ? logits[id] * p : logits[id] / p;
    }
    for (size_t i = 0; i < count; i++)
        if ((size_t)context[i] < s->vocab) s->seen[context[i]] = 0;
}

static status not_finite(void) {
    return FAIL(ST_FORMAT, "the model's logits are not finite numbers: its weights or the adapter are broken");
}

static status pick_greedy(int32_t *id, const float *logits, size_t vocab) {
    size_t best = 0;
    for (size_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    if (!isfinite(logits[best])) return not_finite();
    *id = (int32_t)best;
    return ST_OK;
}

static void sift_smallest(float *heap, size_t at, size_t count) {
    const float x = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= x) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

/* Keeps the items that score no less than the k-th largest; equals of it all stay, as TopKLogitsWarper leaves them. */
static size_t keep_top_k(struct sampler *s, size_t count) {
    const size_t k = (uint64_t)s->options.top_k < count ? (size_t)s->options.top_k : count;
    size_t kept = 0;
    if (k == count) return count;
    for (size_t i = 0; i < k; i++) s->heap[i] = s->items[i].score;
    for (size_t i = k / 2; i-- > 0;) sift_smallest(s->heap, i, k);
    for (size_t i = k; i < count; i++)
        if (s->items[i].score > s->heap[0]) {
            s->heap[0] = s->items[i].score;
            sift_smallest(s->heap, 0, k);
        }
    for (size_t i = 0; i < count; i++)
        if (s->items[i].score >= s->heap[0]) s->items[kept++] = s->items[i];
    return kept;
}

static bool before(const struct sampler_item *a, const struct sampler_item *b) {
    return a->score > b->score || (a->score == b->score && a->id < b->id);
}

static void sift_largest(struct sampler_item *heap, size_t at, size_t count) {
    const struct sampler_item x = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(&heap[child + 1], &heap[child])) child++;
        if (before(&x, &heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

/* Leaves out what certainly lies below the top_p mass, so that the heap is small: items fall into steps of score below the largest, and the
 * steps behind the one that reaches the mass go. Rounding of sums is far below the margin. */
#define STEPS 256
static size_t keep_steps(struct sampler_item *items, size_t count, double mass) {
    double held[STEPS] = {0}, sum = 0;
    size_t last = 0, kept = 0;
    float most = items[0].score;
    for (size_t i = 1; i < count; i++) most = items[i].score > most ? items[i].score : most;
#define STEP_OF(x) ((most - (x)) * 8.0f < STEPS - 1 ? (size_t)((most - (x)) * 8.0f) : STEPS - 1)
    for (size_t i = 0; i < count; i++) held[STEP_OF(items[i].score)] += (double)items[i].weight;
    while (last < STEPS - 1 && (sum += held[last]) < mass * (1 + 1e-6)) last++;
    for (size_t i = 0; i < count; i++)
        if (STEP_OF(items[i].score) <= last) items[kept++] = items[i];
#undef STEP_OF
    return kept;
}

/* Keeps an item while those above it hold less than top_p of the mass (TopPLogitsWarper drops what, with everything below it, holds no more
 * than 1 - top_p). A heap gives them in falling order without sorting the vocabulary; they end up in front, in that order. */
static size_t keep_top_p(struct sampler *s, size_t count, double total) {
    double above = 0;
    size_t kept = 0;
    count = keep_steps(s->items, count, s->options.top_p * total);
    for (size_t i = count / 2; i-- > 0;) sift_largest(s->items, i, count);
    /* the heap shrinks from the back; the popped ones are put there and turned round at the end */
    while (kept < count && (kept == 0 || above < s->options.top_p * total)) {
        const struct sampler_item top = s->items[0];
        const size_t left = count - kept - 1;
        s->items[0] = s->items[left];
        s->items[left] = top;
        if (left) sift_largest(s->items, 0, left);
        above += (double)top.weight;
        kept++;
    }
    for (size_t i = 0; i < count / 2; i++) {
        const struct sampler_item swap = s->items[i];
        s->items[i] = s->items[count - 1 - i];
        s->items[count - 1 - i] = swap;
    }
    return kept;
}

static double sum_weights(const struct sampler_item *items, size_t count) {
    double total = 0;
    for (size_t i = 0; i < count; i++) total += (double)items[i].weight;
    return total;
}

status sampler_filter(struct sampler *s, size_t *count, double *total, const float *logits) {
    const float temperature = (float)s->options.temperature;
    float most = -INFINITY;
    size_t n = s->vocab;
    for (size_t i = 0; i < n; i++) {
        s->items[i] = (struct sampler_item){.score = logits[i] / temperature, .id = (int32_t)i};
        most = s->items[i].score > most ? s->items[i].score : most;
    }
    if (!isfinite(most)) return not_finite();
    if (s->options.top_k > 0) n = keep_top_k(s, n);
    for (size_t i = 0; i < n; i++) s->items[i].weight = vexp(s->items[i].score - most);
    *total = sum_weights(s->items, n);
    if (!isfinite(*total)) return not_finite();
    if (s->options.top_p < 1) n = keep_top_p(s, n, *total);
    if (s->options.min_p > 0) { /* the largest has weight 1 */
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if ((double)s->items[i].weight >= s->options.min_p) s->items[kept++] = s->items[i];
        n = kept;
    }
    *count = n;
    *total = sum_weights(s->items, n);
    return ST_OK;
}

#define BLOCK 512
static double block_sum(const float *weights, size_t from, size_t count) {
    const size_t end = count - from < BLOCK ? count : from + BLOCK;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = from; i < end; i++) sum += (double)weights[i];
    return sum;
}

/* Without filters: the weights of a block of ids are summed side by side, and only the block that holds the draw is looked through. The
 * logits make room for the weights. */
static status pick_unfiltered(int32_t *id, float *logits, size_t vocab, float temperature, struct rng *r) {
    float most = -INFINITY;
    double total = 0, sum = 0;
#pragma omp simd reduction(max : most)
    for (size_t i = 0; i < vocab; i++) most = logits[i] > most ? logits[i] : most;
    most /= temperature;
    if (!isfinite(most)) return not_finite();
#pragma omp simd
    for (size_t i = 0; i < vocab; i++) logits[i] = vexp(logits[i] / temperature - most);
    for (size_t from = 0; from < vocab; from += BLOCK) total += block_sum(logits, from, vocab);
    if (!isfinite(total)) return not_finite();
    const double at = rng_uniform(r) * total;
    size_t from = 0;
    for (; from + BLOCK < vocab; from += BLOCK) {
        const double block = block_sum(logits, from, vocab);
        if (at < sum + block) break;
        sum += block;
    }
    *id = (int32_t)from;
    for (size_t i = from; i < vocab && i < from + BLOCK; i++) {
        if (logits[i] > 0) *id = (int32_t)i; /* rounding may leave `at` behind the last */
        sum += (double)logits[i];
        if (at < sum) break;
    }
    return ST_OK;
}

status sampler_pick(int32_t *id, struct sampler *s, float *logits, const int32_t *context, size_t context_count, struct sampler_key key) {
    if (s->options.repetition_penalty != 1.0) penalise(s, logits, context, context_count);
    if (s->options.temperature == 0) return pick_greedy(id, logits, s->vocab);
    struct rng r = rng_at(s->options.seed, key.row, key.sample, key.position);
    const struct sampler_options *o = &s->options;
    if (o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0) return pick_unfiltered(id, logits, s->vocab, (float)o->temperature, &r);
    size_t count;
    double total, sum = 0;
    TRY(sampler_filter(s, &count, &total, logits));
    const double at = rng_uniform(&r) * total;
    *id = s->items[0].id;
    for (size_t i = 0; i < count; i++) {
        if (s->items[i].weight > 0) *id = s->items[i].id; /* rounding may leave `at` behind the last */
        sum += (double)s->items[i].weight;
        if (at < sum) break;
    }
    return ST_OK;
}
