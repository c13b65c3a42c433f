/* rapt run RECIPE.yaml: the stages of a recipe, one after the other in this process; what is done already is kept. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "pipeline/recipe_state.h"

struct run_options {
    const char *only, *from;
    struct opt_list set;
    bool force, dry_run;
};

static const struct opt_row rows[] = {
    {"only", OPT_STR, offsetof(struct run_options, only), "STAGE", NULL, NULL, "Run this stage alone."},
    {"from", OPT_STR, offsetof(struct run_options, from), "STAGE", NULL, NULL, "Leave out the stages before this one."},
    {"force", OPT_FLAG, offsetof(struct run_options, force), NULL, NULL, NULL, "Run stages that were done before again, from the start."},
    {"dry-run", OPT_FLAG, offsetof(struct run_options, dry_run), NULL, NULL, NULL, "Print the stages as lines for a shell and stop."},
    {"set", OPT_LIST, offsetof(struct run_options, set), "NAME=VALUE", NULL, NULL,
     "Give a variable of the recipe, or its output, another value."},
};

const struct opt_spec cmd_run_spec = {
    .command = "run",
    .summary = "run a whole pipeline from a recipe, resumable stage by stage",
    .positional = "RECIPE.yaml",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .example = "rapt run examples/quickstart.yaml\n"
               "rapt run examples/quickstart.yaml --dry-run\n"
               "rapt run recipe.yaml --from train --set output=runs/second,rate=1e-4",
    .notes = "A recipe names a folder (output), variables (vars) and stages; each stage is a rapt command with its options. All of it is "
             "checked\n"
             "before the first stage runs. A stage whose options and inputs are what they were, and whose outputs are there, is kept; "
             "interrupted\n"
             "training goes on from its checkpoint. Paths are relative to where rapt runs.",
};

/* What a stage may run: everything that ends by itself. */
static const struct opt_spec *find_stage_command(const char *name) {
    static const char *const excluded[] = {"run", "chat", "serve"};
    for (size_t i = 0; i < sizeof excluded / sizeof excluded[0]; i++)
        if (strcmp(name, excluded[i]) == 0) return NULL;
    for (size_t i = 0; i < cmd_count; i++)
        if (strcmp(cmd_table[i].name, name) == 0) return cmd_table[i].spec;
    for (size_t i = 0; i < eval_cmd_count; i++)
        if (strcmp(eval_cmd_table[i].spec->command, name) == 0) return eval_cmd_table[i].spec;
    return NULL;
}

static cmd_fn *stage_function(const struct recipe_stage *stage) {
    for (size_t i = 0; i < cmd_count; i++)
        if (cmd_table[i].spec == stage->spec) return cmd_table[i].run;
    for (size_t i = 0; i < eval_cmd_count; i++)
        if (eval_cmd_table[i].spec == stage->spec) return eval_cmd_table[i].run;
    CHECK(!"a stage runs a command of the table");
    return NULL;
}

static bool has_option(const struct opt_spec *spec, const char *name) {
    for (size_t i = 0; i < spec->row_count; i++)
        if (spec->rows[i].kind != OPT_HEADING && strcmp(spec->rows[i].name, name) == 0) return true;
    return false;
}

/* Folders that outputs lie in; --output-dir makes its own. */
static status make_folders(const struct recipe_stage *stage) {
    for (size_t i = 0; i < stage->outputs.count; i++) {
        const char *path = stage->outputs.items[i], *slash = strrchr(path, '/');
        if (!slash || slash == path) continue;
        char *folder = mem_text_n(path, (size_t)(slash - path));
        status s = file_make_dirs(folder);
        free(folder);
        TRY(s);
    }
    return ST_OK;
}

/* What to do about training that an earlier run of this recipe began in the same folder. */
enum again { AGAIN_NOT, AGAIN_RESUME, AGAIN_OVER };

static bool has_argument(const struct recipe_stage *stage, const char *text) {
    for (int i = 0; i < stage->argc; i++)
        if (strcmp(stage->argv[i], text) == 0) return true;
    return false;
}

