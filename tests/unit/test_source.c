#define _POSIX_C_SOURCE 200809L
/* Every form of row is read through its own example; TRL's prompt split; errors name file, line, field; skipped rows are kept aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/source.h"

static status read_text(struct record *r, const char *text) {
    struct json row;
    status s = json_parse(&row, text, strlen(text));
    return s == ST_OK ? source_read_row(r, row) : s;
}

static char path[] = "/tmp/rapt_source_XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void open_text(struct source *s, const char *text, enum source_bad_row on_bad_row) {
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    assert_int_equal(source_open(s, path, on_bad_row, path), ST_OK);
}

/* The text is `answer`, or one message that holds it. */
static void assert_answer(const struct record *r, const struct buf *text, const char *answer) {
    char message[128];
    snprintf(message, sizeof message, "[{\"role\":\"assistant\",\"content\":\"%s\"}]", answer);
    assert_string_equal(buf_text(text), r->conversational ? message : answer);
}

static void every_form_reads_its_example(void **state) {
    (void)state;
    struct record r = {0};
    for (size_t i = 0; i < source_form_count; i++) {
        struct source s;
        bool end;
        open_text(&s, source_form_table[i].example, SOURCE_STOP);
        assert_int_equal(source_next(&s, &r, &end), ST_OK);
        assert_false(end);
        assert_string_equal(r.form, source_form_table[i].name);
        if (r.kind == RECORD_RESPONSES) {
            assert_int_equal(r.response_count, 2);
            assert_answer(&r, &r.responses[0].text, "a");
            assert_answer(&r, &r.responses[1].text, "b");
            assert_true(r.responses[0].score > r.responses[1].score);
        }
        if (r.kind == RECORD_PAIR && !r.prompt_ids.size) {
            if (!r.conversational) assert_string_equal(buf_text(&r.prompt), "q");
            assert_answer(&r, &r.chosen, "a");
            assert_answer(&r, &r.rejected, "b");
            const bool unscored = strcmp(r.form, "preference") == 0 || strcmp(r.form, "sharegpt") == 0;
            assert_true(unscored ? isnan(r.score_chosen) && isnan(r.score_rejected) : r.score_chosen > r.score_rejected);
        }
        assert_int_equal(source_next(&s, &r, &end), ST_OK);
        assert_true(end);
        source_release(&s);
    }
    record_release(&r);
}

static void splits_as_trl(void **state) {
    (void)state;
    static const struct {
        const char *row, *prompt, *chosen, *rejected;
    } cases[] = {
        {"{\"chosen\":\"The sky is blue.\",\"rejected\":\"The sky is green.\"}", "The sky is", " blue.", " green."},
        {"{\"chosen\":\"ab\",\"rejected\":\"abc\"}", "a", "b", "bc"},
        {"{\"chosen\":\"q\xc3\xa9\",\"rejected\":\"q\xc3\xa8\"}", "q", "\xc3\xa9", "\xc3\xa8"},
        {"{\"chosen\":[{\"role\":\"user\",\"content\":\"x\"}, {\"role\":\"assistant\",\"content\":\"1\"}],"
         "\"rejected\":[{\"content\":\"\\u0078\",\"role\":\"user\"},{\"role\":\"assistant\",\"content\":\"2\"}]}",
         "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"role\":\"assistant\",\"content\":\"1\"}]",
         "[{\"role\":\"assistant\",\"content\":\"2\"}]"},
        {"{\"prompt\":\"x\",\"chosen\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
         "\"rejected\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"1\"}]}",
         "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"role\":\"assistant\",\"content\":\"1\"}]",
         "[{\"role\":\"assistant\",\"content\":\"1\"}]"},
    };
    struct record r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(&r, cases[i].row), ST_OK);
        assert_string_equal(buf_text(&r.prompt), cases[i].prompt);
        assert_string_equal(buf_text(&r.chosen), cases[i].chosen);
        assert_string_equal(buf_text(&r.rejected), cases[i].rejected);
    }
    assert_int_equal(record_text_equal(&r.chosen, &r.rejected, true), 1);
    record_release(&r);
}

