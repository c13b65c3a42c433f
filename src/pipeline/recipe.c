#include "pipeline/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/json.h"

#define VARS_MAX 256
#define NEST_MAX 16
#define TURNS_MAX 4096

/* A variable: filled in when first used, so that the order in the file does not matter. */
struct var {
    const char *name, *raw, *value;
    size_t line;
    bool used; /* named by vars or in a text: what --set gives must be */
    enum { VAR_NEW, VAR_BUSY, VAR_DONE } state;
};

struct loader {
    struct recipe *r;
    recipe_find_fn *find;
    struct var vars[VARS_MAX];
    size_t var_count;
    size_t turns; /* of all loops */
};

#define AT_LINE(code, line, ...) (FAIL((code), __VA_ARGS__), status_note((code), "%s:%zu: ", l->r->path, (size_t)(line)))

/* ---- variables ---- */

static struct var *find_var(struct loader *l, const char *name, size_t size) {
    for (size_t i = 0; i < l->var_count; i++)
        if (strlen(l->vars[i].name) == size && memcmp(l->vars[i].name, name, size) == 0) return &l->vars[i];
    return NULL;
}

static status fill(struct loader *l, struct buf *out, const char *text, size_t size, size_t line, int depth);

static status fill_text(struct loader *l, const char **out, const char *text, size_t line, int depth) {
    struct buf b = {0};
    status s = fill(l, &b, text, strlen(text), line, depth);
    if (s == ST_OK) *out = arena_text(&l->r->arena, buf_text(&b), b.size);
    buf_release(&b);
    return s;
}

static status var_value(struct loader *l, struct var *v, size_t line, int depth) {
    if (v->state == VAR_DONE) return ST_OK;
    if (v->state == VAR_BUSY || depth > NEST_MAX) return AT_LINE(ST_FORMAT, line, "${%s} is made of itself", v->name);
    v->state = VAR_BUSY;
    TRY(fill_text(l, &v->value, v->raw, v->line, depth + 1));
    v->state = VAR_DONE;
    return ST_OK;
}

/* The text between ${ and its }. *end is the }, or NULL. Braces inside a default nest. */
static const char *closing_brace(const char *at, const char *stop) {
    int open = 1;
    for (; at < stop; at++) {
        if (at[0] == '$' && at + 1 < stop && at[1] == '{')
            open++, at++;
        else if (*at == '}' && --open == 0)
            return at;
    }
    return NULL;
}

static bool is_name(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '.'))) return false;
    }
    return size > 0;
}

static status fill_one(struct loader *l, struct buf *out, const char *inside, size_t size, size_t line, int depth);

#define PRODUCT_MAX ((int64_t)1 << 53)

/* A factor: digits, or a variable that holds digits. */
static status read_factor(struct loader *l, int64_t *out, const char *text, size_t size, size_t line, int depth) {
    struct buf value = {0};
    const bool digit = size && text[0] >= '0' && text[0] <= '9';
    status s = ST_OK;
    if (digit)
        buf_append(&value, text, size);
    else
        s = fill_one(l, &value, text, size, line, depth + 1);
    if (s == ST_OK) {
        const char *number = buf_text(&value);
        char *end;
        *out = strtoll(number, &end, 10);
        if (!*number || strspn(number, "0123456789") != value.size || *end || *out > PRODUCT_MAX)
            s = AT_LINE(ST_FORMAT, line, "${..*..} is a product of whole numbers, and %.*s is '%s'", (int)size, text, number);
    }
    buf_release(&value);
    return s;
}

/* ${steps*rounds} */
static status fill_product(struct loader *l, struct buf *out, const char *inside, size_t size, size_t line, int depth) {
    int64_t product = 1;
    for (size_t at = 0, n; at <= size; at += n + 1) {
        const char *star = memchr(inside + at, '*', size - at);
        int64_t factor;
        n = star ? (size_t)(star - inside) - at : size - at;
        TRY(read_factor(l, &factor, inside + at, n, line, depth));
        if (factor && product > PRODUCT_MAX / factor) return AT_LINE(ST_FORMAT, line, "${%.*s} is more than 2^53", (int)size, inside);
        product *= factor;
    }
    buf_printf(out, "%lld", (long long)product);
    return ST_OK;
}

