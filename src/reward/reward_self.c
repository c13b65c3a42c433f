/* reward_self: a goal-conditioned policy as its own judge. With every goal as likely beforehand, Bayes' rule gives P(g | x, y) = pi(y|x,g)
 * / sum over g' of pi(y|x,g'): its likeliest goal, or its mean, is the score. per_token: log pi(y|x,g) is divided by the response's tokens
 * first, which flattens P; the likeliest goal stays. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reward/reward_pack.h"
#include "text/goal.h"

struct self_row {
    struct self_row *next;
    size_t responses;
    double *lengths; /* [responses] tokens */
};
struct self {
    struct reward_pack pack;
    struct goal_style style; /* placement resolved */
    double *goals;           /* [goal_count] ascending */
    size_t goal_count;
    bool per_token, expected;
    struct reward_values sums; /* of the first rows: for each goal, for each response */
    struct self_row *first, **last;
    struct record asked; /* scratch: the row under a goal */
    struct buf prompt;   /* scratch: its messages without goal */
};

/* The goal as the policy was trained with it. */
static status open_style(struct self *x, const struct reward_options *o) {
    struct buf text = {0};
    struct json root;
    const struct encoder *e = &x->pack.encoder;
    if (e->tokenizer && goal_is_baked(tokenizer_chat_template(e->tokenizer)))
        return FAIL(ST_MISMATCH, "%s: its chat template asks for a goal by itself (export --bake-goal); take the model as it was",
                    o->model);
    status s = goal_text_find(&text, o->adapter, o->model);
    if (s == ST_OK && !text.size) s = FAIL(ST_MISMATCH, "no goal.json: it was not trained under goals, and has nothing to say about them");
    if (s == ST_OK) s = json_parse(&root, buf_text(&text), text.size);
    if (s == ST_OK) s = goal_style_parse(&x->style, root);
    if (s == ST_OK && x->style.attribute_count) s = FAIL(ST_UNSUPPORTED, "has several attributes; --source self tries goals of one score");
    if (s != ST_OK) s = status_note(s, "the goal of %s: ", o->adapter ? o->adapter : o->model);
    buf_release(&text);
    TRY(s);
    if (x->style.placement == GOAL_AUTO) x->style.placement = e->chat && chat_has_system(e->chat) ? GOAL_SYSTEM : GOAL_USER;
    return ST_OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static status open_goals(struct self *x, const struct reward_options *o) {
    const double low = ceil(x->style.low), high = floor(x->style.high);
    if (!o->goal_count && !(high - low >= 1 && high - low <= 100))
        return FAIL(ST_USAGE, "--goals G,G,... is needed: the scale from %g to %g has no 2 to 101 whole numbers", x->style.low,
                    x->style.high);
    x->goal_count = o->goal_count ? o->goal_count : (size_t)(high - low) + 1;
    x->goals = mem_zero(x->goal_count, sizeof *x->goals);
    for (size_t i = 0; i < x->goal_count; i++) x->goals[i] = o->goal_count ? o->goals[i] : low + (double)i;
    qsort(x->goals, x->goal_count, sizeof *x->goals, by_value);
    return ST_OK;
}

status reward_self_open(struct reward *r, const struct reward_options *o) {
    struct self *x = r->state = mem_zero(1, sizeof *x);
    r->setting = mem_text("self");
    x->last = &x->first;
    x->per_token = o->per_token;
    x->expected = o->expected;
    TRY(reward_pack_open(&x->pack, o, false));
    TRY(open_style(x, o));
    return open_goals(x, o);
}

static void row_free(struct self_row *row) {
    free(row->lengths);
    free(row);
}

void reward_self_release(struct reward *r) {
    struct self *x = r->state;
    for (struct self_row *row = x->first, *next; row; row = next) {
        next = row->next;
        row_free(row);
    }
    reward_pack_release(&x->pack);
    goal_style_release(&x->style);
    free(x->goals);
    reward_values_release(&x->sums);
    record_release(&x->asked);
    buf_release(&x->prompt);
    free(x);
}

static void put_turn(struct buf *out, const char *role, const struct buf *text, bool is_messages) {
    buf_clear(out);
    if (is_messages) {
        buf_append(out, buf_text(text), text->size);
        return;
    }
    buf_printf(out, "[{\"role\": \"%s\", \"content\": ", role);
    json_put_string(out, buf_text(text), text->size);
    buf_append_text(out, "}]");
}

/* As augment writes rows: strings become messages where the goal stands in a turn of its own or behind one, and stay strings before the
 * first. */
static status make_row(struct self *x, const struct record *row) {
    struct record *a = &x->asked;
    if (row->chosen_ids.size || row->prompt_ids.size) return FAIL(ST_FORMAT, "the row holds token ids: no goal can be written into them");
    if (record_has_goal(row) && strcmp(row->form, "samples") != 0)
        return FAIL(ST_FORMAT, "field goal: the row's prompt asks for a goal already; give rows as they were before rapt augment");
    if (row->conversational ? !json_count((struct json){buf_text(&row->prompt), row->prompt.size}) : !row->prompt.size)
        return FAIL(ST_FORMAT, "field prompt: the row has none, and the goal stands in it");
    const bool chat = row->conversational || x->style.placement != GOAL_USER;
    record_clear(a);
    a->response_count = 0;
    a->kind = RECORD_RESPONSES;
    a->conversational = chat;
    a->tools = row->tools;
    a->chat_template_kwargs = row->chat_template_kwargs;
    for (size_t i = 0; i < reward_responses(row); i++) {
        struct buf *text = &record_add_response(a)->text;
        if (chat)
            put_turn(text, "assistant", reward_response(row, i), row->conversational);
        else
            buf_append(text, buf_text(reward_response(row, i)), reward_response(row, i)->size);
    }
    buf_clear(&x->prompt);
    if (chat)
        put_turn(&x->prompt, "user", &row->prompt, row->conversational);
    else
        buf_append(&x->prompt, buf_text(&row->prompt), row->prompt.size);
    return ST_OK;
}

static status ask(struct self *x, double score) {
    const struct goal goal = goal_of_score(score);
    struct record *a = &x->asked;
    buf_clear(&a->prompt);
    if (a->conversational)
        TRY(goal_put_messages(&a->prompt, &x->style, (struct json){buf_text(&x->prompt), x->prompt.size}, &goal));
    else
        goal_put_prompt(&a->prompt, &x->style, buf_text(&x->prompt), x->prompt.size, &goal);
    return reward_pack_take(&x->pack, a);
}

/* The likeliest goal, the lower of two as likely; or the mean over goals. */
static double read_goal(const struct self *x, const double *sums, size_t stride, double length) {
    const double scale = x->per_token ? 1 / length : 1;
    size_t best = 0;
    double total = 0, mean = 0;
    for (size_t g = 1; g < x->goal_count; g++)
        if (sums[g * stride] > sums[best * stride]) best = g;
    if (!x->expected) return x->goals[best];
    for (size_t g = 0; g < x->goal_count; g++) {
        const double p = exp(scale * (sums[g * stride] - sums[best * stride]));
        total += p;
        mean += p * x->goals[g];
    }
    return mean / total;
}

static status work(struct self *x, struct reward_values *out, bool all) {
    TRY(reward_pack_sums(&x->sums, &x->pack, all));
    for (struct self_row *row; (row = x->first) != NULL && x->sums.count >= row->responses * x->goal_count;) {
        for (size_t i = 0; i < row->responses * x->goal_count; i++)
            if (!isfinite(x->sums.items[i])) return FAIL(ST_MISMATCH, "log-probs are not finite: a broken checkpoint or adapter");
        for (size_t i = 0; i < row->responses; i++)
            reward_values_add(out, read_goal(x, x->sums.items + i, row->responses, row->lengths[i]));
        reward_values_drop(&x->sums, row->responses * x->goal_count);
        x->first = row->next;
        if (!x->first) x->last = &x->first;
        row_free(row);
    }
    CHECK(!all || !x->first);
    return ST_OK;
}

status reward_self_score(struct reward *r, struct reward_values *out, const struct record *record) {
    struct self *x = r->state;
    const size_t n = reward_responses(record), before = x->pack.count;
    TRY(make_row(x, record));
    for (size_t g = 0; g < x->goal_count; g++) {
        status s = ask(x, x->goals[g]);
        if (s == ST_OK) continue;
        reward_pack_undo(&x->pack, x->pack.count - before);
        return s;
    }
    struct self_row *row = mem_zero(1, sizeof *row);
    row->responses = n;
    row->lengths = mem_zero(n + 1, sizeof *row->lengths);
    for (size_t i = 0; i < n; i++) row->lengths[i] = x->pack.items[before + i].size - x->pack.items[before + i].from;
    *x->last = row;
    x->last = &row->next;
    return work(x, out, false);
}

status reward_self_flush(struct reward *r, struct reward_values *out) { return work(r->state, out, true); }
