/* SPDX-License-Identifier: Apache-2.0
 *
 * users: names and groups of uids, cached for USER_CACHE_USEC.
 */
#ifndef SL_CTLD_USERS_H
#define SL_CTLD_USERS_H

#include "base/timefmt.h"

#include <stdbool.h>
#include <sys/types.h>

struct users;

struct user { /* valid until the next users_get() */
    uid_t uid;
    gid_t gid;            /* primary group */
    const char *name;     /* the number as text when the uid has no name */
    const char *const *groups; /* names, NULL-terminated */
};

struct users *users_create(void);
void users_destroy(struct users *u);
const struct user *users_get(struct users *u, uid_t uid, usec_t now);
/* The group's name, or its number as text; valid until users_destroy(). */
const char *users_group_name(struct users *u, gid_t gid);
/* A user's name or number as text; false when there is no such user. */
bool users_find(const char *text, uid_t *uid);

#endif
