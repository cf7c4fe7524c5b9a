/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "control.h"
#include "jobctl.h"
#include "loop.h"
#include "nodes.h"
#include "query.h"
#include "stats.h"
#include "submit.h"
#include "tenants.h"
#include "users.h"
#include "watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct held {
    uint64_t generation;
    uint32_t tag;
    struct held *next;
    size_t bytes;
    char frame[];
};

struct holder { /* how many sessions a user has */
    uid_t uid;
    unsigned count;
    UT_hash_handle hh; /* by uid */
};

struct sessions {
    struct session *by_id;
    struct holder *holders;
    struct session *holding; /* sessions with held frames */
    uint64_t id_last;
};

/* ---- requests -------------------------------------------------------------------- */

struct request {
    enum wire_type type;
    void (*handle)(struct ctld *d, struct session *s, struct wire_msg *m);
    bool writes; /* refused while the store cannot be written */
};

static const struct request requests[] = {
    {WIRE_SUBMIT, submit_handle, true},
    {WIRE_WATCH, watch_handle, false},
    {WIRE_CANCEL, jobctl_cancel, true},
    {WIRE_JOB_OP, jobctl_op, true},
    {WIRE_UPDATE, jobctl_update, true},
    {WIRE_TENANT, tenants_handle, true},
    {WIRE_QUERY, query_handle, false},
    {WIRE_CONTROL, control_handle, false},
    {WIRE_SCRIPT, submit_script, false},
    {WIRE_NODE_REGISTER, nodes_register, false},
    {WIRE_NODE_PING, nodes_ping, false},
    {WIRE_JOB_REPORTS, nodes_reports, false},
};

static const struct request *request_find(enum wire_type type)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        if (requests[i].type == type)
            return &requests[i];
    return NULL;
}

static void session_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct session *s = arg;
    struct ctld *d = s->d;
    const struct request *r = request_find(m->type);
    const struct wire_type_info *info = wire_type_info(m->type);
    const struct wire_peer *peer = wire_link_peer(l);
    struct err err;

    if (!r) {
        log_warn("session", "peer=%s uid=%u type=%s is no request", peer->addr,
                 (unsigned)s->uid, info ? info->name : "?");
        err_set(&err, SL_EPROTO, "%s is not a request to the controller",
                info ? info->name : "this message");
        session_error(s, m->tag, &err);
    } else if (wire_who_check(info, peer, d->node_uid, d->self_uid) < 0) {
        err_set(&err, SL_EACCESS, "%s: uid %u may not send %s", err_name(SL_EACCESS),
                (unsigned)s->uid, info->name);
        session_error(s, m->tag, &err);
    } else if (d->stopping) {
        err_set(&err, SL_ECTLD_DOWN, "the controller is shutting down");
        session_error(s, m->tag, &err);
    } else if (r->writes && loop_failing(d, &err)) {
        session_error(s, m->tag, &err);
    } else {
        usec_t began = clock_mono_usec();
        uid_t uid = s->uid; /* the session may end on the way */
        enum wire_type type = m->type;
        r->handle(d, s, m);
        stats_request(d, type, uid, clock_mono_usec() - began);
    }
}

/* ---- life ------------------------------------------------------------------------- */

static unsigned holder_count(const struct sessions *all, uid_t uid)
{
    const struct holder *h;
    HASH_FIND(hh, all->holders, &uid, sizeof(uid), h);
    return h ? h->count : 0;
}

static void holder_change(struct sessions *all, uid_t uid, int by)
{
    struct holder *h;
    HASH_FIND(hh, all->holders, &uid, sizeof(uid), h);
    if (!h) {
        h = xcalloc(1, sizeof(*h));
        h->uid = uid;
        HASH_ADD(hh, all->holders, uid, sizeof(h->uid), h);
    }
    h->count += (unsigned)by;
    if (h->count > 0)
        return;
    HASH_DEL(all->holders, h);
    free(h);
}

