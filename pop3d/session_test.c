/* SPDX-License-Identifier: Apache-2.0 */
/* session_test.c - POP3 conversations over a socket pair */
#include "pop3d/pop3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

static char root[64], maildir[80];

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/pop3d_test.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(maildir, sizeof maildir, "%s/M", root);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void deliver(struct span text)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    struct maildir_save m = { .content_fd = fd, .size = text.len };
    _cleanup_(str_free) struct str name = STR_INIT;

    assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
    assert_int_equal(maildir_deliver(maildir, &m, &name), 0);
    close(fd);
}

struct server_side {
    int fd;
    int64_t timeout_ms;
    const char *why;
};

static void *serve(void *arg)
{
    struct server_side *side = arg;
    struct pop3 s = { .client = stream_new(side->fd), .uidl_format = "%08Xu%08Xv", .line_limit = 512, .bad_limit = 20,
                      .timeout_ms = side->timeout_ms };

    pop3_serve(&s, maildir, &side->why);
    stream_free(s.client);
    pop3_done(&s);
    return NULL;
}

/* Send all of `in`, then close our side, unless the server is to end what is silent; read what comes. Why it ended. */
static const char *converse_until(struct span in, int64_t timeout_ms, struct str *out)
{
    int pair[2];
    struct server_side side;
    pthread_t thread;
    char buf[4096];
    ssize_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[0], in.ptr, in.len), (ssize_t)in.len);
    if (timeout_ms == 0)
        shutdown(pair[0], SHUT_WR);
    side = (struct server_side){ pair[1], timeout_ms, NULL };
    assert_int_equal(pthread_create(&thread, NULL, serve, &side), 0);
    str_reset(out);
    while ((n = read(pair[0], buf, sizeof buf)) > 0)
        str_add(out, span_make(buf, (size_t)n));
    pthread_join(thread, NULL);
    close(pair[0]);
    return side.why;
}

static void converse(struct span in, struct str *out)
{
    converse_until(in, 0, out);
}

static void assert_conversation(const char *in, const char *want)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    converse(span_of(in), &out);
    assert_string_equal(str_cstr(&out), want);
}

static size_t count_files(void)
{
    char path[128];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/cur", maildir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_messages_are_listed_and_retrieved_with_dots_stuffed(void **state)
{
    (void)state;
    deliver((struct span)SPAN("A: b\r\n\r\n.dot\r\n..\r\nx\r\n"));
    deliver((struct span)SPAN("A: c\r\n\r\nno end"));
    assert_conversation("STAT\r\nLIST\r\nLIST 2\r\nRETR 1\r\nRETR 2\r\nQUIT\r\n",
                        "+OK Logged in.\r\n"
                        "+OK 2 35\r\n"
                        "+OK 2 messages:\r\n1 21\r\n2 14\r\n.\r\n"
                        "+OK 2 14\r\n"
                        "+OK 21 octets\r\nA: b\r\n\r\n..dot\r\n...\r\nx\r\n.\r\n"
                        "+OK 14 octets\r\nA: c\r\n\r\nno end\r\n.\r\n"
                        "+OK Logging out.\r\n");
    assert_int_equal(count_files(), 2);
}

static void test_top_gives_the_header_and_so_many_lines(void **state)
{
    (void)state;
    deliver((struct span)SPAN("A: b\r\nB: c\r\n\r\n1\r\n.2\r\n3\r\n"));
    deliver((struct span)SPAN("only: a header\r\n"));
    assert_conversation("TOP 1 0\r\nTOP 1 2\r\nTOP 1 9\r\nTOP 2 1\r\nTOP 1\r\nTOP 1 x\r\nQUIT\r\n",
                        "+OK Logged in.\r\n"
                        "+OK\r\nA: b\r\nB: c\r\n\r\n.\r\n"
                        "+OK\r\nA: b\r\nB: c\r\n\r\n1\r\n..2\r\n.\r\n"
                        "+OK\r\nA: b\r\nB: c\r\n\r\n1\r\n..2\r\n3\r\n.\r\n"
                        "+OK\r\nonly: a header\r\n.\r\n"
                        "-ERR A number of lines is wanted.\r\n"
                        "-ERR A number of lines is wanted.\r\n"
                        "+OK Logging out.\r\n");
}

static void test_deleted_messages_go_at_quit_and_not_before(void **state)
{
    (void)state;
    deliver((struct span)SPAN("a: 1\r\n"));
    deliver((struct span)SPAN("a: 2\r\n"));
    assert_conversation("DELE 1\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nLIST\r\n",
                        "+OK Logged in.\r\n+OK Marked to be deleted.\r\n+OK 1 6\r\n-ERR The message is deleted.\r\n"
                        "-ERR The message is deleted.\r\n+OK 1 messages:\r\n2 6\r\n.\r\n");
    assert_int_equal(count_files(), 2); /* the connection was closed without QUIT */
    assert_conversation("DELE 1\r\nDELE 2\r\nRSET\r\nDELE 2\r\nQUIT\r\n",
                        "+OK Logged in.\r\n+OK Marked to be deleted.\r\n+OK Marked to be deleted.\r\n+OK\r\n"
                        "+OK Marked to be deleted.\r\n+OK Logging out.\r\n");
    assert_int_equal(count_files(), 1);
    assert_conversation("RETR 1\r\nQUIT\r\n", "+OK Logged in.\r\n+OK 6 octets\r\na: 1\r\n.\r\n+OK Logging out.\r\n");
}

static void test_uidl_is_the_same_in_every_session(void **state)
{
    _cleanup_(str_free) struct str first = STR_INIT, second = STR_INIT;

    (void)state;
    deliver((struct span)SPAN("a: 1\r\n"));
    converse((struct span)SPAN("UIDL\r\nUIDL 1\r\nQUIT\r\n"), &first);
    deliver((struct span)SPAN("a: 2\r\n"));
    converse((struct span)SPAN("UIDL\r\nQUIT\r\n"), &second);
    assert_non_null(strstr(first.data, "+OK 1 messages:\r\n1 00000001"));
    char *line = strstr(first.data, "1 00000001");
    line[strcspn(line, "\r")] = '\0';
    assert_int_equal(strlen(line), 18);
    assert_non_null(strstr(second.data, line));
    assert_non_null(strstr(second.data, "2 00000002"));
}

static void test_wrong_commands_are_refused_and_the_session_lives(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        { "", "-ERR Unknown command.\r\n" },
        { "HELO", "-ERR Unknown command.\r\n" },
        { "RETR", "-ERR A message number is wanted.\r\n" },
        { "RETR 0", "-ERR There is no such message.\r\n" },
        { "RETR 2", "-ERR There is no such message.\r\n" },
        { "RETR -1", "-ERR A message number is wanted.\r\n" },
        { "RETR 99999999999", "-ERR A message number is wanted.\r\n" },
        { "RETR 1 1", "-ERR Too many arguments.\r\n" },
        { "STAT 1", "-ERR No argument is wanted.\r\n" },
        { "stat", "+OK 1 6\r\n" },
        { "retr 1 ", "+OK 6 octets\r\na: 1\r\n.\r\n" },
        { "noop", "+OK\r\n" },
    };
    _cleanup_(str_free) struct str in = STR_INIT, want = STR_INIT;

    (void)state;
    deliver((struct span)SPAN("a: 1\r\n"));
    str_add_str(&want, "+OK Logged in.\r\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str_addf(&in, "%s\r\n", cases[i].line);
        str_add_str(&want, cases[i].answer);
    }
    for (int i = 0; i < 700; i++)
        str_add_char(&in, 'x');
    str_add_str(&in, "\r\nQUIT\r\n");
    str_add_str(&want, "-ERR Line longer than 512 bytes.\r\n+OK Logging out.\r\n");
    assert_conversation(in.data, want.data);
}

