/* rapt logps: each pair's summed log-probs under a model; the reference file of train --ref-logps, and what eval --logps reads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "data/encode.h"
#include "data/source.h"
#include "model/scorer.h"
#include "num/cpu.h"

struct options {
    const char *model, *adapter, *input, *output, *dtype, *bad_row;
    int64_t max_length, budget, threads;
    bool tokens, token_logps;
};

#define FIELD(name) offsetof(struct options, name)
static const struct opt_row rows[] = {
    {"model", OPT_STR, FIELD(model), "M", NULL, NULL, "a Hugging Face folder or a .gguf file"},
    {"adapter", OPT_STR, FIELD(adapter), "D", NULL, NULL, "a PEFT adapter on top"},
    {"input", OPT_STR, FIELD(input), "F", NULL, NULL, "JSONL of pairs; rows may carry prompt_ids, chosen_ids, rejected_ids instead of text"},
    {"output", OPT_STR, FIELD(output), "F", "-", NULL, "the rows again with logps_chosen, logps_rejected (nats), tokens_chosen, tokens_rejected"},
    {"tokens", OPT_FLAG, FIELD(tokens), NULL, NULL, NULL, "also prompt_ids, chosen_ids, rejected_ids"},
    {"token-logps", OPT_FLAG, FIELD(token_logps), NULL, NULL, NULL, "also token_logps_chosen, token_logps_rejected: one number a token"},
    {"max-length", OPT_INT, FIELD(max_length), "N", "0", NULL, "cut responses here as train does; rows whose prompt reaches it get null; 0 = no limit"},
    {"micro-batch-tokens", OPT_INT, FIELD(budget), "N", "2048", NULL, "positions computed at a time"},
    {"dtype", OPT_CHOICE, FIELD(dtype), NULL, "auto", DTYPE_CHOICES, DTYPE_HELP},
    {"threads", OPT_INT, FIELD(threads), "N", "0", NULL, "0 = all cores"},
    {"on-bad-row", OPT_CHOICE, FIELD(bad_row), NULL, "stop", "stop|skip", "skipped rows are counted and kept in OUTPUT.rejected.jsonl"},
};

const struct opt_spec cmd_logps_spec = {
    .command = "logps",
    .summary = "Log-probs of every pair under a model: a portable reference file.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt logps --model SmolLM2-135M-Instruct.Q4_1.gguf --input pairs.aug.jsonl --output base.logps.jsonl",
};

/* A row waiting for its pack. */
struct item {
    struct buf text;     /* the row's JSON */
    struct encoded ids;
    struct ids sequence[2]; /* prompt + response */
    size_t used[2];      /* response tokens after the cut */
    bool null;           /* the prompt alone is too long */
};

#define ITEMS_MAX 64
struct job {
    const struct options *o;
    struct encoder encoder;
    struct scorer scorer;
    struct file_out out;
    struct item items[ITEMS_MAX];
    size_t count, cost;
    uint64_t rows, nulls;
};

