/* SPDX-License-Identifier: Apache-2.0
 *
 * A private directory for one test, removed with everything in it.
 */
#ifndef SL_TESTSUITE_STORE_DIR_H
#define SL_TESTSUITE_STORE_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store_dir {
    char dir[64];
    char path[128]; /* DIR/state/store.db; state does not exist at first */
    char url[160];
};

static inline void store_dir_init(struct store_dir *d)
{
    snprintf(d->dir, sizeof(d->dir), "/tmp/test_store.XXXXXX");
    if (!mkdtemp(d->dir))
        abort();
    snprintf(d->path, sizeof(d->path), "%s/state/store.db", d->dir);
    snprintf(d->url, sizeof(d->url), "sqlite:%s", d->path);
}

static inline int store_dir_unlink(const char *path, const struct stat *st, int kind,
                                   struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void store_dir_fini(struct store_dir *d)
{
    nftw(d->dir, store_dir_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
