/* encode: a record -> token ids, as TRL 1.16 makes them (trl/trainer/dpo_trainer.py, tokenize_fn and _prepare_dataset). */
#ifndef RAPT_DATA_ENCODE_H
#define RAPT_DATA_ENCODE_H

#include "data/fit.h"
#include "data/record.h"
#include "text/chat.h"
#include "text/tokenizer.h"

struct encoder {
    struct tokenizer *tokenizer; /* NULL: rows must carry ids */
    struct chat_template *chat;  /* NULL: no conversational rows */
    char *why_no_chat;           /* the template's error, told when it would have been needed */
    bool whole;                  /* prompt stays empty, chosen and rejected hold all tokens of their conversation */
    bool one_text;               /* SFT: a row that is one list of messages has no prompt apart from its last answer */
    bool assistants;             /* SFT: marks what the assistant wrote, in every turn (TRL's assistant_only_loss) */
    enum fit_compat compat;      /* how pairs are cut into prompt and responses; FIT_TRL_1 is the default */
    /* scratch */
    struct buf text, messages;
    struct ids joined;
    struct buf spans; /* struct text_span, of the last rendering */
};
/* Opens the tokenizer of a model, and its chat template when it has one. */
status encoder_open(struct encoder *e, const char *model_path);
void encoder_release(struct encoder *e);
/* Where chat_template_kwargs may have been kept: goal.json or manifest.json of these folders (or a GGUF's goal), then a file like
 * goal.json. */
struct kwargs_places {
    const char *adapter, *model, *file; /* each may be NULL */
};
/* Variables of all renderings: `given` (a JSON object; names that the template does not have are refused), else the first that are found.
 */
status encoder_set_kwargs(struct encoder *e, const char *given, const struct kwargs_places *from);
/* 32 hex digits that identify them; "" without any. */
void encoder_kwargs_hash(char out[33], const struct encoder *e);
/* Puts them into the goal.json at `path`, where there is one. kwargs: an object, or nothing. */
status kwargs_put(const char *path, struct json kwargs);
/* What stands for padding where reward models pass over it (TRL's RewardTrainer): the padding token, else the end-of-text token.
 * ST_UNSUPPORTED without a tokenizer; `model` names it in the message. */
status encoder_padding(int64_t *pad, const struct encoder *e, const char *model);
/* Writes the tokenizer beside weights that are saved into `folder`, as Hugging Face files. Nothing without a tokenizer. */
status encoder_save(const struct encoder *e, const char *folder);

struct encoded {
    struct ids prompt, chosen, rejected; /* rejected stays empty for RECORD_SFT */
    struct ids rejected_prompt;          /* of FIT_PAPER: before rejected the prompt's last token may be another; else empty */
    struct buf marks;     /* of an SFT row under encoder.assistants: a byte for each token of prompt and chosen; else empty */
    size_t common;        /* of the last encode_completion: so many of the prompt's tokens stand before the completion */
    bool prefix_mismatch; /* some completion diverges from the prompt's ids before their end */
};
void encoded_release(struct encoded *x);
/* Is the row one list of messages that is encoded as one text? It may then also end with another turn than the assistant's. */
bool encode_is_one_text(const struct encoder *e, const struct record *r);
/* Encodes a pair, or an SFT row (its completion in chosen). Completions begin where the ids of prompt and prompt + completion diverge, in a
 * pair where the first of the two does; what the prompt has behind that is left out (TRL 1.16, common_prefix_length). Errors name the
 * field. */
status encode_record(struct encoded *out, struct encoder *e, const struct record *r);
/* Encodes one completion of a row whose prompt is in x, behind what is in out: what follows the first x->common tokens of the prompt. */
status encode_completion(struct ids *out, struct encoded *x, struct encoder *e, const struct record *r, const struct buf *completion);
/* Appends the ids of a JSON array; ST_FORMAT names the field where it is none, or has others than the tokenizer's. */
status encode_json_ids(struct ids *out, const struct encoder *e, struct json array, const char *field);
/* Encodes only the prompt (with the generation prompt). */
status encode_prompt(struct ids *out, struct encoder *e, const struct record *r);

#endif
