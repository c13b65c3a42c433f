/* source_fields: the known fields of one row, found in one pass, and the readers that the forms share. Private to data/source*.c. */
#ifndef RAPT_DATA_SOURCE_FIELDS_H
#define RAPT_DATA_SOURCE_FIELDS_H

#include "data/source.h"

/* name in C, name in the row, and the rows in which a writer replaces or drops it (in others it rides along untouched): ALL, those that
 * are pairs (PAIR), hold K responses (MANY), or one completion (SFT), or either of these (ANSWER), any of the three (ROWS), or NONE.
 * Aliases go with a pair: after a swap they would be wrong; other names of the prompt too: beside a prompt with a goal they would be
 * another one. */
#define FIELD_MAP(X)                                                \
    X(prompt, "prompt", ALL)                                        \
    X(chosen, "chosen", ALL)                                        \
    X(rejected, "rejected", ALL)                                    \
    X(completion, "completion", SFT)                                \
    X(messages, "messages", ALL)                                    \
    X(instruction, "instruction", ROWS)                             \
    X(completions, "completions", MANY)                             \
    X(responses, "responses", MANY)                                 \
    X(rewards, "rewards", MANY)                                     \
    X(scores, "scores", MANY)                                       \
    X(all_generated_responses, "all_generated_responses", MANY)     \
    X(all_rm_scores, "all_rm_scores", MANY)                         \
    X(chosen_response, "chosen_response", PAIR)                     \
    X(rejected_response, "rejected_response", PAIR)                 \
    X(conversations, "conversations", PAIR)                         \
    X(response, "response", MANY)                                   \
    X(helpfulness, "helpfulness", MANY)                             \
    X(correctness, "correctness", MANY)                             \
    X(coherence, "coherence", MANY)                                 \
    X(complexity, "complexity", MANY)                               \
    X(verbosity, "verbosity", MANY)                                 \
    X(answers, "answers", MANY)                                     \
    X(response_1, "response_1", PAIR)                               \
    X(response_2, "response_2", PAIR)                               \
    X(preference_strength, "preference_strength", PAIR)             \
    X(fine_grain_score_chosen, "fine_grain_score_chosen", PAIR)     \
    X(fine_grain_score_rejected, "fine_grain_score_rejected", PAIR) \
    X(chosen_rating_, "chosen_rating", PAIR)                        \
    X(rejected_rating_, "rejected_rating", PAIR)                    \
    X(chosen_model, "chosen_model", PAIR)                           \
    X(rejected_model, "rejected_model", PAIR)                       \
    X(chosen_model_, "chosen-model", PAIR)                          \
    X(rejected_model_, "rejected-model", PAIR)                      \
    X(question, "question", ROWS)                                   \
    X(input, "input", NONE)                                         \
    X(system, "system", NONE)                                       \
    X(history, "history", NONE)                                     \
    X(context, "context", NONE)                                     \
    X(output, "output", SFT)                                        \
    X(text, "text", ANSWER)                                         \
    X(sample, "sample", MANY)                                       \
    X(labels, "labels", NONE)                                       \
    X(image, "image", NONE)                                         \
    X(images, "images", NONE)                                       \
    X(context_messages, "context_messages", NONE)                   \
    X(label, "label", NONE)                                         \
    X(kto_tag, "kto_tag", NONE)                                     \
    X(score, "score", ANSWER)                                       \
    X(score_chosen, "score_chosen", ALL)                            \
    X(score_rejected, "score_rejected", ALL)                        \
    X(chosen_score, "chosen_score", PAIR)                           \
    X(rejected_score, "rejected_score", PAIR)                       \
    X(chosen_rating, "chosen-rating", PAIR)                         \
    X(rejected_rating, "rejected-rating", PAIR)                     \
    X(chosen_avg_rating, "chosen_avg_rating", PAIR)                 \
    X(rejected_avg_rating, "rejected_avg_rating", PAIR)             \
    X(overall_score_chosen, "overall_score_chosen", PAIR)           \
    X(overall_score_rejected, "overall_score_rejected", PAIR)       \
    X(avg_fine_score_chosen, "avg_fine_score_chosen", PAIR)         \
    X(avg_fine_score_rejected, "avg_fine_score_rejected", PAIR)     \
    X(metadata, "metadata", NONE)                                   \
    X(margin, "margin", PAIR)                                       \
    X(goal, "goal", ALL)                                            \
    X(goal_of, "goal_of", ALL)                                      \
    X(source_row, "source_row", ALL)                                \
    X(prompt_ids, "prompt_ids", ALL)                                \
    X(chosen_ids, "chosen_ids", ALL)                                \
    X(rejected_ids, "rejected_ids", ALL)                            \
    X(tools, "tools", NONE)                                         \
    X(chat_template_kwargs, "chat_template_kwargs", NONE)

