/* SPDX-License-Identifier: Apache-2.0
 *
 * A node daemon for tests of slurmlike-stepd: it starts the zygote, listens on
 * spool/d.sock, keeps what supervisors report, and acknowledges it. Everything waits for
 * an event with a deadline.
 */
#ifndef STEPD_DAEMON_H
#define STEPD_DAEMON_H

#include "job/state.h"
#include "wire/wire.h"
#include <event2/event.h>

#define TEST_WAIT (20 * USEC_PER_SEC)
#define TEST_SUPERVISORS 16

struct test_supervisor { /* by hello, in order of arrival */
    struct test_daemon *daemon;
    struct wire_link *link; /* NULL: gone */
    uint32_t job_id, step_id, pid;
    bool manager, gone;
};
struct test_route { /* a TCP peer that waits for its supervisor */
    int fd;
    uint32_t job_id, step_id;
    bool to_manager;
    struct wire_peer peer;
    unsigned char psk[32];
};
struct test_daemon {
    char dir[64];           /* scratch; spool is dir/spool */
    char spool[80];
    struct event_base *base; /* set before daemon_start: shared with others */
    bool base_shared;
    struct wire_listener *listener;
    pid_t zygote;
    struct wire_link *zygote_link;
    struct test_supervisor sup[TEST_SUPERVISORS];
    size_t sup_count;
    Sl__JobReport *reports[256]; /* in order of arrival */
    size_t reports_count;
    uint32_t spawn_pid;
    int spawn_code;         /* of the last STEP_LAUNCH_REPLY */
    char spawn_text[256];
    unsigned spawn_replies, deaths;
    struct wire_listener *tcp; /* NULL: none */
    unsigned port;
    struct test_route routes[16];
    size_t routes_count;
    /* STEP_LAUNCH of a manager, over its own link or TCP; NULL: refused */
    void (*launched)(struct test_daemon *d, struct wire_link *from, uint32_t tag,
                     const Sl__StepLaunch *m);
    bool hold_acks;
};

/* extra: further options of the zygote, NULL-terminated; may be NULL. */
void daemon_start(struct test_daemon *d, const char *const *extra);
void daemon_stop(struct test_daemon *d); /* checks that no supervisor is left */
/* The daemon's socket goes away and comes back, as if it were killed and restarted. */
void daemon_unlisten(struct test_daemon *d);
void daemon_listen(struct test_daemon *d);
/* Also takes TCP connections and routes them. */
void daemon_listen_tcp(struct test_daemon *d, const char *munge_socket);
void daemon_spawn(struct test_daemon *d, const Sl__StepLaunch *m);
/* Runs the loop until done(arg) or the deadline; fails the test then. */
void daemon_until(struct test_daemon *d, bool (*done)(struct test_daemon *d, void *arg),
                  void *arg, const char *what);
/* The first report of that kind for the step, waited for. */
const Sl__JobReport *daemon_report(struct test_daemon *d, Sl__ReportKind kind,
                                   uint32_t step_id);
/* All supervisors have closed their links. */
void daemon_all_gone(struct test_daemon *d);
void daemon_send(struct test_daemon *d, size_t sup, enum wire_type type,
                 const ProtobufCMessage *m);
/* A connection to supervisor number sup, as if the daemon had routed a client of that
 * uid to it. */
struct wire_link *daemon_route(struct test_daemon *d, size_t sup, const char *route,
                               uid_t uid, const struct wire_link_ops *ops, void *arg);
/* A file under dir, whole; caller frees. "" when it is not there. */
char *test_file(const struct test_daemon *d, const char *name);

/* ---- launches: plain structs in one block; fields may be changed before use --------- */

struct test_launch {
    Sl__StepLaunch m;
    Sl__JobInfo job;
    Sl__JobSpec jobspec;
    Sl__StepSpec spec;
    Sl__StepLayout layout;
    Sl__StepNode nodes[8], *node_list[8];
    Sl__Allocation alloc;
    Sl__AllocNode anodes[8], *anode_list[8];
    uint32_t ranks[8][64];
    char names[8][16];
    char *argv[16], *env[8];
    char work_dir[80];
};
/* One node, one task; batch: script runs; else argv ("sh", "-c", script). The job runs as
 * uid/gid nobody when the test runs as root. */
void launch_batch(struct test_launch *l, const struct test_daemon *d, uint32_t job_id,
                  const char *script);
void launch_step(struct test_launch *l, const struct test_daemon *d, uint32_t job_id,
                 uint32_t step_id, uint32_t nodes, uint32_t tasks_per_node,
                 const char *command);

#endif
