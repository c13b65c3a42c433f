#include "eval/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void harness_shots_release(struct harness_shot *shots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(shots[i].text);
        free(shots[i].target);
    }
    free(shots);
}

size_t harness_lstrip(const char *text, size_t size) {
    size_t at = 0, n;
    while (at < size && (n = utf8_size(text + at, text + size)) && utf8_is_space(utf8_get(text + at, n))) at += n;
    return at;
}

size_t harness_rstrip(const char *text, size_t size) {
    while (size) {
        size_t at = size - 1, n;
        while (at && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
        n = utf8_size(text + at, text + size);
        if (n != size - at || !utf8_is_space(utf8_get(text + at, n))) break;
        size = at;
    }
    return size;
}

/* api/utils.py, maybe_delimit: an empty line between the two unless there are blanks already. */
static void put_system(struct buf *out, const char *system, const char *description) {
    const size_t n = system ? strlen(system) : 0, m = description ? strlen(description) : 0;
    if (n) buf_append(out, system, n);
    if (n && m && harness_rstrip(system, n) == n && harness_lstrip(description, m) == 0) buf_append_text(out, "\n\n");
    if (m) buf_append(out, description, m);
}

static void put_message(struct buf *out, const char *role, const char *text, size_t size) {
    buf_printf(out, "%s{\"role\": \"%s\", \"content\": ", out->size > 1 ? ", " : "", role);
    json_put_string(out, text, size);
    buf_append_char(out, '}');
}

/* Examples and question one behind the other. */
static void put_plain(struct buf *out, const struct harness_shot *shots, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++) {
        buf_append_text(out, shots[i].text);
        buf_append_char(out, ' ');
        buf_append_text(out, shots[i].target);
        buf_append_text(out, "\n\n");
    }
    buf_append_text(out, text);
}

static void put_messages(struct buf *out, const struct harness_prompt *p, const struct buf *system, const struct harness_shot *shots,
                         size_t count, const char *text) {
    struct buf turn = {0};
    buf_append_char(out, '[');
    if (system->size) put_message(out, "system", system->data, system->size);
    for (size_t i = 0; i < count && !p->one_turn; i++) {
        put_message(out, "user", shots[i].text, strlen(shots[i].text));
        put_message(out, "assistant", shots[i].target, strlen(shots[i].target));
    }
    put_plain(&turn, shots, p->one_turn ? count : 0, text);
    put_message(out, "user", buf_text(&turn), turn.size);
    buf_append_char(out, ']');
    buf_release(&turn);
}

static status put_chat(struct buf *out, const struct harness_prompt *p, const struct buf *system, const struct harness_shot *shots,
                       size_t count, const char *text) {
    struct buf messages = {0}, asked = {0};
    put_messages(&messages, p, system, shots, count, text);
    struct json array = {messages.data, messages.size};
    status s = p->style ? goal_put_messages(&asked, p->style, array, &p->goal) : ST_OK;
    if (p->style) array = (struct json){buf_text(&asked), asked.size};
    if (s == ST_OK && !p->encoder)
        buf_append(out, array.text, array.size);
    else if (s == ST_OK)
        s = chat_render(p->encoder->chat, out, array, (struct json){0}, (struct json){0}, true);
    buf_release(&messages);
    buf_release(&asked);
    return s;
}

status harness_context(struct buf *out, const struct harness_prompt *p, const char *description, const struct harness_shot *shots,
                       size_t count, const char *text) {
    struct buf system = {0};
    status s = ST_OK;
    put_system(&system, p->system, description);
    if (p->chat && p->encoder && !p->encoder->chat) {
        s = FAIL(ST_UNSUPPORTED, "%s", p->encoder->why_no_chat);
    } else if (p->chat) {
        s = put_chat(out, p, &system, shots, count, text);
    } else {
        put_plain(&system, shots, count, text);
        if (p->style && p->style->placement == GOAL_SYSTEM)
            s = FAIL(ST_UNSUPPORTED, "the goal stands in the system turn; it needs --apply-chat-template");
        else if (p->style)
            goal_put_prompt(out, p->style, buf_text(&system), system.size, &p->goal);
        else
            buf_append(out, buf_text(&system), system.size);
    }
    buf_release(&system);
    return s;
}

