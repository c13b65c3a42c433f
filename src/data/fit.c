#include "data/fit.h"

#include <string.h>

enum fit_compat fit_compat_parse(const char *name) {
    if (strcmp(name, "trl-1.x") == 0) return FIT_TRL_1;
    if (strcmp(name, "trl-0.24") == 0) return FIT_TRL_024;
    CHECK(strcmp(name, "paper") == 0);
    return FIT_PAPER;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void keep_prompt_end(struct fit_side *s, size_t limit) {
    const size_t keep = least(s->prompt, limit);
    s->prompt_at += s->prompt - keep;
    s->prompt = keep;
}

static bool fit_trl_1(struct fit_side *s, const struct fit_rules *r) {
    const size_t limit = r->max_length ? r->max_length : SIZE_MAX;
    if (s->prompt >= limit && !r->whole) return false;
    s->prompt = least(s->prompt, limit);
    s->count = least(s->count, limit - s->prompt);
    return true;
}

static void fit_trl_024(struct fit_side *s, const struct fit_rules *r) {
    keep_prompt_end(s, r->max_prompt);
    if (r->max_completion) s->count = least(s->count, r->max_completion);
    if (s->prompt + s->count <= r->max_length) return;
    size_t cut = s->prompt + s->count - r->max_length, of_prompt = least(cut, s->prompt);
    s->prompt_at += of_prompt;
    s->prompt -= of_prompt;
    s->at += cut - of_prompt;
    s->count -= cut - of_prompt;
}

static void fit_paper(struct fit_side *s, size_t longer, const struct fit_rules *r) {
    if (s->prompt + longer > r->max_length) keep_prompt_end(s, r->max_prompt);
    if (s->prompt + longer > r->max_length) s->count = least(s->count, r->max_length - r->max_prompt);
}

bool fit_row(struct fit_side *side, const size_t *prompt, const size_t *response, size_t n, const struct fit_rules *rules) {
    size_t longer = 0;
    bool kept = true;
    CHECK(rules->compat == FIT_TRL_1 || (rules->max_prompt && rules->max_prompt < rules->max_length));
    for (size_t i = 0; i < n; i++)
        if (response[i] > longer) longer = response[i];
    for (size_t i = 0; i < n; i++) {
        side[i] = (struct fit_side){.prompt = prompt[i], .count = response[i]};
        switch (rules->compat) {
        case FIT_TRL_1: kept = fit_trl_1(&side[i], rules) && kept; break;
        case FIT_TRL_024: fit_trl_024(&side[i], rules); break;
        case FIT_PAPER: fit_paper(&side[i], longer, rules); break;
        }
    }
    return kept;
}
