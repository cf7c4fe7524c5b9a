/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER_GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

/* The supplementary groups are those that this node's databases give the uid, not
 * those of whoever has the name that the controller knows: the two may differ. */
static int groups_load(struct user *u, struct err *err)
{
    const struct passwd *pw = getpwnam(u->name);
    if (!pw || pw->pw_uid != u->uid)
        pw = getpwuid(u->uid);
    u->groups_count = 32;
    u->groups = xmalloc((size_t)u->groups_count * sizeof(gid_t));
    if (!pw) {
        u->groups_count = 1;
        u->groups[0] = u->gid;
        return 0;
    }
    char *name = xstrdup(pw->pw_name);
    int rc = getgrouplist(name, u->gid, u->groups, &u->groups_count);
    if (rc < 0) {
        if (u->groups_count > USER_GROUPS_MAX)
            u->groups_count = USER_GROUPS_MAX;
        u->groups = xrealloc(u->groups, (size_t)u->groups_count * sizeof(gid_t));
        rc = getgrouplist(name, u->gid, u->groups, &u->groups_count);
    }
    free(name);
    return rc < 0 ? err_set(err, -E2BIG, "user %s: too many groups", u->name) : 0;
}

int user_init(struct user *u, uid_t uid, gid_t gid, const char *name, struct err *err)
{
    *u = (struct user){.uid = uid, .gid = gid};
    u->drop = geteuid() == 0;
    /* setresuid(2) takes -1 for "leave it", so that the task would stay root */
    if (uid == (uid_t)-1 || gid == (gid_t)-1)
        return err_set(err, SL_EACCESS, "uid %u gid %u: no user has that id",
                       (unsigned)uid, (unsigned)gid);
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
    return u->drop ? groups_load(u, err) : 0;
}

void user_fini(struct user *u)
{
    free(u->name);
    free(u->groups);
    *u = (struct user){0};
}

/* The system calls themselves, here and below: glibc's functions would have each thread of
 * the process do the same. PMIx has one, and a child of contain_fork() would wait for the
 * ones that it believes to have. */
int user_become(const struct user *u)
{
    if (!u->drop)
        return 0;
    if (syscall(SYS_setgroups, u->groups_count, u->groups) < 0 ||
        syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
        syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
        return -errno;
    return 0;
}

/* The effective ids only: the real ones stay root's, so that the user can neither signal
 * nor trace this process meanwhile. Without euid 0 no capability is left in effect (with the
 * file system ids alone CAP_SYS_PTRACE would open other users' files in /proc). */
static int identity_set(int groups_count, const gid_t *groups, gid_t gid, uid_t uid)
{
    if (syscall(SYS_setgroups, groups_count, groups) < 0 ||
        syscall(SYS_setresgid, -1, gid, -1) < 0 || syscall(SYS_setresuid, -1, uid, -1) < 0)
        return -errno;
    return 0;
}

int user_open(const struct user *u, const char *path, int flags, mode_t mode)
{
    gid_t own[64], own_gid = getegid();
    int fd = -1, own_count, saved;

    if (!u->drop) {
        fd = open(path, flags | O_CLOEXEC, mode);
        return fd < 0 ? -errno : fd;
    }
    own_count = getgroups(64, own);
    if (own_count < 0)
        return -errno;
    saved = -identity_set(u->groups_count, u->groups, u->gid, u->uid);
    if (saved == 0) {
        fd = open(path, flags | O_CLOEXEC, mode);
        saved = errno;
    }
    /* the uid first: with it the right to set the others comes back */
    ASSERT(syscall(SYS_setresuid, -1, 0, -1) == 0);
    ASSERT(identity_set(own_count, own, own_gid, 0) == 0);
    return fd < 0 ? -saved : fd;
}