static status fill_one(struct loader *l, struct buf *out, const char *inside, size_t size, size_t line, int depth) {
    size_t name_size = 0;
    while (name_size < size && !(inside[name_size] == ':' && name_size + 1 < size && inside[name_size + 1] == '-')) name_size++;
    bool has_default = name_size < size;
    if (!has_default && memchr(inside, '*', size)) return fill_product(l, out, inside, size, line, depth);
    if (!is_name(inside, name_size))
        return AT_LINE(ST_FORMAT, line, "${%.*s}: expected ${NAME}, ${NAME:-default} or ${NAME*NAME}", (int)size, inside);
    char *name = arena_text(&l->r->arena, inside, name_size);
    struct var *v = find_var(l, name, name_size);
    const char *value = NULL;
    if (v) {
        v->used = true;
        TRY(var_value(l, v, line, depth));
        value = v->value;
    } else {
        value = getenv(name);
    }
    if (has_default && (!value || !*value)) return fill(l, out, inside + name_size + 2, size - name_size - 2, line, depth + 1);
    if (!value) return AT_LINE(ST_FORMAT, line, "${%s} is neither in vars nor in the environment; ${%s:-text} gives a default", name, name);
    buf_append_text(out, value);
    return ST_OK;
}

static status fill(struct loader *l, struct buf *out, const char *text, size_t size, size_t line, int depth) {
    const char *stop = text + size;
    if (depth > NEST_MAX) return AT_LINE(ST_FORMAT, line, "variables nested deeper than %d", NEST_MAX);
    for (const char *at = text; at < stop; at++) {
        size_t left = (size_t)(stop - at);
        if (left >= 3 && memcmp(at, "$${", 3) == 0) {
            buf_append_text(out, "${");
            at += 2;
        } else if (left >= 2 && at[0] == '$' && at[1] == '{') {
            const char *end = closing_brace(at + 2, stop);
            if (!end) return AT_LINE(ST_FORMAT, line, "a ${ without its }");
            TRY(fill_one(l, out, at + 2, (size_t)(end - at) - 2, line, depth));
            at = end;
        } else {
            buf_append_char(out, *at);
        }
        if (out->size > RECIPE_TEXT_MAX) return AT_LINE(ST_FORMAT, line, "a text of more than %zu bytes", RECIPE_TEXT_MAX);
    }
    return ST_OK;
}

static status add_var(struct loader *l, const char *name, const char *raw, size_t line) {
    if (!is_name(name, strlen(name))) return AT_LINE(ST_FORMAT, line, "'%s' is no name for a variable (letters, digits, _ - .)", name);
    struct var *set = find_var(l, name, strlen(name));
    if (set) { /* --set came first */
        set->used = true;
        return ST_OK;
    }
    if (l->var_count == VARS_MAX) return AT_LINE(ST_FORMAT, line, "more than %d variables", VARS_MAX);
    l->vars[l->var_count++] = (struct var){.name = name, .raw = raw, .line = line, .used = true};
    return ST_OK;
}

static status add_set(struct loader *l, const struct opt_list *set) {
    for (size_t i = 0; set && i < set->count; i++) {
        const char *equals = strchr(set->items[i], '=');
        if (!equals) return FAIL(ST_USAGE, "--set expects NAME=VALUE, not '%s'", set->items[i]);
        struct buf value = {0};
        buf_append_text(&value, equals + 1);
        const char *name = arena_text(&l->r->arena, set->items[i], (size_t)(equals - set->items[i]));
        for (; i + 1 < set->count && !strchr(set->items[i + 1], '='); i++) buf_printf(&value, ",%s", set->items[i + 1]);
        const char *text = arena_text(&l->r->arena, buf_text(&value), value.size);
        buf_release(&value);
        if (!is_name(name, strlen(name))) return FAIL(ST_USAGE, "--set %s=...: no name for a variable", name);
        if (find_var(l, name, strlen(name))) return FAIL(ST_USAGE, "--set %s is given twice", name);
        if (l->var_count == VARS_MAX) return FAIL(ST_USAGE, "--set is given too often");
        l->vars[l->var_count++] = (struct var){.name = name, .raw = text, .value = text, .state = VAR_DONE};
    }
    return ST_OK;
}

/* ---- reading ---- */

