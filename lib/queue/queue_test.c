/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_test.c - queue files come back as they were written, and damaged ones are recognised
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "queue/format.h"

#define ALL_PLACES ((1u << QUEUE_PLACES) - 1)

struct fixture {
    char base[64];
    struct queue_dirs dirs;
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    const char *tmp = getenv("TMPDIR");
    char path[128];

    snprintf(f->base, sizeof f->base, "%.40s/queue_test.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->base))
        return -1;
    for (int p = 0; p < QUEUE_PLACES; p++) {
        snprintf(path, sizeof path, "%s/%s", f->base, queue_place_name(p));
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    *state = f;
    return queue_dirs_open(f->base, ALL_PLACES, &f->dirs);
}

static int remove_one(const char *id, void *arg)
{
    return unlinkat(*(int *)arg, id, 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    for (int p = 0; p < QUEUE_PLACES; p++) {
        queue_scan(&f->dirs, p, remove_one, &f->dirs.fd[p]);
        snprintf(path, sizeof path, "%s/%s", f->base, queue_place_name(p));
        rmdir(path);
    }
    queue_dirs_close(&f->dirs);
    int r = rmdir(f->base); /* fails if a test left a file with another name */

    free(f);
    return r;
}

/* An envelope with every member set, made of string literals: not to be given to
 * queue_envelope_done(). */
static struct queue_rcpt sample_rcpts[] = {
    {.address = (char *)"ann@example.com"          },
    {.address = (char *)"bob@example.org",
     .orig = (char *)"team@example.org",
     .dsn_orcpt = (char *)"rfc822;team@example.org",
     .dsn_notify = DSN_FAILURE | DSN_DELAY},
    {.address = (char *)"\"odd name\"@example.net"},
};

static struct queue_envelope sample(const char *id)
{
    struct queue_envelope e = {
        .arrival_us = 1700000000123456,
        .origin = SUBMIT_LOCAL,
        .flags = SUBMIT_8BIT | SUBMIT_REWRITE,
        .sender = (char *)"sender@example.com",
        .dsn_ret = DSN_RET_HDRS,
        .dsn_envid = (char *)"QQ314159",
        .client_name = (char *)"mx.example.com",
        .client_addr = (char *)"2001:db8::1",
        .client_port = 54321,
        .helo = (char *)"mx",
        .proto = (char *)"ESMTPSA",
        .service = (char *)"submission",
        .sasl_method = (char *)"plain",
        .sasl_username = (char *)"ann",
        .sasl_sender = (char *)"ann@example.com",
        .uid = 1000,
        .rcpts = sample_rcpts,
        .n_rcpts = ARRAY_LEN(sample_rcpts),
    };

    snprintf(e.id, sizeof e.id, "%s", id);
    return e;
}

static void assert_same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static void assert_same_envelope(const struct queue_envelope *a, const struct queue_envelope *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->n_rcpts, b->n_rcpts);
    for (size_t i = 0; i < record_rows_len; i++) {
        const struct record_row *row = &record_rows[i];
        const char *ma = (const char *)a + row->offset, *mb = (const char *)b + row->offset;

        if (row->section != SECTION_ENVELOPE)
            continue;
        if (row->kind == KIND_TEXT)
            assert_same_text(*(char *const *)ma, *(char *const *)mb);
        else
            assert_memory_equal(ma, mb, row->kind == KIND_U32 ? 4 : 8);
    }
    for (size_t i = 0; i < a->n_rcpts; i++) {
        assert_string_equal(a->rcpts[i].address, b->rcpts[i].address);
        assert_same_text(a->rcpts[i].orig, b->rcpts[i].orig);
        assert_same_text(a->rcpts[i].dsn_orcpt, b->rcpts[i].dsn_orcpt);
        assert_int_equal(a->rcpts[i].dsn_notify, b->rcpts[i].dsn_notify);
    }
}

/* Write the sample with content into new/ID. */
static void write_message(struct fixture *f, const char *id, struct span content, size_t piece)
{
    struct queue_envelope e = sample(id);
    struct queue_writer *w = NULL;

    assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), 0);
    for (size_t at = 0; at < content.len; at += piece)
        assert_int_equal(queue_write(w, span_first(span_from(content, at), piece)), 0);
    assert_int_equal(queue_written(w), content.len);
    assert_int_equal(queue_commit(w), 0);
    assert_int_equal(queue_publish(w, &f->dirs, QUEUE_NEW), 0);
}

