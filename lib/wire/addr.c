/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "wire/addr.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static int unix_parse(const char *path, struct target *t, struct err *err)
{
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(t->un.sun_path))
        return err_set(
            err, -EINVAL,
            "socket path %s: must have 1 to %zu bytes (a limit of the kernel)", path,
            sizeof(t->un.sun_path) - 1);
    t->local = true;
    t->un.sun_family = AF_UNIX;
    memcpy(t->un.sun_path, path, n + 1);
    return 0;
}

int target_parse(const char *text, struct target *t, struct err *err)
{
    memset(t, 0, sizeof(*t));
    if (strncmp(text, "unix:", 5) == 0)
        return unix_parse(text + 5, t, err);

    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    if (!colon)
        return err_set(err, -EINVAL, "address %s: must be host:port or unix:/path",
                       text);
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    } else if (memchr(host, ':', host_len)) {
        return err_set(err, -EINVAL, "address %s: write an IPv6 address in brackets",
                       text);
    }
    uint64_t port;
    int rc = num_parse_u64("port", colon + 1, 0, 65535, &port, err);
    if (rc < 0)
        return err_prefix(err, "address %s", text);
    if (host_len >= sizeof(t->host))
        return err_set(err, -EINVAL, "address %s: host name too long", text);
    memcpy(t->host, host, host_len);
    snprintf(t->port, sizeof(t->port), "%u", (unsigned)port);
    return 0;
}

void peer_set_addr(struct wire_peer *peer, const struct sockaddr *sa, socklen_t len)
{
    char host[64], port[8];
    if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(peer->addr, sizeof(peer->addr), "unknown address");
        return;
    }
    snprintf(peer->addr, sizeof(peer->addr), strchr(host, ':') ? "[%s]:%s" : "%s:%s",
             host, port);
}

int peer_set_unix(struct wire_peer *peer, int fd, struct err *err)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return err_errno(err, "SO_PEERCRED");
    memset(peer, 0, sizeof(*peer));
    peer->uid = cred.uid;
    peer->gid = cred.gid;
    peer->pid = cred.pid;
    peer->local = true;
    snprintf(peer->addr, sizeof(peer->addr), "unix");
    return 0;
}
