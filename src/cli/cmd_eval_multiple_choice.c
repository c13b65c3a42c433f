/* rapt eval multiple-choice: ARC, TruthfulQA, GPQA, MuSR and BIG-Bench Hard, as lm-evaluation-harness counts them. */
#include <string.h>

#include "cli/cli_harness.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "eval/mc_run.h"

struct options {
    struct harness_flags h;
    const char *task, *task_file, *tokenizer;
    int64_t max_length, budget;
};

#define FIELD(name) offsetof(struct options, name)
#define HARNESS(name) offsetof(struct options, h.name)
#define HARNESS_ENDPOINT(name) offsetof(struct options, h.endpoint.name)
static const struct opt_row rows[] = {
    {"task", OPT_STR, FIELD(task), "NAME", NULL, NULL, "one of:"},
    {"task-file", OPT_STR, FIELD(task_file), "F.yaml", NULL, NULL,
     "leaderboard_bbh: the subtask as lm-evaluation-harness has it, lm_eval/tasks/leaderboard/bbh_mc/SUBTASK.yaml: description, choices "
     "and examples"},
    HARNESS_ROWS(HARNESS, "0", DTYPE_CHOICES, DTYPE_HELP),
    {"max-length", OPT_INT, FIELD(max_length), "N", "0", NULL,
     "tokens of a question and its choice; longer ones lose their head and are counted. 0 = the model's positions"},
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "4096", NULL,
     "positions computed at a time; what questions and examples share counts once"},
    HARNESS_ENDPOINT_ROWS(HARNESS, "D/TASK.remote.jsonl of --output-path; without it none"),
    {"tokenizer", OPT_STR, FIELD(tokenizer), "M", NULL, NULL,
     "the served model's folder, .gguf file or tokenizer.json: prompts go as its token ids, and --apply-chat-template is its template. "
     "Without it they go as "
     "text, and a choice begins where the server says that its token begins"},
};

static void put_names(struct buf *out, const char *option) {
    if (strcmp(option, "task") != 0) return;
    for (size_t i = 0; i < mc_task_count; i++) buf_printf(out, "%s%s", i ? ", " : "", mc_task_table[i].name);
}

const struct opt_spec cmd_eval_multiple_choice_spec = {
    .command = "eval multiple-choice",
    .summary = "Accuracy on ARC, TruthfulQA, GPQA, MuSR, BIG-Bench Hard: by the log-prob of each choice, as lm-evaluation-harness.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .example = "rapt eval multiple-choice --model M.gguf --task arc_challenge --data ARC-Challenge-Test.jsonl --num-fewshot 25 "
               "--fewshot-data train.jsonl\n"
               "rapt eval multiple-choice --model M --adapter runs/ra --goal 10 --apply-chat-template --task truthfulqa_mc2 --data "
               "validation.parquet\n"
               "rapt eval multiple-choice --model M --task leaderboard_bbh --task-file bbh_mc/navigate.yaml --data navigate.json "
               "--num-fewshot 3 --output-path out\n"
               "rapt eval multiple-choice --endpoint http://localhost:8000/v1 --endpoint-model NAME --tokenizer M --task arc_challenge "
               "--data ARC-Challenge-Test.jsonl --output-path out",
    .notes = "docs/evaluation.md has the forms of the rows and the formulas.",
};

static status check_tokenizer(const struct options *o) {
    const bool remote = o->h.endpoint.endpoint, told = o->h.goal && strcmp(o->h.goal_as, "prompt") != 0;
    if (!remote) return o->tokenizer ? FAIL(ST_USAGE, "--tokenizer has no effect without --endpoint") : ST_OK;
    if (o->h.chat && !o->tokenizer)
        return FAIL(ST_USAGE, "--apply-chat-template: no endpoint gives log-probs of a conversation's prompt; --tokenizer M, whose "
                              "template is the served model's, makes it a text");
    if (o->tokenizer && told)
        return FAIL(ST_USAGE,
                    "--goal-as %s: with --tokenizer prompts are token ids, into which no server writes a goal; --goal-as prompt does",
                    o->h.goal_as);
    return ST_OK;
}

static status check(const struct options *o, const struct mc_task *task, const struct opt_result *r) {
    static const char *const local[] = {"model", "adapter", "dtype", "threads", "max-length", "micro-batch-tokens", NULL};
    const bool file = task->flags & MC_NEEDS_FILE;
    TRY(cli_harness_check(&o->h, r, &cmd_eval_multiple_choice_spec, local));
    TRY(check_tokenizer(o));
    if (file && !o->task_file) return FAIL(ST_USAGE, "--task %s needs --task-file SUBTASK.yaml", task->name);
    if (!file && o->task_file) return FAIL(ST_USAGE, "--task-file has no effect with --task %s", task->name);
    if (o->h.shots && task->flags & MC_NO_SHOTS)
        return FAIL(ST_USAGE, "--num-fewshot: %s has no examples but those of its prompt", task->name);
    if (o->h.shots && !file && !o->h.fewshot_data) return FAIL(ST_USAGE, "--num-fewshot needs --fewshot-data F");
    TRY(cli_micro_batch_tokens(o->budget));
    if (o->max_length < 0 || o->max_length > 1 << 24) return FAIL(ST_USAGE, "--max-length expects 0 to 16777216");
    return ST_OK;
}

