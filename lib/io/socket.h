/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.h - addresses, listening, connecting
 */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"
#include "io/fiber.h"

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* Parse "192.0.2.1" or "2001:db8::1" (no brackets) with a port in host order. 0 or -EINVAL. */
int socket_addr_parse(struct span text, unsigned port, union sockaddr_any *ret);
/* "192.0.2.1" / "2001:db8::1"; IPv4-mapped IPv6 is shown as IPv4. buf has INET6_ADDRSTRLEN bytes. */
const char *socket_addr_print(const union sockaddr_any *a, char buf[static INET6_ADDRSTRLEN]);
unsigned socket_addr_port(const union sockaddr_any *a);
/* ::ffff:a.b.c.d becomes AF_INET a.b.c.d in place. */
void socket_addr_unmap(union sockaddr_any *a);
socklen_t socket_addr_len(const union sockaddr_any *a);

/* Listening sockets: non-blocking, close-on-exec. The descriptor or -errno. */
int socket_listen_inet(const union sockaddr_any *a, int backlog);       /* SO_REUSEADDR, V6ONLY for IPv6 */
int socket_listen_unix(const char *path, mode_t mode, int backlog);     /* replaces a stale socket */

/* Connect; bind_to may be NULL. The connected non-blocking descriptor or -errno. */
MAY_WAIT int socket_connect(const union sockaddr_any *to, const union sockaddr_any *bind_to,
                            uint64_t deadline);
/* The same without waiting: *ret_connected tells whether it is over; else the descriptor becomes writable when
 * it is, and socket_connect_state() gives 0, -EINPROGRESS or what went wrong. */
int socket_connect_begin(const union sockaddr_any *to, const union sockaddr_any *bind_to, bool *ret_connected);
int socket_connect_state(int fd);
MAY_WAIT int socket_connect_unix(const char *path, uint64_t deadline);
/* Connect to the socket behind an O_PATH descriptor (through /proc/self/fd). */
MAY_WAIT int socket_connect_path_fd(int path_fd, uint64_t deadline);

/* SO_PEERCRED of a Unix socket. 0 or -errno. */
int socket_peer_cred(int fd, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid);

#endif