static void reads_scores_where_they_are(void **state) {
    (void)state;
    struct record r = {0};
    assert_int_equal(
        read_text(&r, "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"metadata\":{\"score_chosen\":7.5,\"score_rejected\":\"3\"},"
                      "\"goal\":3,\"goal_of\":\"rejected\",\"source_row\":12}"),
        ST_OK);
    assert_true(r.score_chosen == 7.5 && r.score_rejected == 3 && r.goal == 3 && r.goal_of == GOAL_OF_REJECTED && r.source_row == 12);
    assert_int_equal(read_text(&r, "{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":8.5,\"annotations\":"
                                   "{\"honesty\":{\"Rating\":\"4\"},\"truthfulness\":{\"Rating\":\"5\"}}},"
                                   "{\"response\":\"b\",\"overall_score\":2,\"annotations\":{\"honesty\":{\"Rating\":\"N/A\"}}}]}"),
                     ST_OK);
    assert_true(r.responses[0].score == 8.5 && r.responses[0].fine_mean == 4.5 && !r.responses[0].has_na);
    assert_true(r.responses[1].has_na && isnan(r.responses[1].fine_mean));
    record_release(&r);
}

static void reads_labels(void **state) {
    (void)state;
    struct record r = {0};
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":true}"), ST_OK);
    assert_true(r.kind == RECORD_SFT && r.label == LABEL_DESIRED);
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":0}"), ST_OK);
    assert_true(r.label == LABEL_UNDESIRED);
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":null}"), ST_OK);
    assert_true(r.label == LABEL_NONE);
    assert_int_equal(
        read_text(&r,
                  "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"kto_tag\":false}"),
        ST_OK);
    assert_true(r.kind == RECORD_SFT && r.label == LABEL_UNDESIRED);
    record_release(&r);
}

#define TURN(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define BOTH(q, a) "[" TURN("user", q) "," TURN("assistant", a) "]"

