/* SPDX-License-Identifier: Apache-2.0 */
#include "job/option.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 32 /* where the help text begins */
#define LINE_WIDTH 79

static const struct {
    enum job_command command;
    const char *name, *rest;
} commands[] = {
    {JOB_CMD_SBATCH, "sbatch", "[OPTIONS...] executable [args...]"},
    {JOB_CMD_SALLOC, "salloc", "[OPTIONS...] [command [args...]]"},
    {JOB_CMD_SRUN, "srun", "[OPTIONS...] executable [args...]"},
};

static size_t command_index(enum job_command command)
{
    size_t i = 0;
    while (commands[i].command != command)
        i++;
    return i;
}

static void row_print(FILE *f, const struct option *o)
{
    char head[128];
    int n = o->letter != '\0' ? snprintf(head, sizeof(head), "  -%c, --%s", o->letter, o->name)
                              : snprintf(head, sizeof(head), "      --%s", o->name);
    if (o->metavar != NULL && n > 0 && (size_t)n < sizeof(head))
        snprintf(head + n, sizeof(head) - (size_t)n,
                 o->arg == OPT_ARG_OPTIONAL ? "[=%s]" : "=%s", o->metavar);
    if (strlen(head) >= HELP_COLUMN)
        fprintf(f, "%s\n%*s%s\n", head, HELP_COLUMN, "", o->help);
    else
        fprintf(f, "%-*s%s\n", HELP_COLUMN, head, o->help);
}

void job_print_help(enum job_command command, void *file)
{
    FILE *f = file;
    size_t n, c = command_index(command);
    const struct option *t = option_table(&n);

    fprintf(f, "Usage: %s %s\n\nOptions:\n", commands[c].name, commands[c].rest);
    for (size_t i = 0; i < n; i++)
        if ((t[i].commands & command) && t[i].unsupported == NULL)
            row_print(f, &t[i]);
    fprintf(f, "\nKnown, but not built yet (refused with the reason):\n");
    for (size_t i = 0; i < n; i++)
        if ((t[i].commands & command) && t[i].unsupported != NULL)
            row_print(f, &t[i]);
}

void job_print_usage(enum job_command command, void *file)
{
    FILE *f = file;
    size_t n, c = command_index(command);
    const struct option *t = option_table(&n);
    int at = fprintf(f, "Usage: %s", commands[c].name);

    for (size_t i = 0; i < n; i++) {
        char item[96];
        if (!(t[i].commands & command) || t[i].unsupported != NULL)
            continue;
        int w = t[i].letter != '\0'
                    ? snprintf(item, sizeof(item), " [-%c%s%s]", t[i].letter,
                               t[i].metavar != NULL ? " " : "",
                               t[i].metavar != NULL ? t[i].metavar : "")
                    : snprintf(item, sizeof(item), " [--%s%s%s]", t[i].name,
                               t[i].metavar != NULL ? "=" : "",
                               t[i].metavar != NULL ? t[i].metavar : "");
        if (at + w > LINE_WIDTH)
            at = fprintf(f, "\n             ") - 1;
        at += fprintf(f, "%s", item);
    }
    const char *rest = strchr(commands[c].rest, ' ');
    fprintf(f, "%s%s\n", at + (int)strlen(rest) > LINE_WIDTH ? "\n             " : "", rest);
}
