/* inspect: says what a model, adapter, data set or run is. One walk fills a facts list that prints as text or as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_fields.h"
#include "cli/cli_model.h"
#include "cli/cmd.h"
#include "model/lora.h"
#include "text/tokenizer.h"
#include "train/memory.h"
#include "data/source.h"
#include "format/gguf.h"
#include "format/json.h"
#include "format/safetensors.h"

struct inspect_options {
    bool json, tensors;
    int64_t budget;
    struct opt_list fields;
};
static const struct opt_row rows[] = {
    {"json", OPT_FLAG, offsetof(struct inspect_options, json), NULL, NULL, NULL, "Print one JSON object instead of text."},
    {"tensors", OPT_FLAG, offsetof(struct inspect_options, tensors), NULL, NULL, NULL,
     "List every tensor of a model with its type and shape."},
    {"micro-batch-tokens", OPT_INT, offsetof(struct inspect_options, budget), "N", "0", NULL,
     "positions that training would compute at a time, for the memory it wants; 0: what train takes for rows of 1024"},
    CLI_FIELD_ROW(offsetof(struct inspect_options, fields)),
};
const struct opt_spec cmd_inspect_spec = {
    .command = "inspect",
    .summary = "say what a model, adapter, data set or run is",
    .positional = "PATH",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt inspect model.gguf\nrapt inspect pairs.jsonl --json",
    .notes = "PATH is a .gguf file, a Hugging Face folder, a .safetensors file, an adapter folder, a run's folder, or a data set (JSONL, "
             "JSON, gzip, zstd, Parquet).",
};

/* Facts written one after another: "key: value" lines with indented groups, or one JSON object. */
struct facts {
    struct buf out;
    bool json, first;
    int depth;
};

static void put_key(struct facts *f, const char *key, size_t size) {
    if (f->json) {
        if (!f->first) buf_append_text(&f->out, ", ");
        json_put_string(&f->out, key, size);
        buf_append_text(&f->out, ": ");
    } else {
        for (int i = 0; i < f->depth; i++) buf_append_text(&f->out, "  ");
        for (size_t i = 0; i < size; i++) buf_append_char(&f->out, (unsigned char)key[i] < 0x20 || key[i] == 0x7f ? '?' : key[i]);
        buf_append_text(&f->out, ": ");
    }
    f->first = false;
}
static void end_value(struct facts *f) {
    if (!f->json) buf_append_char(&f->out, '\n');
}

/* A GGUF file may hold any bytes as a string; what is printed is valid UTF-8 without control characters. */
static void put_clean(struct facts *f, const char *text, size_t size) {
    struct buf quoted = {0};
    struct json parsed;
    json_put_string(&quoted, text, size);
    if (json_parse(&parsed, quoted.data, quoted.size) != ST_OK) {
        struct buf ascii = {0};
        for (size_t i = 0; i < size; i++) buf_append_char(&ascii, (signed char)text[i] < 0 ? '?' : text[i]);
        buf_clear(&quoted);
        json_put_string(&quoted, buf_text(&ascii), ascii.size);
        buf_release(&ascii);
    }
    if (f->json) {
        buf_append(&f->out, quoted.data, quoted.size);
    } else {
        buf_append(&f->out, quoted.data + 1, quoted.size - 2);
    }
    buf_release(&quoted);
}
static void fact_text_n(struct facts *f, const char *key, const char *text, size_t size) {
    put_key(f, key, strlen(key));
    put_clean(f, text, size);
    end_value(f);
}
static void fact_text(struct facts *f, const char *key, const char *text) { fact_text_n(f, key, text, strlen(text)); }
static void fact_int(struct facts *f, const char *key, uint64_t value) {
    put_key(f, key, strlen(key));
    buf_printf(&f->out, "%llu", (unsigned long long)value);
    end_value(f);
}
static void fact_null(struct facts *f, const char *key) {
    put_key(f, key, strlen(key));
    buf_append_text(&f->out, f->json ? "null" : "not known");
    end_value(f);
}
static void fact_double(struct facts *f, const char *key, double value) {
    put_key(f, key, strlen(key));
    json_put_double(&f->out, value);
    end_value(f);
}
/* A value copied from a JSON file as it stands there. */
static void fact_span(struct facts *f, const char *key, size_t size, struct json value) {
    put_key(f, key, size);
    buf_append(&f->out, value.text, value.size);
    end_value(f);
}
static void group_begin(struct facts *f, const char *key, size_t size) {
    put_key(f, key, size);
    buf_append_char(&f->out, f->json ? '{' : '\n');
    f->first = true;
    f->depth++;
}
static void group_end(struct facts *f) {
    if (f->json) buf_append_char(&f->out, '}');
    f->first = false;
    f->depth--;
}

