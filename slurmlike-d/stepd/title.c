/* SPDX-License-Identifier: Apache-2.0 */
#include "stepd/title.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *room;
static size_t room_bytes, used_bytes;
static char **variables; /* what environ was made of; setenv(3) may put another in its place */

/* argv's and environ's strings lie one behind the other: execve(2) of Linux. */
void title_init(int argc, char **argv)
{
    char *end = argv[0];
    size_t vars = 0;
    for (int i = 0; i < argc; i++)
        if (argv[i] == end)
            end += strlen(argv[i]) + 1;
    while (environ[vars])
        vars++;
    variables = xcalloc(vars + 1, sizeof(*variables));
    for (size_t i = 0; i < vars; i++) {
        if (environ[i] == end)
            end += strlen(environ[i]) + 1;
        variables[i] = xstrdup(environ[i]);
    }
    environ = variables;
    room = argv[0];
    room_bytes = used_bytes = (size_t)(end - argv[0]);
}

void title_set(const char *fmt, ...)
{
    va_list ap;
    if (room_bytes < 2)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(room, room_bytes, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room_bytes)
        n = (int)room_bytes - 1; /* cut: vsnprintf(3) ended it there */
    if ((size_t)n < used_bytes)
        memset(room + n, 0, used_bytes - (size_t)n);
    used_bytes = (size_t)n;
}
