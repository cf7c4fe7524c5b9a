/* SPDX-License-Identifier: Apache-2.0 */
#include "munged.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 10000

static int key_make(const struct munged *m, const struct munged *same)
{
    char path[96], key[128];
    int ok;
    if (same) {
        snprintf(path, sizeof(path), "%s/munge.key", same->dir);
        int in = open(path, O_RDONLY | O_CLOEXEC);
        ok = in >= 0 && read(in, key, sizeof(key)) == sizeof(key);
        close(in);
    } else {
        ok = getrandom(key, sizeof(key), 0) == sizeof(key);
    }
    snprintf(path, sizeof(path), "%s/munge.key", m->dir);
    int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok = ok && out >= 0 && write(out, key, sizeof(key)) == sizeof(key);
    close(out);
    return ok ? 0 : -1;
}

static void exec_munged(const struct munged *m)
{
    char args[6][128];
    static const char *const names[] = {
        "socket=%s/munge.sock", "key-file=%s/munge.key", "pid-file=%s/munge.pid",
        "log-file=%s/munge.log", "seed-file=%s/munge.seed"};
    for (int i = 0; i < 5; i++) {
        strcpy(args[i], "--");
        snprintf(args[i] + 2, sizeof(args[i]) - 2, names[i], m->dir);
    }
    char *argv[] = {"munged", "--foreground", "--force", "--num-threads=2", args[0],
                    args[1],  args[2],        args[3],   args[4],           NULL};
    int null = open("/dev/null", O_RDWR);
    dup2(null, 2);
    execvp("munged", argv);
    execv("/usr/sbin/munged", argv);
    _exit(127);
}

static int answers(const struct munged *m)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", m->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (struct sockaddr *)&un, sizeof(un));
    close(fd);
    return rc == 0;
}

int munged_start(struct munged *m, const struct munged *same)
{
    memset(m, 0, sizeof(*m));
    strcpy(m->dir, "/tmp/test-munge-XXXXXX");
    if (!mkdtemp(m->dir))
        return -1;
    /* munged insists that other users can reach its socket */
    chmod(m->dir, 0755);
    snprintf(m->socket, sizeof(m->socket), "%s/munge.sock", m->dir);
    if (key_make(m, same) < 0)
        return -1;
    m->pid = fork();
    if (m->pid == 0)
        exec_munged(m);
    for (int ms = 0; ms < START_MS; ms += 5) {
        if (answers(m))
            return 0;
        if (waitpid(m->pid, NULL, WNOHANG) == m->pid) {
            m->pid = 0;
            break;
        }
        poll(NULL, 0, 5);
    }
    munged_stop(m);
    return -1;
}

void munged_stop(struct munged *m)
{
    static const char *const files[] = {"sock", "sock.lock", "key",
                                        "pid",  "log",       "seed"};
    if (m->pid > 0) {
        kill(m->pid, SIGTERM);
        waitpid(m->pid, NULL, 0);
    }
    m->pid = 0;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/munge.%s", m->dir, files[i]);
        unlink(path);
    }
    rmdir(m->dir);
}
