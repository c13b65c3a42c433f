#include "cli/cli_reward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cli_among(const char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static void put_rules(struct buf *out, bool lone, const char *between, bool help) {
    const char *before = "";
    for (size_t i = 0; i < rule_count; i++) {
        if (lone && rule_table[i].reads_row) continue;
        buf_printf(out, "%s%s%s%s", before, rule_table[i].name, help ? ": " : "", help ? rule_table[i].help : "");
        before = between;
    }
}

void cli_rule_names(struct buf *out, bool lone) {
    buf_append_char(out, ' ');
    put_rules(out, lone, "; ", true);
}

void cli_rule_values(struct buf *out, bool lone) { put_rules(out, lone, "|", false); }

static bool has_row(const struct opt_spec *spec, const char *name) {
    for (size_t i = 0; i < spec->row_count; i++)
        if (spec->rows[i].kind != OPT_HEADING && strcmp(spec->rows[i].name, name) == 0) return true;
    return false;
}

static status check_effects(const struct rule_row *rule, const struct opt_result *given, const struct opt_spec *spec) {
    for (size_t i = 0; i < rule_count; i++)
        for (const char *const *name = rule_table[i].options; *name; name++)
            if (has_row(spec, *name) && !cli_among(rule->options, *name) && opt_given(given, spec, *name))
                return FAIL(ST_USAGE, "--%s has no effect with --rule %s", *name, rule->name);
    return ST_OK;
}

static status find_rule(const struct rule_row **rule, const struct rule_flags *f, const char *option, bool lone) {
    struct buf names = {0};
    *rule = f->rule ? rule_find(f->rule) : NULL;
    if (*rule && lone && (*rule)->reads_row)
        return FAIL(ST_USAGE, "--rule %s compares with a field of each row, and an answer comes without one", f->rule);
    if (*rule) return ST_OK;
    put_rules(&names, lone, ", ", false);
    const status s = FAIL(ST_USAGE, "%s expects --rule NAME, one of %s%s%s", option, buf_text(&names), f->rule ? "; found " : "",
                          f->rule ? f->rule : "");
    buf_release(&names);
    return s;
}

status cli_rule(struct reward_options *r, const struct rule_flags *f, const char *option, bool lone, const struct opt_result *given,
                const struct opt_spec *spec) {
    const struct rule_row *rule;
    TRY(find_rule(&rule, f, option, lone));
    if (cli_among(rule->options, "command") && !f->command) return FAIL(ST_USAGE, "--rule %s expects --command TEXT", f->rule);
    if (!lone && (f->command_batch < 1 || f->command_batch > 1 << 20)) return FAIL(ST_USAGE, "--command-batch expects 1 to 1048576");
    if (!(f->command_timeout >= 0.001 && f->command_timeout <= 86400)) return FAIL(ST_USAGE, "--command-timeout expects 0.001 to 86400");
    if (cli_among(rule->options, "pattern") && !f->pattern) return FAIL(ST_USAGE, "--rule %s expects --pattern P", f->rule);
    if (cli_among(rule->options, "length") && f->length < 1) return FAIL(ST_USAGE, "--rule %s expects --length N, 1 or more", f->rule);
    r->rule = f->rule;
    r->pattern = f->pattern;
    r->answer_field = f->answer_field;
    r->extract = f->extract;
    r->unit = f->unit;
    r->length = f->length;
    r->command = f->command;
    r->command_batch = lone ? 1 : f->command_batch;
    r->command_timeout_ms = (int64_t)(f->command_timeout * 1000);
    return check_effects(rule, given, spec);
}

status cli_weights(struct reward_options *r, const struct opt_list *list) {
    _Static_assert(REWARD_NAMES_MAX >= OPT_LIST_MAX, "every weight has its place");
    for (size_t i = 0; i < list->count; i++) {
        const char *mark = strrchr(list->items[i], '='), *text = list->items[i];
        char *end = NULL;
        const double weight = mark ? strtod(mark + 1, &end) : 0;
        if (!mark || mark == text || end == mark + 1 || *end || !isfinite(weight))
            return FAIL(ST_USAGE, "--weights expects NAME=W such as helpfulness=0.65, found '%s'", text);
        r->weights[r->weight_count++] = (struct reward_weight){mem_keep(mem_text_n(text, (size_t)(mark - text))), weight};
    }
    return ST_OK;
}
