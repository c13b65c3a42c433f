#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regex.h"
#include "model/lora.h"

bool lora_is_pattern(const char *text) { return strpbrk(text, "\\^$*+?()[]{}|") != NULL; }

static bool ends_in(const char *name, const char *end) {
    const size_t n = strlen(name), k = strlen(end);
    return strcmp(name, end) == 0 || (n > k && name[n - k - 1] == '.' && strcmp(name + n - k, end) == 0);
}

/* The number of the first ".NUMBER." of a name; -1 = none. */
static int64_t layer_of(const char *name) {
    for (const char *p = strchr(name, '.'); p; p = strchr(p + 1, '.')) {
        char *end;
        if (p[1] < '0' || p[1] > '9') continue;
        const long long n = strtoll(p + 1, &end, 10);
        if (*end == '.') return n;
    }
    return -1;
}

/* layers_to_transform; it does not concern targets given as a pattern. */
static bool in_layers(const struct lora_options *o, const char *name) {
    bool found = !o->layer_count;
    const int64_t layer = layer_of(name);
    for (size_t i = 0; i < o->layer_count; i++) found = found || o->layers[i] == layer;
    return found;
}

static status target_match(bool *adapted, bool *used, const struct lora_options *o, const char *name) {
    *adapted = false;
    if (o->save_head && ends_in(name, "lm_head")) return ST_OK; /* trained in full, so never adapted */
    if (o->pattern) {
        TRY(regex_full_match(adapted, o->targets[0], name));
        used[0] = used[0] || *adapted;
        return ST_OK;
    }
    for (size_t i = 0; i < o->target_count; i++) {
        const bool all =
            strcmp(o->targets[i], "all-linear") == 0 && strcmp(name, "lm_head") != 0; /* peft: every linear but the output head */
        if (all || ends_in(name, o->targets[i])) used[i] = *adapted = true;
    }
    *adapted = *adapted && in_layers(o, name);
    return ST_OK;
}

/* The first rule that the name's end matches. */
static status rule_value(double *value, const struct lora_rule *rules, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        char pattern[512];
        bool matches;
        if (snprintf(pattern, sizeof pattern, "(.*\\.)?(%s)", rules[i].pattern) >= (int)sizeof pattern)
            return FAIL(ST_UNSUPPORTED, "pattern '%s' is too long", rules[i].pattern);
        TRY(regex_full_match(&matches, pattern, name));
        if (!matches) continue;
        *value = rules[i].value;
        return ST_OK;
    }
    return ST_OK;
}

status lora_match(bool *adapted, size_t *rank, float *scale, bool *used, const struct lora_options *o, const char *name) {
    double r = (double)o->rank, alpha = o->alpha;
    TRY(target_match(adapted, used, o, name));
    if (!*adapted) return ST_OK;
    TRY(rule_value(&r, o->ranks, o->rank_count, name));
    TRY(rule_value(&alpha, o->alphas, o->alpha_count, name));
    *rank = (size_t)r;
    *scale = (float)(alpha / (o->rslora ? sqrt(r) : r));
    return ST_OK;
}
