/* bench_arena: Arena-Hard's judge, v0.1 (lmarena/arena-hard-auto at 4ce0f00, gen_judgment.py, config/judge_config.yaml) and v2 (at 196f6b8,
 * gen_judgment.py, utils/judge_utils.py, config/arena-hard-v2.0.yaml): each answer against a baseline's, in both orders; A is the baseline
 * in the first game, the model in the second. The texts are prompts/arena_hard.yaml. */
#include <stdlib.h>
#include <string.h>

#include "eval/arena_hard.h"
#include "eval/bench_judge.h"
#include "format/rows.h"
#include "format/yaml.h"
#include "text/places.h"

struct question {
    char *id, *category, *prompt;
};
struct pairing {
    const struct question *question;
    const struct bench_answer *own, *base;
    size_t first; /* index of its question to the judge; the other order is behind it */
};
struct arena_hard {
    bool v2;
    struct yaml own_yaml, yaml; /* built in; of --judge-prompts, root NULL without */
    const char *template;       /* views of them */
    struct question *questions; /* [question_count] */
    size_t question_count, limit;
    struct bench_answers own, base;
    struct pairing *pairings; /* [count] */
    size_t count;
};

static void release(void *state) {
    struct arena_hard *x = state;
    for (size_t i = 0; i < x->question_count; i++) {
        free(x->questions[i].id);
        free(x->questions[i].category);
        free(x->questions[i].prompt);
    }
    free(x->questions);
    free(x->pairings);
    bench_answers_release(&x->own);
    bench_answers_release(&x->base);
    yaml_release(&x->yaml);
    yaml_release(&x->own_yaml);
    free(x);
}

/* ---- prompts ---- */

/* v0.1's names and v2's. */
#define PLACES 8
static void places_of(struct place out[PLACES], const char *question, const char *a, const char *b) {
    const struct place braces[] = {PLACES_BRACES};
    const struct {
        const char *name, *text;
    } names[] = {{"{QUESTION}", question}, {"{question_1}", question}, {"{ANSWER_A}", a},
                 {"{answer_1}", a},        {"{ANSWER_B}", b},          {"{answer_2}", b}};
    memcpy(out, braces, sizeof braces);
    for (size_t i = 0; i < 6; i++) out[2 + i] = (struct place){names[i].name, names[i].text, strlen(names[i].text)};
}

static status scalar(const char **out, const struct yaml *y, const struct yaml_node *node, const char *name) {
    if (node && node->kind == YAML_LIST && node->count == 1) node = node->items[0];
    if (!node || node->kind != YAML_SCALAR) return FAIL(ST_FORMAT, "%s:%zu: %s: expected a text", y->path, node ? node->line : 1, name);
    *out = node->text;
    return ST_OK;
}

/* Verdicts are read in one way: another pattern in a file would have no effect. */
static status check_pattern(const struct yaml *y, const struct yaml_node *node) {
    static const char *const known[] = {"\\[\\[([AB<>=]+)\\]\\]", "\\[([AB<>=]+)\\]"};
    const char *text = "";
    for (size_t i = 0; node && i < (node->kind == YAML_LIST ? node->count : 1); i++) {
        TRY(scalar(&text, y, node->kind == YAML_LIST ? node->items[i] : node, "regex_patterns"));
        if (strcmp(text, known[0]) != 0 && strcmp(text, known[1]) != 0)
            return FAIL(ST_UNSUPPORTED, "%s:%zu: verdicts are read by %s, found %s", y->path, node->line, known[0], text);
    }
    return ST_OK;
}

