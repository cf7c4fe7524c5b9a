/* SPDX-License-Identifier: Apache-2.0
 *
 * slurmlike-stepd: started by slurmlike-d only.
 */
#include "stepd/contain.h"
#include "stepd/stepd.h"
#include "stepd/title.h"
#include "stepd/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum opt_kind { OPT_TEXT, OPT_SECONDS, OPT_UID, OPT_FLAG };
struct opt {
    const char *name;
    enum opt_kind kind;
    void *value;
};

static struct node_opts opts = {.spool = "",
                                .node = "",
                                .mpi_default = "pmix",
                                .cpu_bind = "none",
                                .munge_socket = "",
                                .cgroup = "auto",
                                .module_dir = SL_PKGLIBDIR,
                                .kill_wait = 30 * USEC_PER_SEC};
static const char *log_level = "info", *log_target = "";

/* The daemon is the only caller, so the one help is this table. */
static const struct opt table[] = {
    {"spool", OPT_TEXT, &opts.spool},
    {"node", OPT_TEXT, &opts.node},
    {"mpi-default", OPT_TEXT, &opts.mpi_default},
    {"cpu-bind", OPT_TEXT, &opts.cpu_bind},
    {"munge-socket", OPT_TEXT, &opts.munge_socket},
    {"cgroup", OPT_TEXT, &opts.cgroup},
    {"module-dir", OPT_TEXT, &opts.module_dir},
    {"log-level", OPT_TEXT, &log_level},
    {"log-target", OPT_TEXT, &log_target},
    {"kill-wait", OPT_SECONDS, &opts.kill_wait},
    {"sample-interval", OPT_SECONDS, &opts.sample_interval},
    {"node-user", OPT_UID, &opts.node_uid},
    {"synthetic", OPT_FLAG, &opts.synthetic},
    {"starting", OPT_FLAG, &opts.starting},
    {"memory-enforce", OPT_FLAG, &opts.memory_enforce},
};
#define TABLE_COUNT (sizeof(table) / sizeof(*table))

/* Values are copied: the title overwrites argv. */
static int opt_set(const struct opt *o, const char *text, struct err *err)
{
    uint64_t n = 0;
    if (o->kind == OPT_TEXT)
        *(const char **)o->value = xstrdup(text);
    else if (o->kind == OPT_FLAG)
        *(bool *)o->value = true;
    else if (num_parse_u64(o->name, text, 0, INT32_MAX, &n, err) < 0)
        return err->code;
    else if (o->kind == OPT_UID)
        *(uid_t *)o->value = (uid_t)n;
    else
        *(usec_t *)o->value = (usec_t)n * USEC_PER_SEC;
    return 0;
}

static int opts_parse(int argc, char **argv, struct err *err)
{
    struct option longs[TABLE_COUNT + 1] = {0};
    int c, i;
    for (size_t k = 0; k < TABLE_COUNT; k++)
        longs[k] = (struct option){table[k].name,
                                   table[k].kind == OPT_FLAG ? no_argument : required_argument,
                                   NULL, 0};
    while ((c = getopt_long(argc, argv, "", longs, &i)) != -1) {
        if (c != 0)
            return err_set(err, -EINVAL, "unknown option");
        if (opt_set(&table[i], optarg, err) < 0)
            return err->code;
    }
    if (!opts.spool[0] || !opts.node[0])
        return err_set(err, -EINVAL, "--spool and --node are needed");
    return 0;
}

/* 0, 1 and 2 must be open, so that no pipe or file of a task ever gets their numbers. */
static void std_fds_open(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= 2)
        ;
    if (fd > 2)
        close(fd);
}

static bool fd_is_socket(int fd)
{
    int type;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

int main(int argc, char **argv)
{
    struct err err;
    int rc = opts_parse(argc, argv, &err);
    if (rc == 0 && !fd_is_socket(ZYGOTE_FD))
        rc = err_set(&err, -EINVAL, "this program is started by slurmlike-d, with a socket "
                                    "as descriptor 3");
    if (rc < 0) {
        fprintf(stderr, "slurmlike-stepd: error: %s\n", err.text);
        return 1;
    }
    close_range(ZYGOTE_FD + (opts.starting ? 2 : 1), ~0U, 0); /* what the daemon did not mean for us */
    std_fds_open();
    title_init(argc, argv);
    title_set("slurmlike-stepd: %s zygote", opts.node);
    if (log_init("slurmlike-stepd", log_target[0] ? log_target : NULL,
                 log_level_parse(log_level), &err) < 0) {
        fprintf(stderr, "slurmlike-stepd: error: %s\n", err.text);
        return 1;
    }
    opts.slice = contain_slice(&opts);
    return zygote_run(&opts);
}
