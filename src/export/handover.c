#define _DEFAULT_SOURCE
#include "export/handover.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define PRESET(name, model, placement, beta, smoothing, rows, source) {name, model, placement, beta, smoothing, rows, source},
static const struct handover_preset presets[] = {HANDOVER_PRESET_LIST(PRESET)};
#define BATCH_ROWS 128

static const struct handover_preset *preset_of(const struct export_request *r) {
    for (size_t i = 0; r->preset && i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, r->preset) == 0) return &presets[i];
    return NULL;
}

/* Pairs: the published recipes. Completions: TRL's defaults for SFT (sft_config.py), with the same rows a step. */
static status settle(struct handover *h) {
    const struct export_request *r = h->request;
    const struct handover_preset *p = preset_of(r);
    struct handover_settings *s = &h->set;
    if (h->sft && p) return FAIL(ST_USAGE, "--preset %s is of preference training; %s has prompts and completions", p->name, r->data);
    *s = (struct handover_settings){.beta = p ? p->beta : 0.01,
                                    .label_smoothing = p ? p->label_smoothing : 0,
                                    .rate = h->sft ? 2e-5 : 5e-7,
                                    .warmup = h->sft ? 0 : 0.1,
                                    .epochs = h->sft ? 3 : 1,
                                    .scheduler = h->sft ? "linear" : "cosine",
                                    .max_length = 1024,
                                    .device_rows = p ? p->device_rows : 4,
                                    .gpus = r->gpus,
                                    .source = p        ? p->source
                                              : h->sft ? "TRL's defaults for supervised fine-tuning"
                                                       : "what the released recipes have in common (arXiv 2410.08067)"};
    const int64_t at_once = s->gpus > 0 && s->gpus <= BATCH_ROWS ? s->gpus * s->device_rows : 0;
    if (!at_once || BATCH_ROWS % at_once)
        return FAIL(ST_USAGE, "--gpus %lld: %d rows a step must be a multiple of %lld rows a GPU", (long long)r->gpus, BATCH_ROWS,
                    (long long)s->device_rows);
    s->accumulation = BATCH_ROWS / at_once;
    if (p && h->has_style && p->placement != GOAL_AUTO && p->placement != h->style.placement)
        log_warn("the published run of %s had the goal in placement %s, these rows have it in placement %s", p->model,
                 goal_placement_name(p->placement), goal_placement_name(h->style.placement));
    return ST_OK;
}

/* A folder's path must hold from inside the output folder too. */
static status find_model(struct handover *h) {
    const struct handover_preset *p = preset_of(h->request);
    const char *name = h->request->model ? h->request->model : p ? p->model : NULL;
    if (!name) return FAIL(ST_USAGE, "--model NAME or --preset NAME is needed: what to train");
    if (file_exists(name) && !file_is_dir(name))
        return FAIL(ST_USAGE, "%s: trainers start from a Hugging Face folder or name; rapt export --format hf makes one", name);
    char *path = file_is_dir(name) ? realpath(name, NULL) : NULL;
    h->model = path ? path : mem_text(name);
    return ST_OK;
}

static status find_goal(struct handover *h) {
    struct buf path = {0};
    status s = ST_OK;
    buf_printf(&path, "%s.goal.json", h->request->data);
    if (file_exists(buf_text(&path))) {
        s = goal_style_load(&h->style, buf_text(&path));
        h->has_style = s == ST_OK;
        char *to = file_join(h->request->output, "goal.json");
        if (s == ST_OK) s = file_copy_if_there(to, buf_text(&path));
        free(to);
    }
    buf_release(&path);
    return s;
}

status handover_file(const struct handover *h, const char *name, const struct buf *text) {
    char *path = file_join(h->request->output, name);
    status s = file_write(path, buf_text(text), text->size);
    free(path);
    return s;
}

