/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/bindtopo.h"

#include "stepd/bind.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool text_read(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(text, (int)size, f);
    if (f)
        fclose(f);
    return ok;
}

static unsigned number_read(unsigned cpu, const char *name)
{
    char path[128], text[32];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/%s", cpu, name);
    long v = text_read(path, text, sizeof(text)) ? atol(text) : 0;
    return v < 0 ? 0 : (unsigned)v;
}

static void numa_read(struct bind_topo *t)
{
    char path[300], text[8192];
    DIR *dir = opendir("/sys/devices/system/node");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        uint64_t mask[BIND_MASK_WORDS] = {0};
        if (strncmp(e->d_name, "node", 4) != 0 || !isdigit((unsigned char)e->d_name[4]))
            continue;
        unsigned node = (unsigned)atoi(e->d_name + 4);
        snprintf(path, sizeof(path), "/sys/devices/system/node/%s/cpulist", e->d_name);
        if (!text_read(path, text, sizeof(text)))
            continue;
        bind_cpus_parse(text, mask, CPUS_PER_NODE_MAX);
        for (unsigned c = 0; c < t->cpus_count; c++)
            if (mask[c / 64] >> (c % 64) & 1)
                t->numa[c] = node;
        if (node + 1 > t->numa_count)
            t->numa_count = node + 1;
    }
    if (dir)
        closedir(dir);
}

/* A core's number is its first cpu's: core_id repeats in each socket. */
static void units_read(struct step *s, struct bind_topo *t)
{
    t->core = arena_alloc(&s->arena, t->cpus_count * sizeof(unsigned));
    t->socket = arena_alloc(&s->arena, t->cpus_count * sizeof(unsigned));
    t->numa = arena_alloc(&s->arena, t->cpus_count * sizeof(unsigned));
    unsigned *id = xcalloc(t->cpus_count, sizeof(unsigned)), at = 0;
    bool *placed = xcalloc(t->cpus_count, sizeof(bool));
    for (unsigned c = 0; c < t->cpus_count; c++) {
        t->socket[c] = number_read(c, "physical_package_id");
        id[c] = number_read(c, "core_id");
    }
    for (unsigned c = 0; c < t->cpus_count; c++) {
        for (unsigned k = c; k < t->cpus_count && !placed[c]; k++)
            if (!placed[k] && id[k] == id[c] && t->socket[k] == t->socket[c] && k != c) {
                placed[k] = true;
                t->core[k] = c;
            }
        if (!placed[c])
            t->core[c] = c;
    }
    for (unsigned c = 0; c < t->cpus_count; c++)
        for (unsigned k = c; k < t->cpus_count && t->core[c] == c; k++)
            if (t->core[k] == c)
                t->order[at++] = k;
    numa_read(t);
    free(id);
    free(placed);
}

const struct bind_topo *bind_topo_get(struct step *s, bool units)
{
    struct bind_topo *t = s->bind_topo;
    if (!t) {
        long n = sysconf(_SC_NPROCESSORS_CONF);
        t = s->bind_topo = arena_alloc(&s->arena, sizeof(*t));
        t->cpus_count = n < 1 ? 1 : n > (long)CPUS_PER_NODE_MAX ? CPUS_PER_NODE_MAX
                                                                 : (unsigned)n;
        t->numa_count = 1;
        t->order = arena_alloc(&s->arena, t->cpus_count * sizeof(unsigned));
        for (unsigned c = 0; c < t->cpus_count; c++)
            t->order[c] = c;
    }
    if (units && !t->core)
        units_read(s, t);
    return t;
}

unsigned bind_topo_unit(const struct bind_topo *t, unsigned cpu, enum bind_unit unit)
{
    switch (unit) {
    case UNIT_CORE:
        return t->core ? t->core[cpu] : cpu;
    case UNIT_SOCKET:
        return t->socket ? t->socket[cpu] : 0;
    case UNIT_NUMA:
        return t->numa ? t->numa[cpu] : 0;
    case UNIT_CPU:
        break;
    }
    return cpu;
}
