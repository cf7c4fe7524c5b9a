/* SPDX-License-Identifier: Apache-2.0
 *
 * Options for which and how many nodes, tasks and generic resources.
 */
#include "job/option_set.h"

#include "base/hostlist.h"
#include "base/limits.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HOSTFILE_BYTES_MAX (1u << 20)

/* A node count with the suffixes of sbatch(1) --nodes. */
static bool node_count(const char **p, uint32_t *out)
{
    char *end;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    unsigned long long v = strtoull(*p, &end, 10);
    unsigned shift = (*end | 0x20) == 'k' ? 10 : (*end | 0x20) == 'm' ? 20 : 0;
    if (errno != 0 || v == 0 || v > (NODES_MAX >> shift))
        return false;
    *out = (uint32_t)(v << shift);
    *p = end + (shift != 0);
    return true;
}

int opt_nodes(struct request *r, const struct option *o, const char *value, struct err *err)
{
    const char *p = value;
    uint32_t min, max;
    (void)o;
    if (!node_count(&p, &min))
        return opt_bad(err, value, "a valid node count");
    max = min;
    if (*p == '-') {
        p++;
        if (!node_count(&p, &max) || max < min)
            return opt_bad(err, value, "a valid node count");
    }
    if (*p != '\0')
        return opt_bad(err, value, "a valid node count");
    r->pub.spec.nodes_min = r->pub.step.nodes_min = min;
    r->pub.spec.nodes_max = r->pub.step.nodes_max = max;
    r->nodes_set = true;
    return 0;
}

/* Names from a file, blanks, commas and newlines between them. */
static char *hosts_read(struct request *r, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot open %s", path);
        return NULL;
    }
    char *text = arena_alloc(&r->pub.arena, HOSTFILE_BYTES_MAX + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (n < HOSTFILE_BYTES_MAX && (got = read(fd, text + n, HOSTFILE_BYTES_MAX - n)) > 0)
        n += (size_t)got;
    if (got < 0)
        err_errno(err, "cannot read %s", path);
    else if (n == HOSTFILE_BYTES_MAX)
        err_set(err, SL_EINVAL_FIELD, "%s: larger than %u bytes", path, HOSTFILE_BYTES_MAX);
    close(fd);
    if (got < 0 || n == HOSTFILE_BYTES_MAX)
        return NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool sep = isspace((unsigned char)text[i]) || text[i] == ',';
        if (!sep)
            text[k++] = text[i];
        else if (k > 0 && text[k - 1] != ',')
            text[k++] = ',';
    }
    while (k > 0 && text[k - 1] == ',')
        k--;
    text[k] = '\0';
    if (k == 0) {
        err_set(err, SL_EINVAL_NODE, "%s names no node", path);
        return NULL;
    }
    return text;
}

static int hosts_store(struct request *r, const struct option *o, const char *list,
                       struct err *err)
{
    struct hostlist *hl = hostlist_create(list, err);
    if (hl == NULL)
        return err != NULL ? err->code : SL_EINVAL_NODE;
    hostlist_destroy(hl);
    opt_store_text(r, o, list);
    return 0;
}

int opt_nodefile(struct request *r, const struct option *o, const char *value, struct err *err)
{
    char *list = hosts_read(r, value, err);
    return list != NULL ? hosts_store(r, o, list, err) : err->code;
}

int opt_hosts(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (strchr(value, '/') != NULL)
        return opt_nodefile(r, o, value, err);
    return hosts_store(r, o, value, err);
}

/* "s[:c[:t]]", each a count or "*". */
int opt_extra_node_info(struct request *r, const struct option *o, const char *value,
                        struct err *err)
{
    Sl__JobSpec *s = &r->pub.spec;
    uint32_t *const part[] = {&s->sockets_per_node, &s->cores_per_socket, &s->threads_per_core};
    char *copy = opt_keep(r, value), *save = NULL;
    size_t i = 0;
    (void)o;
    for (char *p = strtok_r(copy, ":", &save); p != NULL; p = strtok_r(NULL, ":", &save), i++) {
        if (i == COUNT(part))
            return opt_bad(err, value, "sockets[:cores[:threads]]");
        int rc = strcmp(p, "*") == 0 ? 0 : opt_number(p, 1, CPUS_PER_NODE_MAX, part[i], err);
        if (rc != 0)
            return rc;
    }
    return i == 0 ? opt_bad(err, value, "sockets[:cores[:threads]]") : 0;
}

int opt_relative(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t n;
    int rc = opt_number(value, o->min, o->max, &n, err);
    if (rc == 0)
        r->pub.step.relative = n + 1;
    return rc;
}

int opt_partition(struct request *r, const struct option *o, const char *value, struct err *err)
{
    enum { NAMES_MAX = 64 };
    Sl__JobSpec *s = &r->pub.spec;
    char *copy = opt_keep(r, value), *save = NULL;
    char **names = arena_alloc(&r->pub.arena, NAMES_MAX * sizeof(*names));
    size_t n = 0;
    (void)o;
    for (char *p = strtok_r(copy, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
        if (n == NAMES_MAX)
            return err_set(err, SL_EINVAL_PARTITION, "more than %d partitions", NAMES_MAX);
        names[n++] = p;
    }
    if (n == 0)
        return err_set(err, SL_EINVAL_PARTITION, "\"%s\" names no partition", value);
    s->partitions = names;
    s->n_partitions = n;
    return 0;
}

int opt_exclusive(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o;
    if (value != NULL && (strcasecmp(value, "mcs") == 0 || strcasecmp(value, "user") == 0))
        return err_set(err, SL_ENOT_BUILT, "not built yet: nodes for one user or label");
    if (value == NULL || strcasecmp(value, "exclusive") == 0 || strcmp(value, "1") == 0)
        r->pub.spec.exclusive = 1;
    else if (opt_is_off(value))
        return 0;
    else
        return opt_bad(err, value, "\"exclusive\", or nothing");
    r->pub.step.exclusive = true;
    return 0;
}

/* ---- generic resources -------------------------------------------------------------------- */

int opt_gres_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    Sl__GresReq **list = NULL;
    size_t count = 0;
    if (strcasecmp(value, "help") == 0)
        return err_set(err, SL_EINVAL_GRES, "the list of generic resources is in: sinfo -o \"%%N %%G\"");
    int rc = gres_parse(value, SL__GRES_PER__GRES_PER_NODE, &r->pub.arena, &list, &count, err);
    if (rc == 0)
        r->gres[o->where] = opt_keep(r, value);
    return rc;
}

/* "[type:]n[,...]" becomes "gpu:[type:]n,...". */
int opt_gpus(struct request *r, const struct option *o, const char *value, struct err *err)
{
    Sl__GresReq **list = NULL;
    size_t count = 0;
    bool counted = true; /* a type alone is no number of GPUs */
    struct buf b;

    buf_init(&b);
    for (const char *p = value;;) {
        size_t n = strcspn(p, ",");
        const char *colon = memchr(p, ':', n);
        counted = counted && isdigit((unsigned char)(colon != NULL ? colon[1] : *p));
        buf_printf(&b, "%sgpu:%.*s", b.len != 0 ? "," : "", (int)n, p);
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    int rc = gres_parse(buf_str(&b), SL__GRES_PER__GRES_PER_NODE, &r->pub.arena, &list, &count, err);
    if (rc == 0 && counted)
        r->gres[o->where] = opt_keep(r, buf_str(&b));
    else
        rc = opt_bad(err, value, "a number of GPUs ([type:]number[,...])");
    buf_fini(&b);
    return rc;
}
