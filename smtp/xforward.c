/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xforward.c - whose mail it is, for a content filter (smtp_send_xforward_command)
 *
 * XFORWARD_README of Postfix: attributes that the server announces, values in xtext; what is not
 * known is
 * "[UNAVAILABLE]". A command line has at most 512 bytes, so there may be more than one.
 *
 * Runs in: smtp. Values come from strangers, by way of the queue file.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"
#include "mail/xtext.h"
#include "queue/queue.h"
#include "smtp/smtp.h"

enum { COMMAND_MAX = 510, VALUE_MAX = 255 };

static bool announces(const struct connection *k, const char *name)
{
    struct span list = str_span(&k->ehlo.xforward), word;

    while (span_word(&list, " ", &word))
        if (span_eq_nocase_str(word, name))
            return true;
    return false;
}

/* Add " NAME=value" to the command, which is sent and begun anew when it is full. Returns 1 if it
 * was sent. */
static int add(struct connection *k, struct str *command, const char *name, const char *value)
{
    _cleanup_(str_free) struct str word = STR_INIT;
    int sent = 0;

    str_addf(&word, " %s=", name);
    xtext_encode(&word, span_first(span_of(value && *value ? value : "[UNAVAILABLE]"), VALUE_MAX));
    if (command->len + word.len > COMMAND_MAX) {
        stream_printf(k->stream, "%s\r\n", str_cstr(command));
        str_reset(command);
        sent = 1;
    }
    if (command->len == 0)
        str_add_str(command, "XFORWARD");
    str_add(command, str_span(&word));
    return sent;
}

int xforward_put(struct delivery *d, struct connection *k)
{
    struct queue_envelope e = { 0 };
    _cleanup_(str_free) struct str command = STR_INIT;
    char port[16] = "";
    int n = 0;
    int r = queue_read(d->fd, d->request.queue_id, &queue_default_limits, &e, NULL);

    if (r < 0)
        return r;
    if (e.client_port > 0)
        snprintf(port, sizeof port, "%" PRIu32, e.client_port);
    const struct {
        const char *name, *value;
    } attributes[] = {
        { "NAME", e.client_name },
        { "ADDR", e.client_addr },
        { "PORT", port },
        { "PROTO", e.proto },
        { "HELO", e.helo },
        { "IDENT", d->request.queue_id },
        { "SOURCE", e.origin == SUBMIT_NETWORK ? "REMOTE" : "LOCAL" },
    };
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (announces(k, attributes[i].name))
            n += add(k, &command, attributes[i].name, attributes[i].value);
    if (command.len > 0) {
        stream_printf(k->stream, "%s\r\n", str_cstr(&command));
        n++;
    }
    queue_envelope_done(&e);
    return n;
}
