/* SPDX-License-Identifier: Apache-2.0
 *
 * The file is a run of WIRE_JOB_REPORTS frames, appended in one write each. It
 * is not fsync'd: it must survive the daemon, not the machine (a machine that goes down
 * takes the node's jobs with it, and the controller learns that from boot_id).
 * A torn last frame is dropped: its supervisor was not acknowledged and repeats.
 */
#include "noded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_COMPACT (1u << 20) /* rewrite the file when acknowledged reports fill it */

struct report_log {
    int fd;
    char *path;
    Sl__JobReport **reports;
    size_t count, cap;
    size_t sent;       /* of reports: handed out by report_log_unsent */
    uint64_t seq_last;
    size_t file_bytes;
};

static void log_push(struct report_log *log, Sl__JobReport *r)
{
    if (log->count == log->cap) {
        log->cap = log->cap ? 2 * log->cap : 64;
        log->reports = xrealloc(log->reports, log->cap * sizeof(*log->reports));
    }
    log->reports[log->count++] = r;
    if (r->seq > log->seq_last)
        log->seq_last = r->seq;
}

static int log_append(struct report_log *log, Sl__JobReport *r, struct err *err)
{
    Sl__JobReports list = SL__JOB_REPORTS__INIT;
    struct buf b;
    int rc;

    list.reports = &r;
    list.n_reports = 1;
    buf_init(&b);
    rc = wire_pack(&b, WIRE_JOB_REPORTS, 0, &list.base, err);
    if (rc == 0) {
        ssize_t n = write(log->fd, b.data, b.len);
        if (n == (ssize_t)b.len) {
            log->file_bytes += b.len;
        } else {
            rc = n < 0 ? err_errno(err, "%s", log->path)
                       : err_set(err, -ENOSPC, "%s: disk full", log->path);
            /* a partial frame would hide later ones */
            if (ftruncate(log->fd, (off_t)log->file_bytes) < 0)
                log_error("report", "%s: %s", log->path, strerror(errno));
        }
    }
    buf_fini(&b);
    return rc;
}

/* Takes the reports of one frame over into the list. */
static void log_take(struct report_log *log, Sl__JobReports *list)
{
    for (size_t i = 0; i < list->n_reports; i++)
        log_push(log, list->reports[i]);
    list->n_reports = 0;
}

static int log_load(struct report_log *log, struct err *err)
{
    struct buf b;
    char chunk[65536];
    ssize_t n;
    int rc = 0;

    buf_init(&b);
    while ((n = read(log->fd, chunk, sizeof(chunk))) > 0)
        buf_put(&b, chunk, (size_t)n);
    if (n < 0)
        rc = err_errno(err, "%s", log->path);
    size_t total = b.len;
    while (rc == 0) {
        struct wire_msg m;
        struct err why;
        int got = wire_unpack(&b, true, &m, &why);
        if (got < 0)
            log_warn("report", "file=%s bytes=%zu torn or foreign data dropped: %s",
                     log->path, b.len, why.text);
        if (got <= 0)
            break;
        log->file_bytes = total - b.len;
        if (m.type == WIRE_JOB_REPORTS)
            log_take(log, (Sl__JobReports *)m.body);
        wire_msg_clear(&m);
    }
    if (rc == 0 && ftruncate(log->fd, (off_t)log->file_bytes) < 0)
        rc = err_errno(err, "%s", log->path);
    buf_fini(&b);
    return rc;
}

struct report_log *report_log_open(const char *path, struct err *err)
{
    struct report_log *log = xcalloc(1, sizeof(*log));
    log->path = xstrdup(path);
    /* numbers grow over restarts even when the file was empty */
    log->seq_last = (uint64_t)clock_wall_usec();
    log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log->fd < 0)
        err_errno(err, "%s", path);
    if (log->fd < 0 || log_load(log, err) < 0) {
        report_log_close(log);
        return NULL;
    }
    return log;
}

void report_log_close(struct report_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    for (size_t i = 0; i < log->count; i++)
        sl__job_report__free_unpacked(log->reports[i], NULL);
    free(log->reports);
    free(log->path);
    free(log);
}

/* A deep copy through the wire form: reports are small. */
static Sl__JobReport *report_copy(const Sl__JobReport *r)
{
    size_t n = sl__job_report__get_packed_size(r);
    uint8_t *p = xmalloc(n);
    sl__job_report__pack(r, p);
    Sl__JobReport *copy = sl__job_report__unpack(NULL, n, p);
    free(p);
    ASSERT(copy);
    return copy;
}

int report_log_add(struct report_log *log, Sl__JobReport *report, struct err *err)
{
    report->seq = log->seq_last + 1;
    int rc = log_append(log, report, err);
    if (rc == 0)
        log_push(log, report_copy(report));
    return rc;
}

void report_log_keep(struct report_log *log, Sl__JobReport *report)
{
    struct err err;
    if (report_log_add(log, report, &err) == 0)
        return;
    log_error("report", "job=%u kind=%d is kept in memory: %s", report->job_id,
              (int)report->kind, err.text);
    log_push(log, report_copy(report));
}

static void log_compact(struct report_log *log)
{
    if (log->count && log->file_bytes < FILE_BYTES_COMPACT)
        return;
    char *path = xasprintf("%s.new", log->path);
    struct err err = {0};
    int old = log->fd;
    size_t old_bytes = log->file_bytes;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    log->fd = fd;
    log->file_bytes = 0;
    for (size_t i = 0; good && i < log->count; i++)
        good = log_append(log, log->reports[i], &err) == 0;
    if (good && rename(path, log->path) == 0) {
        close(old);
    } else { /* the old file still says everything */
        if (fd >= 0)
            close(fd);
        log->fd = old;
        log->file_bytes = old_bytes;
    }
    free(path);
}

void report_log_ack(struct report_log *log, uint64_t seq)
{
    size_t n = 0;
    while (n < log->count && log->reports[n]->seq <= seq)
        sl__job_report__free_unpacked(log->reports[n++], NULL);
    if (!n)
        return;
    memmove(log->reports, log->reports + n, (log->count - n) * sizeof(*log->reports));
    log->count -= n;
    log->sent = log->sent > n ? log->sent - n : 0;
    if (log->count == 0 && log->file_bytes) {
        if (ftruncate(log->fd, 0) == 0)
            log->file_bytes = 0;
    } else {
        log_compact(log);
    }
}

Sl__JobReport **report_log_pending(struct report_log *log, size_t *count)
{
    *count = log->count;
    log->sent = log->count;
    return log->reports;
}

Sl__JobReport **report_log_unsent(struct report_log *log, size_t *count)
{
    Sl__JobReport **p = log->reports + log->sent;
    *count = log->count - log->sent;
    log->sent = log->count;
    return p;
}

bool report_log_has_end(const struct report_log *log, uint32_t job_id, uint32_t restart)
{
    for (size_t i = 0; i < log->count; i++) {
        const Sl__JobReport *r = log->reports[i];
        if (r->job_id == job_id && r->restart == restart &&
            (r->kind == SL__REPORT_KIND__REPORT_NODE_CLEAN || r->node_clean))
            return true;
    }
    return false;
}

void report_log_rewind(struct report_log *log)
{
    log->sent = 0;
}
