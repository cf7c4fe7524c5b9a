/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include "job/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUED_AFTER (250 * 1000)   /* a job that starts sooner was not queued in a user's eyes */
#define RETRY_EVERY (USEC_PER_SEC / 2)

int alloc_init(struct alloc *a, const char *program, bool quiet, struct err *err)
{
    memset(a, 0, sizeof(*a));
    a->program = program;
    a->quiet = quiet;
    return client_init(&a->client, program, err);
}

static void last_drop(struct alloc *a)
{
    if (a->last != NULL)
        sl__job_event__free_unpacked(a->last, NULL);
    a->last = NULL;
}

void alloc_fini(struct alloc *a)
{
    last_drop(a);
    client_fini(&a->client);
}

int alloc_submit(struct alloc *a, Sl__SubmitRequest *q, struct err *err)
{
    struct wire_msg m;
    q->watch = true;
    int rc = client_call(&a->client, WIRE_SUBMIT, &q->base, WIRE_SUBMIT_REPLY, 0, &m, err);
    if (rc != 0)
        return rc;
    const Sl__SubmitReply *reply = (const Sl__SubmitReply *)m.body;
    a->job_id = reply->job_id;
    if (reply->message[0] != '\0')
        command_say(a->program, "%s", reply->message);
    wire_msg_clear(&m);
    a->submitted = clock_mono_usec();
    return 0;
}

int alloc_watch(struct alloc *a, uint32_t job_id, bool reattach, struct err *err)
{
    Sl__WatchRequest w = SL__WATCH_REQUEST__INIT;
    uint32_t tag;
    w.job_id = job_id;
    w.reattach = reattach;
    a->job_id = job_id;
    int rc = client_connect(&a->client, 0, err);
    return rc == 0 ? client_send(&a->client, WIRE_WATCH, &w.base, &tag, err) : rc;
}

int alloc_fd(const struct alloc *a)
{
    return a->client.conn != NULL ? wire_conn_fd(a->client.conn) : -1;
}

bool alloc_granted(const struct alloc *a)
{
    return a->last != NULL && a->last->alloc != NULL && a->last->alloc->n_nodes != 0 &&
           (a->last->state == JOB_RUNNING || a->last->state == JOB_SUSPENDED);
}

bool alloc_ended(const struct alloc *a)
{
    return a->last != NULL && job_state_finished((enum job_state)a->last->state);
}

bool alloc_waits(const struct alloc *a)
{
    return a->last != NULL && a->last->state == JOB_PENDING;
}

static bool queued_due(const struct alloc *a)
{
    return !a->quiet && !a->said_queued && !a->said_granted && a->submitted != 0 && !alloc_granted(a) &&
           !alloc_ended(a);
}

int alloc_poll_timeout(const struct alloc *a)
{
    usec_t now = clock_mono_usec(), at = INT64_MAX;
    if (a->client.conn != NULL && client_event_pending(&a->client))
        return 0;
    if (queued_due(a))
        at = a->submitted + QUEUED_AFTER;
    if (a->lost && a->retry_at < at)
        at = a->retry_at;
    if (at == INT64_MAX)
        return -1;
    return at <= now ? 0 : (int)((at - now) / 1000 + 1);
}

/* Keeps the event, says what a user waits for. Takes the body over. */
static void event_take(struct alloc *a, Sl__JobEvent *ev)
{
    last_drop(a);
    a->last = ev;
    if (!alloc_granted(a))
        return;
    if (a->said_queued && !a->said_granted)
        command_say(a->program, "job %u has been allocated resources", a->job_id);
    a->said_granted = true;
}

static void controller_lost(struct alloc *a)
{
    client_disconnect(&a->client);
    a->lost = true;
    a->retry_at = clock_mono_usec() + RETRY_EVERY;
}

static int controller_retry(struct alloc *a, struct err *err)
{
    struct err why = {0};
    int rc = alloc_watch(a, a->job_id, true, &why);
    if (rc == 0) {
        a->lost = false;
        if (a->said_lost)
            command_say(a->program, "the controller answers again");
        a->said_lost = false;
        return 0;
    }
    controller_lost(a);
    if (rc != SL_ECTLD_DOWN && why.code != -ECONNRESET && why.code != -EPIPE)
        return err_set(err, rc, "%s", why.text);
    if (!a->said_lost && !a->quiet)
        command_say(a->program, "the controller does not answer, trying again");
    a->said_lost = true;
    return 0;
}

static int message_take(struct alloc *a, struct wire_msg *m, struct err *err)
{
    int rc = 0;
    if (m->type == WIRE_JOB_EVENT) {
        Sl__JobEvent *ev = (Sl__JobEvent *)m->body;
        if (ev->job_id == a->job_id) {
            event_take(a, ev);
            m->body = NULL;
            return 1;
        }
    } else if (m->type == WIRE_ERROR) {
        const Sl__ErrorReply *e = (const Sl__ErrorReply *)m->body;
        rc = err_set(err, e->code < 0 ? e->code : SL_EPROTO, "%s", e->text);
    }
    wire_msg_clear(m);
    return rc;
}

int alloc_pump(struct alloc *a, struct err *err)
{
    int changed = 0;

    if (a->lost && clock_mono_usec() >= a->retry_at) {
        int rc = controller_retry(a, err);
        if (rc < 0)
            return rc;
    }
    while (!a->lost) {
        struct wire_msg m;
        struct err why = {0};
        int rc = client_event(&a->client, 0, &m, &why);
        if (rc == 0)
            break;
        if (rc < 0) {
            controller_lost(a);
            break;
        }
        rc = message_take(a, &m, err);
        if (rc < 0)
            return rc;
        changed |= rc;
    }
    if (queued_due(a) && clock_mono_usec() >= a->submitted + QUEUED_AFTER) {
        a->said_queued = true;
        if (a->say_pending)
            command_say(a->program, "Pending job allocation %u", a->job_id);
        command_say(a->program, "job %u queued and waiting for resources", a->job_id);
    }
    return changed;
}

void alloc_cancel(struct alloc *a)
{
    Sl__CancelRequest q = SL__CANCEL_REQUEST__INIT;
    struct wire_msg m;
    char id[16], *ids[1] = {id};
    if (a->job_id == 0)
        return;
    snprintf(id, sizeof(id), "%u", a->job_id);
    q.job_ids = ids;
    q.n_job_ids = 1;
    if (client_call(&a->client, WIRE_CANCEL, &q.base, WIRE_ACK, 5 * USEC_PER_SEC, &m, NULL) == 0)
        wire_msg_clear(&m);
}

void alloc_complete(struct alloc *a, int status)
{
    Sl__JobOpRequest q = SL__JOB_OP_REQUEST__INIT;
    struct wire_msg m;
    char id[16], *ids[1] = {id};
    snprintf(id, sizeof(id), "%u", a->job_id);
    q.op = SL__JOB_OP__JOB_OP_COMPLETE;
    q.job_ids = ids;
    q.n_job_ids = 1;
    q.exit_status = (uint32_t)status;
    if (client_call(&a->client, WIRE_JOB_OP, &q.base, WIRE_ACK, 5 * USEC_PER_SEC, &m, NULL) == 0)
        wire_msg_clear(&m);
}