/* Spans of the row's known fields; JSON_NONE when absent or null. The first of equal keys counts. */
struct fields {
#define FIELD_MEMBER(name, text, consumed) struct json name;
    FIELD_MAP(FIELD_MEMBER)
#undef FIELD_MEMBER
    const struct source_map *map; /* the columns to look in; NULL: the fields' own names */
};

void fields_find(struct fields *f, struct json row, const struct source_map *map);
/* Did the user name the column of this field (--field)? */
bool field_is_mapped(const struct fields *f, const char *name);

/* Is this a list whose first item is an object with `role` (TRL's rule for "conversational")? */
bool field_is_messages(struct json value);
bool field_is_string(struct json value);
/* A message list is checked: every item an object with a string `role`; content a string, list, null or absent. `path` is for errors. */
status field_check_messages(struct json messages, const char *path);
/* Appends `[{"role":ROLE,"content":STRING}]` with the string span copied as it is. */
void field_put_message(struct buf *out, const char *role, struct json string);
/* A decoded string or a copied message array into `out`. Errors unless the value is what `conversational` asks for. */
status field_put_text(struct buf *out, struct json value, bool conversational, const char *path);
/* A prompt that holds a whole conversation as text. The mark before each turn tells whose it is. */
struct turn_marks {
    const char *user, *assistant;
    bool leading; /* the text begins with the user's mark, and one space after a mark belongs to it; else it begins with the user's words */
};
extern const struct turn_marks turns_hh;        /* "\n\nHuman: .. \n\nAssistant: " (HH-RLHF, Nectar) */
extern const struct turn_marks turns_helpsteer; /* "..\n<extra_id_1>Assistant\n..\n<extra_id_1>User\n.." (HelpSteer, HelpSteer2) */
/* The row's prompt from such a string, as messages (r->conversational); the text as it is where the leading mark is missing. A last, empty
 * turn of the assistant is where the response goes and no message. */
status field_put_turns(struct record *r, struct json value, const struct turn_marks *marks, const char *path);
/* A completion as the row's prompt wants it: messages, or a string as one assistant message; or the text. */
status field_put_answer(struct buf *out, const struct record *r, struct json value, const char *path);
/* A prompt made of instruction and input (joined by a line break), question, input alone, or `prompt`; where the row has `system` or
 * `history` ([[question, answer], ..]), messages. */
status field_put_instruction(struct record *r, const struct fields *f);
/* `label` or `kto_tag` into r->label. */
status field_read_label(struct record *r, const struct fields *f);
/* score_chosen and score_rejected under any of their names, at the top level or under `metadata`, with the means of the aspects. Two names
 * with different scores are an error. */
status field_read_scores(struct record *r, const struct fields *f);
/* For errors: the beginning of a value, and its size. */
static inline int field_shown(struct json value) { return value.size < 40 ? (int)value.size : 40; }
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
bool source_helpsteer_sniff(const struct fields *f);
status source_helpsteer_read(struct record *r, const struct fields *f);
bool source_samples_sniff(const struct fields *f);
status source_samples_read(struct record *r, const struct fields *f);
bool source_nectar_sniff(const struct fields *f);
status source_nectar_read(struct record *r, const struct fields *f);
bool source_preference_sniff(const struct fields *f);
status source_preference_read(struct record *r, const struct fields *f);
bool source_alpaca_sniff(const struct fields *f);
status source_alpaca_read(struct record *r, const struct fields *f);
bool source_conversation_sniff(const struct fields *f);
status source_conversation_read(struct record *r, const struct fields *f);
bool source_instruction_sniff(const struct fields *f);
status source_instruction_read(struct record *r, const struct fields *f);
bool source_steps_sniff(const struct fields *f);
status source_steps_read(struct record *r, const struct fields *f);
bool source_text_sniff(const struct fields *f);
status source_text_read(struct record *r, const struct fields *f);
bool source_messages_sniff(const struct fields *f);
status source_messages_read(struct record *r, const struct fields *f);
bool source_completion_sniff(const struct fields *f);
status source_completion_read(struct record *r, const struct fields *f);
bool source_prompt_sniff(const struct fields *f);
status source_prompt_read(struct record *r, const struct fields *f);

#endif