static void put_ids(struct buf *out, const char *key, const int32_t *ids, size_t count) {
    buf_printf(out, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s%d", i ? ", " : "", ids[i]);
    buf_append_char(out, ']');
}

/* Log-probs of one sequence's tokens, in order: the entries are sorted by node, so positions sort them back. */
static void put_token_logps(struct buf *out, const char *key, const struct scorer *s, int32_t sequence, size_t prompt, size_t count) {
    float *values = mem_zero(count + 1, sizeof *values);
    for (int32_t i = 0; i < s->tree.score_count; i++) {
        const struct seqtree_score *e = &s->tree.scores[i];
        if (e->sequence == sequence) values[(size_t)s->tree.depth[e->node] + 1 - prompt] = s->run.logp[i];
    }
    buf_printf(out, ", \"%s\": [", key);
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s%.7g", i ? ", " : "", (double)values[i]);
    buf_append_char(out, ']');
    free(values);
}

static bool ours(struct json key, const struct options *o) {
    static const char *const always[] = {"logps_chosen", "logps_rejected", "tokens_chosen", "tokens_rejected"};
    static const char *const ids[] = {"prompt_ids", "chosen_ids", "rejected_ids"}, *const each[] = {"token_logps_chosen", "token_logps_rejected"};
    for (size_t i = 0; i < 4; i++)
        if (json_equals(key, always[i])) return true;
    for (size_t i = 0; i < 3 && o->tokens; i++)
        if (json_equals(key, ids[i])) return true;
    for (size_t i = 0; i < 2 && o->token_logps; i++)
        if (json_equals(key, each[i])) return true;
    return false;
}

static status write_item(struct job *j, const struct item *it, const double *sums, int32_t sequence) {
    struct buf b = {0};
    struct json row = {buf_text(&it->text), it->text.size}, key, value;
    struct json_iter members = json_iter_begin(row);
    buf_append_char(&b, '{');
    while (json_iter_next(&members, &key, &value)) {
        if (ours(key, j->o)) continue;
        buf_append(&b, key.text, key.size);
        buf_append(&b, ": ", 2);
        buf_append(&b, value.text, value.size);
        buf_append(&b, ", ", 2);
    }
    buf_append_text(&b, "\"logps_chosen\": ");
    json_put_double(&b, it->null ? (double)NAN : sums[0]);
    buf_append_text(&b, ", \"logps_rejected\": ");
    json_put_double(&b, it->null ? (double)NAN : sums[1]);
    buf_printf(&b, ", \"tokens_chosen\": %zu, \"tokens_rejected\": %zu", it->used[0], it->used[1]);
    if (j->o->tokens) {
        put_ids(&b, "prompt_ids", it->ids.prompt.data, it->ids.prompt.count);
        put_ids(&b, "chosen_ids", it->ids.chosen.data, it->used[0]);
        put_ids(&b, "rejected_ids", it->ids.rejected.data, it->used[1]);
    }
    if (j->o->token_logps && !it->null) {
        put_token_logps(&b, "token_logps_chosen", &j->scorer, sequence, it->ids.prompt.count, it->used[0]);
        put_token_logps(&b, "token_logps_rejected", &j->scorer, sequence + 1, it->ids.prompt.count, it->used[1]);
    }
    buf_append(&b, "}\n", 2);
    status s = file_out_write(&j->out, b.data, b.size);
    buf_release(&b);
    return s;
}

static status flush(struct job *j) {
    const int32_t *ids[2 * ITEMS_MAX];
    int32_t sizes[2 * ITEMS_MAX], from[2 * ITEMS_MAX], at = 0;
    double sums[2 * ITEMS_MAX];
    for (size_t i = 0; i < j->count; i++)
        for (int k = 0; k < 2 && !j->items[i].null; k++) {
            ids[at] = j->items[i].sequence[k].data;
            sizes[at] = (int32_t)j->items[i].sequence[k].count;
            from[at++] = (int32_t)j->items[i].ids.prompt.count;
        }
    if (at) TRY(scorer_sums(sums, &j->scorer, ids, sizes, from, at));
    at = 0;
    for (size_t i = 0; i < j->count; i++) {
        TRY(write_item(j, &j->items[i], sums + at, at));
        if (!j->items[i].null) at += 2;
    }
    j->count = j->cost = 0;
    return ST_OK;
}

static void fill_item(struct item *it, const struct record *r, size_t max_length) {
    const size_t prompt = it->ids.prompt.count;
    size_t room = max_length ? max_length : SIZE_MAX;
    buf_clear(&it->text);
    buf_append(&it->text, r->row.text, r->row.size);
    it->null = prompt >= room;
    for (int k = 0; k < 2; k++) {
        const struct ids *response = k ? &it->ids.rejected : &it->ids.chosen;
        it->used[k] = it->null ? 0 : response->count < room - prompt ? response->count : room - prompt;
        it->sequence[k].count = 0;
        ids_append(&it->sequence[k], it->ids.prompt.data, prompt);
        ids_append(&it->sequence[k], response->data, it->used[k]);
    }
}

static status take(struct job *j, const struct record *r) {
    if (r->kind != RECORD_PAIR) return FAIL(ST_FORMAT, "expected a pair (prompt, chosen, rejected)");
    struct item *it = &j->items[j->count];
    TRY(encode_record(&it->ids, &j->encoder, r));
    if (!it->ids.prompt.count) return FAIL(ST_FORMAT, "field 'prompt': no tokens; a response needs at least one token before it");
    fill_item(it, r, (size_t)j->o->max_length);
    size_t cost = it->null ? 0 : it->ids.prompt.count + it->used[0] + it->used[1];
    for (int k = 0; k < 2; k++)
        if (it->sequence[k].count > j->scorer.model.rope_positions) TRY(model_need_positions(&j->scorer.model, it->sequence[k].count + 256 < j->scorer.model.config.max_position ? it->sequence[k].count + 256 : it->sequence[k].count));
    if (cost > (size_t)j->o->budget)
        return FAIL(ST_UNSUPPORTED, "the row needs %zu positions; raise --micro-batch-tokens (%lld) or set --max-length", cost, (long long)j->o->budget);
    if (j->cost + cost > (size_t)j->o->budget) { /* the new row opens the next pack */
        struct item keep = *it;
        TRY(flush(j));
        struct item spare = j->items[0];
        j->items[0] = keep;
        *it = spare;
    }
    j->count++;
    j->cost += cost;
    j->rows++;
    j->nulls += j->items[j->count - 1].null;
    return j->count == ITEMS_MAX ? flush(j) : ST_OK;
}

static status read_all(struct job *j) {
    struct source source;
    struct record record = {0};
    struct progress bar;
    bool end = false;
    status s = source_open(&source, j->o->input, strcmp(j->o->bad_row, "skip") == 0 ? SOURCE_SKIP : SOURCE_STOP, strcmp(j->o->output, "-") ? j->o->output : NULL);
    TRY(s);
    progress_begin(&bar, "logps", "kB", file_size_bytes(j->o->input) >> 10);
    while (s == ST_OK) {
        s = source_next(&source, &record, &end);
        if (s != ST_OK || end) break;
        s = take(j, &record);
        if (s != ST_OK) s = source_reject(&source, &record, s);
        progress_update(&bar, source.lines.next_offset >> 10, NULL);
    }
    if (s == ST_OK) s = flush(j);
    if (s == ST_OK) s = source_commit(&source);
    if (s == ST_OK) progress_end(&bar, source.lines.next_offset >> 10, NULL);
    source_release(&source);
    record_release(&record);
    return s;
}

/* What a reference file was made with; train --ref-logps holds its own run against it. */
static status write_meta(const struct job *j) {
    const struct options *o = j->o;
    if (strcmp(o->output, "-") == 0) return ST_OK;
    char model[HASH_HEX_SIZE];
    struct buf b = {0}, path = {0};
    TRY(hash_path(model, o->model));
    buf_printf(&b, "{\"model_hash\": \"%s\", \"adapter\": %s, \"tokenizer_hash\": \"%s\", \"dtype\": \"%s\", \"max_length\": %lld, \"instruction_set\": \"", model,
               o->adapter ? "true" : "false", tokenizer_hash(j->encoder.tokenizer), matmul_kind_name(j->scorer.model.kind), (long long)o->max_length);
    cpu_describe(&b);
    buf_append_text(&b, "\"}\n");
    buf_printf(&path, "%s.meta.json", o->output);
    status s = file_write(buf_text(&path), b.data, b.size);
    buf_release(&b);
    buf_release(&path);
    return s;
}

static void release(struct job *j) {
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        buf_release(&j->items[i].text);
        encoded_release(&j->items[i].ids);
        ids_release(&j->items[i].sequence[0]);
        ids_release(&j->items[i].sequence[1]);
    }
    encoder_release(&j->encoder);
    scorer_release(&j->scorer);
    free(j);
}