/* Rows as the data sets have them, with the columns that nobody reads. */
static const struct {
    const char *row, *form;
    enum record_kind kind;
    bool conversational;
    double chosen, rejected; /* scores; of K responses the first and the last; -1: none */
    const char *answer;      /* chosen, or the first response */
    int label;
} data_sets[] = {
    {"{\"source\":\"evol_instruct\",\"instruction\":\"q\",\"models\":[\"x\",\"y\"],\"completions\":[{\"annotations\":{\"helpfulness\":{"
     "\"Rating\":\"4\",\"Type\":[\"1\"]},"
     "\"honesty\":{\"Rating\":\"N/"
     "A\"}},\"critique\":\"c\",\"custom_system_prompt\":\"s\",\"fine-grained_score\":4.0,\"model\":\"x\",\"overall_score\":7.5,"
     "\"response\":\"a\"},"
     "{\"annotations\":{},\"overall_score\":3,\"response\":\"b\"}],\"correct_answers\":[\"None\"],\"incorrect_answers\":[\"None\"]}",
     "ultrafeedback", RECORD_RESPONSES, false, 7.5, 3, "a", LABEL_NONE},
    {"{\"prompt\":\"q\",\"prompt_id\":\"00f\",\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") ",\"messages\":" BOTH(
         "q", "a") ",\"score_chosen\":9.0,\"score_rejected\":6.5}",
     "pair", RECORD_PAIR, true, 9, 6.5, "a", LABEL_NONE}, /* H4 */
    {"{\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") ",\"score_chosen\":9.0,\"score_rejected\":6.5}", "pair", RECORD_PAIR,
     true, 9, 6.5, "a", LABEL_NONE}, /* trl-lib */
    {"{\"prompt\":\"q\",\"prompt_id\":\"0\",\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") ",\"messages\":" BOTH(
         "q", "a") ",\"overall_score_chosen\":8.0,\"overall_score_rejected\":5.0,"
                   "\"fine_grain_score_chosen\":[5,4,5,5],\"fine_grain_score_rejected\":[2,2,2,2],\"avg_fine_score_chosen\":4.75,\"avg_"
                   "fine_score_rejected\":2.0}",
     "pair", RECORD_PAIR, true, 8, 5, "a", LABEL_NONE}, /* the paper's */
    {"{\"source\":\"s\",\"instruction\":\"q\",\"chosen_response\":\"a\",\"rejected_response\":\"b\",\"chosen_avg_rating\":5.0,"
     "\"rejected_avg_rating\":3.25,\"chosen_model\":\"m\"}",
     "argilla", RECORD_PAIR, false, 5, 3.25, "a", LABEL_NONE},
    {"{\"source\":\"s\",\"prompt\":\"q\",\"chosen\":" BOTH("q", "a") ",\"chosen-rating\":5.0,\"chosen-model\":\"m\",\"rejected\":" BOTH(
         "q", "b") ",\"rejected-rating\":4.5,\"rejected-model\":\"n\"}",
     "pair", RECORD_PAIR, true, 5, 4.5, "a", LABEL_NONE}, /* -cleaned */
    {"{\"prompt\":\"q\",\"response\":\"a\",\"helpfulness\":3,\"correctness\":4,\"coherence\":4,\"complexity\":1,\"verbosity\":1}",
     "helpsteer", RECORD_RESPONSES, true, 3, 3, "a", LABEL_NONE},
    {"{\"split\":\"train\",\"prompt\":\"q\",\"response_1\":\"a\",\"response_2\":\"b\",\"preference_strength\":-1,\"preference_"
     "statement\":\"1 is better\",\"preference_elaboration\":\"e\","
     "\"three_most_similar_preferences\":[{\"strength\":-1}],\"all_preferences_unprocessed\":[]}",
     "preference", RECORD_PAIR, true, -1, -1, "a", LABEL_NONE},
    {"{\"prompt\":\"\\n\\nHuman: q\\n\\nAssistant: "
     "\",\"answers\":[{\"answer\":\"a\",\"model\":\"m\",\"rank\":1.0},{\"answer\":\"b\",\"model\":\"n\",\"rank\":2.0}],\"turns\":1,"
     "\"num_responses\":2,"
     "\"source\":[\"x\"],\"good_natured\":true}",
     "nectar", RECORD_RESPONSES, true, 10, 1, "a", LABEL_NONE},
    {"{\"context_messages\":[" TURN("user", "q") "],\"id\":\"1\"}", "prompt", RECORD_PROMPT, true, -1, -1, NULL, LABEL_NONE}, /* RLHFlow */
    {"{\"prompt\":\"q\",\"responses\":[\"a\",\"b\"],\"rewards\":[0.25,-1.5]}", "responses", RECORD_RESPONSES, false, 0.25, -1.5, "a",
     LABEL_NONE},
    {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"margin\":2.5}", "pair", RECORD_PAIR, false, -1, -1, "a", LABEL_NONE},
    {"{\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") ",\"chosen_score\":5.0,\"rejected_score\":1}", "pair", RECORD_PAIR, true,
     5, 1, "a", LABEL_NONE}, /* preference_700K */
    {"{\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") ",\"source\":\"magpie_ultra\"}", "pair", RECORD_PAIR, true, -1, -1, "a",
     LABEL_NONE}, /* Skywork */
    {"{\"prompt_id\":\"7\",\"prompt\":\"q\",\"all_generated_responses\":[\"a\",\"c\",\"b\"],\"all_rm_scores\":[0.17,0.15,0.13],"
     "\"chosen\":" BOTH("q", "a") ",\"rejected\":" BOTH("q", "b") "}",
     "best-of", RECORD_RESPONSES, false, 0.17, 0.13, "a", LABEL_NONE}, /* princeton-nlp */
    {"{\"prompt\":\"q\",\"completion\":\"a\",\"label\":false}", "completion", RECORD_SFT, false, -1, -1, "a", LABEL_UNDESIRED},
    {"{\"prompt\":[" TURN("user", "q") "],\"completion\":[" TURN("assistant", "a") "],\"label\":true,\"chat_template_kwargs\":{\"x\":1}}",
     "completion", RECORD_SFT, true, -1, -1, "a", LABEL_DESIRED},
    {"{\"prompt\":\"q\",\"completions\":[\"a\",\" b\"],\"labels\":[true,false]}", "steps", RECORD_SFT, false, -1, -1, "a\n b",
     LABEL_UNDESIRED},
    {"{\"prompt\":\"q\",\"completions\":[\"a\"],\"labels\":[1]}", "steps", RECORD_SFT, false, -1, -1, "a", LABEL_DESIRED},
    {"{\"text\":\"a\"}", "text", RECORD_SFT, false, -1, -1, "a", LABEL_NONE},
    {"{\"messages\":" BOTH("q", "a") ",\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\",\"images\":[]}", "messages", RECORD_SFT, true, -1, -1, "a",
     LABEL_NONE},
    {"{\"instruction\":\"q\",\"input\":\"i\",\"chosen\":\"a\",\"rejected\":\"b\"}", "alpaca", RECORD_PAIR, false, -1, -1, "a",
     LABEL_NONE}, /* LLaMA-Factory */
    {"{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\",\"kto_tag\":true}", "instruction", RECORD_SFT, false, -1, -1, "a",
     LABEL_DESIRED},
    {"{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"a\"},\"rejected\":{\"from\":"
     "\"gpt\",\"value\":\"b\"},\"system\":\"s\",\"tools\":\"\"}",
     "sharegpt", RECORD_PAIR, true, -1, -1, "a", LABEL_NONE},
    {"{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"kto_tag\":false}", "conversation",
     RECORD_SFT, true, -1, -1, "a", LABEL_UNDESIRED},
    {"{\"messages\":" BOTH("q", "a") ",\"label\":true}", "messages", RECORD_SFT, true, -1, -1, "a", LABEL_DESIRED},
    {"{\"system\":\"s\",\"question\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", "alpaca", RECORD_PAIR, true, -1, -1, "a",
     LABEL_NONE},                                                                                                     /* Axolotl: intel */
    {"{\"input\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", "alpaca", RECORD_PAIR, false, -1, -1, "a", LABEL_NONE}, /* icr */
    {"{\"system\":\"\",\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", "pair", RECORD_PAIR, true, -1, -1, "a",
     LABEL_NONE}, /* prompt_pairs */
    {"{\"system\":\"s\",\"instruction\":\"q\",\"chosen_response\":\"a\",\"rejected_response\":\"b\"}", "argilla", RECORD_PAIR, true, -1, -1,
     "a", LABEL_NONE},
};