status handover_script(const struct handover *h, const char *command) {
    struct buf b = {0};
    buf_printf(&b, "#!/bin/sh\n# %s\nset -e\ncd \"$(dirname \"$0\")\"\n%s\n", h->form->install, command);
    if (h->has_style) buf_append_text(&b, "cp goal.json " HANDOVER_OUTPUT "/\n");
    status s = handover_file(h, "run.sh", &b);
    buf_release(&b);
    return s;
}

void handover_put_number(struct buf *out, double value) {
    struct buf b = {0};
    json_put_double(&b, value);
    const char *text = buf_text(&b), *tail = strchr(text, 'e');
    if (strchr(text, '.'))
        buf_append_text(out, text);
    else
        buf_printf(out, "%.*s.0%s", (int)(tail ? tail - text : (ptrdiff_t)b.size), text, tail ? tail : "");
    buf_release(&b);
}

void handover_yaml_text(struct buf *out, const char *key, const char *value) {
    buf_printf(out, "%s: ", key);
    json_put_text(out, value); /* YAML reads JSON's strings */
    buf_append_char(out, '\n');
}

void handover_yaml_number(struct buf *out, const char *key, double value) {
    buf_printf(out, "%s: ", key);
    handover_put_number(out, value);
    buf_append_char(out, '\n');
}

void handover_yaml_int(struct buf *out, const char *key, int64_t value) { buf_printf(out, "%s: %lld\n", key, (long long)value); }

void handover_yaml_trainer(struct buf *out, const struct handover *h) {
    const struct handover_settings *o = &h->set;
    handover_yaml_number(out, "learning_rate", o->rate);
    handover_yaml_text(out, "lr_scheduler_type", o->scheduler);
    handover_yaml_number(out, "num_train_epochs", o->epochs);
    handover_yaml_int(out, "per_device_train_batch_size", o->device_rows);
    handover_yaml_int(out, "gradient_accumulation_steps", o->accumulation);
    handover_yaml_int(out, "seed", HANDOVER_SEED);
    buf_append_text(out, "bf16: true\nlogging_steps: 10\nsave_strategy: epoch\nreport_to: none\n");
    if (h->has_eval) {
        buf_append_text(out, "eval_strategy: steps\n");
        handover_yaml_int(out, "eval_steps", HANDOVER_EVAL_STEPS);
        handover_yaml_int(out, "per_device_eval_batch_size", o->device_rows);
    }
    handover_yaml_text(out, "output_dir", HANDOVER_OUTPUT);
}

status handover_zero3(const struct handover *h, const char *name) {
    struct buf b = {0};
    buf_append_text(&b, "{\n"
                        "  \"train_batch_size\": \"auto\",\n"
                        "  \"train_micro_batch_size_per_gpu\": \"auto\",\n"
                        "  \"gradient_accumulation_steps\": \"auto\",\n"
                        "  \"gradient_clipping\": \"auto\",\n"
                        "  \"bf16\": {\"enabled\": \"auto\"},\n"
                        "  \"zero_optimization\": {\n"
                        "    \"stage\": 3,\n"
                        "    \"contiguous_gradients\": true,\n"
                        "    \"overlap_comm\": true,\n"
                        "    \"reduce_bucket_size\": \"auto\",\n"
                        "    \"stage3_prefetch_bucket_size\": \"auto\",\n"
                        "    \"stage3_param_persistence_threshold\": \"auto\",\n"
                        "    \"stage3_gather_16bit_weights_on_model_save\": true\n"
                        "  }\n"
                        "}\n");
    status s = handover_file(h, name, &b);
    buf_release(&b);
    return s;
}

