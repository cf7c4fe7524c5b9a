/* SPDX-License-Identifier: Apache-2.0
 *
 * sacctmgr dump and load: the flat file of sacctmgr(1), "FLAT FILE DUMP AND LOAD".
 *
 *   Cluster - 'tux':MaxJobs=50
 *   Parent - 'root'
 *   Account - 'cs':Fairshare=399:Description='Computer Science'
 *   Parent - 'cs'
 *   User - 'adam':DefaultAccount='cs':Fairshare=1
 */
#include "sacctmgr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const limits[] = {
    "GrpJobs", "GrpTRES", "GrpSubmitJobs", "GrpWall", "GrpTRESMins", "GrpTRESRunMins", "MaxJobs",
    "MaxTRESPerJob", "MaxTRESPerNode", "MaxTRESMinsPerJob", "MaxSubmitJobs", "MaxWallDurationPerJob",
    "Priority"};
static const char assoc_columns[] =
    "Account,User,Partition,Share,Priority,GrpJobs,GrpTRES,GrpSubmitJobs,GrpWall,GrpTRESMins,"
    "GrpTRESRunMins,MaxJobs,MaxTRESPerJob,MaxTRESPerNode,MaxTRESMinsPerJob,MaxSubmitJobs,"
    "MaxWallDurationPerJob,QOSRaw,DefaultQOS,ID,ParentID,ParentName";

/* ---- dump -------------------------------------------------------------------------------- */

/* A list of its own, or edits of the parent's: "+a,-b". */
static void qos_put(FILE *f, const char *qos)
{
    if (qos[0] != '+' && qos[0] != '-') {
        if (qos[0] != '\0')
            fprintf(f, ":QOS='%s'", qos);
        return;
    }
    for (const char *p = qos; *p != '\0';) {
        size_t n = strcspn(p, ",");
        fprintf(f, ":QOS%c=%.*s", p[0], (int)(n - 1), p + 1);
        p += n + (p[n] == ',');
    }
}

static void assoc_put(FILE *f, const struct tenant_rows *r, size_t i)
{
    const char *qos = tenant_cell(r, i, "QOSRaw"), *share = tenant_cell(r, i, "Share");
    fprintf(f, ":Fairshare=%s", share);
    for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++)
        if (tenant_cell(r, i, limits[k])[0] != '\0')
            fprintf(f, ":%s=%s", limits[k], tenant_cell(r, i, limits[k]));
    qos_put(f, qos);
    fputc('\n', f);
}

static size_t row_named(const struct tenant_rows *r, const char *column, const char *name)
{
    size_t i = 0;
    while (i < r->count && strcmp(tenant_cell(r, i, column), name) != 0)
        i++;
    return i;
}

static void dump_user(FILE *f, const struct tenant_rows *a, size_t i, const struct tenant_rows *users)
{
    const char *name = tenant_cell(a, i, "User"), *part = tenant_cell(a, i, "Partition");
    size_t u = row_named(users, "User", name);
    fprintf(f, "User - '%s'", name);
    if (part[0] != '\0')
        fprintf(f, ":Partition='%s'", part);
    if (u < users->count) {
        fprintf(f, ":DefaultAccount='%s'", tenant_cell(users, u, "DefaultAccount"));
        if (strcmp(tenant_cell(users, u, "AdminLevel"), "None") != 0)
            fprintf(f, ":AdminLevel='%s'", tenant_cell(users, u, "AdminLevel"));
        if (tenant_cell(users, u, "Coordinators")[0] != '\0')
            fprintf(f, ":Coordinator='%s'", tenant_cell(users, u, "Coordinators"));
    }
    assoc_put(f, a, i);
}

/* Children of one account, then of its accounts: a parent is there before they are. */
static void dump_below(FILE *f, const struct tenant_rows *a, size_t parent,
                       const struct tenant_rows *accounts, const struct tenant_rows *users)
{
    const char *id = tenant_cell(a, parent, "ID");
    fprintf(f, "Parent - '%s'\n", tenant_cell(a, parent, "Account"));
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(tenant_cell(a, i, "ParentID"), id) != 0)
            continue;
        if (tenant_cell(a, i, "User")[0] != '\0') {
            dump_user(f, a, i, users);
            continue;
        }
        size_t k = row_named(accounts, "Account", tenant_cell(a, i, "Account"));
        fprintf(f, "Account - '%s'", tenant_cell(a, i, "Account"));
        if (k < accounts->count)
            fprintf(f, ":Description='%s':Organization='%s'", tenant_cell(accounts, k, "Description"),
                    tenant_cell(accounts, k, "Organization"));
        assoc_put(f, a, i);
    }
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(tenant_cell(a, i, "ParentID"), id) == 0 && tenant_cell(a, i, "User")[0] == '\0')
            dump_below(f, a, i, accounts, users);
}