static void reads_the_data_sets(void **state) {
    (void)state;
    struct record r = {0};
    for (size_t i = 0; i < sizeof data_sets / sizeof data_sets[0]; i++) {
        if (read_text(&r, data_sets[i].row) != ST_OK) fail_msg("case %zu: %s", i, status_message());
        const bool many = r.kind == RECORD_RESPONSES;
        if (strcmp(r.form, data_sets[i].form) != 0) fail_msg("case %zu: read as %s", i, r.form);
        assert_int_equal(r.kind, data_sets[i].kind);
        assert_int_equal(r.label, data_sets[i].label);
        assert_int_equal(r.conversational, data_sets[i].conversational);
        if (data_sets[i].answer) assert_answer(&r, many ? &r.responses[0].text : &r.chosen, data_sets[i].answer);
        if (r.kind == RECORD_PAIR) assert_answer(&r, &r.rejected, "b");
        const double w = many ? r.responses[0].score : r.score_chosen,
                     l = many ? r.responses[r.response_count - 1].score : r.score_rejected;
        assert_true(data_sets[i].chosen == -1 ? isnan(w) && isnan(l) : w == data_sets[i].chosen && l == data_sets[i].rejected);
    }
    assert_int_equal(read_text(&r, "{\"messages\":" BOTH("q", "a") ",\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\"}"), ST_OK);
    assert_true(r.tools.size == 14 && memcmp(r.tools.text, "[{\"name\":\"f\"}]", 14) == 0);
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"images\":[{}]}"), ST_UNSUPPORTED);
    assert_non_null(strstr(status_message(), "field images: the row belongs to an image"));
    assert_int_equal(read_text(&r, "{\"instruction\":\"q\",\"context\":\"c\",\"response\":\"a\"}"), ST_UNSUPPORTED);
    assert_non_null(strstr(status_message(), "--field input=context"));
    record_release(&r);
}

static void columns_stand_for_fields(void **state) {
    (void)state;
    struct source_map map = {0};
    struct record r = {0};
    struct source s;
    bool end;
    assert_int_equal(source_map_add(&map, "prompt=ask me"), ST_OK);
    assert_int_equal(source_map_add(&map, "chosen=better"), ST_OK);
    assert_int_equal(source_map_add(&map, "score_chosen=a=b"), ST_OK);
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"prompt", "expects NAME=COLUMN"},  {"=x", "expects NAME=COLUMN"},
        {"prompt=", "expects NAME=COLUMN"}, {"prompt=y", "given twice"},
        {"rejected=better", "given twice"}, {"promt=x", "no form of rows has a field of that name; the names are: prompt, chosen, "},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(source_map_add(&map, wrong[i].text), ST_USAGE);
        assert_non_null(strstr(status_message(), wrong[i].message));
    }
    open_text(&s,
              "{\"ask "
              "me\":\"q\",\"prompt\":5,\"better\":\"a\",\"rejected\":\"b\",\"a=b\":\"7\",\"score_rejected\":2,\"chosen_score\":1,\"k\":0}\n"
              "{\"prompt\":\"q\",\"better\":\"a\",\"rejected\":\"b\",\"a=b\":7}\n",
              SOURCE_STOP);
    s.map = &map;
    assert_int_equal(source_next(&s, &r, &end), ST_OK);
    assert_string_equal(buf_text(&r.prompt), "q");
    assert_answer(&r, &r.chosen, "a");
    assert_true(r.score_chosen == 7 && r.score_rejected == 2);
    static const char *const consumed[] = {"\"ask me\"",   "\"prompt\"", "\"better\"",       "\"chosen\"",
                                           "\"rejected\"", "\"a=b\"",    "\"score_chosen\"", "\"chosen_score\""};
    for (size_t i = 0; i < sizeof consumed / sizeof consumed[0]; i++)
        assert_true(source_field_consumed(&r, (struct json){consumed[i], strlen(consumed[i])}, false));
    assert_false(source_field_consumed(&r, (struct json){"\"k\"", 3}, false));
    assert_int_equal(source_next(&s, &r, &end), ST_FORMAT);
    assert_non_null(strstr(status_message(), ":2: field ask me: missing; --field prompt=ask me asks for it"));
    source_release(&s);
    record_release(&r);
}

