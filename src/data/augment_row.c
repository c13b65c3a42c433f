#include "data/augment_row.h"

#include <math.h>
#include <string.h>

void augment_writer_release(struct augment_writer *w) {
    buf_release(&w->prompt);
    buf_release(&w->side[0]);
    buf_release(&w->side[1]);
    buf_release(&w->others);
    *w = (struct augment_writer){0};
}

/* A text of the record as it will stand in the row: where the goal's place is a turn's, strings become one message. */
static void put_side(struct buf *out, const struct augment_writer *w, const struct buf *text, const char *role) {
    buf_clear(out);
    if (w->record->conversational) {
        buf_append(out, buf_text(text), text->size);
        return;
    }
    if (!w->messages) {
        json_put_string(out, buf_text(text), text->size);
        return;
    }
    buf_append_text(out, "[{\"role\": \"");
    buf_append_text(out, role);
    buf_append_text(out, "\", \"content\": ");
    json_put_string(out, buf_text(text), text->size);
    buf_append_text(out, "}]");
}

status augment_writer_begin(struct augment_writer *w, const struct record *r) {
    if (record_has_goal(r)) return FAIL(ST_FORMAT, "field goal: the row is goal-conditioned already");
    if (r->prompt_ids.size && !r->prompt.size)
        return FAIL(ST_FORMAT, "field prompt_ids: a goal cannot be written into token ids; texts are needed");
    w->record = r;
    const enum goal_placement place = w->o->style->placement;
    w->messages = r->conversational || place == GOAL_SYSTEM || place == GOAL_AFTER || w->o->paper_nosys_bug;
    put_side(&w->prompt, w, &r->prompt, "user");
    buf_clear(&w->others);
    pair_put_others(&w->others, r, w->o->mode == AUGMENT_SFT, w->o->style->attribute_count > 0);
    return ST_OK;
}

static status check_completion(const struct augment_writer *w, const struct buf *text, const char *name) {
    if (!w->record->conversational) return ST_OK;
    struct json_iter it = json_iter_begin((struct json){text->data, text->size});
    struct json key, message;
    if (!json_iter_next(&it, &key, &message)) return ST_OK;
    struct json role = json_get(message, "role");
    if (!json_equals(role, "user") && !json_equals(role, "system")) return ST_OK;
    return FAIL(ST_FORMAT, "field %s: its answer begins with a %.*s turn; the prompts of chosen and rejected must be the same", name,
                (int)(role.size - 2), role.text + 1);
}

status augment_writer_set(struct augment_writer *w, const struct buf *chosen, const struct buf *rejected, int64_t source_row) {
    TRY(check_completion(w, chosen, rejected ? "chosen" : "completion"));
    put_side(&w->side[0], w, chosen, "assistant");
    if (rejected) {
        TRY(check_completion(w, rejected, "rejected"));
        put_side(&w->side[1], w, rejected, "assistant");
    }
    w->source_row = source_row;
    return ST_OK;
}

static status put_prompt(struct buf *out, struct augment_writer *w, const struct augment_emit *e) {
    if (!e->goal.count) {
        buf_append(out, w->prompt.data, w->prompt.size);
        return ST_OK;
    }
    struct json prompt = {w->prompt.data, w->prompt.size};
    if (!w->messages) return goal_put_string(out, w->o->style, prompt, &e->goal);
    if (w->record->conversational || w->o->style->placement != GOAL_SYSTEM) return goal_put_messages(out, w->o->style, prompt, &e->goal);
    /* A string became one user message, so the goal's own turn goes before it; no need to look through the message again. */
    TRY(goal_put_messages(out, w->o->style, (struct json){"[]", 2}, &e->goal));
    out->data[out->size - 1] = ',';
    buf_append_char(out, ' ');
    buf_append(out, prompt.text + 1, prompt.size - 1);
    return ST_OK;
}

/* The inside of an array behind the inside of another. */
static void append_items(struct buf *out, const struct buf *array) {
    CHECK(out->size && out->data[out->size - 1] == ']');
    struct json_iter it = json_iter_begin((struct json){array->data, array->size});
    struct json key, item;
    out->size--;
    while (json_iter_next(&it, &key, &item)) {
        if (out->data[out->size - 1] != '[') buf_append_text(out, ", ");
        buf_append(out, item.text, item.size);
    }
    buf_append_char(out, ']');
}

