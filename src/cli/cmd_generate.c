/* rapt generate: goal-conditioned sampling, batched over prompts, goals and samples. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_infer.h"
#include "cli/cli_model.h"
#include "cli/cli_fields.h"
#include "cli/cmd.h"
#include "cli/cli_kwargs.h"
#include "data/source.h"
#include "model/peft_io.h"

struct options {
    const char *model, *adapter, *prompt, *input, *output, *style, *system, *dtype, *bad_row, *kwargs;
    struct opt_list goals, fields;
    struct sampling_flags sampling;
    int64_t n, limit, max_new, max_length, batch, threads;
    bool raw, json;
};

#define FIELD(name) offsetof(struct options, name)
#define SAMPLING(name) offsetof(struct options, sampling.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top; its goal.json says how goals were asked in training"},
    {"goal", OPT_LIST, FIELD(goals), "G[,G2...]", NULL, NULL,
     "the score to aim at, once for each; best: the one that did best on validation. Without it no goal is written into the prompt"},
    {"prompt", OPT_STR, FIELD(prompt), "TEXT", NULL, NULL, "one prompt; - reads it from standard input"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL, "Prompts: rows (JSONL, JSON, gzip, zstd or Parquet) of any form, of which the prompt is taken"},
    {"limit", OPT_INT, FIELD(limit), "N", "0", NULL, "the first N prompts of --input; 0 = all"},
    {"n", OPT_INT, FIELD(n), "K", "1", NULL, "responses to each prompt under each goal"},
    {"output", OPT_STR, FIELD(output), "F", NULL, NULL,
     "JSONL: prompt (without goal), goal, sample, text, tokens, finish (stop or length), row, model, adapter. With --prompt the default is "
     "plain text"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "with --prompt: JSONL on standard output"},
    {"system", OPT_STR, FIELD(system), "TEXT", NULL, NULL, "a system text for prompts that bring none of their own"},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the adapter's goal.json"},
    {"raw", OPT_FLAG, FIELD(raw), NULL, NULL, NULL, "string prompts go in as they are, without the chat template"},
    {"Sampling", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    SAMPLING_ROWS(SAMPLING, "1", "1"),
    {"max-new-tokens", OPT_INT, FIELD(max_new), "N", "256", NULL, "most tokens of a response"},
    {"Execution", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "responses written at a time"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "2048", NULL,
     "most tokens of prompt and response, cut to the model's positions; sizes the memory"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    CLI_FIELD_ROW(FIELD(fields)),
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"on-bad-row", OPT_CHOICE, FIELD(bad_row), NULL, "stop", "stop|skip", "skipped rows are counted and kept in OUTPUT.rejected.jsonl"},
};

const struct opt_spec cmd_generate_spec = {
    .command = "generate",
    .summary = "Responses of a model under given goals.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt generate --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter out --goal 3,10 --prompt \"Why is the sky blue?\"\n"
               "rapt generate --model M --adapter out --goal 10 --input prompts.jsonl --n 4 --output samples.jsonl",
};

/* A response that is wanted, from its prompt to its line in the output. */
struct item {
    struct item *later; /* the one asked for next */
    struct buf prompt;  /* the prompt without goal: messages, or a JSON string */
    double goal;        /* NaN: none */
    uint64_t row, sample;
    struct buf text;
    size_t tokens;
    enum decode_finish finish;
};

struct job {
    const struct options *o;
    struct encoder encoder;
    struct model model;
    const float *theta;
    struct decoder decoder;
    struct goal_asker asker;
    double goals[OPT_LIST_MAX];
    size_t goal_count; /* at least 1; NaN where no goal is asked */
    /* prompts */
    struct source source;
    struct source_map map;
    bool from_file, ended;
    struct record record;
    struct buf prompt_text, bare, asked; /* --prompt; messages or text without and with the goal */
    struct ids ids;
    size_t goal_at;
    uint64_t sample_at, row, prompts; /* prompts: of the input, taken so far */
    bool ready; /* ids hold the prompt of goal_at */
    /* responses in the order they were asked for: written as soon as all before them are */
    struct item *first, **last;
    struct file_out out;
    bool plain;
    struct progress bar;
    uint64_t responses, tokens;
};

