/* SPDX-License-Identifier: Apache-2.0 */
#include "job/jobspec.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGHUP, "HUP"},       {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"},     {SIGABRT, "ABRT"},     {SIGBUS, "BUS"},   {SIGFPE, "FPE"},
    {SIGKILL, "KILL"},     {SIGUSR1, "USR1"},     {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"},     {SIGALRM, "ALRM"},     {SIGTERM, "TERM"}, {SIGCHLD, "CHLD"},
    {SIGCONT, "CONT"},     {SIGSTOP, "STOP"},     {SIGTSTP, "TSTP"}, {SIGTTIN, "TTIN"},
    {SIGTTOU, "TTOU"},     {SIGURG, "URG"},       {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"},
    {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"},     {SIGWINCH, "WINCH"}, {SIGIO, "IO"},
    {SIGPWR, "PWR"},       {SIGSYS, "SYS"},
};

int signal_parse(const char *text)
{
    char *end;
    if (*text >= '0' && *text <= '9') {
        unsigned long n = strtoul(text, &end, 10);
        return *end == '\0' && n > 0 && n < NSIG ? (int)n : -1;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (strcasecmp(signals[i].name, text) == 0)
            return signals[i].number;
    return -1;
}

const char *signal_name(int number)
{
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (signals[i].number == number)
            return signals[i].name;
    return "UNKNOWN";
}

int signal_option_parse(const char *text, struct signal_option *out, struct err *err)
{
    char name[16];
    const char *p = text, *at;

    *out = (struct signal_option){.before_sec = 60};
    for (; (p[0] == 'B' || p[0] == 'b' || p[0] == 'R' || p[0] == 'r') && p[1] == ':'; p += 2)
        if (p[0] == 'B' || p[0] == 'b')
            out->batch_only = true;
    at = strchrnul(p, '@');
    if ((size_t)(at - p) >= sizeof(name))
        return err_set(err, SL_EINVAL_FIELD, "Invalid --signal specification \"%s\"", text);
    memcpy(name, p, (size_t)(at - p));
    name[at - p] = '\0';
    out->signal = signal_parse(name);
    if (out->signal < 0)
        return err_set(err, SL_EINVAL_FIELD, "Invalid --signal specification \"%s\": no such signal",
                       text);
    if (*at == '@') {
        uint64_t sec;
        int rc = num_parse_u64("--signal time", at + 1, 0, 65535, &sec, err);
        if (rc != 0)
            return rc;
        out->before_sec = (uint32_t)sec;
    }
    return 0;
}