/* The template's first bytes, cut between characters. */
static void fact_template(struct facts *f, const char *text, size_t size) {
    size_t head = size < 240 ? size : 240;
    while (head < size && head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80) head--;
    fact_int(f, "chat_template_bytes", size);
    fact_text_n(f, "chat_template_head", text, head);
}

/* ---- models ---- */

struct tally { /* what the tensors add up to, by type */
    uint64_t tensors[DTYPE_COUNT], elements[DTYPE_COUNT];
    uint64_t bytes, parameters, count;
};

static void tally_add(struct tally *t, enum dtype type, uint64_t row_count, uint64_t cols) {
    t->tensors[type]++;
    t->elements[type] += row_count * cols;
    t->parameters += row_count * cols;
    t->bytes += row_count * dtype_row_bytes(type, cols);
    t->count++;
}

static void tally_print(struct facts *f, const struct tally *t) {
    fact_int(f, "parameters", t->parameters);
    fact_int(f, "tensors", t->count);
    fact_int(f, "tensor_bytes", t->bytes);
    group_begin(f, "types", strlen("types"));
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (t->tensors[i] == 0) continue;
        group_begin(f, dtype_table[i].name, strlen(dtype_table[i].name));
        fact_int(f, "tensors", t->tensors[i]);
        fact_int(f, "parameters", t->elements[i]);
        group_end(f);
    }
    group_end(f);
}

static void put_tensor(struct facts *f, const char *name, size_t size, enum dtype type, const size_t *shape, size_t dims) {
    put_key(f, name, size);
    buf_printf(&f->out, f->json ? "{\"type\": \"%s\", \"shape\": [" : "%s [", dtype_table[type].name);
    for (size_t d = 0; d < dims; d++) buf_printf(&f->out, "%s%zu", d ? ", " : "", shape[d]);
    buf_append_text(&f->out, f->json ? "]}" : "]");
    end_value(f);
}

/* Under the names that config.json has for the same things. */
static void gguf_facts(struct facts *f, const struct gguf *g) {
    static const struct {
        const char *key, *suffix;
    } numbers[] = {{"hidden_size", "embedding_length"},
                   {"intermediate_size", "feed_forward_length"},
                   {"num_hidden_layers", "block_count"},
                   {"num_attention_heads", "attention.head_count"},
                   {"num_key_value_heads", "attention.head_count_kv"},
                   {"head_dim", "attention.key_length"},
                   {"max_position_embeddings", "context_length"},
                   {"rope_theta", "rope.freq_base"}};
    struct gguf_text family = {0}, text;
    if (gguf_text_of(&family, g, "general.architecture")) fact_text_n(f, "model_type", family.data, family.size);
    if (gguf_text_of(&text, g, "general.name")) fact_text_n(f, "name", text.data, text.size);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct buf key = {0};
        double value;
        buf_append(&key, family.data, family.size);
        buf_printf(&key, ".%s", numbers[i].suffix);
        if (gguf_double(&value, g, buf_text(&key))) fact_double(f, numbers[i].key, value);
        buf_release(&key);
    }
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    if (tokens) fact_int(f, "vocab_size", tokens->count);
    if (gguf_text_of(&text, g, "tokenizer.ggml.model")) fact_text_n(f, "tokenizer", text.data, text.size);
    if (gguf_text_of(&text, g, "tokenizer.ggml.pre")) fact_text_n(f, "pre_tokenizer", text.data, text.size);
    if (gguf_text_of(&text, g, "tokenizer.chat_template")) fact_template(f, text.data, text.size);
}

