/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "wire/shake.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 8 /* tried of one name */

enum shake_step {
    SHAKE_NONE,
    SHAKE_RESOLVE,
    SHAKE_CONNECT,
    SHAKE_ENCODE,
    SHAKE_SEND_HELLO,
    SHAKE_READ_HELLO,
    SHAKE_DECODE,
    SHAKE_TLS,
    SHAKE_DONE,
    SHAKE_STEP_COUNT
};

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* What a helper thread works on; the shake may be gone when it returns. */
struct shake_job {
    struct offload_job job;
    struct shake *shake; /* NULL: gone. These three for the loop thread only */
    void (*work)(struct offload_job *job); /* under way or just done; NULL: none */
    bool busy;                             /* a helper thread has it */
    const struct wire_tls_module *module;
    char munge_socket[256];
    uid_t service_uid;
    struct hello hello;
    unsigned char psk[PSK_BYTES];
    uid_t uid;
    gid_t gid;
    char host[256], port[6];
    struct address addresses[ADDRESSES_MAX];
    size_t addresses_count;
    int rc;
    struct err err;
};

struct shake {
    struct event_base *base;
    enum shake_step step;
    bool server;
    shake_done_f done;
    void *owner;
    usec_t timeout, deadline;
    char name[300]; /* "host:port" as dialled; for messages */

    int fd;
    struct event on_io, on_time;
    bool io_assigned;
    struct wire_tls *tls;
    struct wire_peer peer;

    struct offload_port *port;
    bool port_owned;
    struct shake_job *job; /* its data live as long as the shake */
    size_t address_next;

    uint8_t hello[HELLO_BYTES_MAX];
    size_t hello_bytes, hello_done;
    unsigned char psk[PSK_BYTES];
};

static void shake_turn(struct shake *s);

/* ---- helper threads ---------------------------------------------------------------
 */

static void job_free(struct offload_job *job)
{
    struct shake_job *j = (struct shake_job *)job;
    explicit_bzero(j->psk, sizeof(j->psk));
    free(j);
}

static void job_encode(struct offload_job *job)
{
    struct shake_job *j = (struct shake_job *)job;
    j->rc = j->module->cred_encode(j->munge_socket, j->service_uid, j->hello.route,
                                   j->hello.cred, j->psk, &j->err);
}

static void job_decode(struct offload_job *job)
{
    struct shake_job *j = (struct shake_job *)job;
    j->rc = j->module->cred_decode(j->munge_socket, j->hello.cred, j->hello.route,
                                   j->psk, &j->uid, &j->gid, &j->err);
}

static int resolve(struct shake_job *j, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list;
    int rc = getaddrinfo(j->host, j->port, &hints, &list);
    if (rc != 0)
        return err_set(&j->err, -EHOSTUNREACH, "host %s: %s", j->host,
                       gai_strerror(rc));
    for (struct addrinfo *a = list; a && j->addresses_count < ADDRESSES_MAX;
         a = a->ai_next) {
        struct address *to = &j->addresses[j->addresses_count++];
        memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
        to->len = a->ai_addrlen;
    }
    freeaddrinfo(list);
    return 0;
}

static void job_resolve(struct offload_job *job)
{
    struct shake_job *j = (struct shake_job *)job;
    j->rc = resolve(j, 0);
}

static void job_done(struct offload_job *job)
{
    struct shake_job *j = (struct shake_job *)job;
    j->busy = false;
    if (j->shake)
        shake_turn(j->shake);
    else
        job_free(job);
}

/* Called again and again by a step: 0 under way, 1 done, negative. */
static int shake_offload(struct shake *s, void (*work)(struct offload_job *job),
                         struct err *err)
{
    struct shake_job *j = s->job;
    if (!j->work) {
        j->work = j->job.work = work;
        int rc = offload_run(s->port, &j->job, err);
        j->busy = rc == 0;
        return rc;
    }
    if (j->busy)
        return 0;
    j->work = NULL;
    if (j->rc < 0)
        *err = j->err;
    return j->rc < 0 ? j->rc : 1;
}

/* ---- events ---------------------------------------------------------------------- */

static void io_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    shake_turn(arg);
}

static int wait_io(struct shake *s, short what)
{
    if (s->io_assigned)
        event_del(&s->on_io);
    event_assign(&s->on_io, s->base, s->fd, what, io_cb, s);
    s->io_assigned = true;
    event_add(&s->on_io, NULL);
    return 0;
}

