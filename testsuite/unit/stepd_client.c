/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd_client.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_event(struct test_client *c, const Sl__TaskEvent *e)
{
    for (size_t i = 0; i < e->n_tasks; i++) {
        assert_true(e->tasks[i] < CLIENT_RANKS);
        if (e->kind == 1) {
            c->started[e->tasks[i]] = true;
            continue;
        }
        assert_false(c->ended[e->tasks[i]]);
        c->ended[e->tasks[i]] = true;
        c->status[e->tasks[i]] = e->status;
        if (e->text[0])
            snprintf(c->why, sizeof(c->why), "%s", e->text);
    }
}

static void on_data(struct test_client *c, const Sl__IoData *d)
{
    if (d->fd == 0) {
        c->grants++;
        return;
    }
    assert_true(d->fd < 3 && d->task < CLIENT_RANKS);
    assert_false(c->eof[d->fd][d->task]);
    buf_put(&c->out[d->fd][d->task], d->data.data, d->data.len);
    c->bytes += d->data.len;
    c->eof[d->fd][d->task] = d->eof;
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct test_client *c = arg;
    (void)l;
    switch (m->type) {
    case WIRE_IO_ATTACHED:
        c->attached = true;
        assert_non_null(((Sl__IoAttached *)m->body)->layout);
        break;
    case WIRE_ERROR:
        c->refused = true;
        snprintf(c->refusal, sizeof(c->refusal), "%s", ((Sl__ErrorReply *)m->body)->text);
        break;
    case WIRE_IO_DATA:
        on_data(c, (Sl__IoData *)m->body);
        break;
    case WIRE_TASK_EVENT:
        on_event(c, (Sl__TaskEvent *)m->body);
        break;
    case WIRE_STEP_TEXT:
        buf_puts(&c->text, ((Sl__StepText *)m->body)->text);
        buf_putc(&c->text, '\n');
        break;
    case WIRE_STEP_DONE:
        c->done = true;
        c->exit_status = ((Sl__StepDone *)m->body)->exit_status;
        c->state = ((Sl__StepDone *)m->body)->state;
        break;
    default:
        fail_msg("unexpected message %d", m->type);
    }
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    struct test_client *c = arg;
    (void)l;
    (void)why;
    c->down = true;
    c->link = NULL;
}

const struct wire_link_ops client_ops = {.message = on_message, .down = on_down};

static bool answered(struct test_daemon *d, void *arg)
{
    const struct test_client *c = arg;
    (void)d;
    return c->attached || c->refused || c->down;
}

void client_attach(struct test_client *c, struct test_daemon *d, size_t sup, uint32_t kind,
                   uid_t uid)
{
    Sl__IoAttach a = SL__IO_ATTACH__INIT;
    memset(c, 0, sizeof(*c));
    c->link = daemon_route(d, sup, "step", uid, &client_ops, c);
    a.kind = kind;
    a.want_stdout = a.want_stderr = true;
    wire_link_send(c->link, WIRE_IO_ATTACH, 5, &a.base, NULL);
    daemon_until(d, answered, c, "the answer to IO_ATTACH");
}

static bool done(struct test_daemon *d, void *arg)
{
    (void)d;
    return ((struct test_client *)arg)->done;
}

void client_until_done(struct test_client *c, struct test_daemon *d)
{
    daemon_until(d, done, c, "STEP_DONE");
    wire_link_close(c->link);
    c->link = NULL;
}

struct wanted {
    struct test_client *c;
    uint32_t rank;
    const char *text;
};

static bool out_there(struct test_daemon *d, void *arg)
{
    const struct wanted *w = arg;
    (void)d;
    return strstr(buf_str(&w->c->out[1][w->rank]), w->text) != NULL;
}

void client_until_out(struct test_client *c, struct test_daemon *d, uint32_t rank,
                      const char *text)
{
    struct wanted w = {c, rank, text};
    daemon_until(d, out_there, &w, text);
}

void client_input(struct test_client *c, uint32_t task, const char *text, bool eof)
{
    Sl__IoData m = SL__IO_DATA__INIT;
    m.task = task;
    m.data.data = (uint8_t *)(uintptr_t)text;
    m.data.len = strlen(text);
    m.eof = eof;
    wire_link_send(c->link, WIRE_IO_DATA, 0, &m.base, NULL);
}

void client_signal(struct test_client *c, uint32_t signal, const uint32_t *ranks, size_t n)
{
    Sl__StepSignal m = SL__STEP_SIGNAL__INIT;
    m.signal = signal;
    m.terminate = signal == 0;
    m.tasks = (uint32_t *)(uintptr_t)ranks;
    m.n_tasks = n;
    m.kill_wait_usec = USEC_PER_SEC;
    wire_link_send(c->link, WIRE_STEP_SIGNAL, 0, &m.base, NULL);
}

void client_close(struct test_client *c)
{
    wire_link_close(c->link);
    for (unsigned fd = 0; fd < 3; fd++)
        for (unsigned r = 0; r < CLIENT_RANKS; r++)
            buf_fini(&c->out[fd][r]);
    buf_fini(&c->text);
    c->link = NULL;
}
