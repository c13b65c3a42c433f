#define _POSIX_C_SOURCE 200809L
#include "train/trainer.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "format/json.h"
#include "model/reward_head.h"
#include "num/cpu.h"
#include "train/goal.h"
#include "train/memory.h"
#include "train/slices.h"
#include "train/trainer_state.h"

#define PATIENCE_S 30 /* and ten steps, for other ranks when a signal came */

static volatile sig_atomic_t interrupted;
void trainer_interrupt(void) { interrupted = 1; }

/* A row without the scores that the loss looks at, or with some that it cannot use. */
static status check_scores(const struct trainer *t, const struct loaded *d, size_t row, const char *path) {
    const unsigned long long line = (unsigned long long)d->rows[row].line;
    const double chosen = loaded_response(d, row, 0)->score, rejected = loaded_response(d, row, 1)->score;
    if (!isfinite(chosen) || !isfinite(rejected))
        return FAIL(ST_FORMAT, "%s:%llu: score_chosen and score_rejected are needed, one of them is missing", path, line);
    if (t->o->loss->needs & LOSS_TAKES_OFFSET && !t->o->loss_params.odpo_linear && !(chosen > rejected))
        return FAIL(ST_FORMAT,
                    "%s:%llu: --loss-type odpo takes the logarithm of score_chosen - score_rejected, which is %g - %g; drop such rows, or "
                    "give --odpo-offset gap",
                    path, line, chosen, rejected);
    return ST_OK;
}

/* Rows without the numbers that the loss looks at. */
static status check_numbers(struct trainer *t, const struct loaded *d, const char *path) {
    const struct train_options *o = t->o;
    const bool margins = (o->loss->needs & LOSS_TAKES_MARGINS) && o->margins == MARGIN_COLUMN;
    const bool scores = (o->loss->needs & LOSS_NEEDS_SCORES) || ((o->loss->needs & LOSS_TAKES_MARGINS) && o->margins == MARGIN_SCORES);
    size_t with = 0;
    for (size_t i = 0; i < d->count; i++) {
        with += margins && !isnan(d->rows[i].margin);
        if (scores) TRY(check_scores(t, d, i, path));
    }
    if (with && with < d->count)
        return FAIL(ST_FORMAT, "%s: %zu of %zu rows have a margin; all or none should (--margin none passes over them)", path, with,
                    d->count);
    t->with_scores = (o->loss->needs & LOSS_NEEDS_SCORES) != 0;
    t->takes_margins = (o->loss->needs & LOSS_TAKES_MARGINS) && o->margins != MARGIN_NONE;
    return ST_OK;
}

/* The paper's advice (arXiv 2402.01306, eq. 8): the two sides should weigh about the same, the desirable one up to a third more. */
static void report_balance(const struct trainer *t) {
    const struct loss_params *p = &t->o->loss_params;
    double rejected = 0;
    for (size_t i = 0; i < t->train.count; i++) rejected += loaded_response(&t->train, i, 0)->rejected;
    const double desirable = fmax((double)t->train.count - rejected, 1), undesirable = fmax(rejected, 1);
    const double ratio = desirable * p->desirable_weight / (undesirable * p->undesirable_weight);
    log_info("%s: %.0f desirable rows, %.0f undesirable", t->o->train_data, (double)t->train.count - rejected, rejected);
    if (p->desirable_weight > 0 && p->undesirable_weight > 0 && !(ratio > 0.99 && ratio < 1.34))
        log_warn(
            "the desirable rows weigh %.2f times the undesirable ones, 1 to 1.33 is advised: --desirable-weight %.2f to %.2f would do it, "
            "or --undesirable-weight %.2f to %.2f",
            ratio, undesirable * p->undesirable_weight / desirable, 1.33 * undesirable * p->undesirable_weight / desirable,
            desirable * p->desirable_weight / undesirable / 1.33, desirable * p->desirable_weight / undesirable);
}

static status set_kwargs(struct trainer *t) {
    const struct train_options *o = t->o;
    struct buf beside = {0};
    buf_printf(&beside, "%s.goal.json", o->train_data);
    status s = encoder_set_kwargs(&t->encoder, o->kwargs, &(struct kwargs_places){o->adapter, o->model, buf_text(&beside)});
    buf_release(&beside);
    return s;
}

/* goal.json, and the template's variables in it, so that an export has them; the manifest has them anyhow. Written when all that is read
 * has been read: until then the folder may hold a run that is not over. */
static status put_goal(const struct trainer *t) {
    if (t->comm.rank > 0) return ST_OK;
    TRY(train_goal_copy(t->o, &t->train));
    if (!t->encoder.chat) return ST_OK;
    char *goal = file_join(t->o->output_dir, "goal.json");
    const status s = kwargs_put(goal, chat_kwargs(t->encoder.chat));
    free(goal);
    return s;
}

