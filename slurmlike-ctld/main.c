/* SPDX-License-Identifier: Apache-2.0
 *
 * slurmlike-ctld: command line, privileges, pid file, signals, and the loop.
 */
#include "base/pidlock.h"
#include "config.h"
#include "control.h"
#include "ctld.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    const char *config;
    enum log_level log_level; /* LOG_NONE: the configuration's */
    bool foreground, check, print_states;
};

static const char usage_text[] =
    "Usage: slurmlike-ctld [OPTION]...\n"
    "The slurmlike controller.\n"
    "\n"
    "  -f, --config FILE       configuration (default: $SLURMLIKE_CONF, installed file)\n"
    "  -D, --foreground        stay in the foreground; default: go to the background when\n"
    "                          requests are served\n"
    "      --check-config      check the configuration and exit\n"
    "      --print-states      print the job state transitions and exit\n"
    "      --log-level LEVEL   error, warn, info, verbose or debug\n"
    "  -V, --version           print the version and exit\n"
    "  -h, --help              print this and exit\n"
    "\n"
    "Signals: SIGTERM and SIGINT shut down, SIGHUP reads the configuration again and\n"
    "reopens the log.\n";

static void options_parse(int argc, char **argv, struct options *o)
{
    enum { OPT_CHECK = 256, OPT_STATES, OPT_LEVEL };
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'f'},
        {"foreground", no_argument, NULL, 'D'},
        {"check-config", no_argument, NULL, OPT_CHECK},
        {"print-states", no_argument, NULL, OPT_STATES},
        {"log-level", required_argument, NULL, OPT_LEVEL},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "f:DVh", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            o->config = optarg;
            break;
        case 'D':
            o->foreground = true;
            break;
        case OPT_CHECK:
            o->check = true;
            break;
        case OPT_STATES:
            o->print_states = true;
            break;
        case OPT_LEVEL:
            if ((o->log_level = log_level_parse(optarg)) == LOG_NONE) {
                fprintf(stderr, "slurmlike-ctld: error: log level \"%s\" is unknown\n", optarg);
                exit(1);
            }
            break;
        case 'V':
            puts(PACKAGE_NAME " " PACKAGE_VERSION);
            exit(0);
        case 'h':
            fputs(usage_text, stdout);
            exit(0);
        default:
            fputs("Try 'slurmlike-ctld --help' for more information.\n", stderr);
            exit(1);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "slurmlike-ctld: error: \"%s\" is no option\n", argv[optind]);
        exit(1);
    }
}

static int config_check(const struct conf *conf)
{
    struct err err;
    struct core *core = startup_core(conf, clock_wall_usec(), &err);

    if (!core) {
        fprintf(stderr, "slurmlike-ctld: error: %s\n", err.text);
        return 1;
    }
    core_destroy(core);
    printf("%s: good\n", conf->path[0] ? conf->path : "built-in defaults");
    return 0;
}

static int states_print(void)
{
    struct buf text;
    buf_init(&text);
    core_states_print(&text);
    fputs(buf_str(&text), stdout);
    buf_fini(&text);
    return 0;
}

/* ---- who it runs as ------------------------------------------------------------------------ */

static int uid_of(const char *key, const char *name, struct passwd **pw, struct err *err)
{
    errno = 0;
    *pw = getpwnam(name);
    if (!*pw)
        return err_set(err, SL_EBAD_CONFIG, "%s: there is no user \"%s\"", key, name);
    return 0;
}

/* As root: directories, then the controller's user for good. Anyone else has to be
 * that user already, because peers encrypt their credentials for it. */
