/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.c - MAIL and RCPT as they are written
 *
 * RFC 5321 section 4.1.1, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 3461 (DSN), RFC 6531 (SMTPUTF8). A
 * server is told only what it has announced.
 *
 * Runs in: smtp. Addresses are hostile, but were parsed when they came in.
 */
#include <errno.h>

#include "base/mem.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "mail/xtext.h"
#include "smtp/rewrite.h"

/* local@domain with the domain in A-labels: all that many an SMTPUTF8 address needs to go the old
 * way */
static int add_downgraded(struct span address, struct str *ret)
{
    _cleanup_(str_free) struct str ascii = STR_INIT;

    if (!idna_is_ascii(address_local(address)) ||
        idna_to_ascii(address_domain(address), &ascii) < 0)
        return -EINVAL;
    str_add(ret, address_local(address));
    str_add_char(ret, '@');
    str_add(ret, str_span(&ascii));
    return 0;
}

int envelope_path(const struct connection *k, struct span address, struct str *ret)
{
    _cleanup_(str_free) struct str ascii = STR_INIT, mapped = STR_INIT;
    int r = generic_map(k->client, address, &mapped);

    if (r < 0)
        return r == -EINVAL ? -EIO : r;
    if (r > 0)
        address = str_span(&mapped);
    if (!(k->ehlo.features & FEATURE_SMTPUTF8) && !idna_is_ascii(address)) {
        r = add_downgraded(address, &ascii);
        if (r < 0)
            return r;
        address = str_span(&ascii);
    }
    if (k->client->params->smtp_quote_rfc821_envelope)
        address_quote(ret, address);
    else
        str_add(ret, address);
    return 0;
}

void envelope_put_mail(struct delivery *d, struct connection *k, struct span path)
{
    const struct deliver *m = &d->request;
    struct stream *st = k->stream;
    unsigned f = k->ehlo.features;

    stream_printf(st, "MAIL FROM:<" SPAN_FMT ">", SPAN_ARG(path));
    if (f & FEATURE_SIZE)
        stream_printf(st, " SIZE=%llu", (unsigned long long)m->content_size);
    if (f & FEATURE_8BITMIME && m->flags & SUBMIT_8BIT)
        stream_puts(st, " BODY=8BITMIME");
    if (f & FEATURE_SMTPUTF8 && m->flags & SUBMIT_SMTPUTF8)
        stream_puts(st, " SMTPUTF8");
    if (f & FEATURE_DSN && m->dsn_ret != DSN_RET_NONE)
        stream_puts(st, m->dsn_ret == DSN_RET_FULL ? " RET=FULL" : " RET=HDRS");
    if (f & FEATURE_DSN && m->dsn_envid.len > 0) {
        _cleanup_(str_free) struct str envid = STR_INIT;
        xtext_encode(&envid, str_span(&m->dsn_envid));
        stream_printf(st, " ENVID=%s", str_cstr(&envid));
    }
    if (f & FEATURE_AUTH && k->client->params->smtp_send_dummy_mail_auth && k->signed_in)
        stream_puts(st, " AUTH=<>");
    stream_puts(st, "\r\n");
}

static void put_notify(struct stream *st, uint32_t notify)
{
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = { { DSN_NEVER, "NEVER" }, { DSN_SUCCESS, "SUCCESS" }, { DSN_FAILURE, "FAILURE" },
                  { DSN_DELAY, "DELAY" } };
    const char *before = " NOTIFY=";

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (notify & words[i].bit) {
            stream_printf(st, "%s%s", before, words[i].word);
            before = ",";
        }
}

void envelope_put_rcpt(struct delivery *d, struct connection *k, const struct delivery_rcpt *r,
                       struct span path)
{
    struct stream *st = k->stream;

    (void)d;
    stream_printf(st, "RCPT TO:<" SPAN_FMT ">", SPAN_ARG(path));
    if (k->ehlo.features & FEATURE_DSN) {
        put_notify(st, r->r.dsn_notify);
        struct span type = str_span(&r->r.dsn_orcpt), addr = type;
        if (addr.len > 0) {
            _cleanup_(str_free) struct str text = STR_INIT;
            type = span_cut(&addr, ';');
            xtext_encode(&text, addr);
            stream_printf(st, " ORCPT=" SPAN_FMT ";%s", SPAN_ARG(type), str_cstr(&text));
        }
    }
    stream_puts(st, "\r\n");
}
