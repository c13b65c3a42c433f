#include "eval/mc_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "format/rows.h"

/* ---- reading ---- */

static void document_release(struct mc_document *d) {
    mc_item_release(&d->item);
    buf_release(&d->row);
    buf_release(&d->context);
    free(d->logp);
    free(d->greedy);
}

void mc_set_release(struct mc_set *s) {
    for (size_t i = 0; i < s->count; i++) document_release(&s->items[i]);
    free(s->items);
    *s = (struct mc_set){0};
}

struct loading {
    struct mc_set *set;
    struct mc_reader *reader;
    size_t limit; /* 0: none */
};

static status add_document(void *context, struct json row) {
    const struct loading *x = context;
    struct mc_set *s = x->set;
    struct mc_reader *reader = x->reader;
    s->rows++;
    if (x->limit && s->count == x->limit) return ST_OK;
    if (json_kind_of(row) != JSON_OBJECT) return FAIL(ST_FORMAT, "expected an object, found %s", json_kind_name(json_kind_of(row)));
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 256;
        s->items = mem_resize(s->items, s->capacity * sizeof *s->items);
    }
    struct mc_document *d = &s->items[s->count++];
    *d = (struct mc_document){0};
    buf_append(&d->row, row.text, row.size);
    buf_clear(&reader->text);
    status code = s->task->read(&d->item, reader, row);
    if (code != ST_OK) return status_note(code, "(expected %s) ", s->task->fields);
    d->logp = mem_zero(d->item.count, sizeof *d->logp);
    d->greedy = mem_zero(d->item.count, sizeof *d->greedy);
    return ST_OK;
}

status mc_set_load(struct mc_set *s, const struct mc_task *task, const struct mc_extra *extra, const char *path, size_t limit) {
    struct mc_reader *reader = mem_zero(1, sizeof *reader);
    *s = (struct mc_set){.task = task};
    twister_seed_python(&reader->random, 0);
    reader->extra = extra;
    status code = rows_each(path, add_document, &(struct loading){s, reader, limit});
    if (code == ST_OK && !s->count) code = FAIL(ST_FORMAT, "%s: no rows", path);
    buf_release(&reader->text);
    free(reader);
    if (code != ST_OK) mc_set_release(s);
    return code;
}

status mc_shots_load(struct harness_shot **out, const struct mc_task *task, const struct mc_extra *extra, const char *path, size_t count) {
    struct mc_set set;
    TRY(mc_set_load(&set, task, extra, path, count));
    status code = set.count == count ? ST_OK : FAIL(ST_FORMAT, "%s: %zu rows, and %zu examples are asked for", path, set.count, count);
    *out = code == ST_OK ? mem_zero(count, sizeof **out) : NULL;
    for (size_t i = 0; code == ST_OK && i < count; i++) {
        const struct mc_item *item = &set.items[i].item;
        (*out)[i] = (struct harness_shot){mem_text(item->text), mem_text(item->choices[item->gold])};
    }
    mc_set_release(&set);
    return code;
}

/* ---- scoring ---- */

struct scoring {
    struct mc_set *set;
    struct reward_pack *pack;
    size_t document, choice; /* whose log-prob comes next */
    size_t keep, truncated;
    struct ids ids;
    struct progress bar;
};

static void next_result(struct scoring *x, double logp, bool greedy) {
    struct mc_document *d = &x->set->items[x->document];
    d->logp[x->choice] = logp;
    d->greedy[x->choice] = greedy;
    if (++x->choice < d->item.count) return;
    x->choice = 0;
    x->document++;
}