static int open_message(struct fixture *f, const char *id)
{
    int fd = queue_open(&f->dirs, QUEUE_NEW, id, O_RDWR);

    assert_true(fd >= 0);
    return fd;
}

static void fill(char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (char)(i * 2654435761u >> 13);
}

static void test_a_message_of_any_size_comes_back_as_it_was_written(void **state)
{
    static const struct {
        size_t size, piece;
    } cases[] = {
        {0,      1    },
        {1,      1    },
        {5000,   7    },
        {65000,  4096 },
        {65536,  65536},
        {70000,  1000 },
        {400000, 65536},
        {400000, 40001},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *content = mem_calloc(cases[i].size + 1, 1);
        _cleanup_free_ char *back = mem_calloc(cases[i].size + 1, 1);
        _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
        struct queue_envelope want = sample("4cK9vQ1zRm");

        fill(content, cases[i].size);
        write_message(f, "4cK9vQ1zRm", span_make(content, cases[i].size), cases[i].piece);
        _cleanup_close_ int fd = open_message(f, "4cK9vQ1zRm");

        assert_int_equal(queue_read(fd, "4cK9vQ1zRm", &queue_default_limits, &e, NULL), 0);
        assert_same_envelope(&want, &e);
        assert_int_equal(e.content_size, cases[i].size);
        assert_int_equal(queue_pread(fd, back, cases[i].size, e.content_offset), cases[i].size);
        assert_memory_equal(back, content, cases[i].size);
        assert_int_equal(queue_verify(fd), 0);
    }
}

static void test_the_sum_does_not_depend_on_how_the_bytes_were_cut(void **state)
{
    char bytes[61];
    struct queue_sum whole = {0};

    (void)state;
    fill(bytes, sizeof bytes);
    queue_sum_add(&whole, span_make(bytes, sizeof bytes));
    for (size_t a = 0; a <= sizeof bytes; a++)
        for (size_t b = a; b <= sizeof bytes; b++) {
            struct queue_sum cut = {0};

            queue_sum_add(&cut, span_make(bytes, a));
            queue_sum_add(&cut, span_make(bytes + a, b - a));
            queue_sum_add(&cut, span_make(bytes + b, sizeof bytes - b));
            assert_int_equal(queue_sum_end(&cut), queue_sum_end(&whole));
        }
}

static void test_a_file_cut_anywhere_before_its_journal_is_not_a_message(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("Subject: x\r\n\r\nbody\r\n");

    write_message(f, "CUT", content, 5);
    _cleanup_close_ int fd = open_message(f, "CUT");
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    for (off_t len = st.st_size - 1; len >= 0; len--) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct queue_envelope e;

        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(queue_read(fd, "CUT", &queue_default_limits, &e, &err), -EBADMSG);
        assert_true(err.len > 0);
    }
}

static void test_a_flipped_bit_in_header_or_envelope_is_noticed_and_in_content_by_verify(
    void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("Subject: x\r\n\r\nbody\r\n");

    write_message(f, "FLIP", content, 5);
    _cleanup_close_ int fd = open_message(f, "FLIP");
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    uint64_t content_at = (uint64_t)st.st_size - content.len;

    for (uint64_t at = 0; at < (uint64_t)st.st_size; at++) {
        struct queue_envelope e;
        char byte, flipped;
        bool unused = (at >= 6 && at < 8) || (at >= 12 && at < 16) || (at >= 56 && at < 64);

        assert_int_equal(queue_pread(fd, &byte, 1, at), 1);
        flipped = byte ^ 0x10;
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        if (at < content_at && !unused && !(at >= 48 && at < 56))
            assert_int_equal(queue_read(fd, "FLIP", &queue_default_limits, &e, NULL), -EBADMSG);
        else if (at >= content_at || (at >= 48 && at < 56))
            assert_int_equal(queue_verify(fd), -EBADMSG);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
}

static void test_a_file_that_was_not_committed_is_not_complete(void **state)
{
    struct fixture *f = *state;
    struct queue_envelope e = sample("PART"), got;
    _cleanup_(queue_abort_ptr_) struct queue_writer *w = NULL;
    _cleanup_free_ char *content = mem_calloc(100000, 1);
    _cleanup_(str_free) struct str err = STR_INIT;

    assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), 0);
    assert_int_equal(queue_write(w, span_make(content, 100000)), 0);
    _cleanup_close_ int fd = queue_open(&f->dirs, QUEUE_TMP, "PART", O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(queue_read(fd, "PART", &queue_default_limits, &got, &err), -EBADMSG);
    assert_string_equal(str_cstr(&err), "not complete");
}

