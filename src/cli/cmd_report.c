/* rapt report DIR... --output R.html: what runs did, on one page. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "format/json.h"
#include "report/report.h"

struct options {
    struct opt_list eval, samples;
    const char *output, *title;
};

static const struct opt_row rows[] = {
    {"output", OPT_STR, offsetof(struct options, output), "R.html", NULL, NULL, "The page: one file that needs no network. - is stdout."},
    {"title", OPT_STR, offsetof(struct options, title), "TEXT", NULL, NULL, "Heading of the page; the runs' names otherwise."},
    {"eval", OPT_LIST, offsetof(struct options, eval), "FILE", NULL, NULL, "Further output of rapt eval TASK --json."},
    {"samples", OPT_LIST, offsetof(struct options, samples), "FILE", NULL, NULL,
     "Further generated texts: rows with prompt, text, goal and model or adapter."},
};

const struct opt_spec cmd_report_spec = {
    .command = "report",
    .summary = "one self-contained page: what changed, curves, samples side by side, provenance",
    .positional = "[NAME=]DIR...",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example =
        "rapt report runs/paired --output report.html\n"
        "rapt report runs/paired plain=runs/dpo-plain --eval goal-accuracy.json --title 'SmolLM2, UltraFeedback' --output report.html",
    .notes = "DIR is the --output-dir of rapt train: metrics.jsonl and manifest.json. In each DIR, files named eval*.json, "
             "goal-accuracy*.json and\n"
             "unlearning*.json (rapt eval --json) and samples*.jsonl are taken too. Sections without data are left out.",
};

/* "name=folder", or a folder whose last path component is its name. A folder that exists under the whole text is taken whole. Returns the
 * label: caller frees. */
static char *split_folder(struct report_folder *out, const char *text) {
    const char *equals = strchr(text, '=');
    if (equals && equals != text && !file_exists(text)) {
        char *label = mem_text_n(text, (size_t)(equals - text));
        *out = (struct report_folder){equals + 1, label};
        return label;
    }
    size_t end = strlen(text);
    while (end > 1 && text[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '/') begin--;
    char *label = mem_text_n(text + begin, end - begin);
    *out = (struct report_folder){text, label};
    return label;
}

static status check_labels(const struct report_folder *folders, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(folders[i].label, folders[j].label) == 0)
                return FAIL(ST_USAGE, "%s and %s would both be called '%s'; name them: NAME=DIR", folders[j].path, folders[i].path,
                            folders[i].label);
    return ST_OK;
}

/* Names and titles come from the command line, which need not be UTF-8; the page is. */
static status check_text(const char *what, const char *text) {
    struct buf quoted = {0};
    struct json value;
    json_put_text(&quoted, text);
    status s = json_parse(&value, quoted.data, quoted.size);
    buf_release(&quoted);
    return s == ST_OK ? ST_OK : FAIL(ST_USAGE, "%s is not UTF-8 text", what);
}

static status check_all(const struct report_folder *folders, size_t count, const struct options *o) {
    TRY(check_labels(folders, count));
    for (size_t i = 0; i < count; i++) TRY(check_text(folders[i].path, folders[i].path));
    for (size_t i = 0; i < o->eval.count; i++) TRY(check_text("--eval", o->eval.items[i]));
    return o->title ? check_text("--title", o->title) : ST_OK;
}

status cmd_report_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_report_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.output) return FAIL(ST_USAGE, "rapt report expects --output R.html");
    if (!result.positional_count && !o.eval.count && !o.samples.count)
        return FAIL(ST_USAGE, "rapt report expects a run folder, --eval or --samples");
    struct report_folder folders[OPT_LIST_MAX];
    char *labels[OPT_LIST_MAX];
    for (size_t i = 0; i < result.positional_count; i++) labels[i] = split_folder(&folders[i], result.positional[i]);
    const struct report_options ro = {.folders = folders,
                                      .folder_count = result.positional_count,
                                      .evals = o.eval.items,
                                      .eval_count = o.eval.count,
                                      .samples = o.samples.items,
                                      .sample_count = o.samples.count,
                                      .title = o.title,
                                      .output = o.output};
    status s = check_all(folders, result.positional_count, &o);
    if (s == ST_OK) s = report_write(&ro);
    if (s == ST_OK) log_info("wrote %s", o.output);
    for (size_t i = 0; i < result.positional_count; i++) free(labels[i]);
    return s;
}