static status read_prompts(struct arena_hard *x, const char *path) {
    struct place places[PLACES];
    const char *text = bench_prompts_arena(), *system;
    TRY(yaml_parse(&x->own_yaml, "prompts/arena_hard.yaml", text, strlen(text)));
    TRY(scalar(&x->template, &x->own_yaml, yaml_get(x->own_yaml.root, "prompt_template"), "prompt_template"));
    if (!path) return ST_OK;
    TRY(yaml_load(&x->yaml, path));
    const struct yaml_node *root = x->yaml.root;
    if (root->kind != YAML_MAP)
        return FAIL(ST_FORMAT, "%s:%zu: expected a map with prompt_template, system_prompt or system_prompts, found %s", path, root->line,
                    yaml_kind_name(root->kind));
    if (!yaml_get(root, "prompt_template") && !yaml_get(root, "system_prompt") && !yaml_get(root, "system_prompts"))
        return FAIL(ST_FORMAT, "%s: there is none of prompt_template, system_prompt, system_prompts", path);
    if (yaml_get(root, "prompt_template")) TRY(scalar(&x->template, &x->yaml, yaml_get(root, "prompt_template"), "prompt_template"));
    if (yaml_get(root, "system_prompt")) TRY(scalar(&system, &x->yaml, yaml_get(root, "system_prompt"), "system_prompt"));
    const struct yaml_node *systems = yaml_get(root, "system_prompts");
    if (systems && systems->kind != YAML_MAP)
        return FAIL(ST_FORMAT, "%s:%zu: system_prompts: expected a map from categories to texts", path, systems->line);
    for (size_t i = 0; systems && i < systems->count; i++) TRY(scalar(&system, &x->yaml, systems->items[i], systems->keys[i]));
    TRY(check_pattern(&x->yaml, yaml_get(root, "regex_patterns")));
    TRY(check_pattern(&x->yaml, yaml_get(root, "regex_pattern")));
    places_of(places, "", "", "");
    status s = places_check(x->template, places, PLACES);
    return s == ST_OK ? s : status_note(s, "%s: prompt_template: ", path);
}

/* A file's text for the category, the file's for all, then ours likewise. */
static const char *system_of(const struct arena_hard *x, const char *category) {
    const struct yaml_node *roots[] = {x->yaml.root, x->own_yaml.root};
    const struct yaml *yamls[] = {&x->yaml, &x->own_yaml};
    const char *text = "";
    for (size_t i = 0; i < 2; i++) {
        const struct yaml_node *systems = roots[i] ? yaml_get(roots[i], "system_prompts") : NULL,
                               *node = systems ? yaml_get(systems, category) : NULL;
        if (!node && roots[i]) node = yaml_get(roots[i], "system_prompt");
        if (!node) continue;
        CHECK(scalar(&text, yamls[i], node, "system_prompt") == ST_OK); /* looked at before */
        break;
    }
    return text;
}

static const char *baseline_of(const struct arena_hard *x, const struct bench_options *o, const char *category) {
    return o->baseline ? o->baseline : arena_hard_baseline(&x->own_yaml, x->v2 ? ARENA_V2 : ARENA_V01, category);
}

/* ---- questions ---- */

static status take_question(void *context, struct json row) {
    struct arena_hard *x = context;
    struct question q = {0};
    struct json turns = json_get(row, "turns"), key, turn = {0};
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    if (x->limit && x->question_count == x->limit) return ST_OK;
    const bool old = !x->v2 && json_get(row, "question_id").size;
    struct json_iter it = json_iter_begin(json_kind_of(turns) == JSON_ARRAY ? turns : (struct json){0});
    if (old && (json_count(turns) != 1 || !json_iter_next(&it, &key, &turn)))
        return FAIL(ST_FORMAT, "field turns: expected one of {\"content\": text}");
    q.id = bench_id_text(json_get(row, old ? "question_id" : "uid"));
    q.category = json_text(json_get(row, "category"));
    q.prompt = json_text(old ? json_get(turn, "content") : json_get(row, "prompt"));
    if (q.id && q.category && q.prompt) {
        if ((x->question_count & (x->question_count - 1)) == 0)
            x->questions = mem_resize(x->questions, (x->question_count ? 2 * x->question_count : 1) * sizeof q);
        x->questions[x->question_count++] = q;
        return ST_OK;
    }
    status s = FAIL(ST_FORMAT, "field %s: expected a string",
                    !q.id         ? (x->v2 ? "uid" : "question_id or uid")
                    : !q.category ? "category"
                    : old         ? "turns[0].content"
                                  : "prompt");
    free(q.id);
    free(q.category);
    free(q.prompt);
    return s;
}

static void put_question(struct bench *b, const struct arena_hard *x, const struct pairing *p, bool swapped) {
    struct place places[PLACES];
    struct buf text = {0};
    const size_t at = bench_add(b);
    struct bench_question *q = &b->questions[at];
    const char *system = system_of(x, p->question->category);
    places_of(places, p->question->prompt, (swapped ? p->own : p->base)->turns[0], (swapped ? p->base : p->own)->turns[0]);
    places_put(&text, x->template, places, PLACES);
    bench_put_asked(&q->messages, system, &text);
    q->remote.number = at / 2 + 1;
    buf_release(&text);
}