static void set_timer(struct shake *s, usec_t when)
{
    usec_t span = when - clock_mono_usec();
    if (span < 0)
        span = 0;
    struct timeval tv = {.tv_sec = span / USEC_PER_SEC, .tv_usec = span % USEC_PER_SEC};
    event_add(&s->on_time, &tv);
}

/* ---- ends ------------------------------------------------------------------------ */

static void socket_close(struct shake *s)
{
    if (s->io_assigned)
        event_del(&s->on_io);
    s->io_assigned = false;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void shake_destroy(struct shake *s)
{
    if (!s)
        return;
    if (s->tls)
        s->tls->module->destroy(s->tls);
    socket_close(s);
    event_del(&s->on_time);
    if (s->job && s->job->busy)
        s->job->shake = NULL; /* it frees itself when it comes back */
    else if (s->job)
        job_free(&s->job->job);
    if (s->port_owned)
        offload_port_destroy(s->port);
    explicit_bzero(s, sizeof(*s));
    free(s);
}

static void shake_end(struct shake *s, const struct err *why)
{
    shake_done_f done = s->done;
    void *owner = s->owner;
    struct shake_result r = {.fd = -1, .peer = s->peer, .route = ""};
    char route[ROUTE_BYTES_MAX] = "";
    unsigned char psk[PSK_BYTES];
    if (!why) {
        if (s->io_assigned)
            event_del(&s->on_io);
        s->io_assigned = false;
        r.fd = s->fd;
        r.tls = s->tls;
        s->fd = -1;
        s->tls = NULL;
        if (!r.tls) {
            memcpy(route, s->job->hello.route, sizeof(route));
            memcpy(psk, s->psk, sizeof(psk));
            r.route = route;
            r.psk = psk;
        }
    }
    shake_destroy(s);
    done(owner, &r, why);
    explicit_bzero(psk, sizeof(psk));
}

const struct wire_peer *shake_peer(const struct shake *s)
{
    return &s->peer;
}

/* ---- steps: 1 the next one, 0 wait, negative: failed -------------------------------
 */

static int step_resolve(struct shake *s, struct err *err)
{
    struct shake_job *j = s->job;
    int rc = 1;
    if (j->work || resolve(j, AI_NUMERICHOST) < 0)
        rc = shake_offload(s, job_resolve, err);
    if (rc == 1)
        s->step = SHAKE_CONNECT;
    return rc;
}

/* Each of the addresses left gets its share of the time left. */
static int connect_begin(struct shake *s, struct err *err)
{
    struct shake_job *j = s->job;
    const struct address *a = &j->addresses[s->address_next++];
    const struct sockaddr *sa = (const struct sockaddr *)&a->sa;
    s->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return err_errno(err, "%s: socket", s->name);
    peer_set_addr(&s->peer, sa, a->len);
    if (connect(s->fd, sa, a->len) == 0)
        return 1;
    if (errno != EINPROGRESS)
        return err_errno(err, "%s", s->name);
    usec_t now = clock_mono_usec();
    usec_t share = (usec_t)(j->addresses_count - s->address_next + 1);
    set_timer(s, now + (s->deadline - now) / share);
    return wait_io(s, EV_WRITE);
}

static int connect_result(struct shake *s, struct err *err)
{
    int why = 0;
    socklen_t len = sizeof(why);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
        why = errno;
    return why ? err_set(err, -why, "%s: %s", s->name, strerror(why)) : 1;
}

/* A dead peer is noticed after about a minute, with and without output under way. */
static void socket_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof(options[i].value));
}

static int step_connect(struct shake *s, struct err *err)
{
    int rc = s->fd >= 0 ? connect_result(s, err) : connect_begin(s, err);
    while (rc < 0 && s->address_next < s->job->addresses_count) {
        socket_close(s);
        rc = connect_begin(s, err);
    }
    if (rc == 1) {
        set_timer(s, s->deadline);
        socket_options(s->fd);
        s->step = SHAKE_ENCODE;
    }
    return rc;
}

static int step_encode(struct shake *s, struct err *err)
{
    int rc = shake_offload(s, job_encode, err);
    if (rc < 1)
        return rc;
    rc = hello_pack(&s->job->hello, s->hello);
    if (rc < 0)
        return err_set(err, SL_EAUTH, "the credential is too long");
    s->hello_bytes = (size_t)rc;
    memcpy(s->psk, s->job->psk, sizeof(s->psk));
    s->step = SHAKE_SEND_HELLO;
    return 1;
}

static int tls_begin(struct shake *s, struct err *err)
{
    const struct wire_tls_module *module = wire_tls_load(err);
    s->tls = module ? module->create(s->fd, s->server, s->psk, err) : NULL;
    explicit_bzero(s->psk, sizeof(s->psk));
    if (!s->tls)
        return SL_EAUTH;
    s->step = SHAKE_TLS;
    return 1;
}

