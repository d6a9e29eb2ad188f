/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_test.c - what a filter says is taken apart exactly, or refused
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "milter/wire.h"

#define BYTES(literal) { literal, sizeof(literal) - 1 }

static void a_reply_has_its_shape_or_is_refused(void **state)
{
    static const struct {
        struct span packet;
        int result;
        enum milter_kind kind;
        uint32_t number;
        const char *text, *text2;
    } cases[] = {
        { BYTES("c"),                          0,       MILTER_R_CONTINUE,    0,  "",        ""      },
        { BYTES("cx"),                         -EPROTO, 0,                    0,  "",        ""      },
        { BYTES(""),                           -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("?"),                          -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("\0"),                         -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("a"),                          0,       MILTER_R_ACCEPT,      0,  "",        ""      },
        { BYTES("+<a@b>\0"),                   0,       MILTER_R_ADDRCPT,     0,  "<a@b>",   ""      },
        { BYTES("+<a@b>"),                     -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("+<a@b>\0x"),                  -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("2<a@b>\0NOTIFY=NEVER\0"),     0,       MILTER_R_ADDRCPT_PAR, 0,  "<a@b>",   "NOTIFY=NEVER" },
        { BYTES("2<a@b>\0"),                   0,       MILTER_R_ADDRCPT_PAR, 0,  "<a@b>",   ""      },
        { BYTES("2<a@b>\0x"),                  -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("-\0"),                        0,       MILTER_R_DELRCPT,     0,  "",        ""      },
        { BYTES("e\0"),                        0,       MILTER_R_CHGFROM,     0,  "",        ""      },
        { BYTES("b"),                          0,       MILTER_R_REPLBODY,    0,  "",        ""      },
        { BYTES("ba\0b"),                      0,       MILTER_R_REPLBODY,    0,  "a",       ""      },
        { BYTES("hX\0y\0"),                    0,       MILTER_R_ADDHEADER,   0,  "X",       "y"     },
        { BYTES("hX\0y"),                      -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("hX\0"),                       -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("i\0\0\1\0X\0y\0"),            0,       MILTER_R_INSHEADER,   256, "X",      "y"     },
        { BYTES("i\0\0\1"),                    -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("m\xff\xff\xff\xffX\0\0"),     0,       MILTER_R_CHGHEADER,   UINT32_MAX, "X", ""    },
        { BYTES("q\0"),                        0,       MILTER_R_QUARANTINE,  0,  "",        ""      },
        { BYTES("q"),                          -EPROTO, 0,                    0,  "",        ""      },
        { BYTES("y550 no\0"),                  0,       MILTER_R_REPLYCODE,   0,  "550 no",  ""      },
        { BYTES("4"),                          0,       MILTER_R_SHUTDOWN,    0,  "",        ""      },
        { BYTES("f"),                          0,       MILTER_R_CONN_FAIL,   0,  "",        ""      },
        { BYTES("p"),                          0,       MILTER_R_PROGRESS,    0,  "",        ""      },
        { BYTES("s"),                          0,       MILTER_R_SKIP,        0,  "",        ""      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct milter_reply reply = { 0 };
        int r = milter_reply_parse(cases[i].packet, &reply);
        struct span text = span_first(reply.text, strlen(cases[i].text));

        if (r != cases[i].result || reply.kind != cases[i].kind || reply.number != cases[i].number ||
            !span_eq_str(text, cases[i].text) || !span_eq_str(reply.text2, cases[i].text2))
            fail_msg("case %zu: %d kind %d number %u", i, r, reply.kind, reply.number);
    }
}

static void a_reply_cut_short_anywhere_is_refused(void **state)
{
    static const struct span whole = BYTES("i\0\0\0\1Name\0value\0");

    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        struct milter_reply reply;

        assert_int_equal(milter_reply_parse(span_first(whole, n), &reply), -EPROTO);
    }
}

