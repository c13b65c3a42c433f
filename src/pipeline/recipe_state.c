#define _POSIX_C_SOURCE 200809L
#include "pipeline/recipe_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "format/json.h"

#define FOLDER_DEPTH_MAX 16
#define MEMO_SIZE_MIN ((uint64_t)16 << 20) /* smaller files are hashed faster than looked up */

/* ---- keys ---- */

struct walk {
    struct recipe_state *state;
    const struct recipe *r;
    size_t stage;
    struct buf digest; /* "hash path" lines */
};

/* Made by this stage or a later one, or none of the data: hidden files, unfinished writes, our own state. */
static bool left_out(const struct walk *w, const char *path, const char *name) {
    if (name[0] == '.' || strstr(name, ".tmp.") || strcmp(name, RECIPE_STATE_NAME) == 0) return true;
    for (size_t i = w->stage; i < w->r->stage_count; i++)
        for (size_t j = 0; j < w->r->stages[i].outputs.count; j++)
            if (recipe_path_within(path, w->r->stages[i].outputs.items[j])) return true;
    return false;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static status add_path(struct walk *w, const char *path, int depth);

static status add_folder(struct walk *w, const char *path, int depth) {
    struct dirent **names;
    if (depth > FOLDER_DEPTH_MAX) return FAIL(ST_IO, "%s: folders nested deeper than %d", path, FOLDER_DEPTH_MAX);
    int count = scandir(path, &names, NULL, by_name);
    if (count < 0) return FAIL(ST_IO, "%s: cannot list the folder", path);
    status s = ST_OK;
    for (int i = 0; i < count; i++) {
        char *file = file_join(path, names[i]->d_name);
        /* A checkpoint is what training goes on from, not what it made. */
        bool checkpoint = strncmp(names[i]->d_name, "checkpoint-", strlen("checkpoint-")) == 0;
        if (s == ST_OK && !checkpoint && file_exists(file) && !left_out(w, file, names[i]->d_name)) s = add_path(w, file, depth + 1);
        free(file);
        free(names[i]);
    }
    free(names);
    return s;
}

static status hash_file(char out[HASH_HEX_SIZE], struct recipe_state *s, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) return FAIL(ST_IO, "%s: cannot open: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return FAIL(ST_IO, "%s: a stage reads files and folders, and this is neither", path);
    if ((uint64_t)st.st_size < MEMO_SIZE_MIN) return hash_path(out, path);
    int64_t changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    for (size_t i = 0; i < s->memo_count; i++) {
        const struct recipe_memo *m = &s->memos[i];
        if (m->size != (uint64_t)st.st_size || m->changed_ns != changed_ns || strcmp(m->path, path) != 0) continue;
        memcpy(out, m->hash, HASH_HEX_SIZE);
        return ST_OK;
    }
    TRY(hash_path(out, path));
    if (s->memo_count == RECIPE_MEMO_MAX) return ST_OK;
    struct recipe_memo *m = &s->memos[s->memo_count++];
    *m = (struct recipe_memo){.path = mem_text(path), .size = (uint64_t)st.st_size, .changed_ns = changed_ns};
    memcpy(m->hash, out, HASH_HEX_SIZE);
    return ST_OK;
}

static status add_file(struct walk *w, const char *path) {
    char hex[HASH_HEX_SIZE];
    TRY(hash_file(hex, w->state, path));
    buf_printf(&w->digest, "%s %s\n", hex, path);
    return ST_OK;
}

/* What commands read beside a file without being told: how the goals in its rows are asked for, what its log-probs were made with. */
static status add_beside(struct walk *w, const char *path) {
    static const char *const ends[] = {".goal.json", ".meta.json"};
    status s = ST_OK;
    for (size_t i = 0; s == ST_OK && i < sizeof ends / sizeof ends[0]; i++) {
        struct buf beside = {0};
        buf_printf(&beside, "%s%s", path, ends[i]);
        if (file_exists(buf_text(&beside)) && !file_is_dir(buf_text(&beside))) s = add_file(w, buf_text(&beside));
        buf_release(&beside);
    }
    return s;
}

static status add_path(struct walk *w, const char *path, int depth) {
    if (file_is_dir(path)) return add_folder(w, path, depth);
    TRY(add_file(w, path));
    return depth ? ST_OK : add_beside(w, path); /* a folder's files are all looked at */
}

/* An option's text that happens to name nothing, or something that cannot be read as a file, is no input. */
static status add_value(struct walk *w, const char *text) {
    const char *path = recipe_path_of(text);
    if (!*path || !file_exists(path)) return ST_OK;
    size_t before = w->digest.size;
    if (add_path(w, path, 0) != ST_OK) {
        w->digest.size = before;
        w->digest.data[before] = '\0';
    }
    return ST_OK;
}

static status digest_stage(struct walk *w) {
    const struct recipe_stage *stage = &w->r->stages[w->stage];
    buf_printf(&w->digest, "rapt %s %s\n%s\nstdout %s\n", RAPT_VERSION, stage->spec->command, stage->options_json,
               stage->stdout_path ? stage->stdout_path : "-");
    for (size_t i = 0; i < stage->needs.count; i++) TRY(add_path(w, recipe_path_of(stage->needs.items[i]), 0));
    for (size_t i = 0; i < stage->values.count; i++) TRY(add_value(w, stage->values.items[i]));
    for (size_t i = 0; i < stage->words.count; i++)
        if (!file_is_dir(recipe_path_of(stage->words.items[i]))) TRY(add_value(w, stage->words.items[i]));
    return ST_OK;
}

status recipe_stage_key(char out[HASH_HEX_SIZE], struct recipe_state *state, const struct recipe *r, size_t stage) {
    struct walk w = {.state = state, .r = r, .stage = stage};
    status s = digest_stage(&w);
    if (s == ST_OK) hash_hex(out, w.digest.data, w.digest.size);
    buf_release(&w.digest);
    return s == ST_OK ? s : status_note(s, "stage %s: ", r->stages[stage].name);
}

bool recipe_stage_has_outputs(const struct recipe_stage *stage) {
    for (size_t i = 0; i < stage->outputs.count; i++)
        if (!file_exists(stage->outputs.items[i])) return false;
    return stage->outputs.count > 0;
}

/* ---- the file ---- */

static bool copy_text(char *out, struct json value, size_t size) {
    struct buf b = {0};
    bool ok = json_string(&b, value) && b.size < size && !memchr(buf_text(&b), '\0', b.size);
    if (ok) memcpy(out, buf_text(&b), b.size + 1);
    buf_release(&b);
    return ok;
}

static bool read_mark(struct recipe_mark *m, struct json item) {
    return copy_text(m->name, json_get(item, "name"), sizeof m->name) && copy_text(m->key, json_get(item, "key"), sizeof m->key) &&
           json_bool(&m->finished, json_get(item, "finished")) && json_double(&m->seconds, json_get(item, "seconds"));
}

static status read_state(struct recipe_state *s, const struct buf *text) {
    struct json root, key, item, stages;
    TRY(json_parse(&root, buf_text(text), text->size));
    stages = json_get(root, "stages");
    if (json_kind_of(stages) != JSON_ARRAY) return FAIL(ST_FORMAT, "'stages' should be an array");
    struct json_iter it = json_iter_begin(stages);
    while (json_iter_next(&it, &key, &item)) {
        if (s->count == RECIPE_STAGES_MAX || !read_mark(&s->marks[s->count], item))
            return FAIL(ST_FORMAT, "stage %zu is broken", s->count + 1);
        s->count++;
    }
    return ST_OK;
}

/* A lock of the kernel's: it goes when the process ends, however that is. */
static status lock_folder(struct recipe_state *s, const char *folder) {
    char *path = file_join(folder, ".recipe-lock");
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    status code = ST_OK;
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0)
        code = FAIL(ST_IO, "%s: cannot create: %s", path, strerror(errno));
    else if (fcntl(s->lock, F_SETLK, &whole) != 0 && (errno == EACCES || errno == EAGAIN))
        code = FAIL(ST_IO, "%s: another rapt run is at work in this folder", folder);
    free(path);
    return code; /* a file system without locks goes without */
}