static void test_an_aborted_message_leaves_no_file(void **state)
{
    struct fixture *f = *state;
    struct queue_envelope e = sample("GONE");

    for (int place = QUEUE_TMP; place < QUEUE_PLACES; place++) {
        struct queue_writer *w = NULL;

        assert_int_equal(queue_create(&f->dirs, place, &e, &w), 0);
        queue_abort(w);
        assert_int_equal(faccessat(f->dirs.fd[place], "GONE", F_OK, 0), -1);
        assert_int_equal(faccessat(f->dirs.fd[place], ".GONE", F_OK, 0), -1);
    }
}

static void test_a_file_that_is_aimed_before_its_first_write_is_made_there(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *content = mem_calloc(100000, 1);
    static const struct {
        const char *id;
        size_t len;
        enum queue_place made_in;
    } cases[] = {
        {"SMALL", 4096,   QUEUE_NEW},
        {"LARGE", 100000, QUEUE_TMP}, /* more than the buffer: it exists already */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_envelope e = sample(cases[i].id);
        struct queue_writer *w = NULL;

        assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), 0);
        assert_int_equal(queue_write(w, span_make(content, cases[i].len)), 0);
        queue_aim(w, &f->dirs, QUEUE_NEW);
        assert_int_equal(queue_commit(w), 0);
        assert_int_equal(faccessat(f->dirs.fd[cases[i].made_in], cases[i].id, F_OK, 0), 0);
        assert_int_equal(queue_publish(w, &f->dirs, QUEUE_NEW), 0);
        assert_int_equal(faccessat(f->dirs.fd[QUEUE_TMP], cases[i].id, F_OK, 0), -1);
        _cleanup_close_ int fd = open_message(f, cases[i].id);

        assert_int_equal(queue_verify(fd), 0);
    }
}

static void test_a_file_in_maildrop_has_its_name_only_when_it_is_whole(void **state)
{
    struct fixture *f = *state;
    struct queue_envelope e = sample("DROP");
    struct queue_writer *w = NULL;
    struct stat st;

    assert_int_equal(queue_create(&f->dirs, QUEUE_MAILDROP, &e, &w), 0);
    assert_int_equal(queue_commit(w), 0);
    assert_int_equal(queue_open(&f->dirs, QUEUE_MAILDROP, "DROP", O_RDONLY), -ENOENT);
    assert_int_equal(queue_publish(w, &f->dirs, QUEUE_MAILDROP), 0);
    assert_int_equal(fstatat(f->dirs.fd[QUEUE_MAILDROP], "DROP", &st, 0), 0);
    assert_int_equal(st.st_mode & 0222, 0);
}

static void test_what_record_def_does_not_allow_is_not_written(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *longer = mem_calloc(SUBMIT_ADDRESS_MAX + 2, 1);
    struct queue_envelope e = sample("LIMIT");
    struct queue_writer *w = NULL;

    memset(longer, 'a', SUBMIT_ADDRESS_MAX + 1);
    e.sender = longer;
    assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), -EMSGSIZE);
    e = sample("LIMIT");
    e.client_port = 65536;
    assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), -ERANGE);
    e = sample("../LIMIT");
    assert_int_equal(queue_create(&f->dirs, QUEUE_TMP, &e, &w), -EINVAL);
    assert_null(w);
}

