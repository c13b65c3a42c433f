/* Fuzz target: yaml_parse on any bytes; the tree that comes out keeps to its bounds when walked with aliases in full. */
#include <stdlib.h>
#include <string.h>

#include "format/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nodes of the subtree. */
static size_t walk(const struct yaml_node *node, int depth) {
    size_t nodes = 1;
    bool on;
    CHECK(depth < YAML_DEPTH_MAX && node->line > 0);
    if (node->kind == YAML_SCALAR) {
        CHECK(node->text && !(yaml_bool(&on, node) && yaml_is_null(node)));
        return nodes;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == YAML_MAP) CHECK(yaml_get(node, node->keys[i]) == node->items[i]);
        nodes += walk(node->items[i], depth + 1);
    }
    CHECK(nodes <= node->weight && node->weight <= YAML_NODES_MAX);
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *exact = malloc(size ? size : 1); /* exactly sized: a read past the end is seen */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    struct yaml y;
    if (yaml_parse(&y, "fuzz", exact, size) == ST_OK) walk(y.root, 0);
    yaml_release(&y);
    free(exact);
    return 0;
}
