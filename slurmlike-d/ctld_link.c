/* SPDX-License-Identifier: Apache-2.0
 *
 * The link to the controller: dialled from here, again and again with a growing
 * pause; the first message is NODE_REGISTER with what runs and what was not yet
 * acknowledged. Epochs: a controller with a lower epoch than one obeyed before has been
 * superseded and is not listened to. Each ping is answered: a controller that is silent for
 * NODE_SILENT_PINGS of them is dialled anew, so that a healed network is found
 * at once and not when TCP tries again.
 */
#include "noded.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MSEC_FIRST 50
#define RETRY_MSEC_MAX 2000
#define REPORTS_PER_FRAME 1024
#define LATER_MSEC 10 /* ctld_link_kick_later */
#define USAGE_PER_PING_MAX 256 /* the others go with the next */

struct ctld_link {
    struct noded *d;
    struct wire_link *link;
    bool registered;
    uint64_t epoch;
    struct event *retry, *ping, *flush;
    unsigned retry_msec;
    usec_t heard; /* monotonic: last message, or when the link came up */
    Sl__NodeRegister *inventory;
    bool said_down; /* log once an outage */
};

static void link_dial(struct ctld_link *c);

static void timer_set(struct event *e, usec_t span)
{
    struct timeval tv = {span / USEC_PER_SEC, span % USEC_PER_SEC};
    evtimer_add(e, &tv);
}

static void link_retry(struct ctld_link *c)
{
    c->link = NULL;
    c->registered = false;
    evtimer_del(c->ping);
    if (c->d->stopping)
        return;
    timer_set(c->retry, c->retry_msec * (usec_t)1000);
    if (c->retry_msec < RETRY_MSEC_MAX)
        c->retry_msec *= 2;
}

/* ---- registration -------------------------------------------------------------------- */

static uint64_t epoch_read(const struct noded *d)
{
    unsigned long long epoch = 0;
    char *path = xasprintf("%s/epoch", d->spool);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%llu", &epoch) != 1)
        epoch = 0;
    if (f)
        fclose(f);
    free(path);
    return epoch;
}

static void epoch_write(const struct noded *d, uint64_t epoch)
{
    char *path = xasprintf("%s/epoch", d->spool);
    FILE *f = fopen(path, "we");
    if (!f)
        log_error("ctld", "%s: %s", path, strerror(errno));
    else {
        fprintf(f, "%llu\n", (unsigned long long)epoch);
        fclose(f);
    }
    free(path);
}

/* Jobs of this node with their steps; arrays are freed by jobs_list_free. */
static void jobs_list(struct noded *d, Sl__NodeRegister *r)
{
    size_t n = HASH_COUNT(d->jobs), i = 0;
    r->jobs = xcalloc(n, sizeof(*r->jobs));
    for (struct job *j = d->jobs; j; j = j->hh.next) {
        Sl__NodeJob *out = xmalloc(sizeof(*out));
        sl__node_job__init(out);
        out->job_id = j->key.job_id;
        out->restart = j->key.restart;
        out->steps = xcalloc(j->steps_count, sizeof(*out->steps));
        for (struct step *s = d->steps; s; s = s->hh.next)
            if (s->job == j && out->n_steps < j->steps_count)
                out->steps[out->n_steps++] = s->key.step_id;
        r->jobs[i++] = out;
    }
    r->n_jobs = n;
}

static void jobs_list_free(Sl__NodeRegister *r)
{
    for (size_t i = 0; i < r->n_jobs; i++) {
        free(r->jobs[i]->steps);
        free(r->jobs[i]);
    }
    free(r->jobs);
    r->jobs = NULL;
    r->n_jobs = 0;
}

