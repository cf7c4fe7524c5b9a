/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection and a message cost: Unix socket, and TCP with munge and TLS. One
 * result a line: name value unit n=...
 */
#include "wire/wire.h"

#include "lib/munged.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT (10 * USEC_PER_SEC)
#define CONNECTS 300
#define PINGS 5000
#define CHUNKS 2000
#define CHUNK_BYTES 65536

static void on_message(struct wire_link *l, struct wire_msg *m, void *arg)
{
    (void)arg;
    if (m->type == WIRE_IO_DATA && !((Sl__IoData *)m->body)->eof)
        return;
    Sl__ControlReply r = SL__CONTROL_REPLY__INIT;
    wire_link_send(l, WIRE_CONTROL_REPLY, m->tag, &r.base, NULL);
}

static const struct wire_link_ops ops = {.message = on_message};

static void on_accept(struct wire_link *l, void *arg)
{
    (void)arg;
    wire_link_set_ops(l, &ops, NULL);
}

/* A server in another process; its port through the pipe. */
static pid_t serve(const char *target, const char *munge_socket, unsigned *port)
{
    int ready[2];
    if (pipe(ready) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct wire_listener_ops lops = {.accepted = on_accept};
        struct event_base *base = event_base_new();
        struct err err;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct wire_listener *l =
            wire_listen(base, target, 0600, munge_socket, &lops, NULL, &err);
        if (!l) {
            fprintf(stderr, "%s\n", err.text);
            _exit(1);
        }
        unsigned p = wire_listener_port(l);
        (void)!write(ready[1], &p, sizeof(p));
        event_base_dispatch(base);
        _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], port, sizeof(*port)) != sizeof(*port))
        exit(1);
    close(ready[0]);
    return pid;
}

static struct wire_conn *dial(const char *target, const struct wire_dial_opts *opts)
{
    struct err err;
    struct wire_conn *c = wire_dial(target, opts, &err);
    if (!c) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return c;
}

static void ping(struct wire_conn *c)
{
    Sl__ControlRequest q = SL__CONTROL_REQUEST__INIT;
    struct wire_msg m;
    q.op = SL__CONTROL_OP__CONTROL_PING;
    if (wire_send(c, WIRE_CONTROL, 1, &q.base, NULL) < 0 ||
        wire_recv(c, WAIT, &m, NULL) != 1)
        exit(1);
    wire_msg_clear(&m);
}

static int compare(const void *a, const void *b)
{
    usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;
    return x < y ? -1 : x > y;
}

static void print_median(const char *name, const char *what, usec_t *times, int n)
{
    qsort(times, (size_t)n, sizeof(*times), compare);
    printf("wire_%s_%s %ld usec n=%d p95=%ld\n", name, what, (long)times[n / 2], n,
           (long)times[n * 95 / 100]);
}

static void measure(const char *name, const char *target,
                    const struct wire_dial_opts *opts)
{
    static usec_t times[PINGS];
    static uint8_t chunk[CHUNK_BYTES];
    usec_t start = clock_mono_usec();
    struct wire_conn *c = dial(target, opts);
    ping(c);
    printf("wire_%s_first_connect %ld usec n=1\n", name,
           (long)(clock_mono_usec() - start));
    wire_conn_close(c);
    for (int i = 0; i < CONNECTS; i++) {
        start = clock_mono_usec();
        c = dial(target, opts);
        ping(c);
        times[i] = clock_mono_usec() - start;
        wire_conn_close(c);
    }
    print_median(name, "connect_and_ping", times, CONNECTS);

    c = dial(target, opts);
    for (int i = 0; i < PINGS; i++) {
        start = clock_mono_usec();
        ping(c);
        times[i] = clock_mono_usec() - start;
    }
    print_median(name, "ping", times, PINGS);

    Sl__IoData data = SL__IO_DATA__INIT;
    struct wire_msg m;
    data.data.data = chunk;
    data.data.len = sizeof(chunk);
    start = clock_mono_usec();
    for (int i = 1; i <= CHUNKS; i++) {
        data.eof = i == CHUNKS;
        if (wire_send(c, WIRE_IO_DATA, 1, &data.base, NULL) < 0)
            exit(1);
    }
    if (wire_recv(c, WAIT, &m, NULL) != 1)
        exit(1);
    wire_msg_clear(&m);
    printf("wire_%s_stream %.0f MB/s n=%d\n", name,
           (double)CHUNKS * CHUNK_BYTES / (double)(clock_mono_usec() - start), CHUNKS);
    wire_conn_close(c);
}

int main(void)
{
    struct munged munged;
    char dir[] = "/tmp/wire-bench-XXXXXX", target[64];
    unsigned port;
    setenv("SLURMLIKE_MODULE_DIR", TEST_MODULE_DIR, 0);
    if (!mkdtemp(dir) || munged_start(&munged, NULL) < 0) {
        fprintf(stderr, "munged does not start\n");
        return 1;
    }
    struct wire_dial_opts opts = {
        .munge_socket = munged.socket, .service_uid = getuid(), .timeout = WAIT};
    snprintf(target, sizeof(target), "unix:%s/s", dir);
    pid_t local = serve(target, NULL, &port);
    measure("unix", target, &opts);
    pid_t remote = serve("127.0.0.1:0", munged.socket, &port);
    char tcp[32];
    snprintf(tcp, sizeof(tcp), "127.0.0.1:%u", port);
    measure("tls", tcp, &opts);
    kill(local, SIGKILL);
    kill(remote, SIGKILL);
    waitpid(local, NULL, 0);
    waitpid(remote, NULL, 0);
    munged_stop(&munged);
    unlink(target + 5);
    rmdir(dir);
    return 0;
}