static void item_free(struct item *it) {
    buf_release(&it->prompt);
    buf_release(&it->text);
    free(it);
}

static void put_plain(struct job *j, struct buf *b, const struct item *it) {
    if (j->goal_count > 1 || j->o->n > 1) {
        if (j->responses) buf_append_char(b, '\n');
        buf_append_text(b, "== ");
        if (!isnan(it->goal)) {
            buf_append_text(b, "goal ");
            goal_put_score(b, &j->asker.style, it->goal);
        }
        if (j->o->n > 1) buf_printf(b, "%ssample %llu", isnan(it->goal) ? "" : ", ", (unsigned long long)it->sample);
        buf_append_text(b, " ==\n");
    }
    buf_append(b, buf_text(&it->text), it->text.size);
    buf_append_char(b, '\n');
}

static void put_json(struct job *j, struct buf *b, const struct item *it) {
    buf_append_text(b, "{\"prompt\": ");
    buf_append(b, buf_text(&it->prompt), it->prompt.size);
    buf_append_text(b, ", \"goal\": ");
    if (isnan(it->goal))
        buf_append_text(b, "null");
    else
        goal_put_score(b, &j->asker.style, it->goal);
    buf_printf(b, ", \"sample\": %llu, \"text\": ", (unsigned long long)it->sample);
    json_put_string(b, buf_text(&it->text), it->text.size);
    buf_printf(b, ", \"tokens\": %zu, \"finish\": \"%s\", \"row\": %llu, \"model\": ", it->tokens, decode_finish_name(it->finish),
               (unsigned long long)it->row);
    json_put_text(b, j->o->model);
    if (j->o->adapter) {
        buf_append_text(b, ", \"adapter\": ");
        json_put_text(b, j->o->adapter);
    }
    buf_append_text(b, "}\n");
}

/* Writes what is done at the head of the queue. */
static status write_done(struct job *j) {
    status s = ST_OK;
    struct buf b = {0};
    while (s == ST_OK && j->first && j->first->finish != DECODE_RUNNING) {
        struct item *it = j->first;
        buf_clear(&b);
        if (j->plain)
            put_plain(j, &b, it);
        else
            put_json(j, &b, it);
        s = file_out_write(&j->out, b.data, b.size);
        j->responses++;
        j->first = it->later;
        if (!j->first) j->last = &j->first;
        item_free(it);
    }
    buf_release(&b);
    return s;
}

/* The record's prompt without a goal: messages (JSON) where a chat template reads them, else text. */
static status make_bare(struct job *j) {
    struct record *r = &j->record;
    buf_clear(&j->bare);
    if (r->kind == RECORD_SFT && !r->prompt.size && !r->prompt_ids.size) return FAIL(ST_FORMAT, "the row has no prompt (form %s)", r->form);
    if (json_kind_of(r->prompt_ids) != JSON_NONE) {
        if (j->o->goals.count || j->o->system)
            return FAIL(ST_FORMAT, "the row holds prompt_ids: neither a goal nor a system text can be written into them");
        buf_append(&j->bare, r->prompt_ids.text, r->prompt_ids.size);
        return ST_OK;
    }
    if (!isnan(r->goal) && j->o->goals.count)
        return FAIL(
            ST_FORMAT,
            "field 'goal': the row's prompt asks for a goal already; leave --goal out, or give rows as they were before rapt augment");
    if (r->conversational ? !json_count((struct json){buf_text(&r->prompt), r->prompt.size}) : !r->prompt.size)
        return FAIL(ST_FORMAT, "field 'prompt': there is nothing to respond to");
    if (!r->conversational && j->encoder.chat && !j->o->raw) {
        buf_append_text(&j->bare, "[{\"role\": \"user\", \"content\": ");
        json_put_string(&j->bare, buf_text(&r->prompt), r->prompt.size);
        buf_append_text(&j->bare, "}]");
        r->conversational = true;
    } else {
        buf_append(&j->bare, buf_text(&r->prompt), r->prompt.size);
    }
    if (!j->o->system) return ST_OK;
    if (!r->conversational)
        return FAIL(ST_FORMAT, "--system: the prompt is a plain string and %s", j->o->raw ? "--raw is given" : j->encoder.why_no_chat);
    ask_put_system(&j->bare, j->o->system);
    return ST_OK;
}