static status inspect_gguf(struct facts *f, const char *path, const struct inspect_options *o) {
    struct gguf g;
    struct tally tally = {0};
    TRY(gguf_open(&g, path));
    fact_text(f, "kind", "gguf model");
    fact_int(f, "gguf_version", g.version);
    gguf_facts(f, &g);
    for (size_t i = 0; i < g.tensor_count; i++) tally_add(&tally, g.tensors[i].type, g.tensors[i].rows, g.tensors[i].cols);
    tally_print(f, &tally);
    if (o->tensors) {
        group_begin(f, "tensor_list", strlen("tensor_list"));
        for (size_t i = 0; i < g.tensor_count; i++) {
            const struct gguf_tensor *t = &g.tensors[i];
            put_tensor(f, t->name.data, t->name.size, t->type, t->shape, t->dims);
        }
        group_end(f);
    }
    gguf_release(&g);
    return ST_OK;
}

static status safetensors_facts(struct facts *f, const char *path, const struct inspect_options *o) {
    struct safetensors s;
    struct tally tally = {0};
    TRY(safetensors_open(&s, path));
    fact_int(f, "files", s.map_count);
    for (size_t i = 0; i < s.tensor_count; i++) tally_add(&tally, s.tensors[i].type, s.tensors[i].rows, s.tensors[i].cols);
    tally_print(f, &tally);
    if (o->tensors) {
        group_begin(f, "tensor_list", strlen("tensor_list"));
        for (size_t i = 0; i < s.tensor_count; i++) {
            const struct st_tensor *t = &s.tensors[i];
            put_tensor(f, t->name, strlen(t->name), t->type, t->shape, t->dims);
        }
        group_end(f);
    }
    safetensors_release(&s);
    return ST_OK;
}

/* Reads folder/name as JSON. *value is a view of *text, which the caller releases. */
static status read_json(struct json *value, struct buf *text, const char *folder, const char *name) {
    char *path = file_join(folder, name);
    status st = file_read(text, path);
    if (st == ST_OK) {
        st = json_parse(value, buf_text(text), text->size);
        if (st != ST_OK) st = status_note(st, "%s: ", path);
    }
    free(path);
    return st;
}

static bool has_file(const char *folder, const char *name) {
    char *path = file_join(folder, name);
    bool there = file_exists(path);
    free(path);
    return there;
}

static void copy_fields(struct facts *f, struct json object, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct json value = json_get(object, names[i]);
        if (value.size) fact_span(f, names[i], strlen(names[i]), value);
    }
}

static status folder_template(struct facts *f, const char *folder) {
    struct buf text = {0};
    struct json config = {0};
    status st = ST_OK;
    if (has_file(folder, "chat_template.jinja")) {
        char *path = file_join(folder, "chat_template.jinja");
        st = file_read(&text, path);
        if (st == ST_OK) fact_template(f, buf_text(&text), text.size);
        free(path);
    } else if (has_file(folder, "tokenizer_config.json")) {
        st = read_json(&config, &text, folder, "tokenizer_config.json");
        struct buf source = {0};
        if (st == ST_OK && json_string(&source, json_get(config, "chat_template"))) fact_template(f, buf_text(&source), source.size);
        buf_release(&source);
    }
    buf_release(&text);
    return st;
}

