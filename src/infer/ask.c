#define _POSIX_C_SOURCE 200809L
#include "infer/ask.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "num/cpu.h"

/* What came with the adapter or the model. */
static status read_trained(struct goal_asker *g, const char *path) {
    if (g->trained) return ST_OK;
    status s = goal_text_of(&g->text, path);
    if (s != ST_OK || !g->text.size) return s;
    s = json_parse(&g->root, buf_text(&g->text), g->text.size);
    if (s == ST_OK) s = goal_style_parse(&g->style, g->root);
    g->trained = s == ST_OK;
    return s == ST_OK ? s : status_note(s, "%s: its goal: ", path);
}

status goal_asker_open(struct goal_asker *g, const char *model, const char *adapter, const char *style_file, const struct encoder *e) {
    *g = (struct goal_asker){0};
    status s = read_trained(g, adapter);
    g->baked = e->tokenizer && goal_is_baked(tokenizer_chat_template(e->tokenizer));
    if (s == ST_OK) s = read_trained(g, model);
    if (s == ST_OK && style_file) { /* the histogram stays the trained one's, and so does the best score */
        s = goal_style_replace(&g->style, style_file);
    } else if (s == ST_OK && !g->trained) {
        goal_style_default(&g->style);
        if (!e->chat) g->style.placement = GOAL_USER;
    }
    if (s == ST_OK && g->style.placement == GOAL_AUTO) g->style.placement = e->chat && chat_has_system(e->chat) ? GOAL_SYSTEM : GOAL_USER;
    if (s == ST_OK && g->style.placement == GOAL_SYSTEM && !e->chat)
        s = FAIL(ST_UNSUPPORTED,
                 "the goal stands in the system turn, but %s; a style with \"placement\": \"user\" does without (--goal-style)",
                 e->why_no_chat);
    if (s != ST_OK) goal_asker_release(g);
    return s;
}

void goal_asker_release(struct goal_asker *g) {
    goal_style_release(&g->style);
    buf_release(&g->text);
    *g = (struct goal_asker){0};
}

#define WHY_NO_BEST                                                                                                                        \
    "--goal best: no best goal is known, since none were compared for this model. On prompts kept aside: rapt generate --goal 2,4,6,8,10 " \
    "--n 4 "                                                                                                                               \
    "--input P --output S, rapt score --input S --output T --source NAME, rapt eval goal-curve --samples T --best-output "                 \
    "ADAPTER/goal.json"

static status check_unbaked(const struct goal_asker *g) {
    if (!g->baked) return ST_OK;
    return FAIL(ST_MISMATCH,
                "the model's chat template asks for a goal by itself (--bake-goal); leave the goal out, or take the model as it was");
}

status goal_asker_parse(struct goal *goal, const struct goal_asker *g, const char *text) {
    TRY(check_unbaked(g));
    return goal_parse(goal, &g->style, text, WHY_NO_BEST);
}

status goal_asker_parse_list(struct goal_list *goals, const struct goal_asker *g, const char *text) {
    TRY(check_unbaked(g));
    return goal_parse_list(goals, &g->style, text, WHY_NO_BEST);
}

/* How often goals stand in the training rows. */
struct trained {
    double own, all;     /* under the goal itself, in all */
    struct goal nearest; /* of those trained; none: no goal */
};

static void count_trained(struct trained *out, const struct goal_asker *g, struct json histogram, const struct goal *goal) {
    const struct goal asked = goal_printed(&g->style, goal); /* so that 8 and 8.0 count together */
    struct json key, value;
    struct json_iter it = json_iter_begin(histogram);
    *out = (struct trained){0};
    while (json_iter_next(&it, &key, &value)) {
        double count;
        struct goal trained;
        char *text = json_text(key);
        const bool known = text && json_double(&count, value) && count > 0 && goal_parse(&trained, &g->style, text, NULL) == ST_OK;
        free(text);
        if (!known) continue;
        const struct goal printed = goal_printed(&g->style, &trained);
        out->all += count;
        if (goal_equal(&printed, &asked)) out->own += count;
        if (!out->nearest.count || goal_distance(&g->style, &trained, goal) < goal_distance(&g->style, &out->nearest, goal))
            out->nearest = trained;
    }
}