static int dump(struct sacctmgr *m, const char *path, struct err *err)
{
    struct tenant_rows a, accounts, users;
    memset(&accounts, 0, sizeof(accounts));
    memset(&users, 0, sizeof(users));
    int rc = tenant_rows_get(&a, &m->client, "assoc", assoc_columns, err);
    if (rc == 0)
        rc = tenant_rows_get(&accounts, &m->client, "account", "Account,Description,Organization", err);
    if (rc == 0)
        rc = tenant_rows_get(&users, &m->client, "user", "User,DefaultAccount,AdminLevel,Coordinators", err);
    FILE *f = rc == 0 ? fopen(path, "we") : NULL;
    if (rc == 0 && f == NULL)
        rc = err_errno(err, "%s", path);
    if (rc == 0) {
        fprintf(f, "Cluster - '%s'", m->client.conf->cluster_name);
        assoc_put(f, &a, 0);
        dump_below(f, &a, 0, &accounts, &users);
    }
    if (f != NULL) {
        bool bad = ferror(f) != 0;
        if ((fclose(f) != 0 || bad) && rc == 0)
            rc = err_errno(err, "%s", path);
    }
    tenant_rows_fini(&a);
    tenant_rows_fini(&accounts);
    tenant_rows_fini(&users);
    return rc;
}

int sacctmgr_dump(struct sacctmgr *m, int argc, char **argv)
{
    struct err err = {0};
    const char *cluster = m->client.conf->cluster_name, *path = NULL;
    for (int i = 0; i < argc; i++)
        if (strncasecmp(argv[i], "file=", 5) == 0)
            path = argv[i] + 5;
        else if (strcasecmp(argv[i] + (strncasecmp(argv[i], "cluster=", 8) == 0 ? 8 : 0), cluster) != 0)
            return sacctmgr_fail("%s: this cluster is '%s'", argv[i], cluster);
    char *own = path ? NULL : xasprintf("%s.cfg", cluster);
    int rc = dump(m, path ? path : own, &err);
    if (rc == 0 && !m->quiet)
        printf("sacctmgr: Cluster %s dumped to %s\n", cluster, path ? path : own);
    free(own);
    return rc < 0 ? sacctmgr_fail("%s", err.text) : 0;
}

/* ---- load ----------------------------------------------------------------------------------- */

struct load {
    struct sacctmgr *m;
    const char *path;
    size_t line;
    char *parent;
    struct buf text;
    uint32_t changes;
};

static char *word_take(char **at, char end)
{
    char *p = *at + strspn(*at, " \t"), *start = p, quote = '\0';
    if (*p == '\'' || *p == '"') {
        quote = *p++;
        start = p;
        while (*p != '\0' && *p != quote)
            p++;
        if (*p != '\0')
            *p++ = '\0';
    }
    char *stop = p;
    while (*p != '\0' && *p != end)
        p++;
    bool more = *p != '\0';
    if (!quote) {
        stop = p;
        while (stop > start && strchr(" \t\r\n", stop[-1]) != NULL)
            stop--;
    }
    if (more)
        *p++ = '\0';
    if (!quote)
        *stop = '\0';
    *at = p;
    return start;
}

static int load_request(struct load *l, Sl__TenantOp op, const char *what, Sl__KeyValue **set, size_t sets,
                        Sl__KeyValue **where, size_t wheres, struct err *err)
{
    Sl__TenantRequest r = SL__TENANT_REQUEST__INIT;
    r.op = op;
    r.what = (char *)what;
    r.set = set;
    r.n_set = sets;
    r.where = where;
    r.n_where = wheres;
    int rc = sacctmgr_request(l->m, &r, &l->text, err);
    l->changes += rc == 0;
    return rc == -ENOENT ? 0 : rc; /* it is there already */
}

static Sl__KeyValue *kv(struct arena *a, const char *key, const char *value)
{
    Sl__KeyValue *p = arena_alloc(a, sizeof(*p));
    sl__key_value__init(p);
    p->key = arena_strdup(a, key);
    p->value = arena_strdup(a, value);
    return p;
}

