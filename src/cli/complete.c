#include "cli/complete.h"

#include <string.h>

#include "cli/cmd.h"

/* ---- what the three scripts say of an option ---- */

enum value { VALUE_NONE, VALUE_WORDS, VALUE_PATH, VALUE_OTHER };

/* The words that an option (or, with "", the argument) takes, separated by '|'; empty where they are not known. */
static void put_words(struct buf *out, const struct opt_spec *spec, const struct opt_row *row) {
    if (row && row->kind == OPT_CHOICE)
        buf_append_text(out, row->choices);
    else if (spec->put_values)
        spec->put_values(out, row ? row->name : "");
}

static bool is_path(const char *arg) {
    static const char *const paths[] = {"F", "FILE", "M", "D", "P", "D1,D2", "[NAME=]DIR...", "PATH", "RECIPE.yaml"};
    for (size_t i = 0; arg && i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(arg, paths[i]) == 0) return true;
    return false;
}

static enum value value_of(struct buf *words, const struct opt_spec *spec, const struct opt_row *row) {
    buf_clear(words);
    if (row && row->kind == OPT_FLAG) return VALUE_NONE;
    put_words(words, spec, row);
    if (words->size) return VALUE_WORDS;
    const bool text = !row || row->kind == OPT_STR || opt_is_list(row->kind);
    return text && is_path(row ? row->arg : spec->positional) ? VALUE_PATH : VALUE_OTHER;
}

static bool is_on(const struct opt_row *row) { return row->kind == OPT_FLAG && row->preset && strcmp(row->preset, "true") == 0; }

/* The help's first sentence, for shells that show one; no more than fits beside an option. */
static void put_help(struct buf *out, const char *help, const char *escaped, const char *escape) {
    const char *end = strpbrk(help, ";:");
    const char *stop = strstr(help, ". ");
    size_t size = strlen(help);
    if (end && (size_t)(end - help) < size) size = (size_t)(end - help);
    if (stop && (size_t)(stop - help) < size) size = (size_t)(stop - help);
    for (size_t i = 0; i < size; i++) {
        if (help[i] == '\'')
            buf_append_text(out, "'\\''"); /* all three write it between single quotes */
        else if (strchr(escaped, help[i]))
            buf_printf(out, "%s%c", escape, help[i]);
        else
            buf_append_char(out, help[i]);
    }
}

static void put_spaced(struct buf *out, const struct buf *words) {
    for (size_t i = 0; i < words->size; i++) buf_append_char(out, words->data[i] == '|' ? ' ' : words->data[i]);
}

/* Commands, then the tasks of eval that have options of their own: i counts through both. NULL behind the last. */
static const struct cmd *at(size_t i) {
    if (i < cmd_count) return &cmd_table[i];
    return i - cmd_count < eval_cmd_count ? &eval_cmd_table[i - cmd_count] : NULL;
}
static bool is_task(size_t i) { return i >= cmd_count; }

static void put_tasks(struct buf *out, const char *between) {
    for (size_t i = 0; i < eval_cmd_count; i++) buf_printf(out, "%s%s", i ? between : "", eval_cmd_table[i].name);
}

/* Calls for every option of a command, headings left out. */
#define EACH_ROW(row, spec)                                                                       \
    for (const struct opt_row *row = (spec)->rows; row < (spec)->rows + (spec)->row_count; row++) \
        if (row->kind != OPT_HEADING)

/* ---- bash ---- */

static void bash_command(struct buf *out, const struct cmd *c, bool task) {
    struct buf words = {0};
    buf_printf(out, "    %s%s)\n      options='--help", task ? "eval-" : "", c->name);
    EACH_ROW(row, c->spec) buf_printf(out, is_on(row) ? " --%s --no-%s" : " --%s", row->name, row->name);
    buf_append_text(out, "'\n");
    if (c->spec->positional && value_of(&words, c->spec, NULL) == VALUE_WORDS) {
        buf_append_text(out, "      arguments='");
        put_spaced(out, &words);
        buf_append_text(out, "'\n");
    }
    if (!c->spec->positional) buf_append_text(out, "      paths=0\n");
    buf_append_text(out, "      case $previous in\n");
    EACH_ROW(row, c->spec) {
        const enum value v = value_of(&words, c->spec, row);
        if (v == VALUE_NONE) continue;
        buf_printf(out, "        --%s) kind=%s", row->name, v == VALUE_WORDS ? "words" : v == VALUE_PATH ? "path" : "other");
        if (v == VALUE_WORDS) {
            buf_append_text(out, " words='");
            put_spaced(out, &words);
            buf_append_char(out, '\'');
        }
        buf_append_text(out, " ;;\n");
    }
    buf_append_text(out, "      esac\n      ;;\n");
    buf_release(&words);
}

