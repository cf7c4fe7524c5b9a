/* SPDX-License-Identifier: Apache-2.0
 *
 * sshare: shares, usage and fair-share of associations, sshare(1).
 */
#include "command.h"
#include "print.h"
#include "tenant_table.h"

#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "sshare";

static struct {
    const char *accounts, *format, *users;
    bool all, helpformat, longform, noheader, parsable, parsable2, partition, users_only;
} opt;

static const struct command_option options[] = {
    {"accounts", 'A', "names", "only these accounts", &opt.accounts, NULL, NULL},
    {"all", 'a', NULL, "all users, not only oneself", NULL, &opt.all, NULL},
    {"format", 'o', "fields", "columns, see --helpformat", &opt.format, NULL, NULL},
    {"helpformat", 'e', NULL, "list the columns and exit", NULL, &opt.helpformat, NULL},
    {"long", 'l', NULL, "more columns", NULL, &opt.longform, NULL},
    {"noheader", 'n', NULL, "no header line", NULL, &opt.noheader, NULL},
    {"parsable", 'p', NULL, "columns end in '|'", NULL, &opt.parsable, NULL},
    {"parsable2", 'P', NULL, "columns are separated by '|'", NULL, &opt.parsable2, NULL},
    {"partition", 'm', NULL, "the partition of associations that have one", NULL, &opt.partition, NULL},
    {"users", 'u', "users", "only these users", &opt.users, NULL, NULL},
    {"Users", 'U', NULL, "only users, without their accounts", NULL, &opt.users_only, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static const struct tenant_field fields[] = {
    {"Account", "Account", "Account", -20},
    {"User", "User", "User", 10},
    {"Partition", "Partition", "Partition", 12},
    {"RawShares", "Share", "RawShares", 10},
    {"NormShares", "NormShares", "NormShares", 11},
    {"RawUsage", "RawUsage", "RawUsage", 11},
    {"NormUsage", "NormUsage", "NormUsage", 11},
    {"EffectvUsage", "EffectvUsage", "EffectvUsage", 13},
    {"FairShare", "FairShare", "FairShare", 10},
    {"LevelFS", "LevelFS", "LevelFS", 10},
    {"GrpTRESMins", "GrpTRESMins", "GrpTRESMins", 30},
    {"GrpTRESRaw", "GrpTRESRaw", "GrpTRESRaw", 30},
    {"TRESRunMins", "TRESRunMins", "TRESRunMins", 30},
    {"ID", "ID", "ID", 6},
    {NULL, NULL, NULL, 0},
};
static const char columns[] = "Account,User,Partition,Share,NormShares,RawUsage,NormUsage,EffectvUsage,"
                              "FairShare,LevelFS,GrpTRESMins,GrpTRESRaw,TRESRunMins,ID,Depth";

/* Users that were asked for; without any, oneself. NULL: all. */
static const char *users_wanted(void)
{
    const struct passwd *pw;
    if (opt.all)
        return NULL;
    if (opt.users)
        return opt.users;
    pw = getpwuid(geteuid());
    return pw ? pw->pw_name : "?";
}

static bool wanted(const struct tenant_rows *r, size_t i, const char *users)
{
    const char *user = tenant_cell(r, i, "User"), *part = tenant_cell(r, i, "Partition");
    if (!tenant_listed(opt.accounts, tenant_cell(r, i, "Account")) || (part[0] && !opt.partition))
        return false;
    return user[0] ? tenant_listed(users, user) : !opt.users_only;
}

static const char *text(const struct tenant_rows *r, size_t i, const char *column, struct arena *a)
{
    const char *t = tenant_cell(r, i, column);
    if (strcmp(column, "Account") == 0 && !opt.parsable && !opt.parsable2) /* the tree */
        return arena_printf(a, "%*s%s", atoi(tenant_cell(r, i, "Depth")), "", t);
    return t;
}

static void table_print(const struct tenant_rows *r, const struct tenant_format *f, const char *users)
{
    enum tenant_style style = opt.parsable2 ? TENANT_PARSABLE2 : opt.parsable ? TENANT_PARSABLE : TENANT_ALIGNED;
    struct arena a;
    const char *cells[96];
    arena_init(&a);
    if (!opt.noheader)
        tenant_print_header(f, style);
    for (size_t i = 0; i < r->count; i++) {
        if (!wanted(r, i, users))
            continue;
        for (size_t k = 0; k < f->count; k++)
            cells[k] = text(r, i, f->field[k].column, &a);
        tenant_print_row(f, cells, style);
    }
    arena_fini(&a);
}

static void json_print(const struct tenant_rows *r, const char *users)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++) {
        if (!wanted(r, i, users))
            continue;
        const char *level = tenant_cell(r, i, "LevelFS"), *user = tenant_cell(r, i, "User");
        json_array_append_new(list, json_pack(
            "{s:I,s:s,s:s,s:s,s:s,s:f,s:I,s:f,s:f,s:{s:f,s:o},s:s,s:s}",
            "id", (json_int_t)strtoll(tenant_cell(r, i, "ID"), NULL, 10),
            "parent_account", tenant_cell(r, i, "Account"), "name", user[0] ? user : tenant_cell(r, i, "Account"),
            "partition", tenant_cell(r, i, "Partition"), "shares", tenant_cell(r, i, "Share"),
            "shares_normalized", strtod(tenant_cell(r, i, "NormShares"), NULL),
            "usage", (json_int_t)strtoll(tenant_cell(r, i, "RawUsage"), NULL, 10),
            "usage_normalized", strtod(tenant_cell(r, i, "NormUsage"), NULL),
            "effective_usage", strtod(tenant_cell(r, i, "EffectvUsage"), NULL),
            "fairshare", "factor", strtod(tenant_cell(r, i, "FairShare"), NULL),
            "level", strcmp(level, "inf") == 0 ? json_null() : json_real(strtod(level, NULL)),
            "tres_run_minutes", tenant_cell(r, i, "TRESRunMins"), "tres_group_minutes", tenant_cell(r, i, "GrpTRESMins")));
    }
    print_json_value(program, "shares", list, stdout);
}

