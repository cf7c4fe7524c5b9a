/* SPDX-License-Identifier: Apache-2.0 */
#include "noded.h"

#include "base/limits.h"
#include "base/pidlock.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

enum { OPT_SPOOL = 256, OPT_STEPD, OPT_MEMORY, OPT_FEATURES, OPT_ADDR, OPT_LOG_LEVEL, OPT_LOG, OPT_MUNGE };

static const struct noded_option {
    struct option o;
    const char *arg, *help;
} options[] = {
    {{"name", required_argument, NULL, 'N'}, "NAME", "node name (default: host name)"},
    {{"addr", required_argument, NULL, OPT_ADDR}, "ADDR", "address that others reach this node at"},
    {{"port", required_argument, NULL, 'p'}, "PORT", "TCP port (default: configured)"},
    {{"controller", required_argument, NULL, 'c'}, "[USER@]HOST:PORT",
     "controller, and the user it runs as (default: configured; root)"},
    {{"config", required_argument, NULL, 'f'}, "FILE", "configuration file"},
    {{"topology", required_argument, NULL, 't'}, "WHAT", "real, synthetic:\"pack:2 core:4\", or FILE.xml"},
    {{"gres", required_argument, NULL, 'g'}, "LIST", "generic resources, gpu:a100:4,..."},
    {{"memory", required_argument, NULL, OPT_MEMORY}, "SIZE", "memory to offer (default: what is there)"},
    {{"features", required_argument, NULL, OPT_FEATURES}, "LIST", "feature names"},
    {{"spool", required_argument, NULL, OPT_SPOOL}, "DIR", "spool folder"},
    {{"stepd", required_argument, NULL, OPT_STEPD}, "FILE", "supervisor program"},
    {{"munge-socket", required_argument, NULL, OPT_MUNGE}, "FILE", "munged's socket"},
    {{"log", required_argument, NULL, OPT_LOG}, "TARGET", "stderr, syslog, journald or a file"},
    {{"log-level", required_argument, NULL, OPT_LOG_LEVEL}, "LEVEL", "error warn info verbose debug"},
    {{"help", no_argument, NULL, 'h'}, NULL, "this text"},
    {{"version", no_argument, NULL, 'V'}, NULL, "version"},
};
#define STARTING_WAIT_SECONDS 30 /* for a former daemon's zygote to have read its orders */
#define OPTIONS_COUNT (sizeof(options) / sizeof(options[0]))

static void usage(FILE *out)
{
    fprintf(out, "Usage: slurmlike-d [OPTIONS]\n"
                 "The node daemon. It needs only the controller's address; the rest of the\n"
                 "configuration comes from there.\n");
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s%s%s", options[i].o.name,
                 options[i].arg ? "=" : "", options[i].arg ? options[i].arg : "");
        fprintf(out, "  %-30s %s\n", left, options[i].help);
    }
}

static void die(const char *text)
{
    fprintf(stderr, "slurmlike-d: error: %s\n", text);
    exit(1);
}

struct start { const char *config, *log; enum log_level level; };

static void options_read(int argc, char **argv, struct noded_opts *o, struct start *st)
{
    struct option table[OPTIONS_COUNT + 1] = {0};
    struct err err;
    uint64_t n;
    int c;
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        table[i] = options[i].o;
    while ((c = getopt_long(argc, argv, "N:p:c:f:t:g:hV", table, NULL)) != -1) {
        switch (c) {
        case 'N': o->name = optarg; break;
        case OPT_ADDR: o->addr = optarg; break;
        case 'p':
            if (num_parse_u64("--port", optarg, 0, 65535, &n, &err) < 0)
                die(err.text);
            o->port = (uint32_t)n;
            o->port_given = true;
            break;
        case 'c': o->controller = optarg; break;
        case 'f': st->config = optarg; break;
        case 't': o->topology = optarg; break;
        case 'g': o->gres = optarg; break;
        case OPT_MEMORY:
            if (mem_parse_mib(optarg, &o->memory_mib, &err) < 0)
                die(err.text);
            break;
        case OPT_FEATURES: o->features = optarg; break;
        case OPT_SPOOL: o->spool = optarg; break;
        case OPT_STEPD: o->stepd = optarg; break;
        case OPT_MUNGE: o->munge_socket = optarg; break;
        case OPT_LOG: st->log = optarg; break;
        case OPT_LOG_LEVEL:
            st->level = log_level_parse(optarg);
            if (st->level == LOG_NONE)
                die("--log-level: not one of error warn info verbose debug");
            break;
        case 'h': usage(stdout); exit(0);
        case 'V': puts("slurmlike " PACKAGE_VERSION); exit(0);
        default: usage(stderr); exit(1);
        }
    }
    if (optind < argc)
        die("unexpected argument; see --help");
}

