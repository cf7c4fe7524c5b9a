/* SPDX-License-Identifier: Apache-2.0
 *
 * Options for when and under what conditions the job runs, and who is told.
 */
#include "job/option_set.h"

#include "base/limits.h"
#include "base/timefmt.h"
#include "job/state.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int opt_array(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t *ids, throttle;
    size_t count;
    int rc = array_parse(value, 0, &r->pub.arena, &ids, &count, &throttle, err);
    if (rc == 0)
        opt_store_text(r, o, value);
    return rc;
}

int opt_nice(struct request *r, const struct option *o, const char *value, struct err *err)
{
    const long long nice_max = 2147483645;
    char *end;
    (void)o;
    if (value == NULL) {
        r->pub.spec.nice = 100;
        return 0;
    }
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (end == value || *end != '\0')
        return err_set(err, SL_EINVAL_FIELD, "Invalid numeric value \"%.64s\"", value);
    if (errno != 0 || v > nice_max || v < -nice_max)
        return err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not within +- %lld", value, nice_max);
    r->pub.spec.nice = (int32_t)v;
    return 0;
}

int opt_switches(struct request *r, const struct option *o, const char *value, struct err *err)
{
    const usec_t wait_default = 300 * USEC_PER_SEC; /* Slurm's max_switch_wait */
    const char *at = strchr(value, '@');
    char count[16];
    uint64_t n;
    usec_t wait = wait_default;
    (void)o;
    snprintf(count, sizeof count, "%.*s", at ? (int)(at - value) : (int)sizeof count - 1, value);
    int rc = num_parse_u64("--switches", count, 0, NODES_MAX, &n, err);
    if (rc == 0 && at)
        rc = span_parse(at + 1, &wait, err);
    if (rc != 0)
        return rc;
    r->pub.spec.switches = (uint32_t)n;
    r->pub.spec.switches_wait_usec = n ? wait : 0;
    r->switches_timed = at != NULL;
    return 0;
}

int opt_priority(struct request *r, const struct option *o, const char *value, struct err *err)
{
    int rc = 0;
    (void)o;
    if (strcasecmp(value, "TOP") == 0)
        r->pub.spec.priority = NO_VAL - 1;
    else
        rc = opt_number(value, 0, NO_VAL - 1, &r->pub.spec.priority, err);
    if (rc == 0)
        r->pub.spec.has_priority = true;
    return rc;
}

int opt_requeue(struct request *r, const struct option *o, const char *value, struct err *err)
{
    (void)err;
    if (!opt_is_off(value))
        r->pub.spec.requeue = o->min;
    return 0;
}

int opt_kill_dep(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
        return opt_bad(err, value, "yes or no");
    opt_store_u32(r, o, strcasecmp(value, "yes") == 0 ? 1 : 2);
    return 0;
}

int opt_no_kill(struct request *r, const struct option *o, const char *value, struct err *err)
{
    if (value != NULL && r->now == OPT_RANK_ARGV && strcasecmp(value, "off") != 0)
        return opt_bad(err, value, "\"off\"");
    return opt_flag(r, o, value, err);
}

int opt_signal(struct request *r, const struct option *o, const char *value, struct err *err)
{
    struct signal_option s;
    int rc = signal_option_parse(value, &s, err);
    if (rc == 0)
        opt_store_text(r, o, value);
    return rc;
}

int opt_mail_type(struct request *r, const struct option *o, const char *value, struct err *err)
{
    static const char *const words[] = {
        "NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "INVALID_DEPEND", "STAGE_OUT",
        "TIME_LIMIT", "TIME_LIMIT_90", "TIME_LIMIT_80", "TIME_LIMIT_50", "ARRAY_TASKS"};
    for (const char *p = value;;) {
        size_t n = strcspn(p, ","), i = 0;
        while (i < COUNT(words) && !(strlen(words[i]) == n && strncasecmp(words[i], p, n) == 0))
            i++;
        if (i == COUNT(words))
            return opt_bad(err, value, "a list of mail events (BEGIN, END, FAIL, REQUEUE, ALL, ...)");
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    opt_store_text(r, o, value);
    return 0;
}

int opt_user(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t uid;
    if (opt_number(value, 0, NO_VAL - 1, &uid, NULL) != 0) {
        const struct passwd *pw = getpwnam(value);
        if (pw == NULL)
            return err_set(err, SL_EINVAL_FIELD, "no such user \"%.64s\"", value);
        uid = pw->pw_uid;
    }
    opt_store_u32(r, o, uid + 1);
    return 0;
}

int opt_group_id(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t gid;
    if (opt_number(value, 0, NO_VAL - 1, &gid, NULL) != 0) {
        const struct group *gr = getgrnam(value);
        if (gr == NULL)
            return err_set(err, SL_EINVAL_FIELD, "no such group \"%.64s\"", value);
        gid = gr->gr_gid;
    }
    opt_store_u32(r, o, gid + 1);
    return 0;
}

int opt_wait_nodes(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v;
    int rc = opt_number(value, 0, 1, &v, err);
    (void)r, (void)o;
    if (rc == 0 && v == 1) /* 0: as soon as the first node is ready, which is what is done */
        rc = err_set(err, SL_ENOT_BUILT, "not built yet: waiting for all nodes of the job");
    return rc;
}

int opt_kill_command(struct request *r, const struct option *o, const char *value, struct err *err)
{
    int sig = value != NULL ? signal_parse(value) : 15;
    (void)o;
    if (sig < 0)
        return opt_bad(err, value, "a signal");
    r->pub.kill_command = sig;
    return 0;
}

int opt_bad_exit(struct request *r, const struct option *o, const char *value, struct err *err)
{
    uint32_t v = 1;
    int rc = value != NULL ? opt_number(value, 0, 1, &v, err) : 0;
    (void)o;
    if (rc == 0)
        r->pub.step.kill_on_bad_exit = (int32_t)v;
    return rc;
}