static status pair(struct bench *b, struct arena_hard *x, const struct question *q) {
    const char *baseline = baseline_of(x, b->o, q->category);
    struct pairing *p = &x->pairings[x->count];
    *p = (struct pairing){q, bench_answers_find(&x->own, q->id, NULL, 0), NULL, b->count};
    if (!p->own) {
        b->missing++;
        return ST_OK;
    }
    if (!baseline)
        return FAIL(ST_MISMATCH, "question %.80s: the category '%.80s' has no baseline of its own; give --baseline NAME", q->id,
                    q->category);
    p->base = bench_answers_find(&x->base, q->id, baseline, 0);
    if (!p->base)
        return FAIL(ST_MISMATCH, "question %.80s: --baseline-answers has no answer of %.80s (--baseline NAME takes another model)", q->id,
                    baseline);
    if (strcmp(p->own->model, baseline) == 0) return FAIL(ST_MISMATCH, "%s: '%.80s' is the baseline", b->o->answers, baseline);
    x->count++;
    put_question(b, x, p, false);
    put_question(b, x, p, true);
    return ST_OK;
}

static status open_arena(struct bench *b, bool v2) {
    const struct bench_options *o = b->o;
    struct arena_hard *x = b->state = mem_zero(1, sizeof *x);
    x->v2 = v2;
    x->limit = o->limit;
    TRY(read_prompts(x, o->prompts));
    TRY(rows_each(o->questions, take_question, x));
    if (!x->question_count) return FAIL(ST_FORMAT, "%s: no questions", o->questions);
    TRY(bench_answers_load(&x->own, o->answers, BENCH_FORM_ARENA));
    TRY(bench_answers_one_model(&x->own, o->answers, "answers"));
    for (size_t i = 0; i < o->baseline_count; i++) TRY(bench_answers_load(&x->base, o->baselines[i], BENCH_FORM_ARENA));
    x->pairings = mem_zero(x->question_count, sizeof *x->pairings);
    for (size_t i = 0; i < x->question_count; i++) TRY(pair(b, x, &x->questions[i]));
    return ST_OK;
}

static status open_v01(struct bench *b) { return open_arena(b, false); }
static status open_v2(struct bench *b) { return open_arena(b, true); }

/* ---- answers ---- */

/* The next match of n brackets, letters of "AB<>=", n brackets, from *at on; *at becomes the end. */
static bool next_label(const char **label, size_t *size, size_t *at, const struct buf *text, size_t brackets) {
    const char *t = buf_text(text);
    for (; *at + 2 * brackets < text->size; ++*at) {
        if (strncmp(t + *at, "[[", brackets) != 0) continue;
        *label = t + *at + brackets;
        *size = strspn(*label, "AB<>=");
        if (!*size || strncmp(*label + *size, "]]", brackets) != 0) continue;
        *at += 2 * brackets + *size;
        return true;
    }
    return false;
}

/* All judgements so far; one label, perhaps several times. */
static status read_v01(struct bench_question *q, const struct remote_answer *a) {
    static const char more[] = "continue your judgment and finish by outputting a final verdict label";
    const char *label, *first = NULL;
    size_t size, first_size = 0, at = 0;
    bool differ = false;
    buf_append_char(&q->said, '\n');
    buf_append(&q->said, buf_text(&a->text), a->text.size);
    while (next_label(&label, &size, &at, &q->said, 2)) {
        differ = differ || (first && (size != first_size || memcmp(label, first, size) != 0));
        first = label;
        first_size = size;
    }
    if (first) {
        if (!differ && first_size < sizeof q->verdict) memcpy(q->verdict, first, first_size);
        return ST_OK; /* several that differ are none, and not asked about again */
    }
    q->messages.size--; /* goes on behind the last message */
    bench_put_message(&q->messages, "assistant", buf_text(&a->text), a->text.size);
    bench_put_message(&q->messages, "user", more, sizeof more - 1);
    bench_end_messages(&q->messages);
    return FAIL(ST_FORMAT, "expected a verdict such as [[A>B]], found none");
}

