#include "cli/inspect_explain.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"

#define WIDTH 110 /* columns of a text line */

/* Text of a terminal. Chosen is what is scored and wanted. */
enum ink { INK_PROMPT, INK_CHOSEN, INK_REJECTED, INK_CUT };
static const char *const inks[] = {"\033[2m", "\033[32m", "\033[31m", "\033[9;90m"};

struct explain {
    struct buf *out;
    const struct explain_options *o;
    struct encoder encoder;
    struct encoded ids;
    struct buf piece, quoted;
};

static void put_piece(struct explain *x, int32_t id) {
    buf_clear(&x->piece);
    buf_clear(&x->quoted);
    struct buf clean = {0};
    tokenizer_piece(x->encoder.tokenizer, &x->piece, id);
    utf8_put_clean(&clean, buf_text(&x->piece), x->piece.size);
    json_put_string(&x->quoted, buf_text(&clean), clean.size);
    buf_release(&clean);
}

/* A run of tokens under a heading, as `id "text"`, in lines of WIDTH columns. */
static void put_run(struct explain *x, const int32_t *ids, size_t count, enum ink ink) {
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        char number[16];
        put_piece(x, ids[i]);
        const size_t size = (size_t)snprintf(number, sizeof number, "%d ", ids[i]) + x->quoted.size;
        if (column && column + 2 + size > WIDTH) column = 0;
        buf_append_text(x->out, column ? "  " : i ? "\n    " : "    ");
        column += 2 + size;
        buf_append_text(x->out, number);
        if (x->o->colour) buf_append_text(x->out, inks[ink]);
        buf_append(x->out, x->quoted.data, x->quoted.size);
        if (x->o->colour) buf_append_text(x->out, "\033[0m");
    }
    if (count) buf_append_char(x->out, '\n');
}

static void put_ids(struct explain *x, const char *name, const int32_t *ids, size_t count) {
    buf_printf(x->out, "\"%s\": [", name);
    for (size_t i = 0; i < count; i++) buf_printf(x->out, "%s%d", i ? ", " : "", ids[i]);
    buf_append_text(x->out, "], \"");
    buf_printf(x->out, "%s_text\": [", name);
    for (size_t i = 0; i < count; i++) {
        put_piece(x, ids[i]);
        buf_append_text(x->out, i ? ", " : "");
        buf_append(x->out, x->quoted.data, x->quoted.size);
    }
    buf_append_char(x->out, ']');
}

/* One sequence: the prompt that belongs to it, the response, and what of both stays. `first`: its prompt was not shown before. */
struct side {
    const char *name;
    double score;
    const struct ids *prompt, *response;
    struct fit_side fit;
    bool kept, first;
    enum ink ink;
};

/* Where nothing is left of the prompt, the response's first token takes its place, as data/loader has it. */
static size_t unscored(const struct side *s) { return s->kept && !s->fit.prompt && s->fit.count; }

static void put_side_json(struct explain *x, const struct side *s) {
    const int32_t *prompt = s->prompt->data, *response = s->response->data;
    const struct fit_side *f = &s->fit;
    const size_t head = unscored(s);
    buf_printf(x->out, "{\"name\": \"%s\", \"score\": ", s->name);
    json_put_double(x->out, s->score);
    buf_append_text(x->out, ", ");
    put_ids(x, "prompt", head ? response + f->at : s->kept ? prompt + f->prompt_at : NULL, head ? 1 : s->kept ? f->prompt : 0);
    buf_append_text(x->out, ", ");
    put_ids(x, "scored", s->kept ? response + f->at + head : NULL, s->kept ? f->count - head : 0);
    buf_append_text(x->out, ", ");
    put_ids(x, "cut_prompt", prompt, s->kept ? f->prompt_at : s->prompt->count);
    buf_append_text(x->out, ", ");
    put_ids(x, "cut_head", response, s->kept ? f->at : 0);
    buf_append_text(x->out, ", ");
    const size_t behind = s->kept ? f->at + f->count : 0;
    put_ids(x, "cut", response + (s->response->count ? behind : 0), s->response->count - behind);
    buf_append_char(x->out, '}');
}

static void heading(struct explain *x, const char *name, size_t count, const char *what) {
    buf_printf(x->out, "  %s, %zu token%s%s\n", name, count, count == 1 ? "" : "s", what);
}