static int privileges_drop(struct ctld *d, struct err *err)
{
    const struct conf *conf = d->conf;
    struct passwd *pw;
    int rc = uid_of("node.user", conf->node_user, &pw, err);

    if (rc < 0)
        return rc;
    d->node_uid = pw->pw_uid;
    if ((rc = uid_of("controller.user", conf->ctld_user, &pw, err)) < 0)
        return rc;
    if (geteuid() != 0 && geteuid() != pw->pw_uid)
        return err_set(err, SL_EACCESS,
                       "controller.user is \"%s\" (uid %u) but this is uid %u: start it as root "
                       "or as that user",
                       conf->ctld_user, (unsigned)pw->pw_uid, (unsigned)geteuid());
    if ((rc = startup_prepare(conf, pw->pw_uid, pw->pw_gid, err)) < 0)
        return rc;
    if (geteuid() == 0 && pw->pw_uid != 0) {
        if (initgroups(pw->pw_name, pw->pw_gid) < 0 ||
            setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
            setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
            return err_errno(err, "becoming user %s", pw->pw_name);
        /* as after an exec: core dumps and debuggers of that user */
        (void)prctl(PR_SET_DUMPABLE, 1);
    }
    d->self_uid = geteuid();
    return 0;
}

/* A session costs a descriptor. */
static void files_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The file stays locked while the process lives. */
static int pid_write(const struct conf *conf, struct err *err)
{
    char *path = xasprintf("%s/ctld.pid", conf->run_dir);
    pid_t holder;
    int rc = pidlock_take(path, 0644, PIDLOCK_WAIT_MSEC, &holder, err);

    if (rc == -EBUSY)
        rc = err_set(err, -EBUSY, "%s: a controller runs already, process %ld", path,
                     (long)holder);
    free(path);
    return rc < 0 ? rc : 0;
}

static void pid_remove(const struct conf *conf)
{
    char *path = xasprintf("%s/ctld.pid", conf->run_dir);
    (void)unlink(path);
    free(path);
}

/* ---- background ------------------------------------------------------------------------------- */

/* Parent: waits until the child serves or fails, and exits as it did. Child: the
 * descriptor on which ready_tell() says so. */
static int background(void)
{
    int fds[2];
    char byte;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        perror("slurmlike-ctld: error: pipe");
        exit(1);
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("slurmlike-ctld: error: fork");
        exit(1);
    }
    if (pid == 0) {
        close(fds[0]);
        setsid();
        return fds[1];
    }
    close(fds[1]);
    if (read(fds[0], &byte, 1) == 1)
        _exit(0);
    int status = 0;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

static void ready_tell(int fd)
{
    if (fd < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i < 3; i++)
        (void)dup2(null, i);
    if (null > 2)
        close(null);
    if (write(fd, "", 1) != 1)
        log_warn("main", "nobody waits for the start any more");
    close(fd);
}

/* In the background there is no standard error to log to. */
static int log_start(const struct conf *conf, const struct options *o, struct err *err)
{
    const char *target = conf->log_target[0] ? conf->log_target : NULL;
    char *file = NULL;

    if (!target && !o->foreground)
        target = file = xasprintf("%s/ctld.log", conf->run_dir);
    int rc = log_init("slurmlike-ctld", target, o->log_level ? o->log_level : conf->log_level,
                      err);
    free(file);
    return rc;
}

/* ---- signals ------------------------------------------------------------------------------------ */

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
    (void)what;
    control_shutdown(arg, signal == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_hup(evutil_socket_t signal, short what, void *arg)
{
    struct err err;
    (void)signal;
    (void)what;

    if (log_reopen(&err) < 0)
        log_error("main", "log not reopened: %s", err.text);
    if (control_reconfigure(arg, &err) < 0)
        log_error("main", "configuration not taken: %s", err.text);
}

static void on_log_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    log_flush();
}

struct watchers {
    struct event *term, *intr, *hup, *log;
};

static void watchers_start(struct ctld *d, struct watchers *w)
{
    const struct timeval second = {.tv_sec = 1};

    signal(SIGPIPE, SIG_IGN);
    w->term = evsignal_new(d->base, SIGTERM, on_stop, d);
    w->intr = evsignal_new(d->base, SIGINT, on_stop, d);
    w->hup = evsignal_new(d->base, SIGHUP, on_hup, d);
    w->log = event_new(d->base, -1, EV_PERSIST, on_log_time, NULL);
    ASSERT(w->term && w->intr && w->hup && w->log);
    event_add(w->term, NULL);
    event_add(w->intr, NULL);
    event_add(w->hup, NULL);
    event_add(w->log, &second);
}

static void watchers_stop(struct watchers *w)
{
    event_free(w->term);
    event_free(w->intr);
    event_free(w->hup);
    event_free(w->log);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static int ctld_start(struct ctld *d, const struct options *o, struct err *err)
{
    int rc = privileges_drop(d, err);

    if (rc == 0)
        rc = log_start(d->conf, o, err);
    if (rc == 0)
        rc = pid_write(d->conf, err);
    if (rc == 0)
        rc = startup_load(d, err);
    if (rc == 0)
        rc = startup_listen(d, err);
    return rc;
}

static int ctld_run(struct ctld *d, const struct options *o, int ready)
{
    struct watchers w;
    struct err err;

    umask(022);
    files_raise();
    d->base = event_base_new();
    ASSERT(d->base);
    watchers_start(d, &w);
    int rc = ctld_start(d, o, &err);
    if (rc == 0) {
        log_info("main", "version=%s epoch=%llu jobs=%zu nodes=%zu port=%u serving",
                 PACKAGE_VERSION, (unsigned long long)d->epoch, core_job_count(d->core, false),
                 core_node_count(d->core), d->conf->ctld_port);
        ready_tell(ready);
        event_base_dispatch(d->base);
        pid_remove(d->conf);
    } else {
        fprintf(stderr, "slurmlike-ctld: error: %s\n", err.text);
        if (!log_is_stderr())
            log_error("main", "%s", err.text);
    }
    startup_unload(d);
    watchers_stop(&w);
    event_base_free(d->base);
    conf_destroy(d->conf);
    log_info("main", "ended");
    log_fini();
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.log_level = LOG_NONE};
    struct ctld d = {.stopping = false};
    struct err err;
    int ready = -1;

    options_parse(argc, argv, &o);
    if (o.print_states)
        return states_print();
    d.conf_path = o.config;
    d.conf = conf_load(o.config, &err);
    if (!d.conf) {
        fprintf(stderr, "slurmlike-ctld: error: %s\n", err.text);
        return 1;
    }
    if (o.check) {
        int rc = config_check(d.conf);
        conf_destroy(d.conf);
        return rc;
    }
    if (!o.foreground)
        ready = background();
    return ctld_run(&d, &o, ready);
}
