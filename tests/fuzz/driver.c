/* A plain main for the fuzz targets: runs each file given as an argument once, so that a corpus runs under any compiler. */
#include <stdio.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct buf b = {0};
        if (file_read(&b, argv[i]) != ST_OK) {
            fprintf(stderr, "%s\n", status_message());
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&b), b.size);
        buf_release(&b);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
