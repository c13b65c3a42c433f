/* The judges' prompts that are built in; prompts/README.md says where each is from. RAPT_PROMPTS_DIR comes from CMakeLists.txt. */
#include "base/embed.h"
#include "eval/bench_judge.h"

EMBED(alpaca_clf, RAPT_PROMPTS_DIR "/alpaca_eval_clf.txt");
EMBED(mt_prompts, RAPT_PROMPTS_DIR "/mt_bench.jsonl");
EMBED(arena_prompts, RAPT_PROMPTS_DIR "/arena_hard.yaml");

const char *bench_prompts_alpaca(void) { return EMBEDDED(alpaca_clf); }
const char *bench_prompts_mt(void) { return EMBEDDED(mt_prompts); }
const char *bench_prompts_arena(void) { return EMBEDDED(arena_prompts); }