static void session_free(struct session *s)
{
    struct sessions *all = s->d->sessions;
    struct held *h;

    watch_session_gone(s);
    query_session_gone(s);
    nodes_session_gone(s);
    if (s->held_first)
        DL_DELETE2(all->holding, s, held_prev, held_next);
    while ((h = s->held_first)) {
        s->held_first = h->next;
        free(h);
    }
    HASH_DEL(all->by_id, s);
    holder_change(all, s->uid, -1);
    free(s);
}

static void session_down(struct wire_link *l, const char *why, void *arg)
{
    struct session *s = arg;
    if (why[0])
        log_verbose("session", "peer=%s uid=%u %s", wire_link_peer(l)->addr, (unsigned)s->uid,
                    why);
    s->ended = wire_link_peer(l)->local; /* of others the network may have been cut */
    session_free(s);
}

void session_close(struct session *s)
{
    struct wire_link *l = s->link;
    session_free(s);
    wire_link_close(l);
}

void session_finish(struct session *s)
{
    struct wire_link *l = s->link;
    session_free(s);
    wire_link_finish(l);
}

static void session_link_drained(struct wire_link *l, void *arg)
{
    (void)l;
    query_resume(arg);
}

static const struct wire_link_ops session_ops = {
    .message = session_message,
    .down = session_down,
    .drained = session_link_drained,
};

static void session_accepted(struct wire_link *l, void *arg)
{
    struct ctld *d = arg;
    struct sessions *all = d->sessions;
    const struct wire_peer *peer = wire_link_peer(l);

    if (HASH_COUNT(all->by_id) >= CLIENTS_MAX) {
        log_warn("session", "peer=%s uid=%u refused: %u connections are open", peer->addr,
                 (unsigned)peer->uid, CLIENTS_MAX);
        wire_link_close(l);
        return;
    }
    bool admin = peer->uid == 0 || peer->uid == d->self_uid;
    if (!admin && peer->uid != d->node_uid &&
        holder_count(all, peer->uid) >= CLIENTS_PER_USER_MAX) {
        log_warn("session", "peer=%s uid=%u refused: the user has %u connections", peer->addr,
                 (unsigned)peer->uid, CLIENTS_PER_USER_MAX);
        wire_link_close(l);
        return;
    }
    struct session *s = xcalloc(1, sizeof(*s));
    s->id = ++all->id_last;
    s->d = d;
    s->link = l;
    s->uid = peer->uid;
    s->gid = peer->gid;
    s->admin = admin;
    holder_change(all, s->uid, 1);
    s->held_last = &s->held_first;
    HASH_ADD(hh, all->by_id, id, sizeof(s->id), s);
    wire_link_set_full(l, SESSION_QUEUE_BYTES);
    wire_link_set_ops(l, &session_ops, s);
}

const struct wire_listener_ops session_listener_ops = {.accepted = session_accepted};

struct sessions *sessions_create(struct ctld *d)
{
    (void)d;
    return xcalloc(1, sizeof(struct sessions));
}

void sessions_destroy(struct sessions *all)
{
    if (!all)
        return;
    while (all->by_id)
        session_close(all->by_id);
    free(all);
}

size_t sessions_count(const struct ctld *d)
{
    return HASH_COUNT(d->sessions->by_id);
}

struct session *session_find(const struct ctld *d, uint64_t id)
{
    struct session *s;
    HASH_FIND(hh, d->sessions->by_id, &id, sizeof(id), s);
    return s;
}

struct actor session_actor(struct session *s)
{
    const struct user *u = users_get(s->d->users, s->uid, ctld_now(s->d));
    /* sacctmgr's operators act as administrators do */
    bool admin = s->admin || core_user_level(s->d->core, u->name) > 0;
    return (struct actor){.uid = s->uid, .gid = s->gid, .admin = admin, .user = u->name};
}

/* ---- answers ------------------------------------------------------------------------ */

/* A frame that cannot be queued means a peer that does not read, or an answer
 * over its bound: the peer learns it as an error or by the end of the connection. */
