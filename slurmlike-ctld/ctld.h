/* SPDX-License-Identifier: Apache-2.0
 *
 * ctld: slurmlike-ctld, the controller process around the pure core.
 *
 * One thread runs a libevent loop and is the only one that touches the core.
 * A turn of the loop: drain the sockets, applying each command as it comes;
 * when the sockets are drained and no commit is under way, plan, gather the
 * changes into one store transaction and hand it to the commit thread. While
 * it is being made durable the next commands are applied and gathered. When it
 * is durable, the replies and effects that waited for it are released:
 *
 *     sockets -> loop_apply -> persist_note   \  generation g, being gathered
 *                           -> held replies,  /
 *                              held effects
 *     loop_turn: core_plan, persist_seal -> commit thread (generation g)
 *     durable >= g: sessions_release, effects carried out
 *
 * Nothing that depends on generation g leaves the process before g is durable:
 * replies, job events, rows of queries, acknowledgements of reports, launches
 * and terminations. Slow leaves (commit, store reads, accounting queries) run
 * on helper threads that get a value and return one (helper.h).
 *
 * Reading order: loop.c, session.c (the table of requests), submit.c, nodes.c,
 * launch.c, persist.c, query.c with cells.c.
 *
 * Known limits: names of users and groups come from getpwuid() and friends on
 * the loop thread, behind a cache (users.c); a directory service that hangs
 * stalls the loop for a look-up of an uncached user.
 */
#ifndef SL_CTLD_CTLD_H
#define SL_CTLD_CTLD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "clock.h"
#include "conf/conf.h"
#include "sched/core.h"
#include "store/store.h"
#include "wire/wire.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bounds and intervals of the controller. */
#define QUERY_ROWS_PER_PAGE 250u         /* rows formatted before another query gets its turn */
#define QUERY_USEC_PER_TURN 1000         /* ... and all queries together before other work does */
#define QUERY_CHUNK_BYTES (256u << 10)   /* one QUERY_ROWS frame */
#define SESSION_QUEUE_BYTES (512u << 10)  /* rows that wait for a commit, and for the client */
#define BLOB_CACHE_BYTES_MAX (8u << 20)  /* scripts and environments kept for launches */
#define USER_CACHE_USEC (300 * USEC_PER_SEC)
#define REATTACH_USEC (60 * USEC_PER_SEC) /* clients of a former controller may come back */
#define COMMIT_RETRY_USEC_MIN (USEC_PER_SEC / 4)
#define COMMIT_RETRY_USEC_MAX (5 * USEC_PER_SEC)
#define SHUTDOWN_USEC (10 * USEC_PER_SEC) /* to finish a commit and write out replies */
#define SECRET_KEY_BYTES 32

struct acct;
struct blobs;
struct commit;
struct helper;
struct loop;
struct nodes;
struct persist;
struct queries;
struct sessions;
struct stats;
struct users;
struct watches;

struct ctld {
    struct event_base *base;
    struct conf *conf;
    const char *conf_path; /* as given with --config; NULL: search order */
    struct core *core;
    struct clock clock;
    uint64_t epoch;
    usec_t started;
    uid_t self_uid, node_uid;
    unsigned char secret_key[SECRET_KEY_BYTES]; /* job secrets derive from it */
    struct store *store; /* the commit helper's after start */
    struct helper *committer, *reader;
    struct store *reader_store; /* opened and used by the reader thread only */
    struct loop *loop;
    struct persist *persist;
    struct sessions *sessions;
    struct nodes *nodes;
    struct watches *watches;
    struct queries *queries;
    struct stats *stats;
    struct blobs *blobs;
    struct users *users;
    struct acct *acct;
    struct wire_listener *listen_unix, *listen_tcp;
    bool stopping;
};

static inline usec_t ctld_now(struct ctld *d)
{
    return clock_now(&d->clock);
}

/* ---- startup.c: from configuration and store to a controller that can serve ---- */

/* Policy, partitions and nodes of conf into the core; also checks them: with a
 * scratch core this is --check-config. */
int startup_configure(struct core *core, const struct conf *conf, usec_t now, struct err *err);
struct core *startup_core(const struct conf *conf, usec_t now, struct err *err);
/* Opens the store, loads the state, commits epoch + 1, creates every part. */
int startup_load(struct ctld *d, struct err *err);
int startup_listen(struct ctld *d, struct err *err);
/* Directories of run_dir and the store exist and belong to the controller's user;
 * called before privileges are dropped. */
int startup_prepare(const struct conf *conf, uid_t uid, gid_t gid, struct err *err);
void startup_unload(struct ctld *d);

#endif