static status set_assistants(struct trainer *t) {
    struct encoder *e = &t->encoder;
    e->assistants = t->o->assistant_only;
    if (!e->assistants) return ST_OK;
    if (!e->chat) return FAIL(ST_UNSUPPORTED, "--assistant-only-loss: %s: %s", t->o->model, e->why_no_chat);
    if (!chat_has_generation(e->chat))
        log_info("%s: the chat template has no {%% generation %%} block: what each of the assistant's turns adds to the text is trained on",
                 t->o->model);
    return ST_OK;
}

/* A template may give the end of an answer to the message behind it; then nothing teaches the model to stop (TRL warns too). */
static void warn_of_ends(const struct trainer *t) {
    const struct loaded *d = &t->train;
    for (size_t i = 0; i < d->marks.size; i++)
        if (d->marks.data[i] && tokenizer_is_end(t->encoder.tokenizer, d->ids.data[i])) return;
    if (d->marks.size)
        log_warn(
            "%s: no answer's end is trained on, so the model may not learn to stop: the chat template's generation blocks end before it",
            t->o->train_data);
}

/* Why rows are dropped for their length. */
static const char *too_long(const struct loader_options *lo, bool assistant_only) {
    if (lo->reward) return "prompt and a response > --max-length";
    return lo->all_tokens || assistant_only ? "nothing to learn within --max-length" : "prompt >= --max-length";
}

static status load_data(struct trainer *t) {
    const struct train_options *o = t->o;
    struct buf rejected = {0};
    buf_printf(&rejected, "%s/train", o->output_dir);
    struct loader_options lo = {.max_length = o->max_length,
                                .max_prompt = o->max_prompt,
                                .max_completion = o->max_completion,
                                .paired_drop = o->order == ORDER_PAIRED,
                                .sft = o->objective == OBJECTIVE_SFT,
                                .all_tokens = o->objective == OBJECTIVE_SFT && !o->completion_only,
                                .completion_only = o->completion_only,
                                .reward = o->objective == OBJECTIVE_REWARD,
                                .unpaired = o->objective == OBJECTIVE_KTO,
                                .groups = (o->loss->needs & LOSS_OF_GROUPS) != 0,
                                .pairs = (o->loss->needs & LOSS_NEEDS_PAIRS) != 0,
                                .rewards = (o->objective == OBJECTIVE_DPO && (o->loss->needs & LOSS_NEEDS_SCORES) != 0) ||
                                           (o->objective == OBJECTIVE_REWARD && o->margins == MARGIN_SCORES),
                                .threshold = o->kto_threshold,
                                .map = o->map,
                                .skip_bad = o->skip_bad,
                                .rejected_beside = t->comm.rank == 0 ? buf_text(&rejected) : NULL};
    TRY(encoder_open(&t->encoder, o->model));
    t->encoder.whole = lo.reward;
    t->encoder.compat = o->compat;
    t->encoder.one_text = lo.all_tokens;
    TRY(set_kwargs(t));
    TRY(set_assistants(t));
    if (lo.reward) TRY(encoder_padding(&lo.pad, &t->encoder, o->model));
    status s = loaded_read(&t->train, o->train_data, &t->encoder, &lo);
    buf_release(&rejected);
    lo.rejected_beside = NULL;
    TRY(s);
    if (!t->train.count)
        return FAIL(ST_FORMAT, "%s: no rows left to train on (%zu read, %zu too long)", o->train_data, t->train.read,
                    t->train.dropped_long);
    log_info("%s: %zu rows, %zu dropped (%s), %zu dropped with their partner, %zu cut", o->train_data, t->train.count,
             t->train.dropped_long, too_long(&lo, o->assistant_only), t->train.dropped_partner, t->train.cut);
    warn_of_ends(t);
    if (t->train.cut_prompt)
        log_warn("%s: %zu prompts lost their beginning, as --compat asks; a goal may stand there", o->train_data, t->train.cut_prompt);
    if (t->train.mismatched)
        log_warn("%s: in %zu rows the prompt's tokens are no prefix of prompt + response; these begin where the two diverge, as in TRL",
                 o->train_data, t->train.mismatched);
    if (lo.unpaired) report_balance(t);
    if (!o->eval_data) return check_numbers(t, &t->train, o->train_data);
    lo.paired_drop = false;
    buf_printf(&rejected, "%s/eval", o->output_dir);
    lo.rejected_beside = t->comm.rank == 0 ? buf_text(&rejected) : NULL;
    s = loaded_read(&t->eval, o->eval_data, &t->encoder, &lo);
    buf_release(&rejected);
    TRY(s);
    log_info("%s: %zu rows for evaluation, %zu dropped, %zu cut", o->eval_data, t->eval.count, t->eval.dropped_long, t->eval.cut);
    if (t->eval.count) TRY(check_numbers(t, &t->eval, o->eval_data));
    return check_numbers(t, &t->train, o->train_data);
}

