/* What GGUF files name in tokenizer.ggml.pre (llama.cpp, src/llama-vocab.cpp). Where llama.cpp adapted an expression to its own matcher,
 * the one of the model's tokenizer.json stands here. */
#include "text/pretoken.h"

#define DIGIT "\\p{N}"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
/* GPT-4o: a word ends where a small letter meets a capital. */
#define CASED(upper, lower, ending, digits, marks)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" ending "|" digits \
    "| ?[^\\s\\p{L}\\p{N}]+" marks "|" PRETOKEN_BLANKS
#define HAN_FREE(class) "(?:(?!\\p{Han})" class ")"
#define HAN_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
/* DeepSeek V3's main expression; `marks`: what may follow punctuation, and how line ends are taken. */
#define DEEPSEEK3(marks)                                                                                                        \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" marks \
    "\\s+(?!\\S)|\\s+"
#define DEEPSEEK_CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
/* DeepSeek LLM's letters: the cased ones of its Unicode version. */
#define DEEPSEEK_LETTERS                                                                                                                   \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{"  \
    "376}"                                                                                                                                 \
    "\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-"       \
    "\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-"   \
    "\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}" \
    "-"                                                                                                                                    \
    "\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-"  \
    "\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-" \
    "\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"   \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-"  \
    "\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}" \
    "-"                                                                                                                                    \
    "\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"  \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define AFMOE_SCRIPTS                                                                                                                   \
    "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}\\x{ff65}-\\x{ff9f}\\x{2f00}-\\x{" \
    "2fdf}"                                                                                                                             \
    "\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}" \
    "\\x{1100}-\\x{11ff}]+"
#define YOUTU_SCRIPTS                                                                                                                  \
    "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}\\x{ff1b}\\x{" \
    "ff0c}"                                                                                                                            \
    "\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" HAN_KANA
#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
#define LINES "[^\\n]+|[\\n]+"
#define BLANKS_512                                                                                                              \
    "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|" \
    "\\s{1,2}(?!\\S)|\\s{1}"

