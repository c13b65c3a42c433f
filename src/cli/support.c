#include "cli/support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cmd.h"
#include "data/source.h"
#include "eval/eval.h"
#include "eval/mc_task.h"
#include "export/handover.h"
#include "format/gguf.h"
#include "format/safetensors.h"
#include "loss/loss.h"
#include "model/arch.h"
#include "model/hf_io.h"
#include "reward/reward_rule.h"
#include "text/pretoken.h"
#include "train/optim.h"
#include "train/schedule.h"

/* A cell's text: no bar ends it, no line break. */
static void put_text(struct buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') buf_append_char(out, '\\');
        buf_append_char(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_row(struct buf *out, const char *const *cells, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_append_text(out, i ? " | " : "| ");
        put_text(out, cells[i] && cells[i][0] ? cells[i] : "-");
    }
    buf_append_text(out, " |\n");
}

static void put_head(struct buf *out, const char *title, const char *lead, const char *const *cells, size_t count) {
    buf_printf(out, "\n## %s\n\n%s%s", title, lead, lead[0] ? "\n\n" : "");
    put_row(out, cells, count);
    for (size_t i = 0; i < count; i++) buf_append_text(out, "|---");
    buf_append_text(out, "|\n");
}
#define HEAD(out, title, lead, ...)                                                       \
    do {                                                                                  \
        const char *const head_cells[] = {__VA_ARGS__};                                   \
        put_head(out, title, lead, head_cells, sizeof head_cells / sizeof head_cells[0]); \
    } while (0)
#define ROW(out, ...)                                                    \
    do {                                                                 \
        const char *const row_cells[] = {__VA_ARGS__};                   \
        put_row(out, row_cells, sizeof row_cells / sizeof row_cells[0]); \
    } while (0)

static void put_part(struct buf *out, const char *text) { buf_printf(out, "%s%s", out->size ? ", " : "", text); }

static void put_traits(struct buf *out, const struct family *f) {
    static const char *const windows[] = {
        [WINDOW_ALL] = "sliding window", [WINDOW_FROM] = "sliding window in upper layers", [WINDOW_PATTERN] = "local and global layers"};
    const struct {
        bool on;
        const char *text;
    } traits[] = {{f->qkv_bias, "q/k/v bias"},
                  {f->qk_norm, "q/k norm"},
                  {f->fused, "fused projections"},
                  {f->gemma, "soft-caps, norms behind attention and feed-forward, scaled embeddings"},
                  {f->no_rope_step != 0, "layers without rotation"},
                  {f->windows != WINDOW_NEVER, windows[f->windows]},
                  {f->local_rope_base > 0, "two rope bases"}};
    for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++)
        if (traits[i].on) put_part(out, traits[i].text);
}

static void put_families(struct buf *out) {
    HEAD(out, "Model families",
         "From a Hugging Face folder or a GGUF file. LoRA goes on any of the projections, `--full` trains all parameters.", "family",
         "models", "class", "GGUF", "export --format", "reward models", "what is special", "LoRA targets");
    for (size_t i = 0; i < family_count; i++) {
        const struct family *f = &family_table[i];
        struct buf traits = {0}, rewards = {0};
        char targets[256], name[FAMILY_ARCHITECTURE_SIZE];
        put_traits(&traits, f);
        for (int head = HEAD_SCORE; head <= HEAD_GATED; head++) {
            family_architecture(name, f, (enum head_kind)head);
            if (name[0]) put_part(&rewards, name);
        }
        family_target_list(targets, sizeof targets, f);
        ROW(out, f->name, f->help, f->architecture, f->gguf_arch, f->gguf_arch ? "hf, gguf, gguf-lora" : "hf", buf_text(&rewards),
            buf_text(&traits), targets);
        buf_release(&traits);
        buf_release(&rewards);
    }
}

/* Which goldens say what about a family. */
enum { SEEN_LOGITS, SEEN_GRADIENTS, SEEN_GGUF, SEEN_CACHE, SEEN_ADAPTER, SEEN_REWARD, SEEN_REWARD_GRADIENTS, SEEN_COUNT };
struct seen {
    struct buf of[SEEN_COUNT];
};

