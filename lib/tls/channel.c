/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - what binds a sign-in to its TLS connection: tls-exporter of RFC 9266
 *
 * Runs in: smtpd, imapd-login, pop3d-login. Logs nothing.
 */
#include "tls/tls.h"

#define LABEL "EXPORTER-Channel-Binding"

enum { BINDING_BYTES = 32 };

bool tls_channel_binding(SSL *ssl, struct str *ret)
{
    unsigned char data[BINDING_BYTES];

    /* Below TLS 1.3 the exporter is unique only with the extended master secret (RFC 9266 section 2). */
    if (!ssl || (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) ||
        SSL_export_keying_material(ssl, data, sizeof data, LABEL, sizeof LABEL - 1, (const unsigned char *)"", 0, 1) != 1)
        return false;
    str_add(ret, span_make(data, sizeof data));
    return true;
}
