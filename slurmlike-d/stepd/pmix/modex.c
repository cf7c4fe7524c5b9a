/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to another node of the step, and their answers; first of all for the data that
 * a rank of that node has put (direct modex). The node's libpmix keeps the question until
 * the rank has committed its data.
 */
#include "stepd/pmix/server.h"

#include <stdlib.h>
#include <string.h>

struct request { /* waits for its answer */
    uint64_t id;
    enum kind kind;
    uint32_t node;
    struct upcall *u;
    struct request *next;
};
static struct request *requests;
static uint64_t request_last;

/* m: the answer; NULL: there will be none. */
static void request_finish(struct request *r, pmix_status_t status, const struct mpi_msg *m)
{
    struct upcall *u = r->u;
    for (struct request **at = &requests; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    switch (r->kind) {
    case KIND_GET: {
        size_t n = m ? m->data_bytes : 0;
        char *copy = xmalloc(n + 1);
        if (n > 0)
            memcpy(copy, m->data, n);
        u->done.modex(status, copy, n, u->done_arg, free, copy);
        upcall_free(u);
        break;
    }
    case KIND_LOOKUP:
        exchange_found(u, status, m);
        break;
    default:
        upcall_op_done(u, status);
        break;
    }
    free(r);
}

void request_send(struct upcall *u, enum kind kind, uint32_t node)
{
    struct request *r = xcalloc(1, sizeof(*r));
    r->id = ++request_last;
    r->kind = kind;
    r->node = node;
    r->u = u;
    r->next = requests;
    requests = r;
    struct mpi_msg m = {.kind = kind, .request = r->id, .rank = u->rank, .data = u->data,
                        .data_bytes = u->data_bytes, .status = u->status,
                        .number = u->number, .sequence = (uint64_t)u->timeout,
                        .from = server.step->node_index, .to = node};
    if (server.node_lost[node] || !server.host->send(server.step, MPI_WAY_TO, &m))
        request_finish(r, PMIX_ERR_LOST_CONNECTION, NULL);
}

void request_answer(const struct mpi_msg *m)
{
    struct request *r = requests;
    while (r && r->id != m->request)
        r = r->next;
    if (r)
        request_finish(r, m->status, m);
}

void answer_send(const struct mpi_msg *m, pmix_status_t status, const void *data, size_t n,
                 uint32_t number)
{
    struct mpi_msg a = {.kind = KIND_ANSWER, .request = m->request, .status = status,
                        .data = data, .data_bytes = n, .number = number,
                        .from = server.step->node_index, .to = m->from};
    server.host->send(server.step, MPI_WAY_TO, &a);
}

void request_node_lost(uint32_t node)
{
    for (struct request *r = requests, *next; r; r = next) {
        next = r->next;
        if (node_below(r->node, node))
            request_finish(r, PMIX_ERR_LOST_CONNECTION, NULL);
    }
}

void request_fini(void)
{
    while (requests) {
        struct request *r = requests;
        requests = r->next;
        upcall_free(r->u);
        free(r);
    }
}

/* ---- direct modex ------------------------------------------------------------------------- */

void modex_call(struct upcall *u)
{
    request_send(u, KIND_GET, server.node_of[u->rank]);
}

/* u->number holds the asking node, u->timeout its request. */
static void run_data(struct upcall *u)
{
    struct mpi_msg question = {.from = u->number, .request = (uint64_t)u->timeout};
    answer_send(&question, u->status, u->data, u->data_bytes, 0);
    upcall_free(u);
}

/* On libpmix's thread; it frees data. */
static void on_data(pmix_status_t status, char *data, size_t n, void *arg)
{
    struct upcall *u = arg;
    u->run = run_data;
    u->status = status;
    u->data_bytes = data && n <= FRAME_BYTES_MAX / 2 ? n : 0;
    u->data = xmalloc(u->data_bytes + 1);
    if (u->data_bytes > 0)
        memcpy(u->data, data, u->data_bytes);
    upcall_post(u);
}

void modex_asked(const struct mpi_msg *m)
{
    pmix_proc_t proc;
    if (server.node_of[m->rank] != server.step->node_index) {
        answer_send(m, PMIX_ERR_NOT_FOUND, NULL, 0, 0);
        return;
    }
    PMIX_LOAD_PROCID(&proc, server.nspace, m->rank);
    struct upcall *u = xcalloc(1, sizeof(*u));
    u->number = m->from;
    u->timeout = (int64_t)m->request;
    pmix_status_t st = PMIx_server_dmodex_request(&proc, on_data, u);
    if (st != PMIX_SUCCESS) {
        answer_send(m, st, NULL, 0, 0);
        upcall_free(u);
    }
}