static void on_up(struct wire_link *l, void *arg)
{
    struct ctld_link *c = arg;
    struct err err;
    c->heard = clock_mono_usec();
    timer_set(c->ping, c->d->conf->node_ping_interval);
    Sl__NodeRegister r = *c->inventory;
    jobs_list(c->d, &r);
    report_log_rewind(c->d->reports);
    r.reports = report_log_pending(c->d->reports, &r.n_reports);
    r.epoch_seen = c->epoch;
    if (wire_link_send(l, WIRE_NODE_REGISTER, 1, &r.base, &err) < 0)
        log_error("ctld", "registration not sent: %s", err.text);
    jobs_list_free(&r);
}

static void conf_take(struct noded *d, const char *text)
{
    struct err err;
    struct conf *fresh = conf_load_text(text, "the controller's configuration", &err);
    if (!fresh) {
        log_error("ctld", "configuration from the controller refused: %s", err.text);
        return;
    }
    bool same = d->conf_text && strcmp(d->conf_text, text) == 0;
    free(d->conf_text);
    d->conf_text = xstrdup(text);
    conf_destroy(d->conf);
    d->conf = fresh;
    if (!same)
        zygote_retire(d); /* the next step's zygote gets the new settings */
}

static void on_registered(struct ctld_link *c, const Sl__NodeRegistered *m)
{
    struct noded *d = c->d;
    struct err err;
    if (m->error[0]) {
        log_error("ctld", "the controller refuses this node: %s", m->error);
        return;
    }
    if (m->epoch < c->epoch) {
        log_error("ctld", "controller epoch %llu is older than %llu: superseded, ignored",
                  (unsigned long long)m->epoch, (unsigned long long)c->epoch);
        return;
    }
    if (m->epoch > c->epoch)
        epoch_write(d, m->epoch);
    c->epoch = m->epoch;
    if (m->conf[0])
        conf_take(d, m->conf);
    /* not for the first job to wait for: what it loads takes tens of milliseconds */
    if (zygote_start(d, &err) < 0)
        log_warn("ctld", "no zygote yet: %s", err.text);
    c->registered = true;
    c->retry_msec = RETRY_MSEC_FIRST;
    c->said_down = false;
    log_info("ctld", "registered as %s, epoch %llu", d->name, (unsigned long long)m->epoch);
    timer_set(c->ping, d->conf->node_ping_interval);
    ctld_link_kick(d);
}

/* ---- messages --------------------------------------------------------------------------- */

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct ctld_link *c = arg;
    struct noded *d = c->d;
    (void)l;
    c->heard = clock_mono_usec();
    if (m->type == WIRE_NODE_REGISTERED) {
        on_registered(c, (Sl__NodeRegistered *)m->body);
        return;
    }
    if (m->type == WIRE_ERROR) {
        log_error("ctld", "%s", ((Sl__ErrorReply *)m->body)->text);
        return;
    }
    if (!c->registered) {
        log_warn("ctld", "message %d before the registration was accepted", m->type);
        return;
    }
    switch (m->type) {
    case WIRE_LAUNCH:
        if (((Sl__Launch *)m->body)->epoch < c->epoch)
            break;
        job_launch(d, (Sl__Launch *)m->body);
        m->body = NULL; /* the job owns it */
        break;
    case WIRE_TERMINATE:
        if (((Sl__Terminate *)m->body)->epoch >= c->epoch)
            job_terminate(d, (Sl__Terminate *)m->body);
        break;
    case WIRE_REPORT_ACK:
        report_log_ack(d->reports, ((Sl__ReportAck *)m->body)->seq);
        break;
    case WIRE_NODE_PONG:
        break;
    default:
        log_warn("ctld", "unexpected message %d", m->type);
    }
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    struct ctld_link *c = arg;
    (void)l;
    if (!c->said_down)
        log_warn("ctld", "no controller at %s (%s); trying again until it is back",
                 c->d->controller, why[0] ? why : "connection closed");
    c->said_down = true;
    link_retry(c);
}

static const struct wire_link_ops ops = {.up = on_up, .message = on_message, .down = on_down};

