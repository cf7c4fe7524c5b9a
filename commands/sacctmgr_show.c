/* SPDX-License-Identifier: Apache-2.0 */
#include "sacctmgr.h"

#include "base/timefmt.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define F(name, column, header, width) {name, column, header, width}
#define CLUSTER F("Cluster", NULL, "Cluster", 10)

static const struct tenant_field assoc_fields[] = {
    F("Account", "Account", "Account", 10), CLUSTER, F("User", "User", "User", 10),
    F("Partition", "Partition", "Partition", 10), F("Share", "Share", "Share", 9),
    F("Fairshare", "Share", "Share", 9), F("Priority", "Priority", "Priority", 10),
    F("GrpJobs", "GrpJobs", "GrpJobs", 7), F("GrpTRES", "GrpTRES", "GrpTRES", 13),
    F("GrpSubmitJobs", "GrpSubmitJobs", "GrpSubmit", 9), F("GrpWall", "GrpWall", "GrpWall", 11),
    F("GrpTRESMins", "GrpTRESMins", "GrpTRESMins", 13),
    F("GrpTRESRunMins", "GrpTRESRunMins", "GrpTRESRunMin", 13), F("MaxJobs", "MaxJobs", "MaxJobs", 7),
    F("MaxTRES", "MaxTRESPerJob", "MaxTRES", 13), F("MaxTRESPerJob", "MaxTRESPerJob", "MaxTRES", 13),
    F("MaxTRESPerNode", "MaxTRESPerNode", "MaxTRESPerNode", 14),
    F("MaxTRESMins", "MaxTRESMinsPerJob", "MaxTRESMins", 13),
    F("MaxTRESMinsPerJob", "MaxTRESMinsPerJob", "MaxTRESMins", 13),
    F("MaxSubmitJobs", "MaxSubmitJobs", "MaxSubmit", 9),
    F("MaxWallDurationPerJob", "MaxWallDurationPerJob", "MaxWall", 11),
    F("QOS", "QOS", "QOS", 20), F("QosRaw", "QOSRaw", "QOS_RAW", 10),
    F("DefaultQOS", "DefaultQOS", "Def QOS", 9), F("ID", "ID", "ID", 6),
    F("ParentID", "ParentID", "Par ID", 6), F("ParentName", "ParentName", "Par Name", 10),
    F("RawUsage", "RawUsage", "RawUsage", 12), F("WithSubAccounts", "Depth", "Depth", 5),
    F("IsDefault", "IsDefault", "Default", 7), {NULL, NULL, NULL, 0}};
static const char assoc_columns[] =
    "Account,User,Partition,Share,Priority,GrpJobs,GrpTRES,GrpSubmitJobs,GrpWall,GrpTRESMins,"
    "GrpTRESRunMins,MaxJobs,MaxTRESPerJob,MaxTRESPerNode,MaxTRESMinsPerJob,MaxSubmitJobs,"
    "MaxWallDurationPerJob,QOS,QOSRaw,DefaultQOS,ID,ParentID,ParentName,RawUsage,Depth,IsDefault";
static const char assoc_format[] =
    "Cluster,Account,User,Partition,Share,Priority,GrpJobs,GrpTRES,GrpSubmitJobs,GrpWall,"
    "GrpTRESMins,MaxJobs,MaxTRES,MaxTRESPerNode,MaxSubmitJobs,MaxWallDurationPerJob,MaxTRESMins,"
    "QOS,DefaultQOS,GrpTRESRunMins";
static const char assoc_format_short[] = "Cluster,Account,User,Partition";

