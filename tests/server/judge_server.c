/* judge_server PORT_FILE LOG [MODE]: an HTTP server with /v1/chat/completions (and /v1/completions, without echo) for the tests of rapt
 * score --source judge and rapt eval judge. It answers by a rule, and as real ones do it fails, drops connections, asks to wait, is late,
 * and talks nonsense.
 *
 * A response that holds SCORE=n is rated n; of two the higher is better, but where the prompt holds BIAS the first always is. Benchmarks'
 * questions are known by their texts. What else happens is chosen by a hash of the request's body, so that it is the same in every run.
 * Each answer is a line of LOG: seconds, hash of the body, what.
 *
 * MODE: fair (no trouble), mixed (all of it, once each), or one thing always: nonsense, 500, 401, 400, long (429 for hours), huge, slow,
 * key. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_file;
static const char *mode;
static uint64_t seen[1 << 16];
static size_t seen_count, limited;
static int active, most_active;
static bool stop_asked;

static void on_signal(int sig) {
    (void)sig;
    stop_asked = true;
}

static bool first_time(uint64_t hash) {
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i] == hash) return false;
    if (seen_count < sizeof seen / sizeof seen[0]) seen[seen_count++] = hash;
    return true;
}

/* Which goal was taken, in a form that rapt serve's never has. */
static void put_goal(struct buf *out, const char *body) {
    if (strstr(body, "@goal=a=1,b=2")) buf_append_text(out, ", \"goal\": {\"a\":\n1,\r\n \"b\":\t2.0}");
    if (strstr(body, "@goal=a=1,b=3")) buf_append_text(out, ", \"goal\": {\"a\": 1, \"b\": [3]}");
}

static void put_message(struct buf *out, const char *body, const char *content, int rating, bool logprobs) {
    const double high = log(0.75), low = log(0.25);
    if (strstr(body, "\"prompt\": ")) { /* of /v1/completions: without echo, whose log-probs are of the answer alone */
        buf_printf(out,
                   "{\"choices\": [{\"index\": 0, \"text\": \"%s\", \"logprobs\": {\"tokens\": [\"%s\"], \"token_logprobs\": [-0.5], "
                   "\"top_logprobs\": [{\"%s\": -0.5}], "
                   "\"text_offset\": [0]}, \"finish_reason\": \"stop\"}]}",
                   content, content, content);
        return;
    }
    buf_append_text(out, "{\"id\": \"x\", \"choices\": [\n{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \"");
    buf_append_text(out, content);
    buf_append_text(out, "\"}, \"finish_reason\": \"stop\"");
    if (logprobs) {
        buf_printf(out, ", \"logprobs\": {\"content\": [{\"token\": \"%s\", \"bytes\": null, \"logprob\": %.9f, \"top_logprobs\": [",
                   content, high);
        if (rating >= 0)
            buf_printf(
                out,
                "{\"token\": \"%d\", \"logprob\": %.9f}, {\"token\": \" %d\", \"logprob\": %.9f}, {\"token\": \"10\", \"logprob\": -40}",
                rating, high, rating - 1, low);
        else
            buf_printf(out, "{\"token\": \"%s\", \"logprob\": %.9f}, {\"token\": \"C\", \"logprob\": %.9f}", content, high, low);
        buf_append_text(out, "]}]}");
    }
    buf_append_text(out, "}]");
    put_goal(out, body);
    buf_append_text(out, ", \"usage\": {\"prompt_tokens\": 100, \"completion_tokens\": 1}}");
}

/* Whose question is it? */
static bool of_alpaca(const char *body) { return strstr(body, "model_identifier") != NULL; }
static bool of_mt(const char *body) { return strstr(body, "[[rating]]") != NULL; }
static bool of_mt_pair(const char *body) { return strstr(body, "[[C]]") != NULL; }
static bool of_arena(const char *body) { return strstr(body, "[[A>>B]]") != NULL; }