static int step_send_hello(struct shake *s, struct err *err)
{
    while (s->hello_done < s->hello_bytes) {
        ssize_t n = send(s->fd, s->hello + s->hello_done,
                         s->hello_bytes - s->hello_done, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return wait_io(s, EV_WRITE);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "send");
        if (n > 0)
            s->hello_done += (size_t)n;
    }
    return tls_begin(s, err);
}

/* Not a byte more than the message: a routed connection goes on elsewhere. */
static int step_read_hello(struct shake *s, struct err *err)
{
    while (s->hello_done < s->hello_bytes) {
        ssize_t n =
            recv(s->fd, s->hello + s->hello_done, s->hello_bytes - s->hello_done, 0);
        if (n == 0)
            return err_set(err, SL_EPROTO,
                           "it closed the connection before it said who"
                           " it is");
        if (n < 0 && errno == EAGAIN)
            return wait_io(s, EV_READ);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "receive");
        if (n > 0)
            s->hello_done += (size_t)n;
        if (s->hello_done == HELLO_HEADER_BYTES) {
            int rest = hello_header(s->hello, err);
            if (rest < 0)
                return rest;
            s->hello_bytes = HELLO_HEADER_BYTES + (size_t)rest;
        }
    }
    struct hello *h = &s->job->hello;
    int rc = hello_parse(s->hello, h, err);
    if (rc < 0)
        return rc;
    if (!s->peer.local && !h->cred[0])
        return err_set(err, SL_EPROTO, "no credential");
    if (s->peer.local && (h->cred[0] || !h->route[0]))
        return err_set(err, SL_EPROTO, "a local peer asks for a route and for nothing else");
    s->step = s->peer.local ? SHAKE_DONE : SHAKE_DECODE;
    return 1;
}

static int step_decode(struct shake *s, struct err *err)
{
    struct shake_job *j = s->job;
    int rc = shake_offload(s, job_decode, err);
    if (rc < 1)
        return rc;
    s->peer.uid = j->uid;
    s->peer.gid = j->gid;
    memcpy(s->psk, j->psk, sizeof(s->psk));
    if (!j->hello.route[0])
        return tls_begin(s, err);
    s->step = SHAKE_DONE;
    return 1;
}

static int step_tls(struct shake *s, struct err *err)
{
    bool want_write;
    int rc = s->tls->module->handshake(s->tls, &want_write, err);
    if (rc == 0)
        return wait_io(s, want_write ? EV_WRITE : EV_READ);
    if (rc == 1)
        s->step = SHAKE_DONE;
    if (rc < 0 && !s->server) {
        struct err why = *err;
        err_set(err, rc,
                "%s: not authenticated (%s): are the munge key and the time the same on"
                " both machines, and does the service run as uid %u?",
                s->name, why.text, (unsigned)s->peer.uid);
    }
    return rc;
}

static void shake_turn(struct shake *s)
{
    static int (*const steps[SHAKE_STEP_COUNT])(struct shake *, struct err *) = {
        [SHAKE_RESOLVE] = step_resolve,
        [SHAKE_CONNECT] = step_connect,
        [SHAKE_ENCODE] = step_encode,
        [SHAKE_SEND_HELLO] = step_send_hello,
        [SHAKE_READ_HELLO] = step_read_hello,
        [SHAKE_DECODE] = step_decode,
        [SHAKE_TLS] = step_tls,
    };
    struct err err = {0};
    int rc = 1;
    while (rc == 1 && s->step != SHAKE_DONE)
        rc = steps[s->step](s, &err);
    if (rc != 0)
        shake_end(s, rc < 0 ? &err : NULL);
}

static void time_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct shake *s = arg;
    struct err err;
    if (!(what & EV_TIMEOUT)) { /* the first turn */
        set_timer(s, s->deadline);
        shake_turn(s);
        return;
    }
    if (s->step == SHAKE_CONNECT && s->address_next < s->job->addresses_count) {
        socket_close(s);
        shake_turn(s);
        return;
    }
    if (s->server)
        err_set(&err, -ETIMEDOUT, "it did not say who it is within %.1f s",
                (double)s->timeout / USEC_PER_SEC);
    else
        err_set(&err, -ETIMEDOUT, "%s: no answer within %.1f s", s->name,
                (double)s->timeout / USEC_PER_SEC);
    shake_end(s, &err);
}

/* ---- beginnings ------------------------------------------------------------------ */

