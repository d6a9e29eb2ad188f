/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose_test.c - the Received field has Postfix's shape; missing fields are added
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <time.h>

#include "base/mem.h"
#include "cleanup/compose.h"
#include "cleanup/headers.h"

static struct params params = {
    .myhostname = "mail.example.com",
    .myorigin = "example.com",
    .mail_name = "Postern",
    .smtpd_sasl_authenticated_header = true,
};

#define ID   "4cK9vQ1zRmz1234"
#define DATE "Tue, 03 Nov 2026 13:05:09 +0000 (UTC)"

static const struct {
    uint32_t origin;
    const char *helo, *name, *addr, *proto, *tls, *sasl, *rcpt, *want;
} cases[] = {
    {SUBMIT_NETWORK,  "client.example.org", "mx.example.org", "192.0.2.7",   "ESMTP",   "",     "",
     "ann@example.com",                                                                                                   "Received: from client.example.org (mx.example.org [192.0.2.7])\r\n"
     "\tby mail.example.com (Postern) with ESMTP id " ID "\r\n"
     "\tfor <ann@example.com>; " DATE "\r\n"},
    {SUBMIT_NETWORK,  "c",                  "unknown",        "2001:db8::1", "ESMTPSA",
     "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n key-exchange X25519)", "ann", "",
     "Received: from c (unknown [IPv6:2001:db8::1])\r\n"
     "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n"
     "\tkey-exchange X25519)\r\n"
     "\t(Authenticated sender: ann)\r\n"
     "\tby mail.example.com (Postern) with ESMTPSA id " ID ";\r\n"
     "\t" DATE "\r\n"                                              },
    {SUBMIT_NETWORK,  "evil\r\nBcc: x",     "unknown",        "192.0.2.7",   "SMTP",    "",     "",    "a b@example.com",
     "Received: from evil??Bcc: x (unknown [192.0.2.7])\r\n"
     "\tby mail.example.com (Postern) with SMTP id " ID "\r\n"
     "\tfor <\"a b\"@example.com>; " DATE "\r\n"                   },
    {SUBMIT_LOCAL,    "",                   "",               "",            "",        "",     "",    "ann@example.com",
     "Received: by mail.example.com (Postern, from userid 1000)\r\n"
     "\tid " ID "; " DATE "\r\n"                                   },
    {SUBMIT_INTERNAL, "",                   "",               "",            "",        "",     "",    "ann@example.com",
     "Received: by mail.example.com (Postern)\r\n"
     "\tid " ID "; " DATE "\r\n"                                   },
};

static void submit_free(struct submit *s)
{
    str_free(&s->client_name);
    str_free(&s->helo);
    str_free(&s->tls_info);
    str_free(&s->sasl_username);
    str_free(&s->sender);
}

static void test_received_has_the_shape_that_filters_know(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(submit_free) struct submit s = {.origin = cases[i].origin, .uid = 1000};
        _cleanup_(str_free) struct str out = STR_INIT;
        struct compose c = {&params, &s, ID, 1793711109, span_of(cases[i].rcpt)};

        str_add_str(&s.helo, cases[i].helo);
        str_add_str(&s.client_name, cases[i].name);
        str_add_str(&s.tls_info, cases[i].tls);
        str_add_str(&s.sasl_username, cases[i].sasl);
        snprintf(s.client_addr, sizeof s.client_addr, "%s", cases[i].addr);
        snprintf(s.proto, sizeof s.proto, "%s", cases[i].proto);
        compose_received(&c, &out);
        if (strcmp(str_cstr(&out), cases[i].want) != 0)
            fail_msg("case %zu:\n%s", i, str_cstr(&out));
    }
}

static void test_only_what_is_missing_is_added_and_in_resent_form_when_resent(void **state)
{
    static const struct {
        const char *sender;
        unsigned seen;
        const char *want;
    } rows[] = {
        {"ann@example.com", 0,
         "Message-Id: <20261103130509." ID "@mail.example.com>\r\nDate: " DATE
         "\r\nFrom: ann@example.com\r\n"                                                                                  },
        {"ann@example.com", HEADER_MESSAGE_ID | HEADER_DATE | HEADER_FROM,           ""                                   },
        {"",                HEADER_MESSAGE_ID | HEADER_DATE,                         "From: MAILER-DAEMON@example.com\r\n"},
        {"a b@example.com",
         HEADER_MESSAGE_ID | HEADER_DATE | HEADER_RESENT | HEADER_RESENT_MESSAGE_ID,
         "Resent-Date: " DATE "\r\nResent-From: \"a b\"@example.com\r\n"                                                  },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(submit_free) struct submit s = {.origin = SUBMIT_LOCAL};
        _cleanup_(str_free) struct str out = STR_INIT;
        _cleanup_(str_free) struct str id = STR_INIT;
        struct compose c = {&params, &s, ID, 1793711109, SPAN_NULL};

        str_add_str(&s.sender, rows[i].sender);
        compose_missing(&c, rows[i].seen, &out, &id);
        if (strcmp(str_cstr(&out), rows[i].want) != 0)
            fail_msg("row %zu:\n%s", i, str_cstr(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received_has_the_shape_that_filters_know),
        cmocka_unit_test(test_only_what_is_missing_is_added_and_in_resent_form_when_resent),
    };

    setenv("TZ", "UTC0", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
