/* Chat templates: what a render hands over, the system probe, and every real template among the shared data. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "text/chat.h"

#define CHATML                                                                                                     \
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}" \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

static struct json parsed(const char *text) {
    struct json v = {0};
    if (text) assert_int_equal(json_parse(&v, text, strlen(text)), ST_OK);
    return v;
}

/* The rendering, or "error: message". */
static char *rendered(const char *template, const char *messages, const char *tools, const char *kwargs, bool generate) {
    struct chat_template *c = NULL;
    struct buf out = {0};
    status s = chat_compile(&c, template, "<s>", "</s>");
    if (s == ST_OK) s = chat_render(c, &out, parsed(messages), parsed(tools), parsed(kwargs), generate);
    if (s != ST_OK) {
        buf_clear(&out);
        buf_printf(&out, "error: %s", status_message());
    }
    chat_free(c);
    buf_append(&out, "", 0);
    return out.data ? out.data : mem_text("");
}
static void expect_rendering(const char *template, const char *messages, const char *tools, const char *kwargs, bool generate,
                             const char *expected) {
    char *got = rendered(template, messages, tools, kwargs, generate);
    assert_string_equal(got, expected);
    free(got);
}

static void variables_are_handed_over(void **state) {
    (void)state;
    static const char hello[] = "[{\"role\": \"user\", \"content\": \"Hi \\u00e9\\n\"}]";
    expect_rendering(CHATML, hello, NULL, NULL, true, "<|im_start|>user\nHi \u00e9\n<|im_end|>\n<|im_start|>assistant\n");
    expect_rendering(CHATML, hello, NULL, NULL, false, "<|im_start|>user\nHi \u00e9\n<|im_end|>\n");
    expect_rendering("{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ documents is none }}", "[]", NULL, NULL, false,
                     "<s></s>TrueTrue");
    expect_rendering("{{ tools[0].name }}{{ x }}{{ bos_token }}", "[]", "[{\"name\": \"f\"}]", "{\"x\": 3, \"bos_token\": \"B\"}", false,
                     "f3B");
    expect_rendering("{{ messages[0] | tojson }}{{ messages[1] }}", "[{\"role\": \"user\", \"reasoning\": \"r\"}, {\"a\": 1}]", NULL, NULL,
                     false, "{\"thinking\": \"r\", \"role\": \"user\", \"reasoning\": \"r\", \"reasoning_content\": \"r\"}{'a': 1}");
    expect_rendering("{{ x is defined }}", "[]", NULL, NULL, false, "False");
    expect_rendering("x", "[]", NULL, "{\"messages\": []}", false, "error: messages is not a template variable that can be given");
    expect_rendering("x", "[]", NULL, "[1]", false, "error: template variables: expected an object, got an array");
    expect_rendering("x", "[]", NULL, "null", false, "x");
    expect_rendering("x", "{}", NULL, NULL, false, "error: messages: expected an array, got an object");
    expect_rendering("x", "[{}, 1]", NULL, NULL, false, "error: message 2: expected an object, got a number");
    expect_rendering("a\n{{ raise_exception('odd') }}", "[]", NULL, NULL, false,
                     "error: template line 2: the template refuses this conversation: odd");
    expect_rendering("a\n{% if %}", "[]", NULL, NULL, false, "error: template line 2: expected an expression, got end of statement block");
}

/* The texts of the assistant's spans with | between them, or "error: message". */
static void expect_assistant(const char *template, const char *messages, const char *expected) {
    struct chat_template *c = NULL;
    struct buf out = {0}, spans = {0}, got = {0};
    assert_int_equal(chat_compile(&c, template, "<s>", "</s>"), ST_OK);
    buf_append_text(&out, "before"); /* spans count from the rendering's beginning */
    status s = chat_render_assistant(c, &out, &spans, parsed(messages), parsed(NULL), parsed(NULL));
    const struct text_span *span = (const struct text_span *)(const void *)buf_text(&spans);
    for (size_t i = 0; s == ST_OK && i < spans.size / sizeof *span; i++) { /* texts are ASCII here: characters are bytes */
        if (i) buf_append_char(&got, '|');
        buf_append(&got, out.data + 6 + span[i].start, span[i].end - span[i].start);
    }
    if (s != ST_OK) buf_printf(&got, "error: %s", status_message());
    if (strncmp(buf_text(&got), expected, strlen(expected)) != 0) fail_msg("got '%s', expected '%s'", buf_text(&got), expected);
    if (s == ST_OK) assert_int_equal(got.size, strlen(expected));
    chat_free(c);
    buf_release(&out);
    buf_release(&spans);
    buf_release(&got);
}

