/* cli_attributes: the options of rapt augment that say what goals of several attributes are. */
#ifndef RAPT_CLI_CLI_ATTRIBUTES_H
#define RAPT_CLI_CLI_ATTRIBUTES_H

#include "base/opt.h"
#include "data/augment.h"

struct attribute_flags {
    struct opt_list names;
    const char *best;
};

/* The names go into the style; nothing where there are none. */
status cli_attributes_read(struct goal_style *style, const struct attribute_flags *f);
/* --score-range: "A,B" for all attributes, or NAME=A,B;NAME=A,B for some. Those not named stay as they are. */
status cli_attributes_scales(struct goal_style *style, const char *range);
/* The same into an empty style, whose attributes are then those that the text names; none of them for A,B. */
status cli_attributes_named_scales(struct goal_style *style, const char *range);
/* --score-from in the same forms; --score-range must have named the scale that an attribute is mapped to. */
status cli_attributes_from(double (*from)[2], const struct goal_style *style, const char *range);
/* Finds the scales that are not known yet in the data, then sets the best goal: each scale's upper end, but for those that --best names. */
status cli_attributes_finish(struct goal_style *style, const struct attribute_flags *f, const struct augment_options *o);

#endif
