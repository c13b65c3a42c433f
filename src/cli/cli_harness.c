#include "cli/cli_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_model.h"

status cli_harness_check(const struct harness_flags *f, const struct opt_result *given, const struct opt_spec *spec) {
    if (given->positional_count) return FAIL(ST_USAGE, "'%s' is not an option of rapt %s", given->positional[0], spec->command);
    if (!f->model || !f->data) return FAIL(ST_USAGE, "--model and --data are needed");
    if (f->shots < 0 || f->shots > 1000) return FAIL(ST_USAGE, "--num-fewshot expects 0 to 1000");
    if (f->limit < 0) return FAIL(ST_USAGE, "--limit expects 0 or more");
    if (f->fewshot_data && !f->shots) return FAIL(ST_USAGE, "--fewshot-data has no effect with --num-fewshot 0");
    if (f->fewshot_data && strcmp(f->fewshot_data, f->data) == 0) return FAIL(ST_USAGE, "--fewshot-data is --data: questions would be their own examples");
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
        return FAIL(ST_USAGE, "--goal: the goal stands in the system turn, so --apply-chat-template is needed, or a --goal-style with \"placement\": \"user\"");
    return ST_OK;
}

static status write_one(const struct harness_flags *f, const char *kind, const char *task, const char *ending, const struct buf *content) {
    char name[256];
    snprintf(name, sizeof name, "%s_%s.%s", kind, task, ending);
    char *path = file_join(f->output, name);
    const status s = file_write(path, content->data, content->size);
    free(path);
    return s;
}

status cli_harness_write(const struct harness_flags *f, const char *task, const struct buf *json, const struct buf *text, const struct buf *samples) {
    if (f->output) {
        TRY(file_make_dirs(f->output));
        TRY(write_one(f, "results", task, "json", json));
        TRY(write_one(f, "samples", task, "jsonl", samples));
    }
    fputs(buf_text(f->json ? json : text), stdout);
    return ST_OK;
}