/* ---- envelopes that are no envelopes ---- */

/* A file of hand-made envelope records with a right header. */
static int make_file(struct fixture *f, struct span records, uint32_t n_rcpts)
{
    struct queue_header h = {.n_rcpts = n_rcpts, .content_offset = QUEUE_HEADER_SIZE + records.len};
    struct queue_sum sum = {0};
    char head[QUEUE_HEADER_SIZE];
    int fd = openat(f->dirs.fd[QUEUE_NEW], "MADE", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    queue_sum_add(&sum, records);
    h.envelope_sum = queue_sum_end(&sum);
    queue_header_put(&h, head);
    assert_int_equal(write(fd, head, sizeof head), sizeof head);
    assert_int_equal(write(fd, records.ptr, records.len), records.len);
    return fd;
}

#define TIME   "T\x08\0\0\0\x01\0\0\0\0\0\0\0"
#define SENDER "S\0\0\0\0"
#define RCPT   "R\x03\0\0\0a@b"

static void test_records_that_make_no_envelope_are_refused_with_a_reason(void **state)
{
    static const struct {
        struct span records;
        uint32_t n_rcpts;
        const char *why;
    } cases[] = {
        {SPAN(TIME SENDER RCPT),                         1,       NULL                                   },
        {SPAN(TIME SENDER),                              0,       NULL                                   },
        {SPAN(TIME SENDER RCPT RCPT),                    1,       "more recipients than the header says" },
        {SPAN(TIME SENDER RCPT),                         2,       "fewer recipients than the header says"},
        {SPAN(TIME SENDER RCPT "n\x04\0\0\0\x01\0\0\0"), 1,       "details without a recipient"          },
        {SPAN(TIME SENDER "n\x04\0\0\0\x10\0\0\0" RCPT), 1,       "a number out of range"                },
        {SPAN(TIME SENDER "n\x03\0\0\0\x01\0\0" RCPT),   1,       "a number of another size"             },
        {SPAN(TIME SENDER "o\0\0\0\0o\0\0\0\0" RCPT),    1,       "the same record twice"                },
        {SPAN(TIME SENDER SENDER RCPT),                  1,       "the same record twice"                },
        {SPAN(TIME RCPT),                                1,       "no sender or time of arrival"         },
        {SPAN(SENDER RCPT),                              1,       "no sender or time of arrival"         },
        {SPAN(TIME SENDER "R\x03\0\0\0a\0b"),            1,       "a text with a NUL in it"              },
        {SPAN(TIME SENDER "X\0\0\0\0" RCPT),             1,       "unknown record in the envelope"       },
        {SPAN(TIME SENDER "Z\0\0\0\0" RCPT),             1,       "unknown record in the envelope"       },
        {SPAN(TIME SENDER RCPT "R\xff\xff\xff\xff"
                               "abc"),
         1,                                                       "envelope ends within a record"        },
        {SPAN(TIME SENDER RCPT "R\x01"),                 1,       "envelope ends within a record"        },
        {SPAN("T\x08\0\0\0\x01\0\0\0\0\0\0\xff" SENDER), 0,       "a number out of range"                },
        {SPAN(TIME SENDER RCPT),                         1000001, "more recipients than allowed"         },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_close_ int fd = make_file(f, cases[i].records, cases[i].n_rcpts);
        _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
        _cleanup_(str_free) struct str err = STR_INIT;
        int r = queue_read(fd, "MADE", &queue_default_limits, &e, &err);

        if (r != (cases[i].why ? -EBADMSG : 0) ||
            strcmp(str_cstr(&err), cases[i].why ? cases[i].why : "") != 0)
            fail_msg("case %zu: %d, %s", i, r, str_cstr(&err));
    }
}

static void test_sections_that_overlap_or_leave_the_file_are_refused(void **state)
{
    static const struct {
        uint64_t content_offset, content_size, journal_offset;
    } cases[] = {
        {63,         0,          63  },
        {0,          64,         64  },
        {1000,       0,          1000},
        {64,         1000,       1064},
        {64,         UINT64_MAX, 63  },
        {UINT64_MAX, 1,          0   },
        {69,         0,          64  },
        {64,         5,          70  },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span records = SPAN(TIME SENDER RCPT);
        _cleanup_close_ int fd = make_file(f, records, 1);
        struct queue_envelope e;
        char where[24];

        le64_put(where, cases[i].content_offset);
        le64_put(where + 8, cases[i].content_size);
        le64_put(where + 16, cases[i].journal_offset);
        assert_int_equal(pwrite(fd, where, sizeof where, 16), sizeof where);
        if (queue_read(fd, "MADE", &queue_default_limits, &e, NULL) != -EBADMSG)
            fail_msg("case %zu", i);
    }
}

/* ---- the journal ---- */

static struct outcome sample_outcome(uint32_t number, uint32_t status, const char *text)
{
    struct outcome o = {.number = number, .status = status, .dsn = "4.4.1"};

    str_add_str(&o.text, text);
    str_add_str(&o.relay, "mx.example.org[192.0.2.1]:25");
    str_add_str(&o.remote_reply, "451 4.3.0 later");
    return o;
}

static void outcome_free(struct outcome *o)
{
    str_free(&o->text);
    str_free(&o->relay);
    str_free(&o->remote_mta);
    str_free(&o->remote_reply);
}

static void append_outcome(int fd, uint32_t number, uint32_t status, const char *text)
{
    _cleanup_(outcome_free) struct outcome o = sample_outcome(number, status, text);

    assert_int_equal(journal_outcome(fd, &o, 1700000001000000), 0);
}

static void test_the_journal_says_what_became_of_each_recipient(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};

    write_message(f, "JOURNAL", content, 6);
    _cleanup_close_ int fd = open_message(f, "JOURNAL");

    append_outcome(fd, 0, OUTCOME_SENT, "250 ok");
    append_outcome(fd, 1, OUTCOME_DEFERRED, "once");
    append_outcome(fd, 1, OUTCOME_DEFERRED, "twice");
    append_outcome(fd, 2, OUTCOME_BOUNCED, "no such user");
    assert_int_equal(journal_retry(fd, 1700000300, 2), 0);
    assert_int_equal(journal_reported(fd, 2, 1), 0);
    assert_int_equal(journal_delay_reported(fd), 0);
    assert_int_equal(journal_expire(fd), 0);
    assert_int_equal(queue_read(fd, "JOURNAL", &queue_default_limits, &e, NULL), 0);
    assert_int_equal(e.rcpts[0].state, RCPT_SENT);
    assert_int_equal(e.rcpts[1].state, RCPT_DEFERRED);
    assert_int_equal(e.rcpts[1].attempts, 2);
    assert_string_equal(e.rcpts[1].text, "twice");
    assert_string_equal(e.rcpts[1].remote_reply, "451 4.3.0 later");
    assert_null(e.rcpts[1].remote_mta);
    assert_int_equal(e.rcpts[1].last_us, 1700000001000000);
    assert_int_equal(e.rcpts[2].state, RCPT_REPORTED);
    assert_string_equal(e.rcpts[2].dsn, "4.4.1");
    assert_int_equal(e.next_retry, 1700000300);
    assert_int_equal(e.attempts, 2);
    assert_true(e.delay_reported && e.expire);
}