static bool has_tensor(const struct safetensors *s, const char *prefix) {
    for (size_t i = 0; i < s->tensor_count; i++)
        if (strncmp(s->tensors[i].name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

/* The family of a folder's config.json, or of the model beside it that its adapter_config.json was trained on. NULL: none of ours. */
static const struct family *family_of(const char *goldens, const char *name, enum head_kind *head) {
    struct buf path = {0}, text = {0};
    struct json root;
    const struct family *f = NULL;
    buf_printf(&path, "%s/%s/config.json", goldens, name);
    if (file_exists(buf_text(&path)) && file_read(&text, buf_text(&path)) == ST_OK &&
        json_parse(&root, buf_text(&text), text.size) == ST_OK) {
        struct json key, first = {0};
        struct json_iter it = json_iter_begin(json_get(root, "architectures"));
        char *architecture = json_iter_next(&it, &key, &first) ? json_text(first) : NULL;
        if (architecture) f = family_by_architecture(head, architecture);
        free(architecture);
    }
    buf_release(&path);
    buf_release(&text);
    return f;
}

/* Does test_decode hold decoding with a cache to the full forward on it? Under long rope keys keep the rotation of the length they were
 * made at, as in transformers, so that it is another computation. */
static status look_at_cache(struct seen *s, const char *goldens, const char *name, bool gguf) {
    struct buf path = {0};
    struct checkpoint c;
    buf_printf(&path, "%s/%s%s", goldens, name, gguf ? "/model.gguf" : "");
    status code = checkpoint_open(&c, buf_text(&path));
    buf_release(&path);
    TRY(code);
    if (c.config.rope.kind != ROPE_LONG) put_part(&s->of[SEEN_CACHE], name);
    checkpoint_release(&c);
    return ST_OK;
}

static status look_at(struct seen *seen, const char *goldens, const char *name) {
    char base[256];
    enum head_kind head = HEAD_LM;
    snprintf(base, sizeof base, "%s", name);
    char *end = base + strlen(base);
    const bool gguf = end - base > 5 && strcmp(end - 5, "_gguf") == 0, lora = end - base > 5 && strcmp(end - 5, "_lora") == 0;
    if (gguf || lora) end[-5] = '\0';
    const struct family *f = family_of(goldens, base, &head);
    if (!f) return ST_OK;
    struct seen *s = &seen[f - family_table];
    struct buf path = {0};
    if (gguf) {
        buf_printf(&path, "%s/%s/model.gguf", goldens, name);
        const bool there = file_exists(buf_text(&path));
        buf_release(&path);
        if (!there) return ST_OK;
        put_part(&s->of[SEEN_GGUF], name);
        return look_at_cache(s, goldens, name, true);
    }
    buf_printf(&path, "%s/%s/golden.safetensors", goldens, name);
    struct safetensors file;
    status code = ST_OK;
    if (file_exists(buf_text(&path)) && (code = safetensors_open(&file, buf_text(&path))) == ST_OK) {
        if (has_tensor(&file, "logits.") || has_tensor(&file, "rewards."))
            put_part(&s->of[head != HEAD_LM ? SEEN_REWARD : lora ? SEEN_ADAPTER : SEEN_LOGITS], name);
        if (!lora && head == HEAD_LM && has_tensor(&file, "logits.")) code = look_at_cache(s, goldens, name, false);
        if (!lora && has_tensor(&file, "grad.")) put_part(&s->of[head != HEAD_LM ? SEEN_REWARD_GRADIENTS : SEEN_GRADIENTS], name);
        safetensors_release(&file);
    }
    buf_release(&path);
    return code;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static status put_goldens(struct buf *out, const char *goldens) {
    char **names = NULL;
    size_t count = 0;
    DIR *d = opendir(goldens);
    if (!d) return FAIL(ST_IO, "%s: cannot be opened as a folder", goldens);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        names = mem_resize(names, (count + 1) * sizeof *names);
        names[count++] = mem_text(e->d_name);
    }
    closedir(d);
    if (count) qsort(names, count, sizeof *names, compare_names);
    struct seen *seen = mem_zero(family_count, sizeof *seen);
    status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < count; i++) s = look_at(seen, goldens, names[i]);
    HEAD(out, "Compared with transformers and peft",
         "Small random models in tests/golden, made by the scripts in tests/oracle. Logits and gradients of every parameter agree within "
         "1e-4 of the largest "
         "value (docs/numerics.md); the tests name what they read. Decoding with a cache is compared with the full forward (test_decode); "
         "long rope is left out, whose cached keys keep the rotation of the length they were made at, as in transformers.",
         "family", "logits", "gradients", "the same from GGUF", "decoding with a cache", "adapter", "rewards",
         "gradients of reward models");
    for (size_t i = 0; i < family_count; i++) {
        const char *cells[SEEN_COUNT + 1] = {family_table[i].name};
        const int order[SEEN_COUNT] = {SEEN_LOGITS, SEEN_GRADIENTS,       SEEN_GGUF, SEEN_CACHE, SEEN_ADAPTER,
                                       SEEN_REWARD, SEEN_REWARD_GRADIENTS};
        for (size_t k = 0; k < SEEN_COUNT; k++) cells[k + 1] = buf_text(&seen[i].of[order[k]]);
        put_row(out, cells, SEEN_COUNT + 1);
        for (size_t k = 0; k < SEEN_COUNT; k++) buf_release(&seen[i].of[k]);
    }
    free(seen);
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
    return s;
}

/* What a loss asks for, flag by flag. */
static void put_losses(struct buf *out) {
    static const struct {
        unsigned flag;
        const char *text;
    } needs[] = {{LOSS_NEEDS_REFERENCE, "reference"},
                 {LOSS_NEEDS_BATCH, "whole micro-batch"},
                 {LOSS_NEEDS_LENGTHS, "token counts"},
                 {LOSS_NEEDS_PAIRS, "pairs"},
                 {LOSS_NEEDS_HALVES, "both halves of each"},
                 {LOSS_NEEDS_BETA, "--beta"},
                 {LOSS_NEEDS_SMOOTHING, "--label-smoothing"},
                 {LOSS_NEEDS_TEXT, "log-probs of the response's text"},
                 {LOSS_NEEDS_PROMPT, "and of its prompt's"},
                 {LOSS_NEEDS_SCORES, "scores"},
                 {LOSS_OF_LABELS, "labels"},
                 {LOSS_OF_GROUPS, "K responses"},
                 {LOSS_NEEDS_KL, "mismatched pairs"}},
      takes[] = {{LOSS_TAKES_SMOOTHING, "--label-smoothing"},
                 {LOSS_TAKES_TAU, "--discopop-tau"},
                 {LOSS_TAKES_DIVERGENCE, "--f-divergence-type"},
                 {LOSS_TAKES_WEIGHTS, "--use-weighting"},
                 {LOSS_TAKES_TAIL, "--ld-alpha"},
                 {LOSS_TAKES_GAMMA, "--simpo-gamma"},
                 {LOSS_TAKES_OFFSET, "--odpo-alpha, --odpo-offset"},
                 {LOSS_TAKES_ETA, "--rpo-eta"},
                 {LOSS_TAKES_NLL, "--cpo-alpha"},
                 {LOSS_OF_GROUPS, "--temperature-alpha"},
                 {LOSS_OF_LABELS, "--desirable-weight, --undesirable-weight"},
                 {LOSS_TAKES_MARGINS, "margins, --center-rewards-coefficient"}};
    unsigned known = LOSS_OF_REWARDS | LOSS_OF_POLICY | LOSS_OF_MEANS;
    for (size_t k = 0; k < sizeof needs / sizeof needs[0]; k++) known |= needs[k].flag;
    for (size_t k = 0; k < sizeof takes / sizeof takes[0]; k++) known |= takes[k].flag;
    HEAD(out, "Losses", "", "loss", "objective", "computes", "needs", "takes", "source");
    for (size_t i = 0; i < loss_count; i++) {
        const struct loss_row *l = &loss_table[i];
        struct buf need = {0}, take = {0};
        CHECK(!(l->needs & ~known)); /* a new flag wants its words above */
        for (size_t k = 0; k < sizeof needs / sizeof needs[0]; k++)
            if (l->needs & needs[k].flag) put_part(&need, needs[k].text);
        for (size_t k = 0; k < sizeof takes / sizeof takes[0]; k++)
            if (l->needs & takes[k].flag && !(takes[k].flag == LOSS_TAKES_SMOOTHING && l->needs & LOSS_NEEDS_SMOOTHING))
                put_part(&take, takes[k].text);
        ROW(out, l->name, loss_objective(l), l->help, buf_text(&need), buf_text(&take), l->citation);
        buf_release(&need);
        buf_release(&take);
    }
}

static void put_types(struct buf *out) {
    HEAD(out, "Storage of weights", "What is read, from GGUF and from safetensors; held in this form while LoRA trains on it.", "type",
         "GGUF", "safetensors", "weights a block", "bytes a block");
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype_info *t = &dtype_table[i];
        char code[24], block[24], bytes[24];
        snprintf(code, sizeof code, "%d", t->gguf_code);
        snprintf(block, sizeof block, "%zu", t->block);
        snprintf(bytes, sizeof bytes, "%zu", t->block_bytes);
        ROW(out, t->name, code, t->safetensors, block, bytes);
    }
}

static void put_schemas(struct buf *out) {
    HEAD(out, "Rows", "The form of each row is found from its fields; see [file-forms.md](file-forms.md).", "form", "fields");
    for (size_t i = 0; i < source_form_count; i++) {
        struct buf help = {0};
        buf_printf(&help, "`%s`", source_form_table[i].help);
        ROW(out, source_form_table[i].name, buf_text(&help));
        buf_release(&help);
    }
}

static void put_exports(struct buf *out) {
    HEAD(out, "Export", "", "form", "writes", "types of weights", "options");
    for (size_t i = 0; i < export_count; i++) {
        const struct export_format *f = &export_table[i];
        struct buf options = {0};
        buf_printf(&options, "%s%s%s", f->needs, f->takes ? "," : "", f->takes ? f->takes : "");
        ROW(out, f->name, f->help, f->dtypes, buf_text(&options));
        buf_release(&options);
    }
#define PRESET_ROW(name, model, placement, beta, smoothing, rows, source) {name, model, placement, beta, smoothing, rows, source},
    static const struct handover_preset presets[] = {HANDOVER_PRESET_LIST(PRESET_ROW)};
    HEAD(out, "Presets for other trainers", "See [handover.md](handover.md).", "preset", "model", "beta", "label smoothing", "from");
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        char beta[24], smoothing[24];
        snprintf(beta, sizeof beta, "%g", presets[i].beta);
        snprintf(smoothing, sizeof smoothing, "%g", presets[i].label_smoothing);
        ROW(out, presets[i].name, presets[i].model, beta, smoothing, presets[i].source);
    }
}

