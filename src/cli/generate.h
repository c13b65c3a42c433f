/* generate: what rapt generate does whoever writes the responses, a model in this process (cmd_generate.c) or one behind an endpoint
 * (generate_remote.c): prompts one after another, each under every goal, --n samples at every temperature, responses in their order into
 * the output. */
#ifndef RAPT_CLI_GENERATE_H
#define RAPT_CLI_GENERATE_H

#include "base/log.h"
#include "cli/cli_endpoint.h"
#include "cli/cli_infer.h"
#include "data/source.h"
#include "text/markdown.h"

struct generate_options {
    const char *model, *adapter, *prompt, *input, *output, *style, *system, *dtype, *bad_row, *kwargs, *form, *id, *lengths, *goal_as,
        *bad_answer;
    struct opt_list goals, fields, temperatures;
    struct sampling_flags sampling; /* but for the temperature */
    int64_t n, limit, max_new, max_length, batch, threads, answer_tries;
    bool raw, json, token_ids;
    struct endpoint_flags endpoint;
    struct sampler_options heats[OPT_LIST_MAX]; /* [heat_count] one a temperature, of generate_check */
    size_t heat_count;
};
/* To one prompt under one goal. */
static inline uint64_t generate_samples(const struct generate_options *o) { return (uint64_t)o->n * o->heat_count; }

/* A response that is wanted, from its prompt to its place in the output. */
struct generate_item {
    struct remote_question remote; /* first; of an endpoint */
    struct generate_item *later;   /* the one asked for next */
    struct buf prompt;             /* the prompt without goal: messages, or a JSON string */
    struct buf asked, more; /* of an endpoint: messages with the goal, where it stands in them; the row's further members of the request */
    struct goal goal;
    const char *goal_text; /* as an endpoint is told it in the body or the name; a view, or NULL */
    struct buf row_goal;   /* JSON: one that the row's prompt has already, or that an endpoint says it took */
    uint64_t row,
        sample; /* sample: 0 .. generate_samples - 1, those of the first temperature first; with the seed it makes the random numbers */
    const struct sampler_options *sampling; /* of o->heats */
    char *id, *dataset;                     /* of the row, for forms that have them; or NULL */
    struct buf text;
    struct buf ids;      /* JSON, with --token-ids: those of the response, the one that ended it included */
    uint64_t tokens;     /* of the response; 0: an endpoint that does not count */
    const char *finish;  /* "stop", "length"; NULL: not known */
    bool done, given_up; /* given_up: there is no response, and nothing is written */
};

struct generate_job;
/* A form of the output: a row of generate_forms. */
struct generate_form {
    const char *name, *help;
    bool one_each;     /* a row has one response: no --n, one goal at most; and needs --model-id */
    const char *id[2]; /* the row's field that is its identity, or the second; NULL: none */
    bool array;        /* one JSON array; else an object a line */
    bool lengths;      /* takes --length-tokenizer */
    bool token_ids;    /* takes --token-ids */
    status (*put)(struct buf *out, struct generate_job *j, const struct generate_item *it);
};
extern const struct generate_form generate_forms[];
extern const size_t generate_form_count;
const struct generate_form *generate_form_find(const char *name); /* NULL: no such row */

struct generate_job {
    const struct generate_options *o;
    const struct generate_form *form;
    const struct goal_style *style;   /* how scores are printed, and where goals stand in prompts */
    struct goal_list goals;           /* at least one; it is none where no goal is asked */
    struct endpoint_texts goal_texts; /* [goals.count] of goals that a server reads, or none */
    bool chat;                        /* string prompts become messages */
    const char *why_no_chat;
    /* Makes the record's prompt ready under a goal. */
    status (*make)(struct generate_job *j, const struct goal *goal);
    /* prompts */
    struct source source;
    struct source_map map;
    bool from_file, ended;
    struct record record;
    struct buf prompt_text, bare, asked; /* --prompt; messages or text without and with the goal */
    size_t goal_at;
    uint64_t sample_at, row, prompts; /* prompts: of the input, taken so far */
    bool ready;                       /* what make made is that of goal_at */
    /* responses in the order they were asked for: written as soon as all before them are */
    struct generate_item *first, **last;
    struct file_out out;
    bool plain;
    struct progress bar;
    uint64_t responses, written;
    double seconds;            /* now, for time stamps */
    struct tokenizer *lengths; /* that counts tokens for metadata; NULL: none */
    struct markdown markdown;  /* with it */
};

/* Options that both share, and o->heats; r and spec for what has no effect. */
status generate_check(struct generate_options *o, const struct opt_result *r, const struct opt_spec *spec);
/* Opens input and output. */
status generate_open(struct generate_job *j);
/* The next response that is wanted, in the queue already; NULL at the end. */
status generate_next(struct generate_item **it, struct generate_job *j);
/* Appends to `asked` (cleared) the record's prompt with the goal written in, or without one. */
status generate_put_goal(struct generate_job *j, const struct goal *goal);
/* Appends the goal that a response was asked for, else the one that its row's prompt has already, as JSON; null without one. */
void generate_put_asked(struct buf *out, const struct generate_job *j, const struct generate_item *it);
/* Writes what is done at the head of the queue. */
status generate_write_done(struct generate_job *j);
/* After the last response. */
status generate_commit(struct generate_job *j);
void generate_release(struct generate_job *j);

/* The whole command with an endpoint. */
status generate_remote(const struct generate_options *o, const struct opt_result *r, const struct opt_spec *spec);

#endif
