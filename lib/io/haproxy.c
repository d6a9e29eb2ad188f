/* SPDX-License-Identifier: Apache-2.0 */
/*
 * haproxy.c - the PROXY protocol, versions 1 and 2
 *
 * Version 1 is a line of text, version 2 binary with TLVs, which are skipped. The header says who the client is, so
 * a service that expects it refuses everything else: a client that could send, or leave out, a header of its
 * own would be whom it likes.
 *
 * Runs in: fronts. Input comes from a proxy of ours, or from anybody who can reach the port.
 */
#include "io/haproxy.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/mem.h"

static const struct span v1_start = SPAN("PROXY ");
static const struct span v2_start = SPAN("\r\n\r\n\0\r\nQUIT\n");

enum { V2_FIXED = 16, V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

/* Could `in`, as far as it goes, be the start of something that begins with `start`? */
static bool may_become(struct span in, struct span start)
{
    return span_eq(span_first(in, start.len), span_first(start, in.len));
}

/* ---- version 1 ---- */

/* No sign, no leading zero */
static int parse_port(struct span text, unsigned *ret)
{
    uint32_t n;

    if (span_u32(text, 65535, &n) < 0 || (text.len > 1 && text.ptr[0] == '0'))
        return -EPROTO;
    *ret = n;
    return 0;
}

static int parse_addr(struct span text, unsigned port, int family, union sockaddr_any *ret)
{
    return socket_addr_parse(text, port, ret) < 0 || ret->sa.sa_family != family ? -EPROTO : 0;
}

/* "TCP4 client server client-port server-port": single blanks, nothing else */
static int parse_line(struct span line, struct haproxy *ret)
{
    struct span proto = span_cut(&line, ' ');
    struct span fields[4];
    unsigned client_port, server_port;
    int family = span_eq_str(proto, "TCP4") ? AF_INET : AF_INET6;

    if (span_eq_str(proto, "UNKNOWN")) { /* whatever follows is to be ignored */
        ret->is_local = true;
        return 0;
    }
    if (family == AF_INET6 && !span_eq_str(proto, "TCP6"))
        return -EPROTO;
    for (size_t i = 0; i < 3; i++)
        fields[i] = span_cut(&line, ' ');
    fields[3] = line;
    if (parse_port(fields[2], &client_port) < 0 || parse_port(fields[3], &server_port) < 0 ||
        parse_addr(fields[0], client_port, family, &ret->client) < 0 ||
        parse_addr(fields[1], server_port, family, &ret->server) < 0)
        return -EPROTO;
    return 0;
}

static int parse_v1(struct span in, struct haproxy *ret)
{
    struct span head = span_first(in, HAPROXY_V1_MAX);
    ptrdiff_t end = span_find(head, (struct span)SPAN("\r\n"));

    if (end < 0)
        return in.len >= HAPROXY_V1_MAX ? -EPROTO : 0;
    int r = parse_line(span_from(span_first(head, (size_t)end), v1_start.len), ret);
    return r < 0 ? r : (int)end + 2;
}

/* ---- version 2 ---- */

static unsigned u16_at(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* client address, server address, client port, server port */
static int take_v4(struct span body, struct haproxy *ret)
{
    if (body.len < 12)
        return -EPROTO;
    ret->client.in.sin_family = ret->server.in.sin_family = AF_INET;
    memcpy(&ret->client.in.sin_addr, body.ptr, 4);
    memcpy(&ret->server.in.sin_addr, body.ptr + 4, 4);
    memcpy(&ret->client.in.sin_port, body.ptr + 8, 2);
    memcpy(&ret->server.in.sin_port, body.ptr + 10, 2);
    return 0;
}

static int take_v6(struct span body, struct haproxy *ret)
{
    if (body.len < 36)
        return -EPROTO;
    ret->client.in6.sin6_family = ret->server.in6.sin6_family = AF_INET6;
    memcpy(&ret->client.in6.sin6_addr, body.ptr, 16);
    memcpy(&ret->server.in6.sin6_addr, body.ptr + 16, 16);
    memcpy(&ret->client.in6.sin6_port, body.ptr + 32, 2);
    memcpy(&ret->server.in6.sin6_port, body.ptr + 34, 2);
    return 0;
}

static int parse_body(unsigned command, unsigned family, struct span body, struct haproxy *ret)
{
    if (command == V2_LOCAL) {
        ret->is_local = true;
        return 0;
    }
    if (command != V2_PROXY)
        return -EPROTO;
    if (family == V2_TCP4)
        return take_v4(body, ret);
    if (family == V2_TCP6)
        return take_v6(body, ret);
    if (family != 0)
        return -EPROTO;
    ret->is_local = true; /* AF_UNSPEC */
    return 0;
}

static int parse_v2(struct span in, struct haproxy *ret)
{
    if (in.len < V2_FIXED)
        return 0;

    size_t len = V2_FIXED + u16_at(in.ptr + 14);

    if (len > HAPROXY_MAX)
        return -EMSGSIZE;
    if (in.len < len)
        return 0;
    int r = parse_body((unsigned char)in.ptr[12], (unsigned char)in.ptr[13],
                       span_from(span_first(in, len), V2_FIXED), ret);
    return r < 0 ? r : (int)len;
}

int haproxy_parse(struct span in, struct haproxy *ret)
{
    struct haproxy found = { 0 };
    int r = -EPROTO;

    if (may_become(in, v2_start))
        r = parse_v2(in, &found);
    else if (may_become(in, v1_start))
        r = parse_v1(in, &found);
    if (r > 0)
        *ret = found;
    return r;
}

/* ---- reading ---- */

static ssize_t look(int fd, void *buf, size_t len, int flags)
{
    ssize_t n = recv(fd, buf, len, flags | MSG_DONTWAIT);

    if (n < 0)
        return -errno;
    return n == 0 ? -ENODATA : n;
}

/* Takes off the socket what belongs to the header only */
static int read_more(int fd, struct str *have, struct haproxy *ret)
{
    char buf[512];
    size_t before = have->len;
    ssize_t n = look(fd, buf, sizeof buf, MSG_PEEK);

    if (n < 0)
        return (int)n;
    str_add(have, span_make(buf, (size_t)n));
    int r = haproxy_parse(str_span(have), ret);
    if (r < 0)
        return r;
    n = look(fd, buf, r > 0 ? (size_t)r - before : (size_t)n, 0);
    return n < 0 ? (int)n : r;
}

int haproxy_read(int fd, uint64_t deadline, struct haproxy *ret)
{
    _cleanup_(str_free) struct str have = STR_INIT;

    for (;;) {
        int r = read_more(fd, &have, ret);

        if (r == -EAGAIN)
            r = fiber_wait_fd(fd, EPOLLIN, deadline) < 0 ? fiber_cancelled() ? -ECANCELED : -ETIMEDOUT : 0;
        if (r != 0)
            return r > 0 ? 0 : r;
    }
}