/* The begin-of-text token, else the one that ends texts: what stands before an empty context. */
static int32_t prefix_id(const struct encoder *e) {
    const int32_t bos = tokenizer_bos(e->tokenizer);
    return bos >= 0 ? bos : tokenizer_eos(e->tokenizer);
}

status harness_encode(struct ids *out, const struct encoder *e, const char *text, size_t size) {
    struct buf prefix = {0};
    const int32_t id = prefix_id(e);
    if (id >= 0) tokenizer_decode(e->tokenizer, &prefix, &id, 1, false);
    const bool begun = prefix.size && prefix.size <= size && memcmp(prefix.data, text, prefix.size) == 0;
    buf_release(&prefix);
    return tokenizer_encode(e->tokenizer, out, text, size, !begun);
}

static status encode_joined(struct ids *out, size_t *from, const struct encoder *e, const struct buf *context, const char *continuation) {
    struct buf whole = {0};
    struct ids head = {0};
    buf_append(&whole, context->data, context->size);
    buf_append_text(&whole, continuation);
    status s = harness_encode(out, e, whole.data, whole.size);
    if (s == ST_OK) s = harness_encode(&head, e, whole.data, harness_rstrip(context->data, context->size));
    *from = head.count;
    buf_release(&whole);
    ids_release(&head);
    return s;
}

status harness_encode_pair(struct ids *out, size_t *from, const struct encoder *e, const struct buf *context, const char *continuation) {
    out->count = 0;
    if (context->size) {
        TRY(encode_joined(out, from, e, context, continuation));
    } else {
        const int32_t id = prefix_id(e);
        if (id < 0) return FAIL(ST_UNSUPPORTED, "an empty context needs a begin-of-text token, and the tokenizer has none");
        ids_append(out, &id, 1);
        TRY(tokenizer_encode(e->tokenizer, out, continuation, strlen(continuation), false));
        *from = 1;
        if (out->count > 1 && out->data[1] == id)
            memmove(out->data, out->data + 1, --out->count * sizeof *out->data); /* it begins so by itself */
    }
    if (*from >= out->count) return FAIL(ST_FORMAT, "an answer has no tokens of its own behind its question");
    if (*from == 0) return FAIL(ST_FORMAT, "a question has no tokens; an answer needs at least one token before it");
    return ST_OK;
}

struct harness_mean harness_mean_of(const double *values, size_t count) {
    struct harness_mean out = {(double)NAN, (double)NAN};
    double sum = 0, squares = 0;
    if (!count) return out;
    for (size_t i = 0; i < count; i++) sum += values[i];
    out.mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) squares += (values[i] - out.mean) * (values[i] - out.mean);
    if (count > 1) out.stderr_ = sqrt(squares / (double)(count - 1)) / sqrt((double)count);
    return out;
}

void harness_model_name(struct buf *name, struct buf *sanitized, const struct harness_run *run) {
    static const char odd[] = "\"<>:/|\\?*[]";
    buf_append_text(name, run->adapter ? run->adapter : run->model);
    if (run->prompt->style) {
        buf_append_text(name, "@goal=");
        goal_put_name(name, run->prompt->style, &run->prompt->goal);
    } else if (run->prompt->goal_told) {
        buf_printf(name, "@goal=%s", run->prompt->goal_told);
    }
    for (size_t i = 0; i < name->size; i++) {
        const bool is_odd = strchr(odd, name->data[i]) != NULL;
        if (is_odd && i && strchr(odd, name->data[i - 1])) continue; /* a run of them is one */
        if (is_odd)
            buf_append_text(sanitized, "__");
        else
            buf_append_char(sanitized, name->data[i]);
    }
}

/* What lm-eval calls this kind of model (--model): questions behind an endpoint are messages, or text. */
static const char *source_of(const struct harness_run *run) {
    if (run->dtype) return "rapt";
    return run->prompt->chat && !run->prompt->encoder ? "local-chat-completions" : "local-completions";
}