void goal_asker_note(const struct goal_asker *g, const struct goal *goal) {
    const struct json histogram = json_get(g->root, "histogram");
    struct trained t;
    struct buf name = {0}, nearest = {0};
    goal_put_name(&name, &g->style, goal);
    if (goal_check_scale(&g->style, goal) != ST_OK) log_warn("%s", status_message());
    if (!g->trained) {
        log_info("goal %s: the model comes without a goal.json, so it may never have seen a goal; asked in the %s style", buf_text(&name),
                 goal_placement_name(g->style.placement));
    } else if (json_kind_of(histogram) == JSON_OBJECT) {
        count_trained(&t, g, histogram, goal);
        if (t.own > 0) {
            log_info("goal %s was trained %.0f times among %.0f goals (%.2g%%)", buf_text(&name), t.own, t.all, 100 * t.own / t.all);
        } else if (t.nearest.count) {
            goal_put_name(&nearest, &g->style, &t.nearest);
            log_warn("goal %s was never trained; the nearest trained goal is %s", buf_text(&name), buf_text(&nearest));
        }
    }
    buf_release(&name);
    buf_release(&nearest);
}

status infer_model_open(struct model *m, const char *path, const char *dtype) {
    const bool asked = strcmp(dtype, "int8") == 0, free_choice = strcmp(dtype, "auto") == 0 && cpu_has_avx512_vnni();
    TRY(model_open(m, path, asked || free_choice ? MATMUL_INT8 : matmul_kind_parse(dtype), MODEL_INFER));
    if (!asked || m->int8) return ST_OK;
    model_release(m);
    return FAIL(
        ST_USAGE,
        "--dtype int8: %s has no quantised weights that it could take (of a .gguf: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL)",
        path);
}

status decoder_open(struct decoder *d, struct model *m, const float *theta, const struct decode_options *wanted) {
    struct decode_options o = *wanted;
    if (o.length > m->config.max_position) o.length = m->config.max_position;
    const size_t bytes = decoder_bytes(m, &o);
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0 && bytes / (size_t)page > (size_t)pages)
        return FAIL(ST_NOMEM,
                    "%zu sequences of %zu tokens may need %.1f GB and this machine has %.1f GB; lower --batch-size or --max-length",
                    o.batch, o.length, (double)bytes / 1e9, (double)pages * (double)page / 1e9);
    return decoder_init(d, m, theta, &o);
}

status ask_put_goal(struct buf *out, const struct goal_style *style, struct json prompt, bool messages, const struct goal *goal) {
    if (!goal->count)
        buf_append(out, prompt.text, prompt.size);
    else if (messages)
        return goal_put_messages(out, style, prompt, goal);
    else if (style->placement == GOAL_SYSTEM)
        return FAIL(ST_FORMAT, "the goal stands in the system turn, and the prompt is a plain string");
    else
        goal_put_prompt(out, style, prompt.text, prompt.size, goal);
    return ST_OK;
}

void response_text(struct buf *out, const struct tokenizer *t, const struct decode_state *s) {
    size_t count = s->count;
    struct buf raw = {0};
    if (count && tokenizer_is_end(t, s->ids[count - 1])) count--;
    tokenizer_decode(t, &raw, s->ids, count, true);
    utf8_put_clean(out, buf_text(&raw), raw.size);
    buf_release(&raw);
}

void ask_put_system(struct buf *messages, const char *system) {
    struct json array = {buf_text(messages), messages->size}, key, first = {0};
    struct json_iter it = json_iter_begin(array);
    struct buf b = {0};
    if (json_iter_next(&it, &key, &first) && json_equals(json_get(first, "role"), "system")) return;
    buf_append_text(&b, "[{\"role\": \"system\", \"content\": ");
    json_put_text(&b, system);
    buf_append_text(&b, first.text ? "}, " : "}");
    buf_append(&b, array.text + 1, array.size - 1);
    buf_release(messages);
    *messages = b;
}
