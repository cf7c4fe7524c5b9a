/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/tres.h"

#include "sched/request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint32_t tres_find(struct core *c, const char *name, bool add)
{
    struct tenants *tn = c->tenants;
    for (uint32_t t = 0; t < tn->tres_count; t++)
        if (t != TRES_WALL && strcasecmp(tn->tres[t], name) == 0)
            return t;
    if (!add || tn->tres_count == TRES_MAX)
        return NONE;
    char *p = tn->tres[tn->tres_count] = xstrdup(name);
    for (; *p && *p != '/'; p++) /* "GRES/gpu": names of gres keep their case */
        *p = (char)tolower((unsigned char)*p);
    return tn->tres_count++;
}

/* ---- billing weights ------------------------------------------------------------------ */

/* "0.25" as billionths, and after it K M G T of memory: the weight of so much. */
static int weight_parse(const char *text, bool mem, uint64_t *out, struct err *err)
{
    uint64_t whole = 0, part = 0, scale = WEIGHT_ONE;
    const char *p = text;
    for (; isdigit((unsigned char)*p) && whole < 1000000; p++)
        whole = whole * 10 + (uint64_t)(*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++) {
            scale /= 10;
            part += (uint64_t)(*p - '0') * scale;
        }
    uint64_t w = whole * WEIGHT_ONE + part;
    const char *unit = mem && *p ? strchr("KMGTP", toupper((unsigned char)*p)) : NULL;
    if (unit) {
        static const char units[] = "KMGTP";
        p++;
        if (toupper((unsigned char)unit[0]) == 'K')
            w *= 1024;
        for (const char *u = units + 1; *u != unit[0] && unit[0] != 'K'; u++)
            w = (w + 512) / 1024;
    }
    if (p == text || *p)
        return err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not a weight", text);
    *out = w;
    return 0;
}

int tres_weights_parse(struct core *c, const char *text, uint64_t *out, struct err *err)
{
    char *list = xstrdup(text), *save = NULL;
    int rc = 0;
    memset(out, 0, TRES_MAX * sizeof *out);
    for (char *w = strtok_r(list, ",", &save); w && rc == 0; w = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(w, '=');
        if (!eq) {
            rc = err_set(err, SL_EINVAL_FIELD, "\"%.64s\" is not RESOURCE=WEIGHT", w);
            break;
        }
        *eq = '\0';
        bool gres = strncasecmp(w, "gres/", 5) == 0 && w[5];
        uint32_t t = tres_find(c, w, gres);
        if (t == NONE)
            rc = err_set(err, SL_EINVAL_FIELD, gres ? "%.64s: too many resources are tracked"
                                                    : "%.64s: no such trackable resource", w);
        else
            rc = weight_parse(eq + 1, t == TRES_MEM, &out[t], err);
    }
    free(list);
    return rc;
}

static void bill(const struct core *c, uint32_t part, uint64_t *v)
{
    const uint64_t *w = part == NONE ? NULL : c->part[part].weight;
    amount_t sum = 0;
    v[TRES_BILLING] = v[TRES_CPU];
    if (!w)
        return;
    for (uint32_t t = 0; t < c->tenants->tres_count; t++)
        if (t != TRES_BILLING && t != TRES_WALL)
            sum += (amount_t)v[t] * w[t];
    v[TRES_BILLING] = (uint64_t)((sum + WEIGHT_ONE / 2) / WEIGHT_ONE);
}

/* ---- a job's resources -------------------------------------------------------------------- */

static void add_gres(struct core *c, uint32_t name, uint32_t type, uint64_t n, uint64_t *v)
{
    char text[2 * NAME_LEN_MAX + 16];
    if (n == 0)
        return;
    snprintf(text, sizeof text, "gres/%s", text_of(c, name));
    uint32_t t = tres_find(c, text, true);
    if (t != NONE)
        v[t] += n;
    if (!type)
        return;
    snprintf(text, sizeof text, "gres/%s:%s", text_of(c, name), text_of(c, type));
    t = tres_find(c, text, false);
    if (t != NONE)
        v[t] += n;
}

void tres_of_request(struct core *c, const struct job *j, uint32_t part, uint64_t *v)
{
    const struct request *q = &c->request[j->request];
    struct request_size size;
    memset(v, 0, TRES_MAX * sizeof *v);
    request_size(q, &size);
    v[TRES_CPU] = size.cpus;
    v[TRES_MEM] = size.mem_mib;
    v[TRES_NODE] = size.nodes;
    v[TRES_WALL] = 1;
    for (uint32_t i = 0; i < q->gres_count; i++)
        add_gres(c, q->gres[i].name, q->gres[i].type, size.gres[i], v);
    bill(c, part, v);
}

static void add_demand(struct core *c, const struct demand *d, uint64_t *v)
{
    const struct node *n = &c->node[d->node];
    v[TRES_CPU] += (uint64_t)d->cores * n->threads;
    v[TRES_MEM] += d->mem;
    for (uint32_t p = 0; p < n->pools_count; p++)
        add_gres(c, n->pool[p].name, n->pool[p].type, d->gres[p], v);
}

void tres_of_placement(struct core *c, const struct job *j, uint32_t part,
                       const struct placement *p, uint64_t *v)
{
    (void)j;
    memset(v, 0, TRES_MAX * sizeof *v);
    v[TRES_NODE] = p->count;
    v[TRES_WALL] = 1;
    for (uint32_t i = 0; i < p->count; i++)
        add_demand(c, &p->node[i], v);
    bill(c, part, v);
}

void tres_of_node(struct core *c, const struct job *j, const struct placement *p, uint64_t *v)
{
    uint64_t one[TRES_MAX];
    (void)j;
    memset(v, 0, TRES_MAX * sizeof *v);
    for (uint32_t i = 0; i < p->count; i++) {
        memset(one, 0, sizeof one);
        add_demand(c, &p->node[i], one);
        for (uint32_t t = 0; t < TRES_MAX; t++)
            v[t] = one[t] > v[t] ? one[t] : v[t];
    }
}

void tres_of_alloc(struct core *c, const struct job *j, uint64_t *v)
{
    const struct alloc *a = j->alloc;
    memset(v, 0, TRES_MAX * sizeof *v);
    v[TRES_CPU] = a->cpus;
    v[TRES_MEM] = a->mem;
    v[TRES_NODE] = a->count;
    v[TRES_WALL] = 1;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct node *n = &c->node[a->node[i].node];
        for (uint32_t p = 0; p < n->pools_count; p++)
            if (a->node[i].gres[p])
                add_gres(c, n->pool[p].name, n->pool[p].type,
                         bs_count(a->node[i].gres[p], BS_WORDS(n->pool[p].count)), v);
    }
    long part = parts_find(c, text_of(c, j->partition));
    bill(c, part < 0 ? NONE : (uint32_t)part, v);
}

uint64_t tres_billing(struct core *c, const struct job *j)
{
    uint64_t v[TRES_MAX];
    char first[NAME_LEN_MAX + 1];
    const char *parts = text_of(c, j->parts);
    if (j->alloc) {
        tres_of_alloc(c, j, v);
        return v[TRES_BILLING];
    }
    snprintf(first, sizeof first, "%.*s", (int)strcspn(parts, ","), parts);
    long at = parts_find(c, first);
    tres_of_request(c, j, at < 0 ? NONE : (uint32_t)at, v);
    return v[TRES_BILLING];
}