static uid_t uid_of(const char *user, const char *what)
{
    char *end;
    unsigned long n = strtoul(user, &end, 10);
    if (*user && !*end)
        return (uid_t)n;
    struct passwd *pw = getpwnam(user);
    if (!pw) {
        char *text = xasprintf("%s: no user %s on this machine", what, user);
        die(text);
        free(text);
        return (uid_t)-1;
    }
    return pw->pw_uid;
}

/* [USER@]HOST:PORT. The user is what the node trusts: only a service that runs as that user,
 * says munge, is the controller. */
static void controller_read(struct noded *d)
{
    const char *text = d->opts.controller, *at = text ? strrchr(text, '@') : NULL;
    if (!text)
        d->controller = xasprintf("%s:%u", d->conf->ctld_host, (unsigned)d->conf->ctld_port);
    else
        d->controller = xstrdup(at ? at + 1 : text);
    char *user = at ? strndup(text, (size_t)(at - text)) : xstrdup(d->conf->ctld_user);
    d->ctld_uid = uid_of(user, "controller user");
    free(user);
}

static char *own_name(void)
{
    char host[HOST_NAME_MAX + 1] = "";
    gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    return xstrdup(host);
}

/* The configured text with %n replaced. */
static char *path_expand(const char *text, const char *name)
{
    struct buf b;
    buf_init(&b);
    for (const char *p = text; *p; p++) {
        if (p[0] == '%' && p[1] == 'n') {
            buf_puts(&b, name);
            p++;
        } else {
            buf_putc(&b, *p);
        }
    }
    char *out = buf_steal(&b);
    return out ? out : xstrdup("");
}

static int dirs_create(const char *path, struct err *err)
{
    char *copy = xstrdup(path);
    int rc = 0;
    for (char *p = copy + 1; rc == 0 && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            rc = err_errno(err, "%s", copy);
        *p = '/';
    }
    if (rc == 0 && mkdir(copy, 0755) < 0 && errno != EEXIST)
        rc = err_errno(err, "%s", copy);
    free(copy);
    return rc;
}

/* Who can write into the spool can have any program run as any user: jobs are started
 * anew from its files. */
static int spool_check(const char *spool, struct err *err)
{
    struct stat st;
    if (lstat(spool, &st) < 0)
        return err_errno(err, "%s", spool);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "spool %s: not a directory", spool);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return err_set(err, SL_EACCESS,
                       "spool %s: owner %u, mode %04o; it must be uid %u's and writable "
                       "by nobody else (chown %u, chmod 755)",
                       spool, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777,
                       (unsigned)geteuid(), (unsigned)geteuid());
    return 0;
}