static void errors_name_the_field(void **state) {
    (void)state;
    static const struct {
        const char *row, *message;
    } cases[] = {
        {"[1]", "expected an object, found an array"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":5}", "field rejected: expected a string as in chosen, found a number"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":\"high\"}",
         "field score_chosen: expected a finite number, found \"high\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "field messages[0].content: expected a string, found a number"},
        {"{\"messages\":[{\"content\":\"x\"}]}", "field messages[0].role: expected a string, found nothing"},
        {"{\"chosen\":\"a\",\"rejected\":\"b\"}", "they share no beginning"},
        {"{\"prompt\":\"q\",\"responses\":[\"a\",\"b\"],\"scores\":[1]}", "2 responses, 1 scores"},
        {"{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\",\"overall_score\":true}]}", "field completions[0].overall_score"},
        {"{\"words\":\"q\"}", "fields of no known form (words); expected one of:"},
        {"{\"text\":[\"q\"]}", "field text: expected a string, found an array"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_chosen\":8,\"overall_score_chosen\":7}",
         "fields score_chosen and overall_score_chosen hold different scores, 8 and 7; say which is meant: --field "
         "score_chosen=score_chosen"},
        {"{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"chosen-rating\":\"five\"}",
         "field chosen-rating: expected a finite number, found \"five\""},
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"output\":\"b\"}", "fields completion and output differ, and both could be the answer"},
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"label\":true,\"kto_tag\":false}", "fields label and kto_tag contradict each other"},
        {"{\"instruction\":\"q\",\"question\":\"p\",\"output\":\"a\"}", "fields instruction and question: both could be the prompt"},
        {"{\"prompt\":\"q\",\"instruction\":\"p\",\"chosen_response\":\"a\",\"rejected_response\":\"b\"}",
         "fields prompt and instruction differ"},
        {"{\"prompt\":\"q\",\"completions\":[\"a\"],\"labels\":[]}", "1 steps, 0 labels"},
        {"{\"prompt\":\"q\",\"completions\":[\"a\",5],\"labels\":[true,true]}", "field completions[1]: expected a string, found a number"},
        {"{\"prompt\":\"q\",\"completions\":[\"a\"],\"labels\":[\"+\"]}", "field labels[0]: expected true or false, found \"+\""},
        {"{\"conversations\":[{\"from\":\"bot\",\"value\":\"q\"}]}", "field conversations[0].from: expected human, gpt"},
        {"{\"conversations\":[{\"from\":\"gpt\",\"value\":\"a\"}]}", "field conversations: an answer without a question"},
        {"{\"conversations\":[]}", "field conversations: the list is empty"},
        {"{\"conversations\":[{\"from\":\"system\",\"value\":\"a\"},{\"from\":\"human\",\"value\":\"a\"}],\"system\":\"b\"}",
         "fields system and conversations[0]: two system texts"},
        {"{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\"},\"rejected\":{}}",
         "field chosen.value: expected a string, found nothing"},
        {"{\"prompt\":\"q\",\"tools\":\"none\"}",
         "field tools: expected a list of tools, or a string of JSON that holds one, found \"none\""},
        {"{\"instruction\":\"q\",\"history\":[[\"a\"]],\"output\":\"b\"}", "field history[0]: expected [question, answer]"},
        {"{\"instruction\":\"q\",\"history\":[[\"a\",1]],\"output\":\"b\"}", "field history[0][1]: expected a string, found a number"},
        {"{\"prompt\":\"q\",\"response\":\"a\",\"helpfulness\":\"high\"}",
         "field helpfulness: expected a finite number, found \"high\"; expected {prompt, response, helpfulness}"},
        {"{\"prompt\":\"q\",\"response\":7,\"helpfulness\":1}", "field response: expected a string, found a number"},
        {"{\"prompt\":[\"q\"],\"response\":\"a\",\"helpfulness\":1}", "field prompt: expected a string, found an array"},
        {"{\"prompt\":\"q\",\"answers\":{}}", "field answers: expected a list, found an object"},
        {"{\"prompt\":\"q\",\"answers\":[7]}", "field answers[0]: expected an object, found a number"},
        {"{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":1},{\"rank\":2}]}",
         "field answers[1].answer: expected a string, found nothing"},
        {"{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":2}]}",
         "field answers[0].rank: expected a rank of 1 to 1 answers, found 2"},
        {"{\"prompt\":\"q\",\"response_1\":\"a\",\"response_2\":\"b\",\"preference_strength\":0}",
         "field preference_strength: expected a number above 0 (response_2) or below (response_1), found 0"},
        {"{\"instruction\":7,\"chosen\":\"a\",\"rejected\":\"b\"}", "field instruction: expected a string, found a number"},
        {"{\"instruction\":\"q\",\"system\":[],\"chosen\":\"a\",\"rejected\":\"b\"}", "field system: expected a string, found an array"},
        {"{\"context_messages\":[{\"role\":1}]}", "field context_messages[0].role: expected a string, found a number"},
        {"{\"prompt\":\"q\",\"completion\":\"a\",\"label\":\"good\"}", "field label: expected true or false, found \"good\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"kto_tag\":2}",
         "field kto_tag: expected true or false, found 2"},
        {"{\"prompt_ids\":[1,-2],\"chosen_ids\":[],\"rejected_ids\":[]}", "field prompt_ids[1]: expected a token id, found -2"},
    };
    struct record r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(&r, cases[i].row), ST_FORMAT);
        if (!strstr(status_message(), cases[i].message)) fail_msg("case %zu: %s", i, status_message());
    }
    record_release(&r);
}

