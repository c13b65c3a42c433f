#include "cli/cli_attributes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_range.h"

status cli_attributes_read(struct goal_style *style, const struct attribute_flags *f) {
    if (f->best && !f->names.count)
        return FAIL(ST_USAGE, "--best has no effect without --attributes; rapt eval goal-curve --best-output finds the best score");
    for (size_t i = 0; i < f->names.count; i++) {
        status s = goal_style_add(style, f->names.items[i]);
        if (s != ST_OK) return status_note(s, "--attributes: ");
    }
    return ST_OK;
}

/* "A,B", or "NAME=A,B;NAME=A,B". out: [attribute_count]; those not named are left alone. */
static status read_ranges(double (*out)[2], const struct goal_style *style, const char *option, const char *text) {
    double low, high;
    if (!strchr(text, '=')) {
        TRY(cli_range(&low, &high, option, text));
        for (size_t i = 0; i < style->attribute_count; i++) out[i][0] = low, out[i][1] = high;
        return ST_OK;
    }
    char *copy = mem_text(text), *rest = copy;
    status s = ST_OK;
    while (s == ST_OK && rest) {
        char *one = rest, *end = strchr(one, ';'), *mark = strchr(one, '=');
        rest = end ? end + 1 : NULL;
        if (end) *end = '\0';
        size_t i = style->attribute_count;
        if (mark && (!end || mark < end)) {
            *mark = '\0';
            for (i = 0; i < style->attribute_count && strcmp(style->attributes[i].name, one) != 0;) i++;
        }
        if (i == style->attribute_count)
            s = FAIL(ST_USAGE, "--%s expects A,B or NAME=A,B;NAME=A,B with the attributes' names; found '%s'", option, text);
        else
            s = cli_range(&out[i][0], &out[i][1], option, mark + 1);
    }
    free(copy);
    return s;
}

status cli_attributes_scales(struct goal_style *style, const char *range) {
    double scales[GOAL_MAX][2];
    for (size_t i = 0; i < style->attribute_count; i++) scales[i][0] = style->attributes[i].low, scales[i][1] = style->attributes[i].high;
    TRY(read_ranges(scales, style, "score-range", range));
    for (size_t i = 0; i < style->attribute_count; i++) style->attributes[i].low = scales[i][0], style->attributes[i].high = scales[i][1];
    return ST_OK;
}

status cli_attributes_named_scales(struct goal_style *style, const char *range) {
    double low, high;
    if (!strchr(range, '=')) return cli_range(&low, &high, "score-range", range);
    for (const char *at = range; at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        char *name = mem_text_n(at, strcspn(at, "=;"));
        status s = goal_style_add(style, name);
        free(name);
        if (s != ST_OK) return status_note(s, "--score-range: ");
    }
    return cli_attributes_scales(style, range);
}

status cli_attributes_from(double (*from)[2], const struct goal_style *style, const char *range) {
    TRY(read_ranges(from, style, "score-from", range));
    for (size_t i = 0; i < style->attribute_count; i++)
        if (from[i][0] != from[i][1] && isnan(style->attributes[i].low))
            return FAIL(ST_USAGE, "--score-from maps %s to a scale that --score-range has to name", style->attributes[i].name);
    return ST_OK;
}

static status read_best(struct goal_style *style, const char *text) {
    struct buf with = {0};
    struct goal best;
    buf_printf(&with, "best,%s", text);
    status s = goal_parse(&best, style, buf_text(&with), NULL);
    buf_release(&with);
    if (s == ST_OK) s = goal_check_scale(style, &best);
    if (s != ST_OK) return status_note(s, "--best: ");
    style->best = best;
    return ST_OK;
}

status cli_attributes_finish(struct goal_style *style, const struct attribute_flags *f, const struct augment_options *o) {
    bool known = true;
    for (size_t i = 0; i < style->attribute_count; i++) known = known && !isnan(style->attributes[i].low);
    if (!known && strcmp(o->input, "-") == 0)
        return FAIL(
            ST_USAGE,
            "the attributes' scales are looked for in the input, which is read twice then; - cannot be: --score-range A,B names them");
    if (!known) TRY(augment_find_scales(style, o));
    style->best = (struct goal){.count = style->attribute_count};
    for (size_t i = 0; i < style->attribute_count; i++) style->best.value[i] = style->attributes[i].high;
    return f->best ? read_best(style, f->best) : ST_OK;
}
