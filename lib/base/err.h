/* SPDX-License-Identifier: Apache-2.0
 *
 * err: an error code together with the sentence a human needs.
 *
 * Fallible functions return 0 or a negative code (an -errno value, or one of
 * the negative SL_E* values below) and take a last argument `struct err *`.
 * err may be NULL when the caller does not want the text. On failure nothing
 * has changed. Text is UTF-8, one line, without a trailing newline, and says
 * what, which object, why and what to do.
 */
#ifndef SL_BASE_ERR_H
#define SL_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

#define ERR_TEXT_MAX 512 /* bytes with the NUL; longer text is cut with "..." */

struct err {
    int code; /* 0: none; else the negative code */
    char text[ERR_TEXT_MAX];
};

/* Project error codes: below every -errno value. The X-macro is the one table
 * from which names, Slurm-compatible texts and exit behaviour come.
 *   X(symbol, value, text) */
#define SL_ERR_MAP(X)                                                           \
    X(SL_ENONE, 0, "No error")                                                  \
    X(SL_EPROTO, -2001, "Protocol error")                                       \
    X(SL_EVERSION, -2002, "Incompatible protocol version")                      \
    X(SL_EAUTH, -2003, "Protocol authentication error")                         \
    X(SL_ECTLD_DOWN, -2004, "Unable to contact slurmlike controller (connect failure)") \
    X(SL_EINVAL_JOB_ID, -2010, "Invalid job id specified")                      \
    X(SL_EALREADY_DONE, -2011, "Job/step already completing or completed")      \
    X(SL_EACCESS, -2012, "Access/permission denied")                            \
    X(SL_EINVAL_PARTITION, -2013, "Invalid partition name specified")           \
    X(SL_EINVAL_NODE, -2014, "Invalid node name specified")                     \
    X(SL_EBAD_CONFIG, -2015, "Requested node configuration is not available")   \
    X(SL_EINVAL_TIME, -2016, "Requested time limit is invalid (missing or exceeds some limit)") \
    X(SL_EINVAL_ACCOUNT, -2017, "Invalid account or account/partition combination specified") \
    X(SL_EINVAL_QOS, -2018, "Invalid qos specification")                        \
    X(SL_EINVAL_DEPEND, -2019, "Job dependency problem")                        \
    X(SL_EINVAL_GRES, -2020, "Invalid generic resource (gres) specification")   \
    X(SL_EINVAL_ARRAY, -2021, "Invalid job array specification")                \
    X(SL_ELIMIT, -2022, "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)") \
    X(SL_EBUSY_NODES, -2023, "Requested nodes are busy")                        \
    X(SL_EINVAL_STATE, -2024, "Requested operation is presently disabled")      \
    X(SL_ENOT_BUILT, -2025, "Requested feature is not built yet")               \
    X(SL_EINVAL_STEP, -2026, "Invalid job step specified")                      \
    X(SL_ESTORE, -2027, "The accounting store cannot be written")               \
    X(SL_EINVAL_FIELD, -2028, "Invalid field or value")                         \
    X(SL_EPART_DOWN, -2029, "Required partition not available (inactive or drain)") \
    X(SL_ETOO_MANY, -2030, "Too many requests of this kind; try again later")

enum sl_err {
#define X(sym, val, text) sym = val,
    SL_ERR_MAP(X)
#undef X
};

/* Sets *err (when not NULL) and returns code, so that a failure is one line:
 *   return err_set(err, SL_EINVAL_PARTITION, "partition %s: ...", name);
 * code must be negative. */
int err_set(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(errno)" appended; returns -errno. */
int err_errno(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of the text already in *err; returns err->code. */
int err_prefix(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The table's text for a project code, strerror() text for an -errno value. */
const char *err_name(int code);

/* Makes a text one printable line: control characters become '?'. */
void err_text_clean(char *text);
/* Marks a text that fills its buffer of `size` bytes as cut: "..." at the end,
 * on a UTF-8 boundary. */
void err_text_cut(char *text, size_t size);

/* ASSERT stays on in release builds: a broken invariant stops the program
 * with file, line and expression on stderr and in the log. */
#define ASSERT(expr) ((expr) ? (void)0 : err_assert_fail(#expr, __FILE__, __LINE__))
void err_assert_fail(const char *expr, const char *file, int line)
    __attribute__((noreturn));

#endif
