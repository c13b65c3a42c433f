/* int8_error: what a decoder's arithmetic changes in a model's next-token distributions on real text, against fp32.
 *
 * usage: rapt tokenize --model MODEL --input TEXT | int8_error MODEL      (ids, separated by anything that is no digit; at most 8192 are
 * used)
 *
 * For bf16 and int8: the mean over positions of KL(p32 || p) in nats, the root mean square difference of the text's log-probs, and the
 * share of positions with the same likeliest token. Text is taken in pieces of 256 tokens. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/decode.h"

enum { PIECE = 256, MOST = 8192 };

struct text {
    int32_t ids[MOST];
    size_t count, next; /* next: the piece handed out last */
    size_t vocab;
    float *logp; /* [count, vocab] of what follows each position */
};

static status next(void *context, struct decode_job *job, bool *end) {
    struct text *t = context;
    *end = t->next + PIECE > t->count;
    if (*end) return ST_OK;
    *job = (struct decode_job){.prompt = t->ids + t->next, .prompt_count = 1, .max_new = PIECE - 1, .row = t->next};
    t->next += PIECE;
    return ST_OK;
}

static status finish(void *context, const struct decode_state *s) {
    (void)context;
    (void)s;
    return ST_OK;
}

/* Keeps the log-softmax and goes on with the text. */
static status pick(void *context, int32_t *id, const struct decode_state *s, const float *logits) {
    struct text *t = context;
    const size_t at = s->job->row + s->count;
    float most = -INFINITY, *out = t->logp + at * t->vocab;
    double sum = 0;
    for (size_t i = 0; i < t->vocab; i++) most = logits[i] > most ? logits[i] : most;
    for (size_t i = 0; i < t->vocab; i++) sum += exp((double)(logits[i] - most));
    for (size_t i = 0; i < t->vocab; i++) out[i] = (float)((double)(logits[i] - most) - log(sum));
    *id = t->ids[at + 1];
    return ST_OK;
}

static status compute(struct text *t, const char *path, enum matmul_kind kind) {
    struct model m;
    struct decoder d;
    const struct decode_options o = {.batch = 16, .length = PIECE + 1, .sampler = sampler_options_default()};
    const struct decode_calls calls = {.context = t, .next = next, .finish = finish, .pick = pick};
    TRY(model_open(&m, path, kind, MODEL_INFER));
    t->next = 0;
    t->vocab = m.config.vocab;
    if (!t->logp) TRY(mem_try_alloc(&t->logp, t->count * t->vocab, sizeof(float), "distributions"));
    TRY(decoder_init(&d, &m, NULL, &o));
    TRY(decode_run(&d, &calls));
    decoder_release(&d);
    model_release(&m);
    return ST_OK;
}

static void compare(const char *name, const struct text *exact, const struct text *t) {
    double kl = 0, squares = 0, same = 0, n = 0;
    for (size_t at = 0; at < exact->count; at++) {
        if (at % PIECE == PIECE - 1) continue; /* the last of a piece predicts nothing */
        const float *p = exact->logp + at * t->vocab, *q = t->logp + at * t->vocab;
        size_t a = 0, b = 0;
        for (size_t i = 0; i < t->vocab; i++) {
            kl += exp((double)p[i]) * ((double)p[i] - (double)q[i]);
            if (p[i] > p[a]) a = i;
            if (q[i] > q[b]) b = i;
        }
        squares += pow((double)p[exact->ids[at + 1]] - (double)q[exact->ids[at + 1]], 2);
        same += a == b;
        n++;
    }
    printf("%s: %.0f positions, mean KL %.5f nats, log-probs %.4f nats RMS, same likeliest token %.2f %%\n", name, n, kl / n,
           sqrt(squares / n), 100 * same / n);
}

static status run(const char *path) {
    static struct text exact, t;
    int32_t id = 0;
    bool digits = false;
    for (int c; exact.count < MOST && (c = getchar()) != EOF;) {
        if (isdigit(c) && id < 100000000) id = 10 * id + c - '0', digits = true;
        if (!isdigit(c) && digits) exact.ids[exact.count++] = id, id = 0, digits = false;
    }
    exact.count = exact.count / PIECE * PIECE;
    if (!exact.count) return FAIL(ST_USAGE, "fewer than %d token ids on standard input", PIECE);
    TRY(compute(&exact, path, MATMUL_F32));
    memcpy(t.ids, exact.ids, sizeof t.ids);
    t.count = exact.count;
    TRY(compute(&t, path, MATMUL_BF16));
    compare("bf16", &exact, &t);
    TRY(compute(&t, path, MATMUL_INT8));
    compare("int8", &exact, &t);
    return ST_OK;
}

int main(int argc, char **argv) {
    if (argc == 2 && run(argv[1]) == ST_OK) return 0;
    fprintf(stderr, "int8_error: %s\n",
            argc == 2 ? status_message() : "usage: rapt tokenize --model MODEL --input TEXT | int8_error MODEL");
    return argc == 2 ? 1 : 2;
}
