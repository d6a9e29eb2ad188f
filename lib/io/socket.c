/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - addresses, listening, connecting
 *
 * Connections have TCP_NODELAY: streams write whole bursts, and Nagle's wait
 * for an acknowledgement would only delay the end of each. An accepted socket
 * inherits it from the listening one.
 *
 * Runs in: everything. Text of addresses may be hostile.
 */
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/own.h"

enum { BACKLOG_RETRY_MS = 5 };

int socket_addr_parse(struct span text, unsigned port, union sockaddr_any *ret)
{
    union sockaddr_any a = {.storage = {0}};
    char buf[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof buf || port > UINT16_MAX || span_chr(text, '\0') >= 0)
        return -EINVAL;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    if (inet_pton(AF_INET, buf, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, buf, &a.in6.sin6_addr) == 1) {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons((uint16_t)port);
    } else {
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

void socket_addr_unmap(union sockaddr_any *a)
{
    union sockaddr_any v4 = {.in = {.sin_family = AF_INET}};

    if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        return;
    memcpy(&v4.in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
    v4.in.sin_port = a->in6.sin6_port;
    *a = v4;
}

const char *socket_addr_print(const union sockaddr_any *a, char buf[static INET6_ADDRSTRLEN])
{
    union sockaddr_any plain = *a;

    socket_addr_unmap(&plain);
    const void *addr = plain.sa.sa_family == AF_INET6 ? (const void *)&plain.in6.sin6_addr
                                                      : (const void *)&plain.in.sin_addr;
    if ((plain.sa.sa_family != AF_INET && plain.sa.sa_family != AF_INET6) ||
        !inet_ntop(plain.sa.sa_family, addr, buf, INET6_ADDRSTRLEN))
        snprintf(buf, INET6_ADDRSTRLEN, "unknown");
    return buf;
}

unsigned socket_addr_port(const union sockaddr_any *a)
{
    switch (a->sa.sa_family) {
    case AF_INET:
        return ntohs(a->in.sin_port);
    case AF_INET6:
        return ntohs(a->in6.sin6_port);
    default:
        return 0;
    }
}

socklen_t socket_addr_len(const union sockaddr_any *a)
{
    switch (a->sa.sa_family) {
    case AF_INET:
        return sizeof a->in;
    case AF_INET6:
        return sizeof a->in6;
    default:
        return sizeof a->storage;
    }
}

/* set_on - a boolean option */
static int set_on(int fd, int level, int option)
{
    const int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

int socket_listen_inet(const union sockaddr_any *a, int backlog)
{
    _cleanup_close_ int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : set_on(fd, SOL_SOCKET, SO_REUSEADDR);

    if (r == 0 && a->sa.sa_family == AF_INET6)
        r = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (r == 0)
        r = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
    if (r < 0)
        return r;
    if (bind(fd, &a->sa, socket_addr_len(a)) < 0 || listen(fd, backlog) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* unix_addr - 0, or -ENAMETOOLONG */
static int unix_addr(const char *path, struct sockaddr_un *ret)
{
    size_t len = strlen(path);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len >= sizeof ret->sun_path)
        return -ENAMETOOLONG;
    memcpy(ret->sun_path, path, len);
    return 0;
}

/* remove_stale - unlink a socket that nobody listens on; 0, or -EADDRINUSE */
static int remove_stale(const char *path)
{
    struct stat sb;

    if (lstat(path, &sb) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(sb.st_mode))
        return -EADDRINUSE;
    _cleanup_close_ int fd = socket_connect_unix(path, clock_ms());
    if (fd != -ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(path) < 0 ? -errno : 0;
}

int socket_listen_unix(const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un addr;
    int r = unix_addr(path, &addr);

    if (r == 0)
        r = remove_stale(path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode of the descriptor becomes that of the file: never wider than asked, not even at
     * first. */
    if (fd < 0 || fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        chmod(path, mode) < 0 || listen(fd, backlog) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* connect_error - of a connection begun on fd that is writable */
static int connect_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

int socket_connect_state(int fd)
{
    union sockaddr_any peer;
    socklen_t len = sizeof peer;
    int error = connect_error(fd);

    if (error < 0 || getpeername(fd, &peer.sa, &len) == 0)
        return error;
    return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

/* bind_local - our end's address; its port is chosen at connect, from all that are free there */
static int bind_local(int fd, const union sockaddr_any *from)
{
    if (socket_addr_port(from) == 0)
        set_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT); /* old kernels do without */
    return bind(fd, &from->sa, socket_addr_len(from)) < 0 ? -errno : 0;
}

int socket_connect_begin(const union sockaddr_any *to, const union sockaddr_any *bind_to,
                         bool *ret_connected)
{
    _cleanup_close_ int fd =
        socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : set_on(fd, IPPROTO_TCP, TCP_NODELAY);

    if (r == 0 && bind_to)
        r = bind_local(fd, bind_to);
    if (r < 0)
        return r;
    *ret_connected = connect(fd, &to->sa, socket_addr_len(to)) == 0;
    if (!*ret_connected && errno != EINPROGRESS)
        return -errno;
    return TAKE_FD(fd);
}

int socket_connect(const union sockaddr_any *to, const union sockaddr_any *bind_to,
                   uint64_t deadline)
{
    bool connected = false;
    _cleanup_close_ int fd = socket_connect_begin(to, bind_to, &connected);
    int r = fd < 0 || connected ? 0 : fiber_wait_fd(fd, EPOLLOUT, deadline);

    if (fd >= 0 && r > 0)
        r = connect_error(fd);
    return r < 0 ? r : TAKE_FD(fd);
}

int socket_connect_unix(const char *path, uint64_t deadline)
{
    _cleanup_close_ int fd = -1;
    struct sockaddr_un addr;
    int r = unix_addr(path, &addr);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    while (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        uint64_t now = clock_ms(); /* the backlog is full, and no event tells when it is not */
        if (now >= deadline)
            return -ETIMEDOUT;
        r = fiber_sleep_until(now + BACKLOG_RETRY_MS);
        if (r < 0)
            return r;
    }
    return TAKE_FD(fd);
}

int socket_connect_path_fd(int path_fd, uint64_t deadline)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    return socket_connect_unix(path, deadline);
}

int socket_peer_cred(int fd, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret_pid = cred.pid;
    *ret_uid = cred.uid;
    *ret_gid = cred.gid;
    return 0;
}
