/* embed: files that are put into the program. */
#ifndef RAPT_BASE_EMBED_H
#define RAPT_BASE_EMBED_H

/* The assembler reads the file, and a zero byte goes behind it: a 200 KB string literal would be beyond what ISO C promises, and a
 * generated array of bytes is slow to compile. The build must know of the file (OBJECT_DEPENDS in CMakeLists.txt). */
#define EMBED(name, file)                                                                                                             \
    __asm__(".pushsection .rodata\n"                                                                                                  \
            ".hidden rapt_asset_" #name "\n.global rapt_asset_" #name "\nrapt_asset_" #name ":\n"                                     \
            ".incbin \"" file "\"\n"                                                                                                  \
            ".hidden rapt_asset_" #name "_end\n.global rapt_asset_" #name "_end\nrapt_asset_" #name "_end:\n.byte 0\n.popsection\n"); \
    extern const char rapt_asset_##name[], rapt_asset_##name##_end[]
#define EMBEDDED(name) rapt_asset_##name
#define EMBEDDED_SIZE(name) ((size_t)(rapt_asset_##name##_end - rapt_asset_##name))

#endif
