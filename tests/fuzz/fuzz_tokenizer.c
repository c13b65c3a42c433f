/* Fuzz target: any bytes as a tokenizer.json, a tokenizer.model or a GGUF file; what opens encodes and decodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/rapt-fuzz-tokenizer-%ld", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    struct tokenizer *t = NULL;
    if (tokenizer_open(&t, path) == ST_OK) {
        struct ids ids = {0};
        struct buf text = {0};
        static const char sample[] =
            "Hello <s> it's  12\n\n x\t\xef\xac\x81 \xef\xbc\x91\xe2\x96\x81\xe2\x96\x81 e\xcc\x81 \xf0\x9f\x98\x80   ";
        if (tokenizer_encode(t, &ids, sample, sizeof sample - 1, true) == ST_OK) tokenizer_decode(t, &text, ids.data, ids.count, true);
        for (int32_t i = 0; i < tokenizer_vocab_size(t) && i < 300; i++) tokenizer_piece(t, &text, i);
        tokenizer_describe(t, &text);
        ids_release(&ids);
        buf_release(&text);
        tokenizer_free(t);
    }
    unlink(path);
    return 0;
}
