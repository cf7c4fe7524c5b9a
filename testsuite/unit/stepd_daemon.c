/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd_daemon.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* ---- supervisors' links ------------------------------------------------------------- */

static void on_sup_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct test_supervisor *sup = arg;
    struct test_daemon *d = sup->daemon;
    Sl__ReportAck ack = SL__REPORT_ACK__INIT;
    if (m->type == WIRE_STEP_LAUNCH && d->launched)
        d->launched(d, l, m->tag, (Sl__StepLaunch *)m->body);
    if (m->type == WIRE_STEP_DONE) { /* as slurmlike-d: to the job's manager */
        for (size_t i = 0; i < d->sup_count; i++)
            if (d->sup[i].manager && d->sup[i].link && d->sup[i].job_id == sup->job_id)
                wire_link_send(d->sup[i].link, WIRE_STEP_DONE, sup->step_id, m->body, NULL);
    }
    if (m->type != WIRE_STEP_REPORT)
        return;
    Sl__JobReports *list = (Sl__JobReports *)m->body;
    for (size_t i = 0; i < list->n_reports && d->reports_count < 256; i++) {
        ack.seq = list->reports[i]->seq;
        d->reports[d->reports_count++] = list->reports[i];
    }
    list->n_reports = 0; /* kept */
    if (!d->hold_acks)
        wire_link_send(l, WIRE_REPORT_ACK, 0, &ack.base, NULL);
}

static void on_sup_down(struct wire_link *l, const char *why, void *arg)
{
    struct test_supervisor *sup = arg;
    (void)l;
    (void)why;
    sup->link = NULL;
    sup->gone = true;
}

static const struct wire_link_ops sup_ops = {.message = on_sup_message, .down = on_sup_down};

/* ---- routes over TCP ------------------------------------------------------------------ */

static bool route_deliver(struct test_daemon *d, const struct test_route *r)
{
    for (size_t i = 0; i < d->sup_count; i++) {
        struct test_supervisor *sup = &d->sup[i];
        Sl__StepRoute m = SL__STEP_ROUTE__INIT;
        if (!sup->link || sup->job_id != r->job_id ||
            (r->to_manager ? !sup->manager : sup->step_id != r->step_id))
            continue;
        m.route = (char *)"";
        m.peer_uid = r->peer.uid;
        m.peer_gid = r->peer.gid;
        m.psk.data = (uint8_t *)(uintptr_t)r->psk;
        m.psk.len = sizeof(r->psk);
        m.peer = (char *)(uintptr_t)r->peer.addr;
        wire_link_send_fd(sup->link, WIRE_STEP_ROUTE, 0, &m.base, r->fd, NULL);
        return true;
    }
    return false;
}

static void routes_sweep(struct test_daemon *d)
{
    for (size_t i = 0; i < d->routes_count;) {
        if (route_deliver(d, &d->routes[i]))
            d->routes[i] = d->routes[--d->routes_count];
        else
            i++;
    }
}

static void on_routed(int fd, const char *route, const struct wire_peer *peer,
                      const unsigned char psk[32], void *arg)
{
    struct test_daemon *d = arg;
    struct test_route r = {.fd = fd, .peer = *peer};
    memcpy(r.psk, psk, 32);
    r.to_manager = sscanf(route, "job:%u", &r.job_id) == 1;
    assert_true(r.to_manager || sscanf(route, "step:%u.%u", &r.job_id, &r.step_id) == 2);
    assert_true(d->routes_count < 16);
    d->routes[d->routes_count++] = r;
    routes_sweep(d);
}

static void on_tcp_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct test_daemon *d = arg;
    assert_int_equal(m->type, WIRE_STEP_LAUNCH);
    assert_non_null(d->launched);
    d->launched(d, l, m->tag, (Sl__StepLaunch *)m->body);
}

static const struct wire_link_ops tcp_ops = {.message = on_tcp_message};

static void on_tcp(struct wire_link *l, void *arg)
{
    wire_link_set_ops(l, &tcp_ops, arg);
}

void daemon_listen_tcp(struct test_daemon *d, const char *munge_socket)
{
    static const struct wire_listener_ops ops = {.accepted = on_tcp, .routed = on_routed};
    struct err err;
    d->tcp = wire_listen(d->base, "127.0.0.1:0", 0, munge_socket, &ops, d, &err);
    if (!d->tcp)
        fail_msg("%s", err.text);
    d->port = wire_listener_port(d->tcp);
}