static status expect(const struct loader *l, const struct yaml_node *node, enum yaml_kind kind, const char *what) {
    if (node->kind == kind && !(kind == YAML_SCALAR && yaml_is_null(node))) return ST_OK;
    return AT_LINE(ST_FORMAT, node->line, "'%s' is %s, expected %s", what, yaml_is_null(node) ? "empty" : yaml_kind_name(node->kind),
                   yaml_kind_name(kind));
}

/* Every key of a map is one of `known`, separated by blanks. */
static status only_keys(const struct loader *l, const struct yaml_node *map, const char *known, const char *what) {
    for (size_t i = 0; i < map->count; i++) {
        size_t size = strlen(map->keys[i]);
        bool found = false;
        for (const char *at = known; *at && !found;) {
            size_t n = strcspn(at, " ");
            found = n == size && memcmp(at, map->keys[i], n) == 0;
            at += n + (at[n] == ' ');
        }
        if (!found)
            return AT_LINE(ST_FORMAT, map->items[i]->line, "unknown key '%s' in %s; expected some of: %s", map->keys[i], what, known);
    }
    return ST_OK;
}

static void paths_add(struct recipe_paths *p, struct recipe *r, const char *path) {
    if (p->count == p->capacity) {
        const char **old = p->items;
        p->capacity = p->capacity ? 2 * p->capacity : 8;
        p->items = arena_take(&r->arena, p->capacity, sizeof *p->items);
        if (p->count) memcpy(p->items, old, p->count * sizeof *p->items);
    }
    p->items[p->count++] = path;
}

/* ---- loops ---- */

/* What a loop does with `node` in each of its turns. */
typedef status turn_fn(struct loader *l, const struct yaml_node *node, void *context);

/* A variable that loops give values to; it goes when var_count goes back. */
static status add_counter(struct loader *l, const char *name, size_t line, const char *loop) {
    if (find_var(l, name, strlen(name)))
        return AT_LINE(ST_FORMAT, line, "${%s} is what %s counts with; no variable of vars, --set or a loop around can be called so", name,
                       loop);
    return add_var(l, name, "", line);
}

static void set_counter(struct loader *l, size_t at, const char *value, size_t size) {
    l->vars[at].value = arena_text(&l->r->arena, value, size);
    l->vars[at].state = VAR_DONE;
}

/* `turn` with node for every combination of the values of the variables each->keys[at ..], the last one's changing first. Values stand
 * between commas; where there are none at all, there is no turn, so that --set modes= leaves a loop out. */
static status each_turn(struct loader *l, const struct yaml_node *each, size_t at, const struct yaml_node *node, turn_fn *turn,
                        void *context) {
    if (at == each->count) {
        if (++l->turns > TURNS_MAX) return AT_LINE(ST_FORMAT, each->line, "loops of more than %d turns", TURNS_MAX);
        return turn(l, node, context);
    }
    const struct yaml_node *values = each->items[at];
    const size_t var = l->var_count;
    const char *text;
    TRY(expect(l, values, YAML_SCALAR, each->keys[at]));
    TRY(fill_text(l, &text, values->text, values->line, 0));
    TRY(add_counter(l, each->keys[at], values->line, "each"));
    for (bool more = *text; more;) {
        const size_t size = strcspn(text, ",");
        if (!size) return AT_LINE(ST_FORMAT, values->line, "%s expects values with commas between them, and one is empty", each->keys[at]);
        set_counter(l, var, text, size);
        TRY(each_turn(l, each, at + 1, node, turn, context));
        more = text[size];
        text += size + more;
    }
    l->var_count = var;
    return ST_OK;
}

/* {each: {NAME: "a,b"}, BODY: ..}: `turn` with the body. */
static status read_each(struct loader *l, const struct yaml_node *node, const char *body, turn_fn *turn, void *context) {
    const struct yaml_node *each = yaml_get(node, "each"), *inside = yaml_get(node, body);
    char known[32] = "each ";
    strcat(known, body);
    TRY(only_keys(l, node, known, "a loop"));
    TRY(expect(l, each, YAML_MAP, "each"));
    if (!each->count || each->count > NEST_MAX) return AT_LINE(ST_FORMAT, node->line, "each expects 1 to %d variables", NEST_MAX);
    if (!inside) return AT_LINE(ST_FORMAT, node->line, "a loop has no '%s'", body);
    return each_turn(l, each, 0, inside, turn, context);
}

