/* pretoken: cutting text into the pieces that BPE works on. Every pattern goes through PCRE2, so a new pre-tokenizer is a row, not code;
 * split_fast speeds up the commonest. */
#ifndef RAPT_TEXT_PRETOKEN_H
#define RAPT_TEXT_PRETOKEN_H

#include "text/normalizer.h"

enum split_behavior { SPLIT_ISOLATED, SPLIT_REMOVED, SPLIT_MERGED_PREVIOUS, SPLIT_MERGED_NEXT, SPLIT_CONTIGUOUS };

#define PRETOKEN_STEPS_MAX 8
/* Metaspace's prepend_scheme: before no piece, before the piece at the text's beginning, before every piece. */
enum pretoken_prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

/* One cut after the other; each sees the pieces of the one before. */
struct pretoken_step {
    struct pattern pattern; /* code NULL: no cut */
    enum split_behavior behavior;
    bool invert;       /* the pattern matches what lies between the separators */
    bool prefix_space; /* ByteLevel's add_prefix_space, before the cut */
    char mark[5];      /* Metaspace: the character that stands for a space; then no pattern */
    enum pretoken_prepend prepend;
    bool at_marks; /* Metaspace's split */
};
struct pretoken {
    struct pretoken_step steps[PRETOKEN_STEPS_MAX];
    size_t count;
    bool byte_level; /* a ByteLevel step was there: the vocabulary is of bytes */
};
void pretoken_release(struct pretoken *p);

#define PRETOKEN_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

#define PRETOKEN_CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define PRETOKEN_BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* Llama 3 and what follows it: words with the character before them, runs of digits, marks with the line ends behind them. */
#define PRETOKEN_LLAMA3(digits) \
    PRETOKEN_CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" PRETOKEN_BLANKS

/* What comes with a GGUF name besides its cuts. */
enum {
    PRE_IGNORE_MERGES = 1, /* a piece that is a token is taken whole */
    PRE_ADD_BOS = 2,       /* unless the file says otherwise */
    PRE_ADD_SEP = 4,
    PRE_CHARS = 8,        /* merges are over characters, unknown ones become <0xNN> */
    PRE_ESCAPE = 16,      /* spaces become U+2581 first */
    PRE_LINES_WHOLE = 32, /* a piece of line ends that is a token is taken whole */
};
/* What GGUF files name in tokenizer.ggml.pre. */
struct pretoken_row {
    const char *names;       /* comma-separated */
    const char *patterns[6]; /* cuts, in order */
    enum normal_form form;
    unsigned flags; /* PRE_* */
};
extern const struct pretoken_row pretoken_table[];
extern const size_t pretoken_count;

/* Compiles the steps of a GGUF name. ST_UNSUPPORTED lists the known names. */
status pretoken_from_name(struct pretoken *p, const struct pretoken_row **row, const char *name, size_t size);
/* The row for vocabularies of bytes that cuts a probing text as p does, with this rule for merges; NULL where there is none. One whose
 * normal form is what n does is preferred; *same_form: there was one. */
status pretoken_find_row(const struct pretoken_row **row, bool *same_form, const struct pretoken *p, const struct normalizer *n,
                         bool ignore_merges);
/* Does p leave texts that went through n in one piece? Seen on the same text. */
status pretoken_is_whole(bool *whole, const struct pretoken *p, const struct normalizer *n);
/* Compiles the `pre_tokenizer` member of a tokenizer.json (null: one piece). */
status pretoken_from_json(struct pretoken *p, struct json value);
/* Appends a tokenizer.json `pre_tokenizer` of the same effect. */
void pretoken_put_json(const struct pretoken *p, struct buf *out);

/* The pieces of valid UTF-8 text, in order; at_start: it is the beginning of the whole text. `visit` may fail; its status comes back.
 * Thread-safe. */
typedef status pretoken_visit(void *context, const char *piece, size_t size);
status pretoken_split(const struct pretoken *p, const char *text, size_t size, bool at_start, pretoken_visit *visit, void *context);

#endif