static void options_beyond_the_offer_are_refused(void **state)
{
    static const struct {
        uint32_t offered;
        struct span data;
        const char *why; /* NULL: accepted */
    } cases[] = {
        { 6, BYTES("\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"), NULL },
        { 6, BYTES("\0\0\0\2\0\0\0\0\0\0\0\0"), NULL },
        { 6, BYTES("\0\0\0\6\0\0\0\0\0\0\0"), "truncated" },
        { 6, BYTES(""), "truncated" },
        { 6, BYTES("\0\0\0\7\0\0\0\0\0\0\0\0"), "version" },
        { 6, BYTES("\0\0\0\1\0\0\0\0\0\0\0\0"), "version" },
        { 2, BYTES("\0\0\0\3\0\0\0\0\0\0\0\0"), "version" },
        { 2, BYTES("\0\0\0\2\0\0\0\x40\0\0\0\0"), "actions" },
        { 2, BYTES("\0\0\0\2\0\0\0\0\0\0\1\0"), "steps" },
        { 6, BYTES("\0\0\0\6\0\0\0\0\x10\0\0\0"), "steps" },
        { 6, BYTES("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\5i j\0"), NULL },
        { 6, BYTES("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\5i j"), "truncated" },
        { 6, BYTES("\0\0\0\6\0\0\1\0\0\0\0\0\0\0"), "truncated" },
        { 6, BYTES("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\7i\0"), "stage" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct milter_options offered, got = { 0 };
        const char *why;

        assert_true(milter_options_of_version(cases[i].offered, &offered));
        int r = milter_options_parse(cases[i].data, &offered, &got, &why);

        if (cases[i].why ? r != -EPROTO || !strstr(why, cases[i].why) : r != 0)
            fail_msg("case %zu: %d %s", i, r, why ? why : "");
    }
}

static void a_symbol_list_is_kept_with_its_stage(void **state)
{
    static const struct span data = BYTES("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\2{x} j\0\0\0\0\5\0");
    struct milter_options offered, got;
    const char *why;

    (void)state;
    milter_options_of_version(6, &offered);
    assert_int_equal(milter_options_parse(data, &offered, &got, &why), 0);
    assert_int_equal(got.symlists_given, 1u << MILTER_MAIL | 1u << MILTER_EOM);
    assert_true(span_eq_str(got.symlists[MILTER_MAIL], "{x} j"));
    assert_int_equal(got.symlists[MILTER_EOM].len, 0);
}

static void a_reply_text_becomes_lines_with_codes(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } cases[] = {
        { "550 5.7.1 no",                      "550 5.7.1 no"                              },
        { "451 later",                         "451 4.7.1 later"                           },
        { "550 4.7.1 class",                   "550 5.7.1 4.7.1 class"                     },
        { "550 5.7.1",                         "550 5.7.1 "                                },
        { "550",                               "550 5.7.1 "                                },
        { "550 5.7 x",                         "550 5.7.1 5.7 x"                           },
        { "550 5.7.1111 x",                    "550 5.7.1 5.7.1111 x"                      },
        { "550-5.7.1 a\r\n550 5.7.1 b",        "550-5.7.1 a\r\n550 5.7.1 b"                },
        { "550-5.7.1 a\r\n550-5.7.1 b\r\n",    "550-5.7.1 a\r\n550 5.7.1 b"                },
        { "550 5.7.1 a\n550 b",                "550-5.7.1 a\r\n550 5.7.1 b"                },
        { "550-5.7.1 a\r\n551 5.7.1 b",        NULL                                        },
        { "550 5.7.1 a\r250 ok",               "550 5.7.1 a?250 ok"                        },
        { "250 2.0.0 ok",                      NULL                                        },
        { "650 x",                             NULL                                        },
        { "55 x",                              NULL                                        },
        { "5a0 x",                             NULL                                        },
        { "",                                  NULL                                        },
        { "550x",                              NULL                                        },
        { "550 5.7.1 \x01\x7f",                "550 5.7.1 ??"                              },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str out = STR_INIT;
        int r = milter_reply_text(span_of(cases[i].in), 1000, &out);

        if (cases[i].out ? r != 0 || strcmp(str_cstr(&out), cases[i].out) != 0 : r != -EPROTO || out.len > 0)
            fail_msg("case %zu: %d \"%s\"", i, r, str_cstr(&out));
    }
}

static void a_long_reply_text_ends_with_a_whole_last_line(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT;

    (void)state;
    for (int i = 0; i < 100; i++)
        str_addf(&in, "550-5.7.1 line %d\r\n", i);
    assert_int_equal(milter_reply_text(str_span(&in), 60, &out), 0);
    assert_string_equal(str_cstr(&out), "550-5.7.1 line 0\r\n550-5.7.1 line 1\r\n550 5.7.1 line 2");
}

static void a_packet_has_its_length_in_front(void **state)
{
    static const struct span want = BYTES("\0\0\0\12Hab\0\0\0\1\2x\0");
    _cleanup_(str_free) struct str out = STR_INIT;

    (void)state;
    size_t begin = milter_packet_begin(&out, MILTER_CMD_HELO);

    milter_add_text(&out, span_make("ab\0cd", 5));
    milter_add_u32(&out, 258);
    milter_add_text(&out, span_of("x"));
    milter_packet_end(&out, begin);
    assert_true(span_eq(str_span(&out), want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_has_its_shape_or_is_refused),
        cmocka_unit_test(a_reply_cut_short_anywhere_is_refused),
        cmocka_unit_test(options_beyond_the_offer_are_refused),
        cmocka_unit_test(a_symbol_list_is_kept_with_its_stage),
        cmocka_unit_test(a_reply_text_becomes_lines_with_codes),
        cmocka_unit_test(a_long_reply_text_ends_with_a_whole_last_line),
        cmocka_unit_test(a_packet_has_its_length_in_front),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
