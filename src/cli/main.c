/* main: finds the command, runs it, prints its error, sets the exit code: 0 ok, 1 failed, 2 usage. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "cli/support.h"
#include "train/comm.h"

static void print_help(void) {
    printf("rapt %s: reward-augmented preference training (arXiv 2410.08067)\n\nusage: rapt COMMAND [options]\n", RAPT_VERSION);
    const char *group = "";
    for (size_t i = 0; i < cmd_count; i++) {
        if (strcmp(group, cmd_table[i].group) != 0) printf("\n%s:\n", group = cmd_table[i].group);
        printf("  %-10s %s\n", cmd_table[i].name, cmd_table[i].spec->summary);
    }
    printf("\nrapt COMMAND --help lists a command's options with an example.\n"
           "rapt help COMMAND --markdown prints the same as a Markdown page, rapt help --markdown the table of commands,\n"
           "rapt help --support the tables of what is supported: families, losses, rows, types.\n");
}

/* The table above as Markdown, each command with a link to its page: docs/commands/README.md. */
static void print_markdown_index(void) {
    printf("# Commands\n\nPrinted by `rapt help --markdown` (tools/docs.sh), as every page of this folder.\n\n| command | group | does "
           "|\n|---|---|---|\n");
    for (size_t i = 0; i < cmd_count; i++)
        printf("| [`rapt %s`](%s.md) | %s | %s |\n", cmd_table[i].name, cmd_table[i].name, cmd_table[i].group, cmd_table[i].spec->summary);
    for (size_t i = 0; i < eval_cmd_count; i++)
        printf("| [`rapt eval %s`](eval-%s.md) | Measure | %s |\n", eval_cmd_table[i].name, eval_cmd_table[i].name, eval_cmd_table[i].spec->summary);
}

/* rapt help --support [GOLDENS] */
static int help_support(const char *goldens) {
    struct buf text = {0};
    status s = support_put(&text, goldens);
    if (s == ST_OK)
        fputs(buf_text(&text), stdout);
    else
        log_error("%s", status_message());
    buf_release(&text);
    return s == ST_OK ? 0 : 1;
}

/* A command by its name; eval-NAME is the task NAME of rapt eval. */
static const struct cmd *find_command(const char *name) {
    for (size_t i = 0; i < cmd_count; i++)
        if (strcmp(name, cmd_table[i].name) == 0) return &cmd_table[i];
    for (size_t i = 0; i < eval_cmd_count; i++)
        if (strncmp(name, "eval-", 5) == 0 && strcmp(name + 5, eval_cmd_table[i].name) == 0) return &eval_cmd_table[i];
    return NULL;
}

/* rapt help [COMMAND] [--markdown] */
static int help(int argc, char **argv) {
    const char *name = NULL;
    if (argc >= 1 && argc <= 2 && strcmp(argv[0], "--support") == 0) return help_support(argv[1]);
    bool markdown = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--markdown") == 0) {
            markdown = true;
        } else if (argv[i][0] != '-' && !name) {
            name = argv[i];
        } else {
            log_error("rapt help takes a command's name and --markdown, or --support, not '%s'", argv[i]);
            return 2;
        }
    }
    if (!name) {
        if (markdown)
            print_markdown_index();
        else
            print_help();
        return 0;
    }
    const struct cmd *command = find_command(name);
    if (command) {
        struct buf text = {0};
        (markdown ? opt_markdown : opt_help)(&text, command->spec);
        fputs(buf_text(&text), stdout);
        buf_release(&text);
        return 0;
    }
    log_error("unknown command '%s'; rapt --help lists them", name);
    return 2;
}

/* libgomp's threads spin for milliseconds while they wait, which on cores that other work shares costs more than the work itself: 2 threads
 * beside 2 busy processes run 10 times slower. It reads its settings before main, so the process starts itself once more with a short spin.
 */
static void spin_less(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || setenv("GOMP_SPINCOUNT", "20000", 1) != 0) return;
    execv("/proc/self/exe", argv); /* comes back only on failure; then it spins */
}

int main(int argc, char **argv) {
    spin_less(argv);
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 2 && strcmp(argv[1], "help") == 0) return help(argc - 2, argv + 2);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rapt %s\n", RAPT_VERSION);
        return 0;
    }
    const struct comm_launch launch = comm_launched();
    if (launch.size > 1 && strcmp(argv[1], "train") != 0) {
        if (launch.rank == 0) log_error("%d processes were started together; rapt train is the command that several ranks share", launch.size);
        return launch.rank == 0 ? 2 : 0;
    }
    for (size_t i = 0; i < cmd_count; i++) {
        if (strcmp(argv[1], cmd_table[i].name) != 0) continue;
        status s = cmd_table[i].run(argc - 2, argv + 2);
        if (s == ST_OK && fflush(stdout) != 0) s = FAIL(ST_IO, "cannot write to stdout");
        if (s == ST_OK) return 0;
        if (s == ST_USAGE && launch.rank > 0) return 0; /* rank 0 says it; mpirun kills the rest behind the first bad exit */
        log_error("%s", status_message());
        if (s == ST_USAGE) fprintf(stderr, "rapt: try 'rapt %s --help'\n", argv[1]);
        return s == ST_USAGE ? 2 : 1;
    }
    log_error("unknown command '%s'; rapt --help lists them", argv[1]);
    return 2;
}
