/* bench_mt: MT-Bench's judge, grades of single answers and comparisons with a baseline in both orders (fschat 0.2.36,
 * llm_judge/gen_judgment.py and common.py; prompts/mt_bench.jsonl). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/bench_judge.h"
#include "eval/mt_answer.h"
#include "eval/mt_bench.h"
#include "format/rows.h"
#include "text/places.h"

/* In the order of prompt_names' rows: turn 1, turn 1 with a reference, the second turn, that with references. */
enum { PROMPTS = 4 };
struct prompt {
    char *system, *text; /* NULL: not read yet */
};
struct game {
    const struct mt_asked *question;
    const struct bench_answer *own, *base; /* base: of pairs */
    size_t prompt, first;                  /* first: index of its question, or of the first of two */
};
struct mt {
    const char *const *names; /* [PROMPTS] of judge_prompts.jsonl */
    const char *format;       /* output_format */
    bool pair;
    struct prompt prompts[PROMPTS];
    struct mt_asked_set asked;
    struct bench_answers own, base, references;
    struct game *games; /* [count] */
    size_t count;
};
static const char *const single_names[PROMPTS] = {"single-v1", "single-math-v1", "single-v1-multi-turn", "single-math-v1-multi-turn"};
static const char *const pair_names[PROMPTS] = {"pair-v2", "pair-math-v1", "pair-v2-multi-turn", "pair-math-v1-multi-turn"};

static void release(void *state) {
    struct mt *x = state;
    for (size_t i = 0; i < PROMPTS; i++) {
        free(x->prompts[i].system);
        free(x->prompts[i].text);
    }
    mt_asked_release(&x->asked);
    bench_answers_release(&x->own);
    bench_answers_release(&x->base);
    bench_answers_release(&x->references);
    free(x->games);
    free(x);
}

/* ---- prompts ---- */

#define PLACES_MAX 8
/* What stands at a prompt's places. With game NULL empty texts, for a check. first: of a pair the answer shown as A. Returns how many. */
static size_t places_of(struct place out[PLACES_MAX], const struct mt *x, const struct game *g, size_t prompt, bool swapped) {
    static const char *const single[] = {"{question}", "{answer}", "{ref_answer_1}", NULL},
                             *const pair[] = {"{question}", "{answer_a}", "{answer_b}", "{ref_answer_1}", NULL},
                             *const single_two[] = {"{question_1}",   "{question_2}",   "{answer_1}", "{answer_2}",
                                                    "{ref_answer_1}", "{ref_answer_2}", NULL},
                             *const pair_two[] = {"{question_1}",   "{question_2}",   "{answer_a_1}",
                                                  "{answer_a_2}",   "{answer_b_1}",   "{answer_b_2}",
                                                  "{ref_answer_1}", "{ref_answer_2}", NULL};
    const bool two = prompt >= 2, reference = prompt % 2;
    const char *const *names = two ? (x->pair ? pair_two : single_two) : x->pair ? pair : single;
    const struct bench_answer *a = !g ? NULL : swapped ? g->base : g->own, *b = !g ? NULL : swapped ? g->own : g->base, *r = NULL;
    const char *texts[PLACES_MAX] = {NULL};
    char id[24];
    size_t n = 0, count = 0;
    if (g) snprintf(id, sizeof id, "%lld", (long long)g->question->id);
    if (g && reference) r = bench_answers_find(&x->references, id, NULL, 0);
    for (size_t turn = 0; g && turn < (two ? 2u : 1u); turn++) texts[n++] = g->question->turns[turn];
    for (size_t turn = 0; g && turn < (two ? 2u : 1u); turn++) texts[n++] = a->turns[turn];
    for (size_t turn = 0; g && b && turn < (two ? 2u : 1u); turn++) texts[n++] = b->turns[turn];
    for (size_t turn = 0; r && turn < (two ? 2u : 1u); turn++) texts[n++] = r->turns[turn];
    for (; names[count]; count++) {
        const char *text = g ? texts[count] : "";
        if (!reference && strstr(names[count], "{ref_")) break;
        out[count] = (struct place){names[count], text, strlen(text)};
    }
    return count;
}

static status take_prompt(void *context, struct json row) {
    static const struct place braces[] = {PLACES_BRACES};
    struct mt *x = context;
    struct place places[PLACES_MAX + 2];
    const struct json name = json_get(row, "name");
    for (size_t i = 0; i < PROMPTS; i++) {
        struct prompt *p = &x->prompts[i];
        if (json_kind_of(name) != JSON_STRING || !json_equals(name, x->names[i])) continue;
        if (p->text) return FAIL(ST_FORMAT, "the prompt %s stands twice", x->names[i]);
        if (json_kind_of(json_get(row, "output_format")) != JSON_STRING || !json_equals(json_get(row, "output_format"), x->format))
            return FAIL(ST_UNSUPPORTED, "field output_format: verdicts of %s are read as %s", x->names[i], x->format);
        p->system = json_text(json_get(row, "system_prompt"));
        p->text = json_text(json_get(row, "prompt_template"));
        if (!p->system || !p->text) return FAIL(ST_FORMAT, "expected a prompt with system_prompt and prompt_template, two strings");
        size_t n = places_of(places, x, NULL, i, false);
        memcpy(places + n, braces, sizeof braces);
        return places_check(p->text, places, n + 2);
    }
    return ST_OK;
}

