#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const struct cmd *cmd_eval_find(const char *task) {
    for (size_t i = 0; i < eval_cmd_count; i++)
        if (strcmp(task, eval_cmd_table[i].name) == 0) return &eval_cmd_table[i];
    return NULL;
}

/* The i-th text of an option, or NULL. */
static const char *text_of(const struct opt_row *row, const void *options, size_t i) {
    const char *at = (const char *)options + row->offset, *text;
    if (opt_is_list(row->kind)) {
        const struct opt_list *list = (const void *)at;
        return i < list->count ? list->items[i] : NULL;
    }
    if (row->kind != OPT_STR || i) return NULL;
    memcpy(&text, at, sizeof text);
    return text;
}

/* Is that an option of a file that is there already and is `output` itself? */
static bool is_same_file(const struct stat *output, const char *text) {
    const char *value = strchr(text, '=');
    struct stat st;
    if (stat(text, &st) != 0 && (!value || stat(value + 1, &st) != 0)) return false;
    return st.st_dev == output->st_dev && st.st_ino == output->st_ino;
}

/* A result written over what it is made of loses that. */
static status check_outputs(const struct opt_result *result, const struct opt_spec *spec, const void *options) {
    for (size_t i = 0; i < spec->row_count; i++) {
        const struct opt_row *out = &spec->rows[i];
        const char *path = out->kind == OPT_STR && opt_is_output(out->name) ? text_of(out, options, 0) : NULL, *other;
        struct stat st;
        if (!path || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        for (size_t j = 0; j < spec->row_count; j++)
            for (size_t k = 0; j != i && (other = text_of(&spec->rows[j], options, k)); k++)
                if (is_same_file(&st, other))
                    return FAIL(ST_USAGE, "--%s and --%s are the same file, %s: it would be lost", spec->rows[j].name, out->name, path);
        for (size_t k = 0; k < result->positional_count; k++)
            if (is_same_file(&st, result->positional[k]))
                return FAIL(ST_USAGE, "--%s is %s, which is read: it would be lost", out->name, path);
    }
    return ST_OK;
}

status cmd_parse(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv, bool *done) {
    *done = false;
    TRY(opt_parse(result, spec, options, argc, argv));
    if (result->help) {
        struct buf text = {0};
        opt_help(&text, spec);
        fputs(buf_text(&text), stdout);
        buf_release(&text);
        *done = true;
        return ST_OK;
    }
    return check_outputs(result, spec, options);
}
