/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_test.c - a message becomes one complete file in new/, or leaves nothing behind
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "io/loop.h"
#include "mail/header.h"

static struct params params = {
    .always_bcc = "",
    .append_at_myorigin = true,
    .enable_original_recipient = true,
    .myorigin = "example.com",
    .myhostname = "mail.example.com",
    .mydestination = "example.com",
    .mail_name = "Postern",
    .recipient_delimiter = "",
    .propagate_unmatched_extensions = "",
    .virtual_alias_maps = "inline:{ { team@example.com = ann@example.com, bob@example.com } }",
    .virtual_alias_expansion_limit = 100,
    .virtual_alias_recursion_limit = 100,
    .hopcount_limit = 5,
    .message_size_limit = 1000000,
};

struct fixture {
    char base[64];
    struct cleanup c;
};

static int complete(struct span in, struct str *out, void *arg)
{
    (void)arg;
    str_add(out, in);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    const char *tmp = getenv("TMPDIR");
    _cleanup_(str_free) struct str err = STR_INIT;
    char path[128];

    snprintf(f->base, sizeof f->base, "%.40s/cleanup_test.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->base))
        return -1;
    for (int p = QUEUE_TMP; p <= QUEUE_NEW; p++) {
        snprintf(path, sizeof path, "%s/%s", f->base, queue_place_name(p));
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    *state = f;
    f->c.params = &params;
    f->c.notify.service = "qmgr";
    f->c.rules = (struct header_rules){
        .field_max = 10000,
        .section_max = 100000,
        .extract_max = 10,
        .complete = complete,
    };
    header_rules_parse_drop("bcc, content-length, resent-bcc, return-path", &f->c.rules);
    if (aliases_open(&params, &f->c.aliases, &err) < 0)
        return -1;
    return queue_dirs_open(f->base, 1u << QUEUE_TMP | 1u << QUEUE_NEW, &f->c.dirs);
}

static int remove_one(const char *id, void *arg)
{
    return unlinkat(*(int *)arg, id, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    loop_run(); /* notifications to a qmgr that is not there */
    queue_scan(&f->c.dirs, QUEUE_NEW, remove_one, &f->c.dirs.fd[QUEUE_NEW]);
    for (int p = QUEUE_TMP; p <= QUEUE_NEW; p++) {
        snprintf(path, sizeof path, "%s/%s", f->base, queue_place_name(p));
        if (rmdir(path) < 0) /* fails if a test left a file in tmp/ */
            return -1;
    }
    queue_dirs_close(&f->c.dirs);
    aliases_close(&f->c.aliases);
    free(f->c.rules.drop);
    str_free(&f->c.notify.ids);
    int r = rmdir(f->base);

    free(f);
    return r;
}

static void begin(struct message *m, struct fixture *f, uint32_t origin, uint32_t flags,
                  const char *rcpt)
{
    struct submit_rcpt r = {0};

    message_init(m, &f->c);
    m->submit.origin = origin;
    m->submit.flags = flags;
    m->submit.n_rcpt = rcpt ? 1 : 0;
    str_add_str(&m->submit.sender, "sender@example.org");
    str_add_str(&m->submit.client_name, "client.example.org");
    str_add_str(&r.address, rcpt ? rcpt : "");
    message_begin(m);
    if (rcpt)
        message_add_rcpt(m, &r);
    str_free(&r.address);
}

static void feed(struct message *m, struct span content, size_t piece)
{
    for (size_t at = 0; at < content.len; at += piece)
        message_feed(m, span_first(span_from(content, at), piece));
}

/* The content of new/ID, and its envelope. */
static void read_back(struct fixture *f, const char *id, struct queue_envelope *e,
                      struct str *content)
{
    _cleanup_close_ int fd = queue_open(&f->c.dirs, QUEUE_NEW, id, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(queue_read(fd, id, &queue_default_limits, e, NULL), 0);
    assert_int_equal(queue_verify(fd), 0);
    _cleanup_free_ char *buf = mem_calloc(e->content_size + 1, 1);

    assert_int_equal(pread(fd, buf, e->content_size, (off_t)e->content_offset), e->content_size);
    str_add(content, span_make(buf, e->content_size));
}

static void test_mail_from_the_network_is_stored_byte_for_byte_behind_one_new_field(void **state)
{
    static const struct span cases[] = {
        SPAN("Subject: x\r\n\r\nbody\r\n"),
        SPAN("Subject: x\r\n\r\n"),
        SPAN("Subject: x\r\n"),
        SPAN(""),
        SPAN("\r\nbody without a header\r\n"),
        SPAN("Subject: \0 nul \xff high\r\nX:\r\n \r\n\r\nbody \0\r\n"),
        SPAN("Subject: lone\n folded\r\n\nbody\r\n"),
        SPAN("From: <<<>>>,,,;:@\r\nTo: \"unclosed\r\n (comment\r\nMIME-Version: 9\r\n\r\n--no "
             "boundary\r\n"),
        SPAN("Subject : blank before the colon\r\n\tfolded\r\n\r\n\r\n\r\n"),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece <= 64; piece += 21) {
            _cleanup_(message_done) struct message m;
            _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
            _cleanup_(str_free) struct str content = STR_INIT;
            struct header_field received;

            begin(&m, f, SUBMIT_NETWORK, 0, "ann@example.com");
            feed(&m, cases[i], piece);
            message_finish(&m);
            assert_int_equal(m.result.status, SUBMIT_OK);
            read_back(f, m.result.queue_id, &e, &content);
            struct span rest = str_span(&content);

            assert_int_equal(header_next(&rest, SIZE_MAX, &received), 1);
            assert_true(span_eq_str(received.name, "Received"));
            assert_int_equal(rest.len, cases[i].len);
            if (rest.len > 0)
                assert_memory_equal(rest.ptr, cases[i].ptr, rest.len);
        }
    }
}

static void test_a_message_without_an_empty_line_gets_one_before_its_body(void **state)
{
    struct fixture *f = *state;
    _cleanup_(message_done) struct message m;
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    _cleanup_(str_free) struct str content = STR_INIT;

    begin(&m, f, SUBMIT_NETWORK, 0, "ann@example.com");
    feed(&m, span_of("just text\r\n"), 100);
    message_finish(&m);
    read_back(f, m.result.queue_id, &e, &content);
    assert_non_null(strstr(str_cstr(&content), "\r\n\r\njust text\r\n"));
}

static void test_aliases_and_recipients_of_the_header_stand_in_the_envelope(void **state)
{
    struct fixture *f = *state;
    _cleanup_(message_done) struct message m;
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    _cleanup_(str_free) struct str content = STR_INIT;

    begin(&m, f, SUBMIT_LOCAL, SUBMIT_REWRITE | SUBMIT_EXTRACT, "team@example.com");
    feed(&m, span_of("To: carl\r\nBcc: bob@example.com, dora@example.net\r\n\r\nbody\r\n"), 3);
    message_finish(&m);
    assert_int_equal(m.result.status, SUBMIT_OK);
    read_back(f, m.result.queue_id, &e, &content);
    assert_int_equal(m.result.size, e.content_size);
    assert_int_equal(e.n_rcpts, 4);
    assert_string_equal(e.rcpts[0].address, "ann@example.com");
    assert_string_equal(e.rcpts[0].orig, "team@example.com");
    assert_string_equal(e.rcpts[1].address, "bob@example.com");
    assert_string_equal(e.rcpts[2].address, "carl@example.com");
    assert_string_equal(e.rcpts[3].address, "dora@example.net");
    assert_null(strstr(str_cstr(&content), "Bcc"));
    assert_non_null(strstr(str_cstr(&content), "\r\nMessage-Id: <"));
    assert_non_null(strstr(str_cstr(&content), "\r\nFrom: sender@example.org\r\n"));
}

static void test_what_is_refused_or_given_up_leaves_no_file(void **state)
{
    static const struct {
        const char *rcpt, *content;
        size_t repeat;
        bool finish;
        uint32_t status;
        const char *dsn;
    } cases[] = {
        {"ann@example.com", "Received: a\r\n",         4,     true,  SUBMIT_PERMANENT, "5.4.0"},
        {"ann@example.com", "0123456789012345678\r\n", 50000, true,  SUBMIT_PERMANENT, "5.3.4"},
        {NULL,              "Subject: x\r\n",          1,     true,  SUBMIT_PERMANENT, "5.1.0"},
        {"",                "Subject: x\r\n",          1,     true,  SUBMIT_PERMANENT, "5.1.3"},
        {"ann@example.com", "Subject: x\r\n",          1,     false, SUBMIT_OK,        ""     },
        {"ann@example.com", "\r\nbody\r\n",            1,     false, SUBMIT_OK,        ""     },
        {"ann@example.com", "\r\nbody\r\n",            20000, false, SUBMIT_OK,        ""     },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message m;

        begin(&m, f, SUBMIT_NETWORK, 0, cases[i].rcpt);
        for (size_t n = 0; n < cases[i].repeat; n++)
            message_feed(&m, span_of(cases[i].content));
        if (cases[i].finish)
            message_finish(&m);
        if (m.result.status != cases[i].status || strcmp(m.result.dsn, cases[i].dsn) != 0)
            fail_msg("case %zu: status %u %s %s", i, m.result.status, m.result.dsn, m.result.text);
        message_done(&m);
        for (int p = QUEUE_TMP; p <= QUEUE_NEW; p++)
            if (faccessat(f->c.dirs.fd[p], m.result.queue_id, F_OK, 0) == 0)
                fail_msg("case %zu left a file in %s/", i, queue_place_name(p));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_mail_from_the_network_is_stored_byte_for_byte_behind_one_new_field),
        T(test_a_message_without_an_empty_line_gets_one_before_its_body),
        T(test_aliases_and_recipients_of_the_header_stand_in_the_envelope),
        T(test_what_is_refused_or_given_up_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
