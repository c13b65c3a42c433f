#include "reward/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "reward/score_one.h"

/* What happens with the numbers of a pass over the input. */
enum pass {
    PASS_DIRECT,  /* written as they come */
    PASS_COLLECT, /* kept, for a quantile map */
    PASS_REPLAY   /* those kept, written */
};

struct job {
    const struct score_options *o;
    struct score_counts *counts;
    struct reward reward;
    struct quantiles map;
    enum pass pass;
    struct source source;
    struct file_out out;
    struct record record;
    struct reward_values values; /* not written yet, from `used` on */
    size_t used;
    struct score_row *waiting; /* [waiting_count] rows whose numbers are not all there */
    size_t waiting_count, waiting_capacity;
    /* PASS_COLLECT's */
    bool *usable; /* [row_count] of the rows that source_next gave */
    size_t row_count, row_capacity, replayed;
    struct buf line;
};

static size_t width(const struct job *x) { return 1 + x->reward.name_count; }

/* What goes into a hole. */
static void put_values(struct job *x, const char *side, const double *values) {
    const struct score_options *o = x->o;
    const double score = score_scaled(o, &x->map, values[0]);
    struct score_counts *n = x->counts;
    n->responses_unscored += isnan(score);
    n->responses_scored += !isnan(score);
    n->scores_at_lowest += o->scale != SCORE_AS_IS && score <= o->low; /* NaN is neither */
    n->scores_at_highest += o->scale != SCORE_AS_IS && score >= o->high;
    score_put(&x->line, o, &x->reward, side, score, values + 1);
}

static status write_row(struct job *x, const struct score_row *row) {
    size_t at = 0;
    buf_clear(&x->line);
    for (size_t i = 0; i < row->count; i++) {
        buf_append(&x->line, row->text.data + at, row->hole[i] - at);
        at = row->hole[i];
        put_values(x, !row->pair ? "" : i ? "_rejected" : "_chosen", x->values.items + x->used);
        x->used += width(x);
    }
    buf_append(&x->line, row->text.data + at, row->text.size - at);
    buf_append_char(&x->line, '\n');
    x->counts->rows_written++;
    return file_out_write(&x->out, x->line.data, x->line.size);
}

/* Writes the rows whose numbers are there; what is left moves to the front. */
static status write_ready(struct job *x) {
    size_t done = 0;
    while (done < x->waiting_count && x->values.count - x->used >= x->waiting[done].count * width(x))
        TRY(write_row(x, &x->waiting[done++]));
    if (!done) return ST_OK;
    for (size_t i = done; i < x->waiting_count; i++) {
        const struct score_row spare = x->waiting[i - done];
        x->waiting[i - done] = x->waiting[i];
        x->waiting[i] = spare;
    }
    x->waiting_count -= done;
    if (x->pass == PASS_REPLAY) return ST_OK; /* the numbers were all there before */
    if (x->values.count > x->used)
        memmove(x->values.items, x->values.items + x->used, (x->values.count - x->used) * sizeof *x->values.items);
    x->values.count -= x->used;
    x->used = 0;
    return ST_OK;
}

static struct score_row *add_waiting(struct job *x) {
    if (x->waiting_count == x->waiting_capacity) {
        const size_t before = x->waiting_capacity;
        x->waiting_capacity = before ? 2 * before : 16;
        x->waiting = mem_resize(x->waiting, x->waiting_capacity * sizeof *x->waiting);
        memset(x->waiting + before, 0, (x->waiting_capacity - before) * sizeof *x->waiting);
    }
    return &x->waiting[x->waiting_count++];
}

static void note_usable(struct job *x, bool usable) {
    if (x->row_count == x->row_capacity) {
        x->row_capacity = x->row_capacity ? 2 * x->row_capacity : 256;
        x->usable = mem_resize(x->usable, x->row_capacity * sizeof *x->usable);
    }
    x->usable[x->row_count++] = usable;
}

static status changed(const struct job *x) {
    return FAIL(ST_MISMATCH, "%s: changed between the two times that it was read", rows_path(&x->source.rows));
}

/* ST_FORMAT for a row that the first pass could not use. */
static status replay(struct job *x, const struct record *r) {
    if (x->replayed == x->row_count) return changed(x);
    if (!x->usable[x->replayed++]) return FAIL(ST_FORMAT, "the row has no score");
    return reward_responses(r) * width(x) > x->values.count - x->used ? changed(x) : ST_OK;
}

