/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts, numbers, switches, sizes and times.
 */
#include "job/option_set.h"

#include "base/limits.h"
#include "job/state.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void *opt_in_job(struct request *r, const struct option *o)
{
    return o->where != OPT_NOWHERE ? (char *)&r->pub.spec + o->where : NULL;
}

void *opt_in_step(struct request *r, const struct option *o)
{
    if (o->where_step == OPT_NOWHERE || r->pub.command != JOB_CMD_SRUN)
        return NULL;
    return (char *)&r->pub.step + o->where_step;
}

void *opt_in_pub(struct request *r, const struct option *o)
{
    return (char *)&r->pub + o->where;
}

char *opt_keep(struct request *r, const char *text)
{
    return arena_strdup(&r->pub.arena, text);
}

void opt_store_text(struct request *r, const struct option *o, const char *value)
{
    char **job = opt_in_job(r, o), **step = opt_in_step(r, o);
    char *text = opt_keep(r, value);
    if (job != NULL)
        *job = text;
    if (step != NULL)
        *step = text;
}

void opt_store_u32(struct request *r, const struct option *o, uint32_t value)
{
    uint32_t *job = opt_in_job(r, o), *step = opt_in_step(r, o);
    if (job != NULL)
        *job = value;
    if (step != NULL)
        *step = value;
}

int opt_bad(struct err *err, const char *value, const char *expected)
{
    return err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not %s", value, expected);
}

int opt_number(const char *value, uint32_t min, uint32_t max, uint32_t *out, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end != '\0')
        return err_set(err, SL_EINVAL_FIELD, "Invalid numeric value \"%.64s\"", value);
    if (errno != 0 || v < min || v > max)
        return err_set(err, SL_EINVAL_FIELD,
                       "Invalid numeric value \"%.64s\": must be from %u to %u", value, min, max);
    *out = (uint32_t)v;
    return 0;
}

bool opt_is_off(const char *value)
{
    return value != NULL && (strcmp(value, "0") == 0 || strcasecmp(value, "no") == 0 ||
                             strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0);
}

/* ---- plain kinds --------------------------------------------------------------- */

int opt_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    opt_store_text(r, o, value);
    return 0;
}

int opt_u32(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v;
    int rc = opt_number(value, o->min, o->max, &v, err);
    if (rc == 0)
        opt_store_u32(r, o, v);
    return rc;
}

int opt_flag(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    protobuf_c_boolean *job = opt_in_job(r, o), *step = opt_in_step(r, o);
    if (job != NULL)
        *job = !opt_is_off(value);
    if (step != NULL)
        *step = !opt_is_off(value);
    return 0;
}

int opt_pub_flag(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    *(bool *)opt_in_pub(r, o) = !opt_is_off(value);
    return 0;
}

int opt_pub_text(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    *(const char **)opt_in_pub(r, o) = opt_keep(r, value);
    return 0;
}

int opt_ignore(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)r, (void)o, (void)value, (void)err;
    return 0;
}

int opt_verbose(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)o, (void)err;
    if (value != NULL) /* SBATCH_DEBUG=1 */
        r->pub.verbose = !opt_is_off(value);
    else
        r->pub.verbose++;
    return 0;
}

int opt_bell(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (!opt_is_off(value))
        r->pub.bell = (int)o->min;
    return 0;
}

/* A text that only travels to the job's variables: --gpu-bind, --mem-bind. */
int opt_profile_text(struct request *r, const struct option *o, const char *value,
                     struct err *err)
{
    if (strcasecmp(value, "none") == 0 || strcasecmp(value, "no") == 0) {
        opt_store_text(r, o, "none");
        return 0;
    }
    if (o->where_step == offsetof(Sl__StepSpec, mem_bind) && strcasecmp(value, "local") == 0) {
        opt_store_text(r, o, "local");
        return 0;
    }
    return err_set(err, SL_ENOT_BUILT, "not built yet: binding \"%.64s\"", value);
}

/* ---- sizes and times --------------------------------------------------------------- */

int opt_mem_mib(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint64_t mib;
    int rc = mem_parse_mib(value, &mib, err);
    if (rc != 0)
        return rc;
    /* sbatch(1) --mem: zero asks for all memory of the node. */
    if (mib == 0 && o->group == OPT_GROUP_MEM)
        mib = MEM_ALL;
    uint64_t *job = opt_in_job(r, o), *step = opt_in_step(r, o);
    if (job != NULL)
        *job = mib;
    if (step != NULL)
        *step = mib;
    return 0;
}

int opt_time_limit(struct request *r, const struct option *o, const char *value, struct err *err)
{
    usec_t span;
    int rc = span_parse(value, &span, err);
    if (rc != 0)
        return rc;
    if (span == 0) /* sbatch(1) --time: zero asks for no limit */
        span = SPAN_INFINITE;
    int64_t *job = opt_in_job(r, o), *step = opt_in_step(r, o);
    if (job != NULL)
        *job = span;
    if (step != NULL)
        *step = span;
    return 0;
}

int opt_begin(struct request *r, const struct option *o, const char *value, struct err *err)
{
    bool begin = o->where == offsetof(Sl__JobSpec, begin_usec);
    (void)err;
    *(begin ? &r->begin : &r->deadline) = opt_keep(r, value);
    *(begin ? &r->begin_label : &r->deadline_label) = opt_keep(r, r->label);
    return 0;
}

int opt_immediate(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t sec = 0;
    (void)o;
    if (value != NULL) {
        int rc = opt_number(value, 0, 86400, &sec, err);
        if (rc != 0)
            return rc;
    }
    r->pub.immediate = true;
    r->pub.step.immediate = true;
    r->pub.immediate_usec = sec <= 1 ? 0 : sec * USEC_PER_SEC;
    return 0;
}

int opt_wait_srun(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t sec;
    (void)o;
    int rc = opt_number(value, 0, INT32_MAX, &sec, err);
    if (rc == 0)
        r->pub.step.wait_usec = sec * USEC_PER_SEC;
    return rc;
}
