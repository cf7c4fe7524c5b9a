/* SPDX-License-Identifier: Apache-2.0
 *
 * Output of several tasks is written line by line, so that lines of different tasks
 * never mix; one task without labels, and --unbuffered, pass straight through.
 */
#include "srun.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX (64u << 10) /* a longer line is written in pieces */
#define INPUT_BYTES 16384
#define INPUT_CREDIT 16 /* frames of stdin under way, as the supervisor's attach.h says */

static void write_all(struct srun *s, int fd, const char *p, size_t n)
{
    bool *gone = &s->out_gone[fd == STDERR_FILENO];
    while (n > 0 && !*gone) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) { /* our stdout may be someone's non-blocking pipe */
            struct pollfd pfd = {.fd = fd, .events = POLLOUT};
            poll(&pfd, 1, -1);
            continue;
        }
        if (w < 0) {
            *gone = true; /* "srun ... | head": the rest is dropped, the step goes on */
            if (errno != EPIPE)
                s->out_error = errno;
            return;
        }
        p += w;
        n -= (size_t)w;
    }
}

/* All of ours that is on its way out, in one write per message. */
static void line_put(const struct srun *s, struct buf *out, uint32_t rank, const char *p, size_t n)
{
    if (s->label_width > 0)
        buf_printf(out, "%*u: ", s->label_width, rank);
    buf_put(out, p, n);
}

void srun_io_start(struct srun *s)
{
    const Sl__StepSpec *spec = &s->req->step;
    bool lines = spec->label || (s->ntasks > 1 && !spec->unbuffered);
    uint32_t top = s->ntasks > 0 ? s->ntasks - 1 : 0;

    if (spec->label)
        for (s->label_width = 1; top >= 10; top /= 10)
            s->label_width++;
    for (int k = 0; lines && k < 2; k++)
        s->lines[k] = xcalloc(s->ntasks, sizeof(*s->lines[k]));
    s->input_on = spec->std_in[0] == '\0';
    s->input_credit = INPUT_CREDIT;
}

static bool shown(const struct srun *s, uint32_t rank, bool err)
{
    const struct job_request *r = s->req;
    return err ? !r->has_stderr_task || r->stderr_task == rank
               : !r->has_stdout_task || r->stdout_task == rank;
}

static void lines_take(struct srun *s, struct line *l, int fd, uint32_t rank, const char *p,
                       size_t n, bool eof)
{
    struct buf out;
    buf_init(&out);
    while (n > 0) {
        const char *nl = memchr(p, '\n', n);
        size_t k = nl != NULL ? (size_t)(nl - p) + 1 : n;
        bool whole = nl != NULL;
        if (l->text.len == 0 && whole)
            line_put(s, &out, rank, p, k);
        else {
            buf_put(&l->text, p, k);
            if (whole || l->text.len >= LINE_BYTES_MAX) {
                line_put(s, &out, rank, l->text.data, l->text.len);
                if (!whole && s->label_width > 0)
                    buf_putc(&out, '\n');
                buf_clear(&l->text);
            }
        }
        p += k;
        n -= k;
    }
    if (eof && l->text.len > 0) {
        line_put(s, &out, rank, l->text.data, l->text.len);
        if (s->label_width > 0)
            buf_putc(&out, '\n');
        buf_fini(&l->text);
    }
    write_all(s, fd, out.data, out.len);
    buf_fini(&out);
}

void srun_io_output(struct srun *s, const Sl__IoData *d)
{
    const char *p = (const char *)d->data.data;
    bool err = d->fd == 2;

    if (d->fd == 0) { /* the step has taken in one frame of stdin */
        if (s->input_credit < INPUT_CREDIT)
            s->input_credit++;
        return;
    }
    if ((d->fd != 1 && d->fd != 2) || d->task >= s->ntasks || !shown(s, d->task, err))
        return;
    int fd = err ? STDERR_FILENO : STDOUT_FILENO;
    if (s->lines[err] == NULL)
        write_all(s, fd, p, d->data.len);
    else
        lines_take(s, &s->lines[err][d->task], fd, d->task, p, d->data.len, d->eof);
}

/* What is left without a newline. */
void srun_io_finish(struct srun *s)
{
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; s->lines[k] != NULL && i < s->ntasks; i++)
            lines_take(s, &s->lines[k][i], k + 1, i, "", 0, true);
}

void srun_io_fini(struct srun *s)
{
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; s->lines[k] != NULL && i < s->ntasks; i++)
            buf_fini(&s->lines[k][i].text);
        free(s->lines[k]);
        s->lines[k] = NULL;
    }
}

/* ---- input -------------------------------------------------------------------------- */

bool srun_input_wanted(const struct srun *s)
{
    return s->attached && s->input_on && !s->input_over && s->input_credit > 0;
}

/* A background job must not read from the terminal: it would be stopped. */
static bool in_background(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) != getpgrp();
}

int srun_input_forward(struct srun *s, struct err *err)
{
    char chunk[INPUT_BYTES];
    Sl__IoData d = SL__IO_DATA__INIT;

    if (in_background()) {
        s->input_on = false; /* SIGCONT looks again */
        return 0;
    }
    ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    d.task = s->req->step.stdin_task != 0 ? s->req->step.stdin_task - 1 : UINT32_MAX;
    if (n > 0) {
        d.data.data = (uint8_t *)chunk;
        d.data.len = (size_t)n;
    } else {
        d.eof = true;
        s->input_over = true;
    }
    s->input_credit--;
    return wire_send(s->step, WIRE_IO_DATA, 0, &d.base, err);
}
