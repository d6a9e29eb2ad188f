/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c - names and fingerprints of certificates
 *
 * RFC 6125: a wildcard stands for a whole first label; here also for several, as
 * mail administrators know it from Postfix. ".example.com" in a list means every name below it. The common name
 * counts only when there is no DNS name (RFC 6125 section 6.4.4).
 *
 * Runs in: smtp; certificates are hostile, lists are the administrator's or come from DNS.
 */
#include <errno.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "io/socket.h"
#include "tls/client.h"

static bool match_one(X509 *cert, struct span name)
{
    static const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_MULTI_LABEL_WILDCARDS;
    _cleanup_free_ char *text = mem_dup_span(name);
    union sockaddr_any addr;

    if (name.len == 0)
        return false;   /* OpenSSL takes an empty name for "any" */
    if (socket_addr_parse(name, 0, &addr) == 0)
        return X509_check_ip_asc(cert, text, 0) == 1;
    return X509_check_host(cert, text, name.len, flags, NULL) == 1;
}

bool tls_match_names(X509 *cert, const char *names)
{
    struct span list = span_of(names), name;
    bool match = false;

    while (!match && span_word(&list, " ", &name))
        match = match_one(cert, name);
    ERR_clear_error();
    return match;
}

static bool in_list(const struct str *fingerprint, const char *fingerprints)
{
    _cleanup_(str_free) struct str hex = STR_INIT;
    struct span list = span_of(fingerprints), word;

    if (tls_fingerprint_parse(str_span(fingerprint), &hex) < 0)
        return false;
    while (span_word(&list, " ", &word))
        if (span_eq(word, str_span(&hex)))
            return true;
    return false;
}

bool tls_match_fingerprint(X509 *cert, const char *digest, const char *fingerprints)
{
    _cleanup_(str_free) struct str of_cert = STR_INIT, of_key = STR_INIT;
    const EVP_MD *md = EVP_get_digestbyname(digest);

    if (!md)
        return false;
    tls_fingerprints(cert, md, &of_cert, &of_key);
    return in_list(&of_cert, fingerprints) || in_list(&of_key, fingerprints);
}

int tls_fingerprint_parse(struct span text, struct str *ret)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = ret->len;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        c = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
        if (c == ':' && i % 3 == 2 && i + 1 < text.len)
            continue;
        if (!c || !strchr(digits, c)) {
            str_truncate(ret, start);
            return -EINVAL;
        }
        str_add_char(ret, c);
    }
    if (ret->len == start || (ret->len - start) % 2 != 0) {
        str_truncate(ret, start);
        return -EINVAL;
    }
    return 0;
}
