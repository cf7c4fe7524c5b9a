/* SPDX-License-Identifier: Apache-2.0
 *
 * libpmix's calls to its host. They come on libpmix's thread, with arguments that live
 * until the call returns: each is copied into a struct upcall and run on the loop.
 *
 * A task that connects, finalizes or aborts waits for our answer, which is given on the
 * loop: what a task has told us is known here before its end can be.
 */
#include "stepd/pmix/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    struct upcall *first, **last;
    int fd;           /* eventfd: something was queued */
    struct event *ev;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* ---- queue ----------------------------------------------------------------------------- */

void upcall_post(struct upcall *u)
{
    uint64_t one = 1;
    u->next = NULL;
    pthread_mutex_lock(&queue.lock);
    *queue.last = u;
    queue.last = &u->next;
    pthread_mutex_unlock(&queue.lock);
    while (write(queue.fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static struct upcall *queue_take(void)
{
    pthread_mutex_lock(&queue.lock);
    struct upcall *all = queue.first;
    queue.first = NULL;
    queue.last = &queue.first;
    pthread_mutex_unlock(&queue.lock);
    return all;
}

static void on_queued(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    (void)arg;
    if (read(fd, &count, sizeof(count)) < 0)
        return;
    for (struct upcall *u = queue_take(), *next; u; u = next) {
        next = u->next;
        u->run(u);
    }
}

int upcall_start(struct err *err)
{
    queue.first = NULL;
    queue.last = &queue.first;
    queue.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue.fd < 0)
        return err_errno(err, "eventfd");
    queue.ev = event_new(server.step->base, queue.fd, EV_READ | EV_PERSIST, on_queued, NULL);
    ASSERT(queue.ev);
    event_add(queue.ev, NULL);
    return 0;
}

void upcall_ignore(void)
{
    if (queue.ev)
        event_free(queue.ev);
    queue.ev = NULL;
}

void upcall_stop(void)
{
    for (struct upcall *u = queue_take(), *next; u; u = next) {
        next = u->next;
        upcall_free(u);
    }
    upcall_ignore();
    if (queue.fd >= 0)
        close(queue.fd);
    queue.fd = -1;
}

void upcall_free(struct upcall *u)
{
    free(u->text);
    free(u->data);
    free(u);
}

void upcall_op_done(struct upcall *u, pmix_status_t status)
{
    if (u->done.op)
        u->done.op(status, u->done_arg);
    upcall_free(u);
}

static struct upcall *upcall_make(void (*run)(struct upcall *), const pmix_proc_t *proc,
                                  void *done_arg)
{
    struct upcall *u = xcalloc(1, sizeof(*u));
    u->run = run;
    u->rank = proc ? proc->rank : 0;
    u->done_arg = done_arg;
    return u;
}

static bool proc_is_ours(const pmix_proc_t *p)
{
    return PMIX_CHECK_NSPACE(p->nspace, server.nspace) && p->rank < server.ntasks;
}

/* ---- a task's life ------------------------------------------------------------------------ */

static void client_set(uint32_t rank, enum client_state state)
{
    for (uint32_t i = 0; i < server.step->tasks_count; i++)
        if (server.step->tasks[i].rank == rank)
            server.client[i] = state;
}

/* All nodes hear of it, as a task that dies before its own PMIx_Init leaves the others
 * waiting only in a step that uses PMIx. Such a task may be dead already. */
void upcall_started(void)
{
    struct mpi_msg m = {.kind = KIND_STARTED, .from = server.step->node_index};
    if (server.started)
        return;
    server.started = true;
    if (!server.step->root)
        server.host->send(server.step, MPI_WAY_UP, &m);
    server.host->send(server.step, MPI_WAY_DOWN, &m);
    for (uint32_t i = 0; i < server.step->tasks_count; i++) {
        const struct task *t = &server.step->tasks[i];
        if (t->ended && server.client[i] == CLIENT_NONE && t->status != 0) {
            server.host->tell(server.step, "task %u ended before MPI_Init: the step is ended",
                              t->rank);
            server.host->abort(server.step, t->status, "a task ended before MPI_Init");
            break;
        }
    }
}

static void run_connected(struct upcall *u)
{
    client_set(u->rank, CLIENT_CONNECTED);
    upcall_started();
    upcall_op_done(u, PMIX_SUCCESS);
}

static pmix_status_t on_connected(const pmix_proc_t *proc, void *object, pmix_info_t info[],
                                  size_t ninfo, pmix_op_cbfunc_t done, void *arg)
{
    (void)object;
    (void)info;
    (void)ninfo;
    struct upcall *u = upcall_make(run_connected, proc, arg);
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static void run_finalized(struct upcall *u)
{
    client_set(u->rank, CLIENT_FINALIZED);
    upcall_op_done(u, PMIX_SUCCESS);
}

static pmix_status_t on_finalized(const pmix_proc_t *proc, void *object,
                                  pmix_op_cbfunc_t done, void *arg)
{
    (void)object;
    struct upcall *u = upcall_make(run_finalized, proc, arg);
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

/* An exit code is what MPI_Abort was given, of which a parent sees 8 bits; but never 0. */
static void run_abort(struct upcall *u)
{
    char text[256];
    int code = u->status & 0xff ? u->status & 0xff : 1;
    snprintf(text, sizeof(text), "task %u called MPI_Abort with code %d%s%s", u->rank,
             u->status, u->text[0] ? ": " : "", u->text);
    text[strcspn(text, "\n")] = '\0';
    if (!server.step->terminating)
        server.host->tell(server.step, "%s", text);
    server.host->abort(server.step, code << 8, text);
    client_set(u->rank, CLIENT_FINALIZED);
    upcall_op_done(u, PMIX_SUCCESS);
}

/* As Slurm's, an abort is the whole step's, whoever it names. */
static pmix_status_t on_abort(const pmix_proc_t *proc, void *object, int status,
                              const char msg[], pmix_proc_t procs[], size_t nprocs,
                              pmix_op_cbfunc_t done, void *arg)
{
    (void)object;
    (void)procs;
    (void)nprocs;
    struct upcall *u = upcall_make(run_abort, proc, arg);
    u->status = status;
    u->text = xstrdup(msg ? msg : "");
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

/* ---- collectives ------------------------------------------------------------------------------ */

static struct upcall *collective(char operation, const pmix_proc_t procs[], size_t nprocs,
                                 void *arg)
{
    char *ranks = ranks_format(procs, nprocs);
    if (!ranks)
        return NULL;
    struct upcall *u = upcall_make(fence_call, NULL, arg);
    u->text = xasprintf("%c%s", operation, ranks);
    free(ranks);
    return u;
}

static pmix_status_t on_fence(const pmix_proc_t procs[], size_t nprocs,
                              const pmix_info_t info[], size_t ninfo, char *data,
                              size_t ndata, pmix_modex_cbfunc_t done, void *arg)
{
    (void)info;
    (void)ninfo;
    struct upcall *u = collective('f', procs, nprocs, arg);
    if (!u)
        return PMIX_ERR_NOT_SUPPORTED;
    u->data = data; /* ours from here on */
    u->data_bytes = ndata;
    u->done.modex = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static pmix_status_t op_collective(char operation, const pmix_proc_t procs[], size_t nprocs,
                                   pmix_op_cbfunc_t done, void *arg)
{
    struct upcall *u = collective(operation, procs, nprocs, arg);
    if (!u)
        return PMIX_ERR_NOT_SUPPORTED;
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static pmix_status_t on_connect(const pmix_proc_t procs[], size_t nprocs,
                                const pmix_info_t info[], size_t ninfo,
                                pmix_op_cbfunc_t done, void *arg)
{
    (void)info;
    (void)ninfo;
    return op_collective('c', procs, nprocs, done, arg);
}

static pmix_status_t on_disconnect(const pmix_proc_t procs[], size_t nprocs,
                                   const pmix_info_t info[], size_t ninfo,
                                   pmix_op_cbfunc_t done, void *arg)
{
    (void)info;
    (void)ninfo;
    return op_collective('d', procs, nprocs, done, arg);
}

/* ---- data of others ------------------------------------------------------------------------------ */

static pmix_status_t on_modex(const pmix_proc_t *proc, const pmix_info_t info[], size_t ninfo,
                              pmix_modex_cbfunc_t done, void *arg)
{
    (void)info;
    (void)ninfo;
    if (!proc_is_ours(proc))
        return PMIX_ERR_NOT_FOUND;
    struct upcall *u = upcall_make(modex_call, proc, arg);
    u->done.modex = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

/* Appends info to a packed run that another node unpacks. */
static bool pack_infos(struct upcall *u, const pmix_info_t info[], size_t ninfo)
{
    pmix_data_buffer_t b;
    pmix_byte_object_t out = {0};
    PMIX_DATA_BUFFER_CONSTRUCT(&b);
    if (ninfo > 0 && PMIx_Data_pack(NULL, &b, (void *)(uintptr_t)info, (int32_t)ninfo,
                                    PMIX_INFO) != PMIX_SUCCESS) {
        PMIX_DATA_BUFFER_DESTRUCT(&b);
        return false;
    }
    PMIx_Data_unload(&b, &out);
    PMIX_DATA_BUFFER_DESTRUCT(&b);
    u->data = out.bytes;
    u->data_bytes = out.size;
    u->number = (uint32_t)ninfo;
    return true;
}

static void pack_keys(struct upcall *u, char **keys)
{
    struct buf b;
    buf_init(&b);
    for (; keys && *keys; keys++) {
        buf_put(&b, *keys, strlen(*keys) + 1);
        u->number++;
    }
    u->data_bytes = b.len;
    u->data = buf_steal(&b);
}

static pmix_status_t on_publish(const pmix_proc_t *proc, const pmix_info_t info[],
                                size_t ninfo, pmix_op_cbfunc_t done, void *arg)
{
    struct upcall *u = upcall_make(exchange_call_publish, proc, arg);
    if (!proc_is_ours(proc) || !pack_infos(u, info, ninfo)) {
        upcall_free(u);
        return PMIX_ERR_BAD_PARAM;
    }
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static int64_t info_int(const pmix_info_t *info)
{
    int64_t n = 0;
    pmix_status_t st;
    PMIX_VALUE_GET_NUMBER(st, &info->value, n, int64_t);
    return st == PMIX_SUCCESS ? n : 0;
}

static pmix_status_t on_lookup(const pmix_proc_t *proc, char **keys, const pmix_info_t info[],
                               size_t ninfo, pmix_lookup_cbfunc_t done, void *arg)
{
    if (!proc_is_ours(proc))
        return PMIX_ERR_BAD_PARAM;
    struct upcall *u = upcall_make(exchange_call_lookup, proc, arg);
    pack_keys(u, keys);
    for (size_t i = 0; i < ninfo; i++) {
        if (PMIX_CHECK_KEY(&info[i], PMIX_WAIT))
            u->status = 1;
        else if (PMIX_CHECK_KEY(&info[i], PMIX_TIMEOUT))
            u->timeout = info_int(&info[i]);
    }
    u->done.lookup = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static pmix_status_t on_unpublish(const pmix_proc_t *proc, char **keys,
                                  const pmix_info_t info[], size_t ninfo,
                                  pmix_op_cbfunc_t done, void *arg)
{
    (void)info;
    (void)ninfo;
    if (!proc_is_ours(proc))
        return PMIX_ERR_BAD_PARAM;
    struct upcall *u = upcall_make(exchange_call_unpublish, proc, arg);
    pack_keys(u, keys);
    u->done.op = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

/* ---- events ------------------------------------------------------------------------------------------ */

/* Every event goes to every node, so that there is nothing to remember. */
static pmix_status_t on_register(pmix_status_t *codes, size_t ncodes,
                                 const pmix_info_t info[], size_t ninfo,
                                 pmix_op_cbfunc_t done, void *arg)
{
    (void)codes;
    (void)ncodes;
    (void)info;
    (void)ninfo;
    (void)done;
    (void)arg;
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t on_deregister(pmix_status_t *codes, size_t ncodes,
                                   pmix_op_cbfunc_t done, void *arg)
{
    return on_register(codes, ncodes, NULL, 0, done, arg);
}

static pmix_status_t on_notify(pmix_status_t code, const pmix_proc_t *source,
                               pmix_data_range_t range, pmix_info_t info[], size_t ninfo,
                               pmix_op_cbfunc_t done, void *arg)
{
    (void)done;
    (void)arg;
    /* libpmix has told its own clients; events without a rank are this node's own */
    if (range == PMIX_RANGE_LOCAL || range == PMIX_RANGE_PROC_LOCAL ||
        range == PMIX_RANGE_RM || !source || !proc_is_ours(source))
        return PMIX_OPERATION_SUCCEEDED;
    /* done at once for the caller: libpmix 4.2.2 crashes in its callback for events */
    struct upcall *u = upcall_make(notify_call, source, NULL);
    if (!pack_infos(u, info, ninfo)) {
        upcall_free(u);
        return PMIX_ERR_BAD_PARAM;
    }
    u->status = code;
    u->timeout = range;
    upcall_post(u);
    return PMIX_OPERATION_SUCCEEDED;
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void run_log(struct upcall *u)
{
    for (char *line = u->text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        server.host->tell(server.step, "%s", line);
    }
    upcall_op_done(u, PMIX_SUCCESS);
}

static void on_log(const pmix_proc_t *client, const pmix_info_t data[], size_t ndata,
                   const pmix_info_t directives[], size_t ndirs, pmix_op_cbfunc_t done,
                   void *arg)
{
    struct upcall *u = upcall_make(run_log, client, arg);
    struct buf b;
    (void)directives;
    (void)ndirs;
    buf_init(&b);
    for (size_t i = 0; i < ndata; i++)
        if (data[i].value.type == PMIX_STRING && data[i].value.data.string)
            buf_printf(&b, "%s\n", data[i].value.data.string);
    u->text = b.len ? buf_steal(&b) : NULL;
    buf_fini(&b);
    u->done.op = done;
    upcall_post(u);
}

static void run_control(struct upcall *u)
{
    char text[64];
    snprintf(text, sizeof(text), "task %u asked to end the step", u->rank);
    server.host->abort(server.step, SIGTERM, text);
    if (u->done.info)
        u->done.info(PMIX_SUCCESS, NULL, 0, u->done_arg, NULL, NULL);
    upcall_free(u);
}

static pmix_status_t on_control(const pmix_proc_t *requestor, const pmix_proc_t targets[],
                                size_t ntargets, const pmix_info_t directives[], size_t ndirs,
                                pmix_info_cbfunc_t done, void *arg)
{
    (void)targets;
    (void)ntargets;
    for (size_t i = 0; i < ndirs; i++)
        if (!PMIX_CHECK_KEY(&directives[i], PMIX_JOB_CTRL_TERMINATE) &&
            !PMIX_CHECK_KEY(&directives[i], PMIX_JOB_CTRL_KILL))
            return PMIX_ERR_NOT_SUPPORTED;
    struct upcall *u = upcall_make(run_control, requestor, arg);
    u->done.info = done;
    upcall_post(u);
    return PMIX_SUCCESS;
}

static void run_spawn(struct upcall *u)
{
    server.host->tell(server.step, "task %u: MPI_Comm_spawn is not built yet: start all "
                      "tasks with srun", u->rank);
    upcall_free(u);
}

static pmix_status_t on_spawn(const pmix_proc_t *proc, const pmix_info_t job_info[],
                              size_t ninfo, const pmix_app_t apps[], size_t napps,
                              pmix_spawn_cbfunc_t done, void *arg)
{
    (void)job_info;
    (void)ninfo;
    (void)apps;
    (void)napps;
    (void)done;
    (void)arg;
    upcall_post(upcall_make(run_spawn, proc, NULL));
    return PMIX_ERR_NOT_SUPPORTED;
}

pmix_server_module_t upcall_table = {
    .client_connected2 = on_connected,
    .client_finalized = on_finalized,
    .abort = on_abort,
    .fence_nb = on_fence,
    .direct_modex = on_modex,
    .publish = on_publish,
    .lookup = on_lookup,
    .unpublish = on_unpublish,
    .spawn = on_spawn,
    .connect = on_connect,
    .disconnect = on_disconnect,
    .register_events = on_register,
    .deregister_events = on_deregister,
    .notify_event = on_notify,
    .log = on_log,
    .job_control = on_control,
};
