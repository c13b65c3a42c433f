/* support: what the program can do, as one Markdown page made from its own tables: docs/support.md (tools/docs.sh). */
#ifndef RAPT_CLI_SUPPORT_H
#define RAPT_CLI_SUPPORT_H

#include "base/buf.h"

/* Appends the page. goldens: the folder of golden files (tests/golden), which says what was compared with the originals; NULL leaves that
 * part out. ST_FORMAT for a golden that cannot be read. */
status support_put(struct buf *out, const char *goldens);

#endif