/* The last label, in any case, of two brackets, else of one. */
static status read_v2(struct bench_question *q, const struct remote_answer *a) {
    static const char *const labels[] = {"A>>B", "A>B", "A=B", "B>A", "B>>A", "A<B", "A<<B", "B=A", "B<A", "B<<A"};
    struct buf upper = {0};
    const char *label, *last = NULL;
    size_t size, last_size = 0;
    buf_clear(&q->said);
    buf_append(&q->said, buf_text(&a->text), a->text.size);
    buf_append(&upper, buf_text(&a->text), a->text.size);
    for (size_t i = 0; i < upper.size; i++)
        if (upper.data[i] == 'a' || upper.data[i] == 'b') upper.data[i] = (char)(upper.data[i] - 'a' + 'A');
    for (size_t brackets = 2; brackets && !last; brackets--)
        for (size_t at = 0; next_label(&label, &size, &at, &upper, brackets);) last = label, last_size = size;
    for (size_t i = 0; last && i < sizeof labels / sizeof labels[0]; i++)
        if (strlen(labels[i]) == last_size && memcmp(labels[i], last, last_size) == 0) memcpy(q->verdict, labels[i], last_size);
    buf_release(&upper);
    return q->verdict[0] ? ST_OK : FAIL(ST_FORMAT, "expected a verdict such as [[A>B]], found none");
}

/* ---- model_judgment ---- */

static void put_score(struct buf *out, const struct bench_question *q) {
    buf_append_text(out, "\"score\": ");
    if (q->verdict[0])
        json_put_text(out, q->verdict);
    else
        buf_append_text(out, "null");
}

static void put_game_v01(struct buf *out, const struct bench_question *q) {
    struct json_iter it = json_iter_begin((struct json){q->messages.data, q->messages.size});
    struct json key, message = {0};
    for (size_t i = 0; i < 2; i++) (void)json_iter_next(&it, &key, &message);
    const struct json asked = json_get(message, "content");
    buf_append_text(out, "{\"user_prompt\": ");
    buf_append(out, asked.text, asked.size);
    buf_append_text(out, ", \"judgment\": ");
    if (q->said.size)
        json_put_string(out, q->said.data, q->said.size);
    else
        buf_append_text(out, "\"$ERROR$\""); /* refused: what the script writes then */
    buf_append_text(out, ", ");
    put_score(out, q);
    buf_append_char(out, '}');
}

static void put_game_v2(struct buf *out, const struct bench_question *q) {
    if (!q->said.size && q->remote.state == REMOTE_GIVEN_UP) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_char(out, '{');
    put_score(out, q);
    buf_append_text(out, ", \"judgment\": {\"answer\": ");
    json_put_string(out, buf_text(&q->said), q->said.size);
    buf_append_text(out, "}, \"prompt\": ");
    buf_append(out, q->messages.data, q->messages.size);
    buf_append_char(out, '}');
}

static void write(struct buf *out, const struct bench *b) {
    const struct arena_hard *x = b->state;
    for (size_t i = 0; i < x->count; i++) {
        const struct pairing *p = &x->pairings[i];
        const struct bench_question *q = &b->questions[p->first];
        buf_append_char(out, '{');
        bench_put_text(out, x->v2 ? "uid" : "question_id", p->question->id);
        if (x->v2) bench_put_text(out, "category", p->question->category);
        bench_put_text(out, "model", p->own->model);
        bench_put_text(out, "judge", b->o->judge);
        if (x->v2) bench_put_text(out, "baseline", p->base->model);
        buf_append_text(out, "\"games\": [");
        for (size_t game = 0; game < 2; game++) {
            if (game) buf_append_text(out, ", ");
            (x->v2 ? put_game_v2 : put_game_v01)(out, &q[game]);
        }
        buf_append_text(out, "]}\n");
    }
}

#define ARENA(version) .members = "", .open = open_##version, .read = read_##version, .write = write, .release = release
const struct bench_protocol bench_arena_v01 = {
    .name = "arena-hard-v0.1",
    .help = "Arena-Hard v0.1: A>>B to B>>A against gpt-4-0314, in both orders",
    .citation = "lmarena/arena-hard-auto 4ce0f00, gen_judgment.py",
    .needs = BENCH_NEEDS_BASELINES | BENCH_NEEDS_QUESTIONS | BENCH_TAKES_BASELINE,
    .max_tokens = 4096,
    .tries = 2,
    .continues = true,
    ARENA(v01),
};
const struct bench_protocol bench_arena_v2 = {
    .name = "arena-hard-v2",
    .help = "Arena-Hard v2: the same with the baseline and the prompt of each category",
    .citation = "lmarena/arena-hard-auto 196f6b8, gen_judgment.py",
    .needs = BENCH_NEEDS_BASELINES | BENCH_NEEDS_QUESTIONS | BENCH_TAKES_BASELINE,
    .max_tokens = 16000,
    .tries = 1,
    ARENA(v2),
};