static void on_fresh(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct test_daemon *d = arg;
    assert_int_equal(m->type, WIRE_STEP_HELLO);
    const Sl__StepHello *h = (Sl__StepHello *)m->body;
    assert_true(d->sup_count < TEST_SUPERVISORS);
    struct test_supervisor *sup = &d->sup[d->sup_count++];
    *sup = (struct test_supervisor){.daemon = d, .link = l, .job_id = h->job_id,
                                    .step_id = h->step_id, .pid = h->pid,
                                    .manager = h->manager};
    wire_link_set_ops(l, &sup_ops, sup);
    routes_sweep(d);
}

static const struct wire_link_ops fresh_ops = {.message = on_fresh};

static void on_accepted(struct wire_link *l, void *arg)
{
    wire_link_set_ops(l, &fresh_ops, arg);
}

/* ---- zygote --------------------------------------------------------------------------- */

static void on_zygote(struct wire_link *l, struct wire_msg *m, void *arg)
{
    struct test_daemon *d = arg;
    const Sl__StepLaunchReply *r = (Sl__StepLaunchReply *)m->body;
    (void)l;
    assert_int_equal(m->type, WIRE_STEP_LAUNCH_REPLY);
    d->spawn_code = r->code;
    snprintf(d->spawn_text, sizeof(d->spawn_text), "%s", r->text);
    if (m->tag == 0) {
        d->deaths++;
        return;
    }
    d->spawn_replies++;
    d->spawn_pid = r->pid;
}

static const struct wire_link_ops zygote_ops = {.message = on_zygote};

static const char *stepd_path(void)
{
    const char *p = getenv("SLURMLIKE_STEPD");
    return p ? p : "../slurmlike-d/slurmlike-stepd";
}

static void zygote_exec(const struct test_daemon *d, int fd, const char *const *extra)
{
    char uid[32];
    const char *argv[32] = {"slurmlike-stepd", "--spool", d->spool, "--node", "n1",
                            "--kill-wait", "1", "--node-user", uid, "--log-level", "warn"};
    int n = 11;
    snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
    for (; extra && *extra && n < 31; extra++)
        argv[n++] = *extra;
    if (fd == 3)
        fcntl(3, F_SETFD, 0);
    else
        dup2(fd, 3);
    execv(stepd_path(), (char *const *)argv);
    perror(stepd_path());
    _exit(127);
}

void daemon_listen(struct test_daemon *d)
{
    static const struct wire_listener_ops ops = {.accepted = on_accepted};
    char target[128];
    struct err err;
    snprintf(target, sizeof(target), "unix:%s/d.sock", d->spool);
    d->listener = wire_listen(d->base, target, 0600, NULL, &ops, d, &err);
    if (!d->listener)
        fail_msg("%s", err.text);
}

void daemon_unlisten(struct test_daemon *d)
{
    wire_listener_close(d->listener);
    d->listener = NULL;
    for (size_t i = 0; i < d->sup_count; i++) {
        wire_link_close(d->sup[i].link);
        d->sup[i].link = NULL;
    }
    char path[128];
    snprintf(path, sizeof(path), "%s/d.sock", d->spool);
    unlink(path);
}

void daemon_start(struct test_daemon *d, const char *const *extra)
{
    int sv[2];
    struct err err;
    struct event_base *shared = d->base;
    *d = (struct test_daemon){.base = shared, .base_shared = shared != NULL};
    snprintf(d->dir, sizeof(d->dir), "/tmp/stepd-test.XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    assert_int_equal(chmod(d->dir, 0777), 0);
    snprintf(d->spool, sizeof(d->spool), "%s/spool", d->dir);
    assert_int_equal(mkdir(d->spool, 0755), 0);
    if (!d->base)
        d->base = event_base_new();
    daemon_listen(d);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    d->zygote = fork();
    if (d->zygote == 0)
        zygote_exec(d, sv[1], extra);
    close(sv[1]);
    d->zygote_link = wire_link_unix(d->base, sv[0], &zygote_ops, d, &err);
    assert_non_null(d->zygote_link);
}

static bool all_gone(struct test_daemon *d, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < d->sup_count; i++)
        if (!d->sup[i].gone)
            return false;
    return true;
}

