/* SPDX-License-Identifier: Apache-2.0 */
/*
 * haproxy.h - the PROXY protocol, versions 1 and 2: a proxy says whose connection it passes on
 *
 *     "PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"
 *     0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a  version+command  family  length (2)  addresses, ports, TLVs
 *
 * What follows the header is the client's own, and is left in the socket.
 */
#ifndef IO_HAPROXY_H
#define IO_HAPROXY_H

#include "io/socket.h"

enum {
    HAPROXY_V1_MAX = 107,   /* with CR LF, as the specification has it */
    HAPROXY_MAX = 4096,     /* longest header accepted; of version 2, with TLVs, most are below 300 */
};

struct haproxy {
    bool is_local;          /* the proxy speaks for itself (a health check), or cannot say for whom */
    union sockaddr_any client, server;  /* unless is_local */
};

/*
 * Take a header off the front of in. Returns its length; 0: not complete yet, all of in belongs to it;
 * -EPROTO: no header, or a malformed one; -EMSGSIZE: over HAPROXY_MAX.
 */
int haproxy_parse(struct span in, struct haproxy *ret);

/*
 * Read one from a socket from which nothing has been read yet, and no byte behind it. Returns 0, -EPROTO,
 * -EMSGSIZE, -ENODATA (closed before its end), -ETIMEDOUT, -ECANCELED or another -errno.
 */
MAY_WAIT int haproxy_read(int fd, uint64_t deadline, struct haproxy *ret);

#endif