const struct pretoken_row pretoken_table[] = {
    {"gpt-2,gpt2,phi-2,jina-es,jina-de,jina-v2-es,jina-v2-de,gigachat,a.x-4.0,mellum,modern-bert,exaone4,mpt,olmo,jais,trillion,"
     "granite-docling",
     {PRETOKEN_GPT2},
     NORMAL_NONE,
     0},
    {"jina-v1-en,jina-v2-code,roberta-bpe", {PRETOKEN_GPT2}, NORMAL_NONE, PRE_ADD_SEP},
    {"smollm,starcoder,refact,command-r,codeshell,exaone,minerva-7b,mellum2", {DIGIT, PRETOKEN_GPT2}, NORMAL_NONE, 0},
    {"llama-bpe,llama3,llama-v3,falcon3,falcon-h1,pixtral,midm-2.0,lfm2,jina-v5-nano",
     {PRETOKEN_LLAMA3("\\p{N}{1,3}")},
     NORMAL_NONE,
     PRE_IGNORE_MERGES | PRE_ADD_BOS},
    {"qwen2,deepseek-r1-qwen,kormo,f2llmv2,megrez,hunyuan,solar-open,stablelm2", {PRETOKEN_LLAMA3(DIGIT)}, NORMAL_NFC, 0},
    {"grok-2", {PRETOKEN_LLAMA3(DIGIT)}, NORMAL_NONE, 0},
    {"qwen35",
     {PRETOKEN_CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" PRETOKEN_BLANKS},
     NORMAL_NFC,
     0},
    {"dbrx,smaug-bpe,chatglm-bpe,glm4", {PRETOKEN_LLAMA3("\\p{N}{1,3}")}, NORMAL_NONE, 0},
    {"jais-2",
     {PRETOKEN_CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|" BLANKS_512},
     NORMAL_NONE,
     0},
    {"deepseek-llm",
     {"[\\r\\n]", "\\s?[" DEEPSEEK_LETTERS "]+",
      "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+", "\\s+$", DEEPSEEK_CJK, "\\p{N}+"},
     NORMAL_NONE,
     0},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, DIGIT}, NORMAL_NONE, 0},
    {"deepseek-v3,hunyuan-dense,joyai-llm,hy_v4", {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK3("[\\r\\n]*|\\s*[\\r\\n]+|")}, NORMAL_NONE, 0},
    {"spark2_5", {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK3("|[\\r\\n]|"), DIGIT}, NORMAL_NONE, 0},
    {"afmoe", {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", AFMOE_SCRIPTS, DEEPSEEK3("[\\r\\n]*|\\s*[\\r\\n]+|")}, NORMAL_NONE, 0},
    {"youtu", {YOUTU_SCRIPTS, CASED(UPPER, LOWER, PRETOKEN_CONTRACTION "?", DIGIT, "[\\r\\n/]*")}, NORMAL_NONE, PRE_IGNORE_MERGES},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", PRETOKEN_GPT2, "[0-9][0-9][0-9]"}, NORMAL_NONE, 0},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", PRETOKEN_GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, NORMAL_NONE, 0},
    {"poro-chat,bloom,gpt3-finnish", {BLOOM}, NORMAL_NONE, 0},
    {"viking", {BLOOM, DIGIT}, NORMAL_NONE, 0},
    {"tekken", {CASED(UPPER, LOWER, "", DIGIT, "[\\r\\n/]*")}, NORMAL_NONE, PRE_IGNORE_MERGES | PRE_ADD_BOS},
    {"chameleon",
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", DIGIT, "[\\p{P}!-/:-@\\[-`{-~]", PRETOKEN_GPT2},
     NORMAL_NONE,
     PRE_ADD_BOS},
    {"gpt-4o,llama4,kanana2,talkie,minimax-m2",
     {CASED(UPPER, LOWER, PRETOKEN_CONTRACTION "?", "\\p{N}{1,3}", "[\\r\\n/]*")},
     NORMAL_NONE,
     0},
    {"granite-embed-multi-97m",
     {CASED(UPPER, LOWER, PRETOKEN_CONTRACTION "?", "\\p{N}{1,3}", "[\\r\\n/]*")},
     NORMAL_NONE,
     PRE_IGNORE_MERGES},
    {"tiny_aya,cohere2moe",
     {"\\d{1,3}(?=(?:\\d{3})*\\b)", CASED(UPPER, LOWER, PRETOKEN_CONTRACTION "?", "\\p{N}{1,3}", "[\\r\\n/]*")},
     NORMAL_NONE,
     0},
    {"kimi-k2",
     {"\\p{Han}+|" CASED(HAN_FREE(UPPER), HAN_FREE(LOWER), PRETOKEN_CONTRACTION "?", "\\p{N}{1,3}", "[\\r\\n]*")},
     NORMAL_NONE,
     0},
    {"superbpe", {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}, NORMAL_NONE, 0},
    {"bailingmoe,bailingmoe2,llada-moe",
     {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"},
     NORMAL_NONE,
     0},
    {"seed-coder",
     {PRETOKEN_CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" PRETOKEN_BLANKS},
     NORMAL_NONE,
     0},
    {"ufakzeka", {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" PRETOKEN_BLANKS}, NORMAL_NONE, 0},
    {"laguna", {LINES, PRETOKEN_LLAMA3(DIGIT)}, NORMAL_NONE, 0},
    {"exaone-moe",
     {PRETOKEN_CONTRACTION
      "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|"
      "\\s+(?!\\S)|\\s+"},
     NORMAL_NONE,
     0},
    {"minicpm5", {"\\p{N}{1,3}", PRETOKEN_LLAMA3("\\p{N}+")}, NORMAL_NONE, PRE_IGNORE_MERGES},
    {"gemma4,granite-embed-multi-311m", {LINES}, NORMAL_NONE, PRE_CHARS | PRE_ESCAPE | PRE_LINES_WHOLE | PRE_ADD_BOS},
    {"sarvam-moe", {LINES}, NORMAL_NONE, PRE_CHARS | PRE_ESCAPE},
    {"whitespace", {"\\S+"}, NORMAL_NONE, PRE_CHARS},
};
const size_t pretoken_count = sizeof pretoken_table / sizeof pretoken_table[0];
