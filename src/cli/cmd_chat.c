/* rapt chat: a conversation in the terminal, or through a pipe: a line in, an answer out. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli_infer.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "cli/cli_kwargs.h"
#include "model/peft_io.h"
#include "base/utf8.h"

struct options {
    const char *model, *adapter, *goal, *style, *system, *dtype, *kwargs;
    struct sampling_flags sampling;
    int64_t max_new, max_length, threads;
};

#define FIELD(name) offsetof(struct options, name)
#define SAMPLING(name) offsetof(struct options, sampling.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file with a chat template"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top; its goal.json says how goals were asked in training"},
    {"goal", OPT_STR, FIELD(goal), "G", NULL, NULL,
     "the score to aim at, or best; NAME=G,NAME=G,... where goals have several attributes; /goal changes it"},
    {"system", OPT_STR, FIELD(system), "TEXT", NULL, NULL, "the system text; /system changes it"},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the adapter's goal.json"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"Sampling", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    SAMPLING_ROWS(SAMPLING, "0.7", "0.95"),
    {"max-new-tokens", OPT_INT, FIELD(max_new), "N", "512", NULL, "most tokens of an answer"},
    {"Execution", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"max-length", OPT_INT, FIELD(max_length), "N", "4096", NULL,
     "most tokens of the conversation, cut to the model's positions; the oldest turns go first"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
};

static const char commands[] = "/goal N     aim at another score (/goal off: none)\n"
                               "/system T   another system text (/system alone: none)\n"
                               "/reset      forget the conversation\n"
                               "/help       this list\n"
                               "/quit       leave; so does the end of the input\n"
                               "Ctrl-C ends an answer that is being written.\n";

const struct opt_spec cmd_chat_spec = {
    .command = "chat",
    .summary = "A conversation in the terminal; /goal N changes the goal.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt chat --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter out --goal 10",
    .notes = commands,
};

struct turn {
    char *user, *answer; /* answer NULL: being written */
};
struct talk {
    const struct options *o;
    struct encoder encoder;
    struct model model;
    const float *theta;
    struct decoder decoder;
    struct goal_asker asker;
    struct goal goal;
    char *system; /* NULL: none */
    struct turn *turns;
    size_t turn_count, turn_capacity;
    uint64_t said; /* answers so far: the row of the sampler's key */
    /* the answer being written */
    struct ids ids;
    struct buf raw;
    size_t shown;  /* bytes of raw that stand on the screen */
    bool asked;    /* next() has given the job out */
    size_t cut_at; /* tokens of an answer that met a limit, else 0 */
};

static volatile sig_atomic_t interrupted;
static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

static void drop_turns(struct talk *t, size_t from, size_t count) {
    if (!count) return;
    for (size_t i = from; i < from + count; i++) {
        free(t->turns[i].user);
        free(t->turns[i].answer);
    }
    memmove(t->turns + from, t->turns + from + count, (t->turn_count - from - count) * sizeof *t->turns);
    t->turn_count -= count;
}

static void add_turn(struct talk *t, const char *user) {
    if (t->turn_count == t->turn_capacity) {
        t->turn_capacity = t->turn_capacity ? 2 * t->turn_capacity : 16;
        t->turns = mem_resize(t->turns, t->turn_capacity * sizeof *t->turns);
    }
    t->turns[t->turn_count++] = (struct turn){.user = mem_text(user)};
}

static void put_message(struct buf *out, const char *role, const char *content) {
    buf_printf(out, "%s{\"role\": \"%s\", \"content\": ", out->size > 1 ? ", " : "", role);
    json_put_text(out, content);
    buf_append_char(out, '}');
}

/* The ids of the conversation with its goal. */
static status render(struct talk *t) {
    struct record record = {.conversational = true};
    struct buf messages = {0};
    status s = ST_OK;
    buf_append_char(&messages, '[');
    if (t->system) put_message(&messages, "system", t->system);
    for (size_t i = 0; i < t->turn_count; i++) {
        put_message(&messages, "user", t->turns[i].user);
        if (t->turns[i].answer) put_message(&messages, "assistant", t->turns[i].answer);
    }
    buf_append_char(&messages, ']');
    if (!t->goal.count)
        buf_append(&record.prompt, messages.data, messages.size);
    else
        s = goal_put_messages(&record.prompt, &t->asker.style, (struct json){messages.data, messages.size}, &t->goal);
    t->ids.count = 0;
    if (s == ST_OK) s = encode_prompt(&t->ids, &t->encoder, &record);
    buf_release(&messages);
    buf_release(&record.prompt);
    return s;
}