/* Shapes and the adapter; the weights follow when the memory plan has been told. */
static status open_model(struct trainer *t) {
    const struct train_options *o = t->o;
    const enum model_use use = o->full ? MODEL_FULL : MODEL_ADAPTER;
    const bool reward = o->objective == OBJECTIVE_REWARD;
    TRY(model_describe_scorer(&t->model, o->model, o->kind, use, reward ? 1 : 0));
    if (reward && (t->model.config.head != HEAD_SCORE || t->model.config.labels != 1))
        return FAIL(ST_UNSUPPORTED, "%s has a head of %zu labels; a reward model is trained with one", o->model, t->model.config.labels);
    if (reward) TRY(encoder_padding(&t->model.config.pad, &t->encoder, o->model));
    int32_t longest = t->train.longest > t->eval.longest ? t->train.longest : t->eval.longest;
    TRY(model_need_positions(&t->model, (size_t)longest));
    if (o->full) return ST_OK;
    return o->adapter ? adapter_load(&t->model, o->adapter, true) : lora_attach(&t->model, &o->lora, o->seed, true);
}

/* Where the reference is neither the model with its adapter off nor sums known beforehand. A new adapter adds nothing, so as a reference
 * that will move it starts as the base model; one of PiSSA is the base model together with what it left of the weights. */
static status keep_initial(struct trainer *t) {
    const bool pissa = !t->o->full && t->o->lora.init == LORA_PISSA;
    if (pissa) {
        TRY(mem_try_alloc(&t->start, t->model.params.size, sizeof(float), "the adapter's start"));
        memcpy(t->start, t->model.params.value, t->model.params.size * sizeof(float));
    }
    if (!t->needs_reference || !(t->o->adapter || t->o->ref_sync_steps || pissa)) return ST_OK;
    TRY(mem_try_alloc(&t->initial, t->model.params.size, sizeof(float), "reference"));
    memcpy(t->initial, t->model.params.value, t->model.params.size * sizeof(float));
    return ST_OK;
}

static double mib(size_t bytes) { return (double)bytes / 1048576.0; }

static void set_tokens(struct run_plan *plan, size_t tokens, size_t longest) {
    plan->tokens = tokens > longest ? tokens : longest;
    plan->scored = plan->tokens + BATCH_ROWS_MAX;
}

/* Positions of a micro-batch: as asked, else the default, else, where that wants more memory than there is, no more than must be. */
static void plan_tokens(const struct trainer *t, struct run_plan *plan, size_t longest, size_t states, size_t memory) {
    const size_t asked = t->o->token_budget;
    set_tokens(plan, asked ? asked : train_tokens_default(longest, t->o->full), longest);
    struct model m = t->model;
    struct run_plan trial = *plan;
    if (asked || (train_memory_fit(&m, &trial, states, memory) == ST_OK && trial.recompute_layers == plan->recompute_layers)) return;
    set_tokens(plan, TRAIN_TOKENS_LEAST, longest);
}

static void tell_memory(const struct trainer *t, const struct run_plan *plan, const struct train_memory *memory, size_t budget) {
    const size_t layers = t->model.config.layers, again = plan->recompute_layers;
    char note[96] = "";
    if (again >= layers)
        snprintf(note, sizeof note, " (layers are computed again in backward)");
    else if (again)
        snprintf(note, sizeof note, " (%zu of %zu layers are computed again in backward)", again, layers);
    log_info("memory: %.0f MiB: weights (%s) %.0f, trained parameters with gradients and optimizer %.0f, activations of %zu tokens%s %.0f",
             mib(train_memory_total(memory)), model_storage_name(&t->model), mib(memory->weights), mib(memory->trained), budget, note,
             mib(memory->activations));
}