status recipe_state_load(struct recipe_state *s, const struct recipe *r) {
    *s = (struct recipe_state){.path = file_join(r->output, RECIPE_STATE_NAME), .lock = -1};
    TRY(file_make_dirs(r->output));
    TRY(lock_folder(s, r->output));
    if (!file_exists(s->path)) return ST_OK;
    struct buf text = {0};
    status code = file_read(&text, s->path);
    if (code == ST_OK && read_state(s, &text) != ST_OK) {
        log_warn("%s: %s; every stage runs again", s->path, status_message());
        s->count = 0;
    }
    buf_release(&text);
    return code;
}

void recipe_state_release(struct recipe_state *s) {
    free(s->path);
    for (size_t i = 0; i < s->memo_count; i++) free(s->memos[i].path);
    if (s->lock >= 0) close(s->lock);
    *s = (struct recipe_state){.lock = -1};
}

static struct recipe_mark *find_mark(struct recipe_state *s, const char *stage) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->marks[i].name, stage) == 0) return &s->marks[i];
    return NULL;
}

const struct recipe_mark *recipe_state_get(const struct recipe_state *s, const char *stage) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->marks[i].name, stage) == 0) return &s->marks[i];
    return NULL;
}

/* Marks of stages that the recipe no longer has make room. */
static void drop_unknown(struct recipe_state *s, const struct recipe *r) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool known = false;
        for (size_t j = 0; j < r->stage_count && !known; j++) known = strcmp(r->stages[j].name, s->marks[i].name) == 0;
        if (known) s->marks[kept++] = s->marks[i];
    }
    s->count = kept;
}

