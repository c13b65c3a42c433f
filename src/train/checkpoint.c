/* checkpoint: everything that makes a resumed run equal to one that never stopped, bit for bit: parameters, optimizer state, reference
 * sums, running averages, counters, and the length of metrics.jsonl. checkpoint-N appears by one rename of a complete folder. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/export_io.h"
#include "num/cpu.h"
#include "train/trainer_state.h"

#define STATE_DOUBLES (sizeof(struct metrics) / sizeof(double))

static status remove_folder(const char *path) {
    DIR *d = opendir(path);
    if (!d) return ST_OK;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *file = file_join(path, e->d_name);
        unlink(file);
        free(file);
    }
    closedir(d);
    return rmdir(path) == 0 ? ST_OK : FAIL(ST_IO, "%s: cannot remove: %s", path, strerror(errno));
}

static uint64_t mix(uint64_t h, double x) {
    const double nan = (double)NAN; /* one of its forms */
    return hash_bytes(isnan(x) ? &nan : &x, sizeof x, h);
}

/* Tokens of a data set, and what stands beside them: where prompts end, labels, scores, margins, which rows are one pair's. */
static void hash_data(char out[HASH_HEX_SIZE], const struct loaded *d) {
    uint64_t h = hash_bytes(d->marks.data, d->marks.size, d->count);
    char hex[HASH_HEX_SIZE + 24];
    for (size_t i = 0; i < d->count; i++) {
        const struct loaded_row *r = &d->rows[i];
        h = mix(mix(mix(mix(mix(h, r->prompt), r->goal_of), (double)r->source_row), r->goal), r->margin);
        for (int32_t j = 0; j < r->responses; j++) {
            const struct loaded_response *x = loaded_response(d, i, (size_t)j);
            h = mix(mix(mix(mix(mix(h, x->count), x->kept), x->scored), x->rejected), x->score);
        }
    }
    hash_hex(hex, d->ids.data, d->ids.count * sizeof(int32_t));
    snprintf(hex + strlen(hex), 24, " %016llx", (unsigned long long)h);
    hash_hex(out, hex, strlen(hex));
}

/* Which weights are trained: their names and shapes. */
static uint64_t hash_parameters(const struct model *m) {
    uint64_t h = 0;
    for (size_t i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.items[i];
        h = mix(mix(hash_bytes(p->name, strlen(p->name), h), (double)p->rows), (double)p->cols);
    }
    return h;
}

/* Settings of schedule, optimizer and adapter, by their options' names. */
static void put_numbers(struct buf *out, const struct trainer *t) {
    const struct train_options *o = t->o;
    const struct optim_params *p = &o->optim;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"warmup_steps", (double)t->schedule.warmup_steps},
                   {"learning_rate", o->schedule.peak},
                   {"max_grad_norm", o->max_grad_norm},
                   {"adam_beta1", p->beta1},
                   {"adam_beta2", p->beta2},
                   {"adam_epsilon", p->eps},
                   {"weight_decay", p->weight_decay},
                   {"momentum", p->momentum},
                   {"dampening", p->dampening},
                   {"nesterov", p->nesterov},
                   {"ns_steps", p->ns_steps},
                   {"adjust_lr_fn", p->adjust_lr_fn},
                   {"min_8bit_size", p->min_8bit_size},
                   {"lora_r", (double)o->lora.rank},
                   {"lora_alpha", o->lora.alpha},
                   {"lora_dropout", o->lora.dropout},
                   {"use_rslora", o->lora.rslora},
                   {"use_dora", o->lora.dora},
                   {"init_lora_weights", o->lora.init},
                   {"pissa_niter", (double)o->lora.pissa_steps},
                   {"save_head", o->lora.save_head},
                   {"save_embedding", o->lora.save_embedding},
                   {"loraplus_lr_ratio", o->loraplus_ratio}};
    const size_t all = sizeof numbers / sizeof numbers[0], adapters = 10; /* the last ten are of adapters */
    for (size_t i = 0; i < (o->full ? all - adapters : all); i++) {
        buf_printf(out, ", \"%s\": ", numbers[i].name);
        json_put_double(out, numbers[i].value);
    }
}

