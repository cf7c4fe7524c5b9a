/* SPDX-License-Identifier: Apache-2.0 */
#include "commit.h"

#include "helper.h"

#include <stdlib.h>

struct commit_work {
    struct work work;
    struct ctld *d;
    struct store *store;
    struct store_txn *txn;
    void (*done)(struct ctld *d, int rc, const struct err *err);
    int rc;
    struct err err;
};

static void commit_run(struct work *w)
{
    struct commit_work *c = (struct commit_work *)w;
    c->rc = store_commit(c->store, c->txn, &c->err);
}

static void commit_done(struct work *w)
{
    struct commit_work *c = (struct commit_work *)w;
    c->done(c->d, c->rc, &c->err);
    free(c);
}

void commit_start(struct ctld *d, struct store_txn *txn,
                  void (*done)(struct ctld *d, int rc, const struct err *err))
{
    struct commit_work *c = xcalloc(1, sizeof(*c));
    c->work.run = commit_run;
    c->work.done = commit_done;
    c->d = d;
    c->store = d->store;
    c->txn = txn;
    c->done = done;
    helper_post(d->committer, &c->work);
}
