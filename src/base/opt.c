#include "base/opt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status add_item(struct opt_list *list, const char *name, const char *text) {
    if (list->count == OPT_LIST_MAX) return FAIL(ST_USAGE, "--%s takes at most %d values", name, OPT_LIST_MAX);
    list->items[list->count++] = text;
    return ST_OK;
}

static status set_list(struct opt_list *list, const char *name, const char *text) {
    char *copy = mem_keep(mem_text(text));
    for (char *at = copy;;) {
        char *comma = strchr(at, ',');
        if (comma) *comma = '\0';
        if (*at) TRY(add_item(list, name, at));
        if (!comma) return ST_OK;
        at = comma + 1;
    }
}

static bool is_choice(const char *choices, const char *text) {
    size_t size = strlen(text);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        if (n == size && memcmp(at, text, n) == 0) return true;
        at += n + (at[n] == '|');
    }
    return false;
}

static status set_value(const struct opt_row *row, void *options, const char *text) {
    char *field = (char *)options + row->offset, *end;
    errno = 0;
    switch (row->kind) {
    case OPT_FLAG: {
        bool on = strcmp(text, "true") == 0;
        if (!on && strcmp(text, "false") != 0) return FAIL(ST_USAGE, "--%s is a switch and takes no value ('%s')", row->name, text);
        memcpy(field, &on, sizeof on);
        return ST_OK;
    }
    case OPT_INT: {
        int64_t v = (int64_t)strtoll(text, &end, 10);
        if (errno || end == text || *end) return FAIL(ST_USAGE, "--%s expects a whole number, not '%s'", row->name, text);
        memcpy(field, &v, sizeof v);
        return ST_OK;
    }
    case OPT_DOUBLE: {
        double v = strtod(text, &end);
        if (end == text || *end || !isfinite(v)) return FAIL(ST_USAGE, "--%s expects a number, not '%s'", row->name, text);
        memcpy(field, &v, sizeof v);
        return ST_OK;
    }
    case OPT_CHOICE:
        if (!is_choice(row->choices, text)) return FAIL(ST_USAGE, "--%s expects one of %s, not '%s'", row->name, row->choices, text);
        memcpy(field, &text, sizeof text);
        return ST_OK;
    case OPT_STR: memcpy(field, &text, sizeof text); return ST_OK;
    case OPT_LIST: return set_list((struct opt_list *)(void *)field, row->name, text);
    case OPT_TEXTS: return add_item((struct opt_list *)(void *)field, row->name, text);
    case OPT_HEADING: break;
    }
    return ST_OK;
}

static size_t find_row(const struct opt_spec *spec, const char *name, size_t size) {
    for (size_t i = 0; i < spec->row_count; i++)
        if (spec->rows[i].kind != OPT_HEADING && strlen(spec->rows[i].name) == size && memcmp(spec->rows[i].name, name, size) == 0)
            return i;
    return spec->row_count;
}

