/* cli_counts: what a command counted, as lines on stderr and as one JSON object on stdout. */
#ifndef RAPT_CLI_CLI_COUNTS_H
#define RAPT_CLI_CLI_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli_count {
    const char *name, *text; /* of the JSON; of the line */
    uint64_t value;
};
/* A row of a counts map X(name, text), from `counts` in scope. */
#define CLI_COUNT(name, text) {#name, text, counts->name},

/* Lines of those that are not 0; then, with json, the object of all. */
void cli_counts_print(const struct cli_count *list, size_t n, bool json);

#endif
