/* SPDX-License-Identifier: Apache-2.0 */
#include "noded.h"

#include "base/buf.h"
#include "base/limits.h"
#include "topo/topo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* First line of a small file in /proc or /sys without its newline; "" on failure. */
static void line_read(const char *path, char *out, size_t n)
{
    out[0] = '\0';
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fgets(out, (int)n, f))
        out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

void inventory_boot_id(char *out, size_t n)
{
    line_read("/proc/sys/kernel/random/boot_id", out, n);
}

static uint64_t meminfo_mib(const char *key)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        size_t n = strlen(key);
        if (strncmp(line, key, n) == 0 && line[n] == ':') {
            kib = strtoull(line + n + 1, NULL, 10);
            break;
        }
    }
    fclose(f);
    return kib / 1024;
}

void inventory_load(double *load1, uint64_t *mem_free_mib)
{
    char text[128];
    line_read("/proc/loadavg", text, sizeof(text));
    *load1 = strtod(text, NULL);
    *mem_free_mib = meminfo_mib("MemAvailable");
}

static int64_t boot_time(void)
{
    char text[128];
    line_read("/proc/uptime", text, sizeof(text));
    return clock_wall_usec() - (int64_t)(strtod(text, NULL) * USEC_PER_SEC);
}

/* Device node of a configured accelerator: only what exists is passed on. */
static char *gres_device(const char *name, uint32_t index)
{
    char path[64];
    snprintf(path, sizeof(path), "/dev/nvidia%u", index);
    if (strcmp(name, "gpu") == 0 && access(path, F_OK) == 0)
        return xstrdup(path);
    return xstrdup("");
}

/* Spreads count devices evenly over the NUMA nodes: what is assumed of a node whose
 * gres are declared and not discovered. */
static void gres_locality(Sl__NodeGres *g, const Sl__NodeTopo *topo)
{
    g->n_device = g->n_cpus = g->n_nic = g->count;
    g->device = xcalloc(g->count, sizeof(*g->device));
    g->cpus = xcalloc(g->count, sizeof(*g->cpus));
    g->nic = xcalloc(g->count, sizeof(*g->nic));
    for (uint32_t i = 0; i < g->count; i++) {
        size_t numa = topo->n_numa ? (size_t)i * topo->n_numa / g->count : 0;
        g->device[i] = gres_device(g->name, i);
        g->cpus[i] = xstrdup(topo->n_numa ? topo->numa[numa]->cpus : "");
        g->nic[i] = xstrdup("");
    }
}

/* One "name[:type][:count]" of a gres text. */
static int gres_item(char *item, const Sl__NodeTopo *topo, Sl__NodeGres **out,
                     struct err *err)
{
    char *part[3] = {NULL, NULL, NULL};
    size_t n = 0;
    uint64_t count = 1;
    char *save = NULL;
    for (char *p = strtok_r(item, ":", &save); p; p = strtok_r(NULL, ":", &save)) {
        if (n == 3)
            return err_set(err, SL_EINVAL_GRES, "more than name:type:count");
        part[n++] = p;
    }
    if (n == 0)
        return err_set(err, SL_EINVAL_GRES, "empty item");
    bool counted = n > 1 && part[n - 1][strspn(part[n - 1], "0123456789")] == '\0';
    if (counted && num_parse_u64("gres count", part[n - 1], 1, GRES_PER_NODE_MAX, &count,
                                 err) < 0)
        return err->code;
    if (n == 3 && !counted)
        return err_set(err, SL_EINVAL_GRES, "%s: count is not a number", part[0]);
    Sl__NodeGres *g = xmalloc(sizeof(*g));
    sl__node_gres__init(g);
    g->name = xstrdup(part[0]);
    g->type = xstrdup(n == 3 || (n == 2 && !counted) ? part[1] : "");
    g->count = (uint32_t)count;
    gres_locality(g, topo);
    *out = g;
    return 0;
}

static int gres_read(const char *text, Sl__NodeRegister *r, struct err *err)
{
    char *copy = xstrdup(text);
    char *save = NULL;
    int rc = 0;
    r->gres = xcalloc(GRES_PER_NODE_MAX, sizeof(*r->gres));
    for (char *item = strtok_r(copy, ",", &save); item && rc == 0;
         item = strtok_r(NULL, ",", &save)) {
        if (r->n_gres == GRES_PER_NODE_MAX) {
            rc = err_set(err, SL_EINVAL_GRES, "more than %u items", GRES_PER_NODE_MAX);
            break;
        }
        rc = gres_item(item, r->topo, &r->gres[r->n_gres], err);
        if (rc == 0)
            r->n_gres++;
        else
            err_prefix(err, "gres \"%s\"", text);
    }
    free(copy);
    return rc;
}

Sl__NodeRegister *inventory_read(const struct noded *d, struct err *err)
{
    struct utsname uts;
    struct statvfs fs;
    char boot[64], host[HOST_NAME_MAX + 1] = "";
    uint64_t topo_mem = 0;
    Sl__NodeRegister *r = xmalloc(sizeof(*r));

    sl__node_register__init(r);
    const char *source = d->opts.topology ? d->opts.topology : "real";
    r->topo = topo_read(source, &topo_mem, err);
    if (!r->topo)
        goto fail;
    const char *gres = d->opts.gres ? d->opts.gres : "";
    if (gres_read(gres, r, err) < 0)
        goto fail;
    uname(&uts);
    gethostname(host, sizeof(host) - 1);
    inventory_boot_id(boot, sizeof(boot));
    r->name = xstrdup(d->name);
    r->addr = xstrdup(d->addr);
    r->port = d->port;
    r->boot_id = xstrdup(boot);
    r->boot_time = boot_time();
    r->daemon_start = d->started;
    r->version = xstrdup(PACKAGE_VERSION);
    r->arch = xstrdup(uts.machine);
    r->os = xasprintf("%s %s", uts.sysname, uts.release);
    r->hostname = xstrdup(host);
    r->features = xstrdup(d->opts.features ? d->opts.features : "");
    r->uplink = xstrdup("");
    /* a made-up topology may come with made-up memory; else the machine's */
    r->mem_mib = d->opts.memory_mib ? d->opts.memory_mib
                 : topo_mem         ? topo_mem
                                    : meminfo_mib("MemTotal");
    if (statvfs("/tmp", &fs) == 0)
        r->tmp_disk_mib = (uint64_t)fs.f_blocks * fs.f_frsize >> 20;
    return r;
fail:
    sl__node_register__free_unpacked(r, NULL);
    return NULL;
}
