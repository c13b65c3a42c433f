/* opt: one table of rows per command is the whole truth about its options: parsing, --help, docs/ and refusal of unknown ones. */
#ifndef RAPT_BASE_OPT_H
#define RAPT_BASE_OPT_H

#include "base/buf.h"

enum opt_kind {
    OPT_FLAG,   /* bool:          --name, --no-name */
    OPT_INT,    /* int64_t */
    OPT_DOUBLE, /* double */
    OPT_STR,    /* const char *   view of argv */
    OPT_CHOICE, /* const char *   one of `choices` */
    OPT_LIST,   /* struct opt_list  may be given several times, each value may hold several separated by commas */
    OPT_TEXTS,  /* struct opt_list  may be given several times, each value is kept whole */
    OPT_HEADING /* no option: a heading in --help */
};

#define OPT_LIST_MAX 64
struct opt_list {
    const char *items[OPT_LIST_MAX]; /* views; items that came from one comma-separated value point into memory that lives on */
    size_t count;
};

static inline bool opt_is_list(enum opt_kind kind) { return kind == OPT_LIST || kind == OPT_TEXTS; }

struct opt_row {
    const char *name; /* without the dashes; for OPT_HEADING the heading */
    enum opt_kind kind;
    size_t offset;       /* offsetof the field in the options struct */
    const char *arg;     /* "FILE", "N"; NULL for flags */
    const char *preset;  /* default as text, parsed like an argument; NULL = zero / NULL / false */
    const char *choices; /* "a|b|c" for OPT_CHOICE */
    const char *help;    /* one or two plain sentences */
};

struct opt_spec {
    const char *command;    /* "augment" */
    const char *summary;    /* one line */
    const char *positional; /* "PATH..." or NULL when none is taken */
    const struct opt_row *rows;
    size_t row_count;
    void (*put_names)(struct buf *out, const char *option); /* appends what a table lists for this option to its help; or NULL */
    void (*put_values)(struct buf *out,
                       const char *option); /* the same as words "a|b|c" that a shell completes; "" is the positional; or NULL */
    const char *example;                    /* one or more whole command lines, separated by line breaks */
    const char *notes;                      /* further text for --help, or NULL */
};

#define OPT_GIVEN_MAX 96
struct opt_result {
    const char *positional[OPT_LIST_MAX];
    size_t positional_count;
    bool given[OPT_GIVEN_MAX]; /* by row index */
    bool help;                 /* --help was asked for: print opt_help and stop */
};

/* Fills presets, then parses argv[0..argc) (command name not included). ST_USAGE with a message that names the nearest option. */
status opt_parse(struct opt_result *result, const struct opt_spec *spec, void *options, int argc, char **argv);
/* Was the option given on the command line? CHECKs that the row exists. */
bool opt_given(const struct opt_result *result, const struct opt_spec *spec, const char *name);
/* Do all commands take the option of this name for a place that they write to? */
bool opt_is_output(const char *name);
/* The --help text; and the same as a Markdown page for docs/commands. */
void opt_help(struct buf *out, const struct opt_spec *spec);
void opt_markdown(struct buf *out, const struct opt_spec *spec);
/* A row's help with what a table lists behind it, and its default. */
void opt_row_text(struct buf *out, const struct opt_spec *spec, const struct opt_row *row);
/* opt_man.c: the same as a manual page; and its pieces, for pages of other things. kind: "SH" or "SS". italic may be NULL. */
void opt_man(struct buf *out, const struct opt_spec *spec, const char *version);
void opt_man_title(struct buf *out, const char *page, const char *version);
void opt_man_section(struct buf *out, const char *kind, const char *name);
void opt_man_item(struct buf *out, const char *bold, const char *italic);
void opt_man_text(struct buf *out, const char *text);
void opt_man_example(struct buf *out, const char *lines);
/* The resolved options as one JSON object, for manifests: {"beta": 0.1, ...}. Strings that are NULL become null. */
void opt_json(struct buf *out, const struct opt_spec *spec, const void *options);

#endif
