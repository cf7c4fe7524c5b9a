/* SPDX-License-Identifier: Apache-2.0 */
#include "job/limit.h"

#include <string.h>
#include <strings.h>

const struct limit_row limit_table[LIMIT_KIND_COUNT] = {
#define L(sym, name, alias, header, unit, owners, assoc, qos)                           \
    [sym] = {name, alias, header, unit, owners, assoc, qos},
    LIMIT_MAP(L)
#undef L
};

int limit_find(const char *name, unsigned owner)
{
    for (int i = 0; i < LIMIT_KIND_COUNT; i++)
        if ((limit_table[i].owners & owner) && (strcasecmp(limit_table[i].name, name) == 0 ||
                                                strcasecmp(limit_table[i].alias, name) == 0))
            return i;
    return -1;
}

enum tres_class tres_class(const char *tres)
{
    static const char *const names[] = {[TRES_CLASS_CPU] = "cpu",
                                        [TRES_CLASS_MEM] = "mem",
                                        [TRES_CLASS_NODE] = "node",
                                        [TRES_CLASS_BILLING] = "billing",
                                        [TRES_CLASS_ENERGY] = "energy"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcasecmp(names[i], tres) == 0)
            return (enum tres_class)i;
    return strncasecmp(tres, "license/", 8) == 0 ? TRES_CLASS_LICENSE : TRES_CLASS_GRES;
}

enum job_reason limit_reason(enum limit_kind kind, unsigned owner, const char *tres)
{
    const struct limit_row *r = &limit_table[kind];
    enum job_reason first = owner == LIMIT_OF_QOS ? r->reason_qos : r->reason_assoc;
    if (r->unit == LIMIT_COUNT || r->unit == LIMIT_SPAN)
        return first;
    return (enum job_reason)(first + tres_class(tres));
}
