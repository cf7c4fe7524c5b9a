/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "wire/bind.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* Removes a socket file that nobody listens on. */
static int unix_clear(const struct target *t, struct err *err)
{
    struct stat st;
    if (lstat(t->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "socket %s", t->un.sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "socket %s: a file that is no socket is there",
                       t->un.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    int rc = connect(fd, (const struct sockaddr *)&t->un, sizeof(t->un));
    int why = errno;
    close(fd);
    if (rc == 0 || why == EAGAIN)
        return err_set(err, -EADDRINUSE, "socket %s: another program listens on it",
                       t->un.sun_path);
    if (unlink(t->un.sun_path) < 0 && errno != ENOENT)
        return err_errno(err, "remove old socket %s", t->un.sun_path);
    return 0;
}

int bind_unix(const struct target *t, mode_t mode, struct stat *file, struct err *err)
{
    int rc = unix_clear(t, err);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    /* Linux takes the mode of the socket inode for the file, so that it is at no
     * instant wider than asked; chmod() only undoes the umask. */
    if (fchmod(fd, mode) < 0 ||
        bind(fd, (const struct sockaddr *)&t->un, sizeof(t->un)) < 0 ||
        chmod(t->un.sun_path, mode) < 0 || lstat(t->un.sun_path, file) < 0 ||
        listen(fd, BACKLOG) < 0) {
        rc = err_errno(err, "listen on %s", t->un.sun_path);
        close(fd);
        return rc;
    }
    return fd;
}

static int tcp_try(const struct addrinfo *a, struct err *err)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int rc = err_errno(err, "listen");
    close(fd);
    return rc;
}

static int tcp_port(int fd, unsigned *port, struct err *err)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } name;
    socklen_t len = sizeof(name);
    if (getsockname(fd, &name.sa, &len) < 0)
        return err_errno(err, "getsockname");
    *port =
        ntohs(name.sa.sa_family == AF_INET6 ? name.in6.sin6_port : name.in.sin_port);
    return 0;
}

int bind_tcp(const struct target *t, unsigned *port, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    int rc = getaddrinfo(t->host[0] ? t->host : NULL, t->port, &hints, &list);
    if (rc != 0)
        return err_set(err, -EHOSTUNREACH, "host %s: %s", t->host, gai_strerror(rc));
    int fd = -1;
    /* Any address: the IPv6 one serves both. */
    for (int want6 = t->host[0] == '\0'; want6 >= 0 && fd < 0; want6--)
        for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
            if (!want6 || a->ai_family == AF_INET6)
                fd = tcp_try(a, err);
    freeaddrinfo(list);
    if (fd < 0)
        return err_prefix(err, "%s:%s", t->host, t->port);
    rc = tcp_port(fd, port, err);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}
