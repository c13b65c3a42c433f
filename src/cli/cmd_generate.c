/* rapt generate: goal-conditioned sampling, batched over prompts, goals and samples. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_fields.h"
#include "cli/cli_kwargs.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "cli/generate.h"
#include "model/peft_io.h"

#define FIELD(name) offsetof(struct generate_options, name)
#define SAMPLING(name) offsetof(struct generate_options, sampling.name)
#define ENDPOINT(name) offsetof(struct generate_options, endpoint.name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top; its goal.json says how goals were asked in training"},
    {"goal", OPT_TEXTS, FIELD(goals), "G[,G2...]", NULL, NULL,
     "the score to aim at, once for each; best: the one that did best on validation. Where goals have several attributes: "
     "NAME=G,NAME=G,..., several goals "
     "separated by semicolons; best: each attribute's best value, best,NAME=G all but that one's. Without it no goal is written into the "
     "prompt"},
    {"prompt", OPT_STR, FIELD(prompt), "TEXT", NULL, NULL, "one prompt; - reads it from standard input"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL,
     "Prompts: rows (JSONL, JSON, gzip, zstd or Parquet) of any form, of which the prompt is taken"},
    {"limit", OPT_INT, FIELD(limit), "N", "0", NULL, "the first N prompts of --input; 0 = all"},
    {"n", OPT_INT, FIELD(n), "K", "1", NULL, "responses to each prompt under each goal, at each temperature"},
    {"output", OPT_STR, FIELD(output), "F", NULL, NULL,
     "JSONL: prompt (without goal), goal, temperature (of several), sample, text, tokens, finish (stop or length), row, model, adapter. "
     "With --prompt the "
     "default is plain text"},
    {"form", OPT_STR, FIELD(form), "NAME", "rows", NULL, "of the output:"},
    {"model-id", OPT_STR, FIELD(id), "NAME", NULL, NULL, "the model's name in the output; default: that of --model or --endpoint-model"},
    {"length-tokenizer", OPT_STR, FIELD(lengths), "T", NULL, NULL,
     "of Arena-Hard's forms: the tokenizer that counts token_len, which in the benchmark is gpt-4o's (o200k_base as a tokenizer.json); of "
     "arena-hard-v2 it also "
     "brings metadata with the counts of markdown, for eval arena-hard --style-control"},
    {"token-ids", OPT_FLAG, FIELD(token_ids), NULL, NULL, NULL,
     "rows also have response_ids, the sampled tokens: eval kl takes them as they are, where the text may be tokenised otherwise"},
    {"json", OPT_FLAG, FIELD(json), NULL, NULL, NULL, "with --prompt: JSONL on standard output"},
    {"system", OPT_STR, FIELD(system), "TEXT", NULL, NULL, "a system text for prompts that bring none of their own"},
    {"goal-style", OPT_STR, FIELD(style), "F", NULL, NULL,
     "template, placement and scale of the goal as JSON, instead of the adapter's goal.json"},
    {"raw", OPT_FLAG, FIELD(raw), NULL, NULL, NULL,
     "string prompts go in as they are, without the chat template (an endpoint is asked at /completions)"},
    {"Sampling", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"temperature", OPT_LIST, FIELD(temperatures), "T[,T2...]", "1", NULL,
     SAMPLING_HEAT_HELP ". Several: --n responses at each, so n x temperatures to a prompt under a goal; sample counts through all of "
                        "them, and those at a temperature are "
                        "what a run at it alone with as large an --n has under these numbers"},
    SAMPLING_OTHER_ROWS(SAMPLING, "1"),
    {"max-new-tokens", OPT_INT, FIELD(max_new), "N", "256", NULL, "most tokens of a response"},
    {"Execution", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    {"batch-size", OPT_INT, FIELD(batch), "N", "16", NULL, "responses written at a time"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "2048", NULL,
     "most tokens of prompt and response, cut to the model's positions; sizes the memory"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", INFER_DTYPE_CHOICES, INFER_DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    CLI_KWARGS_ROW(FIELD(kwargs)),
    {"A model behind an endpoint, instead of --model", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    ENDPOINT_ROWS(ENDPOINT, "OUTPUT.remote.jsonl; without a file of --output none"),
    GOAL_AS_ROW(FIELD(goal_as)),
    {"answer-tries", OPT_INT, FIELD(answer_tries), "N", "3", NULL, "Times that a response is asked for until there is one in the answer."},
    {"on-bad-answer", OPT_CHOICE, FIELD(bad_answer), NULL, "stop", "stop|skip",
     "When there is none, or the server refuses the prompt: stop, or leave the response out, and count it."},
    {"Rows", OPT_HEADING, 0, NULL, NULL, NULL, NULL},
    CLI_FIELD_ROW(FIELD(fields)),
    {"on-bad-row", OPT_CHOICE, FIELD(bad_row), NULL, "stop", "stop|skip", "skipped rows are counted and kept in OUTPUT.rejected.jsonl"},
};

static void put_names(struct buf *out, const char *option) {
    for (size_t i = 0; strcmp(option, "form") == 0 && i < generate_form_count; i++)
        buf_printf(out, "%s%s: %s", i ? "; " : " ", generate_forms[i].name, generate_forms[i].help);
}

static void put_values(struct buf *out, const char *option) {
    for (size_t i = 0; strcmp(option, "form") == 0 && i < generate_form_count; i++)
        buf_printf(out, "%s%s", i ? "|" : "", generate_forms[i].name);
}

const struct opt_spec cmd_generate_spec = {
    .command = "generate",
    .summary = "Responses of a model under given goals.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .put_names = put_names,
    .put_values = put_values,
    .example = "rapt generate --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter out --goal 3,10 --prompt \"Why is the sky blue?\"\n"
               "rapt generate --model M --adapter out --goal 10 --input prompts.jsonl --n 4 --output samples.jsonl\n"
               "rapt generate --model M --input prompts.jsonl --temperature 0.7,1,1.2 --n 2 --output samples.jsonl\n"
               "rapt generate --endpoint http://localhost:8080/v1 --endpoint-model NAME --goal 10 --goal-as field --input prompts.jsonl "
               "--output samples.jsonl\n"
               "rapt generate --model M --adapter out --goal 10 --input alpaca_eval.json --form alpaca --model-id ra-10 --output "
               "model_outputs.json",
};

struct job {
    struct generate_job rows; /* first */
    struct encoder encoder;
    struct model model;
    const float *theta;
    struct decoder decoder;
    struct goal_asker asker;
    struct ids ids; /* of the prompt that is ready */
    uint64_t tokens;
};