/* `turn` with every item of a list, or the one value that stands in its place; an item {each: .., text: ..} gives several. */
static status read_items(struct loader *l, const struct yaml_node *node, turn_fn *turn, void *context) {
    if (node->kind != YAML_LIST) return turn(l, node, context);
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->items[i];
        TRY(item->kind == YAML_MAP && yaml_get(item, "each") ? read_each(l, item, "text", turn, context) : turn(l, item, context));
    }
    return ST_OK;
}

struct path_list {
    struct recipe_paths *out;
    const char *what;
};

static status read_path(struct loader *l, const struct yaml_node *node, void *context) {
    const struct path_list *x = context;
    const char *text;
    TRY(expect(l, node, YAML_SCALAR, x->what));
    TRY(fill_text(l, &text, node->text, node->line, 0));
    if (!*text) return AT_LINE(ST_FORMAT, node->line, "'%s' holds an empty text", x->what);
    paths_add(x->out, l->r, text);
    return ST_OK;
}

/* A list of texts, or one text, into paths. */
static status read_paths(struct loader *l, struct recipe_paths *out, const struct yaml_node *node, const char *what) {
    struct path_list x = {out, what};
    return read_items(l, node, read_path, &x);
}

/* ---- a stage's command line ---- */

/* Options that are always paths of something to read, in every command that has them. */
static bool is_input_option(const char *name) {
    static const char *const names[] = {"input", "model",     "adapter", "train-data",         "eval-data",  "ref-logps",
                                        "logps", "reference", "data",    "goal-template-file", "goal-style", "exclude-prompts",
                                        "map",   "samples",   "results", "reference-adapter"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* A command line for sh: which of its words are files shows when the stage runs. */
static void note_words(struct loader *l, struct recipe_stage *stage, const char *text) {
    static const char between[] = " \t\n;|&<>()\"'";
    while (*(text += strspn(text, between))) {
        const size_t n = strcspn(text, between);
        paths_add(&stage->words, l->r, arena_text(&l->r->arena, text, n));
        text += n;
    }
}

static void note_path(struct loader *l, struct recipe_stage *stage, const char *option, const char *text) {
    if (!*text || strcmp(text, "-") == 0) return;
    if (strcmp(option, "cache") == 0) return; /* of answers: the stage fills it, and what it answers is the same with it and without */
    if (strcmp(option, "reference-adapter") == 0 && strcmp(text, "none") == 0) return;
    if (strcmp(option, "command") == 0) {
        note_words(l, stage, text);
        return;
    }
    if (opt_is_output(option))
        paths_add(&stage->outputs, l->r, text);
    else
        paths_add(is_input_option(option) ? &stage->needs : &stage->values, l->r, text);
}

static const struct opt_row *find_option(const struct opt_spec *spec, const char *name) {
    for (size_t i = 0; i < spec->row_count; i++)
        if (spec->rows[i].kind != OPT_HEADING && strcmp(spec->rows[i].name, name) == 0) return &spec->rows[i];
    return NULL;
}

/* The paths of one value, which of a list holds several, parted as opt_parse does it. row: NULL for an unknown option. */
static void note_paths(struct loader *l, struct recipe_stage *stage, const struct opt_row *row, const char *option, const char *text) {
    size_t n;
    if (!row || row->kind != OPT_LIST) {
        note_path(l, stage, option, text);
        return;
    }
    for (;; text += n + 1) {
        n = strcspn(text, ",");
        note_path(l, stage, option, arena_text(&l->r->arena, text, n));
        if (!text[n]) return;
    }
}

static void add_arg(struct loader *l, struct recipe_paths *argv, const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    char *text = arena_take(&l->r->arena, n + m + 1, 1);
    memcpy(text, a, n);
    memcpy(text + n, b, m);
    paths_add(argv, l->r, text);
}

/* An option whose values are read. A row of NULL is an unknown option: opt_parse will say so, with the nearest name. */
struct option {
    struct recipe_stage *stage;
    struct recipe_paths *argv;
    const char *name;
    const struct opt_row *row;
};

/* One value of an option. */
static status add_value(struct loader *l, const struct yaml_node *value, void *context) {
    const struct option *o = context;
    struct recipe_stage *stage = o->stage;
    struct recipe_paths *argv = o->argv;
    const char *name = o->name, *text;
    const struct opt_row *row = o->row;
    bool on;
    TRY(expect(l, value, YAML_SCALAR, name));
    if ((!row || row->kind == OPT_FLAG) && yaml_bool(&on, value)) {
        add_arg(l, argv, on ? "--" : "--no-", name);
        return ST_OK;
    }
    TRY(fill_text(l, &text, value->text, value->line, 0));
    if (row && row->kind == OPT_FLAG) { /* "true" out of a variable */
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return AT_LINE(ST_USAGE, value->line, "%s of rapt %s is a switch: expected true or false, not '%s'", name, stage->spec->command,
                           text);
        add_arg(l, argv, *text == 't' ? "--" : "--no-", name);
        return ST_OK;
    }
    add_arg(l, argv, "--", name);
    add_arg(l, argv, text, "");
    note_paths(l, stage, row, name, text);
    return ST_OK;
}

static status add_option(struct loader *l, struct recipe_stage *stage, struct recipe_paths *argv, const char *name,
                         const struct yaml_node *value) {
    struct option o = {stage, argv, name, find_option(stage->spec, name)};
    if (yaml_is_null(value)) return ST_OK;
    if (strcmp(name, "help") == 0) return AT_LINE(ST_USAGE, value->line, "help is no option of a stage");
    if (value->kind == YAML_LIST && o.row && !opt_is_list(o.row->kind))
        return AT_LINE(ST_USAGE, value->line, "%s of rapt %s takes one value, not a list", name, stage->spec->command);
    return read_items(l, value, add_value, &o);
}

/* Parses the command line as the command will, into memory of the options' size, and keeps the result as JSON. */
static status resolve(struct loader *l, struct recipe_stage *stage) {
    const struct opt_spec *spec = stage->spec;
    size_t size = 1;
    for (size_t i = 0; i < spec->row_count; i++) {
        size_t end = spec->rows[i].offset + sizeof(struct opt_list); /* the widest field */
        if (end > size) size = end;
    }
    void *options = arena_take(&l->r->arena, size, 1);
    struct opt_result result;
    status s = opt_parse(&result, spec, options, stage->argc, stage->argv);
    if (s != ST_OK) return status_note(s, "%s:%zu: stage %s: ", l->r->path, stage->line, stage->name);
    struct buf json = {0};
    buf_append_text(&json, "{\"arguments\": [");
    for (size_t i = 0; i < result.positional_count; i++) {
        if (i) buf_append_text(&json, ", ");
        json_put_text(&json, result.positional[i]);
        paths_add(&stage->values, l->r, result.positional[i]);
    }
    buf_append_text(&json, "], \"options\": ");
    opt_json(&json, spec, options);
    buf_append_char(&json, '}');
    stage->options_json = arena_text(&l->r->arena, buf_text(&json), json.size);
    buf_release(&json);
    return ST_OK;
}

/* Is the second word part of the command's name ("eval kl"), not an argument? */
static bool second_word(struct loader *l, struct recipe_stage *stage, const char *item) {
    struct buf name = {0};
    buf_printf(&name, "%s %s", stage->spec->command, item);
    const struct opt_spec *both = l->find(buf_text(&name));
    buf_release(&name);
    if (both) stage->spec = both;
    return both != NULL;
}

/* "eval goal-accuracy": the command and arguments without blanks in them. */
static status read_run(struct loader *l, struct recipe_stage *stage, struct recipe_paths *argv, const struct yaml_node *run) {
    const char *text;
    TRY(expect(l, run, YAML_SCALAR, "run"));
    TRY(fill_text(l, &text, run->text, run->line, 0));
    for (size_t word = 0; *text; word++) {
        text += strspn(text, " \t\n");
        size_t n = strcspn(text, " \t\n");
        if (!n) break;
        const char *item = arena_text(&l->r->arena, text, n);
        text += n;
        if (word) {
            if (word > 1 || !second_word(l, stage, item)) paths_add(argv, l->r, item);
            continue;
        }
        stage->spec = l->find(item);
        if (!stage->spec)
            return AT_LINE(ST_USAGE, run->line, "stage %s runs '%s', which is no command that a stage can run", stage->name, item);
    }
    if (!stage->spec) return AT_LINE(ST_FORMAT, run->line, "'run' is empty, expected a command");
    return ST_OK;
}

static status read_argv(struct loader *l, struct recipe_stage *stage, const struct yaml_node *node) {
    struct recipe_paths argv = {0};
    const struct yaml_node *run = yaml_get(node, "run"), *with = yaml_get(node, "with"), *args = yaml_get(node, "args");
    if (!run) return AT_LINE(ST_FORMAT, node->line, "stage %s has no 'run'", stage->name);
    TRY(read_run(l, stage, &argv, run));
    if (args) TRY(read_paths(l, &argv, args, "args"));
    if (with && !yaml_is_null(with)) {
        TRY(expect(l, with, YAML_MAP, "with"));
        for (size_t i = 0; i < with->count; i++) TRY(add_option(l, stage, &argv, with->keys[i], with->items[i]));
    }
    stage->argc = (int)argv.count;
    stage->argv = arena_take(&l->r->arena, argv.count + 1, sizeof *stage->argv);
    for (size_t i = 0; i < argv.count; i++) stage->argv[i] = arena_text(&l->r->arena, argv.items[i], strlen(argv.items[i]));
    return resolve(l, stage);
}

static status read_name(struct loader *l, struct recipe_stage *stage, const struct yaml_node *name) {
    TRY(expect(l, name, YAML_SCALAR, "name"));
    TRY(fill_text(l, &stage->name, name->text, name->line, 0));
    if (!is_name(stage->name, strlen(stage->name)) || strlen(stage->name) > 63)
        return AT_LINE(ST_FORMAT, name->line, "'%s' is no name for a stage (up to 63 letters, digits, _ - .)", stage->name);
    for (size_t i = 0; i < l->r->stage_count; i++)
        if (strcmp(l->r->stages[i].name, stage->name) == 0) return AT_LINE(ST_FORMAT, name->line, "two stages are called %s", stage->name);
    return ST_OK;
}

/* "when" and "unless": is their text one that leaves the stage out? */
static status left_out(struct loader *l, bool *out, const struct yaml_node *node) {
    static const char *const keys[2] = {"when", "unless"};
    *out = false;
    for (size_t i = 0; i < 2; i++) {
        const struct yaml_node *condition = yaml_get(node, keys[i]);
        const char *text;
        if (!condition) continue;
        TRY(expect(l, condition, YAML_SCALAR, keys[i]));
        TRY(fill_text(l, &text, condition->text, condition->line, 0));
        *out = *out || (*text != '\0') == (i == 1);
    }
    return ST_OK;
}

static status read_stage(struct loader *l, const struct yaml_node *node) {
    struct recipe *r = l->r;
    bool out_of_it;
    if (r->stage_count == RECIPE_STAGES_MAX) return AT_LINE(ST_FORMAT, node->line, "more than %d stages", RECIPE_STAGES_MAX);
    struct recipe_stage *stage = &r->stages[r->stage_count];
    const struct yaml_node *name = yaml_get(node, "name"), *out = yaml_get(node, "stdout"), *more, *title = yaml_get(node, "title");
    TRY(expect(l, node, YAML_MAP, "a stage"));
    TRY(only_keys(l, node, "name run with args title stdout inputs outputs when unless", "a stage"));
    TRY(left_out(l, &out_of_it, node));
    if (out_of_it) return ST_OK;
    if (!name) return AT_LINE(ST_FORMAT, node->line, "a stage has no 'name'");
    TRY(read_name(l, stage, name));
    stage->line = node->line;
    if (title) TRY(expect(l, title, YAML_SCALAR, "title"));
    if (title) TRY(fill_text(l, &stage->title, title->text, title->line, 0));
    TRY(read_argv(l, stage, node));
    if (out) {
        TRY(expect(l, out, YAML_SCALAR, "stdout"));
        TRY(fill_text(l, &stage->stdout_path, out->text, out->line, 0));
        paths_add(&stage->outputs, r, stage->stdout_path);
    }
    if ((more = yaml_get(node, "inputs"))) TRY(read_paths(l, &stage->needs, more, "inputs"));
    if ((more = yaml_get(node, "outputs"))) TRY(read_paths(l, &stage->outputs, more, "outputs"));
    r->stage_count++;
    return ST_OK;
}

/* ---- stages that repeat ---- */

static status read_times(struct loader *l, int64_t *times, const struct yaml_node *node) {
    const char *text;
    char *end;
    TRY(expect(l, node, YAML_SCALAR, "repeat"));
    TRY(fill_text(l, &text, node->text, node->line, 0));
    *times = strtol(text, &end, 10);
    if (end == text || *end || *times < 1 || *times > RECIPE_STAGES_MAX)
        return AT_LINE(ST_FORMAT, node->line, "repeat expects 1 to %d, not '%s'", RECIPE_STAGES_MAX, text);
    return ST_OK;
}

static status read_stages(struct loader *l, const struct yaml_node *list, void *context);

/* {repeat: N, stages: [...]}: the stages N times, ${round} being 1 .. N and ${previous} 0 .. N - 1 in their texts. */
static status read_repeat(struct loader *l, const struct yaml_node *node) {
    static const char *const counters[2] = {"round", "previous"};
    const struct yaml_node *stages = yaml_get(node, "stages");
    const size_t before = l->var_count;
    int64_t times;
    TRY(only_keys(l, node, "repeat stages", "a repeat"));
    TRY(read_times(l, &times, yaml_get(node, "repeat")));
    if (!stages) return AT_LINE(ST_FORMAT, node->line, "a repeat has no 'stages'");
    for (size_t i = 0; i < 2; i++) TRY(add_counter(l, counters[i], node->line, "repeat"));
    for (int64_t round = 1; round <= times; round++) {
        for (size_t i = 0; i < 2; i++) {
            char digits[32];
            const int size = snprintf(digits, sizeof digits, "%lld", (long long)(round - (int64_t)i));
            set_counter(l, before + i, digits, (size_t)size);
        }
        TRY(read_stages(l, stages, NULL));
    }
    l->var_count = before;
    return ST_OK;
}

/* Stages and loops of stages. The reader of YAML bounds how deep they nest. */
static status read_stages(struct loader *l, const struct yaml_node *list, void *context) {
    (void)context;
    TRY(expect(l, list, YAML_LIST, "stages"));
    if (!list->count) return AT_LINE(ST_FORMAT, list->line, "'stages' is empty");
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *node = list->items[i];
        if (yaml_get(node, "repeat"))
            TRY(read_repeat(l, node));
        else if (yaml_get(node, "each"))
            TRY(read_each(l, node, "stages", read_stages, NULL));
        else
            TRY(read_stage(l, node));
    }
    return ST_OK;
}

/* ---- checks between stages ---- */

static const char *skip_here(const char *path) {
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        while (*path == '/') path++;
    }
    return path;
}

