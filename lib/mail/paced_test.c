/* SPDX-License-Identifier: Apache-2.0 */
/* paced_test.c - long work on a message goes on while somebody waits for it, and stops soon after */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/casemap.h"
#include "mail/charset.h"
#include "mail/mime.h"

struct waiting {
    int questions, patience;    /* after so many it gives up; -1: never */
};

static int ask(void *arg)
{
    struct waiting *w = arg;

    return w->questions++ == w->patience ? -EPIPE : 0;
}

static size_t parse(struct span in, struct pace *pace)
{
    struct mime m;
    size_t read = 0;

    mime_parse(in, 100, 1000000, pace, &m);
    for (size_t i = 0; i < m.len; i++)
        read += m.parts[i].header.len + (m.parts[i].first_child == MIME_NONE ? m.parts[i].body.len : 0);
    mime_done(&m);
    return read;
}

static size_t decode_base64(struct span in, struct pace *pace)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    mime_decode(in, MIME_BASE64, pace, &out);
    return out.len;
}

static size_t decode_qp(struct span in, struct pace *pace)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    mime_decode(in, MIME_QUOTED_PRINTABLE, pace, &out);
    return out.len;
}

static size_t convert(struct span in, struct pace *pace)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    assert_true(charset_convert(in, span_of("iso-2022-jp"), pace, &out));
    return out.len;
}

static size_t fold(struct span in, struct pace *pace)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    casemap_add_mixed(&out, in, pace);
    return out.len;
}

/* The text, many times over, makes a message of a megabyte; what is done of it is given as bytes. */
static const struct {
    const char *what, *text;
    size_t (*work)(struct span in, struct pace *pace);
} works[] = {
    { "lines", "--a\r\nline\r\n", parse },
    { "one line", "aaaaaaaaaa", parse },
    { "base64", "QUJDREVG\r\n", decode_base64 },
    { "no base64", "????????", decode_base64 },
    { "quoted-printable", "=C3=BCab\r\n", decode_qp },
    { "charset", "abc \033$B$\"\033(B\r\n", convert },
    { "not of that charset", "\377\376\375", convert },
    { "letters", "a\303\274\304\260\357\254\201", fold },
    { "no letters", "\377\303", fold },
};

static void test_work_stops_at_the_first_no_and_is_whole_without_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        _cleanup_(str_free) struct str text = STR_INIT;
        struct waiting patient = { 0, -1 }, brief = { 0, 1 };
        struct pace patiently = { .ask = ask, .arg = &patient }, briefly = { .ask = ask, .arg = &brief };

        while (text.len < 1024 * 1024)
            str_add_str(&text, works[i].text);

        size_t whole = works[i].work(str_span(&text), NULL);

        assert_int_equal(works[i].work(str_span(&text), &patiently), whole);
        assert_true(patient.questions > 0);
        assert_int_equal(patiently.error, 0);

        if (patient.questions <= brief.patience)
            continue; /* one line is one step */
        assert_true(patient.questions >= 5);
        size_t part = works[i].work(str_span(&text), &briefly);
        assert_int_equal(briefly.error, -EPIPE);
        assert_int_equal(brief.questions, 2);
        if (part > whole / 2)
            fail_msg("%s: %zu of %zu", works[i].what, part, whole);
    }
}

/* A piece ends where a character ends, and nothing is lost or doubled between two. */
static void test_pieces_make_the_same_form_as_the_whole(void **state)
{
    static const char *const characters[] = { "\303\274", "\342\202\254", "\360\237\230\200", "\355\225\234", "\200\200" };

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
        for (size_t shift = 0; shift < 5; shift++) {
            _cleanup_(str_free) struct str text = STR_INIT, whole = STR_INIT, form = STR_INIT;

            for (size_t i = 0; i < shift; i++)
                str_add_char(&text, 'A');
            str_add(&whole, str_span(&text));
            _cleanup_(str_free) struct str one = STR_INIT;
            casemap_add_mixed(&one, span_of(characters[c]), NULL);
            while (text.len < 70000) {
                str_add_str(&text, characters[c]);
                str_add(&whole, str_span(&one));
            }
            casemap_add_mixed(&form, str_span(&text), NULL);
            assert_true(span_eq(str_span(&form), str_span(&whole)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_stops_at_the_first_no_and_is_whole_without_one),
        cmocka_unit_test(test_pieces_make_the_same_form_as_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
