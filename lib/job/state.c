/* SPDX-License-Identifier: Apache-2.0 */
#include "job/state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct state_row {
    const char *name, *compact;
    bool finished;
};

static const struct state_row job_states[JOB_STATE_COUNT] = {
#define X(sym, name, compact, fin) [sym] = {name, compact, fin},
    JOB_STATE_MAP(X)
#undef X
};

struct flag_row {
    uint32_t flag;
    const char *name, *compact;
};

static const struct flag_row job_flags[] = {
#define X(sym, bit, name, compact) {sym, name, compact},
    JOB_FLAG_MAP(X)
#undef X
};

/* Which flag is shown when a job has several, strongest first: what happens to
 * its resources now comes before what will happen to it next. */
static const uint32_t flags_shown[] = {
    JOBF_COMPLETING, JOBF_STAGE_OUT,   JOBF_CONFIGURING, JOBF_RESIZING,
    JOBF_REQUEUED,   JOBF_REQUEUE_HOLD, JOBF_SPECIAL_EXIT, JOBF_STOPPED,
    JOBF_RESV_DEL_HOLD, JOBF_SIGNALING,
};

static const char *const reasons[JOB_REASON_COUNT] = {
#define X(sym, text) [sym] = text,
    JOB_REASON_MAP(X)
    LIMIT_REASON_MAP(X)
#undef X
};

const char *job_state_name(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT ? job_states[s].name : "UNKNOWN";
}

const char *job_state_compact(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT ? job_states[s].compact : "?";
}

bool job_state_finished(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT && job_states[s].finished;
}

const char *job_state_shown(enum job_state s, uint32_t flags, bool compact)
{
    for (size_t i = 0; flags != 0 && i < COUNT(flags_shown); i++) {
        if (!(flags & flags_shown[i]))
            continue;
        for (size_t k = 0; k < COUNT(job_flags); k++)
            if (job_flags[k].flag == flags_shown[i])
                return compact ? job_flags[k].compact : job_flags[k].name;
    }
    return compact ? job_state_compact(s) : job_state_name(s);
}

static bool name_is(const char *typed, const char *name, const char *compact)
{
    return strcasecmp(typed, name) == 0 || strcasecmp(typed, compact) == 0;
}

bool job_state_parse(const char *name, enum job_state *s, uint32_t *flags)
{
    for (unsigned i = JOB_NONE + 1; i < JOB_STATE_COUNT; i++) {
        if (!name_is(name, job_states[i].name, job_states[i].compact))
            continue;
        *s = (enum job_state)i;
        *flags = 0;
        return true;
    }
    for (size_t i = 0; i < COUNT(job_flags); i++) {
        if (!name_is(name, job_flags[i].name, job_flags[i].compact))
            continue;
        *s = JOB_NONE;
        *flags = job_flags[i].flag;
        return true;
    }
    return false;
}

const char *job_reason_name(enum job_reason r)
{
    return (unsigned)r < JOB_REASON_COUNT ? reasons[r] : "Unknown";
}

/* ---- nodes ------------------------------------------------------------------- */

struct node_row {
    const char *name, *compact;
};

static const struct node_row node_states[NODE_STATE_COUNT] = {
#define X(sym, name, compact) [sym] = {name, compact},
    NODE_STATE_MAP(X)
#undef X
};

/* Flags as scontrol appends them to the base state, in this order. */
static const struct {
    uint32_t flag;
    const char *name;
} node_flags[] = {
    {NODEF_MAINT, "MAINTENANCE"},   {NODEF_RESERVED, "RESERVED"},
    {NODEF_DRAIN, "DRAIN"},         {NODEF_COMPLETING, "COMPLETING"},
    {NODEF_FAIL, "FAIL"},           {NODEF_INVALID_REG, "INVALID_REG"},
    {NODEF_PLANNED, "PLANNED"},     {NODEF_NO_RESPOND, "NOT_RESPONDING"},
};

/* sinfo's one word for base state and flags: {long, compact}. */
static const struct node_row *node_word(enum node_state s, uint32_t flags)
{
    static const struct node_row
        drained = {"drained", "drain"}, draining = {"draining", "drng"},
        fail = {"fail", "fail"}, failing = {"failing", "failg"},
        maint = {"maint", "maint"}, completing = {"completing", "comp"},
        allocated_plus = {"allocated+", "alloc+"}, inval = {"inval", "inval"},
        planned = {"planned", "plnd"}, reserved = {"reserved", "resv"};
    static const struct node_row base[NODE_STATE_COUNT] = {
        [NODE_UNKNOWN] = {"unknown", "unk"},   [NODE_DOWN] = {"down", "down"},
        [NODE_IDLE] = {"idle", "idle"},        [NODE_ALLOCATED] = {"allocated", "alloc"},
        [NODE_MIXED] = {"mixed", "mix"},       [NODE_FUTURE] = {"future", "futr"},
    };
    bool busy = s == NODE_ALLOCATED || s == NODE_MIXED || (flags & NODEF_COMPLETING);

    if (s == NODE_DOWN)
        return &base[s];
    if (flags & NODEF_INVALID_REG)
        return &inval;
    if (flags & NODEF_DRAIN)
        return busy ? &draining : &drained;
    if (flags & NODEF_FAIL)
        return busy ? &failing : &fail;
    if (flags & NODEF_MAINT)
        return &maint;
    if (flags & NODEF_COMPLETING)
        return s == NODE_ALLOCATED ? &allocated_plus : &completing;
    if (flags & NODEF_RESERVED)
        return &reserved;
    if ((flags & NODEF_PLANNED) && s == NODE_IDLE)
        return &planned;
    return (unsigned)s < NODE_STATE_COUNT ? &base[s] : &base[NODE_UNKNOWN];
}

