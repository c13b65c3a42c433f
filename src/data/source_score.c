/* source_score: the names under which data sets give the scores of a pair, and the labels of single answers. */
#include <math.h>
#include <stddef.h>

#include "data/source_fields.h"

#define SCORE(chosen, rejected, chosen_text, rejected_text)                                                  \
    {                                                                                                        \
        {offsetof(struct fields, chosen), offsetof(struct fields, rejected)}, { chosen_text, rejected_text } \
    }
static const struct {
    size_t offset[2];
    const char *name[2];
} score_names[] = {
    SCORE(score_chosen, score_rejected, "score_chosen", "score_rejected"),
    SCORE(chosen_score, rejected_score, "chosen_score", "rejected_score"),     /* RLHFlow */
    SCORE(chosen_rating, rejected_rating, "chosen-rating", "rejected-rating"), /* argilla, -cleaned */
    SCORE(chosen_rating_, rejected_rating_, "chosen_rating", "rejected_rating"),
    SCORE(chosen_avg_rating, rejected_avg_rating, "chosen_avg_rating", "rejected_avg_rating"),             /* argilla, -preferences */
    SCORE(overall_score_chosen, overall_score_rejected, "overall_score_chosen", "overall_score_rejected"), /* the paper's preprocessing */
};

static struct json value_at(const struct fields *f, size_t offset) {
    return *(const struct json *)(const void *)((const char *)f + offset);
}

bool source_is_pair_score(struct json key) {
    for (size_t i = 0; i < 2 * sizeof score_names / sizeof score_names[0]; i++)
        if (json_equals(key, score_names[i / 2].name[i % 2])) return true;
    return false;
}

/* The score of one side (0 chosen, 1 rejected) in f; *name says where it was found, NULL before. */
static status read_side(double *score, const char **name, const struct fields *f, int side, bool inner) {
    const size_t count = field_is_mapped(f, score_names[0].name[side]) ? 1 : sizeof score_names / sizeof score_names[0];
    for (size_t i = 0; i < count; i++) {
        const char *here = score_names[i].name[side];
        const struct json text = value_at(f, score_names[i].offset[side]);
        char path[48];
        double value;
        if (!text.size) continue; /* before the printing: most rows have one of the names */
        snprintf(path, sizeof path, "%s%s", inner ? "metadata." : "", here);
        TRY(field_score(&value, text, path));
        if (isnan(value)) continue;
        if (*name && value != *score)
            return FAIL(ST_FORMAT, "fields %s and %s hold different scores, %g and %g; say which is meant: --field %s=%s", *name, path,
                        *score, value, score_names[0].name[side], *name);
        if (*name) continue;
        *score = value;
        *name = here;
    }
    return ST_OK;
}

status field_read_scores(struct record *r, const struct fields *f) {
    struct fields inner = {0};
    const char *name[2] = {NULL, NULL};
    if (json_kind_of(f->metadata) == JSON_OBJECT) fields_find(&inner, f->metadata, NULL);
    const struct fields *from[] = {f, &inner};
    for (size_t i = 0; i < 2; i++) {
        const struct fields *g = from[i];
        if (!name[0]) TRY(read_side(&r->score_chosen, &name[0], g, 0, i != 0));
        if (!name[1]) TRY(read_side(&r->score_rejected, &name[1], g, 1, i != 0));
        if (isnan(r->fine_chosen)) TRY(field_score(&r->fine_chosen, g->avg_fine_score_chosen, "avg_fine_score_chosen"));
        if (isnan(r->fine_rejected)) TRY(field_score(&r->fine_rejected, g->avg_fine_score_rejected, "avg_fine_score_rejected"));
    }
    return ST_OK;
}

static status read_wanted(int *label, struct json value, const char *name) {
    bool wanted;
    int64_t number;
    if (json_bool(&wanted, value))
        *label = wanted ? LABEL_DESIRED : LABEL_UNDESIRED;
    else if (json_int(&number, value) && (number == 0 || number == 1)) /* what other tools write for false and true */
        *label = number ? LABEL_DESIRED : LABEL_UNDESIRED;
    else
        return FAIL(ST_FORMAT, "field %s: expected true or false, found %.*s", name, field_shown(value), value.text);
    return ST_OK;
}

status field_read_label(struct record *r, const struct fields *f) {
    int tag = LABEL_NONE;
    if (f->label.size) TRY(read_wanted(&r->label, f->label, "label"));
    if (f->kto_tag.size) TRY(read_wanted(&tag, f->kto_tag, "kto_tag"));
    if (f->label.size && f->kto_tag.size && tag != r->label) return FAIL(ST_FORMAT, "fields label and kto_tag contradict each other");
    if (f->kto_tag.size) r->label = tag;
    return ST_OK;
}

bool source_steps_sniff(const struct fields *f) { return f->prompt.size && f->completions.size && f->labels.size; }

/* The steps are joined by line breaks, as TRL's process reward models separate them; the answer is wanted when every step is right. */
status source_steps_read(struct record *r, const struct fields *f) {
    const struct json lists[] = {f->completions, f->labels};
    for (size_t i = 0; i < 2; i++)
        if (json_kind_of(lists[i]) != JSON_ARRAY)
            return FAIL(ST_FORMAT, "field %s: expected a list, found %s", i ? "labels" : "completions",
                        json_kind_name(json_kind_of(lists[i])));
    if (json_count(f->completions) != json_count(f->labels) || !json_count(f->labels))
        return FAIL(ST_FORMAT, "fields completions, labels: %zu steps, %zu labels", json_count(f->completions), json_count(f->labels));
    r->kind = RECORD_SFT;
    TRY(field_put_text(&r->prompt, f->prompt, false, "prompt"));
    struct json_iter it = json_iter_begin(f->completions), labels = json_iter_begin(f->labels);
    struct json key, step, label;
    r->label = LABEL_DESIRED;
    for (size_t i = 0; json_iter_next(&it, &key, &step) && json_iter_next(&labels, &key, &label); i++) {
        char path[40];
        int wanted = LABEL_NONE;
        snprintf(path, sizeof path, "completions[%zu]", i);
        if (i) buf_append_char(&r->chosen, '\n');
        TRY(field_put_text(&r->chosen, step, false, path));
        snprintf(path, sizeof path, "labels[%zu]", i);
        TRY(read_wanted(&wanted, label, path));
        if (wanted != LABEL_DESIRED) r->label = LABEL_UNDESIRED;
    }
    return ST_OK;
}
