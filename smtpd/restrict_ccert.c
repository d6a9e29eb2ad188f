/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_ccert.c - restrictions on the certificate that the client has shown in its TLS handshake
 *
 * Tables know a certificate by its fingerprint or by that of its key, which survives a renewal; whether an
 * authority vouches for it does not matter to them. permit_tls_all_clientcerts is about nothing but that.
 *
 * Runs in: smtpd (certificates are hostile; of them only digests are looked up). Logs nothing.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/own.h"
#include "smtpd/restrict_internal.h"
#include "table/lines.h"

/* In the order in which they are looked up; empty when the client has shown none */
#define FINGERPRINTS(s) {str_span(&(s)->tls_peer.cert_fingerprint), str_span(&(s)->tls_peer.key_fingerprint)}

/* By the place in FINGERPRINTS */
static const struct span fingerprint_names[] = {SPAN("cert_fingerprint"), SPAN("pubkey_fingerprint")};

static int parse_order(struct span text, struct restriction_item *item, struct str *err)
{
    struct span list = text, name;
    size_t i;

    item->n_search_order = 0;
    while (lines_list_word(&list, &name)) {
        for (i = 0; i < ARRAY_LEN(fingerprint_names) && !span_eq_nocase(name, fingerprint_names[i]); i++)
            ;
        if (i == ARRAY_LEN(fingerprint_names) || item->n_search_order == ARRAY_LEN(item->search_order)) {
            str_addf(err, "search_order \"" SPAN_FMT "\": cert_fingerprint, pubkey_fingerprint or both are wanted",
                     SPAN_ARG(text));
            return -EINVAL;
        }
        item->search_order[item->n_search_order++] = (unsigned char)i;
    }
    return 0;
}

int ccert_parse(struct span text, struct restriction_item *item, struct str *err)
{
    struct span in = restrict_unbrace(text), table = text, word;
    int r = 0;

    item->search_order[0] = 0;
    item->search_order[1] = 1;
    item->n_search_order = 2;
    if (text.len > 0 && text.ptr[0] == '{' && !lines_list_word(&in, &table)) {
        str_add_str(err, "check_ccert_access: its table is missing");
        return -EINVAL;
    }
    while (r == 0 && table.ptr != text.ptr && lines_list_word(&in, &word)) {
        struct span value = restrict_unbrace(word), name = span_trim(span_cut(&value, '='));

        if (!span_eq_nocase_str(name, "search_order")) {
            str_addf(err, "check_ccert_access: \"" SPAN_FMT "\" is no setting of it", SPAN_ARG(word));
            return -EINVAL;
        }
        r = parse_order(span_trim(value), item, err);
    }
    return r < 0 ? r : table_open(table, &item->table, err);
}

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

    for (size_t i = 0; s->tls_peer.presented && i < item->n_search_order; i++) {
        struct span key = keys[item->search_order[i]];
        struct subject about = {"Client certificate", key};
        int r = table_get(item->table, key, &value);

        if (r < 0)
            return restrict_lookup_failed(s, &about);
        if (r > 0)
            return access_act(s, table_name(item->table), str_span(&value), &about);
    }
    return VERDICT_NONE;
}
