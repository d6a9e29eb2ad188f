/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers_test.c - the header pass gives the same result wherever the input is cut
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cleanup/headers.h"

/* "user" -> "user@example.com" */
static int complete(struct span in, struct str *out, void *arg)
{
    (void)arg;
    str_add(out, in);
    if (in.len == 0 || span_chr(in, '@') >= 0)
        return 0;
    str_add_str(out, "@example.com");
    return 1;
}

static struct header_rules rules = {
    .field_max = 200,
    .section_max = 1000,
    .extract_max = 4,
    .complete = complete,
};

enum { REWRITE = 1, EXTRACT = 2 };

static const struct {
    const char *in, *out; /* out: header section as it leaves, '|', the rest */
    unsigned flags;
    enum header_end end;
    unsigned seen;
    const char *message_id; /* NULL: none */
    const char *rcpts;      /* each with a blank */
} cases[] = {
    {"Subject: x\r\n\r\nbody\r\n",                         "Subject: x\r\n|\r\nbody\r\n",                 0,                                         HEADER_END_EMPTY_LINE,                      0,                                               NULL,
     ""                                                                                                                                                                                                                                                                                                                                                                                                                                     },
    {"Subject: x\n\nbody\n",                               "Subject: x\n|\nbody\n",                       0,                                         HEADER_END_EMPTY_LINE,                      0,                                               NULL,                                                                                                                ""                                                                   },
    {"",                                                   "|",                                           0,                                         HEADER_END_INPUT,                           0,                                               NULL,                                                                                                                ""                                                                   },
    {"\r\nbody\r\n",                                       "|\r\nbody\r\n",                               0,                                         HEADER_END_EMPTY_LINE,                      0,                                               NULL,                                                                                                                ""                                                                   },
    {"no header here\r\n\r\nmore\r\n",                     "|no header here\r\n\r\nmore\r\n",             0,                                         HEADER_END_BODY,                            0,
     NULL,                                                                                                                                                                                                                                                                                                                                                             ""                                                                   },
    {" starts: folded\r\nTo: x\r\n",                       "| starts: folded\r\nTo: x\r\n",               0,                                         HEADER_END_BODY,                            0,                                               NULL,
     ""                                                                                                                                                                                                                                                                                                                                                                                                                                     },
    {"Subject: x\r\nbroken line\r\nTo: y\r\n\r\n",         "Subject: x\r\n|broken line\r\nTo: y\r\n\r\n", 0,
     HEADER_END_BODY,                                                                                                                                                                            0,                                               NULL,                                                                                                                ""                                                                   },
    {"Subject: x",                                         "Subject: x|",                                 0,                                         HEADER_END_INPUT,                           0,                                               NULL,                                                                                                                ""                                                                   },
    {"Subject: x\r\n",                                     "Subject: x\r\n|",                             0,                                         HEADER_END_INPUT,                           0,                                               NULL,                                                                                                                ""                                                                   },
    {"Subject: x\r\n folded\r\n\tagain\r\nTo: y\r\n\r\nb",
     "Subject: x\r\n folded\r\n\tagain\r\nTo: y\r\n|\r\nb",                                               0,                                         HEADER_END_EMPTY_LINE,                      0,                                               NULL,                                                                                                                ""                                                                   },
    {"BCC: secret@example.com,\r\n more@example.com\r\nReturn-Path: <x>\r\nTo: "
     "y\r\nContent-Length: 5\r\n\r\n",                                                     "To: y\r\n|\r\n",                                                                    0,                                         HEADER_END_EMPTY_LINE,               0, NULL,                                                                                                     ""                                                                                                                                                                     },
    {"Message-ID:\r\n <a@b>\r\nDate: d\r\nFrom: f\r\nMessage-Id: <second>\r\n\r\n",
     "Message-ID:\r\n <a@b>\r\nDate: d\r\nFrom: f\r\nMessage-Id: <second>\r\n|\r\n",                     0,
     HEADER_END_EMPTY_LINE,                                                                                      HEADER_MESSAGE_ID | HEADER_DATE | HEADER_FROM,                                                                                                                                                                                                                       "<a@b>",                                                                                                                                                                                                        ""                                               },
    {"Resent-From: me\r\nResent-Bcc: them\r\n\r\n",                                                    "Resent-From: me\r\n|\r\n",                                                     0,
     HEADER_END_EMPTY_LINE,      HEADER_RESENT | HEADER_RESENT_FROM,                                                                                                                                                                                                                       NULL,                                                                                                                                                                                                                                                                                                   ""                                                                                                                                             },
    {"From: ann\r\nTo: Bob B. <bob>, carl@example.org\r\nSubject: a, b\r\n\r\n",
     "From: ann@example.com\r\nTo: Bob B. <bob@example.com>, carl@example.org\r\nSubject: a, "
     "b\r\n|\r\n",                        REWRITE,                                                                                                                                   HEADER_END_EMPTY_LINE,                                                                                                                                               HEADER_FROM,                                       NULL, ""                           },
    {"From: ann\r\nTo: bob\r\n\r\n",                                                    "From: ann\r\nTo: bob\r\n|\r\n",                                                                    0,                           HEADER_END_EMPTY_LINE,
     HEADER_FROM, NULL,                                                                                                                                                                                                                                                                                                                                                      ""                                                                                                                                                                                                                                                                                                                                                                                                                      },
    {"To: a@x, B <b@x>\r\nCc: c\r\nBcc: d@x\r\nFrom: f@x\r\n\r\n",
     "To: a@x, B <b@x>\r\nCc: c\r\nFrom: f@x\r\n|\r\n",                                      EXTRACT,                                                                                              HEADER_END_EMPTY_LINE,                                                                                            HEADER_FROM,
     NULL,                                      "a@x b@x c d@x "                                                                                                                                                                                                                                                                                                                                                                                                                                   },
    {"To: a@x, b@x, c@x\r\nCc: d@x, e@x\r\n\r\n",                                                    "To: a@x, b@x, c@x\r\nCc: d@x, e@x\r\n|\r\n",
     EXTRACT, HEADER_END_EMPTY_LINE,                                                                                                                                                                                    0,                                                                                                                                                                                                              NULL,                                                                                                                                             "a@x b@x c@x d@x too many"},
    {"Received: 1\r\nreceived: 2\r\nReceived : 3\r\n\r\n",
     "Received: 1\r\nreceived: 2\r\nReceived : 3\r\n|\r\n",                                              0,                                                                                          HEADER_END_EMPTY_LINE,
     HEADER_RECEIVED,                       NULL,                                                                                                                                                                                                                                                                                                                                                  ""                                                                                                                                                                                                                                                                                                                                                                                            },
    {"Subject: \xff\0x\r\n\r\n",                                                    "Subject: \xff|",                                                                        0,                                              HEADER_END_INPUT,                0,  NULL,                                                                                                     ""},
};

