/* assets: the files of web/ and Chart.js as bytes of the program. */
#ifndef RAPT_REPORT_ASSETS_H
#define RAPT_REPORT_ASSETS_H

#include <stddef.h>

struct asset {
    const char *data;
    size_t size;
};
enum asset_name { ASSET_HTML, ASSET_CSS, ASSET_JS, ASSET_GOALS, ASSET_MORE, ASSET_PLAYGROUND, ASSET_CHART };
struct asset asset_get(enum asset_name name);

#endif