/* The ids of the record's prompt under one goal. */
static status make_ids(struct generate_job *base, const struct goal *goal) {
    struct job *j = (struct job *)base;
    const struct record *r = &base->record;
    j->ids.count = 0;
    if (json_kind_of(r->prompt_ids) != JSON_NONE) {
        TRY(encode_prompt(&j->ids, &j->encoder, r));
    } else {
        TRY(generate_put_goal(base, goal));
        struct record asked = {
            .conversational = r->conversational, .prompt = base->asked, .tools = r->tools, .chat_template_kwargs = r->chat_template_kwargs};
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

static status next(void *context, struct decode_job *out, bool *end) {
    struct job *j = context;
    struct generate_item *it;
    TRY(generate_next(&it, &j->rows));
    *end = !it;
    if (!it) return ST_OK;
    *out = (struct decode_job){.prompt = j->ids.data,
                               .prompt_count = j->ids.count,
                               .max_new = (size_t)j->rows.o->max_new,
                               .row = it->row,
                               .sample = it->sample,
                               .sampler = it->sampling,
                               .user = it};
    return ST_OK;
}

static bool is_end(void *context, int32_t id) {
    const struct job *j = context;
    return tokenizer_is_end(j->encoder.tokenizer, id);
}

static status finish(void *context, const struct decode_state *s) {
    struct job *j = context;
    struct generate_item *it = s->job->user;
    response_text(&it->text, j->encoder.tokenizer, s);
    it->tokens = s->count;
    if (j->rows.o->token_ids) {
        for (size_t i = 0; i < s->count; i++) buf_printf(&it->ids, "%s%d", i ? ", " : "[", s->ids[i]);
        buf_append_char(&it->ids, ']');
    }
    it->finish = decode_finish_name(s->finish);
    it->done = true;
    return generate_write_done(&j->rows);
}

static status token(void *context, const struct decode_state *s, bool *stop) {
    struct job *j = context;
    char rate[48];
    (void)s;
    (void)stop;
    j->tokens++;
    const double elapsed = log_now_s() - j->rows.bar.start_s;
    snprintf(rate, sizeof rate, "%.0f tokens/s", elapsed > 0 ? (double)j->tokens / elapsed : 0);
    progress_update(&j->rows.bar, j->rows.responses, rate);
    return ST_OK;
}

static status open_model(struct job *j) {
    const struct generate_options *o = j->rows.o;
    struct goal_list *goals = &j->rows.goals;
    TRY(encoder_open(&j->encoder, o->model));
    TRY(encoder_set_kwargs(&j->encoder, o->kwargs, &(struct kwargs_places){.adapter = o->adapter, .model = o->model}));
    if (o->goals.count) {
        TRY(goal_asker_open(&j->asker, o->model, o->adapter, o->style, &j->encoder));
        for (size_t i = 0; i < o->goals.count; i++) TRY(goal_asker_parse_list(goals, &j->asker, o->goals.items[i]));
        for (size_t i = 0; i < goals->count; i++) goal_asker_note(&j->asker, &goals->items[i]);
    }
    if (!goals->count) goal_list_add(goals, &(struct goal){0});
    j->rows.style = &j->asker.style;
    j->rows.chat = j->encoder.chat != NULL;
    j->rows.why_no_chat = j->encoder.why_no_chat;
    TRY(infer_model_open(&j->model, o->model, o->dtype));
    if (o->adapter) {
        TRY(adapter_load(&j->model, o->adapter, false));
        j->theta = j->model.params.value;
    }
    /* no more memory than the work asks for */
    const uint64_t most = o->prompt ? goals->count * generate_samples(o) : (uint64_t)o->batch;
    const size_t batch = (uint64_t)o->batch < most ? (size_t)o->batch : (size_t)most;
    return decoder_open(&j->decoder, &j->model, j->theta,
                        &(struct decode_options){.batch = batch, .length = (size_t)o->max_length, .sampler = o->heats[0]});
}

static status generate(struct job *j) {
    const struct decode_calls calls = {.context = j, .next = next, .is_end = is_end, .finish = finish, .token = token};
    TRY(generate_open(&j->rows));
    TRY(decode_run(&j->decoder, &calls));
    return generate_commit(&j->rows);
}

static void tell_rate(const struct job *j) {
    const double elapsed = log_now_s() - j->rows.bar.start_s;
    const struct decode_counts *c = &j->decoder.counts;
    if (j->rows.plain && elapsed < 2) return;
    log_info("%llu responses, %llu tokens in %.1f s: %.1f tokens/s; %llu prompt tokens computed, %llu shared",
             (unsigned long long)j->rows.responses, (unsigned long long)c->generated, elapsed,
             elapsed > 0 ? (double)c->generated / elapsed : 0, (unsigned long long)c->prompt, (unsigned long long)c->shared);
}

static void release(struct job *j) {
    generate_release(&j->rows);
    decoder_release(&j->decoder);
    model_release(&j->model);
    goal_asker_release(&j->asker);
    encoder_release(&j->encoder);
    ids_release(&j->ids);
    free(j);
}

static status check(const struct generate_options *o, const struct opt_result *r) {
    static const char *const remote[] = {"goal-as", "answer-tries", "on-bad-answer"};
    if (!o->model) return FAIL(ST_USAGE, "--model is needed, or --endpoint");
    TRY(cli_endpoint_unused(r, &cmd_generate_spec));
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if (opt_given(r, &cmd_generate_spec, remote[i])) return FAIL(ST_USAGE, "--%s has no effect without --endpoint", remote[i]);
    if (o->kwargs && o->raw) return FAIL(ST_USAGE, "--chat-template-kwargs has no effect with --raw");
    if (o->max_length < 2 || o->max_length > 1 << 24)
        return FAIL(ST_USAGE, "--max-length expects 2 or more, not %lld", (long long)o->max_length);
    if (o->batch < 1 || o->batch > 4096) return FAIL(ST_USAGE, "--batch-size expects 1 to 4096, not %lld", (long long)o->batch);
    return cli_threads(o->threads);
}

status cmd_generate_run(int argc, char **argv) {
    struct generate_options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_generate_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.endpoint.endpoint) TRY(check(&o, &r));
    TRY(generate_check(&o, &r, &cmd_generate_spec));
    if (o.endpoint.endpoint) return generate_remote(&o, &r, &cmd_generate_spec);
    struct job *j = mem_zero(1, sizeof *j);
    j->rows.o = &o;
    j->rows.make = make_ids;
    j->rows.last = &j->rows.first;
    status s = open_model(j);
    if (s == ST_OK) s = generate(j);
    if (s == ST_OK) tell_rate(j);
    release(j);
    return s;
}
