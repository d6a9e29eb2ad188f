/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ciphers.c - what main.cf calls cipher grades, curves and OpenSSL's options
 *
 * Grades concern TLS up to 1.2; the five suites of TLS 1.3 are all strong, and stay
 * as OpenSSL has them.
 *
 * Runs in: smtpd, smtp and the login fronts, at start; the text is the administrator's.
 */
#include <errno.h>

#include "base/mem.h"
#include "tls/tls.h"

#define SEPARATORS " \t\r\n,:"

/* grade_list - NULL: no such grade */
static const char *grade_list(const struct params *p, struct span grade)
{
    const struct {
        const char *name, *list;
    } grades[] = {
        {"high",   p->tls_high_cipherlist  },
        {"medium", p->tls_medium_cipherlist},
        {"low",    p->tls_low_cipherlist   },
        {"export", p->tls_low_cipherlist   }, /* gone from OpenSSL, still in old settings */
        {"null",   p->tls_null_cipherlist  },
    };

    for (size_t i = 0; i < ARRAY_LEN(grades); i++)
        if (span_eq_nocase_str(grade, grades[i].name))
            return grades[i].list;
    return NULL;
}

static void exclude(struct str *list, const char *names)
{
    struct span in = span_of(names), word;

    while (span_word(&in, SEPARATORS, &word))
        str_addf(list, ":!" SPAN_FMT, SPAN_ARG(word));
}

int tls_cipher_list(const struct params *p, const char *grade, const char *excluded,
                    const char *more_excluded, struct str *ret, struct str *err)
{
    const char *list = grade_list(p, span_trim(span_of(grade)));

    if (!list) {
        str_addf(err, "TLS cipher grade \"%s\": expected high, medium, low, export or null", grade);
        return -EINVAL;
    }
    str_add_str(ret, list);
    exclude(ret, excluded);
    exclude(ret, more_excluded);
    return 0;
}

int tls_group_list(const struct params *p, const char *grade, struct str *ret, struct str *err)
{
    const struct {
        const char *name, *list;
    } grades[] = {
        {"auto",   p->tls_eecdh_auto_curves },
        {"strong", p->tls_eecdh_strong_curve},
        {"ultra",  p->tls_eecdh_ultra_curve },
        {"none",   ""                       },
    };

    for (size_t i = 0; i < ARRAY_LEN(grades); i++) {
        struct span in = span_of(grades[i].list), word;

        if (!span_eq_nocase_str(span_trim(span_of(grade)), grades[i].name))
            continue;
        while (span_word(&in, SEPARATORS, &word))
            str_addf(ret, "%s" SPAN_FMT, ret->len > 0 ? ":" : "", SPAN_ARG(word));
        return 0;
    }
    str_addf(err, "grade of elliptic curves \"%s\": expected auto, strong, ultra or none", grade);
    return -EINVAL;
}

/* ---- tls_ssl_options, tls_disable_workarounds ---- */

struct option {
    const char *name;
    uint64_t bit;
};

static const struct option features[] = {
    {"ENABLE_MIDDLEBOX_COMPAT",                  SSL_OP_ENABLE_MIDDLEBOX_COMPAT                },
    {"LEGACY_SERVER_CONNECT",                    SSL_OP_LEGACY_SERVER_CONNECT                  },
    {"NO_COMPRESSION",                           SSL_OP_NO_COMPRESSION                         },
    {"NO_ENCRYPT_THEN_MAC",                      SSL_OP_NO_ENCRYPT_THEN_MAC                    },
    {"NO_RENEGOTIATION",                         SSL_OP_NO_RENEGOTIATION                       },
    {"NO_SESSION_RESUMPTION_ON_RENEGOTIATION",   SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION },
    {"NO_TICKET",                                SSL_OP_NO_TICKET                              },
    {"PRIORITIZE_CHACHA",                        SSL_OP_PRIORITIZE_CHACHA                      },
};

/* Those that OpenSSL has removed do no harm in an old main.cf. */
static const struct option workarounds[] = {
    {"CRYPTOPRO_TLSEXT_BUG",            SSL_OP_CRYPTOPRO_TLSEXT_BUG       },
    {"DONT_INSERT_EMPTY_FRAGMENTS",     SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
    {"LEGACY_SERVER_CONNECT",           SSL_OP_LEGACY_SERVER_CONNECT      },
    {"MICROSOFT_BIG_SSLV3_BUFFER",      0                                 },
    {"MICROSOFT_SESS_ID_BUG",           0                                 },
    {"MSIE_SSLV2_RSA_PADDING",          0                                 },
    {"NETSCAPE_CHALLENGE_BUG",          0                                 },
    {"NETSCAPE_REUSE_CIPHER_CHANGE_BUG", 0                                },
    {"SAFARI_ECDHE_ECDSA_BUG",          SSL_OP_SAFARI_ECDHE_ECDSA_BUG     },
    {"SSLEAY_080_CLIENT_DH_BUG",        0                                 },
    {"SSLREF2_REUSE_CERT_TYPE_BUG",     0                                 },
    {"TLSEXT_PADDING",                  SSL_OP_TLSEXT_PADDING             },
    {"TLS_BLOCK_PADDING_BUG",           0                                 },
    {"TLS_D5_BUG",                      0                                 },
};

static int refuse_option(const char *parameter, struct span word, const struct option *rows, size_t n, struct str *err)
{
    _cleanup_(str_free) struct str accepted = STR_INIT;

    for (size_t i = 0; i < n; i++)
        str_addf(&accepted, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", rows[i].name);
    return conf_refuse(parameter, word, str_cstr(&accepted), err);
}

static int parse_options(const char *parameter, const char *text, const struct option *rows, size_t n,
                         uint64_t *ret, struct str *err)
{
    struct span in = span_of(text), word;

    *ret = 0;
    while (span_word(&in, SEPARATORS "|", &word)) {
        size_t i = 0;

        while (i < n && !span_eq_nocase_str(word, rows[i].name))
            i++;
        if (i == n)
            return refuse_option(parameter, word, rows, n, err);
        *ret |= rows[i].bit;
    }
    return 0;
}

int tls_options(const struct params *p, uint64_t *ret_on, struct str *err)
{
    uint64_t on = 0, off = 0;
    int r = parse_options("tls_ssl_options", p->tls_ssl_options, features, ARRAY_LEN(features), &on, err);

    if (r == 0)
        r = parse_options("tls_disable_workarounds", p->tls_disable_workarounds, workarounds,
                          ARRAY_LEN(workarounds), &off, err);
    if (r == 0)
        *ret_on = (SSL_OP_ALL & ~off) | on;
    return r;
}
