#include "cli/cli_fields.h"

status cli_fields(struct source_map *map, const struct opt_list *list) {
    _Static_assert(SOURCE_MAP_MAX >= OPT_LIST_MAX, "every --field has its place");
    *map = (struct source_map){0};
    for (size_t i = 0; i < list->count; i++) TRY(source_map_add(map, list->items[i]));
    return ST_OK;
}
