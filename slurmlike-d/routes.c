/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's one TCP port. Peers without a route talk to the daemon: managers of
 * other nodes that launch steps. Peers with a route are handed to the supervisor they
 * ask for; a route that comes before its supervisor waits here for a while.
 */
#include "noded.h"

#include "job/state.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTES_WAITING_MAX 4096
#define ROUTES_OF_USER_MAX (ROUTES_WAITING_MAX / 4) /* so that nobody fills the list */
#define ROUTE_WAIT (10 * USEC_PER_SEC)

struct route { /* a verified peer that waits for its supervisor */
    int fd;
    uint32_t job_id, step_id;
    bool to_manager;
    char text[64];
    struct wire_peer peer;
    unsigned char psk[32];
    usec_t deadline;
    struct route *next;
};

struct route_table {
    struct wire_listener *listener, *local;
    struct event *sweep;
    struct route *waiting;
    size_t count;
};

static void route_free(struct route *r)
{
    if (r->fd >= 0)
        close(r->fd);
    explicit_bzero(r->psk, sizeof(r->psk));
    free(r);
}

/* "job:12" or "step:12.0" */
static bool route_parse(const char *text, struct route *r)
{
    int end = 0;
    r->to_manager = sscanf(text, "job:%u%n", &r->job_id, &end) == 1 && !text[end];
    if (r->to_manager)
        return true;
    end = 0;
    return sscanf(text, "step:%u.%u%n", &r->job_id, &r->step_id, &end) == 2 && end > 0 &&
           !text[end];
}

/* The supervisor that the route means, when it is linked. */
static struct step *route_step(struct noded *d, const struct route *r)
{
    struct job *j = job_find_any(d, r->job_id);
    if (!j)
        return NULL;
    if (!r->to_manager) {
        struct step *s = step_find(d, r->job_id, j->key.restart, r->step_id);
        return s && s->link ? s : NULL;
    }
    for (struct step *s = d->steps; s; s = s->hh.next)
        if (s->job == j && s->manager && s->link)
            return s;
    return NULL;
}

static bool route_allowed(const struct noded *d, const struct route *r, const struct job *j)
{
    return r->peer.uid == 0 || r->peer.uid == d->node_uid ||
           r->peer.uid == j->launch->job->uid;
}

/* Owns r. */
static void route_hand_over(struct noded *d, struct route *r, struct step *s)
{
    Sl__StepRoute m = SL__STEP_ROUTE__INIT;
    struct err err;
    if (!route_allowed(d, r, s->job)) {
        log_warn("route", "route=%s uid=%u peer=%s refused: not the job's owner", r->text,
                 (unsigned)r->peer.uid, r->peer.addr);
        route_free(r);
        return;
    }
    m.route = r->text;
    m.peer_uid = r->peer.uid;
    m.peer_gid = r->peer.gid;
    m.psk.data = r->psk;
    m.psk.len = r->peer.local ? 0 : sizeof(r->psk); /* 0: as it is, not encrypted */
    m.peer = r->peer.addr;
    int fd = r->fd;
    r->fd = -1; /* the link closes it */
    if (wire_link_send_fd(s->link, WIRE_STEP_ROUTE, 0, &m.base, fd, &err) < 0)
        log_warn("route", "route=%s not handed over: %s", r->text, err.text);
    route_free(r);
}

static bool routes_full(const struct noded *d, uid_t uid)
{
    size_t own = 0;
    if (d->routes->count >= ROUTES_WAITING_MAX)
        return true;
    if (uid == 0 || uid == d->node_uid)
        return false;
    for (const struct route *r = d->routes->waiting; r; r = r->next)
        own += r->peer.uid == uid;
    return own >= ROUTES_OF_USER_MAX;
}

static void on_routed(int fd, const char *route, const struct wire_peer *peer,
                      const unsigned char psk[32], void *arg)
{
    struct noded *d = arg;
    struct route *r = xcalloc(1, sizeof(*r));
    r->fd = fd;
    r->peer = *peer;
    memcpy(r->psk, psk, sizeof(r->psk));
    snprintf(r->text, sizeof(r->text), "%s", route);
    if (strlen(route) >= sizeof(r->text) || !route_parse(route, r)) {
        log_warn("route", "peer=%s malformed route refused", peer->addr);
        route_free(r);
        return;
    }
    struct step *s = route_step(d, r);
    if (s) {
        route_hand_over(d, r, s);
        return;
    }
    if (routes_full(d, peer->uid)) {
        log_warn("route", "route=%s uid=%u refused: %zu wait already", r->text,
                 (unsigned)peer->uid, d->routes->count);
        route_free(r);
        return;
    }
    r->deadline = clock_mono_usec() + ROUTE_WAIT;
    r->next = d->routes->waiting;
    d->routes->waiting = r;
    d->routes->count++;
}

void routes_step_up(struct noded *d, struct step *s)
{
    struct route **at = &d->routes->waiting;
    while (*at) {
        struct route *r = *at;
        bool mine = r->job_id == s->key.job_id &&
                    (r->to_manager ? s->manager : r->step_id == s->key.step_id);
        if (!mine) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        d->routes->count--;
        route_hand_over(d, r, s);
    }
}

