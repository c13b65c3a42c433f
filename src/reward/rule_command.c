/* rule_command: a program of the user's judges. It is started once for so many responses, with `sh -c`, and reads on its standard input a
 * line of JSON for each: {"prompt": text or messages, "response": text, "row": the whole row}. It prints a line for each, in their order: a
 * number from 0, wrong, to 1, right, or null. Then it ends with code 0. Everything else ends the run, with what it wrote to its standard
 * error. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "reward/reward_rule.h"

struct rule_command {
    const char *line; /* the command */
    size_t batch;
    int64_t timeout_ms;
    FILE *in; /* what it will read; NULL: nothing held */
    size_t held;
    uint64_t *row; /* [batch] lines of the rows, for messages */
    struct buf json, output;
};

status rule_command_open(struct rule *r, const struct reward_options *o) {
    struct rule_command *c = r->command = mem_zero(1, sizeof *c);
    c->line = o->command;
    c->batch = (size_t)o->command_batch;
    c->timeout_ms = o->command_timeout_ms;
    c->row = mem_zero(c->batch, sizeof *c->row);
    return ST_OK;
}

void rule_command_close(struct rule *r) {
    struct rule_command *c = r->command;
    if (!c) return;
    if (c->in) fclose(c->in);
    free(c->row);
    buf_release(&c->json);
    buf_release(&c->output);
    free(c);
}

static status read_output(struct rule_command *c) {
    struct child child;
    const size_t most = 4096 + 64 * c->held;
    char chunk[8192];
    size_t got = 1;
    buf_clear(&c->output);
    status s = child_start_shell(&child, c->line, c->in, c->timeout_ms);
    if (s != ST_OK) return s;
    while (s == ST_OK && got) {
        s = child_read(&got, &child, chunk, sizeof chunk);
        if (s != ST_OK) break;
        buf_append(&c->output, chunk, got);
        if (c->output.size > most) s = FAIL(ST_IO, "%s: more output than a number for each of %zu responses", c->line, c->held);
    }
    child_release(&child);
    return s;
}

static status read_value(double *value, const struct rule_command *c, size_t i, const char *line, size_t size) {
    struct json v;
    *value = (double)NAN;
    while (size && strchr(" \t\r", line[size - 1])) size--;
    const bool parsed = json_parse(&v, line, size) == ST_OK;
    if (parsed && json_kind_of(v) == JSON_NULL) return ST_OK;
    if (parsed && json_double(value, v) && *value >= 0 && *value <= 1) return ST_OK;
    return FAIL(ST_IO,
                "%s: line %zu of its output (a response of the row of line %llu): expected a number from 0 to 1 or null, found '%.*s'",
                c->line, i + 1, (unsigned long long)c->row[i], (int)(size < 60 ? size : 60), line);
}

static status judge_held(struct rule_command *c, struct reward_values *out) {
    TRY(read_output(c));
    const char *at = buf_text(&c->output), *end = at + c->output.size;
    for (size_t i = 0; i < c->held; i++) {
        double value;
        if (at == end) return FAIL(ST_IO, "%s: %zu lines of output for %zu responses", c->line, i, c->held);
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        TRY(read_value(&value, c, i, at, (size_t)(stop - at)));
        reward_values_add(out, value);
        at = stop < end ? stop + 1 : end;
    }
    if (at != end) return FAIL(ST_IO, "%s: more lines of output than the %zu responses", c->line, c->held);
    return ST_OK;
}

status rule_command_flush(struct rule *r, struct reward_values *out) {
    struct rule_command *c = r->command;
    if (!c->held) return ST_OK;
    const status s = judge_held(c, out);
    fclose(c->in);
    c->in = NULL;
    c->held = 0;
    return s;
}

status rule_command_hold(struct rule *r, struct reward_values *out, const struct record *row, const struct buf *text) {
    struct rule_command *c = r->command;
    if (!c->in && !(c->in = tmpfile())) return FAIL(ST_IO, "cannot make a temporary file: %s", strerror(errno));
    buf_clear(&c->json);
    buf_append_text(&c->json, "{\"prompt\": ");
    if (row->conversational)
        buf_append(&c->json, buf_text(&row->prompt), row->prompt.size);
    else
        json_put_string(&c->json, buf_text(&row->prompt), row->prompt.size);
    buf_append_text(&c->json, ", \"response\": ");
    json_put_string(&c->json, buf_text(text), text->size);
    buf_append_text(&c->json, ", \"row\": ");
    buf_append(&c->json, row->row.text, row->row.size);
    buf_append_text(&c->json, "}\n");
    if (fwrite(c->json.data, 1, c->json.size, c->in) != c->json.size)
        return FAIL(ST_IO, "cannot write a temporary file: %s", strerror(errno));
    c->row[c->held++] = row->line;
    return c->held == c->batch ? rule_command_flush(r, out) : ST_OK;
}
