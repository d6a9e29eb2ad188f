/* SPDX-License-Identifier: Apache-2.0 */
/* maildir_test.c - names, folders, line ends and delivery */
#include "mailbox/maildir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/own.h"
#include "mailbox/lf.h"
#include "mailbox/mutf7.h"

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/maildir_test.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static int content(struct span bytes)
{
    int fd = memfd_create("content", MFD_CLOEXEC);

    assert_int_equal(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    return fd;
}

static void read_file(const char *sub, const char *name, struct str *ret)
{
    char path[512], buf[4096];
    ssize_t n;

    snprintf(path, sizeof path, "%s/M/%s/%s", root, sub, name);
    _cleanup_close_ int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    str_reset(ret);
    while ((n = read(fd, buf, sizeof buf)) > 0)
        str_add(ret, span_make(buf, (size_t)n));
}

static size_t count_files(const char *sub)
{
    char path[512];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/M/%s", root, sub);
    DIR *d = opendir(path);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* ---- names ---- */

static void test_a_file_name_has_these_parts(void **state)
{
    static const struct {
        const char *file, *base;
        unsigned flags;
        const char *keywords;
        uint64_t size, vsize;
    } cases[] = {
        { "1.M2P3.h,S=10,W=12:2,FS", "1.M2P3.h,S=10,W=12", MAIL_FLAGGED | MAIL_SEEN, "", 10, 12 },
        { "1.M2P3.h", "1.M2P3.h", 0, "", 0, 0 },
        { "1.h:2,", "1.h", 0, "", 0, 0 },
        { "1.h:2,DFPRST", "1.h", 63, "", 0, 0 },
        { "1.h:2,TS", "1.h", MAIL_SEEN | MAIL_DELETED, "", 0, 0 },
        { "1.h:2,Scab", "1.h", MAIL_SEEN, "abc", 0, 0 },
        { "1.h:2,aaSza", "1.h", MAIL_SEEN, "az", 0, 0 },
        { "1.h:2,S,XF", "1.h", MAIL_SEEN, "", 0, 0 },
        { "1.h:1,S", "1.h", 0, "", 0, 0 },
        { "1.h:", "1.h", 0, "", 0, 0 },
        { "1.h,S=,W=x:2,", "1.h,S=,W=x", 0, "", 0, 0 },
        { "1.h,S=99999999999999999999", "1.h,S=99999999999999999999", 0, "", 0, 0 },
        { ":2,S", "", MAIL_SEEN, "", 0, 0 },
        { "", "", 0, "", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maildir_name name;

        print_message("case %zu: %s\n", i, cases[i].file);
        maildir_name_parse(span_of(cases[i].file), &name);
        assert_true(span_eq_str(name.base, cases[i].base));
        assert_int_equal(name.flags, cases[i].flags);
        assert_string_equal(name.keywords, cases[i].keywords);
        assert_int_equal(name.size, cases[i].size);
        assert_int_equal(name.vsize, cases[i].vsize);
    }
}

static void test_a_made_name_has_its_letters_in_order(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    maildir_name_make(span_of("1.h"), MAIL_SEEN | MAIL_DRAFT | MAIL_DELETED, "bz", &s);
    assert_string_equal(s.data, "1.h:2,DSTbz");
    maildir_name_make(span_of("1.h"), 0, NULL, &s);
    assert_string_equal(s.data, "1.h:2,");
}

/* ---- folders ---- */

static void test_a_mailbox_has_one_directory_and_back(void **state)
{
    static const struct {
        const char *name, *dir; /* dir NULL: not allowed */
    } cases[] = {
        { "INBOX", "" },
        { "inbox", "" },
        { "Sent", ".Sent" },
        { "A/B/C", ".A.B.C" },
        { "INBOX/x", ".INBOX.x" },
        { "v1.2", ".v1&AC4-2" },
        { "..", ".&AC4ALg-" },
        { "../../etc", ".&AC4ALg-.&AC4ALg-.etc" },
        { "a & b", ".a &- b" },
        { "Entw\303\274rfe", ".Entw&APw-rfe" },
        { "\347\216\213/\346\227\245", ".&c4s-.&ZeU-" },
        { "\360\237\223\254", ".&2D3c7A-" },
        { "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236",
          ".~peter.mail.&U,BTFw-.&ZeVnLIqe-" }, /* RFC 3501 section 5.1.3 */
        { "", NULL },
        { "/", NULL },
        { "/A", NULL },
        { "A/", NULL },
        { "A//B", NULL },
        { "A\nB", NULL },
        { "A\177", NULL },
        { "A\303", NULL },
        { "A\300\257", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(str_free) struct str s = STR_INIT, back = STR_INIT;
        int r = maildir_folder_dir(span_of(cases[i].name), &s);

        print_message("case %zu: %s\n", i, cases[i].name);
        assert_int_equal(r, cases[i].dir ? 0 : -EINVAL);
        if (r < 0)
            continue;
        assert_string_equal(str_cstr(&s), cases[i].dir);
        assert_int_equal(maildir_folder_name(str_span(&s), &back), 0);
        if (strcmp(cases[i].dir, "") != 0)
            assert_string_equal(back.data, cases[i].name);
    }
}

static void test_a_nul_or_an_overlong_name_is_no_mailbox(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    char longest[300];

    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_int_equal(maildir_folder_dir(span_make("A\0B", 3), &s), -EINVAL);
    assert_int_equal(maildir_folder_dir(span_make(longest, 255), &s), -ENAMETOOLONG);
    assert_int_equal(maildir_folder_dir(span_make(longest, 254), &s), 0);
}

static void test_a_directory_that_we_would_not_have_made_is_no_mailbox(void **state)
{
    static const char *const dirs[] = { "x", ".", "..", ".A.", ".A..B", ".A&B", ".&", ".&AGE-", ".&APw",
                                        ".&2D0-", ".caf\303\251", ".&APx-", ".inbox", ".&AC8-", ".a\tb" };

    (void)state;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        _cleanup_(str_free) struct str s = STR_INIT;

        print_message("case %zu: %s\n", i, dirs[i]);
        assert_int_equal(maildir_folder_name(span_of(dirs[i]), &s), -EINVAL);
    }
}

/* ---- line ends ---- */

static void test_line_ends_come_back_wherever_the_pieces_are_cut(void **state)
{
    static const struct {
        const char *wire, *stored;
    } cases[] = {
        { "a\r\nb\r\n", "a\nb\n" },
        { "", "" },
        { "\r\n\r\n", "\n\n" },
        { "no end", "no end" },
        { "a\rb\r\n", "a\rb\n" },
        { "a\r\r\nb\r\n", "a\r\r\nb\n" },
        { "a\r\r\r\n", "a\r\r\r\n" },
        { "\r", "\r" },
        { "\r\r", "\r\r" },
        { "x\r\n\r", "x\n\r" },
        { "\r\r\n\r\n", "\r\r\n\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span wire = span_of(cases[i].wire);

        for (size_t cut = 0; cut <= wire.len; cut++)
            for (size_t cut2 = cut; cut2 <= wire.len; cut2++) {
                struct lf_writer w = { 0 };
                char out[64];
                size_t n = lf_feed(&w, span_first(wire, cut), out);

                n += lf_feed(&w, span_make(wire.ptr + cut, cut2 - cut), out + n);
                n += lf_feed(&w, span_from(wire, cut2), out + n);
                n += lf_finish(&w, out + n);
                out[n] = '\0';
                assert_string_equal(out, cases[i].stored);
                assert_int_equal(w.size, n);
                assert_int_equal(w.vsize, wire.len);

                _cleanup_(str_free) struct str back = STR_INIT;
                str_add_str(&back, "\r");
                str_add_str(&back, out);
                lf_expand(&back, 1);
                assert_string_equal(back.data + 1, cases[i].wire);
            }
    }
}

static void test_lone_line_feeds_are_shown_as_crlf(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    str_add_str(&s, "\na\n\nb\r\nc");
    lf_expand(&s, 0);
    assert_string_equal(s.data, "\r\na\r\n\r\nb\r\nc");
}

/* ---- delivery ---- */

static void test_a_delivery_makes_the_maildir_and_one_file_in_new(void **state)
{
    char maildir[128];
    _cleanup_close_ int fd = content((struct span)SPAN("xxSubject: a\r\n\r\nbody\r\nyy"));
    struct maildir_save m = { .content_fd = fd, .offset = 2, .size = 20,
                              .prepend = SPAN("Return-Path: <a@b>\n") };
    _cleanup_(str_free) struct str name = STR_INIT, text = STR_INIT;
    struct maildir_name parts;

    (void)state;
    snprintf(maildir, sizeof maildir, "%s/deep/er/M", root);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    snprintf(maildir, sizeof maildir, "%s/M", root);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    assert_int_equal(count_files("new"), 1);
    assert_int_equal(count_files("tmp"), 0);
    assert_int_equal(count_files("cur"), 0);
    read_file("new", name.data, &text);
    assert_string_equal(text.data, "Return-Path: <a@b>\nSubject: a\n\nbody\n");
    maildir_name_parse(str_span(&name), &parts);
    assert_int_equal(parts.size, text.len);
    assert_int_equal(parts.vsize, text.len + 4);
}

static void test_a_message_with_flags_goes_to_cur_with_its_date(void **state)
{
    char maildir[128], path[512];
    _cleanup_close_ int fd = content((struct span)SPAN("a: b\r\n"));
    struct maildir_save m = { .content_fd = fd, .size = 6, .received = 1000000000,
                              .flags = MAIL_SEEN, .keywords = "c" };
    _cleanup_(str_free) struct str name = STR_INIT;
    struct stat st;

    (void)state;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    snprintf(path, sizeof path, "%s/cur/%s:2,Sc", maildir, name.data);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtime, 1000000000);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_a_failed_delivery_leaves_no_file(void **state)
{
    char maildir[128];
    _cleanup_close_ int fd = content((struct span)SPAN("a: b\r\n"));
    struct maildir_save m = { .content_fd = fd, .size = 7 };
    _cleanup_(str_free) struct str name = STR_INIT;

    (void)state;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    assert_int_equal(maildir_deliver(maildir, &m, &name), -EIO);
    m.size = 6;
    m.max_size = 5;
    assert_int_equal(maildir_deliver(maildir, &m, &name), -EFBIG);
    assert_int_equal(count_files("tmp") + count_files("new") + count_files("cur"), 0);
}

static void test_a_large_message_comes_back_as_it_was(void **state)
{
    char maildir[128], path[512];
    _cleanup_(str_free) struct str big = STR_INIT, name = STR_INIT, back = STR_INIT;

    (void)state;
    for (int i = 0; big.len < 300000; i++)
        str_addf(&big, "%.*s\r%s\n", i % 90, "................................................"
                 "..........................................", i % 7 == 0 ? "\r" : "");
    _cleanup_close_ int fd = content(str_span(&big));
    struct maildir_save m = { .content_fd = fd, .size = big.len };

    snprintf(maildir, sizeof maildir, "%s/M", root);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    snprintf(path, sizeof path, "%s/new/%s", maildir, name.data);
    _cleanup_close_ int in = open(path, O_RDONLY);
    assert_int_equal(maildir_read_crlf(in, 1000000, &back), 0);
    assert_int_equal(back.len, big.len);
    assert_memory_equal(back.data, big.data, big.len);
    assert_int_equal(maildir_read_crlf(in, 1000, &back), -EFBIG);
}

static void test_fresh_files_are_not_swept_from_tmp(void **state)
{
    char maildir[128], path[200];
    struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

    (void)state;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    assert_int_equal(maildir_create(maildir), 0);
    snprintf(path, sizeof path, "%s/tmp/1.x", maildir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    maildir_sweep(maildir);
    assert_int_equal(count_files("tmp"), 1);
    /* A date of long ago alone (APPEND sets it) does not make a file old. */
    assert_int_equal(futimens(fd, old), 0);
    close(fd);
    maildir_sweep(maildir);
    assert_int_equal(count_files("tmp"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_name_has_these_parts),
        cmocka_unit_test(test_a_made_name_has_its_letters_in_order),
        cmocka_unit_test(test_a_mailbox_has_one_directory_and_back),
        cmocka_unit_test(test_a_nul_or_an_overlong_name_is_no_mailbox),
        cmocka_unit_test(test_a_directory_that_we_would_not_have_made_is_no_mailbox),
        cmocka_unit_test(test_line_ends_come_back_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_lone_line_feeds_are_shown_as_crlf),
        cmocka_unit_test_setup_teardown(test_a_delivery_makes_the_maildir_and_one_file_in_new,
                                        make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_message_with_flags_goes_to_cur_with_its_date,
                                        make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_failed_delivery_leaves_no_file, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_fresh_files_are_not_swept_from_tmp, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_large_message_comes_back_as_it_was, make_root,
                                        remove_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
