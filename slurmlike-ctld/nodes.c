/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes.h"

#include "loop.h"
#include "persist.h"

#include <stdlib.h>
#include <string.h>

struct node_peer { /* of a session that registered a node */
    struct session *s;
    uint32_t index;
    char *name;
    usec_t last_seen; /* monotonic */
};

struct nodes {
    struct node_peer **by_index; /* NULL: not connected */
    size_t cap;
    char *conf_text; /* what nodes get */
    struct event *check;
};

struct session *nodes_session(const struct ctld *d, uint32_t index)
{
    const struct nodes *n = d->nodes;
    return index < n->cap && n->by_index[index] ? n->by_index[index]->s : NULL;
}

/* ---- liveness -------------------------------------------------------------------------------- */

static void node_lost(struct ctld *d, const char *name)
{
    struct command cmd = {.kind = CMD_NODE_LOST, .actor = {.admin = true, .user = ""}};
    struct err err;

    cmd.node.name = name;
    if (loop_apply(d, &cmd, &err) < 0)
        log_error("node", "node=%s lost: %s", name, err.text);
}

static void peer_free(struct node_peer *p)
{
    p->s->node = NULL;
    free(p->name);
    free(p);
}

void nodes_session_gone(struct session *s)
{
    struct ctld *d = s->d;
    struct node_peer *p = s->node;

    if (!p)
        return;
    bool current = d->nodes->by_index[p->index] == p;
    if (current)
        d->nodes->by_index[p->index] = NULL;
    if (current && !d->stopping) {
        log_info("node", "node=%s disconnected", p->name);
        node_lost(d, p->name);
    }
    peer_free(p);
}

static void check_arm(struct ctld *d)
{
    usec_t span = d->conf->node_ping_interval;
    struct timeval tv = {.tv_sec = span / USEC_PER_SEC, .tv_usec = span % USEC_PER_SEC};
    event_add(d->nodes->check, &tv);
}

static void nodes_check(evutil_socket_t fd, short what, void *arg)
{
    struct ctld *d = arg;
    struct nodes *n = d->nodes;
    usec_t limit = NODE_SILENT_PINGS * d->conf->node_ping_interval;
    usec_t now = clock_mono_usec();
    (void)fd;
    (void)what;

    for (size_t i = 0; i < n->cap; i++) {
        struct node_peer *p = n->by_index[i];
        if (p && now - p->last_seen > limit) {
            log_warn("node", "node=%s silent for %llu s", p->name,
                     (unsigned long long)((now - p->last_seen) / USEC_PER_SEC));
            session_close(p->s);
        }
    }
    check_arm(d);
}

/* ---- reports ----------------------------------------------------------------------------------- */

static void report_take(struct ctld *d, const char *node, const Sl__JobReport *r)
{
    struct command cmd = {.kind = CMD_REPORT, .actor = {.admin = true, .user = ""}};
    struct err err;

    cmd.report.node = node;
    cmd.report.report = r;
    if (r->step) /* the node does not know by whom */
        r->step->kill_uid = persist_step_killer(d, r);
    if (r->kind == SL__REPORT_KIND__REPORT_STEP_END && !r->step)
        persist_step_died(d, r); /* before the core forgets what it knows of it */
    /* One that the core will not have is acknowledged all the same: it would be
     * repeated for ever. */
    if (loop_apply(d, &cmd, &err) < 0)
        log_warn("node", "node=%s job=%u report %d: %s", node, r->job_id, (int)r->kind,
                 err.text);
    else if (r->kind == SL__REPORT_KIND__REPORT_STEP_START ||
             r->kind == SL__REPORT_KIND__REPORT_STEP_END)
        persist_step_report(d, r);
}

static void reports_take(struct session *s, const char *node, Sl__JobReport *const *reports,
                         size_t count)
{
    Sl__ReportAck ack = SL__REPORT_ACK__INIT;

    for (size_t i = 0; i < count; i++) {
        report_take(s->d, node, reports[i]);
        if (reports[i]->seq > ack.seq)
            ack.seq = reports[i]->seq;
    }
    if (count)
        session_send(s, WIRE_REPORT_ACK, 0, &ack.base, loop_generation(s->d));
}

static bool registered(struct session *s, uint32_t tag)
{
    struct err err;

    if (s->node) {
        s->node->last_seen = clock_mono_usec();
        return true;
    }
    err_set(&err, SL_EPROTO, "this connection has not registered a node");
    session_error(s, tag, &err);
    return false;
}

void nodes_reports(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__JobReports *r = (const Sl__JobReports *)m->body;
    (void)d;
    if (registered(s, m->tag))
        reports_take(s, s->node->name, r->reports, r->n_reports);
}

void nodes_ping(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__NodePing *r = (const Sl__NodePing *)m->body;
    struct command cmd = {.kind = CMD_NODE_PING, .actor = {.admin = true, .user = ""}};
    Sl__NodePong pong = SL__NODE_PONG__INIT;
    struct err err;

    if (!registered(s, m->tag))
        return;
    cmd.node.name = s->node->name;
    cmd.node.load1 = r->load1;
    cmd.node.mem_free_mib = r->mem_free_mib;
    cmd.node.usage = (const Sl__StepUsage *const *)r->usage;
    cmd.node.usage_count = r->n_usage;
    if (loop_apply(d, &cmd, &err) < 0)
        log_warn("node", "node=%s ping: %s", s->node->name, err.text);
    pong.sent = r->sent;
    session_send_now(s, WIRE_NODE_PONG, m->tag, &pong.base);
}

/* ---- registration -------------------------------------------------------------------------------- */

