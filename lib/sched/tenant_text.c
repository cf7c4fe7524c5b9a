/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/tenant_text.h"

#include "sched/tres.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- limits ---------------------------------------------------------------------------- */

#define LIMIT_VALUE_MAX (UINT64_C(1) << 50) /* minutes of a billion units for a lifetime */

static int count_parse(const char *what, const char *text, bool mem, uint64_t *v, struct err *err)
{
    if (strcmp(text, "-1") == 0) {
        *v = UINT64_MAX;
        return 0;
    }
    if (mem)
        return mem_parse_mib(text, v, err) < 0 ? err_prefix(err, "%s", what) : 0;
    return num_parse_u64(what, text, 0, LIMIT_VALUE_MAX, v, err);
}

static int span_minutes(const char *what, const char *text, uint64_t *v, struct err *err)
{
    usec_t span;
    *v = UINT64_MAX;
    if (strcmp(text, "-1") == 0)
        return 0;
    if (span_parse(text, &span, err) < 0)
        return err_prefix(err, "%s", what);
    if (span != SPAN_INFINITE)
        *v = (uint64_t)((span / USEC_PER_SEC + 30) / 60);
    return 0;
}

static int tres_limit(struct core *c, enum limit_kind kind, char *word, struct limits *to,
                      struct err *err)
{
    const struct limit_row *row = &limit_table[kind];
    char *eq = strchr(word, '='), what[96];
    uint64_t v;
    if (!eq)
        return err_set(err, SL_EINVAL_FIELD, "%s: \"%.64s\" is not RESOURCE=VALUE", row->name, word);
    *eq = '\0';
    if (strncasecmp(word, "license/", 8) == 0)
        return err_set(err, SL_ENOT_BUILT, "%s: limits on licenses are not built yet", row->name);
    if (kind == LIMIT_MAX_TRES_NODE && strcasecmp(word, "node") == 0)
        return err_set(err, SL_EINVAL_FIELD, "%s: a node is one node", row->name);
    bool gres = strncasecmp(word, "gres/", 5) == 0 && word[5] && strlen(word) <= NAME_LEN_MAX;
    uint32_t t = tres_find(c, word, gres);
    if (t == NONE)
        return err_set(err, SL_EINVAL_FIELD,
                       gres ? "%s: %.64s: too many resources are tracked"
                            : "%s: there is no trackable resource %.64s", row->name, word);
    snprintf(what, sizeof what, "%s=%.40s", row->name, word);
    bool mem = t == TRES_MEM && row->unit == LIMIT_TRES;
    if (count_parse(what, eq + 1, mem, &v, err) < 0)
        return err->code;
    if (to)
        limits_set(to, kind, t, v);
    return 0;
}

int limit_parse(struct core *c, enum limit_kind kind, const char *text, struct limits *to,
                struct err *err)
{
    const struct limit_row *row = &limit_table[kind];
    uint64_t v;
    int rc = 0;
    if (row->unit == LIMIT_COUNT || row->unit == LIMIT_SPAN) {
        rc = row->unit == LIMIT_SPAN ? span_minutes(row->name, text, &v, err)
                                     : count_parse(row->name, text, false, &v, err);
        if (rc == 0 && to)
            limits_set(to, kind, 0, v);
        return rc;
    }
    char *list = xstrdup(text), *save = NULL;
    for (char *w = strtok_r(list, ",", &save); w && rc == 0; w = strtok_r(NULL, ",", &save))
        rc = tres_limit(c, kind, w, to, err);
    if (rc == 0 && text[0] == '\0')
        rc = err_set(err, SL_EINVAL_FIELD, "%s: no value is given", row->name);
    free(list);
    return rc;
}

void limit_format(const struct core *c, const struct limits *l, enum limit_kind kind,
                  struct buf *out)
{
    enum limit_unit unit = limit_table[kind].unit;
    char text[SPAN_TEXT_MAX > SIZE_TEXT_MAX ? SPAN_TEXT_MAX : SIZE_TEXT_MAX];
    bool first = true;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct limit_value *v = &l->v[i];
        if (v->kind != kind)
            continue;
        if (unit == LIMIT_TRES || unit == LIMIT_TRES_MINS)
            buf_printf(out, "%s%s=", first ? "" : ",", c->tenants->tres[v->tres]);
        if (unit == LIMIT_SPAN)
            buf_puts(out, span_format((usec_t)v->value * 60 * USEC_PER_SEC, text));
        else if (unit == LIMIT_TRES && v->tres == TRES_MEM)
            buf_puts(out, mem_format_mib(v->value, text));
        else
            buf_printf(out, "%llu", (unsigned long long)v->value);
        first = false;
    }
}

/* ---- flags, factors ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    uint32_t flag;
    bool built;
} flag_names[] = {
    {"DenyOnLimit", QOSF_DENY_ON_LIMIT, true},
    {"EnforceUsageThreshold", QOSF_ENFORCE_THRESHOLD, true},
    {"NoDecay", QOSF_NO_DECAY, true},
    {"OverPartQOS", QOSF_OVER_PART_QOS, true},
    {"UsageFactorSafe", QOSF_USAGE_FACTOR_SAFE, true},
    {"NoReserve", QOSF_NO_RESERVE, false},
    {"PartitionMaxNodes", QOSF_PART_MAX_NODES, false},
    {"PartitionMinNodes", QOSF_PART_MIN_NODES, false},
    {"PartitionTimeLimit", QOSF_PART_TIME_LIMIT, false},
    {"RequiresReservation", QOSF_RESERVATION, false},
};

int qos_flags_parse(const char *text, uint32_t *flags, struct err *err)
{
    *flags = 0;
    for (const char *p = text; *p && strcmp(text, "-1") != 0;) {
        size_t n = strcspn(p, ","), k = 0, count = sizeof flag_names / sizeof *flag_names;
        while (k < count && (strlen(flag_names[k].name) != n || strncasecmp(flag_names[k].name, p, n) != 0))
            k++;
        if (k == count)
            return err_set(err, SL_EINVAL_FIELD, "Flags: there is no QOS flag \"%.*s\"", (int)n, p);
        if (!flag_names[k].built)
            return err_set(err, SL_ENOT_BUILT, "the QOS flag %s is not built yet", flag_names[k].name);
        *flags |= flag_names[k].flag;
        p += n + (p[n] == ',');
    }
    return 0;
}

void qos_flags_format(uint32_t flags, struct buf *out)
{
    bool first = true;
    for (size_t k = 0; k < sizeof flag_names / sizeof *flag_names; k++)
        if (flags & flag_names[k].flag) {
            buf_printf(out, "%s%s", first ? "" : ",", flag_names[k].name);
            first = false;
        }
}

int thousandths_parse(const char *what, const char *text, uint32_t max, uint32_t *out, struct err *err)
{
    uint64_t v = 0, unit = 1000;
    const char *p = text;
    for (; isdigit((unsigned char)*p) && v <= max; p++)
        v = v * 10 + 1000 * (uint64_t)(*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++)
            v += (unit /= 10) * (uint64_t)(*p - '0');
    if (p == text || *p || v > max)
        return err_set(err, SL_EINVAL_FIELD, "%s: \"%.64s\" is not a number from 0 to %u", what, text, max / 1000);
    *out = (uint32_t)v;
    return 0;
}

void factor_format(uint64_t factor, int digits, struct buf *out)
{
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    amount_t v = ((amount_t)factor * scale + (FACTOR_ONE >> 1)) >> 32;
    buf_printf(out, "%llu.%0*llu", (unsigned long long)(v / scale), digits, (unsigned long long)(v % scale));
}