static void put_pretokens(struct buf *out) {
    HEAD(out, "Tokenizers of GGUF files",
         "Names in `tokenizer.ggml.pre`; each row is one way to cut text. A `tokenizer.json` says its own way, a `tokenizer.model` needs "
         "none.",
         "names", "merges over");
    for (size_t i = 0; i < pretoken_count; i++)
        ROW(out, pretoken_table[i].names, pretoken_table[i].flags & PRE_CHARS ? "characters" : "bytes");
}

status support_put(struct buf *out, const char *goldens) {
    buf_append_text(
        out, "# What is supported\n\nPrinted by `rapt help --support` (tools/docs.sh) from the tables that the program works with.\n");
    put_families(out);
    if (goldens) TRY(put_goldens(out, goldens));
    put_losses(out);
    HEAD(out, "Optimizers", "", "optimizer", "does", "source");
    for (size_t i = 0; i < optim_count; i++) ROW(out, optim_table[i].name, optim_table[i].help, optim_table[i].citation);
    HEAD(out, "Learning rate schedules", "By the formulas of transformers' get_scheduler.", "schedule", "does", "`--lr-scheduler-kwargs`");
    for (size_t i = 0; i < schedule_count; i++) ROW(out, schedule_table[i].name, schedule_table[i].help, schedule_table[i].takes);
    HEAD(out, "Evaluations", "", "task", "does", "source");
    for (size_t i = 0; i < eval_count; i++) ROW(out, eval_table[i].name, eval_table[i].help, eval_table[i].citation);
    for (size_t i = 0; i < eval_cmd_count; i++) ROW(out, eval_cmd_table[i].name, eval_cmd_table[i].spec->summary, eval_cmd_table[i].group);
    HEAD(out, "Tasks of rapt eval multiple-choice", "", "task", "is", "rows");
    for (size_t i = 0; i < mc_task_count; i++) ROW(out, mc_task_table[i].name, mc_task_table[i].help, mc_task_table[i].fields);
    HEAD(out, "Sources of scores", "`rapt score --source`.", "source", "gives", "needs", "from");
    for (size_t i = 0; i < reward_count; i++)
        ROW(out, reward_table[i].name, reward_table[i].help, reward_table[i].needs, reward_table[i].citation);
    HEAD(out, "Rules", "`rapt score --source rule --rule`.", "rule", "right when");
    for (size_t i = 0; i < rule_count; i++) ROW(out, rule_table[i].name, rule_table[i].help);
    put_schemas(out);
    put_types(out);
    put_exports(out);
    put_pretokens(out);
    return ST_OK;
}