static status read_prompts(struct mt *x, const char *path) {
    const char *text = bench_prompts_mt();
    if (path) TRY(rows_each(path, take_prompt, x));
    while (!path && *text) {
        const size_t size = strcspn(text, "\n");
        struct json row;
        TRY(json_parse(&row, text, size));
        TRY(take_prompt(x, row));
        text += size + (text[size] == '\n');
    }
    for (size_t i = 0; i < PROMPTS; i++)
        if (!x->prompts[i].text) return FAIL(ST_FORMAT, "%s: there is no prompt %s", path ? path : "built in", x->names[i]);
    return ST_OK;
}

/* ---- questions ---- */

static void put_question(struct bench *b, const struct mt *x, const struct game *g, bool swapped) {
    static const struct place braces[] = {PLACES_BRACES};
    const struct prompt *p = &x->prompts[g->prompt];
    struct place places[PLACES_MAX + 2];
    const size_t at = bench_add(b); /* moves the questions */
    struct bench_question *q = &b->questions[at];
    struct buf text = {0};
    size_t n = places_of(places, x, g, g->prompt, swapped);
    memcpy(places + n, braces, sizeof braces);
    places_put(&text, p->text, places, n + 2);
    bench_put_asked(&q->messages, *p->system ? p->system : NULL, &text);
    q->remote.number = g->question->id > 0 ? (uint64_t)g->question->id : 0;
    buf_release(&text);
}

static bool needs_reference(const struct mt_asked *q) {
    static const char *const categories[] = {"math", "reasoning", "coding", "arena-hard-200"};
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        if (strcmp(q->category, categories[i]) == 0) return true;
    return false;
}

static status check_turns(const struct bench_answer *a, const struct mt_asked *q, size_t turn, const char *whose) {
    if (!a)
        return FAIL(ST_MISMATCH, "question %lld: there is no answer of %s%s", (long long)q->id, whose,
                    strcmp(whose, "--reference-answers") == 0 ? ", which the judge of its category reads" : "");
    return a->turns[turn] ? ST_OK
                          : FAIL(ST_MISMATCH, "question %lld: the answer of %s has one turn, the question two", (long long)q->id, whose);
}

static status add_game(struct bench *b, struct mt *x, const struct mt_asked *q, size_t prompt) {
    char id[24];
    const size_t turn = prompt / 2;
    struct game *g = &x->games[x->count];
    if (needs_reference(q) != (prompt % 2 == 1) || !q->turns[turn]) return ST_OK;
    snprintf(id, sizeof id, "%lld", (long long)q->id);
    *g = (struct game){q, bench_answers_find(&x->own, id, NULL, 0), bench_answers_find(&x->base, id, b->o->baseline, 0), prompt, b->count};
    if (!g->own) {
        b->missing += turn == 0;
        return ST_OK;
    }
    TRY(check_turns(g->own, q, turn, "--answers"));
    if (x->pair) TRY(check_turns(g->base, q, turn, "--baseline-answers"));
    if (prompt % 2) TRY(check_turns(bench_answers_find(&x->references, id, NULL, 0), q, turn, "--reference-answers"));
    x->count++;
    put_question(b, x, g, false);
    if (x->pair) put_question(b, x, g, true);
    return ST_OK;
}

static status open_games(struct bench *b, bool pair) {
    const struct bench_options *o = b->o;
    struct mt *x = b->state = mem_zero(1, sizeof *x);
    x->pair = pair;
    x->names = pair ? pair_names : single_names;
    x->format = pair ? "[[A]]" : "[[rating]]";
    TRY(read_prompts(x, o->prompts));
    TRY(mt_asked_load(&x->asked, o->questions, o->limit));
    TRY(bench_answers_load(&x->own, o->answers, BENCH_FORM_MT));
    for (size_t i = 0; i < o->baseline_count; i++) TRY(bench_answers_load(&x->base, o->baselines[i], BENCH_FORM_MT));
    if (o->references) TRY(bench_answers_load(&x->references, o->references, BENCH_FORM_MT));
    TRY(bench_answers_one_model(&x->own, o->answers, "answers"));
    x->games = mem_zero(2 * x->asked.count + 1, sizeof *x->games);
    for (size_t prompt = 0; prompt < PROMPTS; prompt++)
        for (size_t i = 0; i < x->asked.count; i++) TRY(add_game(b, x, &x->asked.items[i], prompt));
    return ST_OK;
}

static status open_single(struct bench *b) { return open_games(b, false); }
static status open_pair(struct bench *b) { return open_games(b, true); }

/* ---- answers ---- */