/* What the bits of a run depend on; a checkpoint of other data or options is refused. */
void checkpoint_identity(struct buf *out, const struct trainer *t) {
    const struct train_options *o = t->o;
    char hex[HASH_HEX_SIZE];
    hash_data(hex, &t->train);
    buf_printf(out,
               "{\"model\": \"%s\", \"data\": \"%s\", \"parameters\": \"%zu %016llx\", \"batch\": %zu, \"accumulation\": %zu, \"order\": "
               "%d, \"seed\": %llu, "
               "\"total_steps\": %llu",
               t->model_hash, hex, t->model.params.size, (unsigned long long)hash_parameters(&t->model), o->batch, t->micros_per_step,
               (int)t->order_kind, (unsigned long long)o->seed, (unsigned long long)t->total_steps);
    buf_printf(out, ", \"objective\": %d, ", (int)o->objective);
    loss_mix_describe(out, o->loss, &o->loss_params);
    if (o->adapter) buf_append_text(out, ", \"adapter\": true"); /* it is the reference */
    if (o->objective == OBJECTIVE_SFT && !o->completion_only) buf_append_text(out, ", \"completion_only_loss\": false");
    if (o->assistant_only) buf_append_text(out, ", \"assistant_only_loss\": true");
    if (o->ref_sync_steps)
        buf_printf(out, ", \"ref_model_sync\": [%llu, %.17g]", (unsigned long long)o->ref_sync_steps, o->ref_mixup_alpha);
    if (o->compat != FIT_TRL_1) buf_printf(out, ", \"compat\": %d", (int)o->compat);
    if (o->objective == OBJECTIVE_KTO) buf_printf(out, ", \"kto_threshold\": \"%.17g\"", o->kto_threshold);
    buf_printf(out, ", \"schedule\": \"%s\", \"schedule_options\": [", o->schedule.name);
    for (size_t i = 0; i < o->schedule.kwarg_count; i++) {
        buf_append_text(out, i ? ", " : "");
        json_put_text(out, o->schedule.kwargs[i]);
    }
    if (o->best.keep) buf_printf(out, "], \"load_best_model\": [\"%s\", %d", o->watched, (int)o->best.greater);
    if (t->schedule.row->watch) buf_printf(out, "], \"metric_for_best_model\": [\"%s\"", o->watched);
    buf_append_text(out, "]");
    put_numbers(out, t);
    buf_printf(out, ", \"optimizer\": \"%s\", \"full\": %s}", o->optimizer->name, o->full ? "true" : "false");
}

static void machine_of(struct buf *out, const struct trainer *t, int64_t threads, int64_t ranks) {
    buf_append_text(out, "{\"instruction_set\": \"");
    cpu_describe(out);
    buf_printf(out, "\", \"dtype\": \"%s\", \"threads\": %lld, ", matmul_kind_name(t->o->kind), (long long)threads);
    if (ranks > 1) buf_printf(out, "\"ranks\": %lld, ", (long long)ranks);
    buf_printf(out, "\"weights\": \"%s\"}", model_storage_name(&t->model));
}

static void machine(struct buf *out, const struct trainer *t) { machine_of(out, t, omp_get_max_threads(), t->comm.size); }

static status save_weights(const struct trainer *t, const char *folder) {
    if (t->o->full) {
        TRY(export_hf(&t->model, NULL, folder, DTYPE_F32));
        return encoder_save(&t->encoder, folder);
    }
    return adapter_save(&t->model, &t->o->lora, t->model.params.value, t->start, folder, t->o->model);
}

/* What trainer.safetensors holds. */
struct vector {
    const char *name;
    void *data;
    size_t count; /* of four bytes */
};
#define VECTORS_MAX 6

