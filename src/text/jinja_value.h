/* jinja_value: values of a render, the render itself, and what the evaluator, the filters and the methods share.
 *
 * Values live in the render's arena and are never freed before it ends. Every allocation goes through the render's memory limit, every
 * loop through its step limit, and every walk into nested values through JV_DEPTH_MAX: a template can build what it likes. */
#ifndef RAPT_TEXT_JINJA_VALUE_H
#define RAPT_TEXT_JINJA_VALUE_H

#include "text/jinja_ast.h"

#define JV_DEPTH_MAX 200     /* of nested values */
#define JINJA_EVAL_DEPTH 600 /* of nested evaluation, macro calls included */

enum jkind {
    JV_ABSENT,
    JV_UNDEFINED,
    JV_NONE,
    JV_BOOL,
    JV_INT,
    JV_BIG,
    JV_FLOAT,
    JV_STRING,
    JV_LIST,
    JV_DICT,
    JV_NAMESPACE,
    JV_LOOP,
    JV_MACRO,
    JV_FUNCTION,
    JV_METHOD
};

struct jstr {
    const char *data; /* size bytes of UTF-8, not terminated: often a view of another string */
    size_t size;
    size_t chars; /* code points; == size means ASCII */
};
/* How a list came to be decides what Python would let a template do with it. */
enum jlist_type { JL_LIST, JL_TUPLE, JL_VIEW /* dict.items() and such: sized, not indexed */, JL_ITERATOR /* one pass, always true */ };

struct jvalue;
struct jlist;
struct jdict;
struct jloop;
struct jmacro;
struct jfunction;
struct jmethod;

struct jvalue {
    enum jkind kind;
    union {
        bool b;
        int64_t i;
        double d;
        const struct jstr *s; /* STRING; BIG: an integer past 64 bits, as its text */
        const char *why;      /* UNDEFINED: "'x' is undefined" */
        struct jlist *list;
        struct jdict *dict; /* DICT, NAMESPACE */
        struct jloop *loop;
        struct jmacro *macro;
        const struct jfunction *function;
        struct jmethod *method;
    };
};

struct jlist {
    struct jvalue *items;
    size_t count, capacity;
    enum jlist_type type;
    bool group; /* a pair of groupby: its parts are named grouper and list too */
};
struct jdict { /* in order of insertion */
    struct jvalue *keys, *values;
    size_t count, capacity;
    uint32_t *slots; /* open addressing, index + 1; NULL while small */
    size_t slot_count;
};

struct jvar {
    const char *name;
    struct jvalue value;
};
struct jframe { /* a scope; names not found are looked for in the parent */
    struct jframe *parent;
    struct jvar *vars;
    size_t count, capacity;
};
struct jloop {
    const struct jlist *items;
    size_t index;
    struct jvalue last_changed; /* loop.changed() */
};
struct jmacro {
    const struct jnode *node;
    struct jframe *frame; /* where it was defined */
};
struct jmethod {
    struct jvalue self;
    const char *name;
    const void *row;
};

struct jkeyword_value {
    const char *name;
    struct jvalue value;
};
struct jcall {
    struct jvalue *positional;
    size_t positional_count;
    struct jkeyword_value *keywords;
    size_t keyword_count;
};

struct jrender {
    struct arena arena;
    struct buf *out;       /* where output goes: the rendering, or a block that is being captured */
    struct buf *top;       /* the rendering */
    struct buf *spans;     /* of generation blocks; NULL: not asked for */
    size_t counted, chars; /* bytes of the rendering whose characters are counted, and how many these are */
    struct jinja_limits limits;
    uint64_t steps;
    int depth;
    int line; /* of the node being evaluated */
    struct jframe *globals;
    struct jvalue block_text; /* what a filter without a subject filters */
};

/* ---- limits and errors ---- */
status jr_fail(const struct jrender *r, const char *format, ...) __attribute__((format(printf, 2, 3))); /* with the line */
status jr_tick(struct jrender *r, size_t steps);
status jr_take(struct jrender *r, void *out, size_t count, size_t size); /* zeroed, from the arena */
status jr_put(struct jrender *r, struct buf *out, const char *text, size_t size);
const char *jr_text(struct jrender *r, const char *format, ...) __attribute__((format(printf, 2, 3))); /* short, in the arena */

/* ---- making values ---- */
struct jvalue jv_none(void);
struct jvalue jv_bool(bool b);
struct jvalue jv_int(int64_t i);
struct jvalue jv_float(double d);
struct jvalue jv_undefined(const char *why);
status jv_string(struct jrender *r, struct jvalue *out, const char *text, size_t size); /* copies */
status jv_view(struct jrender *r, struct jvalue *out, const char *text, size_t size);   /* text lives as long as the render */
status jv_list(struct jrender *r, struct jvalue *out, enum jlist_type type, size_t capacity);
status jv_append(struct jrender *r, struct jlist *list, struct jvalue item);
status jv_pair(struct jrender *r, struct jvalue *out, struct jvalue a, struct jvalue b); /* a tuple */
status jv_dict(struct jrender *r, struct jvalue *out);
status jv_dict_set(struct jrender *r, struct jdict *dict, struct jvalue key, struct jvalue value);      /* error: unhashable */
status jv_dict_get(struct jrender *r, struct jvalue *out, const struct jdict *dict, struct jvalue key); /* JV_ABSENT when not there */
status jv_dict_get_text(struct jrender *r, struct jvalue *out, const struct jdict *dict, const char *key);
status jv_from_json(struct jrender *r, struct jvalue *out, struct json value);

