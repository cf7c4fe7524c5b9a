/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include "blobs.h"
#include "helper.h"

#include <errno.h>
#include <stdlib.h>

struct fetch {
    struct work work;
    struct ctld *d;
    char *url;
    uint32_t job_id;
    fetch_f done;
    void *arg;
    int rc;
    struct err err;
    void *script, *rest;
    size_t script_bytes, rest_bytes;
};

static void fetch_run(struct work *w)
{
    struct fetch *f = (struct fetch *)w;

    struct store **store = &f->d->reader_store; /* this thread's alone */

    if (!*store && !(*store = store_open(f->url, true, &f->err))) {
        f->rc = f->err.code;
        return;
    }
    f->rc = store_job_blob(*store, f->job_id, "env", &f->rest, &f->rest_bytes, &f->err);
    if (f->rc < 0)
        return;
    f->rc = store_job_blob(*store, f->job_id, "script", &f->script, &f->script_bytes, &f->err);
    if (f->rc == -ENOENT) /* salloc and srun have none */
        f->rc = 0;
}

static void fetch_done(struct work *w)
{
    struct fetch *f = (struct fetch *)w;
    const Sl__SubmitRequest *m = NULL;
    Sl__SubmitRequest *fresh = NULL;

    if (f->rc == 0) {
        fresh = blobs_unpack(f->script, f->script_bytes, f->rest, f->rest_bytes);
        if (!fresh)
            err_set(&f->err, SL_ESTORE, "job %u: its environment in the store is damaged",
                    f->job_id);
    } else {
        err_prefix(&f->err, "job %u: script and environment", f->job_id);
    }
    if (fresh) {
        blobs_put(f->d->blobs, f->job_id, fresh);
        m = blobs_get(f->d->blobs, f->job_id);
    }
    f->done(f->d, f->job_id, m, &f->err, f->arg);
    free(f->script);
    free(f->rest);
    free(f->url);
    free(f);
}

void fetch_blobs(struct ctld *d, uint32_t job_id, fetch_f done, void *arg)
{
    const Sl__SubmitRequest *m = blobs_get(d->blobs, job_id);

    if (m) {
        done(d, job_id, m, NULL, arg);
        return;
    }
    struct fetch *f = xcalloc(1, sizeof(*f));
    f->work.run = fetch_run;
    f->work.done = fetch_done;
    f->d = d;
    f->url = xstrdup(d->conf->state_url);
    f->job_id = job_id;
    f->done = done;
    f->arg = arg;
    helper_post(d->reader, &f->work);
}