/* Of benchmarks: m or M with 3/4 on the better; a grade, the last response's; a verdict, strong from 4 apart. Of two answers the first's
 * first score and the second's last one count. */
static void put_bench_answer(struct buf *out, const char *body, const char *a) {
    const char *last = a;
    for (const char *at = a; at; at = strstr(at + 1, "SCORE=")) last = at;
    const int x = a ? atoi(a + 6) : 1, y = last ? atoi(last + 6) : 1;
    char text[64];
    if (of_alpaca(body)) {
        buf_printf(out,
                   "{\"choices\": [\n{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \"m\"}, \"logprobs\": "
                   "{\"content\": [{\"token\": \"m\", \"logprob\": -1, "
                   "\"top_logprobs\": [{\"token\": \"m\", \"logprob\": %.17g}, {\"token\": \"M\", \"logprob\": %.17g}]}]}}], \"usage\": "
                   "{\"prompt_tokens\": 100, \"completion_tokens\": 1}}",
                   log(x > y   ? 0.75
                       : x < y ? 0.25
                               : 0.5),
                   log(x > y   ? 0.25
                       : x < y ? 0.75
                               : 0.5));
        return;
    }
    if (of_mt(body))
        snprintf(text, sizeof text, "It is so. Rating: [[%d]]", y);
    else if (of_mt_pair(body))
        snprintf(text, sizeof text, "So it is [[%c]]", x > y ? 'A' : x < y ? 'B' : 'C');
    else
        snprintf(text, sizeof text, "My final verdict is: [[%s]]",
                 x - y >= 4   ? "A>>B"
                 : x > y      ? "A>B"
                 : x == y     ? "A=B"
                 : y - x >= 4 ? "B>>A"
                              : "B>A");
    put_message(out, body, text, -1, false);
}

static void put_answer(struct buf *out, const char *body) {
    const bool logprobs = strstr(body, "\"logprobs\": true") != NULL;
    const char *a = strstr(body, "SCORE="), *b = a ? strstr(a + 1, "SCORE=") : NULL;
    char text[16];
    if (of_alpaca(body) || of_mt(body) || of_mt_pair(body) || of_arena(body)) {
        put_bench_answer(out, body, a);
        return;
    }
    if (!b) {
        const int rating = a ? atoi(a + 6) : 1;
        snprintf(text, sizeof text, "%d", rating);
        put_message(out, body, text, rating, logprobs);
        return;
    }
    const int x = atoi(a + 6), y = atoi(b + 6);
    put_message(out, body, strstr(body, "BIAS") || x > y ? "A" : x < y ? "B" : "C", -1, logprobs);
}

/* What is no answer to the question, though the server says that it is. */
static const char *put_nonsense(struct buf *out, const char *body, uint64_t hash) {
    static const char *const texts[] = {"I think that it is quite good.", "11", "7 out of 8", "[[3]] or [[4]]", ""};
    switch (hash % 8) {
    case 0: buf_append_text(out, "<html>\xff Bad gateway</html>"); break;
    case 1: buf_append_text(out, "{\"choices\": []}"); break;
    case 2: buf_append_text(out, "{\"choices\": [{\"message\": {\"content\": null}}], \"usage\": {\"prompt_tokens\": -5}}"); break;
    default: put_message(out, body, texts[of_mt(body) ? 0 : hash % 8 - 3], -1, false);
    }
    return "nonsense";
}

struct reply {
    unsigned code;
    const char *what, *retry_after;
    bool drop;
    long delay_ms;
};

static bool is(const char *name) { return strcmp(mode, name) == 0; }