char *node_state_word(enum node_state s, uint32_t flags, bool compact, char *out, size_t n)
{
    const struct node_row *w = node_word(s, flags);
    snprintf(out, n, "%s%s", compact ? w->compact : w->name,
             flags & NODEF_NO_RESPOND ? "*" : "");
    return out;
}

char *node_state_shown(enum node_state s, uint32_t flags, bool compact, char *out, size_t n)
{
    if (compact)
        return node_state_word(s, flags, true, out, n);
    size_t at = 0;
    const char *base =
        (unsigned)s < NODE_STATE_COUNT ? node_states[s].name : node_states[0].name;
    int w = snprintf(out, n, "%s", base);
    if (w > 0)
        at = (size_t)w;
    for (size_t i = 0; i < COUNT(node_flags) && at < n; i++) {
        if (!(flags & node_flags[i].flag))
            continue;
        w = snprintf(out + at, n - at, "+%s", node_flags[i].name);
        if (w > 0)
            at += (size_t)w;
    }
    return out;
}

/* One word between '+' signs of node_state_shown's text. */
static bool node_part_parse(const char *p, size_t len, enum node_state *s, uint32_t *flags)
{
    for (unsigned i = 0; i < NODE_STATE_COUNT; i++)
        if (strlen(node_states[i].name) == len &&
            strncasecmp(node_states[i].name, p, len) == 0) {
            *s = (enum node_state)i;
            return true;
        }
    for (size_t i = 0; i < COUNT(node_flags); i++)
        if (strlen(node_flags[i].name) == len &&
            strncasecmp(node_flags[i].name, p, len) == 0) {
            *flags |= node_flags[i].flag;
            return true;
        }
    return false;
}

bool node_state_parse(const char *text, enum node_state *s, uint32_t *flags)
{
    *s = NODE_UNKNOWN;
    *flags = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "+*");
        if (!node_part_parse(text, len, s, flags))
            return false;
        text += len;
        if (*text == '*') {
            *flags |= NODEF_NO_RESPOND;
            text++;
        }
        if (*text == '+')
            text++;
    }
    return true;
}

/* What sinfo -t accepts: a word for states, or for flags, or for a combination. */
struct node_filter {
    const char *name;
    uint32_t states; /* bit per base state; 0: any */
    uint32_t all;    /* flags that must be set */
    uint32_t none;   /* flags that must be clear */
};

#define ST(s) (1u << (s))
#define BUSY (ST(NODE_ALLOCATED) | ST(NODE_MIXED))
#define NEVER (1u << 31)
#define OFF (NODEF_DRAIN | NODEF_FAIL | NODEF_MAINT | NODEF_RESERVED)

static const struct node_filter node_filters[] = {
    {"alloc", ST(NODE_ALLOCATED), 0, NODEF_DRAIN},
    {"allocated", ST(NODE_ALLOCATED), 0, NODEF_DRAIN},
    {"comp", 0, NODEF_COMPLETING, 0},
    {"completing", 0, NODEF_COMPLETING, 0},
    {"down", ST(NODE_DOWN), 0, 0},
    {"drain", 0, NODEF_DRAIN, 0},
    {"drained", ST(NODE_IDLE) | ST(NODE_DOWN) | ST(NODE_UNKNOWN), NODEF_DRAIN, NODEF_COMPLETING},
    {"draining", BUSY, NODEF_DRAIN, 0},
    {"drng", BUSY, NODEF_DRAIN, 0},
    {"fail", 0, NODEF_FAIL, 0},
    {"failing", BUSY, NODEF_FAIL, 0},
    {"failg", BUSY, NODEF_FAIL, 0},
    {"future", ST(NODE_FUTURE), 0, 0},
    {"futr", ST(NODE_FUTURE), 0, 0},
    {"idle", ST(NODE_IDLE), 0, OFF | NODEF_COMPLETING},
    {"maint", 0, NODEF_MAINT, 0},
    {"mix", ST(NODE_MIXED), 0, NODEF_DRAIN},
    {"mixed", ST(NODE_MIXED), 0, NODEF_DRAIN},
    {"no_respond", 0, NODEF_NO_RESPOND, 0},
    {"planned", 0, NODEF_PLANNED, 0},
    {"plnd", 0, NODEF_PLANNED, 0},
    {"resv", 0, NODEF_RESERVED, 0},
    {"reserved", 0, NODEF_RESERVED, 0},
    {"inval", 0, NODEF_INVALID_REG, 0},
    /* Slurm's, in which no node of this cluster ever is */
    {"cloud", 0, NEVER, 0},
    {"npc", 0, NEVER, 0},
    {"perfctrs", 0, NEVER, 0},
    {"power_down", 0, NEVER, 0},
    {"powered_down", 0, NEVER, 0},
    {"powering_down", 0, NEVER, 0},
    {"powering_up", 0, NEVER, 0},
    {"reboot_issued", 0, NEVER, 0},
    {"reboot_requested", 0, NEVER, 0},
    {"unk", ST(NODE_UNKNOWN), 0, 0},
    {"unknown", ST(NODE_UNKNOWN), 0, 0},
};

int node_state_matches(const char *word, enum node_state s, uint32_t flags)
{
    for (size_t i = 0; i < COUNT(node_filters); i++) {
        const struct node_filter *f = &node_filters[i];
        if (strcasecmp(word, f->name) != 0)
            continue;
        return (f->states == 0 || (f->states & ST(s))) && (flags & f->all) == f->all &&
               !(flags & f->none);
    }
    return -1;
}