static const struct tenant_field qos_fields[] = {
    F("Name", "Name", "Name", 10), F("Priority", "Priority", "Priority", 10),
    F("GraceTime", "GraceTime", "GraceTime", 10), F("Preempt", "Preempt", "Preempt", 10),
    F("PreemptExemptTime", NULL, "PreemptExemptTime", 19), F("PreemptMode", "PreemptMode", "PreemptMode", 11),
    F("Flags", "Flags", "Flags", 40), F("UsageThreshold", "UsageThreshold", "UsageThres", 10),
    F("UsageFactor", "UsageFactor", "UsageFactor", 11), F("GrpTRES", "GrpTRES", "GrpTRES", 13),
    F("GrpTRESMins", "GrpTRESMins", "GrpTRESMins", 13),
    F("GrpTRESRunMins", "GrpTRESRunMins", "GrpTRESRunMin", 13), F("GrpJobs", "GrpJobs", "GrpJobs", 7),
    F("GrpSubmitJobs", "GrpSubmitJobs", "GrpSubmit", 9), F("GrpWall", "GrpWall", "GrpWall", 11),
    F("MaxTRES", "MaxTRESPerJob", "MaxTRES", 13), F("MaxTRESPerJob", "MaxTRESPerJob", "MaxTRES", 13),
    F("MaxTRESPerNode", "MaxTRESPerNode", "MaxTRESPerNode", 14),
    F("MaxTRESMins", "MaxTRESMinsPerJob", "MaxTRESMins", 13),
    F("MaxWallDurationPerJob", "MaxWallDurationPerJob", "MaxWall", 11),
    F("MaxTRESPerUser", "MaxTRESPerUser", "MaxTRESPU", 13), F("MaxTRESPU", "MaxTRESPerUser", "MaxTRESPU", 13),
    F("MaxJobsPerUser", "MaxJobsPerUser", "MaxJobsPU", 9), F("MaxJobsPU", "MaxJobsPerUser", "MaxJobsPU", 9),
    F("MaxSubmitJobsPerUser", "MaxSubmitJobsPerUser", "MaxSubmitPU", 11),
    F("MaxSubmitPU", "MaxSubmitJobsPerUser", "MaxSubmitPU", 11),
    F("MaxTRESPerAccount", "MaxTRESPerAccount", "MaxTRESPA", 13), F("MaxTRESPA", "MaxTRESPerAccount", "MaxTRESPA", 13),
    F("MaxJobsPerAccount", "MaxJobsPerAccount", "MaxJobsPA", 9), F("MaxJobsPA", "MaxJobsPerAccount", "MaxJobsPA", 9),
    F("MaxSubmitJobsPerAccount", "MaxSubmitJobsPerAccount", "MaxSubmitPA", 11),
    F("MaxSubmitPA", "MaxSubmitJobsPerAccount", "MaxSubmitPA", 11),
    F("MinTRES", "MinTRESPerJob", "MinTRES", 13), F("Description", "Description", "Descr", 20),
    F("ID", "ID", "ID", 6), F("LimitFactor", "LimitFactor", "LimitFactor", 11),
    F("RawUsage", "RawUsage", "RawUsage", 12), {NULL, NULL, NULL, 0}};
static const char qos_columns[] =
    "Name,Priority,GraceTime,Preempt,PreemptMode,Flags,UsageThreshold,UsageFactor,GrpTRES,GrpTRESMins,"
    "GrpTRESRunMins,GrpJobs,GrpSubmitJobs,GrpWall,MaxTRESPerJob,MaxTRESPerNode,MaxTRESMinsPerJob,"
    "MaxWallDurationPerJob,MaxTRESPerUser,MaxJobsPerUser,MaxSubmitJobsPerUser,MaxTRESPerAccount,"
    "MaxJobsPerAccount,MaxSubmitJobsPerAccount,MinTRESPerJob,Description,ID,LimitFactor,RawUsage";
static const char qos_format[] =
    "Name,Priority,GraceTime,Preempt,PreemptExemptTime,PreemptMode,Flags,UsageThreshold,UsageFactor,"
    "GrpTRES,GrpTRESMins,GrpTRESRunMins,GrpJobs,GrpSubmitJobs,GrpWall,MaxTRES,MaxTRESPerNode,"
    "MaxTRESMins,MaxWallDurationPerJob,MaxTRESPU,MaxJobsPU,MaxSubmitPU,MaxTRESPA,MaxJobsPA,MaxSubmitPA,MinTRES";

static const struct tenant_field account_fields[] = {
    F("Account", "Account", "Account", 10), F("Name", "Account", "Account", 10),
    F("Description", "Description", "Descr", 20), F("Organization", "Organization", "Org", 20),
    F("Coordinators", "Coordinators", "Coord Accounts", 20), {NULL, NULL, NULL, 0}};
