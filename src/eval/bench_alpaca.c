/* bench_alpaca: AlpacaEval 2's judge, weighted_alpaca_eval_gpt4_turbo (alpaca_eval 0.6.6: annotators/pairwise_evaluator.py, processors.py,
 * completion_parsers.py, logprob_parser): one token, m or M, for the output that is better; the preference is its probability.
 *
 * Which output is shown as m is drawn as the package draws it: random.Random("is_switched_outputs" + instruction + "0").choices([False,
 * True]). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "eval/bench_judge.h"
#include "eval/twister.h"
#include "text/places.h"

struct row {
    const struct bench_answer *base, *own;
    size_t index;    /* of the instruction in the evaluation set: its place in the baseline's file */
    size_t question; /* SIZE_MAX: equal outputs, nobody is asked */
    bool switched;
};
struct alpaca {
    struct bench_answers base, own;
    struct row *rows; /* [count] in the order of the baseline's file, which is the evaluation set's */
    size_t count;
    char *prompt; /* the template's text: ChatML */
};

static void release(void *state) {
    struct alpaca *x = state;
    bench_answers_release(&x->base);
    bench_answers_release(&x->own);
    free(x->rows);
    free(x->prompt);
    free(x);
}

/* ---- the template ---- */

static const char start_mark[] = "<|im_start|>", end_mark[] = "<|im_end|>";

struct piece {
    const char *role, *text;
    size_t role_size, text_size;
};

static void strip(const char **text, size_t *size) {
    while (*size && strchr(" \t\r\n", **text)) ++*text, --*size;
    while (*size && strchr(" \t\r\n", (*text)[*size - 1])) --*size;
}

/* The next <|im_start|>role, line break, text, <|im_end|>; false at the end. */
static bool next_piece(struct piece *p, const char **at) {
    const char *from = strstr(*at, start_mark);
    if (!from) return false;
    p->role = from + sizeof start_mark - 1;
    p->role_size = strcspn(p->role, "\n");
    p->text = p->role + p->role_size;
    const char *end = strstr(p->text, end_mark);
    p->text_size = end ? (size_t)(end - p->text) : strlen(p->text);
    *at = p->text + p->text_size;
    strip(&p->role, &p->role_size);
    strip(&p->text, &p->text_size);
    return true;
}

static status check_template(const char *text, const char *path) {
    static const char *const places[] = {"{instruction}", "{output_1}", "{output_2}"};
    struct piece p;
    size_t count = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *first = strstr(text, places[i]);
        if (!first || strstr(first + 1, places[i])) return FAIL(ST_FORMAT, "%s: the template has the place %s once", path, places[i]);
    }
    for (const char *at = text; next_piece(&p, &at); count++)
        if (p.role_size > 16 || !p.role_size || strspn(p.role, "abcdefghijklmnopqrstuvwxyz") < p.role_size)
            return FAIL(ST_FORMAT, "%s: after %s a role is expected, found '%.*s'", path, start_mark,
                        (int)(p.role_size < 40 ? p.role_size : 40), p.role);
    return count ? ST_OK : FAIL(ST_FORMAT, "%s: a template is ChatML, and there is no %s", path, start_mark);
}

static status read_template(struct alpaca *x, const char *path) {
    if (!path) {
        x->prompt = mem_text(bench_prompts_alpaca());
        return ST_OK;
    }
    struct buf text = {0};
    TRY(file_read(&text, path));
    struct buf quoted = {0};
    struct json parsed;
    json_put_string(&quoted, buf_text(&text), text.size);
    status s =
        memchr(buf_text(&text), '\0', text.size) ? FAIL(ST_FORMAT, "a zero byte") : json_parse(&parsed, buf_text(&quoted), quoted.size);
    if (s != ST_OK) s = status_note(s, "%s: a template is text in UTF-8: ", path);
    if (s == ST_OK) s = check_template(buf_text(&text), path);
    if (s == ST_OK) x->prompt = mem_text_n(buf_text(&text), text.size);
    buf_release(&quoted);
    buf_release(&text);
    return s;
}

/* ---- questions ---- */

static bool is_switched(const char *instruction) {
    struct twister r;
    struct buf seed = {0};
    buf_printf(&seed, "is_switched_outputs%s0", instruction);
    twister_seed_python_text(&r, seed.data, seed.size);
    buf_release(&seed);
    return twister_coin_python(&r);
}

static void put_question(struct buf *messages, const struct alpaca *x, const struct row *row) {
    const char *first = (row->switched ? row->own : row->base)->turns[0], *second = (row->switched ? row->base : row->own)->turns[0];
    const struct place places[] = {{"{instruction}", row->base->id, strlen(row->base->id)},
                                   {"{output_1}", first, strlen(first)},
                                   {"{output_2}", second, strlen(second)}};
    struct buf text = {0};
    struct piece p;
    for (const char *at = x->prompt; next_piece(&p, &at);) {
        char *template = mem_text_n(p.text, p.text_size), *role = mem_text_n(p.role, p.role_size);
        buf_clear(&text);
        places_put(&text, template, places, 3);
        bench_put_message(messages, role, buf_text(&text), text.size);
        free(template);
        free(role);
    }
    bench_end_messages(messages);
    buf_release(&text);
}

static void add_row(struct bench *b, struct alpaca *x, size_t index, const struct bench_answer *own) {
    const struct bench_answer *base = &x->base.items[index];
    struct row *row = &x->rows[x->count++];
    *row = (struct row){base, own, index, SIZE_MAX, is_switched(base->id)};
    if (strcmp(base->turns[0], own->turns[0]) == 0) {
        b->equal++;
        return;
    }
    row->question = bench_add(b);
    b->questions[row->question].remote.number = x->count;
    put_question(&b->questions[row->question].messages, x, row);
}

