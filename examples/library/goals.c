/* goals: how a model's preference between two responses, and its own answer, change with the goal.
 *
 *     cc goals.c -o goals $(pkg-config --cflags --libs rapt)
 *     ./goals MODEL ADAPTER "Why is the sky blue?" "RESPONSE" "OTHER RESPONSE"
 *
 * ADAPTER may be "-" for none. */
#include <math.h>
#include <rapt.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, rapt_message());
    return 1;
}

static int show_piece(void *context, size_t prompt, size_t sample, const char *text, size_t size) {
    (void)prompt, (void)sample;
    fwrite(text, 1, size, context);
    return 0; /* go on */
}

static int compare(struct rapt_model *model, const char *text, const char *const responses[2]) {
    static const double goals[] = {RAPT_NO_GOAL, 2, 5, 10};
    for (size_t i = 0; i < sizeof goals / sizeof goals[0]; i++) {
        struct rapt_prompt prompt = RAPT_PROMPT_INIT;
        struct rapt_logps logps[2];
        prompt.text = text;
        prompt.goal = goals[i];
        if (rapt_logps(model, logps, &prompt, responses, 2) != RAPT_OK) return failed("log-probs");
        if (isnan(goals[i]))
            printf("no goal ");
        else
            printf("goal %-3g", goals[i]);
        printf(" %.7g (%zu tokens) %.7g (%zu tokens)\n", logps[0].sum, logps[0].count, logps[1].sum, logps[1].count);
        rapt_logps_release(logps, 2);
    }
    return 0;
}

static int answer(struct rapt_model *model, const char *text, double goal) {
    struct rapt_prompt prompt = RAPT_PROMPT_INIT;
    struct rapt_generation generation = RAPT_GENERATION_INIT;
    struct rapt_response response;
    prompt.text = text;
    prompt.goal = goal;
    generation.temperature = 0;
    generation.max_new_tokens = 64;
    generation.piece = show_piece; /* as it is written */
    generation.context = stdout;
    if (rapt_generate(model, &response, &prompt, 1, &generation) != RAPT_OK) return failed("generation");
    printf("\n(%zu tokens, %s)\n", response.tokens, response.finish == RAPT_FINISH_STOP ? "stop" : "length");
    rapt_responses_release(&response, 1);
    return 0;
}

int main(int argc, char **argv) {
    struct rapt_model_options options = RAPT_MODEL_OPTIONS_INIT;
    struct rapt_model *model;
    if (argc != 6) {
        fprintf(stderr, "usage: goals MODEL ADAPTER PROMPT RESPONSE RESPONSE\n");
        return 2;
    }
    if (rapt_abi() != RAPT_ABI_VERSION) {
        fprintf(stderr, "librapt %s is of another ABI than the header\n", rapt_version());
        return 1;
    }
    if (strcmp(argv[2], "-") != 0) options.adapter = argv[2];
    if (rapt_model_open(&model, argv[1], &options) != RAPT_OK) return failed("model");
    printf("%s, %zu tokens in the vocabulary\n", rapt_model_family(model), rapt_model_vocab(model));
    int code = compare(model, argv[3], (const char *const *)argv + 4);
    if (!code) code = answer(model, argv[3], 10);
    rapt_model_free(model);
    return code;
}