bool recipe_path_within(const char *path, const char *folder) {
    path = skip_here(path);
    folder = skip_here(folder);
    size_t n = strlen(folder), m = strlen(path);
    while (n > 1 && folder[n - 1] == '/') n--;
    while (m > 1 && path[m - 1] == '/') m--;
    return m >= n && memcmp(path, folder, n) == 0 && (m == n || path[n] == '/');
}

const char *recipe_path_of(const char *text) {
    const char *equals = strchr(text, '=');
    return equals && equals != text && equals[1] && !file_exists(text) ? equals + 1 : text;
}

/* What the earlier stages make: the path itself, something inside it, or a folder that holds it. */
static bool made_before(const struct recipe *r, size_t stage, const char *path) {
    for (size_t i = 0; i < stage; i++)
        for (size_t j = 0; j < r->stages[i].outputs.count; j++)
            if (recipe_path_within(path, r->stages[i].outputs.items[j]) || recipe_path_within(r->stages[i].outputs.items[j], path))
                return true;
    return false;
}

static status check_inputs(const struct loader *l) {
    const struct recipe *r = l->r;
    for (size_t i = 0; i < r->stage_count; i++) {
        const struct recipe_stage *stage = &r->stages[i];
        for (size_t j = 0; j < stage->needs.count; j++) {
            const char *path = recipe_path_of(stage->needs.items[j]);
            if (file_exists(path) || made_before(r, i, path)) continue;
            return AT_LINE(ST_USAGE, stage->line, "stage %s reads %s, which is not there and no earlier stage makes", stage->name, path);
        }
        for (size_t j = 0; j < stage->outputs.count; j++)
            for (size_t k = 0; k < i; k++)
                for (size_t m = 0; m < r->stages[k].outputs.count; m++)
                    if (recipe_path_within(r->stages[k].outputs.items[m], stage->outputs.items[j]))
                        return AT_LINE(ST_USAGE, stage->line, "stage %s writes over %s of stage %s", stage->name,
                                       r->stages[k].outputs.items[m], r->stages[k].name);
    }
    return ST_OK;
}