static status open(struct bench *b) {
    const struct bench_options *o = b->o;
    struct alpaca *x = b->state = mem_zero(1, sizeof *x);
    size_t found = 0;
    x->base.twins = x->own.twins = true;
    if (o->baseline_count != 1) return FAIL(ST_USAGE, "--baseline-answers expects one file, the baseline's model_outputs.json");
    TRY(read_template(x, o->prompts));
    TRY(bench_answers_load(&x->base, o->baselines[0], BENCH_FORM_ALPACA));
    TRY(bench_answers_load(&x->own, o->answers, BENCH_FORM_ALPACA));
    TRY(bench_answers_one_model(&x->base, o->baselines[0], "outputs"));
    TRY(bench_answers_one_model(&x->own, o->answers, "outputs"));
    x->rows = mem_zero(x->base.count, sizeof *x->rows);
    for (size_t i = 0; i < x->base.count; i++) {
        const struct bench_answer *base = &x->base.items[i], *own = bench_answers_find(&x->own, base->id, NULL, base->twin);
        if (!own)
            b->missing++;
        else if (!o->limit || x->count < o->limit)
            add_row(b, x, i, own);
        found += own != NULL;
    }
    if (!found) return FAIL(ST_MISMATCH, "%s: none of its instructions is one of %s", o->answers, o->baselines[0]);
    if (found < x->own.count)
        return FAIL(ST_MISMATCH, "%s: %zu of its instructions are none of %s", o->answers, x->own.count - found, o->baselines[0]);
    return ST_OK;
}

/* ---- answers ---- */

static status read(struct bench_question *q, const struct remote_answer *a) {
    struct json_iter it = json_iter_begin(a->logprobs), choices = json_iter_begin(json_get(a->root, "choices"));
    struct json key, place, item, choice;
    struct buf token = {0};
    double logprob, p[2] = {-INFINITY, -INFINITY};
    if (json_count(a->logprobs) != 1 || !json_iter_next(&it, &key, &place))
        return FAIL(ST_FORMAT, "expected log-probs of one token, found %zu", json_count(a->logprobs));
    for (it = json_iter_begin(json_get(place, "top_logprobs")); json_iter_next(&it, &key, &item);) {
        buf_clear(&token);
        if (!json_string(&token, json_get(item, "token")) || !json_double(&logprob, json_get(item, "logprob")) || logprob > 1e-3) continue;
        if (token.size == 1 && (*token.data == 'm' || *token.data == 'M')) p[*token.data == 'M'] = logprob;
    }
    buf_release(&token);
    const double most = fmax(p[0], p[1]);
    if (!isfinite(most)) return FAIL(ST_FORMAT, "neither m nor M is among the likeliest tokens");
    q->value = 2 - exp(p[0] - most) / (exp(p[0] - most) + exp(p[1] - most));
    if (!json_iter_next(&choices, &key, &choice)) return ST_OK;
    buf_append(&q->raw, choice.text, choice.size);
    for (size_t i = 0; i < q->raw.size; i++) /* between tokens alone: strings hold none */
        if (q->raw.data[i] == '\n' || q->raw.data[i] == '\r') q->raw.data[i] = ' ';
    return ST_OK;
}

/* ---- annotations.json ---- */

/* The package takes a row's place for the index of its instruction, on which the difficulty of the length-controlled win rate depends,
 * unless the rows say an index (metrics/glm_winrate.py: reset_index keeps a column of that name). So where rows are missing they do. */
static void write(struct buf *out, const struct bench *b) {
    const struct alpaca *x = b->state;
    const bool gaps = b->missing > 0;
    buf_append_text(out, "[\n");
    for (size_t i = 0; i < x->count; i++) {
        const struct row *row = &x->rows[i];
        const struct bench_question *q = row->question == SIZE_MAX ? NULL : &b->questions[row->question];
        const double shown = q ? q->value : 1.5;
        buf_append_char(out, '{');
        if (gaps) buf_printf(out, "\"index\": %zu, ", row->index);
        bench_put_text(out, "instruction", row->base->id);
        if (row->base->dataset) bench_put_text(out, "dataset", row->base->dataset);
        bench_put_text(out, "output_1", row->base->turns[0]);
        bench_put_text(out, "generator_1", row->base->model);
        bench_put_text(out, "output_2", row->own->turns[0]);
        bench_put_text(out, "generator_2", row->own->model);
        bench_put_text(out, "annotator", b->o->judge);
        buf_append_text(out, "\"preference\": ");
        json_put_double(out, q && row->switched ? 3 - shown : shown);
        buf_append_text(out, ", \"preference_raw_completion\": ");
        if (q && q->raw.size)
            buf_append(out, q->raw.data, q->raw.size);
        else
            buf_append_text(out, "null");
        buf_append_text(out, i + 1 < x->count ? "},\n" : "}\n");
    }
    buf_append_text(out, "]\n");
}

const struct bench_protocol bench_alpaca = {
    .name = "alpaca",
    .help = "AlpacaEval 2, weighted_alpaca_eval_gpt4_turbo: which of two outputs is better, by the log-probs of one token",
    .citation = "alpaca_eval 0.6.6, evaluators_configs/weighted_alpaca_eval_gpt4_turbo",
    .missing_hint = "the rows say the index of their instruction, or the length-controlled win rate would give those behind a gap the "
                    "difficulty of another",
    .needs = BENCH_NEEDS_BASELINES,
    .temperature = 1,
    .max_tokens = 1,
    .tries = 1,
    .members = ", \"top_p\": 1",
    .top = 5,
    .open = open,
    .read = read,
    .write = write,
    .release = release,
};