/* The ids of the record's prompt under one goal. */
static status make_ids(struct job *j, double goal) {
    const struct record *r = &j->record;
    const bool chat = r->conversational;
    j->ids.count = 0;
    if (json_kind_of(r->prompt_ids) != JSON_NONE) {
        TRY(encode_prompt(&j->ids, &j->encoder, r));
    } else {
        const struct json messages = {buf_text(&j->bare), j->bare.size};
        buf_clear(&j->asked);
        if (isnan(goal))
            buf_append(&j->asked, messages.text, messages.size);
        else if (chat)
            TRY(goal_put_messages(&j->asked, &j->asker.style, messages, goal));
        else if (j->asker.style.placement == GOAL_SYSTEM)
            return FAIL(ST_FORMAT, "the goal stands in the system turn, and the prompt is a plain string");
        else
            goal_put_prompt(&j->asked, &j->asker.style, messages.text, messages.size, goal);
        struct record asked = {
            .conversational = chat, .prompt = j->asked, .tools = r->tools, .chat_template_kwargs = r->chat_template_kwargs};
        TRY(encode_prompt(&j->ids, &j->encoder, &asked));
    }
    if (!j->ids.count) return FAIL(ST_FORMAT, "field 'prompt': no tokens; a response needs at least one token before it");
    if (j->ids.count >= j->decoder.options.length)
        return FAIL(ST_FORMAT,
                    "field 'prompt': %zu tokens leave no room for a response within %zu (--max-length; the model has %zu positions)",
                    j->ids.count, j->decoder.options.length, j->model.config.max_position);
    for (size_t i = 0; i < j->ids.count; i++)
        if ((size_t)j->ids.data[i] >= j->model.config.vocab)
            return FAIL(ST_MISMATCH, "token id %d is outside the model's vocabulary of %zu", j->ids.data[i], j->model.config.vocab);
    return ST_OK;
}

/* The record of --prompt, once. */
static void prompt_record(struct job *j) {
    record_clear(&j->record);
    j->record.goal = (double)NAN;
    j->record.kind = RECORD_PROMPT;
    buf_append(&j->record.prompt, buf_text(&j->prompt_text), j->prompt_text.size);
}

/* Ids for (row, goal_at); reads the next row where the goals of this one are through. A bad row is counted or ends it. */
static status prepare(struct job *j) {
    while (!j->ended && !j->ready) {
        status s = ST_OK;
        if (j->goal_at == j->goal_count || j->row == UINT64_MAX) {
            if (j->from_file) {
                j->ended = j->o->limit && j->prompts == (uint64_t)j->o->limit;
                if (!j->ended) TRY(source_next(&j->source, &j->record, &j->ended));
                j->prompts++;
            } else {
                j->ended = j->row != UINT64_MAX;
                prompt_record(j);
            }
            if (j->ended) return ST_OK;
            j->row = j->from_file ? j->record.index : 0;
            j->goal_at = 0;
            s = make_bare(j);
        }
        if (s == ST_OK) s = make_ids(j, j->goals[j->goal_at]);
        j->ready = s == ST_OK;
        j->sample_at = 0;
        if (s == ST_OK) continue;
        if (!j->from_file) return s;
        TRY(source_reject(&j->source, &j->record, s));
        j->goal_at = j->goal_count; /* the row is given up, goals that went before stay */
    }
    return ST_OK;
}