static status read_recipe(struct loader *l) {
    struct recipe *r = l->r;
    const struct yaml_node *root = r->doc.root, *vars = yaml_get(root, "vars"), *stages = yaml_get(root, "stages"), *output, *closing;
    TRY(expect(l, root, YAML_MAP, "a recipe"));
    TRY(only_keys(l, root, "description output vars defaults stages closing", "a recipe"));
    if (!(output = yaml_get(root, "output"))) return FAIL(ST_FORMAT, "%s: no 'output', the folder of the results", r->path);
    if (!stages) return FAIL(ST_FORMAT, "%s: no 'stages'", r->path);
    TRY(expect(l, output, YAML_SCALAR, "output"));
    TRY(add_var(l, "output", output->text, output->line));
    if (vars && !yaml_is_null(vars)) {
        TRY(expect(l, vars, YAML_MAP, "vars"));
        for (size_t i = 0; i < vars->count; i++) {
            if (vars->items[i]->kind != YAML_SCALAR)
                return AT_LINE(ST_FORMAT, vars->items[i]->line, "variable %s is %s, expected a single value", vars->keys[i],
                               yaml_kind_name(vars->items[i]->kind));
            if (strcmp(vars->keys[i], "output") == 0)
                return AT_LINE(ST_FORMAT, vars->items[i]->line, "'output' stands above vars, not among them");
            TRY(add_var(l, vars->keys[i], vars->items[i]->text, vars->items[i]->line));
        }
    }
    for (size_t i = 0; i < l->var_count; i++) TRY(var_value(l, &l->vars[i], l->vars[i].line, 0));
    r->output = find_var(l, "output", strlen("output"))->value;
    if (!*r->output) return AT_LINE(ST_FORMAT, output->line, "'output' is empty");
    r->stages = arena_take(&r->arena, RECIPE_STAGES_MAX, sizeof *r->stages);
    TRY(read_stages(l, stages, NULL));
    if (!r->stage_count)
        return AT_LINE(ST_FORMAT, stages->line,
                       "no stage is left: each is left out by its 'when' or 'unless', or stands in a loop without values");
    if ((closing = yaml_get(root, "closing"))) {
        TRY(expect(l, closing, YAML_SCALAR, "closing"));
        TRY(fill_text(l, &r->closing, closing->text, closing->line, 0));
    }
    for (size_t i = 0; i < l->var_count; i++)
        if (!l->vars[i].used) return FAIL(ST_USAGE, "--set %s has no effect: %s has no such variable", l->vars[i].name, r->path);
    return check_inputs(l);
}

