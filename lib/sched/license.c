/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/license.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One "name[:count]" of the list at *p. 1: there was one, 0: the end, or a negative code. */
static int item_next(const char **p, char name[NAME_LEN_MAX + 1], uint32_t *count,
                     struct err *err)
{
    size_t n = strcspn(*p, ",");
    const char *from = *p;
    if (*from == '\0')
        return 0;
    size_t word = strcspn(from, ":=,");
    if (memchr(from, '@', n))
        return err_set(err, SL_ENOT_BUILT, "licenses of another server (\"%.*s\") are not built",
                       (int)n, from);
    if (word == 0 || word > NAME_LEN_MAX || strcspn(from, " \t|\"'\\/") < word)
        return err_set(err, SL_EINVAL_FIELD, "Invalid license specification: \"%.*s\" is no name",
                       (int)word, from);
    snprintf(name, NAME_LEN_MAX + 1, "%.*s", (int)word, from);
    uint64_t v = word == n;
    const char *d = from + word + 1;
    for (; word < n && d < from + n && *d >= '0' && *d <= '9' && v <= INT32_MAX; d++)
        v = 10 * v + (uint64_t)(*d - '0');
    if (word < n && (d != from + n || n == word + 1 || v > INT32_MAX))
        return err_set(err, SL_EINVAL_FIELD, "Invalid license specification: \"%.*s\": a count is wanted",
                       (int)n, from);
    *count = (uint32_t)v;
    *p = from + n + (from[n] == ',');
    return from[n] == ',' && **p == '\0'
               ? err_set(err, SL_EINVAL_FIELD, "Invalid license specification: \"%s\" ends in a comma", from)
               : 1;
}

/* ---- the cluster's ------------------------------------------------------------------------ */

int license_check(const char *text, struct err *err)
{
    char name[NAME_LEN_MAX + 1];
    uint32_t count;
    int rc;
    for (const char *p = text ? text : ""; (rc = item_next(&p, name, &count, err)) == 1;)
        continue;
    return rc < 0 ? err_prefix(err, "licenses") : 0;
}

static struct license *license_find(const struct core *c, uint32_t name)
{
    for (uint32_t i = 0; i < c->licenses; i++)
        if (c->license[i].name == name)
            return &c->license[i];
    return NULL;
}

static struct license *license_get(struct core *c, const char *name)
{
    uint32_t id = intern_text(&c->text, name);
    struct license *l = license_find(c, id);
    if (l) {
        intern_drop(&c->text, id);
        return l;
    }
    c->license = xrealloc(c->license, (c->licenses + 1) * sizeof *c->license);
    l = &c->license[c->licenses++];
    *l = (struct license){.name = id};
    return l;
}

void license_configure(struct core *c, const char *text)
{
    char name[NAME_LEN_MAX + 1];
    uint32_t count;
    for (uint32_t i = 0; i < c->licenses; i++)
        c->license[i].total = 0;
    for (const char *p = text ? text : ""; item_next(&p, name, &count, NULL) == 1;)
        license_get(c, name)->total += count;
    plan_afresh(c);
}

void license_fini(struct core *c)
{
    for (uint32_t i = 0; i < c->licenses; i++)
        intern_drop(&c->text, c->license[i].name);
    free(c->license);
}

/* ---- a request's ---------------------------------------------------------------------------- */

int license_read(struct core *c, struct request *r, const char *text, struct err *err)
{
    char name[NAME_LEN_MAX + 1];
    uint32_t count;
    int rc;
    for (const char *p = text; (rc = item_next(&p, name, &count, err)) == 1;) {
        uint32_t id = intern_text(&c->text, name), k = 0;
        while (k < r->licenses && r->license[k].name != id)
            k++;
        if (count == 0 || k < r->licenses || k == LICENSE_ITEMS_MAX)
            intern_drop(&c->text, id);
        if (count == 0)
            continue;
        if (k == LICENSE_ITEMS_MAX)
            return err_set(err, SL_EINVAL_FIELD, "Invalid license specification: more than %d",
                           LICENSE_ITEMS_MAX);
        if (k == r->licenses)
            r->license[r->licenses++] = (struct req_license){.name = id};
        r->license[k].count += count;
    }
    return rc;
}

void license_drop(struct core *c, struct request *r)
{
    for (uint32_t i = 0; i < r->licenses; i++)
        intern_drop(&c->text, r->license[i].name);
}

int license_admit(const struct core *c, const struct request *r, struct err *err)
{
    for (uint32_t i = 0; i < r->licenses; i++) {
        const struct license *l = license_find(c, r->license[i].name);
        const char *name = text_of(c, r->license[i].name);
        if (!l || l->total == 0)
            return err_set(err, SL_EINVAL_FIELD, "Invalid license specification: there is no license %s",
                           name);
        if (r->license[i].count > l->total)
            return err_set(err, SL_EINVAL_FIELD, "Invalid license specification: %u of %s, there are %u",
                           r->license[i].count, name, l->total);
    }
    return 0;
}

/* ---- who may take ----------------------------------------------------------------------------- */

static uint32_t license_free(const struct license *l)
{
    return l->used < l->total ? l->total - l->used : 0;
}

static bool promised(const struct core *c, const struct license *l)
{
    return c->pass && l->promised_pass == c->pass;
}