static void assert_states(int fd, enum queue_rcpt_state first, enum queue_rcpt_state second, enum queue_rcpt_state third)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};

    assert_int_equal(queue_read(fd, "REPORT", &queue_default_limits, &e, NULL), 0);
    assert_int_equal(e.rcpts[0].state, first);
    assert_int_equal(e.rcpts[1].state, second);
    assert_int_equal(e.rcpts[2].state, third);
    assert_false(e.delay_reported);
}

static void test_a_report_tells_of_what_had_failed_when_it_was_begun_and_of_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};

    write_message(f, "REPORT", content, 6);
    _cleanup_close_ int fd = open_message(f, "REPORT");

    append_outcome(fd, 0, OUTCOME_BOUNCED, "no such user");
    append_outcome(fd, 1, OUTCOME_SENT, "250 ok");
    assert_int_equal(journal_report_begun(fd, 7, REPORT_FAILED), 0);
    append_outcome(fd, 2, OUTCOME_BOUNCED, "no such user"); /* under another qmgr, while 7 is still under way */
    assert_states(fd, RCPT_BOUNCED, RCPT_SENT, RCPT_BOUNCED);
    assert_int_equal(journal_report_queued(fd, 7), 0);
    assert_states(fd, RCPT_REPORTED, RCPT_SENT, RCPT_BOUNCED);
    assert_int_equal(journal_report_begun(fd, 8, REPORT_FAILED), 0);
    assert_int_equal(journal_report_begun(fd, 9, REPORT_FAILED), 0); /* 8 was given up */
    assert_int_equal(journal_report_queued(fd, 8), 0);
    assert_states(fd, RCPT_REPORTED, RCPT_SENT, RCPT_BOUNCED);
    assert_int_equal(journal_report_queued(fd, 9), 0);
    assert_states(fd, RCPT_REPORTED, RCPT_SENT, RCPT_REPORTED);
    assert_int_equal(journal_report_begun(fd, 10, REPORT_SUCCESS), 0);
    assert_int_equal(journal_report_begun(fd, 11, REPORT_DELAYED), 0);
    assert_int_equal(journal_report_queued(fd, 10), 0);
    assert_states(fd, RCPT_REPORTED, RCPT_REPORTED, RCPT_REPORTED);
    assert_int_equal(journal_report_queued(fd, 11), 0);
    assert_int_equal(queue_read(fd, "REPORT", &queue_default_limits, &e, NULL), 0);
    assert_true(e.delay_reported);
}

