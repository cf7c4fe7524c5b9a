/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/bind.h"

#include "stepd/bindtopo.h"

#include <ctype.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MASK_BITS (BIND_MASK_WORDS * 64)

/* How cpus are shared out among the tasks: one row a word of --cpu-bind. */
enum bind_how { HOW_NONE, HOW_RANK, HOW_LIST, HOW_MASK, HOW_UNIT_SPREAD /* unit by task */,
                HOW_UNIT_FILL /* cpus_per_task cpus, whole units */ };
struct bind_word {
    const char *word;
    enum bind_how how;
    enum bind_unit unit; /* what a number or a share means */
    const char *type;    /* SLURM_CPU_BIND_TYPE */
};
static const struct bind_word words[] = {
    {"none", HOW_NONE, UNIT_CPU, "none"},
    {"no", HOW_NONE, UNIT_CPU, "none"},
    {"rank", HOW_RANK, UNIT_CPU, "rank"},
    {"map_cpu:", HOW_LIST, UNIT_CPU, "map_cpu:"},
    {"mask_cpu:", HOW_MASK, UNIT_CPU, "mask_cpu:"},
    {"rank_ldom", HOW_RANK, UNIT_NUMA, "rank_ldom"},
    {"map_ldom:", HOW_LIST, UNIT_NUMA, "map_ldom:"},
    {"mask_ldom:", HOW_MASK, UNIT_NUMA, "mask_ldom:"},
    {"threads", HOW_UNIT_FILL, UNIT_CPU, "mask_cpu:"},
    {"thread", HOW_UNIT_FILL, UNIT_CPU, "mask_cpu:"},
    {"cores", HOW_UNIT_FILL, UNIT_CORE, "mask_cpu:"},
    {"core", HOW_UNIT_FILL, UNIT_CORE, "mask_cpu:"},
    {"sockets", HOW_UNIT_SPREAD, UNIT_SOCKET, "mask_cpu:"},
    {"socket", HOW_UNIT_SPREAD, UNIT_SOCKET, "mask_cpu:"},
    {"ldoms", HOW_UNIT_SPREAD, UNIT_NUMA, "mask_cpu:"},
    {"ldom", HOW_UNIT_SPREAD, UNIT_NUMA, "mask_cpu:"},
    {"boards", HOW_NONE, UNIT_CPU, "none"}, /* hwloc tells of no boards */
};

/* ---- bit masks ------------------------------------------------------------------------- */

typedef uint64_t mask_t[BIND_MASK_WORDS];

static bool mask_has(const uint64_t *m, unsigned i)
{
    return i < MASK_BITS && (m[i / 64] >> (i % 64) & 1);
}

static void mask_add(uint64_t *m, unsigned i)
{
    if (i < MASK_BITS)
        m[i / 64] |= UINT64_C(1) << (i % 64);
}

static unsigned mask_count(const uint64_t *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BIND_MASK_WORDS; i++)
        n += (unsigned)__builtin_popcountll(m[i]);
    return n;
}

void bind_cpus_parse(const char *text, uint64_t *mask, unsigned n)
{
    while (isdigit((unsigned char)*text)) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < n; i++)
            mask[i / 64] |= UINT64_C(1) << (i % 64);
        text = *end == ',' ? end + 1 : end;
    }
}

/* "0x3f" or "3f", any length, as cpu_set_t's hex notation. False when malformed. */
static bool mask_parse_hex(const char *text, size_t n, uint64_t *mask)
{
    if (n > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        text += 2;
        n -= 2;
    }
    if (n == 0 || n > MASK_BITS / 4)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = (char)tolower((unsigned char)text[n - 1 - i]);
        if (!isxdigit((unsigned char)c))
            return false;
        uint64_t v = (uint64_t)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
        mask[i / 16] |= v << (4 * (i % 16));
    }
    return true;
}

