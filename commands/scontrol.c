/* SPDX-License-Identifier: Apache-2.0 */
#include "scontrol.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char scontrol_program[] = "scontrol";

static struct {
    bool all, detail, future, hide, oneliner, quiet;
} opt;

static const struct command_option options[] = {
    {"all", 'a', NULL, "hidden partitions too", NULL, &opt.all, "SCONTROL_ALL"},
    {"details", 'd', NULL, "more of each job and node", NULL, &opt.detail, NULL},
    {"future", 'F', NULL, "nodes in state FUTURE too", NULL, &opt.future, NULL},
    {"help", 'h', NULL, "show this help and exit", NULL, &command_shared.help, NULL},
    {"hide", 0, NULL, "no hidden partitions", NULL, &opt.hide, NULL},
    {"oneliner", 'o', NULL, "one line for each record", NULL, &opt.oneliner, NULL},
    {"quiet", 'Q', NULL, "no informational messages", NULL, &opt.quiet, NULL},
    {"uid", 'u', "user", "updates as another user", NULL, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};

static const struct {
    const char *name;
    size_t min; /* letters that are enough */
    scontrol_f *fn;
    const char *arguments, *help;
} verbs[] = {
    {"completing", 3, scontrol_completing, "", "jobs whose nodes are being cleaned up"},
    {"create", 2, scontrol_create, "reservation Key=Value...", "reserve nodes for some people"},
    {"delete", 3, scontrol_delete, "reservation=name", "end a reservation"},
    {"errnumstr", 1, scontrol_errnumstr, "number", "an error in words"},
    {"hold", 2, scontrol_job_op, "jobs", "keep jobs from starting"},
    {"listpids", 1, scontrol_listpids, "[job[.step]] [node]", "processes of jobs on this machine"},
    {"pidinfo", 3, scontrol_pidinfo, "pid", "which job a process is of, and when that ends"},
    {"ping", 2, scontrol_ping, "", "is the controller there?"},
    {"reconfigure", 3, scontrol_reconfigure, "", "read the configuration again"},
    {"release", 3, scontrol_job_op, "jobs", "let held jobs start"},
    {"requeue", 7, scontrol_job_op, "jobs", "put running or finished jobs back in the queue"},
    {"requeuehold", 8, scontrol_job_op, "jobs", "the same, held"},
    {"resume", 3, scontrol_job_op, "jobs", "continue suspended jobs"},
    {"setdebug", 6, scontrol_setdebug, "level", "how much the controller logs"},
    {"show", 2, scontrol_show, "what [id]",
     "job, node, partition, step, reservation, licenses, config, hostnames, hostlist, hostlistsorted"},
    {"shutdown", 8, scontrol_shutdown, "[controller]", "end the controller"},
    {"suspend", 2, scontrol_job_op, "jobs", "stop running jobs for a while"},
    {"top", 3, scontrol_job_op, "jobs", "one's own jobs before one's others"},
    {"uhold", 2, scontrol_job_op, "jobs", "hold so that the owner may release"},
    {"update", 2, scontrol_update, "what=id Key=Value...",
     "JobId=, NodeName=, PartitionName=, ReservationName= and what is to change"},
    {"wait_job", 6, scontrol_wait_job, "job", "return when the job's nodes are ready"},
    {"write", 2, scontrol_write, "batch_script job [file]", "save a job's script, - for stdout; or config [file]"},
};
#define VERBS_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static const char *const later[] = {
    "abort",  "cancel_reboot", "cluster",  "fsdampeningfactor", "notify", "reboot",
    "schedloglevel", "setdebugflags", "takeover", "token",
};

int scontrol_fail(int code, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    fflush(stdout);
    if (n >= 0)
        command_error(scontrol_program, "%s", text);
    free(text);
    return code == 1 ? command_exit_error() : code;
}

bool scontrol_word(const char *typed, const char *name, size_t min)
{
    size_t n = strlen(typed);
    return n >= min && n <= strlen(name) && strncasecmp(typed, name, n) == 0;
}