/* Everything a step needs, sized before the first one; the table is what a person sees before any of it is touched. */
static status plan_memory(struct trainer *t) {
    const struct train_options *o = t->o;
    size_t longest = 0, most = 1, sum = 0;
    for (int set = 0; set < 2; set++) {
        const struct loaded *d = set ? &t->eval : &t->train;
        for (size_t i = 0; i < d->count; i++) {
            const size_t n = batch_row_tokens(d, i, t->share);
            if (!set) sum += n;
            if (n > longest) longest = n;
            if (o->objective == OBJECTIVE_KTO && (size_t)d->longest > longest) longest = (size_t)d->longest;
            if ((size_t)d->rows[i].responses > most) most = (size_t)d->rows[i].responses;
        }
    }
    struct run_plan plan = {.train = true,
                            .usual = t->train.count ? sum / t->train.count * o->batch : 0,
                            .recompute_layers = o->recompute ? RUN_ALL_LAYERS : 0,
                            .dropout = o->lora.dropout > 0,
                            .squares = o->loss_params.weighting,
                            .rewards = o->objective == OBJECTIVE_REWARD};
    const size_t states = train_state_bytes(&t->model, o->optimizer, &o->optim);
    const size_t synced = o->ref_sync_steps ? t->model.params.size * sizeof(float) : 0,
                 all = o->memory ? o->memory : model_memory_auto() / (size_t)t->comm.local_size;
    plan_tokens(t, &plan, longest, states, all > synced ? all - synced : 0);
    const size_t budget = plan.tokens;
    TRY(train_memory_fit(&t->model, &plan, states, all > synced ? all - synced : 0));
    const struct train_memory memory = train_memory_of(&t->model, &plan, states);
    if (synced) log_info("memory: the reference's parameters %.0f MiB", mib(synced));
    tell_memory(t, &plan, &memory, budget);
    TRY(model_load(&t->model));
    if (o->full && t->model.config.head == HEAD_SCORE) TRY(reward_head_initialise(t->model.score, &t->model, o->seed));
    TRY(keep_initial(t));
    TRY(run_init(&t->run, &t->model, &plan));
    TRY(batch_tree_init(&t->tree, budget));
    const size_t n = (o->batch > o->eval_batch ? o->batch : o->eval_batch) * most;
    if (o->objective == OBJECTIVE_KTO) TRY(mem_try_alloc(&t->mismatched_ids, budget, sizeof(int32_t), "batch"));
    TRY(mem_try_alloc(&t->policy, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->reference, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->dpolicy, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->scores, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->loss_scratch, 2 * n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->text, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->dtext, n, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->text_lengths, n, sizeof(int32_t), "batch"));
    TRY(mem_try_alloc(&t->prompts, n, sizeof(int32_t), "batch"));
    TRY(mem_try_alloc(&t->weights, BATCH_ROWS_MAX, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->rejected, n, sizeof(uint8_t), "batch"));
    TRY(mem_try_alloc(&t->margins, BATCH_ROWS_MAX, sizeof(double), "batch"));
    TRY(mem_try_alloc(&t->first, BATCH_ROWS_MAX + 1, sizeof(uint32_t), "batch"));
    TRY(mem_try_alloc(&t->lengths, n, sizeof(int32_t), "batch"));
    return mem_try_alloc(&t->dlogp, 2 * budget, sizeof(float), "batch");
}

static unsigned metrics_kinds(const struct trainer *t) {
    const unsigned needs = t->o->loss->needs;
    if (t->o->objective == OBJECTIVE_REWARD) return METRICS_REWARDS;
    if (t->o->objective == OBJECTIVE_KTO) return needs & LOSS_NEEDS_KL ? METRICS_LABELS_KL : METRICS_LABELS;
    if (needs & LOSS_OF_POLICY) return METRICS_PAIRS | METRICS_NLL | (needs & LOSS_NEEDS_PROMPT ? METRICS_ODDS : 0);
    return t->o->objective == OBJECTIVE_SFT ? METRICS_SFT : t->needs_reference ? METRICS_PAIRS : METRICS_PAIRS_ALONE;
}

/* What follows evaluation has something to follow. */
static status check_watched(const struct trainer *t) {
    const struct train_options *o = t->o;
    double unused;
    if (!t->schedule.row->watch && !o->best.keep) return ST_OK;
    if (!o->eval_steps || o->eval_steps >= t->total_steps)
        return FAIL(ST_USAGE, "%s%s follows what evaluation measures: it needs --eval-data and --eval-steps below the run's %llu steps",
                    o->best.keep ? "--load-best-model-at-end" : "--lr-scheduler-type ", o->best.keep ? "" : t->schedule.row->name,
                    (unsigned long long)t->total_steps);
    status s = metrics_value(&unused, &t->metrics, o->watched, metrics_kinds(t));
    return s == ST_OK ? s : status_note(s, "--metric-for-best-model: ");
}

