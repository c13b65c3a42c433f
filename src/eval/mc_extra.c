/* mc_extra: what multiple-choice tasks read beside JSON rows: lm-eval's YAML files, and Python's lists of strings. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "eval/mc_task.h"
#include "format/yaml.h"

void mc_extra_release(struct mc_extra *x) {
    free(x->name);
    free(x->description);
    for (size_t i = 0; i < x->choice_count; i++) free(x->choices[i]);
    free(x->choices);
    harness_shots_release(x->shots, x->shot_count);
    *x = (struct mc_extra){0};
}

static status scalar(char **out, const struct yaml *y, const struct yaml_node *map, const char *key) {
    const struct yaml_node *node = yaml_get(map, key);
    if (!node || node->kind != YAML_SCALAR)
        return FAIL(ST_FORMAT, "%s:%zu: expected '%s', a text", y->path, node ? node->line : map->line, key);
    *out = mem_text(node->text);
    return ST_OK;
}

static status read_choices(struct mc_extra *x, const struct yaml *y) {
    const struct yaml_node *list = yaml_get(y->root, "doc_to_choice");
    if (!list || list->kind != YAML_LIST || !list->count || list->count > MC_CHOICES_MAX)
        return FAIL(ST_FORMAT, "%s:%zu: expected doc_to_choice, a list of 1 to %d texts", y->path, list ? list->line : 1, MC_CHOICES_MAX);
    x->choices = mem_zero(list->count, sizeof *x->choices);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != YAML_SCALAR || !*list->items[i]->text)
            return FAIL(ST_FORMAT, "%s:%zu: expected a text in doc_to_choice", y->path, list->items[i]->line);
        x->choices[x->choice_count++] = mem_text(list->items[i]->text);
    }
    return ST_OK;
}

static status read_shots(struct mc_extra *x, const struct yaml *y) {
    const struct yaml_node *config = yaml_get(y->root, "fewshot_config"),
                           *samples = config && config->kind == YAML_MAP ? yaml_get(config, "samples") : NULL;
    if (!samples || samples->kind != YAML_LIST)
        return FAIL(ST_FORMAT, "%s:%zu: expected fewshot_config with samples, a list", y->path, config ? config->line : 1);
    x->shots = mem_zero(samples->count + 1, sizeof *x->shots);
    for (size_t i = 0; i < samples->count; i++) {
        struct harness_shot *shot = &x->shots[x->shot_count];
        char *input = NULL;
        struct buf text = {0};
        if (samples->items[i]->kind != YAML_MAP)
            return FAIL(ST_FORMAT, "%s:%zu: expected a map with input and target", y->path, samples->items[i]->line);
        TRY(scalar(&input, y, samples->items[i], "input"));
        buf_printf(&text, "Q: %s\nA:", input);
        free(input);
        shot->text = text.data;
        x->shot_count++;
        TRY(scalar(&shot->target, y, samples->items[i], "target"));
    }
    return ST_OK;
}

static status read_all(struct mc_extra *x, const struct yaml *y) {
    if (y->root->kind != YAML_MAP) return FAIL(ST_FORMAT, "%s:%zu: expected a map, a task of lm-eval", y->path, y->root->line);
    TRY(scalar(&x->name, y, y->root, "task"));
    if (strlen(x->name) > 100 || x->name[strspn(x->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
        return FAIL(ST_FORMAT, "%s: task: expected a name of letters, digits, _ and -", y->path);
    if (yaml_get(y->root, "description")) TRY(scalar(&x->description, y, y->root, "description"));
    TRY(read_choices(x, y));
    return read_shots(x, y);
}

status mc_extra_load(struct mc_extra *x, const char *path) {
    struct yaml y;
    *x = (struct mc_extra){0};
    status s = yaml_load(&y, path);
    if (s == ST_OK) s = read_all(x, &y);
    yaml_release(&y);
    if (s != ST_OK) mc_extra_release(x);
    return s;
}

/* \n, \', \\, \xHH, \uXXXX, \UXXXXXXXX; *at stands behind the backslash. */
static bool put_escape(struct buf *out, const char **at, const char *end) {
    static const char names[] = "ntr'\"\\abfv", values[] = "\n\t\r'\"\\\a\b\f\v";
    if (*at == end) return false;
    const char c = *(*at)++;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits) {
        const char *found = memchr(names, c, sizeof names - 1); /* octal escapes are not read */
        if (found) buf_append_char(out, values[found - names]);
        return found != NULL;
    }
    uint32_t code = 0;
    char text[4];
    for (size_t i = 0; i < digits; i++) {
        const char h = *at < end ? *(*at)++ : 'g';
        const int v = h >= '0' && h <= '9' ? h - '0' : h >= 'a' && h <= 'f' ? h - 'a' + 10 : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;
        if (v < 0) return false;
        code = code << 4 | (uint32_t)v;
    }
    if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    buf_append(out, text, utf8_put(text, code));
    return true;
}

static bool read_quoted(struct buf *out, const char **at, const char *end) {
    const char quote = *(*at)++;
    while (*at < end && **at != quote) {
        const char c = *(*at)++;
        if (!c || c == '\n') return false;
        if (c != '\\')
            buf_append_char(out, c);
        else if (!put_escape(out, at, end))
            return false;
    }
    return *at < end && *(*at)++ == quote;
}

static void skip_blanks(const char **at, const char *end) {
    while (*at < end && (**at == ' ' || (**at >= '\t' && **at <= '\r'))) ++*at;
}

/* One text, perhaps of several literals side by side, as Python joins them. */
static bool read_text(char **out, const char **at, const char *end) {
    struct buf text = {0};
    bool good = true, any = false;
    while (good && *at < end && (**at == '\'' || **at == '"')) {
        good = read_quoted(&text, at, end);
        any = true;
        skip_blanks(at, end);
    }
    *out = good && any ? mem_text_n(buf_text(&text), text.size) : NULL;
    buf_release(&text);
    return *out != NULL;
}

status mc_python_list(char ***out, size_t *count, const char *text, size_t size) {
    const char *at = text, *end = text + size;
    *out = mem_zero(MC_CHOICES_MAX, sizeof **out);
    *count = 0;
    skip_blanks(&at, end);
    bool good = at < end && *at++ == '[', closed = false;
    while (good && !closed) {
        skip_blanks(&at, end);
        closed = at < end && *at == ']';
        if (closed) break;
        good = *count < MC_CHOICES_MAX && read_text(&(*out)[*count], &at, end);
        if (!good) break;
        ++*count;
        closed = at < end && *at == ']';
        good = closed || (at < end && *at++ == ',');
    }
    if (good) at++;
    skip_blanks(&at, end);
    if (good && at == end) return ST_OK;
    return FAIL(ST_FORMAT, "expected a Python list of at most %d texts, as ['a', 'b']; it breaks at byte %zu", MC_CHOICES_MAX,
                (size_t)(at - text) + 1);
}
