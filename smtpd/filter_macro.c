/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_macro.c - the macros that mail filters are told, as Sendmail names them
 *
 * The queue id ("i") is not among them: cleanup makes it, and adds it at the end of the header and of the message.
 *
 * Runs in: smtpd. Values are the client's, raw: they travel with their length.
 */
#include "smtpd/filter_macro.h"

#include <openssl/x509.h>

#include "base/mem.h"
#include "mail/address.h"
#include "smtpd/smtpd.h"

static void add_hostname(struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->sv->params->myhostname);
}

static void add_v(struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->sv->params->milter_macro_v);
}

/* "_": who the client is, with Sendmail's blank before the bracket */
static void add_validated(struct smtpd *s, struct str *ret)
{
    str_addf(ret, SPAN_FMT " [%s]", SPAN_ARG(str_span(&s->name)), s->addr);
}

/* ---- the two ends ---- */

static void add_client_addr(struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->addr);
}

static void add_client_name(struct smtpd *s, struct str *ret)
{
    str_add(ret, str_span(&s->name));
}

static void add_client_port(struct smtpd *s, struct str *ret)
{
    str_add_u64(ret, s->port);
}

static void add_client_ptr(struct smtpd *s, struct str *ret)
{
    str_add(ret, str_span(&s->reverse_name));
}

static void add_client_resolve(struct smtpd *s, struct str *ret)
{
    if (s->name_state == CLIENT_NAME_OK)
        str_add_str(ret, "OK");
    else if (s->name_state == CLIENT_NAME_TEMPORARY)
        str_add_str(ret, "TEMP");
    else
        str_add_str(ret, s->reverse_name_state == CLIENT_NAME_OK ? "FORGED" : "FAIL");
}

static void add_daemon_name(struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->sv->params->milter_macro_daemon_name);
}

static bool has_local(const struct smtpd *s)
{
    return s->local.sa.sa_family == AF_INET || s->local.sa.sa_family == AF_INET6;
}

static void add_daemon_addr(struct smtpd *s, struct str *ret)
{
    char addr[INET6_ADDRSTRLEN];

    if (has_local(s))
        str_add_str(ret, socket_addr_print(&s->local, addr));
}

static void add_daemon_port(struct smtpd *s, struct str *ret)
{
    if (has_local(s))
        str_add_u64(ret, socket_addr_port(&s->local));
}

/* ---- who has signed in, and how ---- */

static void add_auth_type(struct smtpd *s, struct str *ret)
{
    str_add_str(ret, s->sasl_method);
}

static void add_auth_authen(struct smtpd *s, struct str *ret)
{
    str_add(ret, str_span(&s->sasl_username));
}

static void add_auth_author(struct smtpd *s, struct str *ret)
{
    if (s->sasl_username.len > 0)
        str_add(ret, str_span(&s->mail.auth));
}

static void add_tls_version(struct smtpd *s, struct str *ret)
{
    if (stream_ssl(s->client))
        str_add_str(ret, SSL_get_version(stream_ssl(s->client)));
}

static void add_cipher(struct smtpd *s, struct str *ret)
{
    if (stream_ssl(s->client))
        str_add_str(ret, SSL_get_cipher_name(stream_ssl(s->client)));
}

static void add_cipher_bits(struct smtpd *s, struct str *ret)
{
    if (stream_ssl(s->client))
        str_add_u64(ret, (uint64_t)SSL_get_cipher_bits(stream_ssl(s->client), NULL));
}

/* The common name, of a certificate that was verified */
static void add_common_name(struct smtpd *s, X509_NAME *(*of)(const X509 *), struct str *ret)
{
    SSL *ssl = stream_ssl(s->client);
    X509 *cert = ssl && SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : NULL;
    char name[256];

    if (cert && X509_NAME_get_text_by_NID(of(cert), NID_commonName, name, sizeof(name)) > 0)
        str_add_str(ret, name);
}

