#include "cli/cli_optim.h"

#include <math.h>
#include <string.h>

/* --adam-... that the optimizer does not look at. */
static status check_effect(const struct optim_row *row, const struct opt_result *r, const struct opt_spec *spec) {
    static const char *const names[] = {"adam-beta1", "adam-beta2", "adam-epsilon"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strstr(row->uses, names[i]) && opt_given(r, spec, names[i]))
            return FAIL(ST_USAGE, "--%s has no effect with --optim %s", names[i], row->name);
    return ST_OK;
}

status cli_optim_set(struct train_options *t, struct cli_optim *o, const struct opt_result *r, const struct opt_spec *spec) {
    struct optim o_check;
    struct schedule s_check;
    t->optimizer = optim_find(o->name);
    if (!t->optimizer) {
        char known[256];
        optim_list(known, sizeof known);
        return FAIL(ST_USAGE, "--optim: no optimizer '%s'; there are: %s", o->name, known);
    }
    TRY(check_effect(t->optimizer, r, spec));
    t->optim = optim_params_preset(t->optimizer);
    if (!opt_given(r, spec, "adam-beta2")) o->beta2 = t->optim.beta2;
    t->optim.beta1 = o->beta1, t->optim.beta2 = o->beta2, t->optim.eps = o->epsilon, t->optim.weight_decay = o->weight_decay;
    TRY(optim_params_read(&t->optim, t->optimizer, o->args.items, o->args.count));
    if (!(o->loraplus_ratio > 0) || !isfinite(o->loraplus_ratio))
        return FAIL(ST_USAGE, "--loraplus-lr-ratio must be above 0, it is %g", o->loraplus_ratio);
    t->loraplus_ratio = o->loraplus_ratio;
    t->schedule = (struct schedule_options){.name = o->schedule,
                                            .peak = o->learning_rate,
                                            .warmup_steps = (uint64_t)o->warmup_steps,
                                            .warmup_ratio = o->warmup_ratio,
                                            .kwargs = o->schedule_kwargs.items,
                                            .kwarg_count = o->schedule_kwargs.count};
    t->watched = o->watched;
    /* both again with the real sizes, once the data is read */
    TRY(optim_init(&o_check, t->optimizer, &t->optim, NULL, 0));
    optim_release(&o_check);
    TRY(schedule_init(&s_check, &t->schedule, 1));
    if (!s_check.row->watch && !t->best.keep && opt_given(r, spec, "metric-for-best-model"))
        return FAIL(ST_USAGE, "--metric-for-best-model has no effect with --lr-scheduler-type %s, without --load-best-model-at-end",
                    o->schedule);
    return ST_OK;
}