static status prepare_optimizer(struct trainer *t) {
    const struct train_options *o = t->o;
    struct optim_slice *slices = slices_of(&t->model, o->loraplus_ratio);
    status s = optim_init(&t->optim, o->optimizer, &o->optim, slices, t->model.params.count);
    free(slices);
    TRY(s);
    t->steps_per_epoch = (t->train.count + t->rows_per_step - 1) / t->rows_per_step;
    t->total_steps = o->max_steps ? o->max_steps : (uint64_t)ceil(o->epochs * (double)t->steps_per_epoch);
    if (!t->total_steps) return FAIL(ST_USAGE, "no steps to take: --num-train-epochs is %g", o->epochs);
    if (o->ref_sync_steps >= t->total_steps)
        return FAIL(ST_USAGE, "--ref-model-sync-steps %llu: the run has %llu steps, so the reference would not move",
                    (unsigned long long)o->ref_sync_steps, (unsigned long long)t->total_steps);
    TRY(schedule_init(&t->schedule, &o->schedule, t->total_steps));
    return check_watched(t);
}

static float *unknown_reference(size_t n) {
    float *cache = mem_alloc(n * sizeof(float));
    reference_forget(cache, n);
    return cache;
}

static status prepare_reference(struct trainer *t) {
    const bool before =
        t->o->full && !t->o->ref_sync_steps; /* full training: the weights move, so all that is asked of the reference is asked now */
    if (!t->needs_reference) return ST_OK;
    t->train_ref = unknown_reference(t->train.response_count);
    t->eval_ref = unknown_reference(t->eval.response_count + 1);
    if (t->o->ref_logps)
        TRY(reference_from_file(t, t->train_ref, &t->train, t->o->ref_logps));
    else if (before)
        TRY(reference_precompute(t));
    if (before) TRY(reference_precompute_evaluation(t));
    if (!(t->o->loss->needs & LOSS_NEEDS_KL)) return ST_OK;
    const uint64_t epochs = t->mismatched_epochs =
        t->order_kind == ORDER_FILE ? 1 : (t->total_steps + t->steps_per_epoch - 1) / t->steps_per_epoch;
    size_t n;
    if (!size_mul(&n, (size_t)epochs, t->train.count)) return FAIL(ST_NOMEM, "%llu epochs are too many", (unsigned long long)epochs);
    t->train_mismatched = unknown_reference(n);
    t->eval_mismatched = unknown_reference(t->eval.count + 1);
    return before ? mismatched_precompute(t) : ST_OK;
}

static struct rusage usage(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u;
}

/* The peak of resident memory, and page faults without disk, a step since the last line: after the first steps there should be next to
 * none. */
static void put_usage(struct buf *out, struct trainer *t) {
    const struct rusage u = usage();
    const int64_t faults = (int64_t)u.ru_minflt - t->faults_logged;
    const uint64_t steps = t->step - t->step_logged;
    t->faults_logged = u.ru_minflt, t->step_logged = t->step;
    buf_printf(out, ", \"peak_rss_bytes\": %llu, \"minor_faults\": ", (unsigned long long)u.ru_maxrss * 1024);
    json_put_double(out, round((double)faults / (double)(steps ? steps : 1)));
}

static status log_line(struct trainer *t, const struct buf *line) {
    if (t->comm.rank > 0) return ST_OK;
    if (fwrite(line->data, 1, line->size, t->log) != line->size || fflush(t->log) != 0) return FAIL(ST_IO, "%s: cannot write", t->log_path);
    return ST_OK;
}

/* transformers counts micro-batches, so that a short last step is a smaller part of its epoch. */
static double epoch_of(const struct trainer *t) {
    const uint64_t micros = (t->train.count + t->o->batch - 1) / t->o->batch, whole = t->step / t->steps_per_epoch;
    return (double)whole + (double)(t->step % t->steps_per_epoch * t->micros_per_step) / (double)micros;
}

/* The step that was just taken, in TRL's words. */
static status log_step(struct trainer *t, double rate) {
    struct buf b = {0};
    double elapsed = log_now_s() - t->started_s;
    buf_append_char(&b, '{');
    metrics_put(&b, &t->metrics, "", metrics_kinds(t));
    buf_append_text(&b, ", \"grad_norm\": ");
    json_put_double(&b, t->norm_last);
    buf_append_text(&b, ", \"learning_rate\": ");
    json_put_double(&b, rate);
    buf_printf(&b, ", \"num_tokens\": %lld, \"epoch\": ", (long long)t->tokens_seen);
    json_put_double(&b, epoch_of(t));
    buf_printf(&b, ", \"step\": %llu, \"tokens_per_second\": ", (unsigned long long)t->step);
    json_put_double(&b, elapsed > 0 ? round((double)(t->tokens_seen - t->tokens_at_start) / elapsed * 10) / 10 : 0);
    put_usage(&b, t);
    buf_append_text(&b, "}\n");
    status s = log_line(t, &b);
    buf_release(&b);
    t->metrics = (struct metrics){0};
    return s;
}

