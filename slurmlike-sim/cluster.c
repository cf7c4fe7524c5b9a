/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster.h"

#include "base/buf.h"
#include "base/hostlist.h"
#include "base/limits.h"
#include "job/jobspec.h"
#include "lines.h"
#include "live.h"
#include "setup/setup.h"
#include "sim.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_COLUMNS 5

/* ---- from a struct conf ---------------------------------------------------------------- */

static int gpus_of(const struct conf_node *entry, uint32_t *gpus, bool *shares, struct err *err)
{
    struct arena a;
    Sl__GresReq **list = NULL;
    size_t n = 0;
    *gpus = 0;
    if (!entry->gres[0])
        return 0;
    arena_init(&a);
    int rc = gres_parse(entry->gres, SL__GRES_PER__GRES_PER_NODE, &a, &list, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (strcmp(list[i]->name, "gpu") == 0)
            *gpus += (uint32_t)list[i]->count;
        *shares = *shares || strcmp(list[i]->name, "gpu_milli") == 0;
    }
    arena_fini(&a);
    return rc;
}

static int entry_add(struct cluster *cl, const struct conf_node *entry, struct err *err)
{
    uint32_t gpus;
    if (entry->cpus == 0)
        return err_set(err, -EINVAL, "nodes: %.64s: a simulation needs `cpus`", entry->names);
    struct hostlist *names = hostlist_create(entry->names, err);
    int rc = names ? gpus_of(entry, &gpus, &cl->gpu_shares, err) : -EINVAL;
    size_t n = rc == 0 ? hostlist_count(names) : 0;
    cl->node = xrealloc(cl->node, (cl->nodes + n + 1) * sizeof *cl->node);
    for (size_t i = 0; i < n; i++) {
        cl->node[cl->nodes++] = (struct cluster_node){
            .name = arena_strdup(&cl->arena, hostlist_nth(names, i)),
            .cores = entry->cpus, .gpus = gpus, .mem_mib = entry->memory_mib};
        cl->procs += entry->cpus;
        cl->gpus += gpus;
        if (gpus > cl->gpus_node_max)
            cl->gpus_node_max = gpus;
    }
    hostlist_destroy(names);
    return rc;
}

/* Takes conf over, also on failure. */
static int conf_take(struct cluster *cl, struct conf *conf, const char *path, struct err *err)
{
    int rc = conf ? 0 : -EINVAL;
    cl->conf = conf;
    if (rc == 0 && conf->nodes_count == 0)
        rc = err_set(err, -EINVAL, "%s: a cluster to simulate needs `nodes`", path);
    for (size_t i = 0; rc == 0 && i < conf->nodes_count; i++)
        rc = entry_add(cl, &conf->nodes[i], err);
    if (rc < 0)
        cluster_fini(cl);
    return rc;
}

static void cluster_init(struct cluster *cl)
{
    memset(cl, 0, sizeof *cl);
    arena_init(&cl->arena);
}

int cluster_conf(struct cluster *cl, const char *path, struct err *err)
{
    cluster_init(cl);
    return conf_take(cl, conf_load(path, err), path, err);
}

void cluster_fini(struct cluster *cl)
{
    conf_destroy(cl->conf);
    free(cl->node);
    arena_fini(&cl->arena);
    memset(cl, 0, sizeof *cl);
}

/* ---- N processors -------------------------------------------------------------------------- */

int cluster_procs(struct cluster *cl, uint32_t procs, struct err *err)
{
    cluster_init(cl);
    if (procs < 1 || procs > PROCS_MAX)
        return err_set(err, -ERANGE, "%u processors: 1 to %u are possible", procs, PROCS_MAX);
    cl->conf = conf_load_text("node = { dynamic = true; };", "--procs", err);
    if (!cl->conf)
        return err ? err->code : -EINVAL;
    cl->is_pool = true;
    cl->procs = procs;
    cl->node = xcalloc(1, sizeof *cl->node);
    cl->node[cl->nodes++] = (struct cluster_node){.name = "pool", .cores = procs};
    return 0;
}

/* ---- a table of nodes -------------------------------------------------------------------------- */