static void skips_and_keeps_bad_rows(void **state) {
    (void)state;
    const char *text = "{\"prompt\":\"1\"}\n\n{broken\n{\"prompt\":\"2\"}\r\n";
    assert_int_equal(file_write(path, text, strlen(text)), ST_OK);
    struct source s;
    struct record r = {0};
    bool end;
    assert_int_equal(source_open(&s, path, SOURCE_STOP, NULL), ST_OK);
    assert_int_equal(source_next(&s, &r, &end), ST_OK);
    assert_int_equal(source_next(&s, &r, &end), ST_FORMAT);
    assert_non_null(strstr(status_message(), ":3: byte 2: expected a key in quotes"));
    source_release(&s);
    assert_int_equal(source_open(&s, path, SOURCE_SKIP, path), ST_OK);
    size_t rows = 0;
    while (source_next(&s, &r, &end) == ST_OK && !end) rows++;
    assert_true(end && rows == 2 && s.skipped_count == 1 && r.index == 2);
    assert_int_equal(source_commit(&s), ST_OK);
    struct buf name = {0}, kept = {0};
    buf_printf(&name, "%s.rejected.jsonl", path);
    assert_int_equal(file_read(&kept, name.data), ST_OK);
    assert_string_equal(buf_text(&kept), "{broken\n");
    source_release(&s);
    unlink(name.data);
    buf_release(&name);
    buf_release(&kept);
    record_release(&r);
}

#define STEER(prompt, response, score) "{\"prompt\":\"" prompt "\",\"response\":\"" response "\",\"helpfulness\":" score "}\n"