/* Schedules follow what is measured while there are steps ahead; which is the best is asked from the first step on (not before:
 * transformers' eval_on_start). */
enum evaluation { AT_START, UNDER_WAY, AT_END };

static status heed(struct trainer *t, const struct metrics *m, enum evaluation when) {
    const bool steer = when == UNDER_WAY && t->schedule.row->watch, judge = when != AT_START && t->o->best.keep;
    double watched;
    if (!steer && !judge) return ST_OK;
    TRY(metrics_value(&watched, m, t->o->watched, metrics_kinds(t)));
    if (steer) t->schedule.row->watch(&t->schedule, watched);
    const uint64_t before = t->best.step;
    if (!judge || !best_meet(&t->best, &t->o->best, t->step, watched)) return ST_OK;
    if (when == UNDER_WAY) TRY(checkpoint_save(t));
    if (before) checkpoint_drop_best(t, before);
    return ST_OK;
}

static status evaluate(struct trainer *t, enum evaluation when) {
    struct metrics m;
    struct buf b = {0};
    double start = log_now_s();
    TRY(reference_ready_for_evaluation(t));
    TRY(step_evaluate(t, &m));
    buf_append_char(&b, '{');
    metrics_put(&b, &m, "eval_", metrics_kinds(t));
    buf_append_text(&b, ", \"eval_runtime\": ");
    json_put_double(&b, round((log_now_s() - start) * 1000) / 1000);
    buf_append_text(&b, ", \"epoch\": ");
    json_put_double(&b, epoch_of(t));
    buf_printf(&b, ", \"step\": %llu}\n", (unsigned long long)t->step);
    status s = log_line(t, &b);
    buf_release(&b);
    if (s == ST_OK && m.count) log_info("step %llu: eval loss %.4f", (unsigned long long)t->step, m.loss / (double)m.count);
    return s == ST_OK ? heed(t, &m, when) : s;
}

static status take_step(struct trainer *t) {
    const double rate = schedule_rate(&t->schedule, t->step), start_s = log_now_s();
    TRY(reference_ready(t));
    TRY(step_gradients(t));
    t->norm_last = optim_norm(&t->optim);
    if (!isfinite(t->norm_last)) {
        comm_end_together(&t->comm);
        return FAIL(ST_FORMAT, "step %llu: the gradient is not finite; lower --learning-rate, or try --dtype f32",
                    (unsigned long long)t->step + 1);
    }
    TRY(optim_step(&t->optim, rate, optim_clip_scale(t->norm_last, t->o->max_grad_norm)));
    if (t->o->full) TRY(model_refresh(&t->model));
    model_changed(&t->model);
    t->step++;
    TRY(reference_sync(t));
    t->longest_step_s = fmax(t->longest_step_s, log_now_s() - start_s);
    t->comm.patience_s = PATIENCE_S + 10 * t->longest_step_s;
    if (t->o->logging_steps && (t->step % t->o->logging_steps == 0 || t->step == t->total_steps)) return log_step(t, rate);
    return ST_OK;
}

/* A signal is seen by ranks at different times: they stop behind the step in which one of them told the others. */
static bool stopping(const struct trainer *t) { return t->comm.size > 1 ? t->stop : interrupted; }

static status loop(struct trainer *t) {
    struct progress bar;
    char extra[64];
    progress_begin(&bar, "train", "steps", t->total_steps);
    t->step_logged = t->step, t->faults_logged = usage().ru_minflt;
    while (t->step < t->total_steps && !stopping(t) && !best_is_over(&t->best, &t->o->best)) {
        TRY(take_step(t));
        snprintf(extra, sizeof extra, "loss %.4f", t->step_metrics.loss);
        if (step_due(t->step, t->o->eval_steps) && t->eval.count && t->step < t->total_steps) TRY(evaluate(t, UNDER_WAY));
        if ((step_due(t->step, t->o->save_steps) || stopping(t)) && t->best.step != t->step)
            TRY(checkpoint_save(t)); /* the best is saved already */
        progress_update(&bar, t->step, extra);
    }
    progress_end(&bar, t->step, NULL);
    if (t->step == t->total_steps || best_is_over(&t->best, &t->o->best)) return ST_OK;
    comm_end_together(&t->comm);
    return FAIL(ST_INTERRUPTED, "stopped after step %llu of %llu; the same command with --resume goes on from there",
                (unsigned long long)t->step, (unsigned long long)t->total_steps);
}