/* Levenshtein distance, capped lengths: only to suggest an option. */
static size_t distance(const char *a, size_t n, const char *b) {
    size_t m = strlen(b), row[64];
    if (n > 60 || m > 60) return 99;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

bool opt_is_output(const char *name) {
    return strcmp(name, "output") == 0 || strcmp(name, "output-dir") == 0 || strcmp(name, "picture") == 0 ||
           strcmp(name, "output-path") == 0 || text_ends_with(name, "-output");
}

/* lr: learning-rate, but not lora-r. */
static bool are_initials(const char *name, size_t size, const char *option) {
    for (size_t i = 0; i < size; i++) {
        if (!option || *option != name[i] || !option[1] || option[1] == '-') return false;
        option = strchr(option, '-') ? strchr(option, '-') + 1 : NULL;
    }
    return !option;
}

/* epochs: num-train-epochs. */
static bool are_last_words(const char *name, size_t size, const char *option) {
    const size_t n = strlen(option);
    return n > size && option[n - size - 1] == '-' && memcmp(option + n - size, name, size) == 0;
}

static status unknown_option(const struct opt_spec *spec, const char *name, size_t size) {
    const char *best = NULL;
    size_t best_distance = 4;
    for (size_t i = 0; i < spec->row_count; i++) {
        if (spec->rows[i].kind == OPT_HEADING) continue;
        const char *option = spec->rows[i].name;
        const bool is_short = size > 1 && (are_initials(name, size, option) || are_last_words(name, size, option));
        const size_t d = is_short ? 1 : distance(name, size, option);
        if (d < best_distance) best_distance = d, best = spec->rows[i].name;
    }
    if (best) return FAIL(ST_USAGE, "unknown option --%.*s; did you mean --%s? (rapt %s --help)", (int)size, name, best, spec->command);
    return FAIL(ST_USAGE, "unknown option --%.*s (rapt %s --help lists them)", (int)size, name, spec->command);
}

static status parse_one(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv, int *at) {
    const char *arg = argv[*at] + 2;
    size_t size = strcspn(arg, "=");
    const char *value = arg[size] == '=' ? arg + size + 1 : NULL;
    size_t i = find_row(spec, arg, size);
    if (i == spec->row_count && strncmp(arg, "no-", 3) == 0 && !value) {
        i = find_row(spec, arg + 3, size - 3);
        if (i < spec->row_count && spec->rows[i].kind == OPT_FLAG)
            value = "false";
        else
            i = spec->row_count;
    }
    if (i == spec->row_count) return unknown_option(spec, arg, size);
    if (!value && spec->rows[i].kind == OPT_FLAG) value = "true";
    if (!value) {
        if (*at + 1 >= argc) return FAIL(ST_USAGE, "--%s expects a value (%s)", spec->rows[i].name, spec->rows[i].arg);
        value = argv[++*at];
    }
    if (opt_is_list(spec->rows[i].kind) && !result->given[i]) /* the first value given replaces the preset */
        memset((char *)options + spec->rows[i].offset, 0, sizeof(struct opt_list));
    result->given[i] = true;
    return set_value(&spec->rows[i], options, value);
}

status opt_parse(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv) {
    *result = (struct opt_result){0};
    CHECK(spec->row_count <= OPT_GIVEN_MAX);
    for (size_t i = 0; i < spec->row_count; i++)
        if (spec->rows[i].preset) TRY(set_value(&spec->rows[i], options, spec->rows[i].preset));
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            result->help = true;
        } else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
            TRY(parse_one(result, spec, options, argc, argv, &i));
        } else {
            if (!spec->positional)
                return FAIL(ST_USAGE, "'%s' is not an option of rapt %s (options begin with --)", argv[i], spec->command);
            if (result->positional_count == OPT_LIST_MAX) return FAIL(ST_USAGE, "more than %d arguments", OPT_LIST_MAX);
            result->positional[result->positional_count++] = argv[i];
        }
    }
    return ST_OK;
}

bool opt_given(const struct opt_result *result, const struct opt_spec *spec, const char *name) {
    size_t i = find_row(spec, name, strlen(name));
    CHECK(i < spec->row_count);
    return result->given[i];
}

static void wrap(struct buf *out, const char *text, size_t indent, size_t width) {
    size_t column = indent;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > indent && column + 1 + word > width) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) buf_append_char(out, ' '), column++;
        buf_append(out, text, word);
        column += word;
        text += word;
        while (*text == ' ') text++;
    }
    buf_append_char(out, '\n');
}

static void row_syntax(struct buf *out, const struct opt_row *row) {
    buf_printf(out, "--%s", row->name);
    if (row->kind == OPT_CHOICE)
        buf_printf(out, " %s", row->choices);
    else if (row->arg)
        buf_printf(out, " %s", row->arg);
}

/* A row's help, and behind it what a table lists. */
static void put_row_text(struct buf *out, const struct opt_spec *spec, const struct opt_row *row) {
    struct buf names = {0};
    buf_append_text(out, row->help);
    if (spec->put_names) spec->put_names(&names, row->name);
    if (names.size) buf_printf(out, " %s", buf_text(&names));
    buf_release(&names);
}

static void put_default(struct buf *out, const struct opt_row *row) {
    if (row->preset && row->kind != OPT_FLAG) buf_printf(out, " (default: %s)", row->preset);
    if (row->preset && row->kind == OPT_FLAG && strcmp(row->preset, "true") == 0) buf_printf(out, " (default: on; --no-%s)", row->name);
}

void opt_row_text(struct buf *out, const struct opt_spec *spec, const struct opt_row *row) {
    put_row_text(out, spec, row);
    put_default(out, row);
}

void opt_help(struct buf *out, const struct opt_spec *spec) {
    buf_printf(out, "usage: rapt %s%s%s [options]\n\n%s\n", spec->command, spec->positional ? " " : "",
               spec->positional ? spec->positional : "", spec->summary);
    for (size_t i = 0; i < spec->row_count; i++) {
        const struct opt_row *row = &spec->rows[i];
        if (row->kind == OPT_HEADING) {
            buf_printf(out, "\n%s:\n", row->name);
            continue;
        }
        if (i == 0) buf_append_text(out, "\noptions:\n");
        size_t start = out->size;
        buf_append_text(out, "  ");
        row_syntax(out, row);
        size_t used = out->size - start;
        if (used > 30) buf_append_char(out, '\n'), used = 0;
        buf_printf(out, "%*s", (int)(32 - used), "");
        struct buf text = {0};
        opt_row_text(&text, spec, row);
        wrap(out, buf_text(&text), 32, 110);
        buf_release(&text);
    }
    if (spec->notes) buf_printf(out, "\n%s\n", spec->notes);
    if (spec->example) {
        buf_append_text(out, "\nexample:\n");
        for (const char *at = spec->example; *at;) {
            size_t n = strcspn(at, "\n");
            buf_printf(out, "  %.*s\n", (int)n, at);
            at += n + (at[n] == '\n');
        }
    }
}