static status inspect_hf(struct facts *f, const char *path, const struct inspect_options *o) {
    static const char *const names[] = {
        "model_type",          "architectures", "hidden_size", "intermediate_size",       "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim",      "vocab_size",  "max_position_embeddings", "rope_theta",        "tie_word_embeddings",
        "torch_dtype",         "dtype"};
    struct buf text = {0};
    struct json config = {0};
    status st = read_json(&config, &text, path, "config.json");
    if (st == ST_OK) {
        fact_text(f, "kind", "Hugging Face model");
        copy_fields(f, config, names, sizeof names / sizeof names[0]);
        st = folder_template(f, path);
    }
    buf_release(&text);
    return st == ST_OK ? safetensors_facts(f, path, o) : st;
}

static status inspect_adapter(struct facts *f, const char *path, const struct inspect_options *o) {
    static const char *const names[] = {"peft_type",       "base_model_name_or_path",
                                        "task_type",       "r",
                                        "lora_alpha",      "use_rslora",
                                        "use_dora",        "rank_pattern",
                                        "alpha_pattern",   "layers_to_transform",
                                        "modules_to_save", "target_modules"};
    struct buf text = {0};
    struct json config = {0};
    status st = read_json(&config, &text, path, "adapter_config.json");
    if (st == ST_OK) {
        fact_text(f, "kind", "adapter");
        copy_fields(f, config, names, sizeof names / sizeof names[0]);
    }
    buf_release(&text);
    return st == ST_OK ? safetensors_facts(f, path, o) : st;
}

/* ---- runs ---- */

static status last_line(struct facts *f, const char *folder) {
    char *path = file_join(folder, "metrics.jsonl");
    struct file_lines lines;
    struct buf last = {0};
    status st = file_lines_open(&lines, path);
    if (st == ST_OK) {
        const char *line = NULL;
        size_t size = 0;
        while ((st = file_lines_next(&lines, &line, &size)) == ST_OK && line) {
            if (size == 0) continue;
            buf_clear(&last);
            buf_append(&last, line, size);
        }
        struct json row = {0};
        if (st == ST_OK && last.size) st = json_parse(&row, last.data, last.size);
        if (st != ST_OK) st = status_note(st, "%s:%llu: ", path, (unsigned long long)lines.number);
        if (st == ST_OK) {
            fact_int(f, "logged_steps", lines.number);
            if (row.size) fact_span(f, "last_metrics", strlen("last_metrics"), row);
        }
        file_lines_release(&lines);
    }
    buf_release(&last);
    free(path);
    return st;
}

static status run_facts(struct facts *f, const char *path) {
    if (has_file(path, "manifest.json")) {
        struct buf text = {0};
        struct json manifest = {0}, key, value;
        status st = read_json(&manifest, &text, path, "manifest.json");
        if (st == ST_OK) {
            group_begin(f, "manifest", strlen("manifest"));
            struct json_iter it = json_iter_begin(manifest);
            while (json_iter_next(&it, &key, &value)) {
                struct buf name = {0};
                json_string(&name, key);
                fact_span(f, buf_text(&name), name.size, value);
                buf_release(&name);
            }
            group_end(f);
        }
        buf_release(&text);
        TRY(st);
    }
    return has_file(path, "metrics.jsonl") ? last_line(f, path) : ST_OK;
}

/* ---- rows ---- */

#define FIELDS_MAX 256
#define FORMS_MAX 64
struct spread {                        /* of numbers */
    uint64_t count, bins[10], outside; /* bins: [0,1) ... [9,10]; outside: below 0 or above 10 */
    double sum, least, most;
};
struct field {
    char *name;
    uint64_t kinds[JSON_OBJECT + 1];
    struct spread numbers;
};
struct row_facts {
    struct field list[FIELDS_MAX];
    size_t count;
    uint64_t rows;
    uint64_t forms[FORMS_MAX], unread; /* rows by the form of source_form_table that reads them; rows that none does */
    char *first_unread;                /* why, of the first of these */
    uint64_t ties, disagreeing;        /* pairs with equal scores; with the rejected one's higher */
    struct spread chosen, rejected, responses;
};