status recipe_load(struct recipe *r, const char *path, recipe_find_fn *find, const struct opt_list *set) {
    *r = (struct recipe){0};
    r->path = arena_text(&r->arena, path, strlen(path));
    TRY(yaml_load(&r->doc, path));
    struct loader *l = mem_zero(1, sizeof *l);
    l->r = r;
    l->find = find;
    status s = add_set(l, set);
    if (s == ST_OK) s = read_recipe(l);
    free(l);
    return s;
}

void recipe_release(struct recipe *r) {
    yaml_release(&r->doc);
    arena_release(&r->arena);
    *r = (struct recipe){0};
}

status recipe_stage_index(size_t *out, const struct recipe *r, const char *name) {
    struct buf names = {0};
    for (size_t i = 0; i < r->stage_count; i++) {
        buf_printf(&names, "%s%s", i ? ", " : "", r->stages[i].name);
        if (strcmp(r->stages[i].name, name) != 0) continue;
        *out = i;
        buf_release(&names);
        return ST_OK;
    }
    status s = FAIL(ST_USAGE, "%s has no stage '%s'; it has: %s", r->path, name, buf_text(&names));
    buf_release(&names);
    return s;
}

void recipe_shell_line(struct buf *out, const struct recipe_stage *stage) {
    buf_printf(out, "rapt %s", stage->spec->command);
    for (int i = 0; i < stage->argc; i++) buf_append_shell_argument(out, stage->argv[i]);
    if (stage->stdout_path) {
        buf_append_text(out, " >");
        buf_append_shell_argument(out, stage->stdout_path);
    }
}