static void put_side_text(struct explain *x, const struct side *s) {
    const struct fit_side *f = &s->fit;
    const int32_t *prompt = s->prompt->data, *response = s->response->data;
    const size_t behind = f->at + f->count, head = unscored(s);
    char name[64];
    if (!s->kept) {
        heading(x, s->name, s->response->count, ", left out");
        put_run(x, response, s->response->count, INK_CUT);
        return;
    }
    if (s->first) {
        if (f->prompt_at) heading(x, "prompt", f->prompt_at, ", cut");
        put_run(x, prompt, f->prompt_at, INK_CUT);
        heading(x, "prompt", f->prompt, ", not scored");
        put_run(x, prompt + f->prompt_at, f->prompt, INK_PROMPT);
    }
    if (f->at) heading(x, s->name, f->at, ", cut");
    put_run(x, response, f->at, INK_CUT);
    if (head) heading(x, s->name, 1, ", not scored: it stands first");
    put_run(x, response + f->at, head, INK_PROMPT);
    if (isnan(s->score))
        snprintf(name, sizeof name, "%s", s->name);
    else
        snprintf(name, sizeof name, "%s (score %g)", s->name, s->score);
    heading(x, name, f->count - head, ", scored");
    put_run(x, response + f->at + head, f->count - head, s->ink);
    if (behind < s->response->count) {
        heading(x, s->name, s->response->count - behind, ", cut");
        put_run(x, response + behind, s->response->count - behind, INK_CUT);
    }
}

static void put_side(struct explain *x, const struct side *s, size_t number) {
    if (x->o->json && number) buf_append_text(x->out, ", ");
    (x->o->json ? put_side_json : put_side_text)(x, s);
}

static void put_dropped(struct explain *x, const struct ids *prompt) {
    if (x->o->json) return;
    buf_printf(x->out, "  dropped: the prompt alone reaches --max-length %zu\n", x->o->rules.max_length);
    heading(x, "prompt", prompt->count, ", left out");
    put_run(x, prompt->data, prompt->count, INK_CUT);
}

static void put_pair(struct explain *x, const struct record *r) {
    const struct encoded *e = &x->ids;
    const size_t n = r->kind == RECORD_PAIR ? 2 : 1;
    struct fit_side fit[2] = {{0}};
    struct side side[2] = {
        {.name = n == 2 ? "chosen" : "completion", .score = r->score_chosen, .prompt = &e->prompt, .response = &e->chosen, .first = true, .ink = INK_CHOSEN},
        {.name = "rejected", .score = r->score_rejected, .prompt = e->rejected_prompt.count ? &e->rejected_prompt : &e->prompt, .response = &e->rejected, .ink = INK_REJECTED}};
    if (r->label == LABEL_UNDESIRED) side[0].ink = INK_REJECTED;
    const bool kept = fit_row(fit, (const size_t[]){side[0].prompt->count, side[1].prompt->count},
                              (const size_t[]){side[0].response->count, side[1].response->count}, n, &x->o->rules);
    if (!kept) put_dropped(x, &e->prompt);
    side[1].first = fit[1].prompt_at != fit[0].prompt_at || fit[1].prompt != fit[0].prompt || side[1].prompt->count != side[0].prompt->count ||
                    memcmp(side[1].prompt->data, side[0].prompt->data, e->prompt.count * sizeof(int32_t)) != 0;
    for (size_t i = 0; i < n; i++) {
        side[i].fit = fit[i];
        side[i].kept = kept;
        put_side(x, &side[i], i);
    }
}

static status put_responses(struct explain *x, const struct record *r) {
    TRY(encode_prompt(&x->ids.prompt, &x->encoder, r));
    for (size_t i = 0; i < r->response_count; i++) {
        char name[32];
        struct side side = {.name = name, .score = r->responses[i].score, .prompt = &x->ids.prompt, .response = &x->ids.chosen, .first = i == 0, .ink = INK_CHOSEN};
        snprintf(name, sizeof name, "response %zu", i);
        x->ids.chosen.count = 0;
        TRY(encode_completion(&x->ids.chosen, &x->ids, &x->encoder, r, &r->responses[i].text));
        side.kept = fit_row(&side.fit, &side.prompt->count, &side.response->count, 1, &x->o->rules);
        if (!side.kept && !i) put_dropped(x, &x->ids.prompt);
        put_side(x, &side, i);
    }
    return ST_OK;
}

