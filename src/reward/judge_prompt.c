#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "reward/judge.h"
#include "text/places.h"

static const char rating_text[] =
    "Please act as an impartial judge. Below are an instruction and a response to it. Rate the response: does it do what the instruction "
    "asks, is "
    "what it says true, is it honest about what it does not know, and is it of use to who asked? Its length by itself is no merit.\n\n"
    "[Instruction]\n{prompt}\n[End of instruction]\n\n[Response]\n{response}\n[End of response]\n\n"
    "Answer with one whole number from {a} (worst) to {b} (best) and nothing else.";
static const char pairwise_text[] =
    "Please act as an impartial judge. Below are an instruction and two responses to it. Which response is better: which does what the "
    "instruction "
    "asks, is true, is honest about what it does not know, and is of use to who asked? Neither the order in which they stand nor their "
    "length by "
    "itself is a merit.\n\n"
    "[Instruction]\n{prompt}\n[End of instruction]\n\n[Response A]\n{response_a}\n[End of response A]\n\n"
    "[Response B]\n{response_b}\n[End of response B]\n\n"
    "Answer with one letter and nothing else: A if response A is better, B if response B is better, C if they are equally good.";

static status need(const struct judge_prompt *p, const char *place, const char *file) {
    return strstr(p->text, place) ? ST_OK : FAIL(ST_FORMAT, "%s: a judge's prompt needs the place %s", file, place);
}

status judge_prompt_open(struct judge_prompt *p, const char *file, const struct judge_scale *scale) {
    struct buf text = {0};
    p->text = NULL;
    if (!file) {
        p->text = mem_text(scale->pairwise ? pairwise_text : rating_text);
        return ST_OK;
    }
    TRY(file_read(&text, file));
    struct buf quoted = {0};
    struct json parsed;
    json_put_string(&quoted, buf_text(&text), text.size);
    status s =
        memchr(buf_text(&text), '\0', text.size) ? FAIL(ST_FORMAT, "a zero byte") : json_parse(&parsed, buf_text(&quoted), quoted.size);
    if (s != ST_OK) s = status_note(s, "%s: a judge's prompt is text in UTF-8: ", file);
    buf_release(&quoted);
    if (s == ST_OK) p->text = mem_text_n(buf_text(&text), text.size && text.data[text.size - 1] == '\n' ? text.size - 1 : text.size);
    buf_release(&text);
    if (s == ST_OK) s = need(p, "{prompt}", file);
    if (s == ST_OK) s = need(p, scale->pairwise ? "{response_a}" : "{response}", file);
    if (s == ST_OK && scale->pairwise) s = need(p, "{response_b}", file);
    return s;
}

void judge_prompt_release(struct judge_prompt *p) {
    free(p->text);
    p->text = NULL;
}

void judge_prompt_put(struct buf *out, const struct judge_prompt *p, const struct judge_scale *scale, const struct buf *prompt,
                      const struct buf *first, const struct buf *second) {
    char low[16], high[16];
    const struct place places[] = {{"{prompt}", buf_text(prompt), prompt->size},
                                   {"{a}", low, (size_t)snprintf(low, sizeof low, "%d", scale->low)},
                                   {"{b}", high, (size_t)snprintf(high, sizeof high, "%d", scale->high)},
                                   {scale->pairwise ? "{response_a}" : "{response}", buf_text(first), first->size},
                                   {"{response_b}", second ? buf_text(second) : NULL, second ? second->size : 0}};
    places_put(out, p->text, places, sizeof places / sizeof places[0]);
}

status judge_prompt_of_row(struct buf *out, const struct record *row) {
    buf_clear(out);
    if (row->prompt_ids.size) return FAIL(ST_FORMAT, "the row holds token ids, and a judge reads texts");
    if (!row->conversational) {
        if (!row->prompt.size) return FAIL(ST_FORMAT, "field prompt: the row has none, and the judge is asked about responses to one");
        buf_append(out, buf_text(&row->prompt), row->prompt.size);
        return ST_OK;
    }
    const struct json messages = {buf_text(&row->prompt), row->prompt.size};
    struct json_iter it = json_iter_begin(messages);
    struct json key, message;
    const size_t count = json_count(messages);
    if (!count) return FAIL(ST_FORMAT, "field prompt: no messages, and the judge is asked about responses to them");
    while (json_iter_next(&it, &key, &message)) {
        if (out->size) buf_append_text(out, "\n\n");
        if (count > 1 || !json_equals(json_get(message, "role"), "user")) {
            json_string(out, json_get(message, "role"));
            buf_append_text(out, ": ");
        }
        reward_put_content(out, json_get(message, "content"));
    }
    return ST_OK;
}