void routes_job_gone(struct noded *d, uint32_t job_id)
{
    for (struct route **at = &d->routes->waiting; *at;) {
        struct route *r = *at;
        if (r->job_id != job_id) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        d->routes->count--;
        route_free(r);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct noded *d = arg;
    usec_t now = clock_mono_usec();
    (void)fd;
    (void)what;
    for (struct route **at = &d->routes->waiting; *at;) {
        struct route *r = *at;
        if (r->deadline > now) {
            at = &r->next;
            continue;
        }
        log_verbose("route", "route=%s nobody came up for it", r->text);
        *at = r->next;
        d->routes->count--;
        route_free(r);
    }
    steps_job_present(d, NULL);
}

/* ---- peers without a route: managers of other nodes ------------------------------- */

static void on_peer_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct noded *d = arg;
    if (m->type == WIRE_STEP_LAUNCH)
        step_launch_request(d, l, m->tag, (Sl__StepLaunch *)m->body);
    else if (m->type == WIRE_STEP_WATCH)
        step_watch_request(d, l, (Sl__StepWatch *)m->body);
    else if (m->type == WIRE_STEP_TERMINATE)
        step_end_request(d, (Sl__Terminate *)m->body);
    else
        log_warn("route", "peer=%s unexpected message %d", wire_link_peer(l)->addr, m->type);
}

static void on_peer_down(struct wire_link *l, const char *why, void *arg)
{
    (void)why;
    steps_forget_link(arg, l);
}

static const struct wire_link_ops peer_ops = {.message = on_peer_message,
                                              .down = on_peer_down};

static void on_peer(struct wire_link *l, void *arg)
{
    struct noded *d = arg;
    const struct wire_peer *p = wire_link_peer(l);
    if (p->uid != 0 && p->uid != d->node_uid) {
        log_warn("route", "peer=%s uid=%u refused: only node daemons talk to node daemons",
                 p->addr, (unsigned)p->uid);
        wire_link_close(l);
        return;
    }
    wire_link_set_ops(l, &peer_ops, d);
}

/* With --port 0 a restarted daemon takes the port it had: running jobs know it. */
static uint32_t port_kept(const struct noded *d)
{
    char *path = xasprintf("%s/port", d->spool);
    unsigned port = 0;
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%u", &port) != 1)
        port = 0;
    if (f)
        fclose(f);
    free(path);
    return port <= 65535 ? port : 0;
}

static void port_keep(const struct noded *d)
{
    char *path = xasprintf("%s/port", d->spool);
    FILE *f = fopen(path, "we");
    bool kept = f && fprintf(f, "%u\n", (unsigned)d->port) > 0;
    if (f)
        kept &= fclose(f) == 0;
    if (!kept)
        log_warn("route", "file=%s cannot be written: after a restart the port will be another",
                 path);
    free(path);
}

static struct wire_listener *listen_on(struct noded *d, uint32_t port, struct err *err)
{
    static const struct wire_listener_ops ops = {.accepted = on_peer, .routed = on_routed};
    bool v6 = strchr(d->addr, ':') != NULL;
    struct in_addr v4;
    /* a loopback address is listened on alone: virtual nodes are nobody else's business */
    bool loop = inet_pton(AF_INET, d->addr, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
    char *target = xasprintf(v6 ? "[%s]:%u" : "%s:%u", loop || v6 ? d->addr : "0.0.0.0",
                             (unsigned)port);
    struct wire_listener *l =
        wire_listen(d->base, target, 0, d->opts.munge_socket, &ops, d, err);
    free(target);
    return l;
}

/* For srun on this very machine, as in a job's script: no credential, no TLS. Without it
 * they come by TCP. */
static void listen_locally(struct noded *d)
{
    static const struct wire_listener_ops ops = {.routed = on_routed};
    char *target = xasprintf("unix:%s/node.%s.sock", d->conf->run_dir, d->name);
    struct err err;
    d->routes->local = wire_listen(d->base, target, 0666, NULL, &ops, d, &err);
    if (!d->routes->local)
        log_verbose("route", "no local socket: %s", err.text);
    free(target);
}

int routes_listen(struct noded *d, struct err *err)
{
    struct timeval second = {1, 0};
    bool any = d->port == 0;
    uint32_t before = any ? port_kept(d) : 0;

    d->routes = xcalloc(1, sizeof(*d->routes));
    if (before)
        d->routes->listener = listen_on(d, before, err);
    if (!d->routes->listener)
        d->routes->listener = listen_on(d, d->port, err);
    if (!d->routes->listener)
        return err->code;
    d->port = wire_listener_port(d->routes->listener);
    if (any && d->port != before)
        port_keep(d);
    listen_locally(d);
    d->routes->sweep = event_new(d->base, -1, EV_PERSIST, on_sweep, d);
    evtimer_add(d->routes->sweep, &second);
    return 0;
}

void routes_close(struct noded *d)
{
    if (!d->routes)
        return;
    while (d->routes->waiting) {
        struct route *r = d->routes->waiting;
        d->routes->waiting = r->next;
        route_free(r);
    }
    if (d->routes->sweep)
        event_free(d->routes->sweep);
    if (d->routes->listener)
        wire_listener_close(d->routes->listener);
    wire_listener_close(d->routes->local);
    free(d->routes);
    d->routes = NULL;
}
