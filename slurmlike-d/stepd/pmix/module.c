/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h" /* PACKAGE_VERSION */
#include "stepd/pmix/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NSPACE_SECRET_BYTES 8 /* beyond guessing over a socket */

struct server server;
extern char **environ;

/* ---- messages from other nodes ------------------------------------------------------------ */

static void node_lost(const struct mpi_msg *m)
{
    struct mpi_msg on = *m;
    if (!server.node_lost[m->from]) {
        for (uint32_t n = m->from; n < server.step->nodes_count; n++)
            server.node_lost[n] |= node_below(n, m->from);
        fence_node_lost(m->from);
        request_node_lost(m->from);
    }
    on.number |= server.step->root;
    server.host->send(server.step, on.number ? MPI_WAY_DOWN : MPI_WAY_UP, &on);
}

static void module_message(const struct mpi_msg *m)
{
    switch (m->kind) {
    case KIND_LOST:
        node_lost(m);
        break;
    case KIND_STARTED:
        upcall_started();
        break;
    case KIND_FENCE:
        fence_arrived(m);
        break;
    case KIND_FENCE_DONE:
        fence_done(m);
        break;
    case KIND_GET:
        modex_asked(m);
        break;
    case KIND_PUBLISH:
        exchange_publish(m);
        break;
    case KIND_LOOKUP:
        exchange_lookup(m);
        break;
    case KIND_UNPUBLISH:
        exchange_unpublish(m);
        break;
    case KIND_NOTIFY:
        notify_asked(m);
        break;
    case KIND_EVENT:
        notify_event(m);
        break;
    case KIND_ANSWER:
        request_answer(m);
        break;
    default:
        say(LOG_L_WARN, "step=%s unknown message kind=%u", server.step->name, m->kind);
        break;
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

/* Clients reach libpmix by TCP, where it takes their word for who they are: any user of
 * the machine could come as a rank of the job. But a client has to name the nspace, so
 * half of the job's secret makes that one nobody can name who is not told. It must
 * appear in no file name, command line or log. */
static int nspace_name(const struct step *s, struct err *err)
{
    const ProtobufCBinaryData *secret = &s->launch->job->secret;
    int n = snprintf(server.nspace, sizeof(server.nspace), "slurmlike.%u.%u.%u.", s->job_id,
                     s->step_id, s->restart);
    if (secret->len < 2 * NSPACE_SECRET_BYTES)
        return err_set(err, SL_EPROTO, "the launch of step %s has no secret", s->name);
    for (size_t i = 0; i < NSPACE_SECRET_BYTES; i++, n += 2)
        snprintf(server.nspace + n, sizeof(server.nspace) - (size_t)n, "%02x",
                 secret->data[secret->len - NSPACE_SECRET_BYTES + i]);
    return 0;
}

static void ranks_index(const struct step *s)
{
    const Sl__StepLayout *layout = s->launch->layout;
    server.ntasks = layout->ntasks;
    server.node_of = xcalloc(layout->ntasks, sizeof(*server.node_of));
    server.node_lost = xcalloc(layout->n_nodes, sizeof(*server.node_lost));
    server.client = xcalloc(s->tasks_count, sizeof(*server.client));
    for (uint32_t n = 0; n < layout->n_nodes; n++)
        for (size_t i = 0; i < layout->nodes[n]->n_tasks; i++)
            server.node_of[layout->nodes[n]->tasks[i]] = n;
}

/* A daemon that was itself started under some PMIx must not pass for its client. */
static void environment_clean(void)
{
    for (char **e = environ; *e;) {
        char *name = strndup(*e, strcspn(*e, "="));
        ASSERT(name);
        bool drop = strncmp(name, "PMIX_", 5) == 0 && strncmp(name, "PMIX_MCA_", 9) != 0;
        if (drop)
            unsetenv(name);
        free(name);
        if (!drop)
            e++;
    }
    /* job data goes to clients by message: shared memory files would have to be the user's */
    setenv("PMIX_MCA_gds", "hash", 1);
    setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 0); /* as topology.c says */
    setenv("HWLOC_LIBXML", "0", 0);
}

static int server_init(const struct step *s, struct err *err)
{
    enum { COUNT = 6 };
    pmix_info_t info[COUNT];
    pmix_topology_t machine = {.source = (char *)"hwloc", .topology = topology};
    pmix_rank_t rank = s->node_index;
    char *name = xasprintf("slurmlike-stepd.%s", s->name);

    memset(info, 0, sizeof(info));
    PMIX_INFO_LOAD(&info[0], PMIX_SERVER_TMPDIR, s->dir, PMIX_STRING);
    PMIX_INFO_LOAD(&info[1], PMIX_SYSTEM_TMPDIR, s->dir, PMIX_STRING);
    PMIX_INFO_LOAD(&info[2], PMIX_SERVER_NSPACE, name, PMIX_STRING);
    PMIX_INFO_LOAD(&info[3], PMIX_SERVER_RANK, &rank, PMIX_PROC_RANK);
    PMIX_INFO_LOAD(&info[4], PMIX_HOSTNAME, s->opts->node, PMIX_STRING);
    /* itself, not a copy: libpmix keeps what it is given */
    PMIX_LOAD_KEY(info[5].key, PMIX_TOPOLOGY2);
    info[5].value.type = PMIX_TOPO;
    info[5].value.data.topo = &machine;
    pmix_status_t st = PMIx_server_init(&upcall_table, info, COUNT);
    for (size_t i = 0; i < COUNT - 1; i++)
        PMIX_INFO_DESTRUCT(&info[i]);
    free(name);
    if (st != PMIX_SUCCESS)
        return err_set(err, -EIO, "the PMIx server of step %s cannot start: %s", s->name,
                       PMIx_Error_string(st));
    return 0;
}

static void server_free(void)
{
    upcall_stop();
    free(server.node_of);
    free(server.node_lost);
    free(server.client);
    folders_free();
    server = (struct server){0};
}

static int module_start(const struct mpi_host *h, struct err *err)
{
    struct step *s = h->step;
    int rc;

    server.host = h;
    server.step = s;
    ranks_index(s);
    rc = nspace_name(s, err);
    if (rc == 0)
        rc = folders_make(err);
    if (rc == 0)
        rc = upcall_start(err);
    if (rc == 0)
        rc = server_init(s, err);
    if (rc < 0) {
        server_free();
        return rc;
    }
    rc = nspace_register(err);
    if (rc < 0) {
        PMIx_server_finalize();
        server_free();
    }
    return rc;
}

static int module_preload(struct err *err)
{
    environment_clean();
    return topology_load(err);
}

/* PMIx_server_finalize of libpmix 4.2.2 can wait for ever for a client that was killed while
 * it connected. */
static void module_stop(bool orderly)
{
    if (!orderly) {
        upcall_ignore();
        folders_free();
        return;
    }
    PMIx_server_finalize();
    fence_fini();
    request_fini();
    exchange_fini();
    server_free();
}

/* ---- tasks ------------------------------------------------------------------------------------- */

static char **module_task_env(const struct task *t, struct arena *a, struct err *err)
{
    char **env = NULL;
    size_t count = 0;
    pmix_proc_t proc;
    PMIX_LOAD_PROCID(&proc, server.nspace, t->rank);
    pmix_status_t st = PMIx_server_setup_fork(&proc, &env);
    if (st != PMIX_SUCCESS) {
        err_set(err, -EIO, "PMIx gives task %u no environment: %s", t->rank,
                PMIx_Error_string(st));
        return NULL;
    }
    while (env && env[count])
        count++;
    char **copy = arena_alloc(a, (count + FOLDERS_ENV_COUNT + 1) * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = arena_strdup(a, env[i]);
        free(env[i]);
    }
    free(env);
    folders_env(copy + count, a);
    return copy;
}

static bool module_task_broke(const struct task *t)
{
    enum client_state state = server.client[t->local];
    return state == CLIENT_CONNECTED ||
           (state == CLIENT_NONE && server.started && t->status != 0);
}

__attribute__((visibility("default"))) const struct mpi_module mpi_module = {
    .version = PACKAGE_VERSION,
    .preload = module_preload,
    .start = module_start,
    .stop = module_stop,
    .task_env = module_task_env,
    .task_broke = module_task_broke,
    .message = module_message,
};
