/* rapt serve: the model behind OpenAI's API, with the goal as a field. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli_infer.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_model.h"
#include "cli/cli_scorer.h"
#include "cli/cmd.h"
#include "model/peft_io.h"
#include "serve/scorer.h"
#include "serve/serve.h"

struct options {
    const char *model, *name, *goal, *list_goals, *style, *kwargs, *host, *dtype;
    struct opt_list adapters, origins;
    int64_t port, max_body, max_new, max_queue, batch, max_length, threads;
    double timeout_s, idle_s;
    struct scorer_flags scorer;
};

#define FIELD(name) offsetof(struct options, name)
#define SCORER_AT(name) offsetof(struct options, scorer.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_LIST, FIELD(adapters), "NAME=D[,...]", NULL, NULL,
     "PEFT adapters on top, each under a name that a request's model field can give; the base stays there under its own, and is held in "
     "memory once"},
    {"name", OPT_STR, FIELD(name), "NAME", NULL, NULL, "the model's own name; default: the last part of M"},
    {"goal", OPT_STR, FIELD(goal), "G", NULL, NULL,
     "the score that chat requests aim at where they say nothing: a number, or best. With adapters it is theirs, and the base has none"},
    {"list-goals", OPT_STR, FIELD(list_goals), "G,G,...", NULL, NULL,
     "the list of models also has NAME@goal=G for each, for clients that can only pick from it; goals of several attributes stand between "
     "semicolons. With adapters they are theirs"},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the adapters' goal.json"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    SCORER_ROWS,
    {"Network", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"host", OPT_STR, FIELD(host), "ADDRESS", "127.0.0.1", NULL, "0.0.0.0 or :: for all of the machine's addresses"},
    {"port", OPT_INT, FIELD(port), "N", "8080", NULL, "0 takes any that is free; the address is printed"},
    {"allow-origin", OPT_LIST, FIELD(origins), "ORIGIN[,...]", NULL, NULL,
     "pages of other servers that may call this one from a browser (CORS), such as https://chat.example; * for all. Without it they get "
     "403; programs, which send no Origin, are not asked"},
    {"Limits", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"max-body-bytes", OPT_INT, FIELD(max_body), "N", "1048576", NULL, "of a request; above: 413"},
    {"max-new-tokens", OPT_INT, FIELD(max_new), "N", "0", NULL,
     "most tokens of an answer, and what a chat request gets that names no number; above: 400. 0: what --max-length leaves, where longer "
     "ones end"},
    {"max-queue", OPT_INT, FIELD(max_queue), "N", "256", NULL, "sequences that may wait for a place in the batch; above: 429"},
    {"timeout", OPT_DOUBLE, FIELD(timeout_s), "SECONDS", "600", NULL,
     "from a request to the end of its answer; then it is broken off with 503"},
    {"idle-timeout", OPT_DOUBLE, FIELD(idle_s), "SECONDS", "30", NULL,
     "for a client to send its request, or to take the next piece of its answer; then the connection is closed"},
    {"Execution", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "sequences written at a time, for the base and each adapter"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "4096", NULL,
     "most tokens of prompt and answer, cut to the model's positions; sizes the memory"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "of the model; 0 = all cores"},
};

static void put_names(struct buf *out, const char *option) {
    if (strcmp(option, "rule") == 0) cli_rule_names(out, true);
}

static void put_values(struct buf *out, const char *option) {
    if (strcmp(option, "rule") == 0) cli_rule_values(out, true);
}

const struct opt_spec cmd_serve_spec = {
    .command = "serve",
    .summary = "The model behind an OpenAI-compatible API, with the goal as a field.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .put_values = put_values,
    .example = "rapt serve --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter aligned=out --goal 10\n"
               "rapt serve --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter aligned=out --scorer rule --rule length --length 60",
    .notes = "The goal of a request: a field \"goal\" in its body, a model name that ends in @goal=8, or --goal.\n"
             "RAPT_API_KEY in the environment is the key that clients must send; without it none is asked for.\n"
             "SIGTERM and Ctrl-C: what runs is finished, new requests get 503, and the exit code is 0.\n",
};

/* The base, and each adapter on it. */
struct served {
    char *name, *adapter; /* adapter NULL: the base */
    struct model model;
    struct encoder encoder;
    struct goal_asker asker;
    struct goal_list listed;
};
struct job {
    const struct options *o;
    struct served served[OPT_LIST_MAX + 1];
    struct serve_target targets[OPT_LIST_MAX + 1];
    struct serve_model models[OPT_LIST_MAX + 1];
    size_t count;
    struct serve_engine engine;
    bool started;
    struct score_options score;
    struct serve_scorer scorer; /* where score has a source */
};