static status read_single(struct bench_question *q, const struct remote_answer *a) {
    buf_clear(&q->said);
    buf_append(&q->said, buf_text(&a->text), a->text.size);
    const double grade = mt_grade(buf_text(&a->text), a->text.size);
    if (grade < 0) return FAIL(ST_FORMAT, "expected a grade such as [[5]], found none");
    if (grade > 100) return FAIL(ST_FORMAT, "expected a grade of 1 to 10, found %g", grade);
    q->value = grade;
    return ST_OK;
}

static bool holds(const struct buf *text, const char *what) {
    const size_t n = strlen(what);
    for (size_t i = 0; i + n <= text->size; i++)
        if (memcmp(text->data + i, what, n) == 0) return true;
    return false;
}

static status read_pair(struct bench_question *q, const struct remote_answer *a) {
    static const char *const verdicts[] = {"[[A]]", "[[B]]", "[[C]]"};
    buf_clear(&q->said);
    buf_append(&q->said, buf_text(&a->text), a->text.size);
    for (size_t i = 0; i < 3; i++) {
        if (!holds(&a->text, verdicts[i])) continue;
        q->verdict[0] = (char)('A' + i);
        return ST_OK;
    }
    return FAIL(ST_FORMAT, "expected [[A]], [[B]] or [[C]], found none of them");
}

/* ---- model_judgment ---- */

/* What was asked and what was said. A question that the server refused has said what FastChat writes then. */
static void put_judged(struct buf *out, const char *which, const struct bench_question *q) {
    const struct json messages = {q->messages.data, q->messages.size};
    struct json key, message = {0}, next;
    for (struct json_iter it = json_iter_begin(messages); json_iter_next(&it, &key, &next);) message = next;
    const struct json asked = json_get(message, "content");
    buf_printf(out, "\"%suser_prompt\": ", which);
    buf_append(out, asked.text, asked.size);
    buf_printf(out, ", \"%sjudgment\": ", which);
    if (q->said.size || q->remote.state != REMOTE_GIVEN_UP)
        json_put_string(out, buf_text(&q->said), q->said.size);
    else
        buf_append_text(out, "\"$ERROR$\"");
    buf_append_text(out, ", ");
}

static const char *winner(const struct bench_question *q, bool swapped) {
    if (!q->verdict[0]) return "error";
    if (q->verdict[0] == 'C') return "tie";
    return (q->verdict[0] == 'A') != swapped ? "model_1" : "model_2";
}

static void write(struct buf *out, const struct bench *b) {
    const struct mt *x = b->state;
    for (size_t i = 0; i < x->count; i++) {
        const struct game *g = &x->games[i];
        const struct bench_question *q = &b->questions[g->first];
        buf_printf(out, "{\"question_id\": %lld, ", (long long)g->question->id);
        bench_put_text(out, x->pair ? "model_1" : "model", g->own->model);
        if (x->pair) {
            bench_put_text(out, "model_2", g->base->model);
            bench_put_text(out, "g1_winner", winner(&q[0], false));
            bench_put_text(out, "g2_winner", winner(&q[1], true));
        }
        buf_append_text(out, "\"judge\": [");
        json_put_text(out, b->o->judge);
        buf_append_text(out, ", ");
        json_put_text(out, x->names[g->prompt]);
        buf_append_text(out, "], ");
        put_judged(out, x->pair ? "g1_" : "", &q[0]);
        if (x->pair) put_judged(out, "g2_", &q[1]);
        if (!x->pair) {
            buf_append_text(out, "\"score\": ");
            json_put_double(out, isnan(q->value) ? -1 : q->value);
            buf_append_text(out, ", ");
        }
        buf_printf(out, "\"turn\": %zu, \"tstamp\": %.3f}\n", g->prompt / 2 + 1, b->o->seconds);
    }
}

const struct bench_protocol bench_mt_single = {
    .name = "mt-bench",
    .help = "MT-Bench: a grade of 1 to 10 for each turn",
    .citation = "arXiv 2306.05685; fschat 0.2.36, gen_judgment.py --mode single",
    .needs = BENCH_NEEDS_QUESTIONS | BENCH_TAKES_REFERENCES,
    .max_tokens = 2048,
    .tries = 1,
    .members = "",
    .open = open_single,
    .read = read_single,
    .write = write,
    .release = release,
};
const struct bench_protocol bench_mt_pair = {
    .name = "mt-bench-pair",
    .help = "MT-Bench: which of two models answers each turn better, asked in both orders",
    .citation = "arXiv 2306.05685; fschat 0.2.36, gen_judgment.py --mode pairwise-baseline",
    .needs = BENCH_NEEDS_BASELINES | BENCH_NEEDS_QUESTIONS | BENCH_TAKES_REFERENCES | BENCH_TAKES_BASELINE,
    .max_tokens = 2048,
    .tries = 1,
    .members = "",
    .open = open_pair,
    .read = read_pair,
    .write = write,
    .release = release,
};
