/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_content_test.c - what programs pipe into sendmail becomes a message with CRLF lines
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "base/mem.h"
#include "cli/sendmail_content.h"

static int read_text(const char *in, enum content_form form, uint64_t max, struct str *ret)
{
    FILE *f = fmemopen((void *)in, strlen(in), "r");
    int r = f ? content_read(f, form, max, ret) : -EIO;

    if (f)
        fclose(f);
    return r;
}

static void test_lines_get_crlf_and_the_form_says_where_the_message_ends(void **state)
{
    static const struct {
        const char *in;
        enum content_form form;
        uint64_t max;
        int r;
        const char *want;
    } cases[] = {
        {"To: x\n\nbody\n",                 CONTENT_DOT,   0,  0,         "To: x\r\n\r\nbody\r\n"    },
        {"To: x\r\n\r\nbody\r\n",           CONTENT_DOT,   0,  0,         "To: x\r\n\r\nbody\r\n"    },
        {"a\n.\nb\n",                       CONTENT_DOT,   0,  0,         "a\r\n"                    },
        {"a\n.\nb\n",                       CONTENT_PLAIN, 0,  0,         "a\r\n.\r\nb\r\n"          },
        {"a\n..b\n.c\n",                    CONTENT_DOT,   0,  0,         "a\r\n..b\r\n.c\r\n"       },
        {"a\r\n..b\r\n.c\r\n.\r\nQUIT\r\n", CONTENT_SMTP,  0,  0,         "a\r\n.b\r\nc\r\n"         },
        {"a\r\n",                           CONTENT_SMTP,  0,  -ENODATA,  "a\r\n"                    },
        {"no line end",                     CONTENT_DOT,   0,  0,         "no line end\r\n"          },
        {"From ann Sat Jan  1\nTo: x\n\n",  CONTENT_DOT,   0,  0,         "To: x\r\n\r\n"            },
        {">From ann Sat Jan  1\nTo: x\n\n", CONTENT_DOT,   0,  0,         "To: x\r\n\r\n"            },
        {"To: x\n\nFrom ann\n",             CONTENT_DOT,   0,  0,         "To: x\r\n\r\nFrom ann\r\n"},
        {"a\rb\n",                          CONTENT_DOT,   0,  0,         "a\rb\r\n"                 },
        {"12345678\n",                      CONTENT_DOT,   10, 0,         "12345678\r\n"             },
        {"123456789\n",                     CONTENT_DOT,   10, -EMSGSIZE, ""                         },
        {"123456789\r\nx\r\n.\r\n",         CONTENT_SMTP,  10, -EMSGSIZE, ""                         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = read_text(cases[i].in, cases[i].form, cases[i].max, &got);

        if (r != cases[i].r || strcmp(str_cstr(&got), cases[i].want) != 0)
            fail_msg("case %zu: %d, %s", i, r, str_cstr(&got));
    }
}

static void test_from_is_added_with_the_full_name_only_where_it_is_missing(void **state)
{
    static const struct {
        const char *content, *name, *sender, *want;
    } cases[] = {
        {"To: x\r\n\r\nb\r\n",   "Ann Lee",       "ann", "From: Ann Lee <ann>\r\nTo: x\r\n\r\nb\r\n"},
        {"From: y\r\n\r\nb\r\n", "Ann Lee",       "ann", "From: y\r\n\r\nb\r\n"                     },
        {"To: x\r\n\r\nb\r\n",   "",              "ann", "To: x\r\n\r\nb\r\n"                       },
        {"To: x\r\n\r\nb\r\n",   "Ann",           "",    "To: x\r\n\r\nb\r\n"                       },
        {"To: x\r\n\r\nb\r\n",   "Dr. \"A\" Lee", "ann",
         "From: \"Dr. \\\"A\\\" Lee\" <ann>\r\nTo: x\r\n\r\nb\r\n"                                  },
        {"To: x\r\n\r\nb\r\n",   "\xc3\x84nn",    "ann",
         "From: =?utf-8?B?w4Rubg==?= <ann>\r\nTo: x\r\n\r\nb\r\n"                                   },
        {"just text\r\n",        "Ann",           "ann", "From: Ann <ann>\r\n\r\njust text\r\n"     },
        {"\r\nbody\r\n",         "Ann",           "ann", "From: Ann <ann>\r\n\r\nbody\r\n"          },
        {"To: x\r\n\r\nb\r\n",   "A\nBcc: evil",  "ann",
         "From: \"A Bcc: evil\" <ann>\r\nTo: x\r\n\r\nb\r\n"                                        },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str content = STR_INIT;

        str_add_str(&content, cases[i].content);
        content_add_from(&content, span_of(cases[i].name), span_of(cases[i].sender));
        if (strcmp(str_cstr(&content), cases[i].want) != 0)
            fail_msg("case %zu: %s", i, str_cstr(&content));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_get_crlf_and_the_form_says_where_the_message_ends),
        cmocka_unit_test(test_from_is_added_with_the_full_name_only_where_it_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
