/* eval_file: what rapt eval TASK --json printed. The runs of the tasks that the page has sections for are groups of estimates two levels
 * deep (kind of figure, stratum, bucket or goal), their differences one level; that is all that is checked, so new strata and figures need
 * no change here. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "format/bench_results.h"
#include "report/parts.h"

static const char *const task_names[] = {"goal-accuracy", "midpoint", "unlearning", "goal-curve"};
static const char *const group_names[] = {"implicit", "raw", "own_goal", "other_goal", "no_goal", "curve", "overall"};

struct place {
    const char *path;
    struct buf field;
};

static status place_fail(const struct place *at, const char *expected, struct json found) {
    return field_fail(at->path, buf_text(&at->field), expected, found);
}

static void place_enter(struct place *at, struct json key) {
    if (at->field.size) buf_append_char(&at->field, '.');
    json_string(&at->field, key);
}

static void place_leave(struct place *at, size_t size) {
    at->field.size = size;
    if (at->field.data) at->field.data[size] = '\0';
}

static status check_estimate(struct place *at, struct json v) {
    static const char *const numbers[] = {"value", "low", "high"};
    if (json_kind_of(v) == JSON_NULL) return ST_OK;
    if (json_kind_of(v) != JSON_OBJECT) return place_fail(at, "an estimate {\"value\", \"low\", \"high\"} or null", v);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        double number;
        struct json x = json_get(v, numbers[i]);
        if (json_double(&number, x)) continue;
        buf_printf(&at->field, ".%s", numbers[i]);
        return place_fail(at, "a finite number", x);
    }
    return ST_OK;
}

static status check_group(struct place *at, struct json v, int levels) {
    struct json key, value;
    if (levels == 0) return check_estimate(at, v);
    if (json_kind_of(v) == JSON_NULL) return ST_OK;
    if (json_kind_of(v) != JSON_OBJECT) return place_fail(at, "an object or null", v);
    struct json_iter it = json_iter_begin(v);
    while (json_iter_next(&it, &key, &value)) {
        size_t size = at->field.size;
        place_enter(at, key);
        TRY(check_group(at, value, levels - 1));
        place_leave(at, size);
    }
    return ST_OK;
}

static status check_run(struct place *at, struct json run, int levels) {
    if (json_kind_of(run) != JSON_OBJECT) return place_fail(at, "an object", run);
    size_t size = at->field.size;
    struct json name = json_get(run, "name");
    if (json_kind_of(name) != JSON_STRING) {
        buf_append_text(&at->field, ".name");
        return place_fail(at, "a string", name);
    }
    for (size_t i = 0; i < sizeof group_names / sizeof group_names[0]; i++) {
        struct json v = json_get(run, group_names[i]);
        if (json_kind_of(v) == JSON_NONE) continue;
        buf_printf(&at->field, ".%s", group_names[i]);
        TRY(check_group(at, v, levels));
        place_leave(at, size);
    }
    return ST_OK;
}

static status check_runs(struct place *at, struct json list, const char *name, int levels, bool required) {
    struct json key, run;
    place_leave(at, 0);
    buf_append_text(&at->field, name);
    if (json_kind_of(list) == JSON_NONE && !required) return ST_OK;
    if (json_kind_of(list) != JSON_ARRAY) return place_fail(at, "an array", list);
    struct json_iter it = json_iter_begin(list);
    for (size_t i = 0; json_iter_next(&it, &key, &run); i++) {
        size_t size = at->field.size;
        buf_printf(&at->field, "[%zu]", i);
        TRY(check_run(at, run, levels));
        place_leave(at, size);
    }
    return ST_OK;
}

static status check_file(struct place *at, struct json file) {
    struct json base = json_get(file, "base");
    TRY(check_runs(at, json_get(file, "runs"), "runs", 2, true));
    TRY(check_runs(at, json_get(file, "differences"), "differences", 1, false));
    if (json_kind_of(base) == JSON_NONE || json_kind_of(base) == JSON_NULL) return ST_OK;
    place_leave(at, 0);
    buf_append_text(&at->field, "base");
    return check_run(at, base, 2);
}

static bool task_known(struct json task) {
    for (size_t i = 0; i < sizeof task_names / sizeof task_names[0]; i++)
        if (json_equals(task, task_names[i])) return true;
    return false;
}

/* Of another task: whatever its runs hold, the page looks for estimates by itself. */
static bool has_runs(struct json file) {
    struct json key, run;
    const struct json runs = json_get(file, "runs");
    struct json_iter it = json_iter_begin(runs);
    if (json_kind_of(json_get(file, "task")) != JSON_STRING || !json_count(runs)) return false;
    while (json_iter_next(&it, &key, &run))
        if (json_kind_of(json_get(run, "name")) != JSON_STRING) return false;
    return true;
}

static status put_checked(struct buf *out, const char *path, struct json file, const char *label) {
    if (task_known(json_get(file, "task"))) {
        struct place at = {.path = path};
        status s = check_file(&at, file);
        buf_release(&at.field);
        TRY(s);
    }
    buf_append_text(out, "{\"file\": ");
    json_put_text(out, path);
    buf_append_text(out, ", \"label\": ");
    if (label)
        json_put_text(out, label);
    else
        buf_append_text(out, "null");
    buf_append_text(out, ", \"data\": ");
    status s = ST_OK;
    if (bench_is_results(file))
        s = bench_put_runs(out, file);
    else if (harness_is_results(file))
        harness_put(out, file, label);
    else
        buf_append(out, file.text, file.size);
    buf_append_char(out, '}');
    return s == ST_OK ? s : status_note(s, "%s: ", path);
}

status eval_file_put(struct buf *out, const char *path, const char *label, bool found, bool *put) {
    struct buf text = {0};
    struct json file;
    *put = false;
    status s = file_read(&text, path);
    if (s == ST_OK && (s = json_parse(&file, buf_text(&text), text.size)) != ST_OK) s = status_note(s, "%s: ", path);
    if (s == ST_OK) {
        struct json task = json_get(file, "task");
        *put = task_known(task) || bench_is_results(file) || has_runs(file) || harness_is_results(file);
        if (*put)
            s = put_checked(out, path, file, label);
        else if (found)
            log_warn("%s: left out: not the output of rapt eval TASK --json", path);
        else
            s = field_fail(path, "task", "a task with runs, as rapt eval TASK --json prints, or lm-evaluation-harness's results", task);
    }
    buf_release(&text);
    return s;
}
