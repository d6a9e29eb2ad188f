/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.c - the forms in which a next hop is written
 *
 * transport(5) and lmtp(8) of Postfix: "domain", "[host]:port", "unix:path", "inet:host:port". The
 * service "host:submission" is a number here, since the sandbox has no /etc/services, but for the
 * few names below.
 *
 * Runs in: smtp. The text is the administrator's, or a recipient's domain.
 */
#include <errno.h>

#include "base/mem.h"
#include "mail/idna.h"
#include "smtp/smtp.h"

static int parse_port(struct span rest, unsigned default_port, unsigned *ret)
{
    static const struct {
        const char *name;
        unsigned port;
    } services[] = {
        {"smtp", 25}, {"submission", 587}, {"submissions", 465}, {"smtps", 465}, {"lmtp", 24}};
    uint32_t port;

    *ret = default_port;
    if (rest.len == 0)
        return 0;
    if (!span_take(&rest, ':'))
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (span_eq_nocase_str(rest, services[i].name)) {
            *ret = services[i].port;
            return 0;
        }
    if (span_u32(rest, 65535, &port) < 0 || port == 0)
        return -EINVAL;
    *ret = port;
    return 0;
}

void nexthop_done(struct nexthop *hop)
{
    str_free(&hop->host);
}

int nexthop_parse(struct span text, unsigned default_port, struct nexthop *ret)
{
    struct span host = text, rest = SPAN_NULL;

    str_reset(&ret->host);
    ret->is_unix = span_take_nocase(&text, "unix:");
    if (ret->is_unix) {
        str_add(&ret->host, text);
        return text.len > 0 && span_chr(text, '\0') < 0 ? 0 : -EINVAL;
    }
    if (span_take_nocase(&text, "inet:"))
        host = text;
    ret->no_mx = text.len > 0 && text.ptr[0] == '[';
    if (ret->no_mx) {
        ptrdiff_t end = span_chr(text, ']');
        if (end < 0)
            return -EINVAL;
        host = span_make(text.ptr + 1, (size_t)end - 1);
        rest = span_from(text, (size_t)end + 1);
        span_take_nocase(&host, "IPv6:");
    } else if (span_chr(text, ':') >= 0) {
        host = span_first(text, (size_t)span_chr(text, ':'));
        rest = span_from(text, host.len);
    }
    if (host.len == 0 || span_chr(host, '\0') >= 0 ||
        parse_port(rest, default_port, &ret->port) < 0)
        return -EINVAL;
    if (idna_to_ascii(host, &ret->host) < 0)
        str_set(&ret->host, host);
    return 0;
}