static status open_log(struct trainer *t, bool resumed) {
    if (!resumed)
        t->log = fopen(t->log_path, "wb");
    else
        t->log = fopen(t->log_path, "ab");
    return t->log ? ST_OK : FAIL(ST_IO, "%s: cannot open", t->log_path);
}

/* What a step of several ranks needs, taken beforehand. */
static status prepare_ranks(struct trainer *t) {
    size_t responses, most = 1;
    for (size_t i = 0; i < t->train.count; i++)
        if ((size_t)t->train.rows[i].responses > most) most = (size_t)t->train.rows[i].responses;
    if (!size_mul(&responses, t->rows_per_step, most) || responses > t->train.response_count) responses = t->train.response_count;
    TRY(mem_try_alloc(&t->step_responses, responses, sizeof *t->step_responses, "step"));
    TRY(mem_try_alloc(&t->step_numbers, RANKS_NUMBERS + responses, sizeof *t->step_numbers, "step"));
    return overlap_init(&t->overlap, &t->comm, &t->model.params, t->model.config.layers);
}

/* A loss over both halves of a pair has both in every micro-batch. */
static status check_halves(const struct trainer *t) {
    const struct train_options *o = t->o;
    if (!(o->loss->needs & LOSS_NEEDS_HALVES)) return ST_OK;
    if (t->order_kind == ORDER_SHUFFLED) {
        TRY(order_check_halves(&t->train, NULL, o->train_data)); /* says which row, where that is why */
        return FAIL(ST_USAGE, "--loss-type %s takes the two halves of a pair together: --order paired", o->loss->name);
    }
    if (o->batch % 2 || (t->eval.count && o->eval_batch % 2))
        return FAIL(ST_USAGE,
                    "--loss-type %s takes the two halves of a pair together: --per-device-train-batch-size and "
                    "--per-device-eval-batch-size must be even",
                    o->loss->name);
    TRY(order_check_halves(&t->train, t->order, o->train_data));
    return t->eval.count ? order_check_halves(&t->eval, NULL, o->eval_data) : ST_OK;
}

static status prepare(struct trainer *t) {
    if (t->comm.rank == 0) TRY(file_make_dirs(t->o->output_dir));
    const bool anew = !t->o->resume && t->comm.rank == 0;
    if (anew && !t->o->overwrite) TRY(checkpoint_clear(t)); /* refuses; what --overwrite-output-dir takes away goes when the data is read */
    TRY(hash_path(t->model_hash, t->o->model));
    TRY(hash_path(t->data_hash, t->o->train_data));
    t->log_path = file_join(t->o->output_dir, "metrics.jsonl");
    TRY(load_data(t));
    if (anew && t->o->overwrite) TRY(checkpoint_clear(t));
    TRY(put_goal(t));
    t->order = mem_alloc(t->train.count * sizeof *t->order);
    t->order_kind = t->o->order;
    if (t->order_kind == ORDER_PAIRED && !t->o->order_given && !order_can_pair(&t->train)) {
        t->order_kind = ORDER_SHUFFLED;
        if (order_any_relabelled(&t->train))
            log_info("%s: not every row has its pair's other goal in the file, so rows are shuffled", t->o->train_data);
    }
    TRY(order_epoch(t->order, &t->train, t->order_kind, t->o->seed, 0, t->rows_per_step));
    TRY(check_halves(t));
    TRY(open_model(t));
    if (t->comm.rank == 0) TRY(train_goal_check_tokens(t->o, &t->encoder, t->model.embed_offset != LINEAR_FROZEN));
    TRY(plan_memory(t));
    TRY(prepare_optimizer(t));
    return t->comm.size > 1 ? prepare_ranks(t) : ST_OK;
}

/* Ranks that are not one run would wait for each other without end, or train different models. */
static status check_ranks(struct trainer *t) {
    struct buf text = {0};
    TRY(comm_same(&t->comm, RAPT_VERSION, "version of rapt"));
    TRY(comm_same(&t->comm, t->o->options_json, "set of options"));
    checkpoint_identity(&text, t);
    status s = comm_same(&t->comm, buf_text(&text), "model or data");
    buf_clear(&text);
    buf_printf(&text, "%zu rows, %zu tokens", t->eval.count, t->eval.ids.count);
    if (s == ST_OK) s = comm_same(&t->comm, buf_text(&text), "set of evaluation data");
    buf_clear(&text);
    buf_printf(&text, "%s with ", matmul_kind_name(t->o->kind));
    cpu_describe(&text);
    if (s == ST_OK && !t->o->allow_drift) s = comm_same(&t->comm, buf_text(&text), "instruction set (--allow-drift goes on all the same)");
    buf_release(&text);
    TRY(s);
    return checkpoint_same_parameters(t);
}