static void feed(struct header_pass *p, struct span in, struct str *rest)
{
    struct span more;

    if (p->end != HEADER_GOES_ON) {
        str_add(rest, in);
        return;
    }
    header_pass_feed(p, in, &more);
    str_add(rest, more);
}

static void add_rcpts(const struct header_pass *p, struct str *s)
{
    for (size_t i = 0; i < p->n_rcpts; i++)
        str_addf(s, "%s ", p->rcpts[i]);
    if (p->too_many_rcpts)
        str_add_str(s, "too many");
}

/* One case, its input in two cuts. */
static void check(size_t n, size_t a, size_t b)
{
    _cleanup_(header_pass_done) struct header_pass p = {0};
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(str_free) struct str rest = STR_INIT;
    _cleanup_(str_free) struct str rcpts = STR_INIT;
    struct span in = span_of(cases[n].in), more;

    header_pass_init(&p, &rules, &out);
    p.rewrite = cases[n].flags & REWRITE;
    p.extract = cases[n].flags & EXTRACT;
    feed(&p, span_first(in, a), &rest);
    feed(&p, span_first(span_from(in, a), b - a), &rest);
    feed(&p, span_from(in, b), &rest);
    if (p.end == HEADER_GOES_ON) {
        header_pass_finish(&p, &more);
        str_add(&rest, more);
    }
    str_add_char(&out, '|');
    str_add(&out, str_span(&rest));
    add_rcpts(&p, &rcpts);
    if (strcmp(str_cstr(&out), cases[n].out) != 0 || p.end != cases[n].end ||
        p.seen != cases[n].seen ||
        strcmp(str_cstr(&p.message_id), cases[n].message_id ? cases[n].message_id : "") != 0 ||
        strcmp(str_cstr(&rcpts), cases[n].rcpts) != 0)
        fail_msg("case %zu cut at %zu and %zu: end %d seen %u id %s rcpts %s\n%s", n, a, b, p.end,
                 p.seen, str_cstr(&p.message_id), str_cstr(&rcpts), str_cstr(&out));
}

