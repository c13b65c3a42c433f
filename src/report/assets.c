#include "report/assets.h"

#include "base/embed.h"

/* RAPT_WEB_DIR and RAPT_CHART_JS come from CMakeLists.txt, which also rebuilds this file when one of them changes. */
EMBED(html, RAPT_WEB_DIR "/report.html");
EMBED(css, RAPT_WEB_DIR "/report.css");
EMBED(js, RAPT_WEB_DIR "/report.js");
EMBED(goals, RAPT_WEB_DIR "/report_goals.js");
EMBED(more, RAPT_WEB_DIR "/report_more.js");
EMBED(playground, RAPT_WEB_DIR "/playground.html");
EMBED(chart, RAPT_CHART_JS);

#define ASSET(name) ((struct asset){EMBEDDED(name), EMBEDDED_SIZE(name)})

struct asset asset_get(enum asset_name name) {
    switch (name) {
    case ASSET_HTML: return ASSET(html);
    case ASSET_CSS: return ASSET(css);
    case ASSET_JS: return ASSET(js);
    case ASSET_GOALS: return ASSET(goals);
    case ASSET_MORE: return ASSET(more);
    case ASSET_PLAYGROUND: return ASSET(playground);
    case ASSET_CHART: break;
    }
    return ASSET(chart);
}