static void bash(struct buf *out) {
    buf_append_text(out,
                    "# bash completion of rapt, made by: rapt help --completion bash\n"
                    "_rapt() {\n"
                    "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
                    "  local options='' arguments='' words='' kind='' paths=1\n"
                    "  COMPREPLY=()\n"
                    "  # --option=value comes as three words\n"
                    "  if [[ $current == = ]]; then current=''; elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
                    "  if [[ $command == eval ]] && ((COMP_CWORD > 2)); then case ${COMP_WORDS[2]} in ");
    put_tasks(out, " | ");
    buf_append_text(out, ") command=eval-${COMP_WORDS[2]} ;; esac; fi\n"
                         "  if ((COMP_CWORD == 1)); then\n"
                         "    COMPREPLY=($(compgen -W 'help --help --version");
    for (size_t i = 0; i < cmd_count; i++) buf_printf(out, " %s", cmd_table[i].name);
    buf_append_text(out, "' -- \"$current\"))\n    return\n  fi\n  case $command in\n    help)\n      arguments='");
    for (size_t i = 0; i < cmd_count; i++) buf_printf(out, "%s%s", i ? " " : "", cmd_table[i].name);
    buf_append_text(out, "'\n      options='--markdown --man --support --completion'\n"
                         "      [[ $previous == --completion ]] && kind=words words='bash zsh fish'\n      ;;\n");
    for (size_t i = 0; at(i); i++) bash_command(out, at(i), is_task(i));
    buf_append_text(out, "  esac\n"
                         "  case $kind in\n"
                         "    words) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
                         "    path) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
                         "    other) ;;\n"
                         "    *)\n"
                         "      if [[ $current == -* ]]; then\n"
                         "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
                         "      elif [[ $arguments ]]; then\n"
                         "        COMPREPLY=($(compgen -W \"$arguments\" -- \"$current\"))\n"
                         "      elif ((paths)); then\n"
                         "        compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
                         "      fi\n"
                         "      ;;\n"
                         "  esac\n"
                         "}\n"
                         "complete -F _rapt rapt\n");
}

/* ---- zsh: _arguments ---- */

static void zsh_value(struct buf *out, enum value v, const struct buf *words, const char *name) {
    if (v == VALUE_NONE) return;
    buf_printf(out, ":%s:", name);
    if (v == VALUE_PATH) buf_append_text(out, "_files");
    if (v == VALUE_OTHER) buf_append_char(out, ' ');
    if (v != VALUE_WORDS) return;
    buf_append_char(out, '(');
    put_spaced(out, words);
    buf_append_char(out, ')');
}

static void zsh_command(struct buf *out, const struct cmd *c, bool task) {
    struct buf words = {0};
    buf_printf(out, "    %s%s)\n      _arguments \\\n        '--help[how to call it]' \\\n", task ? "eval-" : "", c->name);
    EACH_ROW(row, c->spec) {
        const enum value v = value_of(&words, c->spec, row);
        buf_printf(out, "        '%s--%s%s[", opt_is_list(row->kind) ? "*" : "", row->name, v == VALUE_NONE ? "" : "=");
        put_help(out, row->help, "[]:\\", "\\");
        buf_append_char(out, ']');
        zsh_value(out, v, &words, row->name);
        buf_append_text(out, "' \\\n");
        if (is_on(row)) buf_printf(out, "        '--no-%s[not --%s]' \\\n", row->name, row->name);
    }
    if (c->spec->positional) {
        buf_append_text(out, "        '*");
        zsh_value(out, value_of(&words, c->spec, NULL), &words, "argument");
        buf_append_text(out, "'\n      ;;\n");
    } else {
        buf_append_text(out, "        ;\n      ;;\n");
    }
    buf_release(&words);
}