static struct reply decide(struct buf *out, const char *body, size_t size, const char *key) {
    const uint64_t hash = hash_bytes(body, size, 0);
    const bool mixed = is("mixed"), first = first_time(hash), cold = strstr(body, "\"temperature\": 0,") != NULL;
    struct reply r = {.code = 200, .what = "answer"};
    if (is("500")) r.code = 500;
    if (is("400")) r.code = 400;
    if (is("401")) r.code = 401;
    if (is("slow")) r.delay_ms = 3000;
    if (is("long")) r = (struct reply){.code = 429, .retry_after = "90000"};
    if (is("key") && (!key || strcmp(key, "Bearer secret-abc") != 0)) r.code = 401;
    if (mixed && first && hash / 8 % 8 == 1) r.code = 503;
    if (mixed && first && hash / 8 % 8 == 2 && limited++ < 2) r = (struct reply){.code = 429, .retry_after = "1"};
    if (mixed && first && hash / 8 % 8 == 3) r.drop = true;
    if (mixed && hash / 8 % 8 == 5) r.delay_ms = 150;
    if (mixed && !r.delay_ms) r.delay_ms = 25;
    if (r.code != 200) {
        buf_printf(out, "{\"error\": {\"message\": \"no: %s\"}}", key ? key : "none");
        r.what = r.code == 429 ? "limited" : r.code >= 500 ? "failed" : "refused";
    } else if (is("nonsense") || (mixed && cold && hash / 8 % 8 == 4)) {
        r.what = put_nonsense(out, body, hash);
    } else if (is("huge")) {
        for (size_t i = 0; i < 3 << 20; i++) buf_append_char(out, 'x');
    } else {
        put_answer(out, body);
    }
    if (r.drop) r.what = "dropped";
    fprintf(log_file, "%.3f %016llx %s\n", log_now_s(), (unsigned long long)hash, r.what);
    fflush(log_file);
    return r;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                              const char *data, size_t *size, void **state) {
    struct buf *body = *state, out = {0};
    (void)context, (void)version;
    if (!body) {
        *state = mem_zero(1, sizeof *body);
        return MHD_YES;
    }
    if (*size) {
        buf_append(body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    struct reply r = {.code = 404, .what = "elsewhere"};
    pthread_mutex_lock(&lock);
    if (++active > most_active) most_active = active;
    if ((strcmp(url, "/v1/chat/completions") == 0 || strcmp(url, "/v1/completions") == 0) && strcmp(method, "POST") == 0)
        r = decide(&out, buf_text(body), body->size, MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"));
    pthread_mutex_unlock(&lock);
    if (r.delay_ms) nanosleep(&(struct timespec){r.delay_ms / 1000, r.delay_ms % 1000 * 1000000}, NULL);
    pthread_mutex_lock(&lock);
    active--;
    pthread_mutex_unlock(&lock);
    enum MHD_Result ok = MHD_NO; /* closes the connection */
    if (!r.drop) {
        struct MHD_Response *response = MHD_create_response_from_buffer(out.size, out.data, MHD_RESPMEM_MUST_COPY);
        if (r.retry_after) MHD_add_response_header(response, "Retry-After", r.retry_after);
        ok = MHD_queue_response(c, r.code, response);
        MHD_destroy_response(response);
    }
    buf_release(&out);
    return ok;
}

static void forget(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    (void)context, (void)c, (void)code;
    if (*state) buf_release(*state);
    free(*state);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    mode = argc > 3 ? argv[3] : "fair";
    log_file = fopen(argv[2], "a");
    signal(SIGTERM, on_signal);
    const uint16_t port = argc > 4 ? (uint16_t)atoi(argv[4]) : 0;
    struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, answer, NULL,
                                            MHD_OPTION_NOTIFY_COMPLETED, forget, NULL, MHD_OPTION_END);
    if (!d || !log_file) return 1;
    char text[16];
    snprintf(text, sizeof text, "%u", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    FILE *f = fopen(argv[1], "w");
    if (!f) return 1;
    fputs(text, f);
    fclose(f);
    const pid_t parent = getppid();
    while (!stop_asked && getppid() == parent) nanosleep(&(struct timespec){0, 20000000}, NULL); /* ends with the test */
    MHD_stop_daemon(d);
    fprintf(log_file, "%.3f most %d\n", log_now_s(), most_active);
    fclose(log_file);
    return 0;
}