static status next(void *context, struct decode_job *out, bool *end) {
    struct job *j = context;
    TRY(prepare(j));
    *end = j->ended;
    if (j->ended) return ST_OK;
    struct item *it = mem_zero(1, sizeof *it);
    it->goal = isnan(j->goals[j->goal_at]) ? j->record.goal : j->goals[j->goal_at];
    it->row = j->row;
    it->sample = j->sample_at;
    if (j->record.conversational || json_kind_of(j->record.prompt_ids) != JSON_NONE)
        buf_append(&it->prompt, buf_text(&j->bare), j->bare.size);
    else
        json_put_string(&it->prompt, buf_text(&j->bare), j->bare.size);
    *j->last = it;
    j->last = &it->later;
    *out = (struct decode_job){.prompt = j->ids.data,
                               .prompt_count = j->ids.count,
                               .max_new = (size_t)j->o->max_new,
                               .row = it->row,
                               .sample = it->sample,
                               .user = it};
    if (++j->sample_at == (uint64_t)j->o->n) {
        j->ready = false;
        j->goal_at++;
    }
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct job *j = context;
    return tokenizer_is_end(j->encoder.tokenizer, id);
}

static status finish(void *context, const struct decode_state *s) {
    struct job *j = context;
    struct item *it = s->job->user;
    response_text(&it->text, j->encoder.tokenizer, s);
    it->tokens = s->count;
    it->finish = s->finish;
    return write_done(j);
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    struct job *j = context;
    char rate[48];
    (void)s;
    (void)stop;
    j->tokens++;
    const double elapsed = log_now_s() - j->bar.start_s;
    snprintf(rate, sizeof rate, "%.0f tokens/s", elapsed > 0 ? (double)j->tokens / elapsed : 0);
    progress_update(&j->bar, j->responses, rate);
    return ST_OK;
}

/* Rows of the input, for the bar; 0 when it cannot be known: what is no plain file can be read only once. */
static uint64_t count_rows(const char *path) {
    struct rows_in rows_in;
    const char *text;
    size_t size;
    uint64_t count = 0;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || rows_open(&rows_in, path) != ST_OK) return 0;
    while (rows_next(&rows_in, &text, &size) == ST_OK && text) count = rows_in.count;
    rows_release(&rows_in);
    return count;
}

static status read_prompt(struct job *j) {
    if (strcmp(j->o->prompt, "-") != 0) {
        buf_append_text(&j->prompt_text, j->o->prompt);
        return ST_OK;
    }
    struct file_lines l;
    const char *text;
    size_t size;
    TRY(file_lines_open(&l, "-"));
    status s = file_lines_next(&l, &text, &size);
    for (; s == ST_OK && text; s = file_lines_next(&l, &text, &size)) {
        if (l.number > 1) buf_append_char(&j->prompt_text, '\n');
        buf_append(&j->prompt_text, text, size);
    }
    file_lines_release(&l);
    return s;
}

