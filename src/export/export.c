#include "export/export.h"

#include <string.h>

#define EXPORT_ROW(function, ...) {function, __VA_ARGS__},
const struct export_format export_table[] = {EXPORT_FORMAT_LIST(EXPORT_ROW)};
const size_t export_count = sizeof export_table / sizeof export_table[0];

const struct export_format *export_find(const char *name) {
    for (size_t i = 0; i < export_count; i++)
        if (strcmp(export_table[i].name, name) == 0) return &export_table[i];
    return NULL;
}

bool export_list_has(const char *list, const char *name, char separator) {
    const size_t n = strlen(name);
    while (list) {
        const char *end = strchr(list, separator);
        if ((end ? (size_t)(end - list) : strlen(list)) == n && memcmp(list, name, n) == 0) return true;
        list = end ? end + 1 : NULL;
    }
    return false;
}