static status compute(struct scoring *x, bool all) {
    const int32_t *ids[REWARD_PACK_MAX];
    int32_t sizes[REWARD_PACK_MAX], from[REWARD_PACK_MAX];
    double sums[REWARD_PACK_MAX];
    bool greedy[REWARD_PACK_MAX];
    struct scorer *s = &x->pack->scorer;
    for (size_t n; (n = reward_pack_next(ids, sizes, from, x->pack, all)) > 0; reward_pack_drop(x->pack, n)) {
        TRY(scorer_sums(sums, s, ids, sizes, from, (int32_t)n));
        memset(greedy, true, sizeof greedy);
        for (int32_t i = 0; i < s->tree.score_count; i++) {
            const struct seqtree_score *e = &s->tree.scores[i];
            if (s->run.argmax[s->run.score_slot[i]] != e->target) greedy[e->sequence] = false;
        }
        for (size_t i = 0; i < n; i++) {
            if (!isfinite(sums[i]))
                return FAIL(ST_FORMAT, "the model gives a log-prob that is not finite (a broken checkpoint or adapter)");
            next_result(x, sums[i], greedy[i]);
        }
        progress_update(&x->bar, x->document, NULL);
    }
    return ST_OK;
}

static status push(struct scoring *x, const struct mc_document *d, size_t choice, bool chat) {
    struct buf continuation = {0};
    size_t from = 0;
    buf_printf(&continuation, "%s%s", chat ? "" : " ", d->item.choices[choice]);
    status code = harness_encode_pair(&x->ids, &from, &x->pack->encoder, &d->context, buf_text(&continuation));
    buf_release(&continuation);
    TRY(code);
    const size_t cut = x->ids.count > x->keep ? x->ids.count - x->keep : 0;
    if (cut >= from)
        return FAIL(ST_UNSUPPORTED, "the choice alone has %zu tokens; --max-length leaves room for %zu", x->ids.count - from, x->keep);
    if (cut) x->truncated++;
    const struct ids prompt = {.data = x->ids.data + cut, .count = from - cut},
                     answer = {.data = x->ids.data + from, .count = x->ids.count - from};
    return reward_pack_push(x->pack, &prompt, &answer);
}

static status score_documents(struct scoring *x, const struct harness_prompt *prompt, const char *description,
                              const struct harness_shot *shots, size_t shot_count) {
    for (size_t i = 0; i < x->set->count; i++) {
        struct mc_document *d = &x->set->items[i];
        status code = harness_context(&d->context, prompt, description, shots, shot_count, d->item.text);
        for (size_t k = 0; code == ST_OK && k < d->item.count; k++) code = push(x, d, k, prompt->chat);
        if (code != ST_OK) return status_note(code, "question %zu: ", i + 1);
        TRY(compute(x, false));
    }
    return compute(x, true);
}

/* ---- figures: process_results ---- */

/* The first of the largest, each divided by a length: 0 none, 1 characters, 2 bytes. */
static size_t best_choice(const struct mc_document *d, int length) {
    size_t best = 0;
    double most = -(double)INFINITY;
    for (size_t i = 0; i < d->item.count; i++) {
        const char *text = d->item.choices[i];
        const double by = length == 0   ? 1
                          : length == 1 ? (double)utf8_count(text, strlen(text))
                                        : (double)strlen(text),
                     value = d->logp[i] / by;
        if (value > most) most = value, best = i;
    }
    return best;
}

/* sum of p over the right answers / sum of p. The largest log-prob is taken off first, so that long answers do not all become 0. */
static double right_mass(const struct mc_document *d) {
    double most = -(double)INFINITY, all = 0, right = 0;
    for (size_t i = 0; i < d->item.count; i++) most = fmax(most, d->logp[i]);
    for (size_t i = 0; i < d->item.count; i++) {
        const double p = exp(d->logp[i] - most);
        all += p;
        if (d->item.right[i]) right += p;
    }
    return right / all;
}

static void judge(struct mc_document *d, unsigned flags) {
    d->acc = flags & MC_MASS ? right_mass(d) : best_choice(d, 0) == d->item.gold;
    d->acc_norm = best_choice(d, 1) == d->item.gold;
    d->acc_bytes = best_choice(d, 2) == d->item.gold;
}