/* Whole conversations, as the released code's data sets have them. add_neg_goal_nosys of its reward_augmentation.py changes the
 * conversations in place one after the other, so the rejected one gets the goal a second time, and the answers are not swapped. */
static status put_paper_sides(struct buf *out, struct augment_writer *w, const struct augment_emit *e) {
    struct buf once = {0}, twice = {0};
    status s = put_prompt(&once, w, e);
    if (s == ST_OK && e->goal.count && e->goal_of == GOAL_OF_REJECTED)
        s = goal_put_messages(&twice, w->o->style, (struct json){once.data, once.size}, &e->goal);
    else if (s == ST_OK)
        buf_append(&twice, once.data, once.size);
    if (s == ST_OK) {
        append_items(&once, &w->side[0]);
        append_items(&twice, &w->side[1]);
        buf_append_text(out, "{\"chosen\": ");
        buf_append(out, once.data, once.size);
        buf_append_text(out, ", \"rejected\": ");
        buf_append(out, twice.data, twice.size);
    }
    buf_release(&once);
    buf_release(&twice);
    return s;
}

static void put_score(struct buf *out, const char *key, double score) {
    if (isnan(score)) return;
    buf_append_text(out, key);
    json_put_double(out, score);
}

static void put_goal(struct buf *out, const struct augment_writer *w, const struct augment_emit *e) {
    if (!e->goal.count) return;
    buf_append_text(out, ", \"goal\": ");
    goal_put_json(out, w->o->style, &e->goal);
    if (e->goal_of == GOAL_OF_CHOSEN) buf_append_text(out, ", \"goal_of\": \"chosen\"");
    if (e->goal_of == GOAL_OF_REJECTED) buf_append_text(out, ", \"goal_of\": \"rejected\"");
}

/* What the attributes of a response are, as they were before any quantising. */
static void put_attributes(struct buf *out, const struct augment_writer *w, const char *key, const struct goal *exact) {
    if (!w->o->style->attribute_count || !exact->count) return;
    buf_append_text(out, key);
    goal_put_json(out, w->o->style, exact);
}

static void put_tail(struct buf *out, const struct augment_writer *w) {
    buf_append_text(out, ", \"source_row\": ");
    buf_append_int(out, w->source_row);
    buf_append(out, buf_text(&w->others), w->others.size);
    buf_append_text(out, "}\n");
}

status augment_put_pair(struct buf *out, struct augment_writer *w, const struct augment_emit *e, const double score[2],
                        const struct goal exact[2]) {
    if (w->o->paper_nosys_bug)
        TRY(put_paper_sides(out, w, e));
    else {
        buf_append_text(out, "{\"prompt\": ");
        TRY(put_prompt(out, w, e));
        buf_append_text(out, ", \"chosen\": ");
        buf_append(out, w->side[e->swap].data, w->side[e->swap].size);
        buf_append_text(out, ", \"rejected\": ");
        buf_append(out, w->side[!e->swap].data, w->side[!e->swap].size);
    }
    put_goal(out, w, e);
    put_score(out, ", \"score_chosen\": ", score[e->swap]);
    put_score(out, ", \"score_rejected\": ", score[!e->swap]);
    put_attributes(out, w, ", \"scores_chosen\": ", &exact[e->swap]);
    put_attributes(out, w, ", \"scores_rejected\": ", &exact[!e->swap]);
    put_tail(out, w);
    return ST_OK;
}

status augment_put_completion(struct buf *out, struct augment_writer *w, const struct augment_emit *e, double score,
                              const struct goal *exact) {
    buf_append_text(out, "{\"prompt\": ");
    TRY(put_prompt(out, w, e));
    buf_append_text(out, ", \"completion\": ");
    buf_append(out, w->side[0].data, w->side[0].size);
    put_goal(out, w, e);
    put_score(out, ", \"score\": ", score);
    put_attributes(out, w, ", \"scores\": ", exact);
    put_tail(out, w);
    return ST_OK;
}
