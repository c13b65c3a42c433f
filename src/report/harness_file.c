/* harness_file: lm-evaluation-harness's results JSON (lm_eval/evaluator.py; rapt eval writes the same), as an evaluation of the page:
 * {"task": "harness", "runs": [{"name", TASK: {FIGURE: estimate, ..}, ..}]}. Intervals are value +- 1.96 standard errors. */
#include <string.h>

#include "report/parts.h"

bool harness_is_results(struct json file) {
    return json_kind_of(json_get(file, "results")) == JSON_OBJECT && (json_get(file, "configs").size || json_get(file, "config").size);
}

/* "acc,none" with "acc_stderr,none": the key without its filter where that is "none", else "exact_match, strict match". */
static void put_figure(struct buf *out, const char *key, double value, double error, double n) {
    const char *comma = strchr(key, ',');
    struct buf name = {0};
    buf_append(&name, key, comma ? (size_t)(comma - key) : strlen(key));
    if (comma && strcmp(comma, ",none") != 0) buf_printf(&name, ", %s", comma + 1);
    json_put_string(out, buf_text(&name), name.size);
    buf_append_text(out, ": {\"value\": ");
    json_put_double(out, value);
    buf_append_text(out, ", \"low\": ");
    json_put_double(out, value - 1.96 * error);
    buf_append_text(out, ", \"high\": ");
    json_put_double(out, value + 1.96 * error);
    if (n > 0) {
        buf_append_text(out, ", \"n\": ");
        json_put_double(out, n);
    }
    buf_append_char(out, '}');
    buf_release(&name);
}

static void put_task(struct buf *out, struct json results, double n) {
    struct json key, value;
    struct json_iter it = json_iter_begin(results);
    const char *separator = "";
    while (json_iter_next(&it, &key, &value)) {
        struct buf name = {0}, error_name = {0};
        double number, error = 0;
        json_string(&name, key);
        const char *text = buf_text(&name), *comma = strchr(text, ',');
        if (json_double(&number, value) && comma && !strstr(text, "_stderr,")) {
            buf_append(&error_name, text, (size_t)(comma - text));
            buf_printf(&error_name, "_stderr%s", comma);
            if (!json_double(&error, json_get(results, buf_text(&error_name)))) error = 0;
            buf_append_text(out, separator);
            put_figure(out, text, number, error, n);
            separator = ", ";
        }
        buf_release(&name);
        buf_release(&error_name);
    }
}

/* The model's name as the harness has it (EvaluationTracker's: the adapter, else the model), where the caller gives none. */
static void put_name(struct buf *out, struct json file, const char *label) {
    const struct json names[] = {json_get(file, "model_name"), json_get(json_get(file, "config"), "model_name"),
                                 json_get(json_get(file, "config"), "model")};
    if (label) {
        json_put_text(out, label);
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_kind_of(names[i]) != JSON_STRING) continue;
        buf_append(out, names[i].text, names[i].size);
        return;
    }
    buf_append_text(out, "\"model\"");
}

void harness_put(struct buf *out, struct json file, const char *label) {
    struct json key, value;
    struct json_iter it = json_iter_begin(json_get(file, "results"));
    buf_append_text(out, "{\"task\": \"harness\", \"runs\": [{\"name\": ");
    put_name(out, file, label);
    while (json_iter_next(&it, &key, &value)) {
        struct buf task = {0};
        double n = 0;
        if (json_kind_of(value) != JSON_OBJECT || json_equals(key, "name")) continue;
        json_string(&task, key);
        json_double(&n, json_get(json_get(json_get(file, "n-samples"), buf_text(&task)), "effective"));
        buf_append_text(out, ", ");
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": {");
        put_task(out, value, n);
        buf_append_char(out, '}');
        buf_release(&task);
    }
    buf_append_text(out, "}]}");
}