static int show(struct client *c, struct err *err)
{
    struct tenant_rows r;
    struct tenant_format f;
    const char *users = users_wanted();
    const char *format = opt.format ? opt.format
                         : opt.longform && opt.partition
                             ? "Account,User,Partition,RawShares,NormShares,RawUsage,NormUsage,EffectvUsage,FairShare,LevelFS,GrpTRESMins,TRESRunMins"
                         : opt.longform
                             ? "Account,User,RawShares,NormShares,RawUsage,NormUsage,EffectvUsage,FairShare,LevelFS,GrpTRESMins,TRESRunMins"
                         : opt.partition ? "Account,User,Partition,RawShares,NormShares,RawUsage,EffectvUsage,FairShare"
                                         : "Account,User,RawShares,NormShares,RawUsage,EffectvUsage,FairShare";
    int rc = tenant_format_parse(fields, format, &f, err);
    if (rc < 0)
        return rc;
    rc = tenant_rows_get(&r, c, "assoc", columns, err);
    if (rc == 0 && command_structured())
        json_print(&r, users);
    else if (rc == 0)
        table_print(&r, &f, users);
    tenant_rows_fini(&r);
    return rc;
}

static bool answered(void)
{
    for (const struct tenant_field *f = fields; opt.helpformat && f->name != NULL; f++)
        puts(f->name);
    return opt.helpformat;
}

static const struct command command = {.program = program, .options = options, .usage = "[OPTIONS]",
                                       .clusters = true, .structured = true, .answered = answered, .show = show};

int main(int argc, char **argv)
{
    return command_show(&command, argc, argv);
}
