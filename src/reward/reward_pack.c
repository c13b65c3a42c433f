#include "reward/reward_pack.h"

#include <stdlib.h>
#include <string.h>

status reward_pack_open(struct reward_pack *p, const struct reward_options *o, bool rewards) {
    p->budget = o->budget;
    p->budget_option = o->budget_option ? o->budget_option : "micro-batch-tokens";
    TRY(encoder_open(&p->encoder, o->model));
    TRY(encoder_set_kwargs(&p->encoder, NULL, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    p->encoder.whole = rewards;
    return rewards ? scorer_open_rewards(&p->scorer, o->model, o->adapter, o->kind, o->budget, REWARD_PACK_MAX)
                   : scorer_open(&p->scorer, o->model, o->adapter, o->kind, o->budget, 16);
}

void reward_pack_release(struct reward_pack *p) {
    encoder_release(&p->encoder);
    scorer_release(&p->scorer);
    encoded_release(&p->encoded);
    ids_release(&p->ids);
    free(p->items);
}

status reward_pack_push(struct reward_pack *p, const struct ids *prompt, const struct ids *response) {
    const size_t size = prompt->count + response->count, longest = p->scorer.model.config.max_position;
    if (size > longest) return FAIL(ST_UNSUPPORTED, "%zu tokens with its prompt, more than the model's %zu positions", size, longest);
    if (size > p->budget) return FAIL(ST_UNSUPPORTED, "%zu tokens with its prompt; raise --%s (%zu)", size, p->budget_option, p->budget);
    TRY(scorer_need_positions(&p->scorer, size));
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 64;
        p->items = mem_resize(p->items, p->capacity * sizeof *p->items);
    }
    p->items[p->count++] = (struct pack_sequence){p->ids.count, (int32_t)size, (int32_t)prompt->count};
    ids_append(&p->ids, prompt->data, prompt->count);
    ids_append(&p->ids, response->data, response->count);
    return ST_OK;
}

static status add(struct reward_pack *p, const struct ids *prompt, const struct ids *response, size_t number) {
    if (!response->count) return FAIL(ST_FORMAT, "response %zu: no tokens", number + 1);
    if (!p->encoder.whole && !prompt->count)
        return FAIL(ST_FORMAT, "field prompt: no tokens; a response needs at least one token before it");
    status s = reward_pack_push(p, prompt, response);
    return s == ST_OK ? s : status_note(s, "response %zu: ", number + 1);
}

static status take_responses(struct reward_pack *p, const struct record *row) {
    struct encoded *x = &p->encoded;
    x->prompt.count = 0;
    if (!p->encoder.whole) TRY(encode_prompt(&x->prompt, &p->encoder, row));
    for (size_t i = 0; i < row->response_count; i++) {
        x->chosen.count = 0;
        TRY(encode_completion(&x->chosen, x, &p->encoder, row, &row->responses[i].text));
        const struct ids prompt = {.data = x->prompt.data, .count = x->common};
        TRY(add(p, &prompt, &x->chosen, i));
    }
    return ST_OK;
}

static status take_pair(struct reward_pack *p, const struct record *row) {
    struct encoded *x = &p->encoded;
    TRY(encode_record(x, &p->encoder, row));
    TRY(add(p, &x->prompt, &x->chosen, 0));
    return row->kind == RECORD_PAIR ? add(p, &x->prompt, &x->rejected, 1) : ST_OK;
}

status reward_pack_take(struct reward_pack *p, const struct record *row) {
    const size_t before = p->count;
    status s = row->kind == RECORD_RESPONSES ? take_responses(p, row) : take_pair(p, row);
    if (s != ST_OK) reward_pack_undo(p, p->count - before);
    return s;
}

void reward_pack_undo(struct reward_pack *p, size_t n) {
    if (!n) return;
    p->count -= n;
    p->ids.count = p->items[p->count].at;
}

/* Positions that a sequence adds behind the one before it: the two share what they begin with, and a tree may share more. */
static size_t added(const struct reward_pack *p, size_t i) {
    const struct pack_sequence *s = &p->items[i], *before = i ? s - 1 : NULL;
    const int32_t *ids = p->ids.data + s->at;
    int32_t same = 0;
    while (before && same < s->size && same < before->size && ids[same] == p->ids.data[before->at + (size_t)same]) same++;
    return (size_t)(s->size - same);
}

size_t reward_pack_next(const int32_t **ids, int32_t *sizes, int32_t *from, const struct reward_pack *p, bool all) {
    size_t n = 0, positions = 0, scored = 0;
    for (; n < p->count && n < REWARD_PACK_MAX; n++) {
        const struct pack_sequence *s = &p->items[n];
        positions += added(p, n);
        if (!p->encoder.whole) scored += (size_t)(s->size - s->from);
        if (positions > p->budget || scored > 2 * p->budget) break;
        ids[n] = p->ids.data + s->at;
        sizes[n] = s->size;
        from[n] = s->from;
    }
    return all || n < p->count ? n : 0;
}

void reward_pack_drop(struct reward_pack *p, size_t n) {
    const size_t at = n < p->count ? p->items[n].at : p->ids.count;
    if (!n) return;
    p->count -= n;
    p->ids.count -= at;
    if (p->count) memmove(p->items, p->items + n, p->count * sizeof *p->items);
    if (p->ids.count) memmove(p->ids.data, p->ids.data + at, p->ids.count * sizeof *p->ids.data);
    for (size_t i = 0; i < p->count; i++) p->items[i].at -= at;
}

status reward_pack_sums(struct reward_values *out, struct reward_pack *p, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX];
    double sums[REWARD_PACK_MAX];
    for (size_t n; (n = reward_pack_next(ids, sizes, from, p, all)) > 0; reward_pack_drop(p, n)) {
        TRY(scorer_sums(sums, &p->scorer, ids, sizes, from, (int32_t)n));
        for (size_t i = 0; i < n; i++) reward_values_add(out, sums[i]);
    }
    return ST_OK;
}
