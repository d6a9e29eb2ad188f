/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_ccert.c - restrictions on the certificate that the client has shown in its TLS handshake
 *
 * Tables know a certificate by its fingerprint or by that of its key, which survives a renewal; whether an
 * authority vouches for it does not matter to them. permit_tls_all_clientcerts is about nothing but that.
 *
 * Runs in: smtpd (certificates are hostile; of them only digests are looked up). Logs nothing.
 */
#include "base/mem.h"
#include "base/own.h"
#include "smtpd/restrict_internal.h"

/* In the order in which they are looked up; empty when the client has shown none */
#define FINGERPRINTS(s) {str_span(&(s)->tls_peer.cert_fingerprint), str_span(&(s)->tls_peer.key_fingerprint)}

static enum verdict permit_listed(struct smtpd *s)
{
    const struct span keys[] = FINGERPRINTS(s);
    _cleanup_(str_free) struct str value = STR_INIT;
    _cleanup_(str_free) struct str scratch = STR_INIT;

    for (size_t i = 0; s->tls_peer.presented && i < ARRAY_LEN(keys); i++) {
        int r = maps_get(s->sv->relay_clientcerts, keys[i], &value);

        if (r < 0) {
            struct subject about = subject_of_stage(s, &scratch);

            return restrict_lookup_failed(s, &about);
        }
        if (r > 0)
            return VERDICT_PERMIT;
    }
    return VERDICT_NONE;
}

enum verdict ask_tls_clientcerts(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return permit_listed(s);
}

enum verdict ask_tls_all_clientcerts(struct smtpd *s, const struct restriction_item *item)
{
    (void)item;
    return s->tls_peer.trusted ? VERDICT_PERMIT : permit_listed(s);
}

enum verdict ask_ccert_access(struct smtpd *s, const struct restriction_item *item)
{
    const struct span keys[] = FINGERPRINTS(s);
    _cleanup_(str_free) struct str value = STR_INIT;

    for (size_t i = 0; s->tls_peer.presented && i < ARRAY_LEN(keys); i++) {
        struct subject about = {"Client certificate", keys[i]};
        int r = table_get(item->table, keys[i], &value);

        if (r < 0)
            return restrict_lookup_failed(s, &about);
        if (r > 0)
            return access_act(s, table_name(item->table), str_span(&value), &about);
    }
    return VERDICT_NONE;
}
