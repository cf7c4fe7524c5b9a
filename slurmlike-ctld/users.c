/* SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include "base/buf.h"
#include "ctld.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define GROUPS_MAX 1024 /* of one user; more are not looked at */

struct user_entry {
    struct user user;
    char *name;
    char **groups;
    usec_t loaded;
    UT_hash_handle hh; /* by user.uid */
};

struct group_entry {
    gid_t gid;
    char *name;
    UT_hash_handle hh; /* by gid */
};

struct users {
    struct user_entry *users;
    struct group_entry *groups;
};

struct users *users_create(void)
{
    return xcalloc(1, sizeof(struct users));
}

static void entry_clear(struct user_entry *e)
{
    free(e->name);
    for (size_t i = 0; e->groups && e->groups[i]; i++)
        free(e->groups[i]);
    free(e->groups);
    e->name = NULL;
    e->groups = NULL;
}

void users_destroy(struct users *u)
{
    struct user_entry *e, *e_next;
    struct group_entry *g, *g_next;

    if (!u)
        return;
    HASH_ITER(hh, u->users, e, e_next) {
        HASH_DEL(u->users, e);
        entry_clear(e);
        free(e);
    }
    HASH_ITER(hh, u->groups, g, g_next) {
        HASH_DEL(u->groups, g);
        free(g->name);
        free(g);
    }
    free(u);
}

const char *users_group_name(struct users *u, gid_t gid)
{
    struct group_entry *g;

    HASH_FIND(hh, u->groups, &gid, sizeof(gid), g);
    if (!g) {
        struct group *gr = getgrgid(gid);
        g = xcalloc(1, sizeof(*g));
        g->gid = gid;
        g->name = gr ? xstrdup(gr->gr_name) : xasprintf("%u", (unsigned)gid);
        HASH_ADD(hh, u->groups, gid, sizeof(g->gid), g);
    }
    return g->name;
}

static void entry_load(struct users *u, struct user_entry *e)
{
    gid_t gids[GROUPS_MAX];
    int count = GROUPS_MAX;
    struct passwd *pw = getpwuid(e->user.uid);

    entry_clear(e);
    if (!pw) {
        e->name = xasprintf("%u", (unsigned)e->user.uid);
        e->user.gid = (gid_t)-1;
        count = 0;
    } else {
        e->name = xstrdup(pw->pw_name);
        e->user.gid = pw->pw_gid;
        if (getgrouplist(e->name, pw->pw_gid, gids, &count) < 0)
            count = GROUPS_MAX;
    }
    e->groups = xcalloc((size_t)count + 1, sizeof(*e->groups));
    for (int i = 0; i < count; i++)
        e->groups[i] = xstrdup(users_group_name(u, gids[i]));
    e->user.name = e->name;
    e->user.groups = (const char *const *)e->groups;
}

const struct user *users_get(struct users *u, uid_t uid, usec_t now)
{
    struct user_entry *e;

    HASH_FIND(hh, u->users, &uid, sizeof(uid), e);
    if (!e) {
        e = xcalloc(1, sizeof(*e));
        e->user.uid = uid;
        HASH_ADD(hh, u->users, user.uid, sizeof(e->user.uid), e);
    } else if (now - e->loaded < USER_CACHE_USEC) {
        return &e->user;
    }
    e->loaded = now;
    entry_load(u, e);
    return &e->user;
}

bool users_find(const char *text, uid_t *uid)
{
    uint64_t number;
    struct passwd *pw = getpwnam(text);

    if (pw) {
        *uid = pw->pw_uid;
        return true;
    }
    if (num_parse_u64("uid", text, 0, UINT32_MAX - 1, &number, NULL) < 0)
        return false;
    *uid = (uid_t)number;
    return true;
}
