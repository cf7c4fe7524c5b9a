/* SPDX-License-Identifier: Apache-2.0
 *
 * journald's native protocol: one datagram of FIELD=value lines to its socket
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL). Our values hold no newline, so
 * that the binary form is not needed.
 */
#include "logtarget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "timefmt.h"

#define JOURNALD_SOCKET "/run/systemd/journal/socket"

static const int syslog_priority[LOG_L_COUNT] = {
    [LOG_L_ERROR] = LOG_ERR,      [LOG_L_WARN] = LOG_WARNING, [LOG_L_INFO] = LOG_NOTICE,
    [LOG_L_VERBOSE] = LOG_INFO,   [LOG_L_DEBUG] = LOG_DEBUG,
};

static int open_journald(const char *path, struct err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        return err_set(err, -ENAMETOOLONG, "log target journald:%s: path too long", path);
    strcpy(sa.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "log target journald");
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
        int rc = err_errno(err, "log target journald: %s", path);
        close(fd);
        return rc;
    }
    return fd;
}

static int open_file(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    return fd < 0 ? err_errno(err, "log file %s", path) : fd;
}

int logtarget_open(struct logtarget *t, const char *program, const char *target,
                   struct err *err)
{
    struct logtarget n = {.kind = LOGTARGET_STDERR, .fd = -1};
    const char *path = NULL;
    if (!target || !*target || strcmp(target, "stderr") == 0) {
        n.kind = LOGTARGET_STDERR;
    } else if (strcmp(target, "syslog") == 0) {
        n.kind = LOGTARGET_SYSLOG;
    } else if (strcmp(target, "journald") == 0) {
        n.kind = LOGTARGET_JOURNALD;
        path = JOURNALD_SOCKET;
    } else if (strncmp(target, "journald:", 9) == 0) {
        n.kind = LOGTARGET_JOURNALD;
        path = target + 9;
    } else if (target[0] == '/' || strncmp(target, "./", 2) == 0) {
        n.kind = LOGTARGET_FILE;
        path = target;
    } else {
        return err_set(err, -EINVAL, "log target \"%.64s\" is none of stderr, syslog, "
                       "journald or a path that begins with /", target);
    }
    if (path) {
        n.fd = n.kind == LOGTARGET_FILE ? open_file(path, err) : open_journald(path, err);
        if (n.fd < 0)
            return n.fd;
        n.path = xstrdup(path);
    }
    n.program = xstrdup(program);
    if (n.kind == LOGTARGET_SYSLOG)
        openlog(n.program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
    *t = n;
    return 0;
}

void logtarget_close(struct logtarget *t)
{
    if (t->fd >= 0)
        close(t->fd);
    free(t->path);
    free(t->program);
    *t = (struct logtarget){.kind = LOGTARGET_STDERR, .fd = -1};
}

static int write_journald(const struct logtarget *t, enum log_level level, const char *area,
                          const char *message)
{
    char text[LOG_LINE_MAX + 512];
    int n = snprintf(text, sizeof text,
                     "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\nSYSLOG_PID=%d\n"
                     "SLURMLIKE_AREA=%.64s\nMESSAGE=%s %s: %s\n",
                     syslog_priority[level], t->program, (int)getpid(), area,
                     log_level_name(level), area, message);
    if (n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    return send(t->fd, text, (size_t)n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* "2026-11-23T10:20:30.123+0100 program: level area: message", in one write() so
 * that lines of several processes do not mix. */
static int write_line(const struct logtarget *t, enum log_level level, const char *area,
                      const char *message)
{
    char line[LOG_LINE_MAX + 512], stamp[32] = "", zone[8] = "";
    usec_t now = clock_wall_usec();
    time_t sec = (time_t)(now / USEC_PER_SEC);
    struct tm tm;
    if (localtime_r(&sec, &tm)) {
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        strftime(zone, sizeof zone, "%z", &tm);
    }
    int n = snprintf(line, sizeof line, "%s.%03d%s %.64s: %s %.64s: %s\n", stamp,
                     (int)(now % USEC_PER_SEC / 1000), zone,
                     t->program ? t->program : program_invocation_short_name,
                     log_level_name(level), area, message);
    if (n >= (int)sizeof line) {
        n = (int)sizeof line - 1;
        line[n - 1] = '\n';
    }
    int fd = t->kind == LOGTARGET_FILE ? t->fd : STDERR_FILENO;
    ssize_t done;
    do
        done = write(fd, line, (size_t)n);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done < n ? -EIO : 0;
}

int logtarget_write(struct logtarget *t, enum log_level level, const char *area,
                    const char *message)
{
    switch (t->kind) {
    case LOGTARGET_SYSLOG:
        syslog(syslog_priority[level], "%s %s: %s", log_level_name(level), area, message);
        return 0;
    case LOGTARGET_JOURNALD:
        return write_journald(t, level, area, message);
    case LOGTARGET_STDERR:
    case LOGTARGET_FILE:
        break;
    }
    return write_line(t, level, area, message);
}
