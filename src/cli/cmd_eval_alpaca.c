/* rapt eval alpaca: AlpacaEval's raw and length-controlled win rates. */
#include <string.h>

#include "base/log.h"
#include "cli/cli_eval.h"
#include "cli/cmd.h"
#include "eval/alpaca.h"

struct options {
    struct opt_list annotations;
    const char *gamed, *glm, *output;
    int64_t resamples, seed;
    bool json;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"annotations", OPT_LIST, FIELD(annotations), "F.json", NULL, NULL,
     "AlpacaEval's annotations.json, one a model: output_1, generator_1 (the baseline), output_2, generator_2, preference 1 to 2; index, "
     "where answers are missing"},
    {"gamed", OPT_STR, FIELD(gamed), "F.csv", NULL, NULL,
     "AlpacaEval's df_gamed.csv (data set tatsu-lab/alpaca_eval on the hub): difficulties of the instructions and the baseline's own gamed "
     "outputs"},
    {"glm", OPT_STR, FIELD(glm), "NAME", NULL, NULL,
     "the length-controlled model; default with --gamed length_controlled_v1, without it none. One of:"},
    CLI_BOOTSTRAP_ROWS(FIELD(resamples), FIELD(seed), "instructions"),
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "Print JSON instead of a table."},
    {"output", OPT_STR, FIELD(output), "FILE", NULL, NULL, "Write the JSON to this file too."},
};

static void put_names(struct buf *out, const char *option) {
    if (strcmp(option, "glm") != 0) return;
    for (size_t i = 0; i < alpaca_glm_count; i++)
        buf_printf(out, "%s%s (%s)", i ? ", " : "", alpaca_glm_table[i].name, alpaca_glm_table[i].help);
}

const struct opt_spec cmd_eval_alpaca_spec = {
    .command = "eval alpaca",
    .summary = "AlpacaEval: win rate and length-controlled win rate, with intervals, from a judge's annotations.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .example = "rapt eval alpaca --annotations annotations.json --gamed df_gamed.csv\n"
               "rapt eval alpaca --annotations a.json --annotations b.json --glm length_controlled_minimal --json",
    .notes = "rapt eval judge --bench alpaca writes such files, and so does alpaca_eval; docs/evaluation.md has their form.",
};

static void put_rates(struct buf *json, struct buf *text, const struct alpaca_set *s, const struct alpaca_rates *r,
                      const struct alpaca_intervals *i) {
    buf_append_text(json, "{\"generator\": ");
    json_put_text(json, s->generator[1]);
    buf_append_text(json, ", \"baseline\": ");
    json_put_text(json, s->generator[0]);
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"win_rate", r->win_rate},
                   {"standard_error", r->standard_error},
                   {"discrete_win_rate", r->discrete_win_rate},
                   {"avg_length", r->average_length}};
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        buf_printf(json, ", \"%s\": ", numbers[k].name);
        json_put_double(json, numbers[k].value);
    }
    buf_printf(json, ", \"n_wins\": %zu, \"n_wins_base\": %zu, \"n_draws\": %zu, \"n_total\": %zu", r->wins, r->wins_base, r->draws,
               r->total);
    buf_printf(text, "%s against %s: %zu preferences of %zu rows\n", s->generator[1], s->generator[0], r->total, s->count);
    buf_printf(text, "  win rate                    %6.2f +- %.2f   [%.2f, %.2f]   (%zu won, %zu lost, %zu drawn; discrete %.2f)\n",
               r->win_rate, r->standard_error, i->win_rate.low, i->win_rate.high, r->wins, r->wins_base, r->draws, r->discrete_win_rate);
    buf_printf(text, "  mean length                 %6.0f characters   [%.0f, %.0f]\n", r->average_length, i->length.low, i->length.high);
}

static void put_controlled(struct buf *json, struct buf *text, const struct alpaca_lc *lc, const struct alpaca_glm *glm) {
    const double *w = lc->fit.coefficients;
    buf_append_text(json, ", \"length_controlled_winrate\": ");
    json_put_double(json, lc->win_rate);
    buf_append_text(json, ", \"lc_standard_error\": ");
    json_put_double(json, lc->standard_error);
    buf_printf(json, ", \"glm\": \"%s\", \"weights\": {\"length\": ", glm->name);
    json_put_double(json, w[0]);
    if (glm->difficulty) {
        buf_append_text(json, ", \"instruction_difficulty\": ");
        json_put_double(json, w[1]);
    }
    buf_append_text(json, ", \"model\": ");
    json_put_double(json, w[glm->difficulty ? 2 : 1]);
    buf_append_char(json, '}');
    buf_printf(text, "  length-controlled win rate  %6.2f +- %.2f   [%.2f, %.2f]   (%s)\n", lc->win_rate, lc->standard_error,
               lc->interval.low, lc->interval.high, glm->name);
}