static size_t vectors_of(struct vector *out, struct trainer *t) {
    const size_t words = t->optim.state_bytes / sizeof(float); /* of any kind: their bits are kept */
    size_t n = 0;
    out[n++] = (struct vector){"parameters", t->model.params.value, t->model.params.size};
    if (words) out[n++] = (struct vector){"optimizer", t->optim.state, words};
    if (t->initial) out[n++] = (struct vector){t->o->full ? "reference_weights" : "initial_adapter", t->initial, t->model.params.size};
    if (t->train_ref) out[n++] = (struct vector){"reference", t->train_ref, t->train.response_count};
    if (t->train_ref && t->eval.response_count) out[n++] = (struct vector){"eval_reference", t->eval_ref, t->eval.response_count};
    if (t->schedule.row->watch) out[n++] = (struct vector){"schedule", &t->schedule.state, sizeof t->schedule.state / sizeof(float)};
    return n;
}

static status save_vectors(struct trainer *t, const char *folder) {
    struct safetensors_writer w = {0};
    struct vector vectors[VECTORS_MAX];
    const size_t n = vectors_of(vectors, t);
    for (size_t i = 0; i < n; i++) safetensors_add(&w, vectors[i].name, DTYPE_F32, &vectors[i].count, 1, vectors[i].data);
    char *path = file_join(folder, "trainer.safetensors");
    status s = safetensors_write(&w, path);
    free(path);
    return s;
}

static status save_state(struct trainer *t, const char *folder) {
    struct buf b = {0};
    char eval[HASH_HEX_SIZE];
    const double *m = (const double *)(const void *)&t->metrics;
    buf_printf(&b, "{\n  \"global_step\": %llu,\n  \"max_steps\": %llu,\n  \"num_tokens\": %lld,\n", (unsigned long long)t->step,
               (unsigned long long)t->total_steps, (long long)t->tokens_seen);
    buf_printf(&b, "  \"metrics_bytes\": %ld,\n  \"micro_batches\": %lld,\n  \"averages\": [", ftell(t->log), (long long)t->metrics.count);
    for (size_t i = 0; i + 1 < STATE_DOUBLES; i++) buf_printf(&b, "%s%.17g", i ? ", " : "", m[i]);
    buf_printf(&b, "],\n  \"grad_norm\": %.17g,\n  \"identity\": ", t->norm_last);
    checkpoint_identity(&b, t);
    buf_append_text(&b, ",\n  \"machine\": ");
    machine(&b, t);
    hash_data(eval, &t->eval);
    buf_printf(&b, ",\n  \"eval_data\": \"%s\"", eval);
    if (t->o->best.keep) best_put(&b, &t->best);
    buf_append_text(&b, "\n}\n");
    char *path = file_join(folder, "trainer_state.json");
    status s = file_write(path, b.data, b.size);
    free(path);
    buf_release(&b);
    return s;
}

static long newest(const char *folder, long below) {
    long best = -1;
    DIR *d = opendir(folder);
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d));) {
        char *end;
        if (strncmp(e->d_name, "checkpoint-", 11) != 0) continue;
        long n = strtol(e->d_name + 11, &end, 10);
        if (end != e->d_name + 11 && *end == '\0' && n > best && (below < 0 || n < below)) best = n;
    }
    closedir(d);
    return best;
}

static void remove_checkpoint(const struct trainer *t, uint64_t step) {
    struct buf path = {0};
    buf_printf(&path, "%s/checkpoint-%llu", t->o->output_dir, (unsigned long long)step);
    if (remove_folder(buf_text(&path)) != ST_OK) log_warn("%s", status_message());
    buf_release(&path);
}