static void the_assistants_turns_are_found(void **state) {
    (void)state;
#define USER(text) "{\"role\": \"user\", \"content\": \"" text "\"}"
#define BOT(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
    static const char talk[] = "[" USER("q") ", " BOT("a") ", " USER("r") ", " BOT("b") "]";
    expect_assistant(CHATML, talk, "a<|im_end|>\n|b<|im_end|>\n");
    expect_assistant(CHATML, "[" USER("q") "]", "");
    expect_assistant(CHATML, "[" BOT("") "]", "<|im_end|>\n");
    expect_assistant(CHATML, "[" USER("q") ", " BOT("a") ", " BOT("b") "]", "a<|im_end|>\n|b<|im_end|>\n");
    /* the end of text behind the last turn, whoever has it, as Phi-3 writes it: the assistant's where the turn is */
    static const char phi[] = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
                              "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}";
    expect_assistant(phi, talk, "a<|end|>|b<|end|></s>");
    expect_assistant(phi, "[" USER("q") ", " BOT("a") ", " USER("r") "]", "a<|end|>");
    /* the template's own word comes first */
    expect_assistant("{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}", talk, "q|a|r|b");
    /* history that is written otherwise, by length and by text */
    expect_assistant("{% for m in messages %}{{ m.role if loop.last else m.content }}{% endfor %}", talk,
                     "error: message 2: the chat template");
    expect_assistant("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}", talk,
                     "error: message 2: the chat template");
    expect_assistant("{% if messages | length < 2 %}{{ raise_exception('one') }}{% endif %}", talk, "error: ");
}

static void tokens_may_be_missing(void **state) {
    (void)state;
    struct chat_template *c = NULL;
    struct buf out = {0};
    assert_int_equal(chat_compile(&c, "[{{ bos_token }}{{ eos_token is defined }}]", NULL, NULL), ST_OK);
    assert_int_equal(chat_render(c, &out, parsed("[]"), parsed(NULL), parsed(NULL), true), ST_OK);
    assert_string_equal(buf_text(&out), "[False]");
    chat_free(c);
    buf_release(&out);
    assert_int_equal(chat_compile(&c, "x", "\xff", NULL), ST_FORMAT);
    assert_null(c);
}

static void system_is_probed(void **state) {
    (void)state;
    static const struct {
        const char *template;
        bool has;
    } cases[] = {
        {CHATML, true},
        {"{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}", false},
        {"{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", false},
        {"{% for m in messages if m.role != 'user' %}{{ m.content | upper }}{% endfor %}", false},
        {"{% if messages[0].role == 'system' %}<<{{ messages[0].content }}>>{% endif %}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chat_template *c = NULL;
        assert_int_equal(chat_compile(&c, cases[i].template, "<s>", "</s>"), ST_OK);
        assert_int_equal(chat_has_system(c), cases[i].has);
        chat_free(c);
    }
}

/* Every tokenizer_config.json of the shared data that has a template: it compiles and holds what the user and the assistant said. */
static void real_templates_render(void **state) {
    (void)state;
    static const char messages[] = "[{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"One?\"}, "
                                   "{\"role\": \"assistant\", \"content\": \"Two.\"}, {\"role\": \"user\", \"content\": \"Three?\"}]";
    const char *root = getenv("RAPT_SHARED_DATA");
    char *folder = file_join(root ? root : TEST_SOURCE_DIR "/../../shared/data", "tokenizers");
    DIR *dir = opendir(folder);
    size_t seen = 0;
    if (!dir) {
        print_message("no shared data: real templates are not tried\n");
        free(folder);
        skip();
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char *model = file_join(folder, e->d_name), *path = file_join(model, "tokenizer_config.json");
        struct buf text = {0}, out = {0};
        struct json config = {0};
        struct chat_template *c = NULL;
        char *template = NULL;
        if (e->d_name[0] != '.' && file_exists(path) && file_read(&text, path) == ST_OK &&
            json_parse(&config, text.data, text.size) == ST_OK) {
            template = json_text(json_get(config, "chat_template"));
        }
        if (template) {
            seen++;
            if (chat_compile(&c, template, "<s>", "</s>") != ST_OK) fail_msg("%s: %s", path, status_message());
            assert_true(chat_has_system(c));
            if (chat_render(c, &out, parsed(messages), parsed(NULL), parsed(NULL), true) != ST_OK)
                fail_msg("%s: %s", path, status_message());
            assert_non_null(strstr(buf_text(&out), "Be brief."));
            assert_non_null(strstr(buf_text(&out), "Two."));
            assert_non_null(strstr(strstr(buf_text(&out), "Three?"), "assistant"));
            chat_free(c);
        }
        free(template), free(model), free(path);
        buf_release(&text);
        buf_release(&out);
    }
    closedir(dir);
    free(folder);
    print_message("%zu real templates\n", seen);
    assert_true(seen > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_handed_over), cmocka_unit_test(the_assistants_turns_are_found),
        cmocka_unit_test(tokens_may_be_missing),     cmocka_unit_test(system_is_probed),
        cmocka_unit_test(real_templates_render),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
