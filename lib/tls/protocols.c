/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocols.c - Postfix's syntax for protocol versions
 *
 * Runs in: smtpd, smtp and the login fronts, at start; the text is the administrator's.
 */
#include <errno.h>

#include "base/mem.h"
#include "tls/internal.h"

static const struct version {
    struct span name;
    int version; /* 0: no longer in OpenSSL, but still found in lists of exclusions */
    uint64_t option;
} versions[] = {
    {SPAN("SSLv2"),   0,              0                },
    {SPAN("SSLv3"),   SSL3_VERSION,   SSL_OP_NO_SSLv3  },
    {SPAN("TLSv1"),   TLS1_VERSION,   SSL_OP_NO_TLSv1  },
    {SPAN("TLSv1.0"), TLS1_VERSION,   SSL_OP_NO_TLSv1  },
    {SPAN("TLSv1.1"), TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
    {SPAN("TLSv1.2"), TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
    {SPAN("TLSv1.3"), TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};

static const uint64_t all_options =
    SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;

static const struct version *version_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (span_eq_nocase(versions[i].name, name))
            return &versions[i];
    return NULL;
}

/* outside - the options that turn off what lies below (sign < 0) or above v */
static uint64_t outside(const struct version *v, int sign)
{
    uint64_t off = 0;

    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (sign < 0 ? versions[i].version < v->version : versions[i].version > v->version)
            off |= versions[i].option;
    return off;
}

int tls_protocols_parse(struct span text, uint64_t *ret_off)
{
    uint64_t off = 0, only = 0;
    bool listed = false;
    struct span word;

    while (span_word(&text, " \t\r\n,:", &word)) {
        int sign = span_take_nocase(&word, ">=") ? -1 : span_take_nocase(&word, "<=") ? 1 : 0;
        bool exclude = sign == 0 && span_take(&word, '!');
        const struct version *v = version_find(word);

        if (!v)
            return -EINVAL;
        if (sign != 0) {
            off |= outside(v, sign);
        } else if (exclude) {
            off |= v->option;
        } else {
            only |= v->option;
            listed = true;
        }
    }
    if (listed)
        off |= all_options & ~only;
    if (off == all_options)
        return -EINVAL;
    *ret_off = off;
    return 0;
}

int tls_set_protocols(SSL_CTX *ctx, const char *text)
{
    static const struct span fallback = SPAN(">=TLSv1.2");
    uint64_t off;
    struct span list = span_trim(span_of(text));
    int r = tls_protocols_parse(list.len > 0 ? list : fallback, &off);

    if (r < 0)
        return r;
    SSL_CTX_set_min_proto_version(ctx, 0); /* the system's configuration may have set bounds */
    SSL_CTX_set_max_proto_version(ctx, 0);
    SSL_CTX_set_options(ctx, off);
    return 0;
}