/* The command's argv, with an option for `again` at its end unless the recipe has one of its own. Caller frees the array alone. */
static char **stage_argv(int *argc, const struct recipe_stage *stage, enum again again) {
    static char go_on[] = "--resume", start_over[] = "--overwrite-output-dir";
    char **argv = mem_alloc(((size_t)stage->argc + 2) * sizeof *argv);
    bool own = has_argument(stage, go_on) || has_argument(stage, start_over);
    *argc = stage->argc;
    memcpy(argv, stage->argv, (size_t)stage->argc * sizeof *argv);
    if (again == AGAIN_RESUME && !own) argv[(*argc)++] = go_on;
    if (again == AGAIN_OVER && !own) argv[(*argc)++] = start_over;
    argv[*argc] = NULL;
    return argv;
}

/* Standard output goes to the stage's file while it runs; the file appears under its name when the stage has ended well. */
struct redirect {
    struct file_out out;
    int saved; /* the real standard output, or -1 */
};

static status redirect_begin(struct redirect *d, const char *path) {
    *d = (struct redirect){.saved = -1};
    if (!path) return ST_OK;
    fflush(stdout);
    TRY(file_out_open(&d->out, path));
    d->saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (d->saved >= 0 && dup2(fileno(d->out.stream), STDOUT_FILENO) >= 0) return ST_OK;
    if (d->saved >= 0) close(d->saved);
    file_out_abandon(&d->out);
    return FAIL(ST_IO, "%s: cannot redirect standard output", path);
}

static status redirect_end(struct redirect *d, status s) {
    if (d->saved < 0) return s;
    if (fflush(stdout) != 0 && s == ST_OK) s = FAIL(ST_IO, "%s: cannot write", d->out.path);
    clearerr(stdout);
    dup2(d->saved, STDOUT_FILENO);
    close(d->saved);
    if (s == ST_OK) return file_out_commit(&d->out);
    file_out_abandon(&d->out);
    return s;
}

static status call_once(const struct recipe_stage *stage, enum again again) {
    struct redirect d;
    int argc;
    TRY(make_folders(stage));
    TRY(redirect_begin(&d, stage->stdout_path));
    char **argv = stage_argv(&argc, stage, again);
    status s = stage_function(stage)(argc, argv);
    free(argv);
    return redirect_end(&d, s);
}

/* A checkpoint that another setting of the same stage left behind is refused by the command; then it starts from the beginning. */
static status call(const struct recipe_stage *stage, enum again again) {
    if (again == AGAIN_RESUME && !has_option(stage->spec, "resume")) again = AGAIN_NOT;
    if (again == AGAIN_OVER && !has_option(stage->spec, "overwrite-output-dir")) again = AGAIN_NOT;
    status s = call_once(stage, again);
    if (again != AGAIN_RESUME || s != ST_MISMATCH) return s;
    log_warn("cannot go on from what is there (%s); starting again", status_message());
    return call_once(stage, has_option(stage->spec, "overwrite-output-dir") ? AGAIN_OVER : AGAIN_NOT);
}

static void print_time(char out[32], double seconds) {
    long whole = (long)(seconds + 0.5);
    if (seconds < 60)
        snprintf(out, 32, "%.1f s", seconds);
    else
        snprintf(out, 32, "%ld:%02ld min", whole / 60, whole % 60);
}

struct runner {
    const struct recipe *r;
    const struct run_options *o;
    struct recipe_state state;
    size_t kept, ran;
};