static status write_state(const struct recipe_state *s, const struct recipe *r) {
    struct buf b = {0};
    buf_append_text(&b, "{\"recipe\": ");
    json_put_text(&b, r->path);
    buf_printf(&b, ", \"rapt_version\": \"%s\", \"stages\": [", RAPT_VERSION);
    for (size_t i = 0; i < s->count; i++) {
        const struct recipe_mark *m = &s->marks[i];
        buf_printf(&b, "%s\n  {\"name\": \"%s\", \"key\": \"%s\", \"finished\": %s, \"seconds\": %.3f}", i ? "," : "", m->name, m->key,
                   m->finished ? "true" : "false", m->seconds);
    }
    buf_append_text(&b, "\n]}\n");
    status code = file_write(s->path, b.data, b.size);
    buf_release(&b);
    return code;
}

status recipe_state_put(struct recipe_state *s, const struct recipe *r, const char *stage, const char *key, bool finished, double seconds) {
    drop_unknown(s, r);
    struct recipe_mark *m = find_mark(s, stage);
    if (!m) {
        CHECK(s->count < RECIPE_STAGES_MAX && strlen(stage) < sizeof m->name);
        m = &s->marks[s->count++];
        memcpy(m->name, stage, strlen(stage) + 1);
    }
    memcpy(m->key, key, HASH_HEX_SIZE);
    m->finished = finished;
    m->seconds = seconds;
    return write_state(s, r);
}

status recipe_state_drop(struct recipe_state *s, const struct recipe *r, const char *stage) {
    struct recipe_mark *m = find_mark(s, stage);
    if (!m) return ST_OK;
    memmove(m, m + 1, (size_t)(&s->marks[s->count] - (m + 1)) * sizeof *m);
    s->count--;
    return write_state(s, r);
}
