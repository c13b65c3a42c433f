/* All rows of a file through a source of scores. */
#ifndef RAPT_TESTS_SCORE_ROWS_H
#define RAPT_TESTS_SCORE_ROWS_H

#include "data/source.h"
#include "reward/reward.h"

static void ok(status s) {
    if (s != ST_OK) fail_msg("%s", status_message());
}

/* width: where the number of values a response goes, or NULL. */
static void score_all(struct reward_values *out, const char *source, const struct reward_options *o, const char *rows, size_t *width) {
    struct reward r;
    struct source in;
    struct record record = {0};
    bool end;
    *out = (struct reward_values){0};
    ok(reward_open(&r, reward_find(source), o));
    if (width) *width = 1 + r.name_count;
    ok(source_open(&in, rows, SOURCE_STOP, NULL));
    for (ok(source_next(&in, &record, &end)); !end; ok(source_next(&in, &record, &end))) ok(r.source->score(&r, out, &record));
    if (r.source->flush) ok(r.source->flush(&r, out));
    source_release(&in);
    record_release(&record);
    reward_release(&r);
}

#endif
