/* source_fields: the known fields of one row, found in one pass, and the readers that the forms share. Private to data/source*.c. */
#ifndef RAPT_DATA_SOURCE_FIELDS_H
#define RAPT_DATA_SOURCE_FIELDS_H

#include "data/source.h"

/* name in C, name in the row, consumed: 1 = a writer replaces or drops it, 0 = it rides along */
#define FIELD_MAP(X)                                                                                                                       \
    X(prompt, "prompt", 1)                                                                                                                 \
    X(chosen, "chosen", 1)                                                                                                                 \
    X(rejected, "rejected", 1)                                                                                                             \
    X(completion, "completion", 1)                                                                                                         \
    X(messages, "messages", 0)                                                                                                             \
    X(instruction, "instruction", 1)                                                                                                       \
    X(completions, "completions", 1)                                                                                                       \
    X(responses, "responses", 1)                                                                                                           \
    X(rewards, "rewards", 1)                                                                                                               \
    X(scores, "scores", 1)                                                                                                                 \
    X(all_generated_responses, "all_generated_responses", 1)                                                                               \
    X(all_rm_scores, "all_rm_scores", 1)                                                                                                   \
    X(chosen_response, "chosen_response", 1)                                                                                               \
    X(rejected_response, "rejected_response", 1)                                                                                           \
    X(conversations, "conversations", 1)                                                                                                   \
    X(score, "score", 1)                                                                                                                   \
    X(score_chosen, "score_chosen", 1)                                                                                                     \
    X(score_rejected, "score_rejected", 1)                                                                                                 \
    X(chosen_score, "chosen_score", 1)                                                                                                     \
    X(rejected_score, "rejected_score", 1)                                                                                                 \
    X(chosen_rating, "chosen-rating", 1)                                                                                                   \
    X(rejected_rating, "rejected-rating", 1)                                                                                               \
    X(chosen_avg_rating, "chosen_avg_rating", 1)                                                                                           \
    X(rejected_avg_rating, "rejected_avg_rating", 1)                                                                                       \
    X(overall_score_chosen, "overall_score_chosen", 1)                                                                                     \
    X(overall_score_rejected, "overall_score_rejected", 1)                                                                                 \
    X(avg_fine_score_chosen, "avg_fine_score_chosen", 1)                                                                                   \
    X(avg_fine_score_rejected, "avg_fine_score_rejected", 1)                                                                               \
    X(metadata, "metadata", 0)                                                                                                             \
    X(goal, "goal", 1)                                                                                                                     \
    X(goal_of, "goal_of", 1)                                                                                                               \
    X(source_row, "source_row", 1)                                                                                                         \
    X(prompt_ids, "prompt_ids", 1)                                                                                                         \
    X(chosen_ids, "chosen_ids", 1)                                                                                                         \
    X(rejected_ids, "rejected_ids", 1)                                                                                                     \
    X(tools, "tools", 0)                                                                                                                   \
    X(chat_template_kwargs, "chat_template_kwargs", 0)

/* Spans of the row's known fields; JSON_NONE when absent or null. The first of equal keys counts. */
struct fields {
#define FIELD_MEMBER(name, text, consumed) struct json name;
    FIELD_MAP(FIELD_MEMBER)
#undef FIELD_MEMBER
};

void fields_find(struct fields *f, struct json row);

/* Is this a list whose first item is an object with `role` (TRL's rule for "conversational")? */
bool field_is_messages(struct json value);
bool field_is_string(struct json value);
/* A message list is checked: every item an object with a string `role`; content a string, list, null or absent. `path` is for errors. */
status field_check_messages(struct json messages, const char *path);
/* Appends `[{"role":ROLE,"content":STRING}]` with the string span copied as it is. */
void field_put_message(struct buf *out, const char *role, struct json string);
/* A decoded string or a copied message array into `out`. Errors unless the value is what `conversational` asks for. */
status field_put_text(struct buf *out, struct json value, bool conversational, const char *path);
/* A number, or a string that holds one ("7.5"); absent, null, "N/A" leave NaN. Anything else is an error naming `path`. */
status field_score(double *out, struct json value, const char *path);
/* Fields that every form may have: goal, goal_of, source_row, ids, tools, chat_template_kwargs. */
status field_read_common(struct record *r, const struct fields *f);
/* Splits two whole conversations or texts at TRL's longest common prefix (data_utils.py extract_prompt) into prompt and completions. */
status field_split_pair(struct record *r, struct json chosen, struct json rejected);

/* The forms, by file. */
bool source_pair_sniff(const struct fields *f);
status source_pair_read(struct record *r, const struct fields *f);
bool source_argilla_sniff(const struct fields *f);
status source_argilla_read(struct record *r, const struct fields *f);
bool source_sharegpt_sniff(const struct fields *f);
status source_sharegpt_read(struct record *r, const struct fields *f);
bool source_ids_sniff(const struct fields *f);
status source_ids_read(struct record *r, const struct fields *f);
bool source_ultrafeedback_sniff(const struct fields *f);
status source_ultrafeedback_read(struct record *r, const struct fields *f);
bool source_responses_sniff(const struct fields *f);
status source_responses_read(struct record *r, const struct fields *f);
bool source_best_of_sniff(const struct fields *f);
status source_best_of_read(struct record *r, const struct fields *f);
bool source_messages_sniff(const struct fields *f);
status source_messages_read(struct record *r, const struct fields *f);
bool source_completion_sniff(const struct fields *f);
status source_completion_read(struct record *r, const struct fields *f);
bool source_prompt_sniff(const struct fields *f);
status source_prompt_read(struct record *r, const struct fields *f);

#endif