/* One daemon a spool: the lock lives as long as the process. */
static int spool_lock(const char *spool, struct err *err)
{
    char *path = xasprintf("%s/lock", spool);
    pid_t holder;
    int rc = pidlock_take(path, 0600, PIDLOCK_WAIT_MSEC, &holder, err);
    if (rc == -EBUSY)
        rc = err_set(err, -EBUSY, "%s: another slurmlike-d (pid %ld) uses this spool", spool,
                     (long)holder);
    free(path);
    return rc < 0 ? rc : 0;
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* A killed daemon may have left a zygote that still reads its last orders, and supervisors
 * that have no folder yet: looking into the spool before they are done would start
 * their steps a second time. All of them hold spool/starting shared; so do we from now on. */
static int spool_settle(struct noded *d, struct err *err)
{
    const struct sigaction on = {.sa_handler = on_alarm}; /* no SA_RESTART: it ends flock() */
    struct sigaction before;
    char *path = xasprintf("%s/starting", d->spool);
    int rc = 0;
    d->starting_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->starting_fd < 0) {
        rc = err_errno(err, "%s", path);
    } else {
        sigaction(SIGALRM, &on, &before);
        alarm(STARTING_WAIT_SECONDS);
        if (flock(d->starting_fd, LOCK_EX) < 0 || flock(d->starting_fd, LOCK_SH) < 0)
            rc = err_set(err, -EBUSY, "%s: a former slurmlike-d's slurmlike-stepd still "
                         "holds it after %d s; end that process and start again", path,
                         STARTING_WAIT_SECONDS);
        alarm(0);
        sigaction(SIGALRM, &before, NULL);
    }
    free(path);
    return rc;
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct noded *d = arg;
    (void)what;
    if (sig == SIGHUP) {
        struct err err;
        if (log_reopen(&err) < 0)
            log_error("main", "%s", err.text);
        return;
    }
    log_info("main", "signal %d: ending; jobs go on", (int)sig);
    d->stopping = true;
    event_base_loopbreak(d->base);
}

static int noded_setup(struct noded *d, struct err *err)
{
    d->name = d->opts.name ? xstrdup(d->opts.name) : own_name();
    d->addr = xstrdup(d->opts.addr ? d->opts.addr : d->name);
    d->port = d->opts.port_given ? d->opts.port : d->conf->node_port;
    d->spool = path_expand(d->opts.spool ? d->opts.spool : d->conf->node_spool_dir, d->name);
    controller_read(d);
    if (!d->opts.munge_socket)
        d->opts.munge_socket = d->munge_socket = xstrdup(d->conf->munge_socket);
    d->node_uid = geteuid();
    d->started = clock_wall_usec();
    inventory_boot_id(d->boot_id, sizeof(d->boot_id));
    if (strlen(d->name) > NAME_LEN_MAX || strchr(d->name, '/') || !d->name[0])
        return err_set(err, -EINVAL, "\"%s\" is no node name", d->name);
    if (dirs_create(d->spool, err) < 0 || spool_check(d->spool, err) < 0 ||
        spool_lock(d->spool, err) < 0 || spool_settle(d, err) < 0)
        return err->code;
    char *path = xasprintf("%s/reports", d->spool);
    d->reports = report_log_open(path, err);
    free(path);
    return d->reports ? 0 : err->code;
}

static int noded_start(struct noded *d, struct err *err)
{
    if (supervisors_listen(d, err) < 0 || routes_listen(d, err) < 0)
        return err->code;
    jobs_load(d);
    return ctld_link_start(d, err);
}

int main(int argc, char **argv)
{
    static struct noded d;
    struct start st = {0};
    struct err err = {0};

    options_read(argc, argv, &d.opts, &st);
    d.conf = conf_load(st.config, &err);
    if (!d.conf)
        die(err.text);
    if (log_init("slurmlike-d", st.log ? st.log : d.conf->log_target,
                 st.level ? st.level : d.conf->log_level, &err) < 0)
        die(err.text);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    d.base = event_base_new();
    if (noded_setup(&d, &err) < 0)
        die(err.text);
    struct event *sig[3];
    const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++) {
        sig[i] = evsignal_new(d.base, numbers[i], on_signal, &d);
        event_add(sig[i], NULL);
    }
    if (noded_start(&d, &err) < 0)
        die(err.text);
    event_base_dispatch(d.base);

    d.stopping = true;
    ctld_link_stop(&d);
    routes_close(&d);
    jobs_fini(&d);
    zygote_stop(&d);
    supervisors_close(&d);
    report_log_close(d.reports);
    close(d.starting_fd);
    for (int i = 0; i < 3; i++)
        event_free(sig[i]);
    event_base_free(d.base);
    conf_destroy(d.conf);
    free(d.conf_text);
    free(d.munge_socket);
    free(d.controller);
    free(d.name);
    free(d.addr);
    free(d.spool);
    log_fini();
    return 0;
}