static void spread_add(struct spread *s, double x) {
    if (!isfinite(x)) return;
    if (s->count == 0 || x < s->least) s->least = x;
    if (s->count == 0 || x > s->most) s->most = x;
    s->count++;
    s->sum += x;
    if (x >= 0 && x <= 10) {
        s->bins[x >= 10 ? 9 : (int)x]++;
    } else {
        s->outside++;
    }
}

static void spread_print(struct facts *f, const struct spread *s) {
    fact_double(f, "min", s->least);
    fact_double(f, "mean", s->sum / (double)s->count);
    fact_double(f, "max", s->most);
    put_key(f, "histogram", strlen("histogram"));
    if (f->json) buf_append_char(&f->out, '[');
    for (int i = 0; i < 10; i++) {
        if (f->json) {
            buf_printf(&f->out, "%s%llu", i ? ", " : "", (unsigned long long)s->bins[i]);
        } else {
            buf_printf(&f->out, "%s%d-%d: %llu", i ? ", " : "", i, i + 1, (unsigned long long)s->bins[i]);
        }
    }
    if (f->json) buf_append_char(&f->out, ']');
    end_value(f);
    if (s->outside) fact_int(f, "outside_0_10", s->outside);
}

static void score_print(struct facts *f, const char *name, const struct spread *s) {
    if (s->count == 0) return;
    group_begin(f, name, strlen(name));
    fact_int(f, "count", s->count);
    spread_print(f, s);
    group_end(f);
}

static struct field *field_of(struct row_facts *all, struct json key) {
    for (size_t i = 0; i < all->count; i++) {
        if (json_equals(key, all->list[i].name)) return &all->list[i];
    }
    if (all->count == FIELDS_MAX) return NULL; /* rows that use keys as data; the first ones tell the story */
    struct field *fresh = &all->list[all->count++];
    *fresh = (struct field){.name = json_text(key)};
    return fresh;
}

static void count_fields(struct row_facts *all, struct json row) {
    struct json_iter it = json_iter_begin(row);
    struct json key, value;
    while (json_iter_next(&it, &key, &value)) {
        struct field *field = field_of(all, key);
        double x;
        if (!field) continue;
        field->kinds[json_kind_of(value)]++;
        if (json_double(&x, value)) spread_add(&field->numbers, x);
    }
}

/* As training would read the row. A file of other rows (metrics, results) is no error here. */
static void count_record(struct row_facts *all, struct record *r, struct json row, uint64_t line) {
    if (source_read_row(r, row) != ST_OK) {
        if (all->unread++ == 0) {
            struct buf text = {0};
            const char *why = status_message(), *forms = strstr(why, "; expected one of"); /* the list of forms is for errors */
            size_t size = forms ? (size_t)(forms - why) : strlen(why);
            buf_printf(&text, "line %llu: %.*s", (unsigned long long)line, (int)size, why);
            all->first_unread = text.data;
        }
        return;
    }
    for (size_t i = 0; i < source_form_count && i < FORMS_MAX; i++) all->forms[i] += strcmp(r->form, source_form_table[i].name) == 0;
    spread_add(&all->chosen, r->score_chosen);
    spread_add(&all->rejected, r->score_rejected);
    for (size_t i = 0; i < r->response_count; i++) spread_add(&all->responses, r->responses[i].score);
    all->ties += r->score_chosen == r->score_rejected; /* both false where a score is absent (NaN) */
    all->disagreeing += r->score_chosen < r->score_rejected;
}

static status count_rows(struct row_facts *all, struct record *r, struct rows_in *in) {
    const char *line = NULL;
    size_t size = 0;
    for (;;) {
        struct json row = {0};
        TRY(rows_next(in, &line, &size));
        if (!line) return ST_OK;
        status st = json_parse(&row, line, size);
        if (st == ST_OK && json_kind_of(row) != JSON_OBJECT) {
            st = FAIL(ST_FORMAT, "the row is %s, expected an object", json_kind_name(json_kind_of(row)));
        }
        if (st != ST_OK) return status_note(st, "%s:%llu: ", rows_path(in), (unsigned long long)in->number);
        all->rows++;
        count_fields(all, row);
        count_record(all, r, row, in->number);
    }
}

