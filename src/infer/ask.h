/* ask: what everything that asks a model for text shares: how its goals were trained, how it is opened, and its answer as text. */
#ifndef RAPT_INFER_ASK_H
#define RAPT_INFER_ASK_H

#include "data/encode.h"
#include "infer/decode.h"
#include "text/goal.h"

/* How goals are asked for. */
struct goal_asker {
    struct goal_style style; /* placement resolved */
    bool trained;            /* came with the adapter or the model */
    bool baked;              /* the chat template asks for a goal by itself */
    struct buf text;         /* as JSON */
    struct json root;
};
/* Reads style_file, else what came with the adapter, else with the model, else the default. e decides the placement where the style leaves
 * it open. */
status goal_asker_open(struct goal_asker *g, const char *model, const char *adapter, const char *style_file, const struct encoder *e);
void goal_asker_release(struct goal_asker *g);
/* A goal as goal_parse takes it; "best" where goal.json has one. */
status goal_asker_parse(struct goal *goal, const struct goal_asker *g, const char *text);
/* Goals as goal_parse_list takes them. */
status goal_asker_parse_list(struct goal_list *goals, const struct goal_asker *g, const char *text);
/* Tells on stderr how often the goal was trained, or what is not known about that. */
void goal_asker_note(const struct goal_asker *g, const struct goal *goal);

#define INFER_DTYPE_CHOICES "auto|f32|bf16|int8|reference"
#define INFER_DTYPE_HELP                                                                                                                 \
    "arithmetic of matrix products: int8 takes the quantised weights of a .gguf as they are, with inputs rounded to int8, as llama.cpp " \
    "does; "                                                                                                                             \
    "auto: that where the file has such weights and the CPU AVX-512 VNNI, else as for train"
/* Opens a model for generation, as --dtype says. int8 is refused where the file has no weights for it. */
status infer_model_open(struct model *m, const char *path, const char *dtype);
/* Opens the sequences' memory for wanted->length tokens each, cut to what the model takes. Refuses what does not fit this machine. */
status decoder_open(struct decoder *d, struct model *m, const float *theta, const struct decode_options *wanted);
/* Appends a prompt, messages (JSON) or text, with the goal written in, or as it is without one. ST_FORMAT where a text has no place for it.
 */
status ask_put_goal(struct buf *out, const struct goal_style *style, struct json prompt, bool messages, const struct goal *goal);
/* The response as text: the token that ended it left out, valid UTF-8. */
void response_text(struct buf *out, const struct tokenizer *t, const struct decode_state *s);
/* Puts a system turn in front of the messages (JSON) where they have none of their own. */
void ask_put_system(struct buf *messages, const char *system);

#endif