/* Text for a Markdown page: what Markdown reads as marks stands as itself. */
static void markdown_text(struct buf *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (strchr("*_<>|[]`\\", *p)) buf_append_char(out, '\\');
        buf_append_char(out, *p);
    }
}

static void markdown_row(struct buf *out, const struct opt_spec *spec, const struct opt_row *row) {
    struct buf syntax = {0}, text = {0};
    row_syntax(&syntax, row);
    buf_append_text(out, "| `");
    for (const char *p = buf_text(&syntax); *p; p++) {
        if (*p == '|') buf_append_char(out, '\\'); /* in a table even code must not hold a bare one */
        buf_append_char(out, *p);
    }
    buf_append_text(out, "` | ");
    if (row->kind == OPT_FLAG && row->preset && strcmp(row->preset, "true") == 0)
        buf_printf(out, "on; `--no-%s`", row->name);
    else if (row->kind != OPT_FLAG && row->preset)
        buf_printf(out, "`%s`", row->preset);
    buf_append_text(out, " | ");
    put_row_text(&text, spec, row);
    markdown_text(out, buf_text(&text));
    buf_append_text(out, " |\n");
    buf_release(&text);
    buf_release(&syntax);
}

/* Lines stay lines (a backslash at the end), blank ones part paragraphs. */
static void markdown_notes(struct buf *out, const char *notes) {
    while (*notes) {
        size_t n = strcspn(notes, "\n"), line_breaks = strspn(notes + n, "\n");
        char *line = mem_text_n(notes, n);
        markdown_text(out, line);
        free(line);
        notes += n + line_breaks;
        buf_append_text(out, line_breaks == 1 && *notes ? "\\\n" : "\n\n");
    }
}

void opt_markdown(struct buf *out, const struct opt_spec *spec) {
    buf_printf(out, "# rapt %s\n\n", spec->command);
    markdown_text(out, spec->summary);
    buf_printf(out, "\n\n```\nrapt %s%s%s [options]\n```\n\n", spec->command, spec->positional ? " " : "",
               spec->positional ? spec->positional : "");
    if (spec->notes) markdown_notes(out, spec->notes);
    if (spec->example) buf_printf(out, "Example:\n\n```sh\n%s\n```\n\n", spec->example);
    bool open = false;
    for (size_t i = 0; i < spec->row_count; i++) {
        const struct opt_row *row = &spec->rows[i];
        if (row->kind == OPT_HEADING) {
            buf_printf(out, "%s## ", open ? "\n" : "");
            markdown_text(out, row->name);
            buf_append_text(out, "\n\n");
            open = false;
            continue;
        }
        if (!open) buf_append_text(out, "| option | default | meaning |\n|---|---|---|\n"), open = true;
        markdown_row(out, spec, row);
    }
}

static void json_text(struct buf *out, const char *text) {
    if (!text) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_char(out, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') buf_append_char(out, '\\');
        if ((unsigned char)*p < 32)
            buf_printf(out, "\\u%04x", *p);
        else
            buf_append_char(out, *p);
    }
    buf_append_char(out, '"');
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void put_double(struct buf *out, double value) {
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    buf_append_text(out, text);
}

void opt_json(struct buf *out, const struct opt_spec *spec, const void *options) {
    const char *separator = "";
    buf_append_char(out, '{');
    for (size_t i = 0; i < spec->row_count; i++) {
        const struct opt_row *row = &spec->rows[i];
        const char *field = (const char *)options + row->offset;
        if (row->kind == OPT_HEADING) continue;
        buf_printf(out, "%s\"%s\": ", separator, row->name);
        separator = ", ";
        if (row->kind == OPT_FLAG) {
            buf_append_text(out, *(const bool *)(const void *)field ? "true" : "false");
        } else if (row->kind == OPT_INT) {
            buf_printf(out, "%lld", (long long)*(const int64_t *)(const void *)field);
        } else if (row->kind == OPT_DOUBLE) {
            put_double(out, *(const double *)(const void *)field);
        } else if (opt_is_list(row->kind)) {
            const struct opt_list *list = (const struct opt_list *)(const void *)field;
            buf_append_char(out, '[');
            for (size_t j = 0; j < list->count; j++) {
                if (j) buf_append_text(out, ", ");
                json_text(out, list->items[j]);
            }
            buf_append_char(out, ']');
        } else {
            json_text(out, *(const char *const *)(const void *)field);
        }
    }
    buf_append_char(out, '}');
}