/* HelpSteer2: adjacent rows of one prompt are one record; rows of other prompts and forms, broken rows and blank lines stand between. */
static void adjacent_rows_are_one_record(void **state) {
    (void)state;
    struct source s;
    struct record r = {0};
    bool end;
    open_text(&s,
              STEER("q1", "a", "3") "\n" STEER("q\\u0031", "b", "4")
                  STEER("q2", "c", "0") "{\"prompt\":\"q2\"}\n" STEER("q2", "d", "1") "{broken\n" STEER("q2", "e", "2")
                      STEER("q3", "f", "\"?\"") STEER("q3", "g", "1") STEER("q3", "h", "2") STEER("q3", "i", "3"),
              SOURCE_SKIP);
    static const struct {
        uint64_t line, index;
        size_t responses;
        const char *first;
        double last_score;
    } want[] = {
        {1, 0, 2, "a", 4}, {4, 2, 1, "c", 0}, {5, 3, 0, NULL, 0}, {6, 4, 1, "d", 1}, {8, 6, 1, "e", 2}, {10, 8, 3, "g", 3},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(source_next(&s, &r, &end), ST_OK);
        assert_false(end);
        assert_true(r.line == want[i].line && r.index == want[i].index);
        assert_int_equal(r.response_count, want[i].responses);
        if (!want[i].first) continue;
        assert_answer(&r, &r.responses[0].text, want[i].first);
        assert_true(r.responses[r.response_count - 1].score == want[i].last_score);
        assert_int_equal(json_kind_of(json_get(r.row, "prompt")), JSON_STRING); /* its spans outlive the rows read behind it */
    }
    assert_int_equal(source_reject(&s, &r, FAIL(ST_FORMAT, "no use")), ST_OK);
    assert_int_equal(source_next(&s, &r, &end), ST_OK);
    assert_true(end && s.row_count == 11 && s.skipped_count == 5);
    assert_int_equal(source_commit(&s), ST_OK);
    struct buf name = {0}, kept = {0};
    buf_printf(&name, "%s.rejected.jsonl", path);
    assert_int_equal(file_read(&kept, name.data), ST_OK);
    assert_string_equal(buf_text(&kept),
                        "{broken\n" STEER("q3", "f", "\"?\"") STEER("q3", "g", "1") STEER("q3", "h", "2") STEER("q3", "i", "3"));
    source_release(&s);
    unlink(name.data);
    /* the second row's error names its own line */
    open_text(&s, STEER("q1", "a", "3") STEER("q1", "b", "\"?\""), SOURCE_STOP);
    assert_int_equal(source_next(&s, &r, &end), ST_OK);
    assert_int_equal(r.response_count, 1);
    assert_int_equal(source_next(&s, &r, &end), ST_FORMAT);
    assert_non_null(strstr(status_message(), ":2: field helpfulness: expected a finite number"));
    source_release(&s);
    buf_release(&name);
    buf_release(&kept);
    record_release(&r);
}

static void reads_turns_from_text(void **state) {
    (void)state;
    static const struct {
        const char *row, *prompt;
    } cases[] = {
        {"{\"prompt\":\"\\n\\nHuman: hi\\n\\nAssistant: yes\\n\\nHuman:two \\\"x\\\"\\n\\nline\\n\\nAssistant: \",\"answers\":[]}",
         "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"yes\"},{\"role\":\"user\",\"content\":\"two "
         "\\\"x\\\"\\n\\nline\"}]"},
        {"{\"prompt\":\"\\n\\nHuman: hi\",\"answers\":[]}", "[{\"role\":\"user\",\"content\":\"hi\"}]"},
        {"{\"prompt\":\"hi \\n\\nHuman: x\",\"answers\":[]}", "hi \n\nHuman: x"},
        {"{\"prompt\":\"\",\"answers\":[]}", ""},
        {"{\"prompt\":\"c#\\n<extra_id_1>Assistant\\n yes\\n<extra_id_1>User\\nand?\",\"response\":\"a\",\"helpfulness\":1}",
         "[{\"role\":\"user\",\"content\":\"c#\"},{\"role\":\"assistant\",\"content\":\" yes\"},{\"role\":\"user\",\"content\":\"and?\"}]"},
        {"{\"prompt\":\"<extra_id_1>User\",\"response\":\"a\",\"helpfulness\":1}",
         "[{\"role\":\"user\",\"content\":\"<extra_id_1>User\"}]"},
        {"{\"prompt\":\"\",\"response\":\"a\",\"helpfulness\":1}", "[{\"role\":\"user\",\"content\":\"\"}]"},
        {"{\"instruction\":\"do\",\"input\":\"this\",\"chosen\":\"a\",\"rejected\":\"b\"}", "do\nthis"},
        {"{\"input\":\"this\",\"chosen\":\"a\",\"rejected\":\"b\"}", "this"},
        {"{\"question\":\"why\",\"system\":\"be \\u0022kind\\u0022\",\"chosen\":\"a\",\"rejected\":\"b\"}",
         "[{\"role\":\"system\",\"content\":\"be \\\"kind\\\"\"},{\"role\":\"user\",\"content\":\"why\"}]"},
        {"{\"question\":\"why\",\"system\":\"\",\"chosen\":\"a\",\"rejected\":\"b\"}", "[{\"role\":\"user\",\"content\":\"why\"}]"},
        {"{\"instruction\":\"q2\",\"input\":\"\",\"history\":[[\"q1\",\"a1\"]],\"chosen\":\"a\",\"rejected\":\"b\"}",
         "[{\"role\":\"user\",\"content\":\"q1\"},{\"role\":\"assistant\",\"content\":\"a1\"},{\"role\":\"user\",\"content\":\"q2\"}]"},
        {"{\"instruction\":\"q2\",\"input\":\"x\",\"output\":\"a\",\"system\":\"s\",\"history\":[]}",
         "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q2\\nx\"}]"},
        {"{\"system\":\"s\",\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
         "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"}]"},
        {"{\"conversations\":[{\"from\":\"human\",\"value\":\"q1\"},{\"from\":\"gpt\",\"value\":\"a1\"},{\"from\":\"human\",\"value\":"
         "\"q2\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"system\":\"s\"}",
         "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q1\"},{\"role\":\"assistant\",\"content\":\"a1\"},{"
         "\"role\":\"user\",\"content\":\"q2\"}]"},
        {"{\"conversations\":[{\"from\":\"human\",\"value\":\"q1\"}]}", "[{\"role\":\"user\",\"content\":\"q1\"}]"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"q1\"}],\"chosen\":{\"role\":\"assistant\",\"content\":\"a\"},\"rejected\":{"
         "\"role\":\"assistant\",\"content\":\"b\"}}",
         "[{\"role\":\"user\",\"content\":\"q1\"}]"},
        {"{\"context_messages\":[{\"role\":\"user\",\"content\":\"c\"}]}", "[{\"role\":\"user\",\"content\":\"c\"}]"},
    };
    struct record r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_text(&r, cases[i].row), ST_OK);
        assert_string_equal(buf_text(&r.prompt), cases[i].prompt);
        assert_true(r.conversational == (cases[i].prompt[0] == '['));
    }
    record_release(&r);
}