static void put_interval(struct buf *json, const char *name, const struct estimate *e) {
    buf_printf(json, "\"%s\": [", name);
    json_put_double(json, e->low);
    buf_append_text(json, ", ");
    json_put_double(json, e->high);
    buf_append_char(json, ']');
}

/* By the names of what they are of. lc: NULL without a fit. */
static void put_intervals(struct buf *json, const struct alpaca_intervals *i, const struct alpaca_lc *lc) {
    buf_append_text(json, ", \"intervals\": {");
    put_interval(json, "win_rate", &i->win_rate);
    buf_append_text(json, ", ");
    put_interval(json, "avg_length", &i->length);
    if (lc) {
        buf_append_text(json, ", ");
        put_interval(json, "length_controlled_winrate", &lc->interval);
    }
    buf_append_char(json, '}');
}

static status one_file(struct buf *json, struct buf *text, const char *path, const struct alpaca_glm *glm, const struct alpaca_gamed *gamed,
                       const struct bootstrap_params *p) {
    struct alpaca_set set;
    struct alpaca_rates rates;
    struct alpaca_intervals intervals;
    struct alpaca_lc lc;
    TRY(alpaca_load(&set, path));
    alpaca_win_rates(&rates, &set);
    if (glm && alpaca_is_short(&set, glm, gamed))
        log_warn("%s: %zu rows without an index, and --gamed has difficulties of %zu instructions. The rows are taken for the first %zu of "
                 "the evaluation set; where answers are missing, all rows "
                 "behind the first gap have the difficulty of another instruction. rapt eval judge says each row's index where answers are "
                 "missing: judge again, or add \"index\" to the rows",
                 path, set.count, gamed->instructions, set.count);
    status s = alpaca_intervals(&intervals, &set, p);
    if (s == ST_OK) put_rates(json, text, &set, &rates, &intervals);
    if (s == ST_OK && glm) s = alpaca_length_controlled(&lc, &set, glm, gamed, p);
    if (s != ST_OK) status_note(s, "%s: ", path);
    if (s == ST_OK && glm) {
        put_controlled(json, text, &lc, glm);
        if (alpaca_is_extreme(rates.win_rate, lc.win_rate))
            log_warn("%s: the length-controlled win rate, %.1f%%, is far from the raw one, %.1f%%: the fit may have failed", path,
                     lc.win_rate, rates.win_rate);
    }
    if (s == ST_OK) put_intervals(json, &intervals, glm ? &lc : NULL);
    buf_append_char(json, '}');
    alpaca_release(&set);
    return s;
}

static status evaluate(const struct options *o, const struct alpaca_glm *glm, const struct alpaca_gamed *gamed,
                       const struct bootstrap_params *p) {
    struct buf json = {0}, text = {0};
    status s = ST_OK;
    buf_append_text(&json, "{\"task\": \"alpaca\", \"level\": ");
    json_put_double(&json, p->level);
    buf_append_text(&json, ", \"models\": [");
    for (size_t i = 0; s == ST_OK && i < o->annotations.count; i++) {
        if (i) buf_append_text(&json, ", ");
        s = one_file(&json, &text, o->annotations.items[i], glm, gamed, p);
    }
    buf_append_text(&json, "]}\n");
    buf_printf(&text, "[%g%% intervals by bootstrap over instructions]\n", 100 * p->level);
    if (s == ST_OK) s = cli_put_results(&json, &text, o->output, o->json);
    buf_release(&json);
    buf_release(&text);
    return s;
}

status cmd_eval_alpaca_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct alpaca_gamed gamed = {0};
    struct bootstrap_params p;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_alpaca_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.annotations.count) return FAIL(ST_USAGE, "--annotations FILE is needed");
    const char *name = o.glm ? o.glm : o.gamed ? "length_controlled_v1" : NULL;
    const struct alpaca_glm *glm = name ? alpaca_glm_find(name) : NULL;
    if (name && !glm) return FAIL(ST_USAGE, "--glm: there is no '%s' (rapt eval alpaca --help lists them)", name);
    if (glm && glm->difficulty && !o.gamed) return FAIL(ST_USAGE, "--glm %s needs --gamed df_gamed.csv", name);
    if (glm && !glm->difficulty && o.gamed) return FAIL(ST_USAGE, "--gamed has no effect with --glm %s", name);
    TRY(cli_bootstrap(&p, o.resamples, o.seed));
    if (o.gamed) TRY(alpaca_gamed_load(&gamed, o.gamed));
    const status s = evaluate(&o, glm, o.gamed ? &gamed : NULL, &p);
    alpaca_gamed_release(&gamed);
    return s;
}
