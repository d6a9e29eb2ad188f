/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c - what the ID command says before sign-in (RFC 2971)
 *
 * The fields of web mail are those that Dovecot has made known. Whether the client may send its password
 * without TLS is still decided by the connection that there is.
 *
 * Runs in: imapd-login; the client is hostile.
 */
#include "login/id.h"

#include "base/log.h"
#include "base/mem.h"

static void take_name(struct login *l, struct span value)
{
    snprintf(l->client_name, sizeof l->client_name, SPAN_FMT, SPAN_ARG(value));
}

static void take_address(struct login *l, struct span value)
{
    union sockaddr_any addr;

    if (socket_addr_parse(value, 0, &addr) < 0) {
        log_warn("%s-login: %s: x-originating-ip is no address", l->server->protocol->name, l->remote);
        return;
    }
    socket_addr_unmap(&addr);
    socket_addr_print(&addr, l->remote);
    l->remote_port = 0;
}

static void take_port(struct login *l, struct span value)
{
    uint32_t port;

    if (span_u32(value, 65535, &port) == 0)
        l->remote_port = port;
}

static const struct {
    const char *name;
    enum { ANYBODY, TRUSTED } from;
    void (*take)(struct login *l, struct span value);
} fields[] = {
    { "name", ANYBODY, take_name },
    { "x-originating-ip", TRUSTED, take_address },
    { "x-originating-port", TRUSTED, take_port },
};

void login_id_answer(struct login *l)
{
    struct span pairs = span_of(l->sv->params->imap_id_send), word;
    const char *separator = "(";

    stream_puts(l->client, "* ID ");
    while (span_word(&pairs, " \t,", &word)) {
        _cleanup_(str_free) struct str quoted = STR_INIT;

        for (size_t i = 0; i < word.len; i++) {
            if (word.ptr[i] == '"' || word.ptr[i] == '\\')
                str_add_char(&quoted, '\\');
            str_add_char(&quoted, word.ptr[i]);
        }
        stream_printf(l->client, "%s\"%s\"", separator, str_cstr(&quoted));
        separator = " ";
    }
    stream_puts(l->client, separator[0] == '(' ? "NIL\r\n" : ")\r\n");
}

void login_id_field(struct login *l, struct span field, struct span value)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (span_eq_nocase_str(field, fields[i].name) && (fields[i].from == ANYBODY || l->trusted))
            fields[i].take(l, value);
}