/* Keeps the newest `save_limit`, and the best. */
static void prune(const struct trainer *t) {
    if (!t->o->save_limit) return;
    long at = newest(t->o->output_dir, -1);
    for (uint64_t kept = 1; at >= 0; kept++) {
        if (kept > t->o->save_limit && !(t->best.step && (uint64_t)at == t->best.step)) remove_checkpoint(t, (uint64_t)at);
        at = newest(t->o->output_dir, at);
    }
}

static status sync_path(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        if (fd >= 0) close(fd);
        return FAIL(ST_IO, "%s: cannot sync: %s", path, strerror(errno));
    }
    close(fd);
    return ST_OK;
}

static status write_checkpoint(struct trainer *t) {
    struct buf final = {0}, temp = {0};
    buf_printf(&final, "%s/checkpoint-%llu", t->o->output_dir, (unsigned long long)t->step);
    buf_printf(&temp, "%s/.checkpoint-%llu.tmp", t->o->output_dir, (unsigned long long)t->step);
    status s = remove_folder(buf_text(&temp));
    if (s == ST_OK) s = file_make_dirs(buf_text(&temp));
    if (s == ST_OK) s = save_weights(t, buf_text(&temp));
    if (s == ST_OK) s = save_vectors(t, buf_text(&temp));
    if (s == ST_OK && (fflush(t->log) != 0 || fsync(fileno(t->log)) != 0)) s = FAIL(ST_IO, "%s: cannot write", t->log_path);
    if (s == ST_OK) s = save_state(t, buf_text(&temp));
    if (s == ST_OK) s = sync_path(buf_text(&temp));
    if (s == ST_OK) s = remove_folder(buf_text(&final)); /* the same step saved before: an interrupt right after save_steps */
    if (s == ST_OK && rename(buf_text(&temp), buf_text(&final)) != 0)
        s = FAIL(ST_IO, "%s: cannot rename: %s", buf_text(&final), strerror(errno));
    if (s == ST_OK) s = sync_path(t->o->output_dir);
    if (s == ST_OK)
        prune(t);
    else
        remove_folder(buf_text(&temp));
    buf_release(&final);
    buf_release(&temp);
    return s;
}

status checkpoint_same_parameters(struct trainer *t) {
    char hex[HASH_HEX_SIZE];
    if (t->comm.size == 1) return ST_OK;
    hash_hex(hex, t->model.params.value, t->model.params.size * sizeof(float));
    return comm_same(&t->comm, hex, "set of parameters: every rank needs the same build and the same kind of CPU");
}

status checkpoint_save(struct trainer *t) {
    TRY(checkpoint_same_parameters(t));
    return t->comm.rank == 0 ? write_checkpoint(t) : ST_OK;
}

void checkpoint_drop_best(const struct trainer *t, uint64_t step) {
    if (t->comm.rank > 0) return;
    if (step_due(step, t->o->save_steps))
        prune(t); /* it was beside --save-total-limit's */
    else
        remove_checkpoint(t, step);
}

/* In pieces, whose pages of the file are given back: a run that goes on takes no more memory than before. */
static void take_vector(void *to, const void *from, size_t bytes, const struct safetensors *file) {
    const size_t piece = (size_t)64 << 20;
    for (size_t at = 0; at < bytes; at += piece) {
        memcpy((char *)to + at, (const char *)from + at, bytes - at < piece ? bytes - at : piece);
        for (size_t i = 0; i < file->map_count; i++) file_map_drop_pages(&file->maps[i]);
    }
}

static status read_vectors(const struct vector *vectors, size_t n, const char *path) {
    struct safetensors st;
    status s = ST_OK;
    TRY(safetensors_open(&st, path));
    for (size_t i = 0; s == ST_OK && i < n; i++) {
        const struct st_tensor *x = safetensors_find(&st, vectors[i].name);
        if (!x || x->type != DTYPE_F32 || x->rows * x->cols != vectors[i].count)
            s = FAIL(ST_MISMATCH, "tensor '%s' does not fit this run (%zu numbers expected)", vectors[i].name, vectors[i].count);
        else
            take_vector(vectors[i].data, x->data, vectors[i].count * sizeof(float), &st);
    }
    safetensors_release(&st);
    return s;
}

