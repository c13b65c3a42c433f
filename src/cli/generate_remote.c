/* generate_remote: rapt generate with a model behind an OpenAI-compatible endpoint. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_counts.h"
#include "cli/generate.h"

struct remote_job {
    struct generate_job rows; /* first */
    struct remote_options options;
    struct goal_style style;
    enum remote_goal_as as;
    struct remote *remote;
    const struct opt_result *given;
    const struct opt_spec *spec;
};

/* ---- goals ---- */

static status read_goals(struct remote_job *x, const struct generate_options *o) {
    struct generate_job *j = &x->rows;
    TRY(cli_endpoint_style(&x->style, o->style));
    j->style = &x->style;
    for (size_t i = 0; i < o->goals.count; i++) TRY(cli_endpoint_goals(&j->goals, &j->goal_texts, o->goals.items[i], &x->style, x->as));
    if (!j->goals.count) goal_list_add(&j->goals, &(struct goal){0});
    return ST_OK;
}

static status make_messages(struct generate_job *j, const struct goal *goal) {
    if (json_kind_of(j->record.prompt_ids) != JSON_NONE) return FAIL(ST_UNSUPPORTED, "field prompt_ids: an endpoint is asked in messages");
    if (j->o->raw && j->record.conversational)
        return FAIL(ST_UNSUPPORTED, "field prompt: a conversation, and with --raw an endpoint goes on from a text");
    return generate_put_goal(j, ((const struct remote_job *)j)->as == REMOTE_GOAL_PROMPT ? goal : &(const struct goal){0});
}

/* ---- requests ---- */

/* Sampling: what has a default everywhere is always said, the rest where it was asked for, since not every server knows it. */
static void put_sampling(struct buf *out, const struct remote_job *x, const struct generate_item *it) {
    const struct generate_options *o = x->rows.o;
    const struct {
        const char *option, *name;
        double value;
    } some[] = {{"top-k", "top_k", (double)o->sampling.top_k},
                {"min-p", "min_p", o->sampling.min_p},
                {"repetition-penalty", "repetition_penalty", o->sampling.repetition_penalty}};
    buf_append_text(out, ", \"temperature\": ");
    json_put_double(out, it->sampling->temperature);
    buf_append_text(out, ", \"top_p\": ");
    json_put_double(out, o->sampling.top_p);
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        if (!opt_given(x->given, x->spec, some[i].option)) continue;
        buf_printf(out, ", \"%s\": ", some[i].name);
        json_put_double(out, some[i].value);
    }
    const uint64_t seed = remote_seed((uint64_t)o->sampling.seed, it->row, it->sample);
    if (it->sampling->temperature > 0) buf_printf(out, ", \"seed\": %llu", (unsigned long long)seed);
    buf_printf(out, ", \"max_tokens\": %lld", (long long)o->max_new);
}

static void put(void *context, struct buf *out, const struct remote_question *asked) {
    const struct remote_job *x = context;
    const struct generate_item *it = (const struct generate_item *)asked;
    buf_append_char(out, '{');
    remote_put_model(out, x->options.model, it->goal_text, x->as);
    buf_append_text(out, x->options.text ? ", \"prompt\": " : ", \"messages\": ");
    if (x->options.text)
        json_put_string(out, buf_text(&it->asked), it->asked.size);
    else
        buf_append(out, it->asked.data, it->asked.size);
    buf_append(out, buf_text(&it->more), it->more.size);
    put_sampling(out, x, it);
    buf_append_char(out, '}');
}

/* The goal that the server says it took, which alone knows the names and what is best: a number, or numbers by name. False: it is neither.
 */
static bool put_took(struct buf *out, struct json took) {
    struct json key, value;
    struct json_iter it = json_iter_begin(took);
    double number;
    buf_clear(out);
    if (json_double(&number, took)) {
        goal_put_number(out, number);
        return true;
    }
    if (json_kind_of(took) != JSON_OBJECT || !json_count(took)) return false;
    for (size_t i = 0; json_iter_next(&it, &key, &value); i++) {
        if (!json_double(&number, value)) return false;
        buf_append_text(out, i ? ", " : "{");
        buf_append(out, key.text, key.size);
        buf_append_text(out, ": ");
        goal_put_number(out, number);
    }
    buf_append_char(out, '}');
    return true;
}

static status read(void *context, struct remote_question *asked, const struct remote_answer *a) {
    struct generate_item *it = (struct generate_item *)asked;
    (void)context;
    if (it->goal_text && isnan(it->goal.value[0]) && !put_took(&it->row_goal, json_get(a->root, "goal")))
        return FAIL(ST_FORMAT, "the answer does not say as \"goal\" which goal was taken for %s (rapt serve's does)", it->goal_text);
    buf_append(&it->text, buf_text(&a->text), a->text.size);
    it->tokens = a->completion_tokens;
    if (json_kind_of(a->finish) == JSON_STRING)
        it->finish = json_equals(a->finish, "stop") ? "stop" : json_equals(a->finish, "length") ? "length" : NULL;
    return ST_OK;
}

