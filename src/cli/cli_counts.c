#include "cli/cli_counts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

void cli_counts_print(const struct cli_count *list, size_t n, bool json) {
    size_t width = 0;
    for (size_t i = 0; i < n; i++) width = strlen(list[i].text) > width ? strlen(list[i].text) : width;
    for (size_t i = 0; i < n; i++)
        if (list[i].value) log_info("%-*s %" PRIu64, (int)width, list[i].text, list[i].value);
    for (size_t i = 0; json && i < n; i++)
        printf("%s\"%s\": %" PRIu64 "%s", i ? ", " : "{", list[i].name, list[i].value, i + 1 < n ? "" : "}\n");
}
