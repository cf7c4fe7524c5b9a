/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "ckpt/ckpt.h"
#include "config.h"
#include "train/train.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int train_save(struct train *t, struct err *err)
{
    double from = report_now();
    json_t *state =
        json_pack("{s:I, s:I, s:f, s:O, s:o, s:s}", "step", (json_int_t)t->step, "tokens",
                  (json_int_t)(t->step * t->report.tokens_per_step), "loss", t->loss,
                  "identity", t->identity, "options", options_json(&settings_table, t->set),
                  "worker", PACKAGE_VERSION);
    ASSERT(state);
    int rc = ckpt_save(t->set->checkpoint_dir, t->step, t->shards, state, (int)t->set->keep,
                       err);
    json_decref(state);
    double took = report_now() - from;
    report_pause(&t->report, took);
    if (rc < 0)
        return rc;
    t->saved = t->step;
    report_line(&t->report, "step %" PRId64 "  checkpoint written to %s in %.1f s", t->step,
                t->set->checkpoint_dir, took);
    report_event(&t->report, json_pack("{s:s, s:I, s:f}", "event", "checkpoint", "step",
                                       (json_int_t)t->step, "seconds", took));
    return 0;
}

static int compare_identity(const struct train *t, const json_t *state, struct err *err)
{
    const json_t *then = json_object_get(state, "identity");
    const char *key;
    json_t *now;
    json_object_foreach(t->identity, key, now) {
        json_t *was = json_object_get(then, key);
        if (was && json_equal(was, now))
            continue;
        char *a = was ? json_dumps(was, JSON_ENCODE_ANY) : xstrdup("another value");
        char *b = json_dumps(now, JSON_ENCODE_ANY);
        err_set(err, -EINVAL, "it was made with %s %s, this run has %s", key, a, b);
        free(a);
        free(b);
        return -EINVAL;
    }
    return 0;
}

static int load(struct train *t, const char *path, struct err *err)
{
    json_t *state = NULL;
    int rc = ckpt_state(t->comm, path, &state, err);
    if (rc < 0)
        return rc;
    const json_t *step = json_object_get(state, "step");
    if (!json_is_integer(step) || json_integer_value(step) < 0)
        rc = err_set(err, -EIO, "its step is missing");
    if (rc == 0)
        rc = compare_identity(t, state, err);
    if (rc < 0)
        err_prefix(err, "checkpoint %s", path);
    else
        rc = ckpt_load(path, t->shards, err);
    if (rc == 0) {
        t->step = t->saved = json_integer_value(step);
        t->loss = json_number_value(json_object_get(state, "loss"));
    }
    json_decref(state);
    return rc;
}

static int begin(struct train *t)
{
    shards_init(t->shards, (uint64_t)t->set->seed);
    return 0;
}

/* The newest good one. A damaged one is told and passed over; when all are
 * damaged, beginning anew is for a person to decide. */
static int load_newest(struct train *t, struct err *err)
{
    char *list = NULL;
    int rc = ckpt_list(t->comm, t->set->checkpoint_dir, &list, err);
    if (rc < 0)
        return rc;
    if (!*list) {
        report_line(&t->report, "resume: no checkpoint in %s, beginning",
                    t->set->checkpoint_dir);
        free(list);
        return begin(t);
    }
    for (const char *path = list; *path; path += strlen(path) + 1) {
        rc = load(t, path, err);
        if (rc != -EIO)
            break;
        if (t->comm->rank == 0)
            fprintf(stderr, "worker pretrain: warning: %s; trying an older one\n", err->text);
    }
    if (rc == -EIO)
        rc = err_set(err, -EINVAL, "no checkpoint in %s is good; move the folder away to "
                                   "begin anew", t->set->checkpoint_dir);
    free(list);
    return rc;
}

/* Two runs must not mix their checkpoints in one folder. */
static int check_unused(struct train *t, struct err *err)
{
    char *list = NULL;
    if (!*t->set->checkpoint_dir)
        return 0;
    int rc = ckpt_list(t->comm, t->set->checkpoint_dir, &list, err);
    if (rc == 0 && *list)
        rc = err_set(err, -EEXIST, "%s is there already: --resume auto goes on from it; or "
                                   "name another checkpoint-dir", list);
    free(list);
    return rc;
}

int train_resume(struct train *t, struct err *err)
{
    const char *resume = t->set->resume;
    int rc;
    if (!*resume) {
        rc = check_unused(t, err);
        return rc < 0 ? rc : begin(t);
    }
    rc = strcmp(resume, "auto") == 0 ? load_newest(t, err) : load(t, resume, err);
    if (rc == 0 && t->step > 0)
        report_line(&t->report, "resume: going on after step %" PRId64, t->step);
    return rc;
}
