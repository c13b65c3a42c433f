/* main: finds the command, runs it, prints its error, sets the exit code: 0 ok, 1 failed, 2 usage. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "cli/help.h"
#include "train/comm.h"

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
    if (argc >= 2 && strcmp(argv[1], "help") == 0) return help_run(argc - 2, argv + 2);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print();
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("rapt %s\n", RAPT_VERSION);
        return 0;
    }
    const struct comm_launch launch = comm_launched();
    if (launch.size > 1 && strcmp(argv[1], "train") != 0) {
        if (launch.rank == 0)
            log_error("%d processes were started together; rapt train is the command that several ranks share", launch.size);
        return launch.rank == 0 ? 2 : 0;
    }
    for (size_t i = 0; i < cmd_count; i++) {
        if (strcmp(argv[1], cmd_table[i].name) != 0) continue;
        status s = cmd_table[i].run(argc - 2, argv + 2);
        if (s == ST_OK && fflush(stdout) != 0) s = FAIL(ST_IO, "cannot write to stdout");
        if (s == ST_OK) return 0;
        if (s == ST_USAGE && launch.rank > 0) return 0; /* rank 0 says it; mpirun kills the rest behind the first bad exit */
        log_error("%s", status_message());
        if (s == ST_USAGE) { /* a task of eval with options of its own has its own help */
            const bool task = argc > 2 && strcmp(argv[1], "eval") == 0 && cmd_eval_find(argv[2]);
            fprintf(stderr, "rapt: try 'rapt %s%s%s --help'\n", argv[1], task ? " " : "", task ? argv[2] : "");
        }
        return s == ST_USAGE ? 2 : 1;
    }
    log_error("unknown command '%s'; rapt --help lists them", argv[1]);
    return 2;
}