/* ---- the run ---- */

/* What is answered at the head of the queue. */
static status write_answered(struct remote_job *x) {
    struct generate_job *j = &x->rows;
    for (struct generate_item *it = j->first; it && it->remote.state != REMOTE_ASKED; it = it->later) {
        it->done = true;
        it->given_up = it->remote.state == REMOTE_GIVEN_UP;
    }
    TRY(generate_write_done(j));
    progress_update(&j->bar, j->responses, NULL);
    return ST_OK;
}

/* What a row has for the chat template, which is the server's. */
static void put_more(struct buf *out, const struct record *r) {
    if (r->tools.size) buf_printf(out, ", \"tools\": %.*s", (int)r->tools.size, r->tools.text);
    if (r->chat_template_kwargs.size)
        buf_printf(out, ", \"chat_template_kwargs\": %.*s", (int)r->chat_template_kwargs.size, r->chat_template_kwargs.text);
}

static status ask_all(struct remote_job *x) {
    struct generate_job *j = &x->rows;
    for (;;) {
        struct generate_item *it;
        TRY(generate_next(&it, j));
        if (!it) break;
        buf_append(&it->asked, j->asked.data, j->asked.size);
        if (!x->options.text) put_more(&it->more, &j->record);
        it->remote.number = it->row + 1;
        TRY(remote_ask(x->remote, &it->remote));
        while (remote_waiting(x->remote) >= REMOTE_WAITING_MAX) TRY(remote_work(x->remote));
        TRY(write_answered(x));
    }
    while (remote_waiting(x->remote)) {
        TRY(remote_work(x->remote));
        TRY(write_answered(x));
    }
    return write_answered(x);
}

static status check(const struct generate_options *o, const struct opt_result *r, const struct opt_spec *spec) {
    static const char *const local[] = {"model", "adapter", "chat-template-kwargs", "batch-size", "max-length", "dtype", "threads", NULL};
    static const char chat_path[] = "/chat/completions";
    const size_t n = strlen(o->endpoint.endpoint), tail = sizeof chat_path - 1;
    const struct cli_between tries = {"answer-tries", (double)o->answer_tries, 1, 100};
    TRY(cli_endpoint_instead(r, spec, local));
    if (o->raw && n >= tail && strcmp(o->endpoint.endpoint + n - tail, chat_path) == 0)
        return FAIL(ST_USAGE,
                    "--raw goes on from a text, which %s does not take: --endpoint expects https://host/v1, or the address of completions",
                    chat_path + 1);
    if (opt_given(r, spec, "goal-as") && !o->goals.count) return FAIL(ST_USAGE, "--goal-as has no effect without --goal");
    if (o->style && strcmp(o->goal_as, "prompt") != 0)
        return FAIL(ST_USAGE, "--goal-style has no effect with --goal-as %s: the server writes the goal", o->goal_as);
    return cli_check_between(&tries, 1);
}

static void tell(struct remote_job *x) {
    const struct remote_counts *counts = remote_counted(x->remote);
    const struct cli_count list[] = {REMOTE_COUNT_MAP(CLI_COUNT)};
    if (counts->given_up) log_warn("%llu responses are missing: their answers could not be read", (unsigned long long)counts->given_up);
    if (!x->rows.plain) cli_counts_print(list, sizeof list / sizeof list[0], false);
}

static status run(struct remote_job *x, const struct remote_calls *calls) {
    TRY(read_goals(x, x->rows.o));
    TRY(generate_open(&x->rows));
    TRY(remote_open(&x->remote, &x->options, calls));
    status s = ask_all(x);
    if (s == ST_OK) s = generate_commit(&x->rows);
    if (s == ST_OK || remote_counted(x->remote)->requests_sent) tell(x); /* what was paid for is told in any case */
    return s;
}

status generate_remote(const struct generate_options *o, const struct opt_result *r, const struct opt_spec *spec) {
    struct remote_job *x = mem_zero(1, sizeof *x);
    const struct remote_calls calls = {x, put, read};
    const bool file = o->output && strcmp(o->output, "-") != 0;
    x->rows.o = o;
    x->as = remote_goal_as_parse(o->goal_as);
    x->rows.make = make_messages;
    x->rows.chat = true;
    x->rows.last = &x->rows.first;
    x->given = r;
    x->spec = spec;
    x->options = (struct remote_options){.text = o->raw,
                                         .max_tokens = o->max_new,
                                         .answer_tries = o->answer_tries,
                                         .stop_on_bad = strcmp(o->bad_answer, "stop") == 0,
                                         .who = "model",
                                         .item = "row",
                                         .go_on = "--on-bad-answer skip"};
    status s = check(o, r, spec);
    if (s == ST_OK) s = cli_endpoint(&x->options, &o->endpoint, r, spec, o->output, file ? ".remote.jsonl" : NULL);
    if (s == ST_OK) s = run(x, &calls);
    remote_free(x->remote); /* before the questions that it knows */
    generate_release(&x->rows);
    goal_style_release(&x->style);
    free(x);
    return s;
}