/* The reference's sums of evaluation data that is not the checkpoint's: unknown, or as they have just been computed. */
static size_t leave_out_evaluation(struct trainer *t, struct vector *vectors, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (vectors[i].data != (void *)t->eval_ref) vectors[kept++] = vectors[i];
    if (kept < n) log_info("the evaluation data is not the checkpoint's: its reference is computed anew");
    if (kept < n && t->o->ref_sync_steps) reference_forget(t->eval_ref, t->eval.response_count); /* they are of the first step's */
    return kept;
}

/* The first `most` of them. Only rank 0 needs to see the file. */
static status load_vectors(struct trainer *t, const char *path, size_t most, bool same_evaluation) {
    struct vector vectors[VECTORS_MAX];
    const size_t all = vectors_of(vectors, t), kept = same_evaluation ? all : leave_out_evaluation(t, vectors, all);
    const size_t n = kept < most ? kept : most;
    TRY(comm_agree(&t->comm, t->comm.rank == 0 ? read_vectors(vectors, n, path) : ST_OK));
    for (size_t i = 0; i < n; i++) TRY(comm_broadcast(&t->comm, vectors[i].data, vectors[i].count * sizeof(float)));
    model_changed(&t->model);
    return t->o->full ? model_refresh(&t->model) : ST_OK;
}

static bool same(struct json v, const struct buf *want) { return v.size == want->size && memcmp(v.text, want->data, v.size) == 0; }

/* Members of `now` that differ in `then`, or that only one of them has: "seed: 42 then, 7 now". */
static void put_differences(struct buf *out, struct json then, struct json now) {
    struct json key, v;
    for (int pass = 0; pass < 2; pass++) {
        struct json_iter it = json_iter_begin(pass ? then : now);
        while (json_iter_next(&it, &key, &v)) {
            struct buf name = {0};
            json_string(&name, key);
            const struct json other = json_get(pass ? now : then, buf_text(&name)), old = pass ? v : other, new = pass ? other : v;
            const bool equal = v.size == other.size && memcmp(v.text, other.text, v.size) == 0;
            if (!equal && (!pass || !other.size))
                buf_printf(out, "%s%s: %.*s then, %.*s now", out->size ? "; " : "", buf_text(&name), old.size ? (int)old.size : 4,
                           old.size ? old.text : "none", new.size ? (int)new.size : 4, new.size ? new.text : "none");
            buf_release(&name);
        }
    }
}

static status check_identity(const struct trainer *t, struct json state) {
    struct buf want = {0}, differences = {0};
    struct json v = json_get(state, "identity");
    checkpoint_identity(&want, t);
    put_differences(&differences, v, (struct json){want.data, want.size});
    status s = same(v, &want) ? ST_OK : FAIL(ST_MISMATCH, "was made by another run (%s)", buf_text(&differences));
    buf_clear(&want);
    buf_clear(&differences);
    v = json_get(state, "machine");
    int64_t threads = omp_get_max_threads(), ranks = 1;
    json_int(&ranks, json_get(v, "ranks"));
    if (ranks != t->comm.size) { /* then threads differ too, and only the bits were promised to the same number */
        json_int(&threads, json_get(v, "threads"));
        log_info("the checkpoint was made by %lld rank%s, this run has %d: losses will differ in the sixth digit", (long long)ranks,
                 ranks == 1 ? "" : "s", t->comm.size);
    }
    machine_of(&want, t, threads, ranks);
    put_differences(&differences, v, (struct json){want.data, want.size});
    if (s == ST_OK && !same(v, &want) && !t->o->allow_drift)
        s = FAIL(ST_MISMATCH, "was made on another machine (%s): the numbers would drift; --allow-drift goes on all the same",
                 buf_text(&differences));
    buf_release(&want);
    buf_release(&differences);
    return s;
}

