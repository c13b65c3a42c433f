/* rapt report DIR... --output R.html: what runs did, on one page. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "format/json.h"
#include "report/report.h"
#include "report/tensorboard.h"

struct options {
    struct opt_list eval, samples;
    const char *output, *title, *format, *tensorboard;
};

static const struct opt_row rows[] = {
    {"output", OPT_STR, offsetof(struct options, output), "FILE", NULL, NULL, "The page: one file that needs no network. - is stdout."},
    {"format", OPT_CHOICE, offsetof(struct options, format), NULL, "html", "html|md|json",
     "html: the page. md: the same tables and texts as Markdown. json: what the page is made from."},
    {"tensorboard", OPT_STR, offsetof(struct options, tensorboard), "D", NULL, NULL,
     "Also writes D/NAME/events.out.tfevents.rapt for each run, its metrics for TensorBoard. May stand without --output."},
    {"title", OPT_STR, offsetof(struct options, title), "TEXT", NULL, NULL, "Heading of the page; the runs' names otherwise."},
    {"eval", OPT_LIST, offsetof(struct options, eval), "[NAME=]FILE", NULL, NULL,
     "Further output of rapt eval TASK --json (alpaca, arena-hard, mt-bench too), or results JSON of lm-evaluation-harness. NAME is the "
     "model's, where the file has one."},
    {"samples", OPT_LIST, offsetof(struct options, samples), "[NAME=]FILE", NULL, NULL,
     "Further texts as rapt generate --output writes them. NAME is the model's; else the rows' adapter or model field."},
};

const struct opt_spec cmd_report_spec = {
    .command = "report",
    .summary = "one self-contained page: what changed, curves, samples side by side, provenance",
    .positional = "[NAME=]DIR...",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example =
        "rapt report runs/paired --output report.html\n"
        "rapt report runs/paired plain=runs/dpo-plain --eval goal-accuracy.json --title 'SmolLM2, UltraFeedback' --output report.html\n"
        "rapt report runs/* --format md --output report.md --tensorboard tb",
    .notes = "DIR is the --output-dir of rapt train: metrics.jsonl and manifest.json. In each DIR, files named eval*.json, "
             "goal-accuracy*.json, midpoint*.json,\n"
             "unlearning*.json, goal-curve*.json (rapt eval --json), results*.json (lm-evaluation-harness), augment*.json,\n"
             "pair*.json (their --json) and samples.jsonl, samples-NAME.jsonl (rapt generate) are taken too.\n"
             "Sections without data are left out. Evaluations of several models in one file are matched to the runs by name.",
};

struct inputs {
    struct report_input items[OPT_LIST_MAX];
    char *labels[OPT_LIST_MAX]; /* owned */
    size_t count;
};

static char *last_component(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    return mem_text_n(path + begin, end - begin);
}

/* "name=path", or a path: a folder's name is then its last component, a file says its models' names itself. A path that exists under the
 * whole text is taken whole. */
static void inputs_add(struct inputs *list, const char *text, bool folder) {
    const char *equals = strchr(text, '=');
    const bool named = equals && equals != text && !file_exists(text);
    char *label = named ? mem_text_n(text, (size_t)(equals - text)) : folder ? last_component(text) : NULL;
    list->labels[list->count] = label;
    list->items[list->count++] = (struct report_input){named ? equals + 1 : text, label};
}

static void inputs_release(struct inputs *list) {
    for (size_t i = 0; i < list->count; i++) free(list->labels[i]);
    list->count = 0;
}

/* Names and paths come from the command line, which need not be UTF-8; the page is. */
static status check_text(const char *what, const char *text) {
    struct buf quoted = {0};
    struct json value;
    json_put_text(&quoted, text);
    status s = json_parse(&value, quoted.data, quoted.size);
    buf_release(&quoted);
    return s == ST_OK ? ST_OK : FAIL(ST_USAGE, "%s is not UTF-8 text", what);
}

static status check_inputs(const struct inputs *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct report_input *in = &list->items[i];
        TRY(check_text(in->path, in->path));
        if (in->label) TRY(check_text("a name before =", in->label));
    }
    return ST_OK;
}

static status check_labels(const struct inputs *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct report_input *a = &list->items[i];
        for (size_t j = 0; j < i; j++) {
            const struct report_input *b = &list->items[j];
            if (strcmp(a->label, b->label) == 0)
                return FAIL(ST_USAGE, "%s and %s would both be called '%s'; name them: NAME=DIR", b->path, a->path, a->label);
        }
    }
    return ST_OK;
}

static enum report_format format_of(const char *name) {
    return strcmp(name, "md") == 0 ? REPORT_MARKDOWN : strcmp(name, "json") == 0 ? REPORT_JSON : REPORT_HTML;
}

/* A label is a folder's name below D. */
static status write_events(const char *output, const struct inputs *folders) {
    size_t count = 0;
    for (size_t i = 0; i < folders->count; i++) {
        const struct report_input *in = &folders->items[i];
        bool written;
        if (strchr(in->label, '/') || strcmp(in->label, ".") == 0 || strcmp(in->label, "..") == 0)
            return FAIL(ST_USAGE, "--tensorboard: '%s' cannot be a folder's name; name the run: NAME=DIR", in->label);
        TRY(tensorboard_write(&written, output, in->path, in->label));
        count += written;
    }
    if (!count) return FAIL(ST_MISMATCH, "--tensorboard: no run folder holds a metrics.jsonl");
    log_info("wrote %zu event files to %s", count, output);
    return ST_OK;
}

static status make_page(const struct options *o, const struct inputs *folders, const struct inputs *evals, const struct inputs *samples) {
    const struct report_options ro = {.folders = folders->items,
                                      .folder_count = folders->count,
                                      .evals = evals->items,
                                      .eval_count = evals->count,
                                      .samples = samples->items,
                                      .sample_count = samples->count,
                                      .title = o->title,
                                      .output = o->output,
                                      .format = format_of(o->format)};
    TRY(check_labels(folders));
    TRY(check_inputs(folders));
    TRY(check_inputs(evals));
    TRY(check_inputs(samples));
    if (o->title) TRY(check_text("--title", o->title));
    if (o->tensorboard) TRY(write_events(o->tensorboard, folders));
    if (!o->output) return ST_OK;
    TRY(report_write(&ro));
    log_info("wrote %s", o->output);
    return ST_OK;
}

status cmd_report_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_report_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.output && !o.tensorboard) return FAIL(ST_USAGE, "rapt report expects --output FILE, or --tensorboard D");
    if (!o.output && opt_given(&result, &cmd_report_spec, "format")) return FAIL(ST_USAGE, "--format has no effect without --output");
    if (!o.output && (o.title || o.eval.count || o.samples.count))
        return FAIL(ST_USAGE, "--title, --eval and --samples have no effect without --output");
    if (!result.positional_count && !o.eval.count && !o.samples.count)
        return FAIL(ST_USAGE, "rapt report expects a run folder, --eval or --samples");
    struct inputs folders = {.count = 0}, evals = {.count = 0}, samples = {.count = 0};
    for (size_t i = 0; i < result.positional_count; i++) inputs_add(&folders, result.positional[i], true);
    for (size_t i = 0; i < o.eval.count; i++) inputs_add(&evals, o.eval.items[i], false);
    for (size_t i = 0; i < o.samples.count; i++) inputs_add(&samples, o.samples.items[i], false);
    status s = make_page(&o, &folders, &evals, &samples);
    inputs_release(&folders);
    inputs_release(&evals);
    inputs_release(&samples);
    return s;
}