/* The examples: of --fewshot-data, else those of the task's file. */
static status get_shots(struct harness_shot **own, const struct harness_shot **shots, const struct options *o, const struct mc_task *task,
                        const struct mc_extra *extra) {
    const size_t count = (size_t)o->h.shots;
    *own = NULL;
    *shots = extra->shots;
    if (!count) return ST_OK;
    if (o->h.fewshot_data) {
        TRY(mc_shots_load(own, task, extra, o->h.fewshot_data, count));
        *shots = *own;
    } else if (count > extra->shot_count) {
        return FAIL(ST_USAGE, "--num-fewshot %zu: %s has %zu examples", count, o->task_file, extra->shot_count);
    }
    return ST_OK;
}

/* dtype: NULL for an endpoint. */
static status report(const struct options *o, const struct mc_set *set, const struct harness_prompt *prompt, const struct mc_extra *extra,
                     const char *dtype, size_t truncated) {
    const char *name = extra->name ? extra->name : set->task->name;
    struct harness_figure figures[3];
    struct buf json = {0}, text = {0}, samples = {0};
    const struct harness_run run = {.task = name,
                                    .model = dtype ? o->h.model : o->h.endpoint.model,
                                    .adapter = o->h.adapter,
                                    .dtype = dtype,
                                    .data = o->h.data,
                                    .prompt = prompt,
                                    .shots = (size_t)o->h.shots,
                                    .rows = set->rows,
                                    .documents = set->count,
                                    .truncated = truncated};
    harness_put_results(&json, &text, &run, figures, mc_figures(figures, set), set->task->version);
    if (o->h.output) mc_put_samples(&samples, set, prompt->chat);
    const status s = cli_harness_write(&o->h, name, &json, &text, &samples);
    buf_release(&json);
    buf_release(&text);
    buf_release(&samples);
    return s;
}

static status with_model(const struct options *o, struct mc_set *set, const struct mc_extra *extra, const struct harness_shot *shots) {
    struct reward_pack pack = {0};
    struct goal_asker asker = {0};
    struct harness_prompt prompt;
    size_t truncated = 0;
    enum matmul_kind kind;
    TRY(cli_dtype(&kind, o->h.dtype));
    const struct reward_options ro = {.model = o->h.model, .adapter = o->h.adapter, .kind = kind, .budget = (size_t)o->budget};
    status s = reward_pack_open(&pack, &ro, false);
    if (s == ST_OK && o->h.kwargs) s = encoder_set_kwargs(&pack.encoder, o->h.kwargs, &(struct kwargs_places){0});
    if (s == ST_OK) s = cli_harness_prompt(&prompt, &asker, &o->h, &pack.encoder);
    if (s == ST_OK) s = mc_run(set, &truncated, &pack, &prompt, extra->description, shots, (size_t)o->h.shots, (size_t)o->max_length);
    if (s == ST_OK) s = report(o, set, &prompt, extra, matmul_kind_name(kind), truncated);
    goal_asker_release(&asker);
    reward_pack_release(&pack);
    return s;
}

static status with_endpoint(const struct options *o, const struct opt_result *r, struct mc_set *set, const struct mc_extra *extra,
                            const struct harness_shot *shots) {
    struct encoder encoder = {0};
    struct harness_endpoint x = {0};
    struct harness_prompt prompt;
    status s = o->tokenizer ? encoder_open(&encoder, o->tokenizer) : ST_OK;
    if (s == ST_OK && o->h.kwargs) s = encoder_set_kwargs(&encoder, o->h.kwargs, &(struct kwargs_places){0});
    if (s == ST_OK && o->h.chat && !encoder.chat) s = FAIL(ST_UNSUPPORTED, "--apply-chat-template: %s", encoder.why_no_chat);
    if (s == ST_OK)
        s = cli_harness_endpoint(&x, &prompt, &o->h, r, &cmd_eval_multiple_choice_spec, extra->name ? extra->name : set->task->name, true,
                                 o->tokenizer ? &encoder : NULL);
    x.options.who = "model, asked for log-probs of its prompt (echo, logprobs)";
    if (s == ST_OK) s = mc_ask(set, &x.remote, &prompt, extra->description, shots, (size_t)o->h.shots);
    if (s == ST_OK) s = report(o, set, &prompt, extra, NULL, 0);
    cli_harness_endpoint_release(&x);
    encoder_release(&encoder);
    return s;
}

static status work(const struct options *o, const struct opt_result *r, const struct mc_task *task) {
    struct mc_extra extra = {0};
    struct mc_set set = {0};
    struct harness_shot *own = NULL;
    const struct harness_shot *shots = NULL;
    if (o->task_file) TRY(mc_extra_load(&extra, o->task_file));
    status s = get_shots(&own, &shots, o, task, &extra);
    if (s == ST_OK) s = mc_set_load(&set, task, &extra, o->h.data, (size_t)o->h.limit);
    if (s == ST_OK) s = o->h.model ? with_model(o, &set, &extra, shots) : with_endpoint(o, r, &set, &extra, shots);
    if (own) harness_shots_release(own, (size_t)o->h.shots);
    mc_set_release(&set);
    mc_extra_release(&extra);
    return s;
}

status cmd_eval_multiple_choice_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_eval_multiple_choice_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    const struct mc_task *task = o.task ? mc_task_find(o.task) : NULL;
    if (!task) {
        struct buf names = {0};
        put_names(&names, "task");
        status s = FAIL(ST_USAGE, "--task expects one of %s", buf_text(&names));
        buf_release(&names);
        return s;
    }
    TRY(check(&o, task, &r));
    return work(&o, &r, task);
}
