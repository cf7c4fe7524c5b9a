/* SPDX-License-Identifier: Apache-2.0
 *
 * conftext: what must be looked at before libconfig parses a text: it cuts
 * numbers that do not fit 32 bits without a word, and @include opens any file.
 */
#ifndef SL_BASE_CONFTEXT_H
#define SL_BASE_CONFTEXT_H

#include "err.h"

/* 0, or -ERANGE/-EINVAL with "name:line: ..." in *err. */
int conftext_check(const char *text, const char *name, struct err *err);

#endif
