/* judge_answer: what a judge said, read strictly. A chat completion (net/remote.h) -> a rating or a verdict; what is not clearly one is
 * none. Everything in it is hostile. */
#ifndef RAPT_REWARD_JUDGE_ANSWER_H
#define RAPT_REWARD_JUDGE_ANSWER_H

#include "base/buf.h"
#include "format/json.h"

struct judge_scale {
    bool pairwise; /* verdicts A, B, C (a tie) instead of ratings */
    int low, high; /* of ratings: whole numbers, low the worst */
};

/* *value: 0 for the low end of the scale or the verdict B, 1 for the high end or A, 1/2 for a tie. *at, *size: where the number or the
 * letter stands in the text. ST_FORMAT for anything but a rating that is the whole text, in marks and with its scale at most (8, 8.5,
 * **8**, Rating: 8/10), or every [[n]] of it; a letter that is the whole text (A, "B", C, tie), or every [[A]] of it. */
status judge_read(double *value, size_t *at, size_t *size, const struct judge_scale *scale, const char *text, size_t text_size);

/* The mean of the values weighted with their probabilities at the token that begins at byte `at` of the text: sum p v / sum p over the
 * tokens that stand for one (G-Eval, arXiv 2303.16634, equation 1). *there is false where the log-probs do not tell: none, a token that
 * holds more than the value, a rating between two numbers. Of ratings the scale lies in 0 .. 10. Where the tokens spell 10 as 1, 0, the
 * mass of 1 is parted as the next token tells. ST_FORMAT when less than half of the mass lies on values, or more than 1/100 on a digit that
 * could begin two. */
status judge_weigh(double *value, bool *there, const struct judge_scale *scale, struct json logprobs, size_t at, size_t size);

/* The value of a rating in text, for judges that choose among texts. */
double judge_value(const struct judge_scale *scale, int choice);
/* The texts that a judge chooses among: ratings from low to high, or A, B, C. */
size_t judge_choices(const struct judge_scale *scale);
void judge_put_choice(struct buf *out, const struct judge_scale *scale, size_t choice);

#endif
