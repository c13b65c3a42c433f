#include "cli/cli_lora.h"

#include <stdlib.h>
#include <string.h>

static const char *const own[] = {"lora-r",   "lora-alpha",        "lora-target-modules", "use-rslora",
                                  "use-dora", "init-lora-weights", "modules-to-save"};

status cli_lora_check_effect(const struct opt_result *r, const struct opt_spec *spec, bool full, bool adapter) {
    if (full && opt_given(r, spec, "lora-dropout")) return FAIL(ST_USAGE, "--lora-dropout has no effect with --full");
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (full && opt_given(r, spec, own[i])) return FAIL(ST_USAGE, "--%s has no effect with --full", own[i]);
        if (adapter && opt_given(r, spec, own[i])) return FAIL(ST_USAGE, "--%s has no effect with --adapter, which brings its own", own[i]);
    }
    return ST_OK;
}

static status set_targets(struct lora_options *out, const struct opt_list *targets) {
    if (targets->count > LORA_TARGETS_MAX) return FAIL(ST_USAGE, "--lora-target-modules takes at most %d names", LORA_TARGETS_MAX);
    out->target_count = targets->count;
    for (size_t i = 0; i < targets->count; i++) {
        out->targets[i] = targets->items[i];
        if (!lora_is_pattern(targets->items[i])) continue;
        if (targets->count > 1)
            return FAIL(ST_USAGE, "--lora-target-modules takes names, or one pattern alone; '%s' is a pattern", targets->items[i]);
        out->pattern = true;
    }
    return ST_OK;
}

static status set_saved(struct lora_options *out, const struct opt_list *saved) {
    for (size_t i = 0; i < saved->count; i++) {
        if (strcmp(saved->items[i], "lm_head") == 0)
            out->save_head = true;
        else if (strcmp(saved->items[i], "embed_tokens") == 0)
            out->save_embedding = true;
        else
            return FAIL(ST_USAGE, "--modules-to-save takes lm_head and embed_tokens, not '%s'", saved->items[i]);
    }
    return ST_OK;
}

static status set_init(struct lora_options *out, const char *name) {
    if (strcmp(name, "true") == 0) return ST_OK;
    if (strcmp(name, "gaussian") == 0) {
        out->init = LORA_GAUSSIAN;
        return ST_OK;
    }
    if (strncmp(name, "pissa", 5) == 0) {
        char *end = NULL;
        const bool plain = name[5] == '\0';
        const long long steps = strncmp(name + 5, "_niter_", 7) == 0 ? strtoll(name + 12, &end, 10) : 0;
        out->init = LORA_PISSA;
        out->pissa_steps = (size_t)steps;
        if (plain || (end && end != name + 12 && *end == '\0' && steps > 0 && steps <= 10000)) return ST_OK;
    }
    return FAIL(ST_USAGE, "--init-lora-weights is true, gaussian, pissa or pissa_niter_N, not '%s'", name);
}

status cli_lora_set(struct lora_options *out, const struct cli_lora *o) {
    *out = (struct lora_options){.rank = (size_t)o->rank, .alpha = o->alpha, .dropout = o->dropout, .rslora = o->rslora, .dora = o->dora};
    TRY(set_targets(out, &o->targets));
    TRY(set_saved(out, &o->saved));
    return set_init(out, o->init);
}
