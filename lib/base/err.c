/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static const struct {
    int code;
    const char *text;
} err_table[] = {
#define X(sym, val, text) {val, text},
    SL_ERR_MAP(X)
#undef X
};

void err_text_clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

/* Puts "..." at the end of a text that filled its buffer, without leaving half
 * of a UTF-8 sequence in front of it. */
void err_text_cut(char *text, size_t size)
{
    size_t end = size - 1 - 3;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

/* The text is built aside because an argument may point into err->text. */
static void err_store(struct err *err, int code, const char *head, const char *tail)
{
    char text[ERR_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%s%s%s", head, tail[0] ? ": " : "", tail);
    if (n >= (int)sizeof text)
        err_text_cut(text, sizeof text);
    err_text_clean(text);
    err->code = code;
    memcpy(err->text, text, sizeof text);
}

static void err_format(char out[ERR_TEXT_MAX], const char *fmt, va_list ap)
{
    int n = vsnprintf(out, ERR_TEXT_MAX, fmt, ap);
    if (n < 0)
        snprintf(out, ERR_TEXT_MAX, "(unprintable message)");
    else if (n >= ERR_TEXT_MAX)
        err_text_cut(out, ERR_TEXT_MAX);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    ASSERT(code < 0);
    if (err) {
        char text[ERR_TEXT_MAX];
        va_list ap;
        va_start(ap, fmt);
        err_format(text, fmt, ap);
        va_end(ap);
        err_store(err, code, text, "");
    }
    return code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
    int code = errno > 0 ? -errno : -EIO;
    if (err) {
        char text[ERR_TEXT_MAX];
        va_list ap;
        va_start(ap, fmt);
        err_format(text, fmt, ap);
        va_end(ap);
        err_store(err, code, text, err_name(code));
    }
    return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return 0;
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    err_format(text, fmt, ap);
    va_end(ap);
    err_store(err, err->code, text, err->text);
    return err->code;
}

const char *err_name(int code)
{
    for (size_t i = 0; i < sizeof err_table / sizeof err_table[0]; i++)
        if (err_table[i].code == code)
            return err_table[i].text;
    /* strerrordesc_np: thread-safe and untranslated, unlike strerror(). */
    const char *text = code < 0 ? strerrordesc_np(-code) : NULL;
    return text ? text : "Unknown error";
}

void err_assert_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, expr);
    if (!log_is_stderr())
        log_error("assert", "file=%s line=%d broken invariant: %s", file, line, expr);
    abort();
}