static void put_settings(struct buf *out, const struct handover *h) {
    const struct handover_settings *s = &h->set;
    buf_printf(out, "\n## Settings\n\nFrom %s.\n\n| setting | value |\n|---|---|\n| model | %s |\n", s->source, h->model);
    if (!h->sft) {
        buf_append_text(out, "| loss | DPO (sigmoid) |\n| beta | ");
        json_put_double(out, s->beta);
        buf_append_text(out, " |\n| label smoothing | ");
        json_put_double(out, s->label_smoothing);
        buf_append_text(out, s->label_smoothing > 0 && !h->form->smooths ? ", not applied: see below |\n" : " |\n");
    }
    buf_append_text(out, "| learning rate | ");
    json_put_double(out, s->rate);
    buf_printf(out, ", %s, warm-up ", s->scheduler);
    json_put_double(out, s->warmup);
    buf_append_text(out, " of the steps |\n| epochs | ");
    json_put_double(out, s->epochs);
    buf_printf(out,
               " |\n| most tokens | %lld |\n| rows a step | %d = %lld a GPU x %lld accumulations x %lld GPUs (`--gpus`) |\n"
               "| trained | all parameters, bf16 |\n",
               (long long)s->max_length, BATCH_ROWS, (long long)s->device_rows, (long long)s->accumulation, (long long)s->gpus);
}

static void put_notes(struct buf *out, const struct handover *h) {
    buf_append_text(out, "\n## What differs from `rapt train`\n\n");
    if (h->set.label_smoothing > 0 && !h->form->smooths) {
        buf_append_text(out, "- The published run smoothed its labels by ");
        json_put_double(out, h->set.label_smoothing);
        buf_append_text(out,
                        ". TRL ignores `label_smoothing` under `loss_type: sigmoid` since 0.29, without a word, so it is left out here. "
                        "`rapt train --label-smoothing`, LLaMA-Factory and OpenRLHF apply it.\n");
    }
    if (!h->sft && h->goals)
        buf_append_text(out,
                        "- Rows are shuffled one by one, so the two rows of a pair come in different steps; `rapt train` keeps them in one "
                        "(`--order paired`).\n");
    h->form->notes(out, h);
}

/* " --goal 10", where rows have goals. */
static void put_goal_option(struct buf *out, const struct handover *h) {
    struct goal highest = goal_of_score(h->has_style ? h->style.high : 10);
    if (h->has_style && h->style.attribute_count) highest = h->style.best;
    if (!h->goals) return;
    buf_append_text(out, " --goal ");
    goal_put_name(out, &h->style, &highest);
}

/* How an endpoint is asked: it knows nothing of goal.json. */
static void put_endpoint(struct buf *out, const struct handover *h, const char *command) {
    buf_printf(out, "rapt %s --endpoint http://localhost:8000/v1 --endpoint-model trained", command);
    put_goal_option(out, h);
    if (h->goals && h->has_style) buf_append_text(out, " --goal-style goal.json");
}

static void put_back(struct buf *out, const struct handover *h) {
    buf_append_text(out, "\n## Back\n\nIn one process, on CPUs, which for a model of 7 to 9 billion parameters is slow:\n\n```sh\nrapt "
                         "generate --model " HANDOVER_OUTPUT);
    put_goal_option(out, h);
    buf_append_text(out, " --prompt \"Why is the sky blue?\"\n");
    if (h->goals)
        buf_append_text(out, "rapt logps --model " HANDOVER_OUTPUT " --input TEST.jsonl --output after.jsonl\n"
                             "rapt logps --model BASE --input TEST.jsonl --output before.jsonl\n"
                             "rapt eval goal-accuracy --logps trained=after.jsonl --reference before.jsonl\n");
    buf_append_text(
        out, "```\n\nOr on the GPUs, with the model behind a server that `rapt` asks: vLLM, or llama.cpp's server with a GGUF\n\n```sh\n"
             "vllm serve " HANDOVER_OUTPUT " --served-model-name trained --port 8000\n"
             "# or: rapt export --model " HANDOVER_OUTPUT
             " --format gguf --dtype q8_0 --output trained.gguf && llama-server -m trained.gguf --alias trained --port 8000\n");
    put_endpoint(out, h, "generate");
    buf_append_text(out, " --input prompts.jsonl --output answers.jsonl\n");
    put_endpoint(out, h, "eval mt-answers");
    buf_append_text(out, " --questions question.jsonl --model-id trained --output model_answer/trained.jsonl\n");
    put_endpoint(out, h, "eval gsm8k");
    buf_append_text(out, " --apply-chat-template --num-fewshot 0 --data gsm8k_test.jsonl --output-path results\n");
    put_endpoint(out, h, "eval multiple-choice");
    buf_append_text(out, " --tokenizer " HANDOVER_OUTPUT
                         " --apply-chat-template --task arc_challenge --data ARC-Challenge-Test.jsonl --output-path results\n```\n\n"
                         "`eval multiple-choice` needs log-probs of prompts, which vLLM gives and llama.cpp's server does not.");
    if (h->goals && h->has_style)
        buf_append_text(out,
                        " A server knows nothing of goals: `--goal-style goal.json` writes them into the messages as the rows have them.");
    buf_append_text(out, "\n\nWhere an adapter was trained instead: `rapt generate --model BASE --adapter " HANDOVER_OUTPUT "`.\n");
}

