/* yaml: one YAML document as a tree of scalars, lists and maps, each with the line it stands on. libyaml does the parsing; this adds
 * what a stranger's file needs: bounds, no duplicate keys, aliases that cannot blow up, merge keys ("<<: *base"), text that is UTF-8. */
#ifndef RAPT_FORMAT_YAML_H
#define RAPT_FORMAT_YAML_H

#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

#define YAML_SIZE_MAX ((size_t)1 << 20) /* bytes of a document */
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 20000 /* with every alias counted as often as it stands for its nodes */

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;              /* a scalar in quotes or a block: never null, true or false */
    size_t line;              /* 1-based */
    const char *text;         /* scalar: its text, NUL-terminated, without NUL inside; else NULL */
    const char **keys;        /* map: [count] key texts, all different */
    struct yaml_node **items; /* list, map: [count] values; shared where an alias stands */
    size_t count;
    size_t weight, height; /* nodes, and levels, of this subtree with aliases in full */
};

struct yaml {
    struct arena arena;
    struct yaml_node *root;
    const char *path; /* of yaml_load: name for messages */
};

/* Parses a document; `path` names it in messages ("path:line: ..."). ST_FORMAT names the line. An empty document is an error. Either way
 * the caller releases. */
status yaml_parse(struct yaml *y, const char *path, const char *text, size_t size);
/* The same of a file. */
status yaml_load(struct yaml *y, const char *path);
void yaml_release(struct yaml *y);

/* The value under a key of a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* A plain scalar that is empty, ~ or null. */
bool yaml_is_null(const struct yaml_node *node);
/* A plain true or false (YAML 1.2: not yes, no, on, off). False when the node is anything else. */
bool yaml_bool(bool *out, const struct yaml_node *node);
const char *yaml_kind_name(enum yaml_kind kind); /* "a list", for messages */

#endif
