/* jinja_filters: what the files of filters share; the table is searched by jinja_filter_find. */
#ifndef RAPT_TEXT_JINJA_FILTERS_H
#define RAPT_TEXT_JINJA_FILTERS_H

#include "text/jinja_value.h"

#define FILTER(name) \
    static status name(struct jrender *r, struct jvalue *out, struct jvalue v, const struct jvalue *args, const struct jcall *call)
#define UNUSED (void)r, (void)args, (void)call

extern const struct jfilter jinja_more_filters[];
extern const size_t jinja_more_count;

#endif