static struct shake *shake_create(struct event_base *base, enum shake_step step,
                                  usec_t timeout, shake_done_f done, void *owner)
{
    struct shake *s = xcalloc(1, sizeof(*s));
    s->base = base;
    s->step = step;
    s->done = done;
    s->owner = owner;
    s->timeout = timeout;
    s->deadline = clock_mono_usec() + timeout;
    s->fd = -1;
    event_assign(&s->on_time, base, -1, 0, time_cb, s);
    event_active(&s->on_time, EV_READ, 0);
    return s;
}

static int job_create(struct shake *s, const char *munge_socket, struct err *err)
{
    const struct wire_tls_module *module = wire_tls_load(err);
    if (!module)
        return err ? err->code : SL_EAUTH;
    struct shake_job *j = xcalloc(1, sizeof(*j));
    s->job = j;
    j->shake = s;
    j->module = module;
    j->job.done = job_done;
    j->job.drop = job_free;
    if (munge_socket && strlen(munge_socket) >= sizeof(j->munge_socket))
        return err_set(err, -EINVAL, "munge socket %s: path too long", munge_socket);
    if (munge_socket)
        strcpy(j->munge_socket, munge_socket);
    return 0;
}

static int dial_init(struct shake *s, const struct target *t,
                     const struct wire_dial_opts *opts, struct err *err)
{
    const char *route = opts->route ? opts->route : "";
    int rc = job_create(s, opts->munge_socket, err);
    if (rc < 0)
        return rc;
    rc = hello_route_check(route, err);
    if (rc < 0)
        return rc;
    strcpy(s->job->hello.route, route);
    memcpy(s->job->host, t->host, sizeof(t->host));
    memcpy(s->job->port, t->port, sizeof(t->port));
    s->job->service_uid = opts->service_uid;
    s->peer.uid = opts->service_uid;
    s->peer.gid = (gid_t)-1;
    s->port_owned = true;
    s->port = offload_port_create(s->base, err);
    return s->port ? 0 : -EMFILE;
}

struct shake *shake_dial(struct event_base *base, const struct target *t,
                         const struct wire_dial_opts *opts, usec_t timeout,
                         shake_done_f done, void *owner, struct err *err)
{
    struct shake *s = shake_create(base, SHAKE_RESOLVE, timeout, done, owner);
    snprintf(s->name, sizeof(s->name), strchr(t->host, ':') ? "[%s]:%s" : "%s:%s",
             t->host, t->port);
    snprintf(s->peer.addr, sizeof(s->peer.addr), "%.*s", (int)sizeof(s->peer.addr) - 1,
             s->name);
    if (dial_init(s, t, opts, err) == 0)
        return s;
    shake_destroy(s);
    return NULL;
}

struct shake *shake_accept(struct event_base *base, struct offload_port *port, int fd,
                           const char *munge_socket, shake_done_f done, void *owner,
                           struct err *err)
{
    struct shake *s = shake_create(base, SHAKE_READ_HELLO, ACCEPT_TIMEOUT, done, owner);
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    s->fd = fd;
    s->server = true;
    s->port = port;
    s->hello_bytes = HELLO_HEADER_BYTES;
    socket_options(fd);
    if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
        peer_set_addr(&s->peer, (struct sockaddr *)&sa, len);
    if (job_create(s, munge_socket, err) == 0)
        return s;
    shake_destroy(s);
    return NULL;
}

struct shake *shake_accept_local(struct event_base *base, int fd, const struct wire_peer *peer,
                                 shake_done_f done, void *owner, struct err *err)
{
    struct shake *s = shake_create(base, SHAKE_READ_HELLO, ACCEPT_TIMEOUT, done, owner);
    s->fd = fd;
    s->server = true;
    s->peer = *peer;
    s->hello_bytes = HELLO_HEADER_BYTES;
    if (job_create(s, NULL, err) == 0)
        return s;
    shake_destroy(s);
    return NULL;
}

struct shake *shake_adopt(struct event_base *base, int fd,
                          const unsigned char psk[PSK_BYTES],
                          const struct wire_peer *peer, shake_done_f done, void *owner,
                          struct err *err)
{
    struct shake *s = shake_create(base, SHAKE_TLS, ACCEPT_TIMEOUT, done, owner);
    int flags = fcntl(fd, F_GETFL);
    s->fd = fd;
    s->server = true;
    s->peer = *peer;
    memcpy(s->psk, psk, sizeof(s->psk));
    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
        if (tls_begin(s, err) == 1)
            return s;
    } else {
        err_errno(err, "descriptor %d", fd);
    }
    shake_destroy(s);
    return NULL;
}
