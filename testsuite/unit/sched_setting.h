/* SPDX-License-Identifier: Apache-2.0
 *
 * setting: the policies under which the core is tried. Each is the policy that is shipped
 * (lib/conf's defaults, through lib/setup), with what it differs in. A seed takes one.
 */
#ifndef SL_TEST_SCHED_SETTING_H
#define SL_TEST_SCHED_SETTING_H

#include "sched/core.h"

struct setting {
    const char *name;
    void (*change)(struct core_policy *p); /* NULL: as shipped */
    bool fabric;                           /* the nodes' switches are known */
};

/* Of a seed; SLURMLIKE_SETTING names another. */
const struct setting *setting_of(uint64_t seed);
void setting_policy(const struct setting *s, struct core_policy *p);

#endif