void daemon_all_gone(struct test_daemon *d)
{
    daemon_until(d, all_gone, NULL, "the end of all supervisors");
}

void daemon_stop(struct test_daemon *d)
{
    char command[128];
    int status;
    for (size_t i = 0; i < d->sup_count; i++)
        if (!d->sup[i].gone && d->sup[i].link) /* after a failed test */
            kill((pid_t)d->sup[i].pid, SIGKILL);
    wire_link_close(d->zygote_link);
    assert_int_equal(waitpid(d->zygote, &status, 0), d->zygote);
    assert_int_equal(status, 0);
    daemon_unlisten(d);
    if (d->tcp)
        wire_listener_close(d->tcp);
    for (size_t i = 0; i < d->routes_count; i++)
        close(d->routes[i].fd);
    for (size_t i = 0; i < d->reports_count; i++)
        sl__job_report__free_unpacked(d->reports[i], NULL);
    if (!d->base_shared)
        event_base_free(d->base);
    d->base = NULL;
    snprintf(command, sizeof(command), "rm -rf %s", d->dir);
    assert_int_equal(system(command), 0);
}

/* ---- waiting ------------------------------------------------------------------------------ */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

void daemon_until(struct test_daemon *d, bool (*done)(struct test_daemon *d, void *arg),
                  void *arg, const char *what)
{
    usec_t deadline = clock_mono_usec() + TEST_WAIT;
    struct timeval tv = {0, 20 * 1000}; /* conditions on files have no event */
    struct event *tick = event_new(d->base, -1, EV_PERSIST, on_tick, NULL);
    event_add(tick, &tv);
    while (!done(d, arg)) {
        if (clock_mono_usec() > deadline)
            fail_msg("waited in vain for %s", what);
        event_base_loop(d->base, EVLOOP_ONCE);
    }
    event_free(tick);
}

void daemon_spawn(struct test_daemon *d, const Sl__StepLaunch *m)
{
    struct err err;
    assert_int_equal(wire_link_send(d->zygote_link, WIRE_STEP_SPAWN, 7, &m->base, &err), 0);
}

struct want {
    Sl__ReportKind kind;
    uint32_t step_id;
    const Sl__JobReport *found;
};

static bool report_there(struct test_daemon *d, void *arg)
{
    struct want *w = arg;
    for (size_t i = 0; i < d->reports_count && !w->found; i++)
        if (d->reports[i]->kind == w->kind && d->reports[i]->step_id == w->step_id)
            w->found = d->reports[i];
    return w->found != NULL;
}

const Sl__JobReport *daemon_report(struct test_daemon *d, Sl__ReportKind kind,
                                   uint32_t step_id)
{
    struct want w = {kind, step_id, NULL};
    daemon_until(d, report_there, &w, "a report");
    return w.found;
}

static bool hello_there(struct test_daemon *d, void *arg)
{
    return d->sup_count > *(size_t *)arg;
}

void daemon_send(struct test_daemon *d, size_t sup, enum wire_type type,
                 const ProtobufCMessage *m)
{
    struct err err;
    daemon_until(d, hello_there, &sup, "the supervisor's hello");
    assert_non_null(d->sup[sup].link);
    assert_int_equal(wire_link_send(d->sup[sup].link, type, 0, m, &err), 0);
}

struct wire_link *daemon_route(struct test_daemon *d, size_t sup, const char *route,
                               uid_t uid, const struct wire_link_ops *ops, void *arg)
{
    Sl__StepRoute r = SL__STEP_ROUTE__INIT;
    struct err err;
    int sv[2];
    daemon_until(d, hello_there, &sup, "the supervisor's hello");
    assert_non_null(d->sup[sup].link);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    r.route = (char *)route;
    r.peer_uid = uid;
    r.peer = (char *)"test";
    assert_int_equal(wire_link_send_fd(d->sup[sup].link, WIRE_STEP_ROUTE, 0, &r.base, sv[1],
                                       &err), 0);
    struct wire_link *l = wire_link_unix(d->base, sv[0], ops, arg, &err);
    assert_non_null(l);
    return l;
}

char *test_file(const struct test_daemon *d, const char *name)
{
    char path[256];
    struct buf b;
    snprintf(path, sizeof(path), "%s/%s", d->dir, name);
    buf_init(&b);
    buf_puts(&b, "");
    FILE *f = fopen(path, "re");
    for (int c; f && (c = getc(f)) != EOF;)
        buf_putc(&b, (char)c);
    if (f)
        fclose(f);
    return buf_steal(&b);
}