static const struct tenant_field user_fields[] = {
    F("User", "User", "User", 10), F("Name", "User", "User", 10),
    F("DefaultAccount", "DefaultAccount", "Def Acct", 10), F("DefaultWCKey", "DefaultWCKey", "Def WCKey", 10),
    F("AdminLevel", "AdminLevel", "Admin", 9), F("Coordinators", "Coordinators", "Coord Accounts", 20),
    {NULL, NULL, NULL, 0}};
static const struct tenant_field tres_fields[] = {
    F("Type", "Type", "Type", 8), F("Name", "Name", "Name", 15), F("ID", "ID", "ID", 6), {NULL, NULL, NULL, 0}};
static const struct tenant_field log_fields[] = {
    F("TimeStamp", "TimeStamp", "Time", 19), F("Action", "Action", "Action", 20),
    F("Actor", "Actor", "Actor", 10), F("Where", "Where", "Where", 20), F("Info", "Info", "Info", 20),
    {NULL, NULL, NULL, 0}};
static const struct tenant_field cluster_fields[] = {
    CLUSTER, F("Name", NULL, "Cluster", 10), F("ControlHost", "\1host", "ControlHost", 15),
    F("ControlPort", "\1port", "ControlPort", 12), F("RPC", "\1rpc", "RPC", 5),
    F("Share", "Share", "Share", 9), F("GrpJobs", "GrpJobs", "GrpJobs", 7),
    F("GrpTRES", "GrpTRES", "GrpTRES", 13), F("GrpSubmitJobs", "GrpSubmitJobs", "GrpSubmit", 9),
    F("MaxJobs", "MaxJobs", "MaxJobs", 7), F("MaxTRES", "MaxTRESPerJob", "MaxTRES", 13),
    F("MaxSubmitJobs", "MaxSubmitJobs", "MaxSubmit", 9),
    F("MaxWallDurationPerJob", "MaxWallDurationPerJob", "MaxWall", 11), F("QOS", "QOS", "QOS", 20),
    F("DefaultQOS", "DefaultQOS", "Def QOS", 9), {NULL, NULL, NULL, 0}};

struct listing {
    enum entity entity;
    const char *what, *columns, *format;
    const struct tenant_field *fields;
};
static const struct listing listings[] = {
    {ENTITY_ASSOC, "assoc", assoc_columns, assoc_format, assoc_fields},
    {ENTITY_QOS, "qos", qos_columns, qos_format, qos_fields},
    {ENTITY_ACCOUNT, "account", "Account,Description,Organization,Coordinators",
     "Account,Description,Organization", account_fields},
    {ENTITY_USER, "user", "User,DefaultAccount,DefaultWCKey,AdminLevel,Coordinators",
     "User,DefaultAccount,AdminLevel", user_fields},
    {ENTITY_TRES, "tres", "Type,Name,ID", "Type,Name,ID", tres_fields},
    {ENTITY_TRANSACTION, "transaction", "TimeStamp,Action,Actor,Where,Info,Usec",
     "TimeStamp,Action,Actor,Where,Info", log_fields},
    {ENTITY_CLUSTER, "assoc", assoc_columns,
     "Cluster,ControlHost,ControlPort,RPC,Share,GrpJobs,GrpTRES,GrpSubmitJobs,MaxJobs,MaxTRES,"
     "MaxSubmitJobs,MaxWallDurationPerJob,QOS,DefaultQOS", cluster_fields},
};

/* ---- what was asked ------------------------------------------------------------------------- */

struct show {
    struct sacctmgr *m;
    const struct listing *l;
    const char *names, *accounts, *users, *partitions, *clusters, *parents, *format, *actions, *actors;
    usec_t start, end;
    bool tree, assoc, coord, plain /* WOPLimits */, wolimits, defaults, subaccounts;
    struct tenant_rows rows, more; /* more: of accounts or users, with their associations */
    struct tenant_format f;
    struct arena arena;
};