static status open_model(struct job *j, const struct sampler_options *sampler) {
    const struct options *o = j->o;
    TRY(encoder_open(&j->encoder, o->model));
    TRY(encoder_set_kwargs(&j->encoder, o->kwargs, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    if (o->goals.count) {
        TRY(goal_asker_open(&j->asker, o->model, o->adapter, o->style, &j->encoder));
        for (size_t i = 0; i < o->goals.count; i++) TRY(goal_asker_parse(&j->goals[i], &j->asker, o->goals.items[i]));
        for (size_t i = 0; i < o->goals.count; i++) goal_asker_note(&j->asker, j->goals[i]);
    } else {
        j->goals[0] = (double)NAN;
    }
    j->goal_count = o->goals.count ? o->goals.count : 1;
    TRY(infer_model_open(&j->model, o->model, o->dtype));
    if (o->adapter) {
        TRY(adapter_load(&j->model, o->adapter, false));
        j->theta = j->model.params.value;
    }
    return decoder_open(&j->decoder, &j->model, j->theta, (size_t)o->batch, (size_t)o->max_length, sampler);
}

static status generate(struct job *j) {
    const struct options *o = j->o;
    const uint64_t each = j->goal_count * (uint64_t)o->n;
    const struct decode_calls calls = {.context = j, .next = next, .is_end = is_end, .finish = finish, .token = token};
    j->plain = o->prompt && !o->output && !o->json;
    j->row = UINT64_MAX;
    j->last = &j->first;
    j->from_file = o->input != NULL;
    TRY(cli_fields(&j->map, &o->fields));
    if (o->prompt)
        TRY(read_prompt(j));
    else
        TRY(source_open(&j->source, o->input, strcmp(o->bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP,
                        o->output && strcmp(o->output, "-") ? o->output : NULL));
    j->source.map = &j->map;
    TRY(file_out_open(&j->out, o->output ? o->output : "-"));
    const uint64_t prompts = o->prompt ? 1 : count_rows(o->input), limit = (uint64_t)o->limit;
    progress_begin(&j->bar, "generate", "responses", (limit && limit < prompts ? limit : prompts) * each);
    TRY(decode_run(&j->decoder, &calls));
    progress_end(&j->bar, j->responses, NULL);
    if (j->from_file) TRY(source_commit(&j->source));
    return file_out_commit(&j->out);
}

static void tell_rate(const struct job *j) {
    const double elapsed = log_now_s() - j->bar.start_s;
    const struct decode_counts *c = &j->decoder.counts;
    if (j->plain && elapsed < 2) return;
    log_info("%llu responses, %llu tokens in %.1f s: %.1f tokens/s; %llu prompt tokens computed, %llu shared",
             (unsigned long long)j->responses, (unsigned long long)c->generated, elapsed, elapsed > 0 ? (double)c->generated / elapsed : 0,
             (unsigned long long)c->prompt, (unsigned long long)c->shared);
}

static void release(struct job *j) {
    while (j->first) {
        struct item *it = j->first;
        j->first = it->later;
        item_free(it);
    }
    if (j->from_file) source_release(&j->source);
    file_out_abandon(&j->out);
    decoder_release(&j->decoder);
    model_release(&j->model);
    goal_asker_release(&j->asker);
    encoder_release(&j->encoder);
    record_release(&j->record);
    buf_release(&j->prompt_text);
    buf_release(&j->bare);
    buf_release(&j->asked);
    ids_release(&j->ids);
    free(j);
}

static status check(const struct options *o) {
    if (o->fields.count && !o->input) return FAIL(ST_USAGE, "--field has no effect without --input");
    if (!o->model) return FAIL(ST_USAGE, "--model is needed");
    if (o->kwargs && o->raw) return FAIL(ST_USAGE, "--chat-template-kwargs has no effect with --raw");
    if (o->limit && !o->input) return FAIL(ST_USAGE, "--limit has no effect without --input");
    if (o->limit < 0) return FAIL(ST_USAGE, "--limit expects 0 or more, not %lld", (long long)o->limit);
    if (!o->prompt == !o->input) return FAIL(ST_USAGE, "one of --prompt and --input is needed");
    if (o->n < 1 || o->n > 1 << 20) return FAIL(ST_USAGE, "--n expects 1 to 1048576, not %lld", (long long)o->n);
    if (o->n > 1 && o->sampling.temperature == 0)
        return FAIL(ST_USAGE, "--n %lld with --temperature 0 would write the same response every time", (long long)o->n);
    if (o->max_new < 1 || o->max_new > 1 << 24)
        return FAIL(ST_USAGE, "--max-new-tokens expects 1 or more, not %lld", (long long)o->max_new);
    if (o->max_length < 2 || o->max_length > 1 << 24)
        return FAIL(ST_USAGE, "--max-length expects 2 or more, not %lld", (long long)o->max_length);
    if (o->batch < 1 || o->batch > 4096) return FAIL(ST_USAGE, "--batch-size expects 1 to 4096, not %lld", (long long)o->batch);
    if (o->style && !o->goals.count) return FAIL(ST_USAGE, "--goal-style has no effect without --goal");
    return ST_OK;
}

status cmd_generate_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    struct sampler_options sampler;
    bool done;
    TRY(cmd_parse(&r, &cmd_generate_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    TRY(check(&o));
    TRY(sampling_from_flags(&sampler, &o.sampling, &r, &cmd_generate_spec));
    TRY(cli_threads(o.threads));
    /* no more memory than the work asks for */
    const int64_t most = o.prompt ? (o.goals.count ? (int64_t)o.goals.count : 1) * o.n : o.batch;
    if (o.batch > most) o.batch = most;
    struct job *j = mem_zero(1, sizeof *j);
    j->o = &o;
    status s = open_model(j, &sampler);
    if (s == ST_OK) s = generate(j);
    if (s == ST_OK) tell_rate(j);
    release(j);
    return s;
}