/* Renders, and lets the oldest turns go until an answer fits: half of what --max-length leaves it, at most --max-new-tokens. */
static status fit(struct talk *t) {
    const size_t length = t->decoder.options.length, wanted = (size_t)t->o->max_new < length / 2 ? (size_t)t->o->max_new : length / 2;
    size_t dropped = 0;
    for (;;) {
        TRY(render(t));
        if (!t->ids.count) return FAIL(ST_FORMAT, "the chat template renders nothing");
        if (t->ids.count + wanted <= length || t->turn_count == 1) break;
        drop_turns(t, 0, 1);
        dropped++;
    }
    if (dropped)
        log_warn("the conversation is longer than %zu tokens: its oldest %zu turn%s forgotten", length, dropped,
                 dropped == 1 ? " is" : "s are");
    if (t->ids.count >= length)
        return FAIL(ST_USAGE, "%zu tokens leave no room for an answer within %zu; raise --max-length", t->ids.count, length);
    for (size_t i = 0; i < t->ids.count; i++)
        if ((size_t)t->ids.data[i] >= t->model.config.vocab)
            return FAIL(ST_MISMATCH, "token id %d is outside the model's vocabulary of %zu", t->ids.data[i], t->model.config.vocab);
    return ST_OK;
}

static status next(void *context, struct decode_job *job, bool *end) {
    struct talk *t = context;
    *end = t->asked;
    t->asked = true;
    *job = (struct decode_job){.prompt = t->ids.data, .prompt_count = t->ids.count, .max_new = (size_t)t->o->max_new, .row = t->said};
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct talk *t = context;
    return tokenizer_is_end(t->encoder.tokenizer, id);
}

/* Shows what is whole: a character whose bytes are spread over tokens waits for its last one. */
static status show(struct talk *t, size_t ready) {
    struct buf clean = {0};
    if (ready <= t->shown) return ST_OK;
    utf8_put_clean(&clean, t->raw.data + t->shown, ready - t->shown);
    const bool written = fwrite(clean.data, 1, clean.size, stdout) == clean.size && fflush(stdout) == 0;
    buf_release(&clean);
    t->shown = ready;
    return written ? ST_OK : FAIL(ST_IO, "cannot write to stdout");
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    struct talk *t = context;
    *stop = interrupted;
    if (tokenizer_is_end(t->encoder.tokenizer, s->ids[s->count - 1])) return ST_OK;
    buf_clear(&t->raw);
    tokenizer_decode(t->encoder.tokenizer, &t->raw, s->ids, s->count, true);
    return show(t, utf8_complete(buf_text(&t->raw), t->raw.size));
}

static status finish(void *context, const struct decode_state *s) {
    struct talk *t = context;
    struct buf answer = {0};
    TRY(show(t, t->raw.size));
    response_text(&answer, t->encoder.tokenizer, s);
    t->turns[t->turn_count - 1].answer = mem_text_n(buf_text(&answer), answer.size);
    buf_release(&answer);
    t->cut_at = s->finish == DECODE_LENGTH ? s->count : 0;
    return ST_OK;
}

/* Ctrl-C ends the answer while one is written, and the program else. */
static status answer(struct talk *t, const char *text) {
    const struct decode_calls calls = {.context = t, .next = next, .is_end = is_end, .finish = finish, .token = token};
    struct sigaction catch = {.sa_handler = on_interrupt}, before;
    add_turn(t, text);
    status s = fit(t);
    if (s == ST_OK) {
        t->asked = false;
        t->shown = 0;
        buf_clear(&t->raw);
        interrupted = 0;
        sigemptyset(&catch.sa_mask);
        sigaction(SIGINT, &catch, &before);
        s = decode_run(&t->decoder, &calls);
        sigaction(SIGINT, &before, NULL);
        t->said++;
    }
    if (s != ST_OK) {
        drop_turns(t, t->turn_count - 1, 1);
        return s;
    }
    if (putchar('\n') == EOF || fflush(stdout) != 0) return FAIL(ST_IO, "cannot write to stdout");
    if (interrupted)
        log_info("interrupted");
    else if (t->cut_at)
        log_info("cut at %zu tokens (--max-new-tokens, --max-length)", t->cut_at);
    return ST_OK;
}

static void set_goal(struct talk *t, const char *text) {
    struct goal goal;
    if (strcmp(text, "off") == 0) {
        t->goal = (struct goal){0};
        log_info("no goal");
    } else if (goal_asker_parse(&goal, &t->asker, text) != ST_OK) {
        log_error("%s", status_message());
    } else {
        t->goal = goal;
        struct buf name = {0};
        goal_asker_note(&t->asker, &goal);
        goal_put_name(&name, &t->asker.style, &goal);
        log_info("goal %s", buf_text(&name));
        buf_release(&name);
    }
}