static void test_too_many_wrong_commands_end_the_session(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT;

    (void)state;
    for (int i = 0; i < 100; i++)
        str_add_str(&in, "X\r\n");
    converse(str_span(&in), &out);
    assert_non_null(strstr(out.data, "-ERR Too many bad commands.\r\n"));
    assert_true(out.len < 1000);
}

static void test_a_message_removed_by_another_program_is_an_error(void **state)
{
    char command[200];
    _cleanup_(str_free) struct str out = STR_INIT;

    (void)state;
    deliver((struct span)SPAN("a: 1\r\n"));
    deliver((struct span)SPAN("a: 2\r\n"));
    struct maildrop d = { 0 };
    _cleanup_(str_free) struct str err = STR_INIT;
    assert_int_equal(maildrop_open(&d, maildir, &err), 0);
    snprintf(command, sizeof command, "rm %s/cur/*", maildir);
    assert_int_equal(system(command), 0);
    assert_true(maildrop_read(&d, 1) < 0);
    maildrop_delete(&d, 1);
    assert_int_equal(maildrop_update(&d), 0);
    maildrop_done(&d);
}

static void test_a_large_message_comes_as_it_was_sent(void **state)
{
    _cleanup_(str_free) struct str text = STR_INIT, out = STR_INIT, want = STR_INIT;

    (void)state;
    str_add_str(&text, "A: b\r\n\r\n");
    for (int i = 0; text.len < 200000; i++)
        str_addf(&text, "%.*s%d\r\n", i % 5, ".....", i);
    deliver(str_span(&text));
    converse((struct span)SPAN("RETR 1\r\nQUIT\r\n"), &out);
    str_addf(&want, "+OK Logged in.\r\n+OK %zu octets\r\n", text.len);
    for (struct span rest = str_span(&text); rest.len > 0;) {
        struct span line = span_cut(&rest, '\n');

        if (line.ptr[0] == '.')
            str_add_char(&want, '.');
        str_add(&want, line);
        str_add_char(&want, '\n');
    }
    str_add_str(&want, ".\r\n+OK Logging out.\r\n");
    assert_string_equal(out.data, want.data);
}

static void test_a_silent_client_is_logged_out_and_what_it_deleted_stays(void **state)
{
    static const char *const cases[][2] = {
        { "", "" }, { "STAT\r\n", "+OK 1 6\r\n" }, { "DELE 1\r\n", "+OK Marked to be deleted.\r\n" }, { "QU", "" },
    };

    (void)state;
    deliver((struct span)SPAN("A: b\r\n"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(str_free) struct str out = STR_INIT, want = STR_INIT;

        assert_string_equal(converse_until(span_of(cases[i][0]), 50, &out), "Disconnected for inactivity");
        str_addf(&want, "+OK Logged in.\r\n%s-ERR Disconnected for inactivity.\r\n", cases[i][1]);
        assert_string_equal(out.data, want.data);
        assert_int_equal(count_files(), 1); /* RFC 1939 section 3: it does not enter the UPDATE state */
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_are_listed_and_retrieved_with_dots_stuffed),
        TEST(test_top_gives_the_header_and_so_many_lines),
        TEST(test_deleted_messages_go_at_quit_and_not_before),
        TEST(test_uidl_is_the_same_in_every_session),
        TEST(test_wrong_commands_are_refused_and_the_session_lives),
        TEST(test_too_many_wrong_commands_end_the_session),
        TEST(test_a_message_removed_by_another_program_is_an_error),
        TEST(test_a_large_message_comes_as_it_was_sent),
        TEST(test_a_silent_client_is_logged_out_and_what_it_deleted_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