static status put_sides(struct explain *x, const struct record *r) {
    x->ids.prompt.count = x->ids.chosen.count = x->ids.rejected.count = x->ids.rejected_prompt.count = 0;
    if (r->kind == RECORD_PAIR || r->kind == RECORD_SFT) {
        TRY(encode_record(&x->ids, &x->encoder, r));
        put_pair(x, r);
        return ST_OK;
    }
    if (x->o->rules.compat != FIT_TRL_1) return FAIL(ST_UNSUPPORTED, "--compat is about pairs");
    if (r->kind == RECORD_RESPONSES) return put_responses(x, r);
    TRY(encode_prompt(&x->ids.prompt, &x->encoder, r));
    struct side side = {.name = "response", .score = (double)NAN, .prompt = &x->ids.prompt, .response = &x->ids.chosen, .first = true, .ink = INK_CHOSEN};
    side.kept = fit_row(&side.fit, &side.prompt->count, &side.response->count, 1, &x->o->rules);
    if (!side.kept) put_dropped(x, &x->ids.prompt);
    if (side.kept || x->o->json) put_side(x, &side, 0);
    return ST_OK;
}

static void put_head(struct explain *x, const struct record *r, uint64_t number) {
    static const char *const of[] = {"", "chosen", "rejected"};
    if (x->o->json) {
        buf_printf(x->out, "%s{\"line\": %" PRIu64 ", \"form\": \"%s\", \"kind\": \"%s\", \"goal\": ", number ? ", " : "", r->line, r->form,
                   record_kind_name(r->kind));
        json_put_double(x->out, r->goal);
        if (r->goal_of) buf_printf(x->out, ", \"goal_of\": \"%s\"", of[r->goal_of]);
        if (r->label != LABEL_NONE) buf_printf(x->out, ", \"label\": %s", r->label ? "true" : "false");
        buf_append_text(x->out, ", \"sequences\": [");
        return;
    }
    buf_printf(x->out, "\nline %" PRIu64 ": form %s", r->line, r->form);
    if (!isnan(r->goal)) buf_printf(x->out, ", goal %g%s%s", r->goal, r->goal_of ? " of " : "", of[r->goal_of]);
    if (r->label != LABEL_NONE) buf_printf(x->out, ", label %s", r->label ? "true" : "false");
    buf_append_char(x->out, '\n');
}

static void put_row(struct explain *x, const struct record *r, uint64_t number) {
    put_head(x, r, number);
    const size_t at = x->out->size;
    status s = put_sides(x, r);
    if (s != ST_OK) x->out->size = at; /* nothing of a row that fails in the middle */
    if (x->o->json) buf_append_char(x->out, ']');
    if (s != ST_OK) {
        const char *why = status_message();
        buf_append_text(x->out, x->o->json ? ", \"error\": " : "  cannot be trained on: ");
        if (x->o->json)
            json_put_text(x->out, why);
        else
            buf_append_text(x->out, why);
        if (!x->o->json) buf_append_char(x->out, '\n');
    } else if (x->ids.prefix_mismatch && !x->o->json) {
        buf_append_text(x->out, "  the prompt's tokens are no prefix of prompt + response; cut by length, as TRL does\n");
    }
    if (x->o->json) buf_append_char(x->out, '}');
}

status explain_rows(struct buf *out, const char *path, const struct explain_options *o) {
    struct explain x = {.out = out, .o = o};
    struct source source;
    struct record record = {0};
    bool end = false;
    TRY(encoder_open(&x.encoder, o->model));
    x.encoder.compat = o->rules.compat;
    status s = source_open(&source, path, SOURCE_SKIP, NULL);
    source.map = o->map;
    const bool opened = s == ST_OK;
    if (o->json) buf_append_char(out, '[');
    for (uint64_t i = 0; s == ST_OK && i < o->rows; i++) {
        s = source_next(&source, &record, &end);
        if (s != ST_OK || end) break;
        x.ids.prefix_mismatch = false;
        put_row(&x, &record, i);
    }
    if (o->json) buf_append_char(out, ']');
    if (opened) source_release(&source);
    record_release(&record);
    encoded_release(&x.ids);
    encoder_release(&x.encoder);
    buf_release(&x.piece);
    buf_release(&x.quoted);
    return s;
}