/* The rest of the line behind a command's name, or NULL when it is another one. */
static const char *argument(const char *line, const char *name) {
    const size_t n = strlen(name);
    if (strncmp(line, name, n) != 0 || (line[n] && line[n] != ' ')) return NULL;
    line += n;
    while (*line == ' ') line++;
    return line;
}

static void command(struct talk *t, const char *line, bool *quit) {
    const char *text;
    if (argument(line, "/quit") || argument(line, "/exit")) {
        *quit = true;
    } else if (argument(line, "/help")) {
        fputs(commands, stderr);
    } else if (argument(line, "/reset")) {
        drop_turns(t, 0, t->turn_count);
        log_info("the conversation is forgotten");
    } else if ((text = argument(line, "/goal"))) {
        set_goal(t, *text ? text : "off");
    } else if ((text = argument(line, "/system"))) {
        free(t->system);
        t->system = *text ? mem_text(text) : NULL;
        log_info(*text ? "the system text is changed" : "no system text");
    } else {
        log_error("unknown command '%s'; /help lists them", line);
    }
}

static status converse(struct talk *t) {
    const bool terminal = isatty(0);
    char *line = NULL;
    size_t capacity = 0;
    bool quit = false;
    status s = ST_OK;
    while (s == ST_OK && !quit) {
        if (terminal) fputs("> ", stderr);
        errno = 0;
        ssize_t size = getline(&line, &capacity, stdin);
        if (size < 0) {
            if (ferror(stdin)) s = FAIL(ST_IO, "cannot read standard input: %s", strerror(errno));
            break;
        }
        while (size > 0 && strchr("\r\n", line[size - 1])) line[--size] = '\0';
        struct buf text = {0};
        utf8_put_clean(&text, line, strlen(line));
        if (line[0] == '/')
            command(t, buf_text(&text), &quit);
        else if (line[strspn(line, " \t")])
            s = answer(t, buf_text(&text));
        buf_release(&text);
        if (s == ST_USAGE) { /* this message was too long: the conversation goes on */
            log_error("%s", status_message());
            s = ST_OK;
        }
    }
    free(line);
    return s;
}

static status open_talk(struct talk *t, const struct sampler_options *sampler) {
    const struct options *o = t->o;
    TRY(encoder_open(&t->encoder, o->model));
    if (!t->encoder.chat)
        return FAIL(ST_UNSUPPORTED, "chat needs a chat template, but %s; rapt generate continues plain text", t->encoder.why_no_chat);
    TRY(encoder_set_kwargs(&t->encoder, o->kwargs, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    TRY(goal_asker_open(&t->asker, o->model, o->adapter, o->style, &t->encoder));
    if (o->goal) {
        TRY(goal_asker_parse(&t->goal, &t->asker, o->goal));
        goal_asker_note(&t->asker, &t->goal);
    }
    if (o->system) t->system = mem_text(o->system);
    TRY(infer_model_open(&t->model, o->model, o->dtype));
    if (o->adapter) {
        TRY(adapter_load(&t->model, o->adapter, false));
        t->theta = t->model.params.value;
    }
    return decoder_open(&t->decoder, &t->model, t->theta,
                        &(struct decode_options){.batch = 1, .length = (size_t)o->max_length, .sampler = *sampler});
}

static void release(struct talk *t) {
    drop_turns(t, 0, t->turn_count);
    free(t->turns);
    free(t->system);
    decoder_release(&t->decoder);
    model_release(&t->model);
    goal_asker_release(&t->asker);
    encoder_release(&t->encoder);
    ids_release(&t->ids);
    buf_release(&t->raw);
}

status cmd_chat_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct sampler_options sampler;
    struct talk t = {.o = &o};
    bool done;
    TRY(cmd_parse(&r, &cmd_chat_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model) return FAIL(ST_USAGE, "--model is needed");
    if (o.max_new < 1 || o.max_new > 1 << 24) return FAIL(ST_USAGE, "--max-new-tokens expects 1 or more, not %lld", (long long)o.max_new);
    if (o.max_length < 2 || o.max_length > 1 << 24)
        return FAIL(ST_USAGE, "--max-length expects 2 or more, not %lld", (long long)o.max_length);
    TRY(sampling_from_flags(&sampler, &o.sampling, &r, &cmd_chat_spec));
    TRY(cli_threads(o.threads));
    status s = open_talk(&t, &sampler);
    if (s == ST_OK && isatty(0)) log_info("%s; /help lists the commands, /quit leaves", o.adapter ? o.adapter : o.model);
    if (s == ST_OK) s = converse(&t);
    release(&t);
    return s;
}
