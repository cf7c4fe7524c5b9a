/* SPDX-License-Identifier: Apache-2.0
 *
 * tenant_text: limits and shares as sacctmgr writes them, both ways.
 */
#ifndef SL_SCHED_TENANT_TEXT_H
#define SL_SCHED_TENANT_TEXT_H

#include "sched/tenant.h"

/* One limit's value as written: a number or a span, -1 to clear it; or a list of
 * "RESOURCE=VALUE". With `to` NULL it is only checked. */
int limit_parse(struct core *c, enum limit_kind kind, const char *text, struct limits *to, struct err *err);
/* "" where it is not set. */
void limit_format(const struct core *c, const struct limits *l, enum limit_kind kind, struct buf *out);

/* QOS flags by name: "DenyOnLimit,NoDecay". */
int qos_flags_parse(const char *text, uint32_t *flags, struct err *err);
void qos_flags_format(uint32_t flags, struct buf *out);
/* "1.5" as 1500; thousandths as "1.500000". */
int thousandths_parse(const char *what, const char *text, uint32_t max, uint32_t *out, struct err *err);
/* FACTOR_ONE = 1.0, with six digits. */
void factor_format(uint64_t factor, int digits, struct buf *out);

#endif
