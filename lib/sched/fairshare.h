/* SPDX-License-Identifier: Apache-2.0
 *
 * fairshare: the Fair Tree algorithm (R. Cox and L. Morrison, 2014; slurm.schedmd.com,
 * "Fair Tree Fairshare Algorithm").
 *
 * Each association has level_fs = norm shares / effective usage among its siblings. The tree
 * is walked with the best sibling first, accounts descended into as they come, and users
 * ranked as they are met; a user's factor is rank / number of users, 1.0 for the first. So
 * when account A stands before account B, so do all its users.
 *
 * Equal level_fs: users share one rank; accounts are walked as one, their children merged
 * and sorted together; a user stands before an account, and the account's first ones then
 * have the user's rank.
 * "Fairshare=parent" lifts an account's children among its siblings, and gives a user the
 * shares and usage of its account.
 *
 * Whole numbers only: level_fs is a fraction of 32 bits, so two that differ by less than
 * 2^-32 are equal.
 */
#ifndef SL_SCHED_FAIRSHARE_H
#define SL_SCHED_FAIRSHARE_H

#include "sched/tenant.h"

/* Settles every usage at `now` and ranks every user anew. Cost: n log n of associations. */
void fairshare_rank(struct core *c, usec_t now);

/* As sshare shows them, in FACTOR_ONE. */
uint64_t fairshare_norm_shares(const struct core *c, uint32_t assoc);
uint64_t fairshare_effective_usage(const struct core *c, uint32_t assoc);
uint64_t fairshare_norm_usage(const struct core *c, uint32_t assoc);

#endif