/* The last part of a path, slashes at its end left out. */
static char *last_part(const char *path) {
    size_t end = strlen(path), from;
    while (end > 1 && path[end - 1] == '/') end--;
    for (from = end; from > 0 && path[from - 1] != '/';) from--;
    return mem_text_n(path + from, end - from);
}

static status name_all(struct job *j) {
    const struct options *o = j->o;
    j->served[0].name = o->name ? mem_text(o->name) : last_part(o->model);
    j->count = 1;
    for (size_t i = 0; i < o->adapters.count; i++) {
        const char *item = o->adapters.items[i], *equals = strchr(item, '=');
        struct served *s = &j->served[j->count];
        if (!equals || equals == item || !equals[1]) return FAIL(ST_USAGE, "--adapter expects NAME=FOLDER, not '%s'", item);
        s->name = mem_text_n(item, (size_t)(equals - item));
        s->adapter = mem_text(equals + 1);
        j->count++;
    }
    for (size_t i = 0; i < j->count; i++) {
        const char *name = j->served[i].name;
        if (!*name || strchr(name, '@'))
            return FAIL(ST_USAGE, "'%s' is no name for a model: it is empty or has an @, which separates the goal (--name)", name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, j->served[k].name) == 0) return FAIL(ST_USAGE, "two models have the name '%s'", name);
    }
    return ST_OK;
}

static status list_goals(struct serve_target *t, struct served *s, const char *text) {
    if (t->baked) return FAIL(ST_USAGE, "--list-goals has no effect: the chat template of %s asks for a goal by itself", s->name);
    if (!t->chat) return FAIL(ST_USAGE, "--list-goals is for chat requests, which %s cannot take: %s", s->name, t->why_no_chat);
    struct goal_list given = {0};
    status code = goal_parse_list(&given, t->style, text, NULL);
    for (size_t i = 0; code == ST_OK && i < given.count; i++) {
        code = goal_check_scale(t->style, &given.items[i]);
        if (!goal_list_has(&s->listed, &given.items[i])) goal_list_add(&s->listed, &given.items[i]);
    }
    goal_list_release(&given);
    t->listed = &s->listed;
    return code == ST_OK ? ST_OK : status_note(ST_USAGE, "--list-goals: ");
}

/* Tokenizer, template and goal of one target. */
static status open_words(struct job *j, size_t i) {
    const struct options *o = j->o;
    struct served *s = &j->served[i];
    struct serve_target *t = &j->targets[i];
    TRY(encoder_open(&s->encoder, o->model));
    TRY(encoder_set_kwargs(&s->encoder, o->kwargs, &(struct kwargs_places){.adapter = s->adapter, .model = o->model}));
    TRY(goal_asker_open(&s->asker, o->model, s->adapter, o->style, &s->encoder));
    *t = (struct serve_target){.name = s->name,
                               .tokenizer = s->encoder.tokenizer,
                               .chat = s->encoder.chat,
                               .why_no_chat = s->encoder.why_no_chat,
                               .style = &s->asker.style,
                               .trained = s->asker.trained,
                               .baked = s->asker.baked};
    if (i == 0 && j->count > 1) return ST_OK;
    if (o->list_goals) TRY(list_goals(t, s, o->list_goals));
    if (!o->goal) return ST_OK;
    if (!t->chat) return FAIL(ST_USAGE, "--goal is for chat requests, which %s cannot take: %s", s->name, t->why_no_chat);
    TRY(goal_asker_parse(&t->goal, &s->asker, o->goal));
    goal_asker_note(&s->asker, &t->goal);
    return ST_OK;
}

