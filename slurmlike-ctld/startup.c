/* SPDX-License-Identifier: Apache-2.0 */
#include "acct.h"
#include "blobs.h"
#include "ctld.h"
#include "helper.h"
#include "loop.h"
#include "nodes.h"
#include "persist.h"
#include "query.h"
#include "stats.h"
#include "session.h"
#include "setup/setup.h"
#include "users.h"
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- configuration into the core ------------------------------------------------------------ */

int startup_configure(struct core *core, const struct conf *conf, usec_t now, struct err *err)
{
    struct core_policy policy;

    if (setup_policy(conf, &policy, err) < 0)
        return err->code;
    return setup_configure(core, conf, &policy, now, err);
}

struct core *startup_core(const struct conf *conf, usec_t now, struct err *err)
{
    struct core_policy policy;
    struct core *core;

    if (setup_policy(conf, &policy, err) < 0)
        return NULL;
    core = core_create(&policy, err);
    if (core && startup_configure(core, conf, now, err) < 0) {
        core_destroy(core);
        return NULL;
    }
    return core;
}

/* ---- directories ------------------------------------------------------------------------------- */

/* mkdir -p; what is made belongs to uid. */
static int dir_make(const char *path, uid_t uid, gid_t gid, struct err *err)
{
    char *copy = xstrdup(path);
    int rc = 0;

    for (char *p = copy + 1; rc == 0; p++) {
        bool end = *p == '\0';
        if (!end && *p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) == 0) {
            if (lchown(copy, uid, gid) < 0)
                rc = err_errno(err, "%s", copy);
        } else if (errno != EEXIST) {
            rc = err_errno(err, "%s", copy);
        }
        if (end)
            break;
        *p = '/';
    }
    free(copy);
    return rc;
}

static int parent_make(const char *path, uid_t uid, gid_t gid, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    char *dir = xasprintf("%.*s", (int)(slash - path), path);
    int rc = dir_make(dir, uid, gid, err);
    free(dir);
    return rc;
}

int startup_prepare(const struct conf *conf, uid_t uid, gid_t gid, struct err *err)
{
    static const char scheme[] = "sqlite:";
    int rc = dir_make(conf->run_dir, uid, gid, err);

    if (rc == 0)
        rc = parent_make(conf->ctld_socket, uid, gid, err);
    if (rc == 0 && strncmp(conf->state_url, scheme, strlen(scheme)) == 0)
        rc = parent_make(conf->state_url + strlen(scheme), uid, gid, err);
    return rc;
}

/* ---- state --------------------------------------------------------------------------------------- */

static int identity_make(struct ctld *d, const struct persist_meta *meta, struct err *err)
{
    d->epoch = meta->epoch + 1;
    if (meta->has_key)
        memcpy(d->secret_key, meta->key, sizeof(d->secret_key));
    else if (getrandom(d->secret_key, sizeof(d->secret_key), 0) != sizeof(d->secret_key))
        return err_errno(err, "no random bytes for the cluster's key");
    persist_put_identity(d);
    return loop_commit_now(d, err);
}

static int parts_create(struct ctld *d, struct err *err)
{
    d->loop = loop_create(d);
    d->persist = persist_create();
    d->sessions = sessions_create(d);
    d->watches = watches_create(d);
    d->queries = queries_create(d);
    d->stats = stats_create();
    d->blobs = blobs_create(BLOB_CACHE_BYTES_MAX);
    d->users = users_create();
    nodes_create(d);
    d->store = store_open(d->conf->state_url, false, err);
    return d->store ? 0 : err->code;
}

static int helpers_create(struct ctld *d, struct err *err)
{
    if (!(d->committer = helper_create(d->base, "ctld-commit", err)) ||
        !(d->reader = helper_create(d->base, "ctld-read", err)) ||
        !(d->acct = acct_create(d->base, d->conf->state_url, d->conf->cluster_name, err)))
        return err->code;
    return 0;
}

int startup_load(struct ctld *d, struct err *err)
{
    struct persist_meta meta = {.epoch = 0};
    int rc = parts_create(d, err);

    buf_init(&meta.core);
    if (rc == 0)
        rc = persist_load_meta(d, &meta, err);
    if (rc == 0) {
        clock_start(&d->clock, clock_wall_usec(), clock_mono_usec(), meta.clock);
        d->started = ctld_now(d);
        d->core = startup_core(d->conf, d->started, err);
        rc = d->core ? 0 : err->code;
    }
    if (rc == 0)
        rc = persist_load(d, &meta, err);
    if (rc == 0)
        rc = identity_make(d, &meta, err);
    if (rc == 0)
        rc = helpers_create(d, err);
    buf_fini(&meta.core);
    if (rc == 0) {
        watch_expect_owners(d);
        loop_kick(d);
    }
    return rc;
}

/* Other machines dial the host by its name, which may stand for a loopback
 * address in this machine's /etc/hosts: only a loopback host is bound as such. */
static char *listen_target(const struct conf *conf)
{
    const char *host = conf->ctld_host;
    bool loopback = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
                    strcmp(host, "::1") == 0;

    if (!loopback)
        return xasprintf("0.0.0.0:%u", conf->ctld_port);
    return xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, conf->ctld_port);
}

int startup_listen(struct ctld *d, struct err *err)
{
    char *target = xasprintf("unix:%s", d->conf->ctld_socket);

    d->listen_unix =
        wire_listen(d->base, target, 0666, NULL, &session_listener_ops, d, err);
    free(target);
    if (!d->listen_unix)
        return err->code;
    if (!d->conf->ctld_port)
        return 0;
    target = listen_target(d->conf);
    d->listen_tcp = wire_listen(d->base, target, 0, d->conf->munge_socket,
                                &session_listener_ops, d, err);
    free(target);
    return d->listen_tcp ? 0 : err->code;
}

void startup_unload(struct ctld *d)
{
    d->stopping = true;
    wire_listener_close(d->listen_unix);
    wire_listener_close(d->listen_tcp);
    /* works under way may still use everything below */
    helper_destroy(d->committer);
    helper_destroy(d->reader);
    sessions_destroy(d->sessions);
    acct_destroy(d->acct);
    store_close(d->reader_store);
    store_close(d->store);
    watches_destroy(d->watches);
    queries_destroy(d->queries);
    stats_destroy(d->stats);
    nodes_destroy(d->nodes);
    blobs_destroy(d->blobs);
    users_destroy(d->users);
    persist_destroy(d->persist);
    loop_destroy(d->loop);
    core_destroy(d->core);
}