static void link_dial(struct ctld_link *c)
{
    struct err err;
    struct wire_dial_opts dial = {.munge_socket = c->d->opts.munge_socket,
                                  .service_uid = c->d->ctld_uid,
                                  .timeout = 10 * USEC_PER_SEC};
    c->link = wire_link_dial(c->d->base, c->d->controller, &dial, &ops, c, &err);
    if (!c->link) {
        if (!c->said_down)
            log_warn("ctld", "%s; trying again", err.text);
        c->said_down = true;
        link_retry(c);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    link_dial(arg);
}

static bool link_silent(const struct ctld_link *c)
{
    return clock_mono_usec() - c->heard > NODE_SILENT_PINGS * c->d->conf->node_ping_interval;
}

static void on_ping(evutil_socket_t fd, short what, void *arg)
{
    struct ctld_link *c = arg;
    Sl__NodePing m = SL__NODE_PING__INIT;
    struct err err;
    (void)fd;
    (void)what;
    if (link_silent(c)) {
        wire_link_close(c->link);
        on_down(c->link, "silent", c);
        return;
    }
    timer_set(c->ping, c->d->conf->node_ping_interval);
    if (!c->registered)
        return;
    m.sent = clock_wall_usec();
    inventory_load(&m.load1, &m.mem_free_mib);
    Sl__StepUsage *usage[USAGE_PER_PING_MAX];
    m.usage = usage;
    m.n_usage = steps_usage(c->d, usage, USAGE_PER_PING_MAX);
    if (wire_link_send(c->link, WIRE_NODE_PING, 0, &m.base, &err) < 0)
        log_warn("ctld", "ping not sent: %s", err.text);
}

/* ---- reports ------------------------------------------------------------------------------- */

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct ctld_link *c = arg;
    size_t count;
    (void)fd;
    (void)what;
    evtimer_del(c->flush); /* one that was to come later is served */
    if (!c->registered)
        return;
    Sl__JobReport **r = report_log_unsent(c->d->reports, &count);
    while (count) {
        Sl__JobReports m = SL__JOB_REPORTS__INIT;
        struct err err;
        m.reports = r;
        m.n_reports = count < REPORTS_PER_FRAME ? count : REPORTS_PER_FRAME;
        if (wire_link_send(c->link, WIRE_JOB_REPORTS, 0, &m.base, &err) < 0)
            log_error("ctld", "reports not sent: %s", err.text);
        r += m.n_reports;
        count -= m.n_reports;
    }
}

/* Sent at the end of the loop turn, so that reports of one turn share a frame. */
void ctld_link_kick(struct noded *d)
{
    if (d->ctld && d->ctld->registered)
        event_active(d->ctld->flush, EV_TIMEOUT, 0);
}

void ctld_link_kick_later(struct noded *d)
{
    if (d->ctld && d->ctld->registered && !evtimer_pending(d->ctld->flush, NULL))
        timer_set(d->ctld->flush, LATER_MSEC * (usec_t)1000);
}

int ctld_link_start(struct noded *d, struct err *err)
{
    struct ctld_link *c = xcalloc(1, sizeof(*c));
    c->d = d;
    c->inventory = inventory_read(d, err);
    if (!c->inventory) {
        free(c);
        return err->code;
    }
    c->epoch = epoch_read(d);
    c->retry_msec = RETRY_MSEC_FIRST;
    c->retry = evtimer_new(d->base, on_retry, c);
    c->ping = evtimer_new(d->base, on_ping, c);
    c->flush = evtimer_new(d->base, on_flush, c);
    d->ctld = c;
    link_dial(c);
    return 0;
}

void ctld_link_stop(struct noded *d)
{
    struct ctld_link *c = d->ctld;
    if (!c)
        return;
    d->ctld = NULL;
    if (c->link)
        wire_link_close(c->link);
    event_free(c->retry);
    event_free(c->ping);
    event_free(c->flush);
    sl__node_register__free_unpacked(c->inventory, NULL);
    free(c);
}
