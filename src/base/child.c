#define _POSIX_C_SOURCE 200809L
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_FD 3 /* CHILD_FILE */

extern char **environ;

static int spawn(pid_t *pid, char *const argv[], const char *path, int out, int errors) {
    posix_spawn_file_actions_t acts;
    int code = posix_spawn_file_actions_init(&acts);
    if (code) return code;
    code = posix_spawn_file_actions_adddup2(&acts, out, STDOUT_FILENO);
    if (!code) code = posix_spawn_file_actions_adddup2(&acts, errors, STDERR_FILENO);
    if (!code) code = posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!code) code = posix_spawn_file_actions_addopen(&acts, FILE_FD, path, O_RDONLY, 0);
    if (!code) code = posix_spawnp(pid, argv[0], &acts, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&acts);
    return code;
}

/* A descriptor above those that the program gets, closed when another program starts. */
static int move_up(int fd) {
    int up = fcntl(fd, F_DUPFD_CLOEXEC, FILE_FD + 1);
    close(fd);
    return up;
}

status child_start(struct child *c, bool *found, char *const argv[], const char *path) {
    int ends[2];
    *c = (struct child){.out = -1, .name = argv[0]};
    *found = true;
    if (pipe(ends) != 0) return FAIL(ST_IO, "cannot make a pipe: %s", strerror(errno));
    int in = move_up(ends[1]);
    c->out = move_up(ends[0]);
    c->errors = tmpfile();
    if (in < 0 || c->out < 0 || !c->errors) {
        status s = FAIL(ST_IO, "cannot make files for %s: %s", argv[0], strerror(errno));
        if (in >= 0) close(in);
        child_release(c);
        return s;
    }
    int errors = fcntl(fileno(c->errors), F_DUPFD_CLOEXEC, FILE_FD + 1);
    int code = errors < 0 ? errno : spawn(&c->pid, argv, path, in, errors);
    if (errors >= 0) close(errors);
    close(in);
    if (!code) return ST_OK;
    c->pid = 0;
    child_release(c);
    *found = code != ENOENT || access(path, R_OK) != 0;
    return *found ? FAIL(ST_IO, "cannot start %s for %s: %s", argv[0], path, strerror(code)) : ST_IO;
}

static int wait_for(struct child *c) {
    int code = 0;
    while (waitpid(c->pid, &code, 0) < 0)
        if (errno != EINTR) break;
    c->pid = 0;
    return code;
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
    int code = wait_for(c);
    return WIFEXITED(code) && WEXITSTATUS(code) == 0 ? ST_OK : failed(c, code);
}

void child_release(struct child *c) {
    if (c->pid) {
        kill(c->pid, SIGTERM);
        (void)wait_for(c);
    }
    if (c->out >= 0 && c->name) close(c->out);
    if (c->errors) fclose(c->errors);
    *c = (struct child){0};
}