void mc_judge(struct mc_set *s) {
    for (size_t i = 0; i < s->count; i++) judge(&s->items[i], s->task->flags);
}

status mc_run(struct mc_set *s, size_t *truncated, struct reward_pack *pack, const struct harness_prompt *prompt, const char *description,
              const struct harness_shot *shots, size_t shot_count, size_t max_length) {
    const size_t most = pack->scorer.model.config.max_position;
    struct scoring x = {.set = s, .pack = pack, .keep = max_length && max_length < most ? max_length + 1 : most};
    progress_begin(&x.bar, "eval", "questions", s->count);
    status code = score_documents(&x, prompt, description, shots, shot_count);
    progress_end(&x.bar, x.document, NULL);
    ids_release(&x.ids);
    if (code == ST_OK) mc_judge(s);
    *truncated = x.truncated;
    return code;
}

size_t mc_figures(struct harness_figure out[3], const struct mc_set *s) {
    static const char *const names[] = {"acc", "acc_norm", "acc_bytes"};
    const size_t count = s->task->flags & MC_MASS ? 1 : 3;
    double *values = mem_zero(s->count, sizeof *values);
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < s->count; i++) values[i] = k == 0 ? s->items[i].acc : k == 1 ? s->items[i].acc_norm : s->items[i].acc_bytes;
        out[k] = (struct harness_figure){names[k], "none", harness_mean_of(values, s->count)};
    }
    free(values);
    return count;
}

/* ---- samples ---- */

static void put_response(struct buf *out, const struct mc_document *d, size_t i, const char *open, const char *close) {
    buf_printf(out, "%s%s[\"", i ? ", " : "", open);
    json_put_double(out, d->logp[i]);
    buf_printf(out, "\", \"%s\"]%s", d->greedy[i] ? "True" : "False", close);
}

static void put_sample(struct buf *out, const struct mc_document *d, size_t index, unsigned flags, bool chat) {
    struct buf text = {0};
    buf_printf(out, "{\"doc_id\": %zu, \"doc\": ", index);
    buf_append(out, d->row.data, d->row.size);
    buf_append_text(out, ", \"target\": ");
    buf_append(out, d->item.gold_text.data, d->item.gold_text.size);
    buf_append_text(out, ", \"arguments\": {");
    for (size_t i = 0; i < d->item.count; i++) {
        buf_printf(out, "%s\"gen_args_%zu\": {\"arg_0\": ", i ? ", " : "", i);
        json_put_string(out, buf_text(&d->context), d->context.size);
        buf_clear(&text);
        buf_printf(&text, "%s%s", chat ? "" : " ", d->item.choices[i]);
        buf_append_text(out, ", \"arg_1\": ");
        json_put_string(out, text.data, text.size);
        buf_append_char(out, '}');
    }
    buf_append_text(out, "}, \"resps\": [");
    for (size_t i = 0; i < d->item.count; i++) put_response(out, d, i, "[", "]");
    buf_append_text(out, "], \"filtered_resps\": [");
    for (size_t i = 0; i < d->item.count; i++) put_response(out, d, i, "", "");
    buf_printf(
        out, "], \"filter\": \"none\", \"metrics\": [%s], \"acc\": ", flags & MC_MASS ? "\"acc\"" : "\"acc\", \"acc_norm\", \"acc_bytes\"");
    json_put_double(out, d->acc);
    if (!(flags & MC_MASS)) buf_printf(out, ", \"acc_norm\": %.0f, \"acc_bytes\": %.0f", d->acc_norm, d->acc_bytes);
    buf_append_text(out, "}\n");
    buf_release(&text);
}

void mc_put_samples(struct buf *out, const struct mc_set *s, bool chat) {
    for (size_t i = 0; i < s->count; i++) put_sample(out, &s->items[i], i, s->task->flags, chat);
}
