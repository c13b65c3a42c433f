#define _POSIX_C_SOURCE 200809L
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

#define FILE_FD 3 /* CHILD_FILE */

extern char **environ;

/* What it gets: `in` as standard input, or nothing; `path` as FILE_FD, or nothing. */
struct files {
    int in, out, errors; /* in: -1 nothing */
    const char *path;
};

static int spawn(pid_t *pid, char *const argv[], const struct files *f, bool group) {
    posix_spawn_file_actions_t acts;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&acts);
    if (code) return code;
    code = posix_spawnattr_init(&attributes);
    if (code) {
        posix_spawn_file_actions_destroy(&acts);
        return code;
    }
    if (group) code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (!code) code = posix_spawn_file_actions_adddup2(&acts, f->out, STDOUT_FILENO);
    if (!code) code = posix_spawn_file_actions_adddup2(&acts, f->errors, STDERR_FILENO);
    if (!code && f->in >= 0) code = posix_spawn_file_actions_adddup2(&acts, f->in, STDIN_FILENO);
    if (!code && f->in < 0) code = posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code && f->path) code = posix_spawn_file_actions_addopen(&acts, FILE_FD, f->path, O_RDONLY, 0);
    if (!code) code = posix_spawnp(pid, argv[0], &acts, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&acts);
    posix_spawnattr_destroy(&attributes);
    return code;
}

/* A descriptor above those that the program gets, closed when another program starts. */
static int move_up(int fd) {
    int up = fcntl(fd, F_DUPFD_CLOEXEC, FILE_FD + 1);
    close(fd);
    return up;
}

/* *code: 0, or why the program did not start; then nothing is left open. */
static status start(struct child *c, int *code, char *const argv[], FILE *in, const char *path) {
    int ends[2];
    if (pipe(ends) != 0) return FAIL(ST_IO, "cannot make a pipe: %s", strerror(errno));
    struct files f = {.in = -1, .out = move_up(ends[1]), .path = path};
    c->out = move_up(ends[0]);
    c->errors = tmpfile();
    if (f.out < 0 || c->out < 0 || !c->errors) {
        status s = FAIL(ST_IO, "cannot make files for %s: %s", c->name, strerror(errno));
        if (f.out >= 0) close(f.out);
        child_release(c);
        return s;
    }
    f.errors = fcntl(fileno(c->errors), F_DUPFD_CLOEXEC, FILE_FD + 1);
    if (in) f.in = fcntl(fileno(in), F_DUPFD_CLOEXEC, FILE_FD + 1);
    *code = f.errors < 0 || (in && f.in < 0) ? errno : spawn(&c->pid, argv, &f, c->group);
    if (f.errors >= 0) close(f.errors);
    if (f.in >= 0) close(f.in);
    close(f.out);
    if (!*code) return ST_OK;
    c->pid = 0;
    child_release(c);
    return ST_OK;
}

status child_start(struct child *c, bool *found, char *const argv[], const char *path) {
    int code;
    *c = (struct child){.out = -1, .name = argv[0]};
    *found = true;
    TRY(start(c, &code, argv, NULL, path));
    if (!code) return ST_OK;
    *found = code != ENOENT || access(path, R_OK) != 0;
    return *found ? FAIL(ST_IO, "cannot start %s for %s: %s", argv[0], path, strerror(code)) : ST_IO;
}

status child_start_shell(struct child *c, const char *command, FILE *in, int64_t timeout_ms) {
    char *words[] = {mem_text("sh"), mem_text("-c"), mem_text(command), NULL};
    int code = 0;
    *c = (struct child){.out = -1, .name = command, .group = true, .deadline_s = log_now_s() + (double)timeout_ms / 1000};
    status s = fflush(in) != 0 || lseek(fileno(in), 0, SEEK_SET) != 0
                   ? FAIL(ST_IO, "cannot write what %s reads: %s", command, strerror(errno))
                   : ST_OK;
    if (s == ST_OK) s = start(c, &code, words, in, NULL);
    for (size_t i = 0; i < 3; i++) free(words[i]);
    return s == ST_OK && code ? FAIL(ST_IO, "cannot start sh: %s", strerror(code)) : s;
}

static void end_it(const struct child *c, int sig) { kill(c->group ? -c->pid : c->pid, sig); }

static int wait_for(struct child *c) {
    int code = 0;
    while (waitpid(c->pid, &code, 0) < 0)
        if (errno != EINTR) break;
    c->pid = 0;
    return code;
}

static status too_slow(struct child *c) {
    end_it(c, SIGKILL);
    (void)wait_for(c);
    return FAIL(ST_IO, "%s did not end in time and was stopped", c->name);
}

/* It has closed its output, and may still go on for ever. */
static status wait_until(int *code, struct child *c) {
    const struct timespec moment = {.tv_nsec = 2000000};
    while (c->deadline_s > 0) {
        const pid_t done = waitpid(c->pid, code, WNOHANG);
        if (done == c->pid) {
            c->pid = 0;
            return ST_OK;
        }
        if (done < 0 && errno != EINTR) break;
        if (log_now_s() > c->deadline_s) return too_slow(c);
        nanosleep(&moment, NULL);
    }
    *code = wait_for(c);
    return ST_OK;
}

/* Waits for something to read. */
static status wait_for_output(struct child *c) {
    struct pollfd p = {.fd = c->out, .events = POLLIN};
    while (c->deadline_s > 0) {
        const double left = c->deadline_s - log_now_s();
        if (left <= 0) return too_slow(c);
        const int n = poll(&p, 1, left > 1000 ? 1000000 : 1 + (int)(left * 1000));
        if (n > 0) return ST_OK;
        if (n < 0 && errno != EINTR) return FAIL(ST_IO, "cannot wait for %s: %s", c->name, strerror(errno));
    }
    return ST_OK;
}

/* What it said, on one line, the beginning of it. */
static status failed(struct child *c, int code) {
    char text[1024];
    rewind(c->errors);
    size_t size = fread(text, 1, sizeof text - 1, c->errors);
    while (size && strchr(" \n\r\t", text[size - 1])) size--;
    text[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ') text[i] = ' ';
    if (WIFSIGNALED(code)) return FAIL(ST_IO, "%s was ended by signal %d: %s", c->name, WTERMSIG(code), text);
    return FAIL(ST_IO, "%s ended with code %d: %s", c->name, WEXITSTATUS(code), text);
}

status child_read(size_t *got, struct child *c, char *out, size_t room) {
    *got = 0;
    while (c->out >= 0 && room) {
        TRY(wait_for_output(c));
        ssize_t n = read(c->out, out, room);
        if (n > 0) {
            *got = (size_t)n;
            return ST_OK;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(ST_IO, "cannot read from %s: %s", c->name, strerror(errno));
        close(c->out);
        c->out = -1;
    }
    if (!c->pid) return ST_OK;
    int code = 0;
    TRY(wait_until(&code, c));
    return WIFEXITED(code) && WEXITSTATUS(code) == 0 ? ST_OK : failed(c, code);
}

void child_release(struct child *c) {
    if (c->pid) {
        end_it(c, c->group ? SIGKILL : SIGTERM);
        (void)wait_for(c);
    }
    if (c->out >= 0 && c->name) close(c->out);
    if (c->errors) fclose(c->errors);
    *c = (struct child){0};
}