static status work(struct job *j) {
    const struct options *o = j->o;
    TRY(encoder_open(&j->encoder, o->model));
    TRY(scorer_open(&j->scorer, o->model, o->adapter, cli_dtype(o->dtype), (size_t)o->budget, 16));
    TRY(file_out_open(&j->out, o->output));
    status s = read_all(j);
    if (s != ST_OK) {
        file_out_abandon(&j->out);
        return s;
    }
    TRY(file_out_commit(&j->out));
    log_info("%llu rows, %llu of them null (prompt >= --max-length)", (unsigned long long)j->rows, (unsigned long long)j->nulls);
    return write_meta(j);
}

status cmd_logps_run(int argc, char **argv) {
    struct options o = {0};
    struct opt_result r;
    bool done;
    TRY(cmd_parse(&r, &cmd_logps_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (!o.model || !o.input) return FAIL(ST_USAGE, "--model and --input are needed");
    if (o.budget < 16 || o.budget > 1 << 22) return FAIL(ST_USAGE, "--micro-batch-tokens expects 16 to 4194304");
    if (o.max_length < 0) return FAIL(ST_USAGE, "--max-length expects 0 or more");
    TRY(cli_threads(o.threads));
    struct job *j = mem_zero(1, sizeof *j);
    j->o = &o;
    status s = work(j);
    release(j);
    return s;
}
