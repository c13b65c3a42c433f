/* Fuzz target: a row through the relabelling's writer. Whatever went in, every row that comes out is valid JSON, holds the goal in its
 * prompt, and can be read again as a pair. The first byte chooses placement and the released bug. */
#include <stdlib.h>
#include <string.h>

#include "data/augment_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_row(const struct buf *line, bool paper_bug) {
    struct json row;
    struct record again = {0};
    CHECK(json_parse(&row, line->data, line->size) == ST_OK);
    CHECK(memchr(line->data, '\n', line->size) == line->data + line->size - 1);
    if (!paper_bug) {
        CHECK(source_read_row(&again, row) == ST_OK);
        CHECK(again.kind == RECORD_PAIR && again.goal == 7.5 && again.goal_of == GOAL_OF_REJECTED && again.source_row == 3);
        CHECK(strstr(buf_text(&again.prompt), "Overall score: 7.5.") != NULL);
    }
    record_release(&again);
}

static void write_pair(const struct record *r, const struct buf *chosen, const struct buf *rejected, const struct augment_options *o) {
    struct augment_writer w = {.o = o};
    struct buf line = {0};
    const struct augment_emit e = {.swap = true, .goal = {1, {7.5}}, .goal_of = GOAL_OF_REJECTED};
    if (augment_writer_begin(&w, r) == ST_OK && augment_writer_set(&w, chosen, rejected, 3) == ST_OK &&
        augment_put_pair(&line, &w, &e, (const double[]){8, 7.5}, (const struct goal[2]){{0}}) == ST_OK)
        expect_row(&line, o->paper_nosys_bug);
    buf_release(&line);
    augment_writer_release(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct record record;
    if (!size || memchr(data, '\n', size)) return 0; /* rows are lines */
    struct goal_style style;
    goal_style_default(&style);
    style.placement = (enum goal_placement)(data[0] % 3);
    struct augment_options o = {.style = &style, .paper_nosys_bug = data[0] % 4 == 1};
    if (o.paper_nosys_bug) style.placement = GOAL_USER;
    char *exact = malloc(size);
    if (!exact) return 0;
    memcpy(exact, data + 1, size - 1);
    struct json row;
    if (json_parse(&row, exact, size - 1) == ST_OK && source_read_row(&record, row) == ST_OK) {
        if (record.kind == RECORD_PAIR) write_pair(&record, &record.chosen, &record.rejected, &o);
        for (size_t i = 1; i < record.response_count; i++)
            write_pair(&record, &record.responses[i - 1].text, &record.responses[i].text, &o);
    }
    record_clear(&record);
    goal_style_release(&style);
    free(exact);
    return 0;
}