static void refuse(struct session *s, uint32_t tag, const char *name, const char *why)
{
    Sl__NodeRegistered reply = SL__NODE_REGISTERED__INIT;

    log_warn("node", "node=%s peer=%s refused: %s", name, wire_link_peer(s->link)->addr, why);
    reply.epoch = s->d->epoch;
    reply.error = (char *)why;
    session_send_now(s, WIRE_NODE_REGISTERED, tag, &reply.base);
    session_finish(s);
}

static int register_check(const struct ctld *d, const struct session *s,
                          const Sl__NodeRegister *r, struct err *err)
{
    if (!r->name[0] || strlen(r->name) > NAME_LEN_MAX)
        return err_set(err, SL_EINVAL_NODE, "a node needs a name of 1 to %u characters",
                       NAME_LEN_MAX);
    if (!r->topo)
        return err_set(err, SL_EPROTO, "node %s: registration without a topology", r->name);
    if (r->port == 0 || r->port > UINT16_MAX)
        return err_set(err, SL_EINVAL_FIELD, "node %s: port %u", r->name, r->port);
    if (r->epoch_seen > d->epoch)
        return err_set(err, SL_EINVAL_STATE,
                       "node %s has obeyed controller epoch %llu, this one has %llu: its store "
                       "is older than what the nodes know",
                       r->name, (unsigned long long)r->epoch_seen,
                       (unsigned long long)d->epoch);
    if (s->node && strcmp(s->node->name, r->name) != 0)
        return err_set(err, SL_EPROTO, "node %s: the connection is node %s's", r->name,
                       s->node->name);
    return 0;
}

static void peer_put(struct session *s, uint32_t index, const char *name)
{
    struct nodes *n = s->d->nodes;

    if (index >= n->cap) {
        size_t cap = n->cap ? 2 * n->cap : 64;
        while (cap <= index)
            cap *= 2;
        n->by_index = xrealloc(n->by_index, cap * sizeof(struct node_peer *));
        memset(n->by_index + n->cap, 0, (cap - n->cap) * sizeof(struct node_peer *));
        n->cap = cap;
    }
    struct node_peer *old = n->by_index[index];
    if (old && old->s != s) { /* it came back before its old connection was seen to end */
        n->by_index[index] = NULL;
        log_info("node", "node=%s connected anew", name);
        session_close(old->s);
    }
    if (!s->node) {
        s->node = xcalloc(1, sizeof(*s->node));
        s->node->s = s;
        s->node->name = xstrdup(name);
    }
    s->node->index = index;
    s->node->last_seen = clock_mono_usec();
    n->by_index[index] = s->node;
}

static void conf_send(struct session *s, uint32_t tag)
{
    Sl__NodeRegistered reply = SL__NODE_REGISTERED__INIT;

    reply.epoch = s->d->epoch;
    reply.conf = s->d->nodes->conf_text;
    session_send_now(s, WIRE_NODE_REGISTERED, tag, &reply.base);
}

void nodes_register(struct ctld *d, struct session *s, struct wire_msg *m)
{
    const Sl__NodeRegister *r = (const Sl__NodeRegister *)m->body;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true, .user = ""}};
    struct err err;

    if (register_check(d, s, r, &err) < 0) {
        refuse(s, m->tag, r->name, err.text);
        return;
    }
    /* What it has to report comes before the comparison of what runs. */
    reports_take(s, r->name, r->reports, r->n_reports);
    cmd.reg = r;
    if (loop_apply(d, &cmd, &err) < 0) {
        refuse(s, m->tag, r->name, err.text);
        return;
    }
    long index = core_node_find(d->core, r->name);
    ASSERT(index >= 0);
    peer_put(s, (uint32_t)index, r->name);
    log_info("node", "node=%s addr=%s port=%u jobs=%zu reports=%zu registered", r->name,
             r->addr, r->port, r->n_jobs, r->n_reports);
    conf_send(s, m->tag);
}

/* ---- effects -------------------------------------------------------------------------------------- */

void nodes_terminate(struct ctld *d, const struct effect *e)
{
    struct session *s = nodes_session(d, e->node);
    Sl__Terminate m = SL__TERMINATE__INIT;

    if (!s)
        return;
    m.epoch = d->epoch;
    m.job_id = e->job_id;
    m.restart = e->term.any_restart ? UINT32_MAX : e->restart;
    m.signal = e->term.signal;
    m.batch_only = e->term.batch_only;
    m.full = e->term.full;
    m.step_id = e->term.step_id;
    m.has_step = e->term.has_step;
    m.kill_wait_usec = e->term.kill_wait;
    m.reason = (char *)e->text;
    m.suspend = e->term.suspend;
    m.resume = e->term.resume;
    m.state = e->term.state;
    m.unowned = e->term.unowned;
    m.part_lost = e->term.part_lost;
    session_send_now(s, WIRE_TERMINATE, 0, &m.base);
}

void nodes_shut(struct ctld *d, uint32_t index, const char *why)
{
    struct session *s = nodes_session(d, index);
    if (s)
        refuse(s, 0, s->node->name, why);
}

void nodes_conf_changed(struct ctld *d)
{
    struct nodes *n = d->nodes;

    free(n->conf_text);
    n->conf_text = conf_save_text(d->conf);
    for (size_t i = 0; i < n->cap; i++)
        if (n->by_index[i])
            conf_send(n->by_index[i]->s, 0);
}

struct nodes *nodes_create(struct ctld *d)
{
    struct nodes *n = xcalloc(1, sizeof(*n));
    n->conf_text = conf_save_text(d->conf);
    n->check = evtimer_new(d->base, nodes_check, d);
    ASSERT(n->check);
    d->nodes = n;
    check_arm(d);
    return n;
}

void nodes_destroy(struct nodes *n)
{
    if (!n)
        return;
    event_free(n->check);
    free(n->by_index);
    free(n->conf_text);
    free(n);
}
