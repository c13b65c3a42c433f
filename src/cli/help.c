#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/support.h"
#include "eval/eval.h"

void help_print(void) {
    printf("rapt %s: reward-augmented preference training (arXiv 2410.08067)\n\nusage: rapt COMMAND [options]\n", RAPT_VERSION);
    const char *group = "";
    for (size_t i = 0; i < cmd_count; i++) {
        if (strcmp(group, cmd_table[i].group) != 0) printf("\n%s:\n", group = cmd_table[i].group);
        printf("  %-10s %s\n", cmd_table[i].name, cmd_table[i].spec->summary);
    }
    printf("\nrapt COMMAND --help lists a command's options with an example.\n"
           "rapt help COMMAND --markdown or --man prints the same as a page, rapt help --markdown or --man the table of commands,\n"
           "rapt help --support the tables of what is supported: families, losses, rows, types,\n"
           "rapt help --completion bash, zsh or fish what the shell completes.\n");
}

/* The table above as Markdown, each command with a link to its page: docs/commands/README.md. */
static void put_markdown_index(struct buf *out) {
    buf_append_text(
        out, "# Commands\n\nPrinted by `rapt help --markdown` (tools/docs.sh), as every page of this folder.\n\n| command | group | does "
             "|\n|---|---|---|\n");
    for (size_t i = 0; i < cmd_count; i++)
        buf_printf(out, "| [`rapt %s`](%s.md) | %s | %s |\n", cmd_table[i].name, cmd_table[i].name, cmd_table[i].group,
                   cmd_table[i].spec->summary);
    for (size_t i = 0; i < eval_cmd_count; i++)
        buf_printf(out, "| [`rapt eval %s`](eval-%s.md) | Measure | %s |\n", eval_cmd_table[i].name, eval_cmd_table[i].name,
                   eval_cmd_table[i].spec->summary);
}

/* rapt(1) */
static void put_man_index(struct buf *out) {
    static const char *const variables[][2] = {
        {"GOMP_SPINCOUNT", "How long threads that wait may spin. Without it, rapt sets 20000 for itself; 500 where the cores are shared "
                           "with much other work."},
        {"RAPT_DUCKDB", "The DuckDB command line through which Parquet files are read; duckdb by default."},
        {"RAPT_ISA", "avx2 or avx512: wider instructions are not used."},
        {"SOURCE_DATE_EPOCH", "The time that rapt report writes into its page, for pages that come out the same."},
    };
    const char *group = "";
    opt_man_title(out, "rapt", RAPT_VERSION);
    opt_man_section(out, "SH", "NAME");
    buf_append_text(out, "rapt \\- reward\\-augmented preference training\n");
    opt_man_section(out, "SH", "SYNOPSIS");
    buf_append_text(out, ".B rapt\n.I COMMAND\n[options]\n.br\n.B rapt help\n.RI [ COMMAND ]\n");
    opt_man_section(out, "SH", "DESCRIPTION");
    opt_man_text(out, "Takes preference data with scores and an open model to a goal-conditioned, aligned model (arXiv 2410.08067), and "
                      "shows what changed. "
                      "Each command has its own page, such as rapt-augment(1).");
    for (size_t i = 0; i < cmd_count; i++) {
        if (strcmp(group, cmd_table[i].group) != 0) opt_man_section(out, "SS", group = cmd_table[i].group);
        opt_man_item(out, cmd_table[i].name, NULL);
        opt_man_text(out, cmd_table[i].spec->summary);
    }
    opt_man_section(out, "SS", "Tasks of rapt eval with a page of their own");
    for (size_t i = 0; i < eval_cmd_count; i++) {
        opt_man_item(out, eval_cmd_table[i].name, NULL);
        opt_man_text(out, eval_cmd_table[i].spec->summary);
    }
    opt_man_section(out, "SH", "ENVIRONMENT");
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        opt_man_item(out, variables[i][0], NULL);
        opt_man_text(out, variables[i][1]);
    }
    opt_man_section(out, "SH", "EXIT STATUS");
    opt_man_text(out, "0 on success, 1 when the work failed, 2 for wrong usage.");
    opt_man_section(out, "SH", "SEE ALSO");
    for (size_t i = 0; i < cmd_count; i++) buf_printf(out, ".BR rapt\\-%s (1),\n", cmd_table[i].name);
    for (size_t i = 0; i < eval_cmd_count; i++) {
        buf_append_text(out, ".BR rapt\\-eval");
        for (const char *p = eval_cmd_table[i].name; p; p = strchr(p, '-')) { /* every hyphen as one that can be searched for */
            p += *p == '-';
            buf_printf(out, "\\-%.*s", (int)strcspn(p, "-"), p);
        }
        buf_printf(out, " (1)%s\n", i + 1 < eval_cmd_count ? "," : "");
    }
}

/* A command by its name; eval-NAME, or eval and NAME, is the task NAME of rapt eval, whose other tasks are on its own page. */
static const struct cmd *find(const char *name, const char *task) {
    if (task && cmd_eval_find(task)) return cmd_eval_find(task);
    if (task && !eval_find(task) && strcmp(task, "summary") != 0) return NULL;
    for (size_t i = 0; i < cmd_count; i++)
        if (strcmp(name, cmd_table[i].name) == 0) return &cmd_table[i];
    return strncmp(name, "eval-", 5) == 0 ? cmd_eval_find(name + 5) : NULL;
}

static int print(struct buf *text, status s) {
    if (s == ST_OK && (fputs(buf_text(text), stdout) == EOF || fflush(stdout) != 0)) s = FAIL(ST_IO, "cannot write to stdout");
    if (s != ST_OK) log_error("%s", status_message());
    buf_release(text);
    return s == ST_OK ? 0 : s == ST_USAGE ? 2 : 1;
}

int help_run(int argc, char **argv) {
    struct buf text = {0};
    const char *name = NULL, *task = NULL, *form = NULL;
    if (argc >= 1 && argc <= 2 && strcmp(argv[0], "--support") == 0) return print(&text, support_put(&text, argv[1]));
    if (argc == 2 && strcmp(argv[0], "--completion") == 0) return print(&text, complete_put(&text, argv[1]));
    for (int i = 0; i < argc; i++) {
        if (!form && (strcmp(argv[i], "--markdown") == 0 || strcmp(argv[i], "--man") == 0)) {
            form = argv[i] + 2;
        } else if (argv[i][0] != '-' && !name) {
            name = argv[i];
        } else if (argv[i][0] != '-' && !task && strcmp(name, "eval") == 0) {
            task = argv[i];
        } else {
            log_error("rapt help takes a command's name and --markdown or --man, or --support, or --completion SHELL, not '%s'", argv[i]);
            return 2;
        }
    }
    const struct cmd *c = name ? find(name, task) : NULL;
    if (name && !c) {
        if (task)
            log_error("rapt eval has no task '%s'; rapt eval --help lists them", task);
        else
            log_error("unknown command '%s'; rapt --help lists them", name);
        return 2;
    }
    if (!c && !form) {
        help_print();
        return 0;
    }
    const bool man = form && strcmp(form, "man") == 0;
    if (!c)
        (man ? put_man_index : put_markdown_index)(&text);
    else if (man)
        opt_man(&text, c->spec, RAPT_VERSION);
    else
        (form ? opt_markdown : opt_help)(&text, c->spec);
    return print(&text, ST_OK);
}