/* One line of the table as an entry of `nodes`. */
static int table_line(char *line, bool gpus_only, struct buf *out, struct err *err)
{
    char *field[TABLE_COLUMNS], *rest = line, *text;
    int64_t milli, mem, gpus;
    int n = 0;
    while ((text = strsep(&rest, ",")) && n < TABLE_COLUMNS)
        field[n++] = text;
    if (n < TABLE_COLUMNS || text)
        return err_set(err, -EINVAL, "a node has %d fields: sn, cpu_milli, memory_mib, gpu, "
                       "model", TABLE_COLUMNS);
    if (field_number("cpu_milli", field[1], 1000, CPUS_PER_NODE_MAX * INT64_C(1000), &milli, err) < 0 ||
        field_number("memory_mib", field[2], 1, INT32_MAX, &mem, err) < 0 ||
        field_number("gpu", field[3], 0, GRES_PER_NODE_MAX, &gpus, err) < 0)
        return err ? err->code : -EINVAL;
    if (gpus_only && gpus == 0)
        return 0;
    for (int i = 0; i < TABLE_COLUMNS; i += TABLE_COLUMNS - 1)
        if (strspn(field[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(field[i]))
            return err_set(err, -EINVAL, "\"%.64s\" is not a name", field[i]);
    buf_printf(out, "%s\n  { names = \"%s\"; cpus = %lld; memory = %lld;",
               out->data[out->len - 1] == '(' ? "" : ",", field[0], (long long)milli / 1000,
               (long long)mem);
    if (gpus)
        buf_printf(out, " gres = \"gpu:%s%s%lld,gpu_milli:%lld\";", field[4],
                   field[4][0] ? ":" : "", (long long)gpus, 1000 * (long long)gpus);
    buf_puts(out, " }");
    return 0;
}

static int table_read(struct lines *l, bool gpus_only, struct buf *out, struct err *err)
{
    char *line;
    int rc, one = 0;
    buf_puts(out, "nodes = (");
    while ((rc = lines_next(l, &line, err)) > 0 && one == 0) {
        if (lines_number(l) == 1 && strncmp(line, "sn,", 3) == 0)
            continue;
        if (line[0])
            one = table_line(line, gpus_only, out, err);
        if (one < 0)
            lines_fail(l, err);
    }
    buf_puts(out, "\n);\n");
    return one < 0 ? one : rc;
}

static int table_load(const char *path, bool gpus_only, struct buf *out, struct err *err)
{
    struct lines *l = lines_open(path, err);
    int rc = l ? table_read(l, gpus_only, out, err) : -ENOENT;
    lines_close(l);
    return rc;
}

int cluster_table(struct cluster *cl, const char *path, bool gpus_only, struct err *err)
{
    struct buf text;
    buf_init(&text);
    cluster_init(cl);
    int rc = live_is_json(path) ? live_nodes(path, &text, err)
                                : table_load(path, gpus_only, &text, err);
    if (rc == 0)
        rc = conf_take(cl, conf_load_text(buf_str(&text), path, err), path, err);
    buf_fini(&text);
    return rc;
}

/* ---- into a core ------------------------------------------------------------------------------ */

struct topo_tables { /* what a NodeTopo of that many cores points to */
    char (*text)[12];
    char **cpus;
    uint32_t *socket;
    Sl__NumaNode numa[2], *numas[2];
};

/* Cores of two sockets, one NUMA node each, when there are enough to share out. */
static void topo_fill(Sl__NodeTopo *t, uint32_t cores, struct topo_tables *b)
{
    uint32_t sockets = cores >= 16 && cores % 2 == 0 ? 2 : 1;
    b->text = xcalloc(cores, sizeof *b->text);
    b->cpus = xcalloc(cores, sizeof *b->cpus);
    b->socket = xcalloc(cores, sizeof *b->socket);
    for (uint32_t i = 0; i < cores; i++) {
        snprintf(b->text[i], sizeof b->text[i], "%u", i);
        b->cpus[i] = b->text[i];
        b->socket[i] = i / (cores / sockets);
    }
    for (uint32_t i = 0; i < sockets; i++) {
        sl__numa_node__init(&b->numa[i]);
        b->numa[i].os_index = i;
        b->numas[i] = &b->numa[i];
    }
    t->sockets = sockets;
    t->core_cpus = b->cpus;
    t->core_socket = t->core_numa = b->socket;
    t->n_core_cpus = t->n_core_socket = t->n_core_numa = cores;
    t->numa = b->numas;
    t->n_numa = sockets;
}

int cluster_register(const struct cluster *cl, struct core *core, uint32_t node,
                     uint32_t boot, usec_t now, struct batch *out, struct err *err)
{
    const struct cluster_node *n = &cl->node[node];
    Sl__NodeRegister reg = SL__NODE_REGISTER__INIT;
    Sl__NodeTopo topo = SL__NODE_TOPO__INIT;
    struct topo_tables tables = {.text = NULL};
    char boot_id[16];
    topo.cores = topo.cpus = n->cores;
    topo.threads_per_core = 1;
    topo.synthetic = true;
    if (cl->is_pool)
        topo.sockets = 1; /* and no tables: the cores are a number */
    else
        topo_fill(&topo, n->cores, &tables);
    snprintf(boot_id, sizeof boot_id, "%u", boot);
    reg.name = reg.hostname = (char *)n->name;
    reg.boot_id = boot_id;
    reg.topo = &topo;
    reg.mem_mib = n->mem_mib;
    struct command cmd = {.kind = CMD_NODE_REGISTER, .actor = {.admin = true}, .reg = &reg};
    int rc = core_apply(core, &cmd, now, out, err);
    free(tables.text);
    free(tables.cpus);
    free(tables.socket);
    return rc;
}

struct core *cluster_core(const struct cluster *cl, const struct core_policy *policy,
                          usec_t now, struct err *err)
{
    struct batch out;
    struct core *core = core_create(policy, err);
    int rc = core ? setup_configure(core, cl->conf, policy, now, err) : -EINVAL;
    batch_init(&out);
    for (uint32_t i = 0; rc == 0 && i < cl->nodes; i++)
        rc = cluster_register(cl, core, i, 0, now, &out, err);
    if (rc == 0)
        rc = core_load_end(core, now, err);
    batch_fini(&out);
    if (rc == 0)
        return core;
    core_destroy(core);
    return NULL;
}
