/* SPDX-License-Identifier: Apache-2.0
 *
 * user: becoming the job's user, for good in a task, for one file in the supervisor.
 */
#ifndef SL_STEPD_USER_H
#define SL_STEPD_USER_H

#include "stepd/stepd.h"

/* Looks up the groups. A supervisor that is not root serves only its own uid. */
int user_init(struct user *u, uid_t uid, gid_t gid, const char *name, struct err *err);
void user_fini(struct user *u);
/* In a task's process: groups, gid, uid for good. 0 or -errno. */
int user_become(const struct user *u);
/* open(2) with the user's rights only (file-system uid, this thread only); O_CLOEXEC is
 * added. fd or -errno. */
int user_open(const struct user *u, const char *path, int flags, mode_t mode);

#endif