/* "name:Key=value:Key='with: colon'" after the title. */
static int load_entity(struct load *l, const char *title, char *rest, struct err *err)
{
    struct arena a;
    Sl__KeyValue *set[64], *where[2];
    const char *coordinator = NULL;
    size_t n = 0;
    bool cluster = strcasecmp(title, "Cluster") == 0, user = strcasecmp(title, "User") == 0;
    char *name = word_take(&rest, ':');
    int rc = 0;
    arena_init(&a);
    if (!cluster)
        set[n++] = kv(&a, "Names", name);
    if (!cluster)
        set[n++] = kv(&a, user ? "Account" : "Parent", l->parent ? l->parent : "root");
    while (*rest != '\0' && rc == 0) {
        rest += strspn(rest, ": \t\r\n");
        if (*rest == '\0')
            break;
        char *key = word_take(&rest, '='), *value = word_take(&rest, ':');
        if (strcasecmp(key, "Coordinator") == 0)
            coordinator = value;
        else if (n == 64)
            rc = err_set(err, SL_ETOO_MANY, "over 64 options");
        else if (!user || strcasecmp(key, "DefaultAccount") != 0 || strcmp(value, l->parent ? l->parent : "root") == 0)
            set[n++] = kv(&a, key, value);
    }
    if (rc == 0 && cluster && n)
        rc = load_request(l, SL__TENANT_OP__TENANT_OP_MODIFY, "cluster", set, n, NULL, 0, err);
    else if (rc == 0 && !cluster)
        rc = load_request(l, SL__TENANT_OP__TENANT_OP_ADD, user ? "user" : "account", set, n, NULL, 0, err);
    if (rc == 0 && coordinator) {
        where[0] = kv(&a, "Names", name);
        where[1] = kv(&a, "Account", coordinator);
        rc = load_request(l, SL__TENANT_OP__TENANT_OP_ADD, "coordinator", where, 2, NULL, 0, err);
    }
    arena_fini(&a);
    return rc;
}

static int load_line(struct load *l, char *line, struct err *err)
{
    static const char *const titles[] = {"Cluster", "Parent", "Account", "User"};
    char *p = line + strspn(line, " \t\r\n");
    if (*p == '\0' || *p == '#')
        return 0;
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        size_t n = strlen(titles[i]);
        char *rest = p + n + strspn(p + n, " \t");
        if (strncasecmp(p, titles[i], n) != 0 || *rest != '-')
            continue;
        rest++;
        if (strcmp(titles[i], "Parent") != 0)
            return load_entity(l, titles[i], rest, err);
        free(l->parent);
        l->parent = xstrdup(word_take(&rest, ':'));
        return 0;
    }
    return err_set(err, SL_EINVAL_FIELD, "a line begins with Cluster, Parent, Account or User, ' - ' and a name");
}

int sacctmgr_load(struct sacctmgr *m, int argc, char **argv)
{
    struct load l = {.m = m};
    struct err err = {0};
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    for (int i = 0; i < argc; i++)
        if (strcasecmp(argv[i], "clean") == 0)
            return sacctmgr_fail("load clean is not built yet: delete the accounts first");
        else
            l.path = strncasecmp(argv[i], "file=", 5) == 0 ? argv[i] + 5 : argv[i];
    if (m->readonly)
        return sacctmgr_fail("Can't run this command in readonly mode.");
    FILE *f = l.path ? fopen(l.path, "re") : NULL;
    if (f == NULL)
        return l.path ? sacctmgr_fail("%s: %s", l.path, strerror(errno)) : sacctmgr_fail("No file given to load");
    if (!sacctmgr_commit(m)) {
        fclose(f);
        return 0;
    }
    buf_init(&l.text);
    while (rc == 0 && getline(&line, &cap, f) >= 0) {
        l.line++;
        rc = load_line(&l, line, &err);
    }
    fclose(f);
    if (!m->quiet)
        fputs(buf_str(&l.text), stdout);
    buf_fini(&l.text);
    free(line);
    free(l.parent);
    if (rc < 0)
        return sacctmgr_fail("%s: line %zu: %s (the lines before it were loaded)", l.path, l.line, err.text);
    if (!m->quiet && l.changes == 0)
        puts(" Nothing new added.");
    return 0;
}