static char *mask_format_hex(const uint64_t *mask, struct arena *a)
{
    unsigned top = BIND_MASK_WORDS;
    while (top > 1 && mask[top - 1] == 0)
        top--;
    char *text = arena_printf(a, "0x%llX", (unsigned long long)mask[top - 1]);
    for (unsigned i = top - 1; i > 0; i--)
        text = arena_printf(a, "%s%016llX", text, (unsigned long long)mask[i - 1]);
    return text;
}

/* ---- lists with repeats: "0*4,3*4" -------------------------------------------------------- */

/* The element for this task; lists are used round and round. NULL when malformed. */
static const char *list_nth(const char *list, uint32_t index, size_t *n)
{
    uint64_t total = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        uint64_t at = 0;
        for (const char *p = list; *p;) {
            size_t len = strcspn(p, ",");
            size_t word = strcspn(p, "*,");
            unsigned long repeat = word < len ? strtoul(p + word + 1, NULL, 10) : 1;
            if (word == 0 || repeat == 0 || repeat > TASKS_PER_STEP_MAX)
                return NULL;
            if (pass == 1 && index % total < at + repeat) {
                *n = word;
                return p;
            }
            at += repeat;
            p += len + (p[len] == ',');
        }
        total = at;
        if (total == 0)
            return NULL;
    }
    return NULL;
}

static bool list_number(const char *list, uint32_t index, unsigned *value)
{
    size_t n;
    char text[16], *end;
    const char *p = list_nth(list, index, &n);
    if (!p || n >= sizeof(text))
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    unsigned long v = strtoul(text, &end, 0);
    *value = (unsigned)v;
    return isdigit((unsigned char)text[0]) && !*end && v < MASK_BITS;
}

/* ---- cpus ------------------------------------------------------------------------------------- */

struct ask { /* --cpu-bind, taken apart */
    const struct bind_word *word;
    const char *list;
    bool verbose, given;
};

static int ask_parse(const char *text, struct ask *ask, struct err *err)
{
    const char *whole = text;
    if (!text[0])
        return 0;
    for (;;) {
        if (strncmp(text, "verbose", 7) == 0 || strncmp(text, "v,", 2) == 0) {
            ask->verbose = true;
        } else if (strncmp(text, "quiet", 5) != 0 && strncmp(text, "q,", 2) != 0) {
            break;
        }
        const char *comma = strchr(text, ',');
        if (!comma)
            return 0; /* only how loud; the default kind */
        text = comma + 1;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t n = strlen(words[i].word);
        bool list = words[i].word[n - 1] == ':';
        if (list ? strncmp(text, words[i].word, n) != 0 : strcmp(text, words[i].word) != 0)
            continue;
        ask->word = &words[i];
        ask->list = list ? text + n : "";
        ask->given = true;
        return 0;
    }
    return err_set(err, SL_EINVAL_FIELD, "--cpu-bind=%s: not understood", whole);
}

/* A default kind binds only where tasks and cpus come out even, as Slurm's automatic
 * binding does: one task on a node of many cpus stays free to use them all. */
static bool default_fits(const struct step *s, const uint64_t *granted)
{
    uint32_t per_task = s->launch->spec->cpus_per_task ? s->launch->spec->cpus_per_task : 1;
    return (uint64_t)s->tasks_count * per_task == mask_count(granted);
}

static void unit_add(const struct bind_topo *topo, enum bind_unit unit, unsigned number,
                     const uint64_t *granted, uint64_t *mask)
{
    for (unsigned c = 0; c < topo->cpus_count; c++)
        if (mask_has(granted, c) && bind_topo_unit(topo, c, unit) == number)
            mask_add(mask, c);
}