static void ranks_become_scores(void **state) {
    (void)state;
    struct record r = {0};
    assert_int_equal(
        read_text(
            &r,
            "{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":7.0},{\"answer\":\"b\",\"rank\":1},{\"answer\":\"c\",\"rank\":2},"
            "{\"answer\":\"d\",\"rank\":2.5},{\"answer\":\"e\"},{\"answer\":\"f\",\"rank\":4},{\"answer\":\"g\",\"rank\":6}]}"),
        ST_OK);
    static const double want[] = {1, 10, 8.5, 7.75, -1, 5.5, 2.5};
    assert_int_equal(r.response_count, 7);
    for (size_t i = 0; i < 7; i++) assert_true(want[i] < 0 ? isnan(r.responses[i].score) : r.responses[i].score == want[i]);
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":1}]}"), ST_OK);
    assert_true(isnan(r.responses[0].score)); /* a rank among one says nothing */
    assert_int_equal(
        read_text(
            &r,
            "{\"prompt\":\"q\",\"answers\":[{\"answer\":\"a\",\"rank\":1},{\"answer\":\"b\",\"rank\":2},{\"answer\":\"c\",\"rank\":3},{"
            "\"answer\":\"d\",\"rank\":4},"
            "{\"answer\":\"e\",\"rank\":5},{\"answer\":\"f\",\"rank\":6},{\"answer\":\"g\",\"rank\":7},{\"answer\":\"h\",\"rank\":8}]}"),
        ST_OK);
    assert_true(r.responses[1].score == 8.71); /* 10 - 9 / 7, to two decimals */
    assert_int_equal(read_text(&r, "{\"prompt\":\"q\",\"response_1\":\"a\",\"response_2\":\"b\",\"preference_strength\":-1}"), ST_OK);
    assert_answer(&r, &r.chosen, "a");
    record_release(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_reads_its_example),
        cmocka_unit_test(splits_as_trl),
        cmocka_unit_test(reads_scores_where_they_are),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(skips_and_keeps_bad_rows),
        cmocka_unit_test(adjacent_rows_are_one_record),
        cmocka_unit_test(reads_turns_from_text),
        cmocka_unit_test(ranks_become_scores),
        cmocka_unit_test(reads_labels),
        cmocka_unit_test(reads_the_data_sets),
        cmocka_unit_test(columns_stand_for_fields),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
