/* Fuzz target: one line as a row of data, through the form that its fields choose. */
#include <stdlib.h>
#include <string.h>

#include "data/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct record record; /* reused as source_next does */
    char *exact = malloc(size ? size : 1);
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    struct json row;
    if (json_parse(&row, exact, size) == ST_OK && source_read_row(&record, row) == ST_OK) {
        sink = record.prompt.size + record.response_count + record_prompt_key(&record.prompt, record.conversational);
        sink += record_text_equal(&record.chosen, &record.rejected, record.conversational);
        sink += record_text_empty(&record.chosen, record.conversational);
    }
    record_clear(&record);
    free(exact);
    return 0;
}