/* ---- launches -------------------------------------------------------------------------------- */

static void launch_init(struct test_launch *l, const struct test_daemon *d, uint32_t job_id,
                        uint32_t step_id, uint32_t nodes, uint32_t tasks_per_node)
{
    static uint8_t secret[16] = "0123456789abcdef";
    memset(l, 0, sizeof(*l));
    sl__step_launch__init(&l->m);
    sl__job_info__init(&l->job);
    sl__job_spec__init(&l->jobspec);
    sl__step_spec__init(&l->spec);
    sl__step_layout__init(&l->layout);
    sl__allocation__init(&l->alloc);
    l->m.job = &l->job;
    l->m.spec = &l->spec;
    l->m.layout = &l->layout;
    l->job.spec = &l->jobspec;
    l->job.alloc = &l->alloc;
    l->job.job_id = l->layout.job_id = l->alloc.job_id = job_id;
    l->layout.step_id = step_id;
    l->job.uid = geteuid() == 0 ? NOBODY : geteuid();
    l->job.gid = geteuid() == 0 ? NOBODY : getegid();
    l->job.user = (char *)(geteuid() == 0 ? "nobody" : "");
    l->job.secret.data = secret;
    l->job.secret.len = sizeof(secret);
    snprintf(l->work_dir, sizeof(l->work_dir), "%s", d->dir);
    l->spec.work_dir = l->work_dir;
    l->spec.umask = 022;
    l->spec.mpi = (char *)"none";
    l->spec.cpu_bind = (char *)"none";
    l->spec.kill_on_bad_exit = -1;
    l->env[0] = (char *)"PATH=/usr/bin:/bin";
    l->env[1] = (char *)"GREETING=hello";
    l->spec.env = l->env;
    l->spec.n_env = 2;
    for (uint32_t i = 0; i < nodes; i++) {
        snprintf(l->names[i], sizeof(l->names[i]), "n%u", i + 1);
        sl__step_node__init(&l->nodes[i]);
        sl__alloc_node__init(&l->anodes[i]);
        l->node_list[i] = &l->nodes[i];
        l->anode_list[i] = &l->anodes[i];
        l->anodes[i].name = l->names[i];
        l->anodes[i].addr = (char *)"127.0.0.1";
        l->anodes[i].port = 1;
        l->anodes[i].cpus = l->nodes[i].cpus = (char *)"0-3";
        l->anodes[i].cpus_count = 4;
        l->nodes[i].alloc_index = i;
        l->nodes[i].tasks = l->ranks[i];
        l->nodes[i].n_tasks = tasks_per_node;
        for (uint32_t k = 0; k < tasks_per_node; k++)
            l->ranks[i][k] = i * tasks_per_node + k;
    }
    l->layout.nodes = l->node_list;
    l->layout.n_nodes = nodes;
    l->layout.ntasks = nodes * tasks_per_node;
    l->spec.ntasks = l->layout.ntasks;
    l->alloc.nodes = l->anode_list;
    l->alloc.n_nodes = nodes;
    l->alloc.nodelist = (char *)"n1";
}

void launch_batch(struct test_launch *l, const struct test_daemon *d, uint32_t job_id,
                  const char *script)
{
    launch_init(l, d, job_id, STEP_BATCH, 1, 1);
    l->m.script.data = (uint8_t *)(uintptr_t)script;
    l->m.script.len = strlen(script);
    l->m.manager = true;
    l->spec.name = (char *)"batch";
    l->spec.detached = true;
    l->spec.std_in = (char *)"/dev/null";
    l->spec.std_out = (char *)"slurm-%j.out";
}

void launch_step(struct test_launch *l, const struct test_daemon *d, uint32_t job_id,
                 uint32_t step_id, uint32_t nodes, uint32_t tasks_per_node,
                 const char *command)
{
    launch_init(l, d, job_id, step_id, nodes, tasks_per_node);
    l->spec.name = (char *)"sh";
    l->argv[0] = (char *)"sh";
    l->argv[1] = (char *)"-c";
    l->argv[2] = (char *)(uintptr_t)command;
    l->spec.argv = l->argv;
    l->spec.n_argv = 3;
}