static bool key_is(const char *word, size_t n, const char *key, size_t least)
{
    return n >= least && n <= strlen(key) && strncasecmp(word, key, n) == 0;
}

static int flag_take(struct show *s, const char *w)
{
    size_t n = strlen(w);
    if (key_is(w, n, "tree", 4))
        s->tree = true;
    else if (key_is(w, n, "withassoc", 5))
        s->assoc = true;
    else if (key_is(w, n, "withcoordinators", 5))
        s->coord = true;
    else if (key_is(w, n, "withdeleted", 5) || key_is(w, n, "withrawqoslevel", 5))
        return 0; /* what is deleted leaves nothing but its transaction */
    else if (key_is(w, n, "withsubaccounts", 5))
        s->subaccounts = true;
    else if (key_is(w, n, "wolimits", 3))
        s->wolimits = true;
    else if (key_is(w, n, "woplimits", 4) || key_is(w, n, "wopinfo", 4))
        s->plain = true;
    else if (key_is(w, n, "onlydefaults", 4))
        s->defaults = true;
    else
        s->names = s->names ? arena_printf(&s->arena, "%s,%s", s->names, w) : w;
    return 0;
}

static int pair_take(struct show *s, const char *w, struct err *err)
{
    size_t n = strcspn(w, "=");
    const char *v = w + n + 1;
    if (key_is(w, n, "format", 1))
        s->format = v;
    else if (key_is(w, n, "names", 1))
        s->names = v;
    else if (key_is(w, n, "accounts", 3) || key_is(w, n, "acct", 4))
        s->accounts = v;
    else if (key_is(w, n, "users", 1))
        s->users = v;
    else if (key_is(w, n, "partitions", 4))
        s->partitions = v;
    else if (key_is(w, n, "clusters", 1))
        s->clusters = v;
    else if (key_is(w, n, "parent", 4))
        s->parents = v;
    else if (key_is(w, n, "action", 4))
        s->actions = v;
    else if (key_is(w, n, "actor", 4))
        s->actors = v;
    else if (key_is(w, n, "start", 1))
        return time_parse_past(v, clock_wall_usec(), &s->start, err);
    else if (key_is(w, n, "end", 1))
        return time_parse_past(v, clock_wall_usec(), &s->end, err);
    else
        return err_set(err, SL_EINVAL_FIELD, "Unknown condition: %s", w);
    return 0;
}