bool license_fits(const struct core *c, const struct job *j, usec_t end)
{
    const struct request *q = &c->request[j->request];
    for (uint32_t i = 0; i < q->licenses; i++) {
        const struct license *l = license_find(c, q->license[i].name);
        if (!l || q->license[i].count > license_free(l))
            return false;
        if (promised(c, l) && end > l->promised && q->license[i].count > l->spare)
            return false;
    }
    return true;
}

static uint32_t held_of(const struct core *c, const struct job *j, uint32_t name)
{
    const struct request *q = &c->request[j->request];
    for (uint32_t i = 0; i < q->licenses; i++)
        if (q->license[i].name == name)
            return q->license[i].count;
    return 0;
}

struct giving { usec_t at; uint32_t count; };

static int by_time(const void *a, const void *b)
{
    const struct giving *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static usec_t gives_back(const struct core *c, const struct job *j)
{
    usec_t at = j->limit == SPAN_INFINITE ? j->start + SPAN_UNKNOWN
                                          : j->start + j->suspended_total + j->limit;
    return at > c->now ? at : c->now + 1;
}

/* When will `want` be free, if running jobs use their limits? SPAN_INFINITE: never. *spare: how
 * many more there are then. */
static usec_t free_when(const struct core *c, const struct license *l, uint32_t want,
                        uint32_t *spare)
{
    struct giving *v = xmalloc((c->running.count + 1) * sizeof *v);
    uint32_t n = 0, have = license_free(l), over = l->used > l->total ? l->used - l->total : 0;
    usec_t at = have >= want ? c->now : SPAN_INFINITE;
    for (uint32_t i = 0; i < c->running.count; i++) {
        const struct job *r = c->running.v[i];
        uint32_t held = held_of(c, r, l->name);
        if (held)
            v[n++] = (struct giving){gives_back(c, r), held};
    }
    qsort(v, n, sizeof *v, by_time);
    for (uint32_t i = 0; i < n && have < want; i++) {
        uint32_t owed = over < v[i].count ? over : v[i].count;
        over -= owed;
        have += v[i].count - owed;
        at = v[i].at;
    }
    free(v);
    *spare = have >= want ? have - want : 0;
    return at;
}

static void promise(struct core *c, struct license *l, uint32_t want)
{
    l->promised_pass = c->pass;
    l->promised = free_when(c, l, want, &l->spare);
}

void license_promise(struct core *c, const struct job *j, usec_t now)
{
    const struct request *q = &c->request[j->request];
    (void)now;
    for (uint32_t i = 0; i < q->licenses; i++) {
        struct license *l = license_find(c, q->license[i].name);
        if (l && q->license[i].count > license_free(l) && !promised(c, l))
            promise(c, l, q->license[i].count);
    }
}

uint32_t license_lacks(const struct core *c, const struct job *j, usec_t end,
                       struct license_lack out[LICENSE_ITEMS_MAX])
{
    const struct request *q = &c->request[j->request];
    uint32_t n = 0, spare;
    for (uint32_t i = 0; i < q->licenses; i++) {
        const struct license *l = license_find(c, q->license[i].name);
        uint32_t asks = q->license[i].count, have = l ? license_free(l) : 0;
        struct license_lack lack = {.name = q->license[i].name, .asks = asks, .free = have,
                                    .total = l ? l->total : 0, .until = SPAN_INFINITE};
        if (l && asks > have) {
            lack.until = free_when(c, l, asks, &spare);
        } else if (l && promised(c, l) && end > l->promised && asks > l->spare) {
            lack.promised = true;
            lack.until = l->promised;
        } else if (l) {
            continue;
        }
        out[n++] = lack;
    }
    return n;
}

void license_count(struct core *c, const struct job *j, int sign)
{
    const struct request *q = &c->request[j->request];
    for (uint32_t i = 0; i < q->licenses; i++) {
        struct license *l = license_get(c, text_of(c, q->license[i].name));
        l->used += (uint32_t)sign * q->license[i].count;
        if (promised(c, l) && sign > 0)
            l->spare -= q->license[i].count < l->spare ? q->license[i].count : l->spare;
        if (sign < 0) /* made anew, by those who still miss some */
            l->promised_pass = 0;
    }
}

/* ---- reading ------------------------------------------------------------------------------------ */

void license_text(const struct core *c, const struct request *r, struct buf *out)
{
    for (uint32_t i = 0; i < r->licenses; i++)
        buf_printf(out, ",license/%s=%u", text_of(c, r->license[i].name), r->license[i].count);
}

bool core_license_view(const struct core *c, uint32_t index, struct license_view *v)
{
    if (index >= c->licenses)
        return false;
    const struct license *l = &c->license[index];
    *v = (struct license_view){.name = text_of(c, l->name), .total = l->total, .used = l->used,
                               .free = license_free(l)};
    return true;
}

int license_verify(const struct core *c, struct err *err)
{
    for (uint32_t i = 0; i < c->licenses; i++) {
        const struct license *l = &c->license[i];
        uint64_t used = 0;
        for (uint32_t k = 0; k < c->running.count; k++)
            used += held_of(c, c->running.v[k], l->name);
        if (used != l->used)
            return err_set(err, -EINVAL, "license %s: jobs hold %llu, counted are %u",
                           text_of(c, l->name), (unsigned long long)used, l->used);
    }
    return 0;
}
