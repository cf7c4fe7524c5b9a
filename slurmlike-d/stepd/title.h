/* SPDX-License-Identifier: Apache-2.0
 *
 * title: what ps shows of this process.
 */
#ifndef SL_STEPD_TITLE_H
#define SL_STEPD_TITLE_H

/* Once, first thing in main: the room of argv and environ becomes the title's; the
 * environment is copied. */
void title_init(int argc, char **argv);
void title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