static void test_a_journal_torn_at_any_byte_keeps_its_whole_records_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    struct stat st, before;

    write_message(f, "TORN", content, 6);
    _cleanup_close_ int fd = open_message(f, "TORN");

    append_outcome(fd, 0, OUTCOME_SENT, "250 ok");
    assert_int_equal(fstat(fd, &before), 0);
    append_outcome(fd, 1, OUTCOME_DEFERRED, "torn");
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t len = st.st_size - 1; len >= before.st_size; len--) {
        _cleanup_(queue_envelope_done) struct queue_envelope e = {0}, again = {0};

        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(queue_read(fd, "TORN", &queue_default_limits, &e, NULL), 0);
        assert_int_equal(e.rcpts[0].state, RCPT_SENT);
        assert_int_equal(e.rcpts[1].state, RCPT_PENDING);
        append_outcome(fd, 1, OUTCOME_DEFERRED, "torn");
        assert_int_equal(queue_read(fd, "TORN", &queue_default_limits, &again, NULL), 0);
        assert_int_equal(again.rcpts[1].state, RCPT_DEFERRED);
    }
}

static void test_a_reader_without_write_access_ignores_the_torn_tail_and_leaves_it(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    struct stat st;

    write_message(f, "ZEROES", content, 6);
    _cleanup_close_ int fd = open_message(f, "ZEROES");

    append_outcome(fd, 0, OUTCOME_SENT, "250 ok");
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size + 300), 0); /* what a power cut may leave */
    _cleanup_close_ int ro = queue_open(&f->dirs, QUEUE_NEW, "ZEROES", O_RDONLY);

    assert_int_equal(queue_read(ro, "ZEROES", &queue_default_limits, &e, NULL), 0);
    assert_int_equal(e.rcpts[0].state, RCPT_SENT);
    assert_int_equal(fstat(fd, &st), 0);
    queue_envelope_done(&e);
    assert_int_equal(queue_read(fd, "ZEROES", &queue_default_limits, &e, NULL), 0);
    struct stat after;

    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_size, st.st_size - 300);
}