static int words_take(struct show *s, int argc, char **argv, struct err *err)
{
    for (int i = 0; i < argc; i++) {
        if (strcasecmp(argv[i], "where") == 0 || argv[i][0] == '\0')
            continue;
        int rc = strchr(argv[i], '=') ? pair_take(s, argv[i], err) : flag_take(s, argv[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static long row_by_id(const struct tenant_rows *r, const char *id)
{
    for (size_t i = 0; *id != '\0' && i < r->count; i++)
        if (strcmp(tenant_cell(r, i, "ID"), id) == 0)
            return (long)i;
    return -1;
}

/* Limits of a job are inherited: show what holds, not only where it was set. */
static void limits_inherit(struct tenant_rows *r)
{
    static const char *const inherited[] = {"Priority", "MaxJobs", "MaxTRESPerJob", "MaxTRESPerNode",
                                            "MaxTRESMinsPerJob", "MaxSubmitJobs", "MaxWallDurationPerJob"};
    int id = tenant_column(r, "ParentID");
    for (size_t i = 0; i < r->count; i++) { /* parents come first */
        long up = row_by_id(r, r->v[i][id]);
        for (size_t k = 0; up >= 0 && k < sizeof(inherited) / sizeof(inherited[0]); k++) {
            int at = tenant_column(r, inherited[k]);
            if (r->v[i][at][0] == '\0')
                r->v[i][at] = r->v[up][at];
        }
    }
}

static bool below_account(const struct show *s, size_t i)
{
    for (long at = (long)i; at >= 0; at = row_by_id(&s->rows, tenant_cell(&s->rows, (size_t)at, "ParentID")))
        if (tenant_listed(s->accounts, tenant_cell(&s->rows, (size_t)at, "Account")))
            return true;
    return false;
}

static bool assoc_wanted(const struct show *s, size_t i)
{
    const struct tenant_rows *r = &s->rows;
    if (s->defaults && strcmp(tenant_cell(r, i, "IsDefault"), "1") != 0)
        return false;
    return (s->subaccounts ? below_account(s, i) : tenant_listed(s->accounts, tenant_cell(r, i, "Account"))) &&
           tenant_listed(s->users, tenant_cell(r, i, "User")) &&
           tenant_listed(s->partitions, tenant_cell(r, i, "Partition")) &&
           tenant_listed(s->parents, tenant_cell(r, i, "ParentName"));
}

static bool wanted(const struct show *s, size_t i)
{
    const struct tenant_rows *r = &s->rows;
    switch (s->l->entity) {
    case ENTITY_ASSOC:
        return assoc_wanted(s, i);
    case ENTITY_ACCOUNT:
        return tenant_listed(s->names ? s->names : s->accounts, tenant_cell(r, i, "Account"));
    case ENTITY_USER:
        return tenant_listed(s->names ? s->names : s->users, tenant_cell(r, i, "User")) &&
               tenant_listed(s->accounts, tenant_cell(r, i, "DefaultAccount"));
    case ENTITY_TRANSACTION: {
        usec_t at = strtoll(tenant_cell(r, i, "Usec"), NULL, 10);
        return at >= s->start && (s->end == 0 || at <= s->end) &&
               tenant_listed(s->actions, tenant_cell(r, i, "Action")) &&
               tenant_listed(s->actors, tenant_cell(r, i, "Actor"));
    }
    case ENTITY_CLUSTER:
        return i == 0; /* the root's association */
    default:
        return tenant_listed(s->names, tenant_cell(r, i, tenant_column(r, "Name") >= 0 ? "Name" : "ID"));
    }
}

static const char *cell_text(struct show *s, size_t i, const struct tenant_field *f)
{
    const struct conf *conf = s->m->client.conf;
    if (f->column == NULL)
        return strcmp(f->header, "Cluster") == 0 ? conf->cluster_name : "";
    if (strcmp(f->column, "\1host") == 0)
        return conf->ctld_host;
    if (strcmp(f->column, "\1port") == 0)
        return arena_printf(&s->arena, "%u", conf->ctld_port);
    if (strcmp(f->column, "\1rpc") == 0)
        return arena_printf(&s->arena, "%u", WIRE_VERSION_MAJOR << 8 | WIRE_VERSION_MINOR);
    const char *text = tenant_cell(&s->rows, i, f->column);
    if (s->tree && strcmp(f->column, "Account") == 0)
        return arena_printf(&s->arena, "%*s%s", atoi(tenant_cell(&s->rows, i, "Depth")), "", text);
    return text;
}

/* ---- accounts and users with their associations -------------------------------------------------- */

/* Each association's row, with the account's or user's cells in front. */
static void joined_print(struct show *s)
{
    const char *key = s->l->entity == ENTITY_USER ? "User" : "Account";
    const char *cells[96];
    for (size_t i = 0; i < s->more.count; i++) {
        const char *name = tenant_cell(&s->more, i, key);
        if (!tenant_listed(s->names, name))
            continue;
        for (size_t a = 0; a < s->rows.count; a++) {
            if (strcmp(tenant_cell(&s->rows, a, key), name) != 0 || !assoc_wanted(s, a))
                continue;
            for (size_t k = 0; k < s->f.count; k++) {
                const struct tenant_field *f = &s->f.field[k];
                int own = f->column ? tenant_column(&s->more, f->column) : -1;
                cells[k] = own >= 0 ? s->more.v[i][own] : cell_text(s, a, f);
            }
            tenant_print_row(&s->f, cells, sacctmgr_style(s->m));
        }
    }
}

static int joined(struct show *s, struct err *err)
{
    struct tenant_field table[96];
    size_t n = 0;
    bool user = s->l->entity == ENTITY_USER;
    for (const struct tenant_field *f = s->l->fields; f->name != NULL; f++)
        table[n++] = *f;
    for (const struct tenant_field *f = assoc_fields; f->name != NULL; f++)
        table[n++] = *f;
    table[n] = (struct tenant_field){NULL, NULL, NULL, 0};
    const char *format = s->format ? s->format
                         : user ? "User,DefaultAccount,AdminLevel,Cluster,Account,Partition,Share,Priority,"
                                  "MaxJobs,MaxTRES,MaxSubmitJobs,MaxWallDurationPerJob,QOS,DefaultQOS"
                                : "Account,Description,Organization,Cluster,ParentName,User,Share,Priority,"
                                  "GrpJobs,GrpTRES,GrpSubmitJobs,MaxJobs,MaxTRES,QOS,DefaultQOS";
    int rc = tenant_format_parse(table, format, &s->f, err);
    if (rc == 0)
        rc = tenant_rows_get(&s->rows, &s->m->client, "assoc", assoc_columns, err);
    if (rc == 0)
        rc = tenant_rows_get(&s->more, &s->m->client, s->l->what, s->l->columns, err);
    if (rc < 0)
        return rc;
    limits_inherit(&s->rows);
    if (!s->m->noheader)
        tenant_print_header(&s->f, sacctmgr_style(s->m));
    joined_print(s);
    return 0;
}

static int plain(struct show *s, struct err *err)
{
    const char *cells[96];
    const char *format = s->format                                     ? s->format
                         : s->wolimits && s->l->entity == ENTITY_ASSOC ? assoc_format_short
                         : s->coord                                    ? arena_printf(&s->arena, "%s,Coordinators", s->l->format)
                                                                       : s->l->format;
    int rc = tenant_format_parse(s->l->fields, format, &s->f, err);
    if (rc == 0)
        rc = tenant_rows_get(&s->rows, &s->m->client, s->l->what, s->l->columns, err);
    if (rc < 0)
        return rc;
    if (s->l->entity == ENTITY_ASSOC && !s->plain)
        limits_inherit(&s->rows);
    for (size_t k = 0; s->tree && k < s->f.count; k++)
        if (s->f.field[k].column && strcmp(s->f.field[k].column, "Account") == 0 && s->f.field[k].width == 10)
            s->f.field[k].width = -20;
    if (!s->m->noheader)
        tenant_print_header(&s->f, sacctmgr_style(s->m));
    for (size_t i = 0; i < s->rows.count; i++) {
        if (!wanted(s, i))
            continue;
        for (size_t k = 0; k < s->f.count; k++)
            cells[k] = cell_text(s, i, &s->f.field[k]);
        tenant_print_row(&s->f, cells, sacctmgr_style(s->m));
    }
    return 0;
}

static int configuration(struct sacctmgr *m)
{
    const struct conf *conf = m->client.conf;
    printf("Configuration data\nClusterName            = %s\nAccountingEnforce      = %s\n"
           "ControlHost            = %s\nState                  = %s\n",
           conf->cluster_name, conf->accounting_enforce, conf->ctld_host, conf->state_url);
    return 0;
}

int sacctmgr_show(struct sacctmgr *m, enum entity what, int argc, char **argv)
{
    struct show s = {.m = m, .assoc = m->associations};
    struct err err = {0};
    if (what == ENTITY_CONFIG)
        return configuration(m);
    for (size_t i = 0; i < sizeof(listings) / sizeof(listings[0]); i++)
        if (listings[i].entity == what)
            s.l = &listings[i];
    if (s.l == NULL)
        return sacctmgr_fail("Coordinators are listed by 'list account withcoord' and 'list user withcoord'");
    arena_init(&s.arena);
    int rc = words_take(&s, argc, argv, &err);
    if (rc == 0 && !tenant_listed(s.clusters, m->client.conf->cluster_name))
        rc = 0; /* of another cluster there is nothing to list */
    else if (rc == 0)
        rc = s.assoc && (what == ENTITY_USER || what == ENTITY_ACCOUNT) ? joined(&s, &err) : plain(&s, &err);
    tenant_rows_fini(&s.rows);
    tenant_rows_fini(&s.more);
    arena_fini(&s.arena);
    return rc < 0 ? sacctmgr_fail("%s", err.text) : 0;
}
