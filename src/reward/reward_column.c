/* reward_column: scores that the rows have already under some name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/attribute.h"
#include "data/source.h"
#include "reward/reward.h"

struct column {
    struct reward_weight terms[REWARD_NAMES_MAX];
    size_t count;
};

status reward_column_open(struct reward *r, const struct reward_options *o) {
    struct column *c = mem_zero(1, sizeof *c);
    r->state = c;
    if (o->column) {
        c->terms[c->count++] = (struct reward_weight){o->column, 1};
        return ST_OK;
    }
    memcpy(c->terms, o->weights, sizeof c->terms);
    c->count = o->weight_count;
    return ST_OK;
}

void reward_column_release(struct reward *r) { free(r->state); }

/* What the program itself reads, whatever the row calls it. *known is false for other names. */
static double of_record(const struct record *row, size_t i, const char *name, bool *known) {
    const bool fine = strcmp(name, "fine-mean") == 0;
    *known = fine || strcmp(name, "score") == 0;
    if (!*known) return (double)NAN;
    if (row->kind == RECORD_RESPONSES) return fine ? row->responses[i].fine_mean : row->responses[i].score;
    if (i) return fine ? row->fine_rejected : row->score_rejected;
    return fine ? row->fine_chosen : row->score_chosen;
}

static status term(double *out, const struct record *row, size_t i, const char *name) {
    bool known;
    *out = of_record(row, i, name, &known);
    if (known) return ST_OK;
    TRY(attribute_find(out, row, i, name));
    char path[96];
    snprintf(path, sizeof path, "%.60s of response %zu", name, i + 1);
    return strcmp(name, "rank") == 0 ? source_score_of_rank(out, *out, reward_responses(row), path) : ST_OK;
}

status reward_column_score(struct reward *r, struct reward_values *out, const struct record *row) {
    const struct column *c = r->state;
    const size_t n = reward_responses(row), before = out->count;
    for (size_t i = 0; i < n; i++) {
        double sum = 0, value;
        for (size_t k = 0; k < c->count; k++) {
            status s = term(&value, row, i, c->terms[k].name);
            if (s != ST_OK) {
                out->count = before;
                return s;
            }
            sum += c->terms[k].weight * value; /* NaN, a part that is not rated, leaves none */
        }
        reward_values_add(out, sum);
    }
    return ST_OK;
}