static void test_a_long_journal_is_read_through_its_window(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};
    char text[1001];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    write_message(f, "LONG", content, 6);
    _cleanup_close_ int fd = open_message(f, "LONG");

    for (int i = 0; i < 500; i++)
        append_outcome(fd, 1, OUTCOME_DEFERRED, text);
    assert_int_equal(queue_read(fd, "LONG", &queue_default_limits, &e, NULL), 0);
    assert_int_equal(e.rcpts[1].attempts, 500);
    struct queue_limits small = queue_default_limits;

    small.max_journal = 1000;
    queue_envelope_done(&e);
    assert_int_equal(queue_read(fd, "LONG", &small, &e, NULL), -EBADMSG);
}

static void test_an_outcome_for_a_recipient_that_is_not_there_ends_the_journal(void **state)
{
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(queue_envelope_done) struct queue_envelope e = {0};

    write_message(f, "WILD", content, 6);
    _cleanup_close_ int fd = open_message(f, "WILD");

    append_outcome(fd, 3, OUTCOME_SENT, "nobody");
    append_outcome(fd, 0, OUTCOME_SENT, "lost behind it");
    assert_int_equal(queue_read(fd, "WILD", &queue_default_limits, &e, NULL), 0);
    for (size_t i = 0; i < e.n_rcpts; i++)
        assert_int_equal(e.rcpts[i].state, RCPT_PENDING);
}

/* ---- postcat's view ---- */

static int collect(uint64_t offset, int type, const char *type_name, struct span bytes, void *arg)
{
    struct str *s = arg;

    (void)offset;
    (void)type_name;
    queue_record_print(type, bytes, s);
    str_add_char(s, '\n');
    return 0;
}

static void test_a_dump_shows_envelope_and_journal(void **state)
{
    static const char *const lines[] = {
        "sender: sender@example.com\n",
        "named_attribute: log_client_address=2001:db8::1\n",
        "named_attribute: log_client_port=54321\n",
        "original_recipient: team@example.org\ndsn_orig_rcpt: "
        "rfc822;team@example.org\nnotify_flags: 12\n",
        "recipient: ann@example.com\n",
        "delivery_outcome: recipient=1 status=deferred dsn=4.4.1 "
        "relay=mx.example.org[192.0.2.1]:25 (later?)\n",
        "next_retry: 1700000300 attempts=2\n",
    };
    struct fixture *f = *state;
    struct span content = SPAN("body\r\n");
    _cleanup_(str_free) struct str text = STR_INIT;

    write_message(f, "DUMP", content, 6);
    _cleanup_close_ int fd = open_message(f, "DUMP");

    append_outcome(fd, 1, OUTCOME_DEFERRED, "later\x1b");
    assert_int_equal(journal_retry(fd, 1700000300, 2), 0);
    assert_int_equal(queue_dump(fd, collect, &text), 0);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(str_cstr(&text), lines[i]))
            fail_msg("no \"%s\" in:\n%s", lines[i], str_cstr(&text));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_message_of_any_size_comes_back_as_it_was_written),
        T(test_the_sum_does_not_depend_on_how_the_bytes_were_cut),
        T(test_a_file_cut_anywhere_before_its_journal_is_not_a_message),
        T(test_a_flipped_bit_in_header_or_envelope_is_noticed_and_in_content_by_verify),
        T(test_a_file_that_was_not_committed_is_not_complete),
        T(test_an_aborted_message_leaves_no_file),
        T(test_a_file_that_is_aimed_before_its_first_write_is_made_there),
        T(test_a_file_in_maildrop_has_its_name_only_when_it_is_whole),
        T(test_what_record_def_does_not_allow_is_not_written),
        T(test_records_that_make_no_envelope_are_refused_with_a_reason),
        T(test_sections_that_overlap_or_leave_the_file_are_refused),
        T(test_the_journal_says_what_became_of_each_recipient),
        T(test_a_report_tells_of_what_had_failed_when_it_was_begun_and_of_nothing_else),
        T(test_a_journal_torn_at_any_byte_keeps_its_whole_records_and_goes_on),
        T(test_a_reader_without_write_access_ignores_the_torn_tail_and_leaves_it),
        T(test_a_long_journal_is_read_through_its_window),
        T(test_an_outcome_for_a_recipient_that_is_not_there_ends_the_journal),
        T(test_a_dump_shows_envelope_and_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