static int dispatch(struct scontrol *s, int argc, char **argv)
{
    for (size_t i = 0; i < VERBS_COUNT; i++)
        if (scontrol_word(argv[0], verbs[i].name, verbs[i].min)) {
            argv[0] = (char *)verbs[i].name;
            return verbs[i].fn(s, argc - 1, argv + 1);
        }
    if (scontrol_word(argv[0], "version", 4)) {
        command_version();
        return 0;
    }
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (scontrol_word(argv[0], later[i], 4))
            return scontrol_fail(1, "not built yet: %s", later[i]);
    return scontrol_fail(1, "invalid keyword: %s", argv[0]);
}

static void help(const struct command *cmd)
{
    command_help(cmd);
    puts("\nCommands:");
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        char head[64];
        snprintf(head, sizeof(head), "  %s %s", verbs[i].name, verbs[i].arguments);
        printf("%-34s %s\n", head, verbs[i].help);
    }
}

static const struct command command = {.program = scontrol_program, .options = options,
                                       .usage = "[OPTIONS...] [COMMAND...]", .operands = true,
                                       .clusters = true, .structured = true, .help = help};

/* ---- interactive --------------------------------------------------------------------- */

/* Words of a line, with quotes; changes the line. */
static int words_split(char *line, char **argv, int max)
{
    int n = 0;
    for (char *p = line; *p != '\0' && n < max;) {
        p += strspn(p, " \t\n");
        if (*p == '\0')
            break;
        char *out = p, quote = '\0';
        argv[n++] = out;
        for (; *p != '\0' && (quote != '\0' || strchr(" \t\n", *p) == NULL); p++)
            if (quote != '\0' ? *p == quote : *p == '"' || *p == '\'')
                quote = quote != '\0' ? '\0' : *p;
            else
                *out++ = *p;
        if (*p != '\0')
            p++;
        *out = '\0';
    }
    return n;
}

static int interactive(struct scontrol *s)
{
    char *line = NULL, *last = NULL, *argv[128];
    size_t cap = 0;
    int rc = 0;
    for (;;) {
        if (isatty(STDIN_FILENO)) {
            printf("scontrol: ");
            fflush(stdout);
        }
        if (getline(&line, &cap, stdin) < 0)
            break;
        if (strncmp(line, "!!", 2) == 0 && last != NULL) {
            free(line);
            line = xstrdup(last);
            cap = strlen(line) + 1;
        }
        free(last);
        last = xstrdup(line);
        int argc = words_split(line, argv, 128);
        if (argc == 0 || argv[0][0] == '#')
            continue;
        if (scontrol_word(argv[0], "exit", 1) || scontrol_word(argv[0], "quit", 4))
            break;
        if (scontrol_word(argv[0], "help", 4))
            help(&command);
        else if (scontrol_word(argv[0], "details", 1))
            s->detail = true;
        else if (scontrol_word(argv[0], "oneliner", 1))
            s->oneliner = true;
        else if (scontrol_word(argv[0], "all", 3))
            s->all = true;
        else if (scontrol_word(argv[0], "hide", 3))
            s->all = false;
        else if (scontrol_word(argv[0], "quiet", 4))
            s->quiet = true;
        else if (scontrol_word(argv[0], "verbose", 4))
            s->quiet = false;
        else
            rc = dispatch(s, argc, argv);
        fflush(stdout);
    }
    free(line);
    free(last);
    return rc;
}

static int run(int argc, char **argv)
{
    struct err err = {0};
    struct scontrol s;
    int at, rc;

    if (!command_begin(&command, argc, argv, &at, &rc))
        return rc;
    s = (struct scontrol){.all = opt.all && !opt.hide, .detail = opt.detail,
                          .oneliner = opt.oneliner, .quiet = opt.quiet, .json = command_structured()};
    if (client_init(&s.client, scontrol_program, &err) != 0)
        return command_fail(scontrol_program, &err);
    command_stdout_buffer();
    rc = at < argc ? dispatch(&s, argc - at, argv + at) : interactive(&s);
    fflush(stdout);
    client_fini(&s.client);
    return rc;
}

int main(int argc, char **argv)
{
    return command_end(scontrol_program, run(argc, argv));
}