/* cpus_per_task cpus each, in order of cores, the task's neighbours first. */
static void fill(const struct step *s, const struct task *t, const struct bind_topo *topo,
                 enum bind_unit unit, const uint64_t *granted, uint64_t *mask)
{
    uint32_t per_task = s->launch->spec->cpus_per_task ? s->launch->spec->cpus_per_task : 1;
    uint64_t first = (uint64_t)t->local * per_task;
    unsigned count = mask_count(granted), at = 0;
    for (uint64_t k = first; k < first + per_task; k++) {
        at = 0;
        for (unsigned i = 0; i < topo->cpus_count; i++) {
            unsigned c = topo->order[i];
            if (!mask_has(granted, c) || at++ != k % count)
                continue;
            if (unit == UNIT_CPU)
                mask_add(mask, c);
            else
                unit_add(topo, unit, bind_topo_unit(topo, c, unit), granted, mask);
        }
    }
}

/* The n-th unit that the step has a cpu of, round and round. */
static void spread(const struct task *t, const struct bind_topo *topo, enum bind_unit unit,
                   const uint64_t *granted, uint64_t *mask)
{
    mask_t units = {0};
    for (unsigned c = 0; c < topo->cpus_count; c++)
        if (mask_has(granted, c))
            mask_add(units, bind_topo_unit(topo, c, unit));
    unsigned at = 0, want = t->local % (mask_count(units) ? mask_count(units) : 1);
    for (unsigned u = 0; u < MASK_BITS; u++)
        if (mask_has(units, u) && at++ == want)
            unit_add(topo, unit, u, granted, mask);
}

static int cpus_choose(const struct step *s, const struct task *t, const struct ask *ask,
                       const struct bind_topo *topo, const uint64_t *granted,
                       uint64_t *mask, struct err *err)
{
    enum bind_unit unit = ask->word->unit;
    unsigned number;
    size_t n;
    const char *p;
    mask_t units = {0};

    switch (ask->word->how) {
    case HOW_NONE:
        memcpy(mask, granted, sizeof(mask_t));
        return 0;
    case HOW_UNIT_FILL:
        fill(s, t, topo, unit, granted, mask);
        break;
    case HOW_UNIT_SPREAD:
    case HOW_RANK:
        spread(t, topo, unit, granted, mask);
        break;
    case HOW_LIST:
        if (!list_number(ask->list, t->local, &number))
            return err_set(err, SL_EINVAL_FIELD, "--cpu-bind: bad list \"%s\"", ask->list);
        unit_add(topo, unit, number, granted, mask);
        break;
    case HOW_MASK:
        p = list_nth(ask->list, t->local, &n);
        if (!p || !mask_parse_hex(p, n, units))
            return err_set(err, SL_EINVAL_FIELD, "--cpu-bind: bad mask \"%s\"", ask->list);
        for (unsigned u = 0; u < MASK_BITS; u++)
            if (mask_has(units, u))
                unit_add(topo, unit, u, granted, mask);
        break;
    }
    if (mask_count(mask) == 0)
        return err_set(err, SL_EBAD_CONFIG,
                       "--cpu-bind=%s%s: task %u gets none of the step's cpus", ask->word->word,
                       ask->list, t->rank);
    return 0;
}

static void cpus_set(struct bind *b, const uint64_t *mask, unsigned cpus_count,
                     struct arena *a)
{
    b->mask_bytes = CPU_ALLOC_SIZE(cpus_count);
    b->mask = arena_alloc(a, b->mask_bytes);
    for (unsigned i = 0; i < cpus_count; i++)
        if (mask_has(mask, i))
            CPU_SET_S(i, b->mask_bytes, b->mask);
    b->cpus = true;
}

