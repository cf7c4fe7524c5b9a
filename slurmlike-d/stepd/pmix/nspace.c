/* SPDX-License-Identifier: Apache-2.0
 *
 * What the step's tasks may ask of PMIx about the step: its size, its nodes, where each
 * rank is. From the maps of nodes and ranks libpmix derives most of it itself (peers of a
 * node, its lowest rank); ranks on other nodes are given in full, so that no
 * client has to ask for them.
 *
 * A virtual node is a node: its ranks share memory with each other, and speak TCP to the
 * ranks of another, though both are on one machine.
 */
#include "stepd/pmix/server.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(void *list, const char *key, const void *value, pmix_data_type_t type)
{
    PMIx_Info_list_add(list, key, (void *)(uintptr_t)value, type);
}

static void add_u32(void *list, const char *key, uint32_t n)
{
    add(list, key, &n, PMIX_UINT32);
}

static void add_u16(void *list, const char *key, uint32_t n)
{
    uint16_t v = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
    add(list, key, &v, PMIX_UINT16);
}

static void add_rank(void *list, const char *key, uint32_t n)
{
    pmix_rank_t v = n;
    add(list, key, &v, PMIX_PROC_RANK);
}

/* Closes the inner list and makes it one entry of the outer. */
static void add_array(void *list, const char *key, void *inner)
{
    pmix_data_array_t array;
    if (PMIx_Info_list_convert(inner, &array) == PMIX_SUCCESS) {
        add(list, key, &array, PMIX_DATA_ARRAY);
        PMIX_DATA_ARRAY_DESTRUCT(&array);
    }
    PMIx_Info_list_release(inner);
}

static const char *node_name(uint32_t node)
{
    const Sl__StepLaunch *m = server.step->launch;
    uint32_t i = m->layout->nodes[node]->alloc_index;
    return m->job->alloc && i < m->job->alloc->n_nodes ? m->job->alloc->nodes[i]->name : "?";
}

/* ---- maps ------------------------------------------------------------------------------- */

static void add_maps(void *list)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    struct buf names, ranks;
    char *map;
    buf_init(&names);
    buf_init(&ranks);
    for (uint32_t n = 0; n < layout->n_nodes; n++) {
        buf_printf(&names, "%s%s", n ? "," : "", node_name(n));
        for (size_t i = 0; i < layout->nodes[n]->n_tasks; i++)
            buf_printf(&ranks, "%s%u", i ? "," : n ? ";" : "", layout->nodes[n]->tasks[i]);
    }
    if (PMIx_generate_regex(buf_str(&names), &map) == PMIX_SUCCESS) {
        add(list, PMIX_NODE_MAP, map, PMIX_REGEX);
        free(map);
    }
    if (PMIx_generate_ppn(buf_str(&ranks), &map) == PMIX_SUCCESS) {
        add(list, PMIX_PROC_MAP, map, PMIX_REGEX);
        free(map);
    }
    add(list, PMIX_NODE_LIST, buf_str(&names), PMIX_STRING);
    buf_fini(&names);
    buf_fini(&ranks);
}

static char *peers(uint32_t node)
{
    const Sl__StepNode *n = server.step->launch->layout->nodes[node];
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < n->n_tasks; i++)
        buf_printf(&b, "%s%u", i ? "," : "", n->tasks[i]);
    return buf_steal(&b);
}

/* ---- realms ------------------------------------------------------------------------------ */

static void add_job(void *list)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    char id[64];
    snprintf(id, sizeof(id), "%s", server.step->name);
    add(list, PMIX_JOBID, id, PMIX_STRING);
    add_u32(list, PMIX_UNIV_SIZE, layout->ntasks);
    add_u32(list, PMIX_JOB_SIZE, layout->ntasks);
    add_u32(list, PMIX_APP_SIZE, layout->ntasks);
    add_u32(list, PMIX_MAX_PROCS, layout->ntasks);
    add_u32(list, PMIX_NUM_NODES, (uint32_t)layout->n_nodes);
    add_u32(list, PMIX_JOB_NUM_APPS, 1);
    add_rank(list, PMIX_NPROC_OFFSET, 0);
    add_rank(list, PMIX_APPLDR, 0);
}

static void add_this_node(void *list)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    const Sl__StepNode *node = layout->nodes[server.step->node_index];
    char *text = peers(server.step->node_index);
    bool clean = true;
    add_u32(list, PMIX_LOCAL_SIZE, (uint32_t)node->n_tasks);
    add_u32(list, PMIX_NODE_SIZE, (uint32_t)node->n_tasks);
    add(list, PMIX_LOCAL_PEERS, text, PMIX_STRING);
    if (node->n_tasks > 0)
        add_rank(list, PMIX_LOCALLDR, node->tasks[0]);
    add(list, PMIX_TMPDIR, server.dir, PMIX_STRING);
    add(list, PMIX_NSDIR, server.dir, PMIX_STRING);
    add(list, PMIX_TDIR_RMCLEAN, &clean, PMIX_BOOL);
    if (topology_xml)
        add(list, PMIX_LOCAL_TOPO, topology_xml, PMIX_STRING);
    free(text);
}