static void test_the_header_is_the_same_wherever_the_input_is_cut(void **state)
{
    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
        size_t len = strlen(cases[n].in);

        for (size_t a = 0; a <= len; a++)
            for (size_t b = a; b <= len; b++)
                check(n, a, b);
    }
}

static void test_each_received_field_counts(void **state)
{
    _cleanup_(header_pass_done) struct header_pass p = {0};
    _cleanup_(str_free) struct str out = STR_INIT;
    struct span rest;

    (void)state;
    header_pass_init(&p, &rules, &out);
    header_pass_feed(
        &p, span_of("Received: 1\r\nX-Received: no\r\nReceived: 2\r\n\r\nReceived: body\r\n"),
        &rest);
    assert_int_equal(p.received, 2);
}

static void test_a_field_over_the_limit_passes_unread(void **state)
{
    _cleanup_(header_pass_done) struct header_pass p = {0};
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(str_free) struct str in = STR_INIT;
    struct span rest;

    (void)state;
    str_add_str(&in, "To: user");
    while (in.len < 300)
        str_add_str(&in, ",\r\n user");
    str_add_str(&in, "\r\n\r\n");
    header_pass_init(&p, &rules, &out);
    p.rewrite = true;
    header_pass_feed(&p, str_span(&in), &rest);
    assert_int_equal(p.end, HEADER_END_EMPTY_LINE);
    str_add(&out, rest);
    assert_string_equal(str_cstr(&out), str_cstr(&in));
}

static void test_a_section_over_the_limit_passes_as_body_from_the_same_field_on_wherever_the_input_is_cut(void **state)
{
    static const char line[] = "X-Line: 1234567\r\n";
    const size_t looked_at = rules.section_max / strlen(line) * strlen(line);
    _cleanup_(str_free) struct str in = STR_INIT;

    (void)state;
    for (int i = 0; i < 200; i++)
        str_add_str(&in, line);
    for (size_t cut = 0; cut <= in.len; cut++) {
        _cleanup_(header_pass_done) struct header_pass p = {0};
        _cleanup_(str_free) struct str out = STR_INIT, rest = STR_INIT;

        header_pass_init(&p, &rules, &out);
        feed(&p, span_first(str_span(&in), cut), &rest);
        feed(&p, span_from(str_span(&in), cut), &rest);
        assert_int_equal(p.end, HEADER_END_LIMIT);
        assert_int_equal(out.len, looked_at);
        str_add(&out, str_span(&rest));
        assert_string_equal(str_cstr(&out), str_cstr(&in));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_header_is_the_same_wherever_the_input_is_cut),
        cmocka_unit_test(test_each_received_field_counts),
        cmocka_unit_test(test_a_field_over_the_limit_passes_unread),
        cmocka_unit_test(test_a_section_over_the_limit_passes_as_body_from_the_same_field_on_wherever_the_input_is_cut),
    };

    header_rules_parse_drop("bcc, content-length, resent-bcc, return-path", &rules);
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    free(rules.drop);
    return r;
}