static status take_row(struct job *x, const struct record *r) {
    size_t replaced;
    status s = score_row_check(&replaced, r, x->o->overwrite, x->o->as);
    if (x->pass == PASS_REPLAY) {
        if (s == ST_OK || s == ST_FORMAT) s = replay(x, r);
        TRY(s);
    } else {
        if (s == ST_OK) s = x->reward.source->score(&x->reward, &x->values, r);
        if (x->pass == PASS_COLLECT) note_usable(x, s == ST_OK);
        if (s != ST_OK || x->pass == PASS_COLLECT) return s;
    }
    x->counts->scores_replaced += replaced;
    score_row_render(add_waiting(x), r, replaced != 0, x->reward.name_count != 0, x->o->as);
    return write_ready(x);
}

static status flush(struct job *x) {
    if (x->pass == PASS_REPLAY) return x->replayed == x->row_count && x->used == x->values.count ? ST_OK : changed(x);
    if (x->reward.source->flush) TRY(x->reward.source->flush(&x->reward, &x->values));
    if (x->pass == PASS_COLLECT) return ST_OK;
    TRY(write_ready(x));
    CHECK(!x->waiting_count && !x->values.count);
    return ST_OK;
}

static status read_rows(struct job *x) {
    struct progress bar;
    bool end = false;
    progress_begin(&bar, x->pass == PASS_REPLAY ? "write" : "score", "kB", file_size_bytes(x->o->input) >> 10);
    while (!end) {
        TRY(source_next(&x->source, &x->record, &end));
        if (end) break;
        status s = take_row(x, &x->record);
        if (s != ST_OK) TRY(source_reject(&x->source, &x->record, s));
        char rows[32];
        snprintf(rows, sizeof rows, "%llu rows", (unsigned long long)x->source.row_count);
        progress_update(&bar, file_lines_taken(&x->source.rows.lines) >> 10, rows);
    }
    TRY(flush(x));
    progress_end(&bar, file_lines_taken(&x->source.rows.lines) >> 10, NULL);
    x->counts->rows_read = x->source.row_count;
    x->counts->rows_skipped = x->source.skipped_count;
    return x->pass == PASS_COLLECT ? ST_OK : source_commit(&x->source);
}

static status run_pass(struct job *x, enum pass pass) {
    x->pass = pass;
    TRY(source_open(&x->source, x->o->input, x->o->on_bad_row, pass == PASS_COLLECT ? NULL : x->o->output));
    x->source.map = x->o->map;
    status s = read_rows(x);
    source_release(&x->source);
    return s;
}

/* The map is made of this input's numbers. */
static status make_map(struct job *x) {
    struct buf path = {0};
    TRY(run_pass(x, PASS_COLLECT));
    size_t n = x->values.count / width(x);
    double *first;
    TRY(mem_try_alloc(&first, n + 1, sizeof *first, "scores"));
    for (size_t i = 0; i < n; i++) first[i] = x->values.items[i * width(x)];
    status s = quantiles_make(&x->map, first, n, x->reward.setting, x->o->low, x->o->high);
    free(first);
    if (s != ST_OK) return s;
    buf_printf(&path, "%s.map.json", x->o->output);
    s = quantiles_save(&x->map, buf_text(&path));
    buf_release(&path);
    return s;
}

static status work(struct job *x) {
    const bool make = x->o->scale == SCORE_QUANTILES && !x->o->quantile_map;
    if (x->o->quantile_map) TRY(quantiles_load(&x->map, x->o->quantile_map, x->reward.setting));
    if (make) TRY(make_map(x));
    TRY(file_out_open(&x->out, x->o->output));
    TRY(run_pass(x, make ? PASS_REPLAY : PASS_DIRECT));
    return file_out_commit(&x->out);
}

status score_run(struct score_counts *counts, const struct score_options *o) {
    struct job x = {.o = o, .counts = counts};
    *counts = (struct score_counts){0};
    CHECK(o->scale != SCORE_QUANTILES || (o->source->flags & REWARD_RAW));
    status s = reward_open(&x.reward, o->source, &o->reward);
    if (s == ST_OK && o->as && x.reward.name_count)
        s = FAIL(ST_USAGE, "--as has no effect: the model gives several numbers, which have names of their own");
    if (s == ST_OK) s = work(&x);
    counts->tally = x.reward.tally;
    file_out_abandon(&x.out);
    for (size_t i = 0; i < x.waiting_capacity; i++) score_row_release(&x.waiting[i]);
    free(x.waiting);
    free(x.usable);
    reward_values_release(&x.values);
    reward_release(&x.reward);
    quantiles_release(&x.map);
    record_release(&x.record);
    buf_release(&x.line);
    return s;
}
