/* augment: the relabelling, from text to text or from file to file. */
#define _GNU_SOURCE /* memfd_create */
#include "data/augment.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "library/library.h"

/* `text` (NULL: the first) among "a|b|c", as its number. */
static status choose(int *out, const char *member, const char *text, const char *choices) {
    *out = 0;
    if (!text) return ST_OK;
    for (const char *at = choices; *at; ++*out) {
        const size_t n = strcspn(at, "|");
        if (strlen(text) == n && memcmp(text, at, n) == 0) return ST_OK;
        at += n + (at[n] == '|');
    }
    return FAIL(ST_USAGE, "%s expects one of %s, not '%s'", member, choices, text);
}

static status read_style(struct goal_style *style, const struct rapt_augmentation *o) {
    int placement;
    TRY(choose(&placement, "placement", o->placement, "system|user|after"));
    style->placement = (enum goal_placement)placement;
    if (o->goal_template) goal_style_set_text(style, o->goal_template);
    if (o->scale_low != 0 || o->scale_high != 0) {
        if (!(o->scale_low < o->scale_high) || !isfinite(o->scale_low) || !isfinite(o->scale_high))
            return FAIL(ST_USAGE, "scale_low must lie below scale_high");
        style->low = o->scale_low;
        style->high = o->scale_high;
    }
    if (!(o->quantize >= 0) || isinf(o->quantize)) return FAIL(ST_USAGE, "quantize must be 0 or more");
    style->quantum = o->quantize;
    return goal_style_check(style);
}

/* Members that would have no effect are refused, as the command refuses such options. */
static status check_effects(const struct rapt_augmentation *o, const struct augment_options *a) {
    if (a->mode == AUGMENT_PLAIN && (o->goal_dropout != 0 || o->goal_template))
        return FAIL(ST_USAGE, "goal_dropout and goal_template have no effect under mode plain");
    if (a->mode == AUGMENT_PLAIN && a->ties == AUGMENT_TIES_PLAIN) return FAIL(ST_USAGE, "ties plain has no effect under mode plain");
    if (a->mode == AUGMENT_SFT && (o->rule || o->on_disagree || o->ties))
        return FAIL(ST_USAGE, "rule, on_disagree and ties have no effect under mode sft");
    if (a->mode == AUGMENT_SHUFFLED && a->on_disagree == AUGMENT_DISAGREE_KEEP)
        return FAIL(ST_USAGE, "mode shuffled goes with on_disagree drop or relabel");
    return ST_OK;
}

static status read_options(struct augment_options *a, struct goal_style *style, const struct rapt_augmentation *given) {
    struct rapt_augmentation o = RAPT_AUGMENTATION_INIT;
    int mode, rule, ties, disagree;
    TRY(library_options(&o, sizeof o, given, "rapt_augmentation"));
    TRY(choose(&mode, "mode", o.mode, AUGMENT_MODE_CHOICES));
    TRY(choose(&rule, "rule", o.rule, "paper|best-worst|all|best-random|adjacent"));
    TRY(choose(&ties, "ties", o.ties, "drop|keep|plain"));
    TRY(choose(&disagree, "on_disagree", o.on_disagree, "drop|relabel|keep"));
    TRY(read_style(style, &o));
    if (!(o.goal_dropout >= 0 && o.goal_dropout <= 1)) return FAIL(ST_USAGE, "goal_dropout must lie in 0 .. 1");
    a->mode = (enum augment_mode)mode;
    a->rules = (struct pair_rules){.rule = (enum pair_rule)rule, .seed = o.seed};
    a->ties = (enum augment_ties)ties;
    a->on_disagree = (enum augment_disagree)disagree;
    a->goal_dropout = o.goal_dropout;
    a->seed = o.seed;
    a->style = style;
    a->map_scores = o.from_low != 0 || o.from_high != 0;
    a->from_low = o.from_low;
    a->from_high = o.from_high;
    if (a->map_scores && (!(o.from_low < o.from_high) || !isfinite(o.from_low) || !isfinite(o.from_high)))
        return FAIL(ST_USAGE, "from_low must lie below from_high");
    return check_effects(&o, a);
}

static char *counts_json(const struct augment_counts *counts) {
    struct buf b = {0};
#define PUT_COUNT(name, text) buf_printf(&b, "%s\"" #name "\": %" PRIu64, b.size ? ", " : "{", counts->name);
    AUGMENT_COUNT_MAP(PUT_COUNT)
    buf_append_char(&b, '}');
    return b.data;
}

static status run(struct augment_options *a, char **counts_out, const struct rapt_augmentation *given) {
    struct goal_style style;
    struct augment_counts counts;
    goal_style_default(&style);
    status s = read_options(a, &style, given);
    if (s == ST_OK) s = augment_run(&counts, a);
    if (s == ST_OK && counts_out) *counts_out = counts_json(&counts);
    goal_style_release(&style);
    return s;
}

/* Rows are read by name, some modes read them twice: they stand in a file of memory. */
static status memory_file(int *fd, const char *data, size_t size) {
    *fd = memfd_create("rows", MFD_CLOEXEC);
    if (*fd < 0) return FAIL(ST_IO, "cannot keep the rows in memory: %s", strerror(errno));
    while (size) {
        const ssize_t n = write(*fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            close(*fd);
            return FAIL(ST_NOMEM, "cannot keep the rows in memory: %s", strerror(errno));
        }
        data += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

static status put(void *context, const char *lines, size_t size) {
    struct buf *out = context;
    TRY(buf_reserve(out, size));
    buf_append(out, lines, size);
    return ST_OK;
}

static status text_to_text(char **out, char **counts, const char *rows, size_t size, const struct rapt_augmentation *augmentation) {
    struct buf lines = {0};
    char path[64];
    int fd;
    TRY(memory_file(&fd, rows, size));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct augment_options a = {.input = path, .input_name = "rows", .put = put, .put_context = &lines};
    status s = run(&a, counts, augmentation);
    close(fd);
    if (s == ST_OK)
        *out = lines.data ? lines.data : mem_text("");
    else
        buf_release(&lines);
    return s;
}

RAPT_API rapt_status rapt_augment(char **rows_out, char **counts, const char *rows, size_t size,
                                  const struct rapt_augmentation *augmentation) {
    struct library_turn turn;
    status s = library_enter(&turn, 0);
    if (s != ST_OK) return (rapt_status)s;
    s = text_to_text(rows_out, counts, rows, size, augmentation);
    library_leave(&turn);
    return (rapt_status)s;
}

RAPT_API rapt_status rapt_augment_file(const char *output, char **counts, const char *input, const struct rapt_augmentation *augmentation) {
    struct library_turn turn;
    status s = library_enter(&turn, 0);
    if (s != ST_OK) return (rapt_status)s;
    struct augment_options a = {.input = input, .output = output};
    const bool files = strcmp(input, "-") != 0 && strcmp(output, "-") != 0;
    s = files ? run(&a, counts, augmentation) : FAIL(ST_USAGE, "rapt_augment_file takes files, not -");
    library_leave(&turn);
    return (rapt_status)s;
}