static status open_all(struct job *j) {
    const struct options *o = j->o;
    struct model *base = &j->served[0].model;
    TRY(name_all(j));
    for (size_t i = 0; i < j->count; i++) TRY(open_words(j, i));
    TRY(infer_model_open(base, o->model, o->dtype));
    if (base->config.head != HEAD_LM) return FAIL(ST_UNSUPPORTED, "%s is a reward model: it writes no text", o->model);
    const size_t most = base->config.max_position;
    TRY(model_need_positions(base, (size_t)o->max_length < most ? (size_t)o->max_length : most));
    for (size_t i = 0; i < j->count; i++) {
        struct served *s = &j->served[i];
        if (s->adapter) {
            TRY(model_share(&s->model, base));
            TRY(adapter_load(&s->model, s->adapter, false));
        }
        j->targets[i].vocab = base->config.vocab;
        j->models[i] = (struct serve_model){.model = &s->model, .theta = s->adapter ? s->model.params.value : NULL};
    }
    j->started = true;
    return serve_engine_init(&j->engine, j->targets, j->models, j->count, &(struct serve_sizes){(size_t)o->batch, (size_t)o->max_length},
                             (size_t)o->max_queue);
}

static status run(struct job *j) {
    const struct options *o = j->o;
    const char *key = getenv("RAPT_API_KEY");
    if (j->score.source) TRY(serve_scorer_open(&j->scorer, &j->score));
    TRY(open_all(j));
    j->engine.scorer = j->score.source ? &j->scorer : NULL;
    const struct serve_options so = {
        .host = o->host,
        .port = (uint16_t)o->port,
        .api_key = key && *key ? key : NULL,
        .body_max = (size_t)o->max_body,
        .connections_max = (size_t)o->max_queue + j->count * (size_t)o->batch + 64,
        .timeout_s = o->timeout_s,
        .idle_s = o->idle_s,
        .limits = {.max_new = (size_t)o->max_new, .choices_max = (size_t)o->max_queue},
        .origins = {o->origins.items, o->origins.count},
    };
    for (size_t i = 0; i < j->count; i++)
        log_info("model %s%s%s", j->targets[i].name, j->served[i].adapter ? ": adapter " : "",
                 j->served[i].adapter ? j->served[i].adapter : "");
    return serve_run(&j->engine, &so);
}

static void release(struct job *j) {
    if (j->started) serve_engine_release(&j->engine);
    if (j->scorer.one.o) serve_scorer_release(&j->scorer);
    for (size_t i = j->count; i-- > 0;) { /* the base last: the others stand on its weights */
        struct served *s = &j->served[i];
        model_release(&s->model);
        goal_asker_release(&s->asker);
        goal_list_release(&s->listed);
        encoder_release(&s->encoder);
        free(s->name);
        free(s->adapter);
    }
    free(j);
}

static status check(const struct options *o) {
    const struct {
        const char *name;
        int64_t value, low, high;
    } ranges[] = {{"port", o->port, 0, 65535},
                  {"max-body-bytes", o->max_body, 1024, 1 << 30},
                  {"max-new-tokens", o->max_new, 0, 1 << 24},
                  {"max-queue", o->max_queue, 1, 4096},
                  {"batch-size", o->batch, 1, 1024},
                  {"max-length", o->max_length, 2, 1 << 24}};
    if (!o->model) return FAIL(ST_USAGE, "--model is needed");
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return FAIL(ST_USAGE, "--%s expects %lld to %lld, not %lld", ranges[i].name, (long long)ranges[i].low,
                        (long long)ranges[i].high, (long long)ranges[i].value);
    TRY(serve_origins_check(&(struct serve_origins){o->origins.items, o->origins.count}));
    if (!(o->timeout_s >= 0.1 && o->timeout_s <= 1e6)) return FAIL(ST_USAGE, "--timeout expects 0.1 to 1000000 seconds");
    if (!(o->idle_s >= 0.1 && o->idle_s <= 1e6)) return FAIL(ST_USAGE, "--idle-timeout expects 0.1 to 1000000 seconds");
    return ST_OK;
}

status cmd_serve_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_serve_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(check(&o));
    TRY(cli_threads(o.threads));
    struct job *j = mem_zero(1, sizeof *j);
    j->o = &o;
    status s = cli_scorer(&j->score, &o.scorer, (size_t)o.max_length, &r, &cmd_serve_spec);
    if (s == ST_OK) s = run(j);
    release(j);
    return s;
}