static void zsh(struct buf *out) {
    buf_append_text(out, "#compdef rapt\n# made by: rapt help --completion zsh\n_rapt() {\n"
                         "  local context state line\n"
                         "  typeset -A opt_args\n"
                         "  local -a commands=(\n    'help:how to call a command'\n");
    for (size_t i = 0; i < cmd_count; i++) {
        buf_printf(out, "    '%s:", cmd_table[i].name);
        put_help(out, cmd_table[i].spec->summary, ":\\", "\\");
        buf_append_text(out, "'\n");
    }
    buf_append_text(out,
                    "  )\n"
                    "  if ((CURRENT == 2)); then\n    _describe command commands\n    _arguments '--help' '--version'\n    return\n  fi\n"
                    "  local command=${words[2]}\n"
                    "  shift words\n  ((CURRENT--))\n"
                    "  if [[ $command == eval ]] && ((CURRENT > 2)); then\n    case ${words[2]} in\n      ");
    put_tasks(out, " | ");
    buf_append_text(
        out,
        ") command=eval-${words[2]}; shift words; ((CURRENT--)) ;;\n    esac\n  fi\n"
        "  case $command in\n"
        "    help) _arguments '--markdown' '--man' '--support' '--completion=:shell:(bash zsh fish)' '*:command:(${commands%%:*})' ;;\n");
    for (size_t i = 0; at(i); i++) zsh_command(out, at(i), is_task(i));
    buf_append_text(out, "  esac\n}\nif [ \"$funcstack[1]\" = _rapt ]; then _rapt \"$@\"; else compdef _rapt rapt; fi\n");
}

/* ---- fish ---- */

/* When the options of a command are offered: eval's own not behind a task that has others. */
static void fish_condition(struct buf *out, const struct cmd *c, bool task) {
    buf_printf(out, "complete -c rapt -n '__fish_seen_subcommand_from %s", task ? "eval; and __fish_seen_subcommand_from " : "");
    buf_append_text(out, c->name);
    if (strcmp(c->name, "eval") == 0) {
        buf_append_text(out, "; and not __fish_seen_subcommand_from ");
        put_tasks(out, " ");
    }
    buf_append_char(out, '\'');
}

static void fish_row(struct buf *out, const struct cmd *c, bool task, const struct opt_row *row, struct buf *words) {
    const enum value v = value_of(words, c->spec, row);
    fish_condition(out, c, task);
    buf_printf(out, " -l %s", row->name);
    if (v == VALUE_PATH) buf_append_text(out, " -r -F");
    if (v == VALUE_OTHER) buf_append_text(out, " -x");
    if (v == VALUE_WORDS) {
        buf_append_text(out, " -x -a '");
        put_spaced(out, words);
        buf_append_char(out, '\'');
    }
    buf_append_text(out, " -d '");
    put_help(out, row->help, "\\", "\\");
    buf_append_text(out, "'\n");
    if (!is_on(row)) return;
    fish_condition(out, c, task);
    buf_printf(out, " -l no-%s\n", row->name);
}

static void fish_command(struct buf *out, const struct cmd *c, bool task) {
    struct buf words = {0};
    if (!task) {
        buf_printf(out, "complete -c rapt -n __fish_use_subcommand -f -a %s -d '", c->name);
        put_help(out, c->spec->summary, "\\", "\\");
        buf_append_text(out, "'\n");
    }
    fish_condition(out, c, task);
    buf_append_text(out, " -l help\n");
    if (!c->spec->positional || value_of(&words, c->spec, NULL) == VALUE_WORDS) {
        fish_condition(out, c, task);
        buf_append_text(out, " -f");
        if (words.size) {
            buf_append_text(out, " -a '");
            put_spaced(out, &words);
            buf_append_char(out, '\'');
        }
        buf_append_char(out, '\n');
    }
    EACH_ROW(row, c->spec) fish_row(out, c, task, row, &words);
    buf_release(&words);
}

static void fish(struct buf *out) {
    buf_append_text(out, "# made by: rapt help --completion fish\n"
                         "complete -c rapt -n __fish_use_subcommand -l help\ncomplete -c rapt -n __fish_use_subcommand -l version\n"
                         "complete -c rapt -n __fish_use_subcommand -f -a help -d 'how to call a command'\n");
    for (size_t i = 0; at(i); i++) fish_command(out, at(i), is_task(i));
}

status complete_put(struct buf *out, const char *shell) {
    if (strcmp(shell, "bash") == 0)
        bash(out);
    else if (strcmp(shell, "zsh") == 0)
        zsh(out);
    else if (strcmp(shell, "fish") == 0)
        fish(out);
    else
        return FAIL(ST_USAGE, "--completion expects bash, zsh or fish, not '%s'", shell);
    return ST_OK;
}