static void put_names(struct buf *json, const struct harness_run *run) {
    struct buf name = {0}, sanitized = {0};
    harness_model_name(&name, &sanitized, run);
    buf_printf(json, ", \"model_source\": \"%s\", \"model_name\": ", source_of(run));
    json_put_string(json, buf_text(&name), name.size);
    buf_append_text(json, ", \"model_name_sanitized\": ");
    json_put_string(json, buf_text(&sanitized), sanitized.size);
    buf_release(&name);
    buf_release(&sanitized);
}

static void put_config(struct buf *json, const struct harness_run *run) {
    const struct harness_prompt *p = run->prompt;
    buf_printf(json, "\"config\": {\"model\": \"%s\", \"model_args\": ", source_of(run));
    json_put_text(json, run->model);
    buf_append_text(json, ", \"peft\": ");
    if (run->adapter)
        json_put_text(json, run->adapter);
    else
        buf_append_text(json, "null");
    buf_append_text(json, ", \"dtype\": ");
    if (run->dtype)
        json_put_text(json, run->dtype);
    else
        buf_append_text(json, "null");
    buf_append_text(json, ", \"goal\": ");
    if (p->style)
        goal_put_json(json, p->style, &p->goal);
    else if (p->goal_told)
        json_put_text(json, p->goal_told);
    else
        buf_append_text(json, "null");
    buf_printf(json, ", \"apply_chat_template\": %s, \"fewshot_as_multiturn\": %s, \"system_instruction\": ", p->chat ? "true" : "false",
               p->chat && !p->one_turn ? "true" : "false");
    if (p->system)
        json_put_text(json, p->system);
    else
        buf_append_text(json, "null");
    buf_printf(json, ", \"truncated\": %zu}", run->truncated);
}

static void put_figures(struct buf *json, const struct harness_figure *figures, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct harness_figure *f = &figures[i];
        buf_printf(json, ", \"%s,%s\": ", f->metric, f->filter);
        json_put_double(json, f->value.mean);
        buf_printf(json, ", \"%s_stderr,%s\": ", f->metric, f->filter);
        if (isnan(f->value.stderr_))
            buf_append_text(json, "\"N/A\"");
        else
            json_put_double(json, f->value.stderr_);
    }
}

void harness_put_results(struct buf *json, struct buf *text, const struct harness_run *run, const struct harness_figure *figures,
                         size_t count, const char *version) {
    buf_printf(json, "{\"results\": {\"%s\": {\"alias\": \"%s\"", run->task, run->task);
    put_figures(json, figures, count);
    buf_printf(json, "}}, \"group_subtasks\": {\"%s\": []}, \"configs\": {\"%s\": {\"task\": \"%s\", \"dataset_path\": ", run->task,
               run->task, run->task);
    json_put_text(json, run->data);
    buf_printf(json,
               ", \"num_fewshot\": %zu}}, \"versions\": {\"%s\": \"%s\"}, \"n-shot\": {\"%s\": %zu}, \"higher_is_better\": {\"%s\": {",
               run->shots, run->task, version, run->task, run->shots, run->task);
    for (size_t i = 0; i < count; i++)
        if (!i || strcmp(figures[i].metric, figures[i - 1].metric) != 0)
            buf_printf(json, "%s\"%s\": true", i ? ", " : "", figures[i].metric);
    buf_printf(json, "}}, \"n-samples\": {\"%s\": {\"original\": %zu, \"effective\": %zu}}, ", run->task, run->rows, run->documents);
    put_config(json, run);
    put_names(json, run);
    buf_append_text(json, "}\n");
    buf_printf(text, "%s, version %s: %zu of %zu documents, %zu-shot\n", run->task, version, run->documents, run->rows, run->shots);
    for (size_t i = 0; i < count; i++) {
        buf_printf(text, "  %-12s %-18s %.4f", figures[i].metric, figures[i].filter, figures[i].value.mean);
        if (!isnan(figures[i].value.stderr_)) buf_printf(text, " +- %.4f", figures[i].value.stderr_);
        buf_append_char(text, '\n');
    }
    if (run->truncated) buf_printf(text, "  %zu prompts were cut at their head to fit\n", run->truncated);
}