/* ---- asking values ---- */
const char *jv_type_name(struct jvalue v); /* Python's: "str", "dict" ... */
bool jv_truth(struct jvalue v);
bool jv_is_number(struct jvalue v); /* bool, int, float */
bool jv_is_text(struct jvalue v, const char *text);
double jv_to_double(struct jvalue v); /* of a number */
status jv_equal(struct jrender *r, bool *out, struct jvalue a, struct jvalue b);
status jv_compare(struct jrender *r, int *out, struct jvalue a, struct jvalue b); /* < 0, 0, > 0; NaN: 2 */
status jv_contains(struct jrender *r, bool *out, struct jvalue container, struct jvalue item);
/* Items as a list: of a list itself (an iterator is used up), a string's characters, a dict's keys. Error when not iterable. */
status jv_items(struct jrender *r, struct jlist **out, struct jvalue v);
status jv_length(struct jrender *r, size_t *out, struct jvalue v);
/* str(v), repr(v) and json.dumps(v). */
status jv_put_str(struct jrender *r, struct buf *out, struct jvalue v);
status jv_put_repr(struct jrender *r, struct buf *out, struct jvalue v, int depth);
struct jdump {
    bool ascii, sort_keys;
    const char *indent; /* NULL: one line */
    size_t indent_size;
    const char *item_separator, *key_separator;
};
status jv_put_json(struct jrender *r, struct buf *out, struct jvalue v, const struct jdump *how, int depth);
status jv_to_string(struct jrender *r, struct jvalue *out, struct jvalue v); /* str(v); a string stays itself */
void jv_put_double(struct buf *out, double d);                               /* repr of a float */
/* The byte offset of character `index` <= chars. */
size_t jv_char_offset(const struct jstr *s, size_t index);
/* Finds needle in hay from byte `from`; SIZE_MAX when absent. Charges steps. */
status jv_find(struct jrender *r, size_t *out, const char *hay, size_t size, const char *needle, size_t needle_size, size_t from);

/* ---- lookup and calls ---- */
status jv_attribute(struct jrender *r, struct jvalue *out, struct jvalue subject, const char *name);        /* a.name */
status jv_item(struct jrender *r, struct jvalue *out, struct jvalue subject, struct jvalue key);            /* a[key] */
status jv_slice(struct jrender *r, struct jvalue *out, struct jvalue subject, const struct jvalue *bounds); /* [3]: lower, upper, step */
status jv_call(struct jrender *r, struct jvalue *out, struct jvalue callee, const struct jcall *call);
status jv_call_macro(struct jrender *r, struct jvalue *out, const struct jmacro *macro, const struct jcall *call);
status jv_binary(struct jrender *r, struct jvalue *out, enum jtok op, struct jvalue a, struct jvalue b);
/* Puts a call's arguments in the order of names (comma-separated); JV_ABSENT for those not given. Error: too many, unknown, twice. */
status jc_bind(struct jrender *r, struct jvalue *out, const struct jcall *call, const char *function, const char *names);
status jc_int(struct jrender *r, int64_t *out, struct jvalue v, const char *what);
status jc_string(struct jrender *r, const struct jstr **out, struct jvalue v, const char *what);
status jv_percent(struct jrender *r, struct jvalue *out, const struct jstr *format, const struct jcall *call);

/* ---- the tables ---- */
struct jfilter {
    const char *name, *parameters; /* behind the subject, comma-separated; NULL: the filter reads the call itself */
    status (*run)(struct jrender *r, struct jvalue *out, struct jvalue subject, const struct jvalue *args, const struct jcall *call);
};
struct jtest {
    const char *name, *parameters;
    status (*run)(struct jrender *r, bool *out, struct jvalue subject, const struct jvalue *args);
};
#define JINJA_PARAMETERS_MAX 8
const struct jfilter *jinja_filter_find(const char *name);
bool jinja_filter_left_out(const char *name); /* one of jinja2's that is not here */
const struct jtest *jinja_test_find(const char *name);
status jinja_filter_run(struct jrender *r, struct jvalue *out, const struct jfilter *f, struct jvalue subject, const struct jcall *call);
status jinja_test_run(struct jrender *r, bool *out, const struct jtest *t, struct jvalue subject, const struct jcall *call);
/* A bound method of a string, dict, loop ...; JV_ABSENT when the type has none of that name. */
status jv_method(struct jrender *r, struct jvalue *out, struct jvalue self, const char *name);
status jv_call_method(struct jrender *r, struct jvalue *out, const struct jmethod *m, const struct jcall *call);
status jv_call_function(struct jrender *r, struct jvalue *out, const struct jfunction *f, const struct jcall *call);
status jv_globals(struct jrender *r); /* range, dict, namespace ... into r->globals */
status jf_set(struct jrender *r, struct jframe *frame, const char *name, struct jvalue value);

#endif
