/* SPDX-License-Identifier: Apache-2.0
 *
 * Level, lock and the summing up of repeats; logtarget.c does the writing.
 */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "logtarget.h"
#include "timefmt.h"

#define REPEAT_SLOTS 64 /* formats watched at once; a power of two */

/* One watched format string. Format strings are literals, so that the pointer
 * is the identity. */
struct repeat {
    const char *fmt; /* NULL: free */
    usec_t since;    /* monotonic; start of its second */
    unsigned count;  /* messages within it */
    enum log_level level;
    char area[32];
};

static const char *const level_names[LOG_L_COUNT] = {
    [LOG_NONE] = "none", [LOG_L_ERROR] = "error",     [LOG_L_WARN] = "warn",
    [LOG_L_INFO] = "info", [LOG_L_VERBOSE] = "verbose", [LOG_L_DEBUG] = "debug",
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static atomic_int log_level_now = LOG_L_INFO;
/* under log_lock: */
static struct logtarget log_target = {.kind = LOGTARGET_STDERR, .fd = -1};
static struct repeat repeats[REPEAT_SLOTS];
static uint64_t lines_lost; /* that the target did not take (disk full ...) */

static void log_lock_take(void)
{
    pthread_mutex_lock(&log_lock);
}

static void log_lock_give(void)
{
    pthread_mutex_unlock(&log_lock);
}

/* A child forked while another thread logs must not inherit a held lock. */
static void log_fork_guard(void)
{
    pthread_atfork(log_lock_take, log_lock_give, log_lock_give);
}

static void write_locked(enum log_level level, const char *area, const char *message)
{
    if (lines_lost) {
        char text[64];
        snprintf(text, sizeof text, "lines=%llu lost before this one",
                 (unsigned long long)lines_lost);
        if (logtarget_write(&log_target, LOG_L_WARN, "log", text) == 0)
            lines_lost = 0;
    }
    if (logtarget_write(&log_target, level, area, message) < 0)
        lines_lost++;
}

/* Tells how often a format was held back, and frees its slot. */
static void repeat_finish(struct repeat *r)
{
    if (r->fmt && r->count > LOG_BURST) {
        char text[256];
        snprintf(text, sizeof text, "repeats=%u held back within a second: %.160s",
                 r->count - LOG_BURST, r->fmt);
        err_text_clean(text);
        write_locked(r->level, r->area, text);
    }
    r->fmt = NULL;
}

static void repeat_sweep(usec_t now)
{
    for (size_t i = 0; i < REPEAT_SLOTS; i++)
        if (repeats[i].fmt && now - repeats[i].since >= USEC_PER_SEC)
            repeat_finish(&repeats[i]);
}

/* Counts a message; false when it is to be held back. */
static bool repeat_count(const char *fmt, enum log_level level, const char *area, usec_t now)
{
    uint64_t h = (uint64_t)(uintptr_t)fmt * UINT64_C(0x9e3779b97f4a7c15);
    struct repeat *r = &repeats[h >> 58];
    if (r->fmt != fmt) {
        repeat_finish(r);
        *r = (struct repeat){.fmt = fmt, .since = now, .level = level};
        snprintf(r->area, sizeof r->area, "%s", area);
    }
    return ++r->count <= LOG_BURST;
}

static void log_write(enum log_level level, const char *area, const char *fmt,
                      const char *message)
{
    log_lock_take();
    usec_t now = clock_mono_usec();
    repeat_sweep(now);
    if (level > LOG_L_INFO || repeat_count(fmt, level, area, now))
        write_locked(level, area, message);
    log_lock_give();
}

void log_msg(enum log_level level, const char *area, const char *fmt, ...)
{
    if ((int)level > atomic_load_explicit(&log_level_now, memory_order_relaxed) ||
        level <= LOG_NONE || level >= LOG_L_COUNT)
        return;
    int saved = errno;
    char message[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof message)
        err_text_cut(message, sizeof message);
    if (n >= 0) {
        err_text_clean(message);
        log_write(level, area, fmt, message);
    }
    errno = saved;
}

int log_init(const char *program, const char *target, enum log_level level,
             struct err *err)
{
    pthread_once(&log_once, log_fork_guard);
    struct logtarget fresh;
    int rc = logtarget_open(&fresh, program, target, err);
    if (rc < 0)
        return rc;
    log_lock_take();
    struct logtarget old = log_target;
    log_target = fresh;
    log_lock_give();
    logtarget_close(&old);
    log_level_set(level);
    return 0;
}

void log_fini(void)
{
    log_lock_take();
    for (size_t i = 0; i < REPEAT_SLOTS; i++)
        repeat_finish(&repeats[i]);
    logtarget_close(&log_target);
    log_lock_give();
}

int log_reopen(struct err *err)
{
    log_lock_take();
    struct logtarget fresh;
    int rc = 0;
    if (log_target.kind == LOGTARGET_FILE) {
        rc = logtarget_open(&fresh, log_target.program, log_target.path, err);
        if (rc == 0) {
            logtarget_close(&log_target);
            log_target = fresh;
        }
    }
    log_lock_give();
    return rc;
}

void log_flush(void)
{
    log_lock_take();
    repeat_sweep(clock_mono_usec());
    log_lock_give();
}

bool log_is_stderr(void)
{
    log_lock_take();
    bool is = log_target.kind == LOGTARGET_STDERR;
    log_lock_give();
    return is;
}

void log_level_set(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

enum log_level log_level_get(void)
{
    return (enum log_level)atomic_load(&log_level_now);
}

enum log_level log_level_parse(const char *name)
{
    for (int i = LOG_L_ERROR; i < LOG_L_COUNT; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return (enum log_level)i;
    return LOG_NONE;
}

const char *log_level_name(enum log_level level)
{
    return level > LOG_NONE && level < LOG_L_COUNT ? level_names[level] : level_names[0];
}