/* --resume where there is no checkpoint: the first start of a run, but not a new run over one that came to its end. */
static status start_anew(struct trainer *t) {
    const bool finished = t->comm.rank == 0 && manifest_says_finished(t->o->output_dir);
    TRY(comm_agree(&t->comm, !finished ? ST_OK
                                       : FAIL(ST_USAGE,
                                              "%s holds a finished run and no checkpoint, so there is nothing to resume: "
                                              "--overwrite-output-dir in place of --resume trains anew",
                                              t->o->output_dir)));
    log_info("%s: no checkpoint to resume from, starting at step 0", t->o->output_dir);
    return ST_OK;
}

/* Behind the last step; and the weights that the run leaves. */
static status end_evaluation(struct trainer *t) {
    if (t->step < t->total_steps)
        log_info("step %llu of %llu: no better %s in %llu evaluations, so the run ends here", (unsigned long long)t->step,
                 (unsigned long long)t->total_steps, t->o->watched, (unsigned long long)t->best.idle);
    else if (t->eval.count)
        TRY(evaluate(t, AT_END));
    if (!t->o->best.keep || t->best.step == 0 || t->best.step == t->step) return ST_OK;
    log_info("step %llu had the best %s of evaluation, %.4g: its weights are saved", (unsigned long long)t->best.step, t->o->watched,
             t->best.value);
    return checkpoint_take_best(t);
}

static status train(struct trainer *t) {
    bool resumed = false;
    TRY(comm_share_cores(&t->comm, t->o->threads || getenv("OMP_NUM_THREADS")));
    TRY(comm_agree(&t->comm, prepare(t)));
    TRY(check_ranks(t));
    t->started_s = log_now_s(); /* a reference that is computed beforehand is part of the work that tokens_per_second is about */
    TRY(prepare_reference(t));
    if (t->o->resume) {
        TRY(checkpoint_resume(t, &resumed));
        if (!resumed) TRY(start_anew(t));
    }
    if (t->comm.rank == 0) TRY(open_log(t, resumed));
    TRY(manifest_write(t, false));
    t->tokens_at_start = t->tokens_seen;
    if (!resumed && t->eval.count) TRY(evaluate(t, AT_START));
    TRY(loop(t));
    TRY(end_evaluation(t));
    TRY(checkpoint_save_final(t, t->o->output_dir));
    return manifest_write(t, true);
}

/* All ranks come to the same end, or one of them ends the others. */
static status leave(struct comm *c, status s) {
    const bool silent = c->silent;
    if (s != ST_OK && c->size > 1 && !c->together) {
        log_error("rank %d on %s: %s", c->rank, c->host, status_message());
        comm_abort(c);
    }
    comm_end(c);
    return silent ? ST_OK : s;
}

status trainer_run(const struct train_options *o) {
    struct trainer t = {.o = o, .order_epoch = -1, .share = !(o->lora.dropout > 0)};
    t.needs_reference = (o->loss->needs & LOSS_NEEDS_REFERENCE) != 0;
    interrupted = 0;
    TRY(comm_begin(&t.comm));
    t.comm.stop = &interrupted;
    t.comm.patience_s = PATIENCE_S;
    if (t.comm.rank > 0) log_set_level(LOG_ERROR); /* rank 0 tells what all of them do */
    if (t.comm.size > 1) log_info("%d ranks, %d of them on %s", t.comm.size, t.comm.local_size, t.comm.host);
    t.micros_per_step = o->accumulation * (size_t)t.comm.size;
    t.rows_per_step = o->batch * t.micros_per_step;
    status s = train(&t);
    s = leave(&t.comm, s);
    if (t.log) fclose(t.log);
    free(t.log_path);
    free(t.order);
    free(t.train_ref);
    free(t.eval_ref);
    free(t.start);
    free(t.initial);
    free(t.policy);
    free(t.reference);
    free(t.dpolicy);
    free(t.scores);
    free(t.margins);
    free(t.loss_scratch);
    free(t.text);
    free(t.dtext);
    free(t.text_lengths);
    free(t.prompts);
    free(t.weights);
    free(t.lengths);
    free(t.train_mismatched);
    free(t.eval_mismatched);
    free(t.mismatched_ids);
    free(t.rejected);
    free(t.first);
    free(t.dlogp);
    free(t.step_responses);
    free(t.step_numbers);
    overlap_release(&t.overlap);
    optim_release(&t.optim);
    seqtree_release(&t.tree);
    run_release(&t.run);
    model_release(&t.model);
    loaded_release(&t.train);
    loaded_release(&t.eval);
    encoder_release(&t.encoder);
    return s;
}
