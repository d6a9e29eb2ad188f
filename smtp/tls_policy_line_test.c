/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy_line_test.c - lines of the TLS policy table
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/tls_policy.h"

/* show - what was set, as text */
static void show(const struct tls_line *l, struct str *ret)
{
    const struct {
        unsigned bit;
        const char *name;
        const struct str *value;
    } parts[] = {
        { TLS_PROTOCOLS, "protocols", &l->protocols }, { TLS_CIPHERS, "ciphers", &l->ciphers },
        { TLS_EXCLUDE, "exclude", &l->exclude },       { TLS_MATCH, "match", &l->match },
        { TLS_TAFILE, "tafile", &l->tafiles },         { TLS_SERVERNAME, "servername", &l->servername },
    };

    str_add_str(ret, tls_level_name(l->level));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (l->given & parts[i].bit)
            str_addf(ret, " %s=<" SPAN_FMT ">", parts[i].name, SPAN_ARG(str_span(parts[i].value)));
    if (l->given & TLS_CONNECTION_REUSE)
        str_add_str(ret, l->connection_reuse ? " reuse" : " no-reuse");
}

static const struct {
    const char *text, *want;    /* want NULL: refused */
} cases[] = {
    { "none", "none" },
    { "  MAY ", "may" },
    { "encrypt ciphers=high", "encrypt ciphers=<high>" },
    { "encrypt,protocols=!SSLv2:!SSLv3,exclude=aNULL:DES", "encrypt protocols=<!SSLv2:!SSLv3> exclude=<aNULL:DES>" },
    { "may exclude=", "may exclude=<>" },
    { "encrypt servername=", "encrypt servername=<>" },
    { "encrypt servername=hostname connection_reuse=no", "encrypt servername=<hostname> no-reuse" },
    { "dane-only connection_reuse=YES", "dane-only reuse" },
    { "verify match=hostname:.example.com", "verify match=<hostname .example.com>" },
    { "secure match=a match=b:c tafile=/x tafile=y:z", "secure match=<a b c> tafile=</x y:z>" },
    { "fingerprint match=AA:BB|cc:dd match=ee", "fingerprint match=<AA:BB cc:dd ee>" },
    { "", NULL },
    { " , ", NULL },
    { "strong", NULL },
    { "maybe", NULL },
    { "none ciphers=high", NULL },
    { "may match=a", NULL },
    { "encrypt match=a", NULL },
    { "dane match=a", NULL },
    { "fingerprint tafile=/x", NULL },
    { "encrypt ciphers", NULL },
    { "encrypt ciphers=", NULL },
    { "encrypt ciphers=high ciphers=high", NULL },
    { "encrypt =high", NULL },
    { "verify match=", NULL },
    { "encrypt reuse=yes", NULL },
    { "encrypt connection_reuse=maybe", NULL },
    { "encrypt connection_reuse=", NULL },
};

static void test_lines_are_understood_or_refused_whole(void **state)
{
    struct tls_line line = { 0 };   /* used again and again: nothing of one line may stay for the next */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT, got = STR_INIT;
        int r = tls_line_parse(span_of(cases[i].text), &line, &err);

        if (!cases[i].want) {
            if (r != -EINVAL || err.len == 0)
                fail_msg("row %zu: \"%s\" is taken", i, cases[i].text);
            continue;
        }
        show(&line, &got);
        if (r != 0 || strcmp(str_cstr(&got), cases[i].want) != 0)
            fail_msg("row %zu: %d \"%s\" %s", i, r, str_cstr(&got), str_cstr(&err));
    }
    tls_line_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_understood_or_refused_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
