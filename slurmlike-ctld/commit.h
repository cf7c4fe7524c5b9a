/* SPDX-License-Identifier: Apache-2.0
 *
 * commit: a transaction made durable on the commit thread.
 */
#ifndef SL_CTLD_COMMIT_H
#define SL_CTLD_COMMIT_H

#include "ctld.h"

/* txn stays the caller's and must not be touched before done() is called on
 * the loop with what store_commit returned. One at a time. */
void commit_start(struct ctld *d, struct store_txn *txn,
                  void (*done)(struct ctld *d, int rc, const struct err *err));

#endif
