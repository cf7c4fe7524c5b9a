/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/route.h"

#include "stepd/attach.h"
#include "stepd/manager.h"
#include "stepd/spool.h"
#include "stepd/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool route_is_system(const struct step *s, uid_t uid)
{
    return uid == 0 || uid == s->opts->node_uid;
}

bool route_may_own(const struct step *s, uid_t uid)
{
    return uid == s->user.uid || route_is_system(s, uid);
}

static void refuse(struct wire_link *l, uint32_t tag, int code, const char *text)
{
    Sl__ErrorReply e = SL__ERROR_REPLY__INIT;
    e.code = code;
    e.text = (char *)text;
    wire_link_send(l, WIRE_ERROR, tag, &e.base, NULL);
    wire_link_finish(l);
}

static void on_attach(struct step *s, struct wire_link *l, const struct wire_msg *m)
{
    const Sl__IoAttach *a = (Sl__IoAttach *)m->body;
    uid_t uid = wire_link_peer(l)->uid;
    if (a->kind == 3) {
        if (!route_is_system(s, uid) || !tree_child_accept(s, l, a))
            refuse(l, m->tag, SL_EINVAL_STEP, "not a missing part of this step");
    } else if (a->kind != 1 && a->kind != 2) {
        refuse(l, m->tag, SL_EPROTO, "unknown kind of attachment");
    } else if (!s->root) {
        refuse(l, m->tag, SL_EINVAL_STEP, "this node is not the step's first");
    } else {
        attach_accept(s, l, m->tag, a);
    }
}

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct step *s = arg;
    if (m->type == WIRE_IO_ATTACH)
        on_attach(s, l, m);
    else if (s->manager && manager_accept(s, l, m))
        return;
    else
        refuse(l, m->tag, SL_EPROTO, "unexpected first message");
}

static void on_down(struct wire_link *l, const char *why, void *arg)
{
    struct step *s = arg;
    log_debug("route", "step=%s peer=%s left without a request: %s", s->name,
              wire_link_peer(l)->addr, why);
}

static const struct wire_link_ops fresh_ops = {.message = on_message, .down = on_down};

void route_accept(struct step *s, const Sl__StepRoute *r, int fd)
{
    struct wire_peer peer = {.uid = r->peer_uid, .gid = r->peer_gid};
    struct err err;

    if (fd < 0)
        return;
    if (!route_may_own(s, peer.uid)) {
        log_warn("route", "step=%s refused uid=%u", s->name, r->peer_uid);
        close(fd);
        return;
    }
    snprintf(peer.addr, sizeof(peer.addr), "%s", r->peer);
    if (r->psk.len == 32) {
        if (!wire_link_accept_psk(s->base, fd, r->psk.data, &peer, &fresh_ops, s, &err))
            log_warn("route", "step=%s peer=%s: %s", s->name, peer.addr, err.text);
        return;
    }
    struct wire_link *l = wire_link_unix(s->base, fd, &fresh_ops, s, &err);
    if (!l) {
        log_warn("route", "step=%s peer=%s: %s", s->name, peer.addr, err.text);
        close(fd);
    } else if (!route_may_own(s, wire_link_peer(l)->uid)) {
        wire_link_close(l);
    }
}

/* ---- on this machine -------------------------------------------------------------------- */

char *route_socket_path(const struct step *s, uint32_t step_id, struct arena *a)
{
    char *dir = spool_step_dir(s->opts->spool, s->job_id, s->restart, step_id);
    char *path = arena_printf(a, "%s/sock", dir);
    free(dir);
    return path;
}

static void on_local(struct wire_link *l, void *arg)
{
    struct step *s = arg;
    uid_t uid = wire_link_peer(l)->uid;
    if (!route_may_own(s, uid)) {
        log_warn("route", "step=%s refused uid=%u", s->name, (unsigned)uid);
        wire_link_close(l);
        return;
    }
    wire_link_set_ops(l, &fresh_ops, s);
}

void route_listen(struct step *s, struct kept_socket *kept)
{
    static const struct wire_listener_ops ops = {.accepted = on_local};
    char *target = xasprintf("unix:%s/sock", s->dir);
    struct err err;
    bool wanted = s->root || s->manager;
    if (kept->fd >= 0 && wanted && kept->uid == s->user.uid) {
        s->local = wire_listen_again(s->base, kept->fd, target, &ops, s, &err);
    } else if (kept->fd >= 0) {
        close(kept->fd);
        unlink(target + strlen("unix:"));
    }
    bool again = s->local;
    kept->fd = -1;
    if (wanted && !again)
        s->local = wire_listen(s->base, target, 0600, NULL, &ops, s, &err);
    if (!s->local && wanted)
        log_verbose("route", "step=%s clients must come over TCP: %s", s->name, err.text);
    /* others need not even get as far as being refused */
    if (s->local && !again && s->user.drop &&
        lchown(target + strlen("unix:"), s->user.uid, s->user.gid) < 0)
        log_warn("route", "step=%s its socket stays root's: %s", s->name, strerror(errno));
    free(target);
}

void route_unlisten(struct step *s)
{
    wire_listener_close(s->local);
    s->local = NULL;
}

void route_keep(struct step *s, struct kept_socket *kept)
{
    if (s->local)
        *kept = (struct kept_socket){wire_listener_detach(s->local), s->user.uid};
    s->local = NULL;
}