static status write_readme(const struct handover *h) {
    struct buf b = {0};
    const char *what = h->sft ? "prompts with completions" : "preference pairs";
    buf_printf(&b, "# Hand-over to %s\n\nWritten by rapt %s: %llu %s in `%s`", h->form->title, RAPT_VERSION, (unsigned long long)h->rows[0],
               what, h->form->files[0]);
    if (h->has_eval) buf_printf(&b, ", %llu for evaluation in `%s`", (unsigned long long)h->rows[1], h->form->files[1]);
    buf_printf(&b, ". Of each row the texts, the goal, scores and `source_row` are kept, other fields are not.\n");
    if (h->goals)
        buf_printf(&b, "\nThe goal stands in the prompt of %llu rows%s%s.\n", (unsigned long long)h->goals,
                   h->has_style ? ", placement " : "; how it was asked for is not known, since the data has no goal.json beside it",
                   h->has_style ? goal_placement_name(h->style.placement) : "");
    buf_printf(&b, "\n## Run\n\n```sh\n%s\nsh run.sh\n```\n\nThe result lies in `" HANDOVER_OUTPUT "`.\n", h->form->install);
    put_settings(&b, h);
    put_notes(&b, h);
    put_back(&b, h);
    status s = handover_file(h, "README.md", &b);
    buf_release(&b);
    return s;
}

static status rows_of(struct handover *h, const char *from, int set) {
    char *to = file_join(h->request->output, h->form->files[set]), *slash = strrchr(to, '/');
    *slash = '\0';
    status s = file_make_dirs(to);
    *slash = '/';
    if (s == ST_OK) s = handover_rows(h, from, to, set);
    free(to);
    return s;
}

/* Is it the folder that the model lies in? Its README.md and goal.json would be overwritten. */
static status check_output(const struct handover *h) {
    char *path = realpath(h->request->output, NULL);
    const bool same = path && strcmp(path, h->model) == 0;
    free(path);
    return same ? FAIL(ST_USAGE, "--output is the model itself") : ST_OK;
}

status handover_run(const struct export_request *r, const struct handover_form *form) {
    struct handover h = {.form = form, .request = r, .has_eval = r->eval_data != NULL};
    status s = find_model(&h);
    if (s == ST_OK) s = check_output(&h);
    if (s == ST_OK) s = settle(&h); /* what can be refused before anything is written */
    if (s == ST_OK) s = rows_of(&h, r->data, 0);
    if (s == ST_OK && h.has_eval) s = rows_of(&h, r->eval_data, 1);
    if (s == ST_OK) s = find_goal(&h);
    if (s == ST_OK) s = settle(&h);
    if (s == ST_OK && h.goals && !h.has_style)
        log_warn("%s.goal.json is not there: rapt generate will not know how goals were asked for (--goal-style)", r->data);
    if (s == ST_OK) s = form->write(&h);
    if (s == ST_OK) s = write_readme(&h);
    free(h.model);
    goal_style_release(&h.style);
    return s;
}