static const char *container_name(const struct rows_in *in) {
    static const char *const packed[] = {[INPUT_GZIP] = ", gzip", [INPUT_ZSTD] = ", zstd"};
    static char text[64];
    if (in->lines.in.form == INPUT_PARQUET) return "Parquet";
    snprintf(text, sizeof text, "%s%s", in->form == ROWS_ARRAY ? "JSON" : "JSONL",
             in->lines.in.form == INPUT_PLAIN ? "" : packed[in->lines.in.form]);
    return text;
}

static void rows_print(struct facts *f, const struct row_facts *all, const struct rows_in *in) {
    fact_text(f, "kind", "rows");
    fact_text(f, "container", container_name(in));
    fact_int(f, "rows", all->rows);
    group_begin(f, "forms", strlen("forms"));
    for (size_t i = 0; i < source_form_count && i < FORMS_MAX; i++) {
        if (all->forms[i]) fact_int(f, source_form_table[i].name, all->forms[i]);
    }
    group_end(f);
    if (all->unread) {
        fact_int(f, "rows_of_no_form", all->unread);
        fact_text(f, "first_of_no_form", all->first_unread);
    }
    score_print(f, "chosen_scores", &all->chosen);
    score_print(f, "rejected_scores", &all->rejected);
    score_print(f, "response_scores", &all->responses);
    if (all->chosen.count && all->rejected.count) {
        fact_int(f, "ties", all->ties);
        fact_int(f, "disagreeing", all->disagreeing);
    }
    group_begin(f, "fields", strlen("fields"));
    for (size_t i = 0; i < all->count; i++) {
        const struct field *field = &all->list[i];
        group_begin(f, field->name, strlen(field->name));
        for (int k = JSON_NULL; k <= JSON_OBJECT; k++) {
            if (field->kinds[k]) fact_int(f, json_kind_name((enum json_kind)k), field->kinds[k]);
        }
        if (field->numbers.count) spread_print(f, &field->numbers);
        group_end(f);
    }
    group_end(f);
}

static status inspect_rows(struct facts *f, const char *path, const struct inspect_options *o) {
    struct rows_in in;
    struct source_map map;
    TRY(cli_fields(&map, &o->fields));
    TRY(rows_open(&in, path));
    struct row_facts *all = mem_zero(1, sizeof *all);
    struct record record = {.map = &map};
    status st = count_rows(all, &record, &in);
    if (st == ST_OK) rows_print(f, all, &in);
    for (size_t i = 0; i < all->count; i++) free(all->list[i].name);
    free(all->first_unread);
    free(all);
    record_release(&record);
    rows_release(&in);
    return st;
}

/* ---- */

/* What a model needs to be trained as `rapt train` would by default, and how its tokenizer reads text. A model or tokenizer that cannot be
 * used is null, with the reason beside it: the file itself can still be looked at. */
