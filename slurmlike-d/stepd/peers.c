/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/peers.h"

#include "stepd/dlink.h"
#include "stepd/manager.h"

#include <stdlib.h>
#include <string.h>

struct peer {
    struct peers *peers;
    uint32_t index;         /* of the allocation; 0 is our own node */
    struct wire_link *link; /* NULL: none, or it broke */
    struct event *redial;
    usec_t redial_delay;
    usec_t down_since;      /* monotonic; 0: the link is up or was never wanted */
};
struct peers {
    struct step *step;
    struct peer *peer;
    uint32_t count;
};

static void peer_dial(struct peer *p);

static const char *peer_name(const struct peer *p)
{
    return p->peers->step->launch->job->alloc->nodes[p->index]->name;
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    (void)fd;
    (void)what;
    peer_dial(p);
    manager_node_up(p->peers->step, p->index);
}

/* Only steps that are there make a broken link worth another try. */
static void peer_broke(struct peer *p, const char *why)
{
    struct step *s = p->peers->step;
    usec_t now = clock_mono_usec();

    p->link = NULL;
    log_verbose("peers", "step=%s node=%s not connected: %s", s->name, peer_name(p), why);
    if (!p->down_since)
        p->down_since = now;
    if (!manager_node_matters(s, p->index)) {
        p->down_since = 0;
        return;
    }
    if (now - p->down_since >= PEER_LOST_USEC) {
        manager_node_lost(s, p->index);
        return;
    }
    timer_set(s, &p->redial, p->redial_delay, on_redial, p);
    p->redial_delay = p->redial_delay * 2 < REDIAL_USEC_MAX ? p->redial_delay * 2
                                                            : REDIAL_USEC_MAX;
}

static void on_up(struct wire_link *l, void *arg)
{
    struct peer *p = arg;
    (void)l;
    p->down_since = 0;
    p->redial_delay = REDIAL_USEC_MIN;
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct peer *p = arg;
    struct step *s = p->peers->step;
    (void)l;
    if (m->type == WIRE_STEP_LAUNCH_REPLY)
        manager_launch_reply(s, m->tag, (Sl__StepLaunchReply *)m->body);
    else if (m->type == WIRE_STEP_DONE)
        manager_step_done(s, p->index, m->tag);
    else
        log_warn("peers", "step=%s node=%s unexpected message type=%d", s->name, peer_name(p),
                 m->type);
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    (void)l;
    peer_broke(arg, why[0] ? why : "connection closed");
}

static const struct wire_link_ops peer_ops = {.up = on_up, .message = on_message,
                                              .down = on_down};

static void peer_dial(struct peer *p)
{
    struct step *s = p->peers->step;
    const Sl__AllocNode *n = s->launch->job->alloc->nodes[p->index];
    struct wire_dial_opts opts = {.munge_socket = s->opts->munge_socket,
                                  .service_uid = s->opts->node_uid,
                                  .timeout = 10 * USEC_PER_SEC};
    bool v6 = strchr(n->addr, ':') != NULL;
    char *target = xasprintf(v6 ? "[%s]:%u" : "%s:%u", n->addr, n->port);
    struct err err;

    p->link = wire_link_dial(s->base, target, &opts, &peer_ops, p, &err);
    free(target);
    if (!p->link)
        peer_broke(p, err.text);
}

struct peers *peers_create(struct step *s)
{
    struct peers *p = xcalloc(1, sizeof(*p));
    const Sl__Allocation *alloc = s->launch->job->alloc;
    p->step = s;
    p->count = alloc ? (uint32_t)alloc->n_nodes : 0;
    p->peer = xcalloc(p->count, sizeof(*p->peer));
    for (uint32_t i = 0; i < p->count; i++)
        p->peer[i] = (struct peer){.peers = p, .index = i, .redial_delay = REDIAL_USEC_MIN};
    return p;
}

void peers_destroy(struct peers *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->count; i++) {
        timer_stop(&p->peer[i].redial);
        wire_link_finish(p->peer[i].link);
    }
    free(p->peer);
    free(p);
}

void peers_send(struct peers *p, uint32_t alloc_index, enum wire_type type, uint32_t tag,
                const ProtobufCMessage *m)
{
    struct step *s = p->step;
    struct peer *peer = &p->peer[alloc_index];
    struct err err;
    int rc;

    if (alloc_index == 0) {
        rc = dlink_send(s, type, tag, m, &err);
    } else {
        if (!peer->link && !peer->down_since)
            peer_dial(peer);
        rc = peer->link ? wire_link_send(peer->link, type, tag, m, &err)
                        : err_set(&err, -ENOTCONN, "not connected");
    }
    if (rc < 0)
        log_verbose("peers", "step=%s node=%s message type=%d not sent: %s", s->name,
                    peer_name(peer), type, err.text);
}
