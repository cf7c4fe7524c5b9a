/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER_GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

int user_init(struct user *u, uid_t uid, gid_t gid, const char *name, struct err *err)
{
    *u = (struct user){.uid = uid, .gid = gid};
    u->drop = geteuid() == 0;
    if (!u->drop && geteuid() != uid)
        return err_set(err, SL_EACCESS,
                       "this node runs jobs of uid %u only, not of uid %u",
                       (unsigned)geteuid(), (unsigned)uid);
    if (name && name[0]) {
        u->name = xstrdup(name);
    } else {
        const struct passwd *pw = getpwuid(uid);
        u->name = pw ? xstrdup(pw->pw_name) : xasprintf("%u", (unsigned)uid);
    }
    if (!u->drop)
        return 0;
    u->groups_count = 32;
    u->groups = xmalloc((size_t)u->groups_count * sizeof(gid_t));
    if (getgrouplist(u->name, gid, u->groups, &u->groups_count) < 0) {
        if (u->groups_count > USER_GROUPS_MAX)
            u->groups_count = USER_GROUPS_MAX;
        u->groups = xrealloc(u->groups, (size_t)u->groups_count * sizeof(gid_t));
        if (getgrouplist(u->name, gid, u->groups, &u->groups_count) < 0)
            return err_set(err, -E2BIG, "user %s: too many groups", u->name);
    }
    return 0;
}

void user_fini(struct user *u)
{
    free(u->name);
    free(u->groups);
    *u = (struct user){0};
}

int user_become(const struct user *u)
{
    if (!u->drop)
        return 0;
    if (setgroups((size_t)u->groups_count, u->groups) < 0 ||
        setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
        return -errno;
    return 0;
}

/* glibc's setgroups() would change each thread of the process, and PMIx has one. */
static long groups_set(int count, const gid_t *groups)
{
    return syscall(SYS_setgroups, count, groups);
}

int user_open(const struct user *u, const char *path, int flags, mode_t mode)
{
    gid_t own[64];
    int fd, own_count = 0, saved;

    if (!u->drop) {
        fd = open(path, flags | O_CLOEXEC, mode);
        return fd < 0 ? -errno : fd;
    }
    own_count = getgroups(64, own);
    if (own_count < 0 || groups_set(u->groups_count, u->groups) < 0)
        return -errno;
    setfsgid(u->gid);
    setfsuid(u->uid); /* drops CAP_DAC_OVERRIDE and its like: capabilities(7) */
    if ((uid_t)setfsuid((uid_t)-1) != u->uid) {
        fd = -1;
        saved = EPERM;
    } else {
        fd = open(path, flags | O_CLOEXEC, mode);
        saved = errno;
    }
    setfsuid(0);
    setfsgid(0);
    ASSERT(groups_set(own_count, own) == 0);
    return fd < 0 ? -saved : fd;
}