static int bind_cpus(struct step *s, const struct task *t, struct arena *a, struct bind *b,
                     uint64_t *mask, struct err *err)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    struct ask ask = {.word = &words[0], .list = ""};
    mask_t granted = {0};
    bool defaulted;

    int rc = ask_parse(s->launch->spec->cpu_bind, &ask, err);
    if (rc < 0)
        return rc;
    defaulted = !ask.given;
    if (defaulted && (rc = ask_parse(s->opts->cpu_bind, &ask, err)) < 0)
        return rc;
    b->verbose = ask.verbose;
    if (s->opts->synthetic) {
        log_debug("bind", "step=%s made-up topology: nothing is bound", s->name);
        return 0;
    }
    bool simple = ask.word->how == HOW_NONE;
    const struct bind_topo *topo = bind_topo_get(s, !simple);
    bind_cpus_parse(node->cpus, granted, topo->cpus_count);
    if (mask_count(granted) == 0)
        return 0;
    if (defaulted && !default_fits(s, granted))
        ask.word = &words[0];
    rc = cpus_choose(s, t, &ask, topo, granted, mask, err);
    if (rc < 0)
        return rc;
    cpus_set(b, mask, topo->cpus_count, a);
    if (!s->batch) {
        b->type = ask.word->type;
        b->list = ask.word->how == HOW_NONE ? "" : mask_format_hex(mask, a);
    }
    return 0;
}

/* ---- memory -------------------------------------------------------------------------------------- */

static void mem_add(struct bind *b, unsigned node)
{
    unsigned bits = 8 * sizeof(long);
    if (node < BIND_MEM_NODES_MAX)
        b->mem_nodes[node / bits] |= 1UL << (node % bits);
}

static void mem_local(const struct bind_topo *topo, const uint64_t *cpus, struct bind *b)
{
    for (unsigned c = 0; c < topo->cpus_count; c++)
        if (mask_has(cpus, c))
            mem_add(b, bind_topo_unit(topo, c, UNIT_NUMA));
}

static int bind_mem(struct step *s, const struct task *t, struct bind *b,
                    const uint64_t *cpus, struct err *err)
{
    const char *p = s->launch->spec->mem_bind, *list;
    int policy = MPOL_BIND;
    mask_t nodes = {0};
    unsigned number;
    size_t n;

    if (!p[0] || s->opts->synthetic || !b->cpus)
        return 0;
    for (; *p; p += strcspn(p, ","), p += *p == ',') {
        n = strcspn(p, ",");
        if (strncmp(p, "none", 4) == 0 || strncmp(p, "no", n) == 0)
            return 0;
        if (strncmp(p, "p", n) == 0 || strncmp(p, "prefer", n) == 0) {
            policy = MPOL_PREFERRED;
        } else if (strncmp(p, "local", 5) == 0) {
            mem_local(bind_topo_get(s, true), cpus, b);
            b->mem_policy = policy;
        } else if (strncmp(p, "rank", 4) == 0) {
            mem_add(b, t->local % bind_topo_get(s, true)->numa_count);
            b->mem_policy = policy;
        } else if (strncmp(p, "map_mem:", 8) == 0) {
            if (!list_number(p + 8, t->local, &number))
                return err_set(err, SL_EINVAL_FIELD, "--mem-bind: bad list \"%s\"", p + 8);
            mem_add(b, number);
            b->mem_policy = policy;
            return 0;
        } else if (strncmp(p, "mask_mem:", 9) == 0) {
            list = list_nth(p + 9, t->local, &n);
            if (!list || !mask_parse_hex(list, n, nodes))
                return err_set(err, SL_EINVAL_FIELD, "--mem-bind: bad mask \"%s\"", p + 9);
            for (unsigned i = 0; i < BIND_MEM_NODES_MAX; i++)
                if (mask_has(nodes, i))
                    mem_add(b, i);
            b->mem_policy = policy;
            return 0;
        }
        /* "sort", "nosort", "verbose", "quiet" change nothing that is built */
    }
    return 0;
}

/* ---- GPUs -------------------------------------------------------------------------------------------- */

static uint32_t gpus_per_task(const struct step *s)
{
    const Sl__StepSpec *spec = s->launch->spec;
    for (size_t i = 0; i < spec->n_gres; i++)
        if (strcmp(spec->gres[i]->name, "gpu") == 0 &&
            spec->gres[i]->per == SL__GRES_PER__GRES_PER_TASK)
            return (uint32_t)spec->gres[i]->count;
    return 0;
}