static void add_cert_subject(struct smtpd *s, struct str *ret)
{
    add_common_name(s, X509_get_subject_name, ret);
}

static void add_cert_issuer(struct smtpd *s, struct str *ret)
{
    add_common_name(s, X509_get_issuer_name, ret);
}

/* ---- addresses, and where they would go ---- */

static void add_mail_addr(struct smtpd *s, struct str *ret)
{
    address_quote(ret, str_span(&s->sender));
}

static void add_rcpt_addr(struct smtpd *s, struct str *ret)
{
    address_quote(ret, str_span(&s->rcpt));
}

enum route_part { ROUTE_HOST, ROUTE_MAILER };

static void add_route(struct smtpd *s, struct span address, enum route_part part, struct str *ret)
{
    _cleanup_(route_done) struct route route = { 0 };

    if (address.len == 0 || route_resolve(s->sv->router, SPAN_NULL, address, &route) < 0)
        return;
    if (part == ROUTE_HOST)
        str_add(ret, str_span(&route.nexthop));
    else
        str_add_str(ret, route.transport);
}

static void add_mail_host(struct smtpd *s, struct str *ret)
{
    add_route(s, str_span(&s->sender), ROUTE_HOST, ret);
}

static void add_mail_mailer(struct smtpd *s, struct str *ret)
{
    add_route(s, str_span(&s->sender), ROUTE_MAILER, ret);
}

static void add_rcpt_host(struct smtpd *s, struct str *ret)
{
    if (!s->rcpt_refused)
        add_route(s, str_span(&s->rcpt), ROUTE_HOST, ret);
}

/* "error" is how filters know a recipient that was refused */
static void add_rcpt_mailer(struct smtpd *s, struct str *ret)
{
    if (s->rcpt_refused)
        str_add_str(ret, "error");
    else
        add_route(s, str_span(&s->rcpt), ROUTE_MAILER, ret);
}

/* ---- the table ---- */

static const struct macro {
    struct span name;
    void (*add)(struct smtpd *s, struct str *ret);
} macros[] = {
    { SPAN("_"),                add_validated      },
    { SPAN("j"),                add_hostname       },
    { SPAN("v"),                add_v              },
    { SPAN("{auth_authen}"),    add_auth_authen    },
    { SPAN("{auth_author}"),    add_auth_author    },
    { SPAN("{auth_type}"),      add_auth_type      },
    { SPAN("{cert_issuer}"),    add_cert_issuer    },
    { SPAN("{cert_subject}"),   add_cert_subject   },
    { SPAN("{cipher}"),         add_cipher         },
    { SPAN("{cipher_bits}"),    add_cipher_bits    },
    { SPAN("{client_addr}"),    add_client_addr    },
    { SPAN("{client_name}"),    add_client_name    },
    { SPAN("{client_port}"),    add_client_port    },
    { SPAN("{client_ptr}"),     add_client_ptr     },
    { SPAN("{client_resolve}"), add_client_resolve },
    { SPAN("{daemon_addr}"),    add_daemon_addr    },
    { SPAN("{daemon_name}"),    add_daemon_name    },
    { SPAN("{daemon_port}"),    add_daemon_port    },
    { SPAN("{if_addr}"),        add_daemon_addr    },
    { SPAN("{if_name}"),        add_hostname       },
    { SPAN("{mail_addr}"),      add_mail_addr      },
    { SPAN("{mail_host}"),      add_mail_host      },
    { SPAN("{mail_mailer}"),    add_mail_mailer    },
    { SPAN("{rcpt_addr}"),      add_rcpt_addr      },
    { SPAN("{rcpt_host}"),      add_rcpt_host      },
    { SPAN("{rcpt_mailer}"),    add_rcpt_mailer    },
    { SPAN("{tls_version}"),    add_tls_version    },
};

void filter_macro(void *arg, struct span name, struct str *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(macros); i++)
        if (span_eq(macros[i].name, name)) {
            macros[i].add(arg, ret);
            return;
        }
}