static status load_state(struct trainer *t, struct json state, int64_t *metrics_bytes) {
    int64_t step, tokens, count;
    struct json key, v;
    double *m = (double *)(void *)&t->metrics;
    size_t i = 0;
    TRY(check_identity(t, state));
    if (!json_int(&step, json_get(state, "global_step")) || !json_int(&tokens, json_get(state, "num_tokens")) ||
        !json_int(&count, json_get(state, "micro_batches")) || !json_int(metrics_bytes, json_get(state, "metrics_bytes")) || step < 0 ||
        *metrics_bytes < 0 || !json_double(&t->norm_last, json_get(state, "grad_norm")))
        return FAIL(ST_FORMAT, "a counter is missing or broken");
    struct json_iter it = json_iter_begin(json_get(state, "averages"));
    while (json_iter_next(&it, &key, &v) && i + 1 < STATE_DOUBLES)
        if (!json_double(&m[i++], v)) return FAIL(ST_FORMAT, "'averages' should hold numbers");
    if (i + 1 != STATE_DOUBLES) return FAIL(ST_FORMAT, "'averages' should hold %zu numbers", STATE_DOUBLES - 1);
    if (t->o->best.keep && !best_read(&t->best, state)) return FAIL(ST_FORMAT, "what it says of the best evaluation is broken");
    t->metrics.count = count;
    t->step = (uint64_t)step;
    t->optim.steps = t->step;
    t->tokens_seen = tokens;
    return ST_OK;
}

/* A file that rank 0 sees, on all ranks. */
static status read_everywhere(struct buf *text, struct trainer *t, const char *path) {
    TRY(comm_agree(&t->comm, t->comm.rank == 0 ? file_read(text, path) : ST_OK));
    size_t size = text->size;
    TRY(comm_broadcast(&t->comm, &size, sizeof size));
    if (t->comm.rank > 0) TRY(buf_reserve(text, size + 1));
    TRY(comm_broadcast(&t->comm, text->data, size));
    text->size = size;
    return ST_OK;
}

static status resume_from(struct trainer *t, const char *folder) {
    struct buf text = {0};
    struct json state;
    char eval[HASH_HEX_SIZE];
    int64_t bytes = 0;
    char *path = file_join(folder, "trainer_state.json"), *vectors = file_join(folder, "trainer.safetensors");
    status s = read_everywhere(&text, t, path);
    if (s == ST_OK) {
        s = json_parse(&state, buf_text(&text), text.size);
        if (s == ST_OK) s = load_state(t, state, &bytes);
        s = comm_agree(&t->comm, s);
    }
    hash_data(eval, &t->eval);
    if (s == ST_OK) s = load_vectors(t, vectors, VECTORS_MAX, json_equals(json_get(state, "eval_data"), eval));
    if (s == ST_OK && t->comm.rank == 0 && (file_size_bytes(t->log_path) < (uint64_t)bytes || truncate(t->log_path, bytes) != 0))
        s = FAIL(ST_MISMATCH, "%s is shorter than at the checkpoint", t->log_path);
    buf_release(&text);
    free(path);
    free(vectors);
    return s == ST_OK ? s : status_note(s, "%s: ", folder);
}

status checkpoint_clear(const struct trainer *t) {
    struct buf path = {0};
    status s = ST_OK;
    for (long n; s == ST_OK && (n = newest(t->o->output_dir, -1)) >= 0;) {
        if (!t->o->overwrite) {
            s = FAIL(ST_USAGE,
                     "%s holds checkpoints of an earlier run: --resume goes on from checkpoint-%ld, --overwrite-output-dir removes them",
                     t->o->output_dir, n);
            break;
        }
        buf_clear(&path);
        buf_printf(&path, "%s/checkpoint-%ld", t->o->output_dir, n);
        s = remove_folder(buf_text(&path));
    }
    buf_release(&path);
    return s;
}