static void add_nodes(void *list)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    for (uint32_t n = 0; n < layout->n_nodes; n++) {
        void *inner = PMIx_Info_list_start();
        char *text = peers(n);
        add_u32(inner, PMIX_NODEID, n);
        add(inner, PMIX_HOSTNAME, node_name(n), PMIX_STRING);
        add_u32(inner, PMIX_LOCAL_SIZE, (uint32_t)layout->nodes[n]->n_tasks);
        add_u32(inner, PMIX_NODE_SIZE, (uint32_t)layout->nodes[n]->n_tasks);
        add(inner, PMIX_LOCAL_PEERS, text, PMIX_STRING);
        if (layout->nodes[n]->n_tasks > 0)
            add_rank(inner, PMIX_LOCALLDR, layout->nodes[n]->tasks[0]);
        add_array(list, PMIX_NODE_INFO_ARRAY, inner);
        free(text);
    }
}

static void add_proc(void *list, uint32_t node, uint32_t rank, uint32_t local)
{
    void *inner = PMIx_Info_list_start();
    bool spawned = false;
    add_rank(inner, PMIX_RANK, rank); /* first, as libpmix wants it */
    add_u32(inner, PMIX_APPNUM, 0);
    add_rank(inner, PMIX_APP_RANK, rank);
    add_rank(inner, PMIX_GLOBAL_RANK, rank);
    add_u16(inner, PMIX_LOCAL_RANK, local);
    add_u16(inner, PMIX_NODE_RANK, local);
    add_u32(inner, PMIX_NODEID, node);
    add(inner, PMIX_HOSTNAME, node_name(node), PMIX_STRING);
    add(inner, PMIX_SPAWNED, &spawned, PMIX_BOOL);
    if (node == server.step->node_index) {
        char *dir = xasprintf("%s/%u", server.dir, rank);
        add(inner, PMIX_PROCDIR, dir, PMIX_STRING);
        free(dir);
    }
    add_array(list, PMIX_PROC_INFO_ARRAY, inner);
}

static void add_procs(void *list)
{
    const Sl__StepLayout *layout = server.step->launch->layout;
    for (uint32_t n = 0; n < layout->n_nodes; n++)
        for (uint32_t i = 0; i < layout->nodes[n]->n_tasks; i++)
            add_proc(list, n, layout->nodes[n]->tasks[i], i);
}

/* ---- registration ------------------------------------------------------------------------- */

struct wait {
    sem_t done;
    pmix_status_t status;
};

static void on_registered(pmix_status_t status, void *arg)
{
    struct wait *w = arg;
    w->status = status;
    sem_post(&w->done);
}

static pmix_status_t wait_for(struct wait *w, pmix_status_t status)
{
    if (status == PMIX_SUCCESS) {
        while (sem_wait(&w->done) < 0 && errno == EINTR)
            ;
        status = w->status;
    }
    return status == PMIX_OPERATION_SUCCEEDED ? PMIX_SUCCESS : status;
}

static int clients_register(struct wait *w, struct err *err)
{
    const struct step *s = server.step;
    for (uint32_t i = 0; i < s->tasks_count; i++) {
        pmix_proc_t proc;
        PMIX_LOAD_PROCID(&proc, server.nspace, s->tasks[i].rank);
        pmix_status_t st = wait_for(
            w, PMIx_server_register_client(&proc, s->user.uid, s->user.gid, NULL,
                                           on_registered, w));
        if (st != PMIX_SUCCESS)
            return err_set(err, -EIO, "PMIx cannot register task %u: %s", proc.rank,
                           PMIx_Error_string(st));
    }
    return 0;
}

int nspace_register(struct err *err)
{
    void *list = PMIx_Info_list_start();
    pmix_data_array_t all = {0};
    struct wait w = {.status = PMIX_SUCCESS};
    int rc = 0;

    sem_init(&w.done, 0, 0);
    add_job(list);
    add_this_node(list);
    add_maps(list);
    add_nodes(list);
    add_procs(list);
    pmix_status_t st = PMIx_Info_list_convert(list, &all);
    PMIx_Info_list_release(list);
    if (st == PMIX_SUCCESS)
        st = wait_for(&w, PMIx_server_register_nspace(
                              server.nspace, (int)server.step->tasks_count, all.array,
                              all.size, on_registered, &w));
    if (st != PMIX_SUCCESS)
        rc = err_set(err, -EIO, "PMIx cannot register step %s: %s", server.step->name,
                     PMIx_Error_string(st));
    else
        rc = clients_register(&w, err);
    PMIX_DATA_ARRAY_DESTRUCT(&all);
    sem_destroy(&w.done);
    return rc;
}
