/* Fuzz target: any bytes as a template, over a fixed conversation and small limits. A failure names a line and leaves the output alone. */
#include <stdlib.h>
#include <string.h>

#include "text/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char messages[] =
        "[{\"role\": \"system\", \"content\": \"S \\u00e9\"}, {\"role\": \"user\", \"content\": \" a\\nb\"}, "
        "{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}], \"n\": 1.5, \"z\": null}]";
    const struct jinja_var vars[] = {
        {"messages", {messages, sizeof messages - 1}}, {"bos_token", {"\"<s>\"", 5}}, {"n", {"-7", 2}}, {"t", {"true", 4}}};
    const struct jinja_limits limits = {.steps = 20000, .output_bytes = 1 << 16, .memory_bytes = 4 << 20, .now_s = 1700000000};
    struct jinja *t = NULL;
    struct buf out = {0};
    char *exact = malloc(size ? size : 1); /* exactly sized: a read past the end is seen */
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    buf_append_text(&out, "head");
    status s = jinja_compile(&t, exact, size);
    free(exact); /* a compiled template keeps nothing of its source */
    if (s == ST_OK) s = jinja_render(t, &out, vars, sizeof vars / sizeof vars[0], &limits);
    if (s != ST_OK) CHECK(strncmp(status_message(), "template", 8) == 0 || strncmp(status_message(), "a template", 10) == 0);
    CHECK(out.size >= 4 && memcmp(out.data, "head", 4) == 0 && (s == ST_OK || out.size == 4));
    jinja_free(t);
    buf_release(&out);
    return 0;
}