static status run_stage(struct runner *w, size_t index) {
    const struct recipe_stage *stage = &w->r->stages[index];
    const struct recipe_mark *before = recipe_state_get(&w->state, stage->name);
    char key[HASH_HEX_SIZE], time[32];
    TRY(recipe_stage_key(key, &w->state, w->r, index));
    bool same = before && strcmp(before->key, key) == 0 && !w->o->force;
    if (same && before->finished && recipe_stage_has_outputs(stage)) {
        log_info("[%zu/%zu] %s: done before, kept", index + 1, w->r->stage_count, stage->name);
        w->kept++;
        return ST_OK;
    }
    /* A folder that this recipe did not begin is the command's to refuse, unless --force says what to do. */
    enum again again = same && !before->finished ? AGAIN_RESUME : before || w->o->force ? AGAIN_OVER : AGAIN_NOT;
    bool known = before != NULL;
    log_info("[%zu/%zu] %s: %s%s", index + 1, w->r->stage_count, stage->name, stage->title ? stage->title : "rapt ",
             stage->title ? "" : stage->spec->command);
    TRY(recipe_state_put(&w->state, w->r, stage->name, key, false, 0));
    double start_s = log_now_s();
    status s = call(stage, again);
    if (s == ST_USAGE && !known) TRY(recipe_state_drop(&w->state, w->r, stage->name)); /* it did not begin; what lies there is not ours */
    if (s == ST_INTERRUPTED) log_info("the same rapt run goes on from there");
    if (s != ST_OK) return status_note(s, "stage %s (%s:%zu): ", stage->name, w->r->path, stage->line);
    double seconds = log_now_s() - start_s;
    TRY(recipe_state_put(&w->state, w->r, stage->name, key, true, seconds)); /* first: what is said to be done is not done again */
    print_time(time, seconds);
    log_info("[%zu/%zu] %s: done in %s", index + 1, w->r->stage_count, stage->name, time);
    w->ran++;
    return ST_OK;
}

/* The half-open range of stages that the options choose. */
static status choose(size_t *begin, size_t *end, const struct recipe *r, const struct run_options *o) {
    *begin = 0;
    *end = r->stage_count;
    if (o->only && o->from) return FAIL(ST_USAGE, "--only and --from exclude each other");
    if (o->from) return recipe_stage_index(begin, r, o->from);
    if (!o->only) return ST_OK;
    TRY(recipe_stage_index(begin, r, o->only));
    *end = *begin + 1;
    return ST_OK;
}

static void print_lines(const struct recipe *r, size_t begin, size_t end) {
    struct buf b = {0};
    for (size_t i = begin; i < end; i++) {
        buf_printf(&b, "# [%zu/%zu] %s%s%s\n", i + 1, r->stage_count, r->stages[i].name, r->stages[i].title ? ": " : "",
                   r->stages[i].title ? r->stages[i].title : "");
        recipe_shell_line(&b, &r->stages[i]);
        buf_append_char(&b, '\n');
    }
    fputs(buf_text(&b), stdout);
    buf_release(&b);
}

static status run_all(const struct recipe *r, const struct run_options *o, size_t begin, size_t end) {
    struct runner w = {.r = r, .o = o};
    char time[32];
    double start_s = log_now_s();
    status s = recipe_state_load(&w.state, r);
    for (size_t i = begin; s == ST_OK && i < end; i++) s = run_stage(&w, i);
    recipe_state_release(&w.state);
    TRY(s);
    print_time(time, log_now_s() - start_s);
    log_info("%s: %zu stage%s run, %zu kept, %s; results in %s", r->path, w.ran, w.ran == 1 ? "" : "s", w.kept, time, r->output);
    if (r->closing && end == r->stage_count) fprintf(stderr, "\n%s\n", r->closing);
    return ST_OK;
}

status cmd_run_run(int argc, char **argv) {
    struct run_options o = {0};
    struct opt_result result;
    struct recipe recipe;
    size_t begin, end;
    bool done;
    TRY(cmd_parse(&result, &cmd_run_spec, &o, argc, argv, &done));
    if (done) return ST_OK;
    if (result.positional_count != 1) return FAIL(ST_USAGE, "rapt run expects one RECIPE.yaml");
    if (o.dry_run && o.force) return FAIL(ST_USAGE, "--force has no effect with --dry-run");
    status s = recipe_load(&recipe, result.positional[0], find_stage_command, &o.set);
    if (s == ST_OK) s = choose(&begin, &end, &recipe, &o);
    if (s == ST_OK && o.dry_run) print_lines(&recipe, begin, end);
    if (s == ST_OK && !o.dry_run) s = run_all(&recipe, &o, begin, end);
    recipe_release(&recipe);
    return s;
}
