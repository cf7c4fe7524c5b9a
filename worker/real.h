/* SPDX-License-Identifier: Apache-2.0
 *
 * real: the arithmetic type of the worker. float everywhere, double where the
 * gradient checks are compiled (-DREAL_DOUBLE), so that central differences
 * resolve errors far below float's rounding.
 */
#ifndef WORKER_REAL_H
#define WORKER_REAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef REAL_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* Fixed-order sums of a flat buffer are made of partial sums of so many
 * elements; slices of ranks begin at multiples of it, so that the partial sums
 * do not depend on the number of ranks. */
#define SUM_CHUNK ((size_t)16384)

#endif
