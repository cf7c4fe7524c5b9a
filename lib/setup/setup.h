/* SPDX-License-Identifier: Apache-2.0
 *
 * setup: slurmlike.conf into a scheduling core, for every program that runs one.
 * A key that concerns the core has its field in struct core_policy, core_partition or
 * core_node_conf, and its line here.
 */
#ifndef SL_SETUP_SETUP_H
#define SL_SETUP_SETUP_H

#include "conf/conf.h"
#include "sched/core.h"

/* The rules of a configuration that was checked (conf_load). Fails on what only the core can
 * tell: words of accounting.enforce. */
int setup_policy(const struct conf *conf, struct core_policy *policy, struct err *err);
/* Partitions and nodes of conf under a policy, as core_configure(). */
int setup_configure(struct core *core, const struct conf *conf,
                    const struct core_policy *policy, usec_t now, struct err *err);

#endif
