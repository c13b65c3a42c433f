/* record: one row of preference data in the one form that the rest of the program works on, whatever schema it came in.
 *
 * Spans (`struct json`) are views of the row's line and die with the next source_next(); bufs are owned by the record and keep their
 * memory from row to row. Texts are either plain (decoded strings) or, when `conversational`, the JSON text of a messages array
 * [{"role", "content", ...}, ...], copied byte for byte where the row had one. */
#ifndef RAPT_DATA_RECORD_H
#define RAPT_DATA_RECORD_H

#include <math.h>

#include "base/buf.h"
#include "format/json.h"

enum record_kind { RECORD_PAIR, RECORD_RESPONSES, RECORD_SFT, RECORD_PROMPT };
const char *record_kind_name(enum record_kind kind); /* "pair", "responses", ... */

struct source_map;

/* Is the completion of a row wanted (TRL's KTO rows)? */
enum record_label { LABEL_NONE = -1, LABEL_UNDESIRED, LABEL_DESIRED };

/* Which response of the source pair a goal was taken from. */
enum goal_of { GOAL_OF_NONE, GOAL_OF_CHOSEN, GOAL_OF_REJECTED };

struct response {
    struct buf text;    /* decoded string; conversational: JSON messages array of the completion */
    double score;       /* NaN absent */
    double fine_mean;   /* mean of the aspect ratings; NaN absent */
    bool has_na;        /* some aspect was rated "N/A" */
    bool own_row;       /* source is a row of its own: what it has beside the prompt is this response's */
    bool from_rank;     /* the score was made of a rank: the row itself has none */
    struct json source; /* the response's own value inside the row; of a grouped form its row */
};

struct record {
    enum record_kind kind;
    const char *form;    /* the name of the schema row that read it */
    struct json row;     /* view of the whole line */
    uint64_t line;       /* 1-based */
    uint64_t index;      /* 0-based among the rows of the file, blank lines not counted */
    bool conversational; /* texts are JSON messages arrays */
    bool one_list;       /* they came as one list, which has no completion of its own (TRL's language modelling rows) */
    struct buf prompt;   /* without the completion; empty array or string only where the row says so */
    struct buf chosen;   /* completion alone; of a RECORD_SFT row the completion */
    struct buf rejected;
    double score_chosen, score_rejected;              /* NaN absent; of a RECORD_SFT row `score` is score_chosen */
    double fine_chosen, fine_rejected;                /* means of the aspect ratings; NaN absent */
    double goal;                                      /* NaN absent, or of several attributes */
    struct json goals;                                /* {NAME: number}, of several attributes; JSON_NONE absent */
    double margin;                                    /* of the rewards (TRL); NaN absent */
    int goal_of;                                      /* enum goal_of */
    int label;                                        /* enum record_label, of a RECORD_SFT row */
    int64_t source_row;                               /* -1 absent */
    struct json prompt_ids, chosen_ids, rejected_ids; /* arrays of token ids; JSON_NONE if absent */
    struct json tools, chat_template_kwargs;          /* JSON_NONE if absent or null; tools may lie in tools_text */
    struct buf tools_text;
    const struct source_map *map; /* of the source (data/source.h); NULL: none */
    struct response *responses;   /* [response_count] of a RECORD_RESPONSES row */
    size_t response_count, response_capacity;
};

/* Does the row's prompt ask for a goal, be it one score or several attributes? */
static inline bool record_has_goal(const struct record *r) { return !isnan(r->goal) || r->goals.size; }

/* A zeroed record is a valid empty one. record_clear forgets a row and keeps the memory and the map; record_release frees it. */
void record_clear(struct record *r);
void record_release(struct record *r);
/* A fresh cleared response at the end of r->responses; a view until the next call. */
struct response *record_add_response(struct record *r);

/* Is there nothing to read in this completion: blank, or (conversational) a last message without content and tool calls? */
bool record_text_empty(const struct buf *text, bool conversational);
/* Same completion: equal bytes, or (conversational) equal JSON values. */
bool record_text_equal(const struct buf *a, const struct buf *b, bool conversational);
/* Equal JSON values: numbers by value, strings decoded, members in any order. */
bool record_json_same(struct json a, struct json b);
/* A key for the prompt that does not depend on how the row wrote it: roles and decoded contents for messages, the text else; one user
 * message and the same text as a string have the same key. Of a text in Anthropic's form what stands behind the last "Assistant:" does not
 * count: where chosen and rejected are whole dialogues (hh-rlhf), that is the beginning that the two answers happen to share. */
uint64_t record_prompt_key(const struct buf *prompt, bool conversational);

#endif