static void session_send_failed(struct session *s, uint32_t tag, const struct err *err)
{
    log_warn("session", "peer=%s uid=%u %s", wire_link_peer(s->link)->addr, (unsigned)s->uid,
             err->text);
    Sl__ErrorReply reply = SL__ERROR_REPLY__INIT;
    reply.code = err->code;
    reply.text = (char *)err->text;
    (void)wire_link_send(s->link, WIRE_ERROR, tag, &reply.base, NULL);
}

void session_send_now(struct session *s, enum wire_type type, uint32_t tag,
                      const ProtobufCMessage *body)
{
    struct err err;
    if (wire_link_send(s->link, type, tag, body, &err) < 0)
        session_send_failed(s, tag, &err);
}

void session_send(struct session *s, enum wire_type type, uint32_t tag,
                  const ProtobufCMessage *body, uint64_t generation)
{
    struct sessions *all = s->d->sessions;
    struct buf frame;
    struct err err;

    if (!s->held_first && loop_is_durable(s->d, generation)) {
        session_send_now(s, type, tag, body);
        return;
    }
    buf_init(&frame);
    if (wire_pack(&frame, type, tag, body, &err) < 0) {
        session_send_failed(s, tag, &err);
        buf_fini(&frame);
        return;
    }
    struct held *h = xmalloc(sizeof(*h) + frame.len);
    *h = (struct held){.generation = generation, .tag = tag, .bytes = frame.len};
    memcpy(h->frame, frame.data, frame.len);
    buf_fini(&frame);
    if (!s->held_first)
        DL_APPEND2(all->holding, s, held_prev, held_next);
    *s->held_last = h;
    s->held_last = &h->next;
    s->held_bytes += h->bytes;
}

void session_error(struct session *s, uint32_t tag, const struct err *err)
{
    Sl__ErrorReply reply = SL__ERROR_REPLY__INIT;
    reply.code = err->code;
    reply.text = (char *)err->text;
    session_send_now(s, WIRE_ERROR, tag, &reply.base);
}

static void session_release(struct session *s)
{
    struct sessions *all = s->d->sessions;
    struct held *h;

    while ((h = s->held_first) && loop_is_durable(s->d, h->generation)) {
        s->held_first = h->next;
        s->held_bytes -= h->bytes;
        if (wire_link_send_packed(s->link, h->frame, h->bytes) < 0)
            log_warn("session", "peer=%s uid=%u does not read: %zu bytes dropped",
                     wire_link_peer(s->link)->addr, (unsigned)s->uid, h->bytes);
        free(h);
    }
    if (!s->held_first) {
        s->held_last = &s->held_first;
        DL_DELETE2(all->holding, s, held_prev, held_next);
    }
    query_resume(s);
}

void sessions_release(struct ctld *d)
{
    struct session *s, *next;
    DL_FOREACH_SAFE2(d->sessions->holding, s, next, held_next)
        session_release(s);
}

void session_refuse_held(struct ctld *d, uint64_t id, uint32_t tag, const struct err *err)
{
    struct session *s = session_find(d, id);
    if (!s)
        return;
    bool held = s->held_first != NULL;
    struct held **at = &s->held_first, *h;
    while ((h = *at)) {
        if (h->tag != tag) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        s->held_bytes -= h->bytes;
        free(h);
    }
    s->held_last = at;
    if (held && !s->held_first)
        DL_DELETE2(d->sessions->holding, s, held_prev, held_next);
    session_error(s, tag, err);
}

bool session_full(const struct session *s)
{
    return s->held_bytes > SESSION_QUEUE_BYTES || wire_link_full(s->link);
}

size_t sessions_queued(const struct ctld *d)
{
    size_t bytes = 0;
    struct session *s, *next;
    HASH_ITER(hh, d->sessions->by_id, s, next)
        bytes += s->held_bytes + wire_link_queued(s->link);
    return bytes;
}
