#include "cli/cli_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_counts.h"
#include "cli/cli_model.h"

static status check_endpoint(const struct harness_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                             const char *const *local) {
    static const char *const remote[] = {"goal-as", "answer-tries"};
    const struct cli_between tries = {"answer-tries", (double)f->answer_tries, 1, 100};
    if (!f->endpoint.endpoint) {
        TRY(cli_endpoint_unused(given, spec));
        for (size_t i = 0; i < 2; i++)
            if (opt_given(given, spec, remote[i])) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", remote[i]);
        return ST_OK;
    }
    TRY(cli_endpoint_instead(given, spec, local));
    if (!f->goal && opt_given(given, spec, "goal-as")) return FAIL(ST_USAGE, "--goal-as has no effect without --goal");
    if (f->style && strcmp(f->goal_as, "prompt") != 0)
        return FAIL(ST_USAGE, "--goal-style has no effect with --goal-as %s: the server writes the goal", f->goal_as);
    return cli_check_between(&tries, 1);
}

status cli_harness_check(const struct harness_flags *f, const struct opt_result *given, const struct opt_spec *spec,
                         const char *const *local) {
    if (given->positional_count) return FAIL(ST_USAGE, "'%s' is not an option of rapt %s", given->positional[0], spec->command);
    if ((!f->model && !f->endpoint.endpoint) || !f->data) return FAIL(ST_USAGE, "--model (or --endpoint) and --data are needed");
    TRY(check_endpoint(f, given, spec, local));
    if (f->shots < 0 || f->shots > 1000) return FAIL(ST_USAGE, "--num-fewshot expects 0 to 1000");
    if (f->limit < 0) return FAIL(ST_USAGE, "--limit expects 0 or more");
    if (f->fewshot_data && !f->shots) return FAIL(ST_USAGE, "--fewshot-data has no effect with --num-fewshot 0");
    if (f->fewshot_data && strcmp(f->fewshot_data, f->data) == 0)
        return FAIL(ST_USAGE, "--fewshot-data is --data: questions would be their own examples");
    if (f->kwargs && !f->chat) return FAIL(ST_USAGE, "--chat-template-kwargs has no effect without --apply-chat-template");
    if (opt_given(given, spec, "fewshot-as-multiturn") && (!f->chat || !f->shots))
        return FAIL(ST_USAGE, "--fewshot-as-multiturn has no effect without --apply-chat-template and examples");
    if (f->style && !f->goal) return FAIL(ST_USAGE, "--goal-style has no effect without --goal");
    return cli_threads(f->threads);
}

status cli_harness_prompt(struct harness_prompt *p, struct goal_asker *asker, const struct harness_flags *f, struct encoder *e) {
    *p = (struct harness_prompt){.encoder = e, .system = f->system, .chat = f->chat, .one_turn = !f->multiturn};
    *asker = (struct goal_asker){0};
    if (!e->tokenizer) return FAIL(ST_UNSUPPORTED, "%s: there is no tokenizer", f->model);
    if (f->chat && !e->chat) return FAIL(ST_UNSUPPORTED, "--apply-chat-template: %s", e->why_no_chat);
    if (!f->goal) return ST_OK;
    TRY(goal_asker_open(asker, f->model, f->adapter, f->style, e));
    TRY(goal_asker_parse(&p->goal, asker, f->goal));
    goal_asker_note(asker, &p->goal);
    p->style = &asker->style;
    if (!f->chat && p->style->placement == GOAL_SYSTEM)
        return FAIL(ST_USAGE, "--goal: the goal stands in the system turn, so --apply-chat-template is needed, or a --goal-style with "
                              "\"placement\": \"user\"");
    return ST_OK;
}

static status put_goal(struct harness_endpoint *x, struct harness_prompt *p, const struct harness_flags *f) {
    x->remote.as = remote_goal_as_parse(f->goal_as);
    TRY(cli_endpoint_style(&x->style, f->style));
    TRY(cli_endpoint_goals(&x->goals, &x->texts, f->goal, &x->style, x->remote.as));
    if (x->goals.count != 1) return FAIL(ST_USAGE, "--goal expects one goal");
    if (x->remote.as != REMOTE_GOAL_PROMPT) {
        p->goal_told = x->remote.goal = x->texts.items[0];
        return ST_OK;
    }
    p->style = &x->style;
    p->goal = x->goals.items[0];
    if (!f->chat && p->style->placement == GOAL_SYSTEM)
        return FAIL(ST_USAGE, "--goal: the goal stands in the system turn, so --apply-chat-template is needed, or a --goal-style with "
                              "\"placement\": \"user\"");
    return ST_OK;
}

status cli_harness_endpoint(struct harness_endpoint *x, struct harness_prompt *p, const struct harness_flags *f,
                            const struct opt_result *given, const struct opt_spec *spec, const char *task, bool text, struct encoder *e) {
    static const char chat_path[] = "/chat/completions";
    const size_t n = strlen(f->endpoint.endpoint), tail = sizeof chat_path - 1;
    struct buf suffix = {0};
    *x = (struct harness_endpoint){
        .options = {.text = text, .answer_tries = f->answer_tries, .stop_on_bad = true, .who = "model", .item = "question"}};
    *p = (struct harness_prompt){.encoder = e, .system = f->system, .chat = f->chat, .one_turn = !f->multiturn};
    x->remote = (struct harness_remote){.o = &x->options, .counts = &x->counts};
    if (text && n >= tail && strcmp(f->endpoint.endpoint + n - tail, chat_path) == 0)
        return FAIL(ST_USAGE,
                    "questions are put as text, which %s does not take: --endpoint expects https://host/v1, or the address of completions",
                    chat_path + 1);
    if (f->output) TRY(file_make_dirs(f->output));
    buf_printf(&suffix, "/%s.remote.jsonl", task);
    const status s = cli_endpoint(&x->options, &f->endpoint, given, spec, f->output, f->output ? buf_text(&suffix) : NULL);
    buf_release(&suffix);
    TRY(s);
    return f->goal ? put_goal(x, p, f) : ST_OK;
}

void cli_harness_endpoint_release(struct harness_endpoint *x) {
    const struct remote_counts *counts = &x->counts;
    const struct cli_count list[] = {REMOTE_COUNT_MAP(CLI_COUNT)};
    cli_counts_print(list, sizeof list / sizeof list[0], false);
    goal_style_release(&x->style);
    goal_list_release(&x->goals);
    endpoint_texts_release(&x->texts);
}

static status write_one(const struct harness_flags *f, const char *kind, const char *task, const char *ending, const struct buf *content) {
    char name[256];
    snprintf(name, sizeof name, "%s_%s.%s", kind, task, ending);
    char *path = file_join(f->output, name);
    const status s = file_write(path, content->data, content->size);
    free(path);
    return s;
}

status cli_harness_write(const struct harness_flags *f, const char *task, const struct buf *json, const struct buf *text,
                         const struct buf *samples) {
    if (f->output) {
        TRY(file_make_dirs(f->output));
        TRY(write_one(f, "results", task, "json", json));
        TRY(write_one(f, "samples", task, "jsonl", samples));
    }
    fputs(buf_text(f->json ? json : text), stdout);
    return ST_OK;
}
