#define _POSIX_C_SOURCE 200809L
#include "report/report.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "report/parts.h"

struct building {
    struct buf runs, evals, counts;
    struct samples samples;
    size_t run_count, eval_count, counts_count;
};

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }
static bool ends(const char *text, const char *with) {
    size_t a = strlen(text), b = strlen(with);
    return a >= b && strcmp(text + a - b, with) == 0;
}

static bool is_eval_name(const char *name) {
    static const char *const tasks[] = {"eval", "goal-accuracy", "midpoint", "unlearning", "goal-curve", "results"};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (begins(name, tasks[i])) return ends(name, ".json");
    return false;
}
static bool is_counts_name(const char *name) { return (begins(name, "augment") || begins(name, "pair")) && ends(name, ".json"); }
static bool is_samples_name(const char *name) { return begins(name, "samples") && ends(name, ".jsonl"); }
static int is_wanted(const struct dirent *e) { return is_eval_name(e->d_name) || is_samples_name(e->d_name) || is_counts_name(e->d_name); }

static status add_eval(struct building *b, const char *path, const char *label, bool found) {
    bool put;
    const size_t size = b->evals.size;
    if (b->eval_count) buf_append_text(&b->evals, ",\n");
    TRY(eval_file_put(&b->evals, path, label, found, &put));
    if (put)
        b->eval_count++;
    else if (b->evals.data)
        b->evals.data[b->evals.size = size] = '\0';
    return ST_OK;
}

static status add_counts(struct building *b, const char *path) {
    bool put;
    const size_t size = b->counts.size;
    if (b->counts_count) buf_append_text(&b->counts, ",\n");
    TRY(counts_file_put(&b->counts, path, &put));
    if (put)
        b->counts_count++;
    else if (b->counts.data)
        b->counts.data[b->counts.size = size] = '\0';
    return ST_OK;
}

/* samples-NAME.jsonl are the samples of NAME, samples.jsonl those of the folder's run. */
static status add_found_samples(struct building *b, const char *path, const char *name, const char *label) {
    const size_t prefix = strlen("samples-"), suffix = strlen(".jsonl"), size = strlen(name);
    const size_t before = b->samples.read;
    char *own = begins(name, "samples-") && size > prefix + suffix ? mem_text_n(name + prefix, size - prefix - suffix) : NULL;
    status s = samples_read(&b->samples, path, own ? own : label, own != NULL);
    free(own);
    if (s != ST_UNSUPPORTED || b->samples.read > before) return s;
    log_warn("%s: left out", status_message());
    return ST_OK;
}

/* By name order, so that the same folder gives the same page. */
static status add_found_files(struct building *b, const struct report_input *folder, bool *found) {
    struct dirent **names;
    int count = scandir(folder->path, &names, is_wanted, alphasort);
    if (count < 0) return FAIL(ST_IO, "%s: cannot list: %s", folder->path, strerror(errno));
    status s = ST_OK;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        char *path = file_join(folder->path, name);
        const size_t evals = b->eval_count, samples = b->samples.read;
        if (s == ST_OK)
            s = is_eval_name(name)     ? add_eval(b, path, folder->label, true)
                : is_counts_name(name) ? add_counts(b, path)
                                       : add_found_samples(b, path, name, folder->label);
        if (b->eval_count > evals || b->samples.read > samples) *found = true;
        free(path);
        free(names[i]);
    }
    free(names);
    return s;
}

static status add_folder(struct building *b, const struct report_input *folder) {
    bool found = false;
    if (!file_is_dir(folder->path)) return FAIL(ST_IO, "%s: not a folder", folder->path);
    if (b->run_count) buf_append_text(&b->runs, ",\n");
    TRY(run_folder_put(&b->runs, folder->path, folder->label, &found));
    TRY(add_found_files(b, folder, &found));
    if (!found)
        return FAIL(ST_MISMATCH,
                    "%s: holds none of metrics.jsonl, manifest.json, eval*.json, goal-accuracy*.json, midpoint*.json, unlearning*.json, "
                    "goal-curve*.json, "
                    "samples*.jsonl",
                    folder->path);
    b->run_count++;
    return ST_OK;
}

static status gather(struct building *b, const struct report_options *o) {
    for (size_t i = 0; i < o->folder_count; i++) TRY(add_folder(b, &o->folders[i]));
    for (size_t i = 0; i < o->eval_count; i++) TRY(add_eval(b, o->evals[i].path, o->evals[i].label, false));
    for (size_t i = 0; i < o->sample_count; i++) TRY(samples_read(&b->samples, o->samples[i].path, o->samples[i].label, true));
    if (!b->run_count && !b->eval_count && !b->samples.shown)
        return FAIL(ST_MISMATCH, "nothing to report: no run folder, evaluation or samples");
    return ST_OK;
}

/* SOURCE_DATE_EPOCH makes pages comparable byte for byte (reproducible-builds.org). */
static void put_now(struct buf *out) {
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    char text[32], *end = NULL;
    long long given = fixed ? strtoll(fixed, &end, 10) : 0;
    time_t now = fixed && end != fixed && !*end ? (time_t)given : time(NULL);
    struct tm tm;
    if (!gmtime_r(&now, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        buf_append_text(out, "null");
    else
        json_put_text(out, text);
}

static void put_title(struct buf *out, const struct report_options *o) {
    if (o->title) {
        buf_append_text(out, o->title);
        return;
    }
    for (size_t i = 0; i < o->folder_count && i < 4; i++) buf_printf(out, "%s%s", i ? ", " : "", o->folders[i].label);
    if (o->folder_count > 4) buf_printf(out, " and %zu more", o->folder_count - 4);
    if (!o->folder_count) buf_append_text(out, "Evaluation");
}

static void put_all(struct buf *json, const struct building *b, const char *title) {
    buf_append_text(json, "{\"title\": ");
    json_put_text(json, title);
    buf_append_text(json, ", \"generated\": ");
    put_now(json);
    buf_printf(json, ", \"rapt_version\": \"%s\",\n\"runs\": [%s],\n\"evals\": [", RAPT_VERSION, buf_text(&b->runs));
    buf_append(json, buf_text(&b->evals), b->evals.size);
    buf_printf(json, "],\n\"counts\": [%s],\n\"samples\": [", buf_text(&b->counts));
    buf_append(json, buf_text(&b->samples.rows), b->samples.rows.size);
    buf_printf(json, "],\n\"sample_counts\": {\"rows\": %zu, \"shown\": %zu, \"prompts\": %zu}}", b->samples.read, b->samples.shown,
               b->samples.prompt_count);
}

status report_write(const struct report_options *o) {
    struct building b = {0};
    struct buf title = {0}, json = {0}, page = {0};
    status s = gather(&b, o);
    if (s == ST_OK) {
        put_title(&title, o);
        put_all(&json, &b, buf_text(&title));
        if (o->format == REPORT_JSON)
            buf_append(&page, json.data, json.size), buf_append_char(&page, '\n');
        else if (o->format == REPORT_HTML)
            page_put(&page, buf_text(&title), &json);
        else
            s = markdown_put(&page, &json);
        if (s == ST_OK) s = file_write(o->output, page.data, page.size);
    }
    buf_release(&b.runs);
    buf_release(&b.evals);
    buf_release(&b.counts);
    samples_release(&b.samples);
    buf_release(&title);
    buf_release(&json);
    buf_release(&page);
    return s;
}
