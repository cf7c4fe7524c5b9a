/* SPDX-License-Identifier: Apache-2.0
 *
 * policy: the scheduler's rules under a name: a preset, or a file whose scheduler section
 * (and the rest that concerns jobs) is that of slurmlike.conf.
 */
#ifndef SL_SIM_POLICY_H
#define SL_SIM_POLICY_H

#include "base/buf.h"
#include "conf/conf.h"
#include "sched/core.h"

struct policy {
    struct core_policy core; /* its texts are conf's */
    struct conf *conf;
};

bool policy_is_preset(const char *name);
/* 0, or negative with the reason. */
int policy_load(const char *name, struct policy *policy, struct err *err);
void policy_fini(struct policy *policy);
void policy_print(struct buf *out); /* the presets, a line each, for --help */

#endif