/* Which of the granted GPUs: [first, first + count) of the n, or one by number. */
static int gpus_choose(const struct step *s, const struct task *t, uint32_t n, uint32_t *first,
                       uint32_t *count, struct err *err)
{
    const char *p = s->launch->spec->gpu_bind;
    uint32_t per_task = gpus_per_task(s), share = 0;
    unsigned number;

    while (strncmp(p, "verbose,", 8) == 0 || strncmp(p, "v,", 2) == 0)
        p = strchr(p, ',') + 1;
    *first = 0;
    *count = n;
    if (strncmp(p, "single:", 7) == 0)
        share = (uint32_t)strtoul(p + 7, NULL, 10);
    else if (strncmp(p, "per_task:", 9) == 0)
        per_task = (uint32_t)strtoul(p + 9, NULL, 10);
    else if (strcmp(p, "none") == 0)
        return 0;
    if (strncmp(p, "map_gpu:", 8) == 0) {
        if (!list_number(p + 8, t->local, &number) || number >= n)
            return err_set(err, SL_EINVAL_FIELD, "--gpu-bind=%s: the step has %u GPUs", p, n);
        *first = number;
        *count = 1;
    } else if (share > 0) {
        *first = (t->local / share) % n;
        *count = 1;
    } else if (per_task > 0) {
        *first = (uint32_t)(((uint64_t)t->local * per_task) % n);
        *count = per_task < n ? per_task : n;
    }
    return 0;
}

static int bind_gpus(const struct step *s, const struct task *t, struct arena *a,
                     struct bind *b, struct err *err)
{
    const Sl__StepNode *node = s->launch->layout->nodes[s->node_index];
    uint32_t n = 0, first, count, at = 0;
    char *text = arena_strdup(a, "");

    for (size_t i = 0; i < node->n_gres; i++)
        if (strcmp(node->gres[i]->name, "gpu") == 0)
            n += (uint32_t)node->gres[i]->n_index;
    if (n == 0)
        return 0;
    int rc = gpus_choose(s, t, n, &first, &count, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < node->n_gres; i++) {
        if (strcmp(node->gres[i]->name, "gpu") != 0)
            continue;
        for (size_t k = 0; k < node->gres[i]->n_index; k++, at++)
            if ((at + n - first) % n < count)
                text = arena_printf(a, "%s%s%u", text, text[0] ? "," : "",
                                    node->gres[i]->index[k]);
    }
    b->gpus = text;
    return 0;
}

/* ---- both together ---------------------------------------------------------------------------------------- */

int bind_make(struct step *s, const struct task *t, struct arena *a, struct bind *out,
              struct err *err)
{
    mask_t mask = {0};
    *out = (struct bind){.mem_policy = MPOL_DEFAULT};
    int rc = bind_cpus(s, t, a, out, mask, err);
    if (rc == 0)
        rc = bind_mem(s, t, out, mask, err);
    if (rc == 0)
        rc = bind_gpus(s, t, a, out, err);
    if (rc == 0 && out->verbose && out->type)
        step_note(s, "cpu-bind=%s - %s, task %2u %2u: mask %s set",
                       out->type[0] == 'm' ? "MASK" : "NONE", s->opts->node, t->rank, t->local,
                       out->list[0] ? out->list : mask_format_hex(mask, a));
    return rc;
}

int bind_apply(const struct bind *b)
{
    if (b->cpus && sched_setaffinity(0, b->mask_bytes, b->mask) < 0)
        return -errno;
    if (b->mem_policy != MPOL_DEFAULT &&
        syscall(SYS_set_mempolicy, b->mem_policy, b->mem_nodes, BIND_MEM_NODES_MAX) < 0)
        return -errno;
    return 0;
}