static void training_facts(struct facts *f, const char *path, const struct inspect_options *o) {
    const struct lora_options lora = {.rank = 16, .alpha = 32, .target_count = 1, .targets = {"all-linear"}};
    const struct optim_row *adamw = optim_find("adamw_torch");
    const struct optim_params params = optim_params_preset(adamw);
    struct buf reason = {0};
    group_begin(f, "training_memory_mib", strlen("training_memory_mib"));
    for (int full = 0; full < 2; full++) {
        const size_t tokens = o->budget ? (size_t)o->budget : train_tokens_default(1024, full);
        struct run_plan plan = {.tokens = tokens, .scored = tokens, .train = true};
        struct model m;
        fact_int(f, full ? "full_micro_batch_tokens" : "micro_batch_tokens", tokens);
        status s = model_describe(&m, path, matmul_kind_auto(), full ? MODEL_FULL : MODEL_ADAPTER);
        if (s == ST_OK && !full) s = lora_attach(&m, &lora, 0, true);
        if (s == ST_OK) {
            const size_t states = train_state_bytes(&m, adamw, &params);
            (void)train_memory_fit(&m, &plan, states, model_memory_auto()); /* what does not fit here is told all the same */
            const struct train_memory t = train_memory_of(&m, &plan, states);
            fact_int(f, full ? "full" : "lora_r16", train_memory_total(&t) >> 20);
        } else {
            fact_null(f, full ? "full" : "lora_r16");
            buf_clear(&reason);
            buf_append_text(&reason, status_message());
        }
        model_release(&m);
    }
    if (reason.size) fact_text(f, "reason", buf_text(&reason));
    group_end(f);
    struct tokenizer *t = NULL;
    struct buf text = {0};
    if (tokenizer_open(&t, path) == ST_OK) {
        tokenizer_describe(t, &text);
        fact_text(f, "tokenizer_summary", buf_text(&text));
    } else {
        fact_null(f, "tokenizer_summary");
        fact_text(f, "tokenizer_reason", status_message());
    }
    buf_release(&reason);
    buf_release(&text);
    tokenizer_free(t);
}

static bool holds_rows(const char *path) {
    static const char *const others[] = {".gguf", ".safetensors", ".safetensors.index.json"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (text_ends_with(path, others[i])) return false;
    return !file_is_dir(path);
}

/* A GGUF file or a Hugging Face folder that is no adapter. */
static bool is_model(const char *path) {
    if (file_is_dir(path)) return has_file(path, "config.json") && !has_file(path, "adapter_config.json");
    return text_ends_with(path, ".gguf");
}

static status inspect_path(struct facts *f, const char *path, const struct inspect_options *o) {
    const bool model = is_model(path);
    if (o->budget && !model) return FAIL(ST_USAGE, "--micro-batch-tokens has no effect: %s is no whole model", path);
    if (file_is_dir(path)) {
        bool run = has_file(path, "manifest.json") || has_file(path, "metrics.jsonl");
        if (has_file(path, "adapter_config.json")) {
            TRY(inspect_adapter(f, path, o));
        } else if (model) {
            TRY(inspect_hf(f, path, o));
            training_facts(f, path, o);
        } else if (run) {
            fact_text(f, "kind", "run");
        } else {
            return FAIL(ST_USAGE, "%s: holds none of config.json, adapter_config.json, manifest.json and metrics.jsonl", path);
        }
        return run ? run_facts(f, path) : ST_OK;
    }
    if (model) {
        TRY(inspect_gguf(f, path, o));
        training_facts(f, path, o);
        return ST_OK;
    }
    if (text_ends_with(path, ".safetensors") || text_ends_with(path, ".safetensors.index.json")) {
        fact_text(f, "kind", "safetensors");
        return safetensors_facts(f, path, o);
    }
    return inspect_rows(f, path, o);
}

status cmd_inspect_run(int argc, char **argv) {
    struct inspect_options options = {0};
    struct opt_result result;
    bool done;
    TRY(cmd_parse(&result, &cmd_inspect_spec, &options, argc, argv, &done));
    if (done) return ST_OK;
    if (result.positional_count != 1) return FAIL(ST_USAGE, "inspect takes one PATH");
    if (options.fields.count && !holds_rows(result.positional[0]))
        return FAIL(ST_USAGE, "--field has no effect: %s is no data set", result.positional[0]);
    if (options.budget < 0 || options.budget > CLI_MICRO_BATCH_MOST)
        return FAIL(ST_USAGE, "--micro-batch-tokens expects 0 (the default) to %d, not %lld", CLI_MICRO_BATCH_MOST,
                    (long long)options.budget);
    struct facts f = {.json = options.json, .first = true};
    if (f.json) buf_append_char(&f.out, '{');
    status st = inspect_path(&f, result.positional[0], &options);
    if (f.json) buf_append_text(&f.out, "}\n");
    if (st == ST_OK) fputs(buf_text(&f.out), stdout);
    buf_release(&f.out);
    return st;
}
