#include "report/assets.h"

/* The assembler reads the files (RAPT_WEB_DIR and RAPT_CHART_JS come from CMakeLists.txt, which also rebuilds this file when one of them
 * changes): a 200 KB string literal would be beyond what ISO C promises, and a generated array of bytes is slow to compile. */
#define EMBED(name, file)                                                                                                                  \
    __asm__(".pushsection .rodata\n"                                                                                                       \
            ".hidden rapt_asset_" #name "\n.global rapt_asset_" #name "\nrapt_asset_" #name ":\n"                                          \
            ".incbin \"" file "\"\n"                                                                                                       \
            ".hidden rapt_asset_" #name "_end\n.global rapt_asset_" #name "_end\nrapt_asset_" #name "_end:\n.byte 0\n.popsection\n");      \
    extern const char rapt_asset_##name[], rapt_asset_##name##_end[]

EMBED(html, RAPT_WEB_DIR "/report.html");
EMBED(css, RAPT_WEB_DIR "/report.css");
EMBED(js, RAPT_WEB_DIR "/report.js");
EMBED(goals, RAPT_WEB_DIR "/report_goals.js");
EMBED(more, RAPT_WEB_DIR "/report_more.js");
EMBED(playground, RAPT_WEB_DIR "/playground.html");
EMBED(chart, RAPT_CHART_JS);

#define ASSET(name) ((struct asset){rapt_asset_##name, (size_t)(rapt_asset_##name##_end - rapt_asset_##name)})

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