status checkpoint_resume(struct trainer *t, bool *found) {
    long n = t->comm.rank == 0 ? newest(t->o->output_dir, -1) : 0;
    TRY(comm_broadcast(&t->comm, &n, sizeof n));
    *found = n >= 0;
    if (n < 0) return ST_OK;
    struct buf folder = {0};
    buf_printf(&folder, "%s/checkpoint-%ld", t->o->output_dir, n);
    status s = resume_from(t, buf_text(&folder));
    if (s == ST_OK) log_info("resuming from %s", buf_text(&folder));
    buf_release(&folder);
    return s;
}

status checkpoint_take_best(struct trainer *t) {
    struct buf path = {0};
    buf_printf(&path, "%s/checkpoint-%llu/trainer.safetensors", t->o->output_dir, (unsigned long long)t->best.step);
    status s = load_vectors(t, buf_text(&path), 1, true); /* the parameters come first */
    buf_release(&path);
    if (s == ST_OK && t->comm.rank == 0 && !t->o->save_steps) remove_checkpoint(t, t->best.step); /* else a later --resume may ask for it */
    return s == ST_OK ? s : status_note(s, "--load-best-model-at-end: ");
}

status checkpoint_save_final(struct trainer *t, const char *folder) {
    TRY(checkpoint_same_parameters(t));
    return t->comm.rank == 0 ? save_weights(t, folder) : ST_OK;
}

bool manifest_says_finished(const char *folder) {
    char *path = file_join(folder, "manifest.json");
    struct buf text = {0};
    struct json root;
    bool finished = false;
    if (file_exists(path) && file_read(&text, path) == ST_OK && json_parse(&root, buf_text(&text), text.size) == ST_OK)
        json_bool(&finished, json_get(root, "finished"));
    buf_release(&text);
    free(path);
    return finished;
}

status manifest_write(struct trainer *t, bool finished) {
    struct buf b = {0};
    if (t->comm.rank > 0) return ST_OK;
    buf_printf(&b, "{\n  \"rapt_version\": \"%s\",\n  \"finished\": %s,\n", RAPT_VERSION, finished ? "true" : "false");
    if (t->o->command) {
        buf_append_text(&b, "  \"command\": ");
        json_put_text(&b, t->o->command);
        buf_append_text(&b, ",\n");
    }
    buf_printf(&b, "  \"options\": %s,\n", t->o->options_json);
    buf_printf(&b, "  \"model_hash\": \"%s\",\n  \"data_hash\": \"%s\",\n", t->model_hash, t->data_hash);
    buf_printf(&b,
               "  \"rows\": {\"read\": %zu, \"trained\": %zu, \"dropped_too_long\": %zu, \"dropped_with_partner\": %zu, \"cut\": %zu, "
               "\"cut_prompt\": %zu, \"prefix_mismatch\": %zu},\n",
               t->train.read, t->train.count, t->train.dropped_long, t->train.dropped_partner, t->train.cut, t->train.cut_prompt,
               t->train.mismatched);
    buf_printf(&b,
               "  \"steps\": %llu,\n  \"total_steps\": %llu,\n  \"trained_parameters\": %zu,\n  \"machine\": ", (unsigned long long)t->step,
               (unsigned long long)t->total_steps, t->model.params.size);
    machine(&b, t);
    if (t->o->best.keep) best_put(&b, &t->best);
    const struct json kwargs = t->encoder.chat ? chat_kwargs(t->encoder.chat) : (struct json){0};
    if (kwargs.size) buf_printf(&b, ",\n  \"chat_template_kwargs\": %.*s", (int)kwargs.size, kwargs.text);
    buf_append_text(&b, "\n}\n");
    char *path = file_join(t->o->output_dir, "manifest.json");
    status s = file_write(path, b.data, b.size);
    free(path);
    buf_release(&b);
    return s;
}
