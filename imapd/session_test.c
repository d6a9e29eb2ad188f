/* SPDX-License-Identifier: Apache-2.0 */
/* session_test.c - whole conversations with a session on a Maildir of its own */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "session.h"
#include "test_params.h"

static struct params params = {
    TEST_PARAMS,
    .imap_line_limit = 1000,
    .imap_literal_limit = 100,
    .imap_bad_command_limit = 20,
    .imap_search_depth_limit = 50,
    .message_size_limit = 2000,
};

struct conversation {
    const char *maildir;
    struct span input;
    size_t cut;             /* the client stops here for a moment */
    int server_fd, client_fd;
    struct str output;
    const char *reason;
    uint64_t begun_ms, ended_ms;
};

static void run_server(void *arg)
{
    struct conversation *c = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(c->server_fd);
    _cleanup_(account_close_ptr_) struct account *account = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    assert_int_equal(account_open(c->maildir, &account, &err), 0);

    struct imap s = { .params = &params, .client = st, .account = account };

    c->begun_ms = clock_ms();
    imap_serve(&s, span_of("in1"), &c->reason);
    c->ended_ms = clock_ms();
    imap_done(&s);
}

/* Say all, with a pause, then listen until the server has gone. */
static void run_client(void *arg)
{
    struct conversation *c = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(c->client_fd);
    struct span got;

    stream_write(st, span_first(c->input, c->cut));
    stream_flush(st);
    for (int i = 0; i < 20; i++)        /* events are fetched in between */
        fiber_yield();
    stream_write(st, span_from(c->input, c->cut));
    stream_flush(st);
    while (stream_peek(st, &got) == 0) {
        str_add(&c->output, got);
        stream_consume(st, got.len);
    }
}

static void converse(struct conversation *c)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    c->server_fd = pair[0];
    c->client_fd = pair[1];
    fiber_start(run_server, c);
    fiber_start(run_client, c);
    assert_int_equal(loop_run(), 0);
}

static char *make_maildir(void)
{
    /* In memory where that is possible: each conversation flushes to the disk several times. */
    char memory[] = "/dev/shm/imapd_test.XXXXXX", disk[] = "/tmp/imapd_test.XXXXXX";
    char *made = mkdtemp(memory);

    if (!made)
        made = mkdtemp(disk);
    assert_non_null(made);
    return mem_strdup(made);
}

static void remove_maildir(char *path)
{
    _cleanup_(str_free) struct str command = STR_INIT;

    str_addf(&command, "rm -rf %s", path);
    assert_int_equal(system(command.data), 0);
    free(path);
}

/* Each wanted text is found, after the one before it. */
static void check(const struct conversation *c, const char *const *want)
{
    struct span rest = str_span(&c->output);

    for (; *want; want++) {
        ptrdiff_t at = span_find(rest, span_of(*want));

        if (at < 0) {
            fprintf(stderr, "--- got\n%s---\n", c->output.data ? c->output.data : "");
            fail_msg("not found: %s", *want);
        }
        rest = span_from(rest, (size_t)at + strlen(*want));
    }
}

#define MESSAGE "From: a@example.com\r\nSubject: one\r\n\r\nHello\r\n" /* 44 octets */

static const struct {
    const char *input;
    const char *want[24];
} cases[] = {
    { "a LOGOUT\r\n", { "in1 OK [CAPABILITY IMAP4rev1 ", "] Logged in\r\n", "* BYE", "a OK" } },
    { "a APPEND INBOX (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {44+}\r\n" MESSAGE "\r\n"
      "b SELECT INBOX\r\n"
      "c FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE BODY[TEXT] BODY[HEADER.FIELDS (SUBJECT)])\r\n"
      "d FETCH 1 BODY.PEEK[]<6.4>\r\n"
      "e STORE 1 -FLAGS (\\Seen)\r\n"
      "f FETCH 1 BODY[1]\r\n"
      "g SEARCH NOT TEXT hello\r\n"
      "h UID SEARCH SUBJECT \"ONE\" SEEN\r\n"
      "i LOGOUT\r\n",
      { "a OK [APPENDUID ", " 1] ", "* 1 EXISTS\r\n", "b OK [READ-WRITE]",
        "* 1 FETCH (UID 1 FLAGS (\\Seen x) INTERNALDATE \"17-Jul-1996 ",
        " RFC822.SIZE 44 BODY[TEXT] {7}\r\nHello\r\n ",
        "BODY[HEADER.FIELDS (SUBJECT)] {16}\r\nSubject: one\r\n\r\n)\r\nc OK",
        "* 1 FETCH (BODY[]<6> {4}\r\na@ex)\r\nd OK", "* 1 FETCH (FLAGS (x))\r\ne OK",
        "* 1 FETCH (BODY[1] {7}\r\nHello\r\n FLAGS (\\Seen x))\r\nf OK", "* SEARCH\r\ng OK",
        "* SEARCH 1\r\nh OK" } },
    { "a APPEND INBOX {44+}\r\n" MESSAGE "\r\nb APPEND INBOX {44+}\r\n" MESSAGE "\r\n"
      "c SELECT INBOX\r\n"
      "d CREATE x/y\r\ne COPY 1:2 x/y\r\nf STORE 1 +FLAGS.SILENT (\\Deleted)\r\ng EXPUNGE\r\n"
      "h MOVE 1 x/y\r\ni STATUS x/y (MESSAGES)\r\nj LIST \"\" %\r\nk DELETE x/y\r\nl COPY 1 z\r\n"
      "m LOGOUT\r\n",
      { "* 2 EXISTS", "c OK", "d OK", "e OK [COPYUID ", " 1:2 1:2]", "f OK", "* 1 EXPUNGE\r\ng OK",
        "* OK [COPYUID ", " 2 3]", "* 1 EXPUNGE\r\nh OK", "* STATUS x/y (MESSAGES 3)\r\ni OK",
        "* LIST (\\HasNoChildren) \"/\" INBOX\r\n", "\"/\" x\r\nj OK", "k OK", "l BAD" } },
    /* literals: asked for, unasked, too big in either way; the connection lives on */
    { "a CREATE {3+}\r\nabc\r\nb CREATE {101}\r\nc CREATE {101+}\r\n"
      "01234567890123456789012345678901234567890123456789"
      "01234567890123456789012345678901234567890123456789x {2+}\r\nab\r\n"
      "d NOOP\r\ne APPEND INBOX {2001}\r\nf APPEND INBOX {0}\r\n"
      "g APPEND nowhere {44+}\r\n" MESSAGE "\r\n"
      "h APPEND INBOX {44+}\r\n" MESSAGE " {3+}\r\nabc\r\ni CREATE {99999999999}\r\nj LOGOUT\r\n",
      { "a OK", "b BAD [TOOBIG]", "c BAD [TOOBIG]", "d OK", "e NO [TOOBIG]", "f NO",
        "g NO [TRYCREATE]", "h OK [APPENDUID ",
        "i BAD", "j OK" } },
    /* wrong states, wrong grammar */
    { "a FETCH 1 FLAGS\r\nb LOGIN a b\r\n\r\nc\r\nd UID\r\ne UID NOOP\r\nf SELECT nowhere\r\n"
      "g SELECT INBOX\r\n"
      "h FETCH 1 FLAGS\r\ni STORE 1:* +FLAGS x\r\nj UID FETCH 1:* FLAGS\r\nk SEARCH\r\n"
      "l SEARCH BOGUS\r\n"
      "m CLOSE\r\nn NOOP x\r\no LOGOUT\r\n",
      { "a BAD", "b BAD", "* BAD", "c BAD", "d BAD", "e BAD", "f NO [NONEXISTENT]", "g OK",
        "h BAD", "i BAD", "j OK",
        "k BAD", "l BAD", "m OK", "n BAD", "o OK" } },
    { "a EXAMINE INBOX\r\nb EXPUNGE\r\nc SUBSCRIBE a/b\r\nd LSUB \"\" *\r\ne LSUB \"\" %\r\n"
      "f NAMESPACE\r\n"
      "g ID NIL\r\nh ENABLE CONDSTORE\r\ni UNSELECT\r\nj DELETE INBOX\r\nk LIST \"\" \"\"\r\n"
      "l LOGOUT\r\n",
      { "a OK [READ-ONLY]", "b NO", "* LSUB (\\Noselect) \"/\" a/b\r\nd OK",
        "* LSUB (\\Noselect) \"/\" a\r\ne OK",
        "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nf OK", "* ID (\"name\" \"Postern\")\r\ng OK",
        "* ENABLED CONDSTORE\r\n* OK [HIGHESTMODSEQ ", "h OK", "i OK", "j NO",
        "* LIST (\\Noselect) \"/\" \"\"\r\nk OK" } },
    /* QRESYNC: VANISHED instead of EXPUNGE, by UID; what a client that was away has missed */
    { "a APPEND INBOX {44+}\r\n" MESSAGE "\r\nb APPEND INBOX {44+}\r\n" MESSAGE "\r\n"
      "c APPEND INBOX {44+}\r\n" MESSAGE "\r\nd APPEND INBOX {44+}\r\n" MESSAGE "\r\n"
      "e SELECT INBOX (QRESYNC (1 2))\r\nf ENABLE QRESYNC\r\ng SELECT INBOX\r\n"
      "h STORE 1:2,4 +FLAGS.SILENT (\\Deleted)\r\ni UID EXPUNGE 1:2\r\n"
      "j SELECT INBOX (CONDSTORE QRESYNC (1 2))\r\n"
      "k UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4 VANISHED)\r\n"
      "l UID FETCH 2:3 FLAGS (CHANGEDSINCE 4 VANISHED)\r\n"
      "l2 UID FETCH 3:4 FLAGS (CHANGEDSINCE 0)\r\n"
      "m FETCH 1 FLAGS (CHANGEDSINCE 4 VANISHED)\r\n"
      "n UID FETCH 1 FLAGS (VANISHED)\r\no EXPUNGE\r\n"
      "p SELECT INBOX (QRESYNC (1 2 1:* (1 1)))\r\n"
      "q SELECT INBOX (QRESYNC (1 2 1:9 (1 1)))\r\nr LOGOUT\r\n",
      { "e BAD", "* ENABLED QRESYNC\r\nf OK", "[HIGHESTMODSEQ 5]", "g OK",
        "* 1 FETCH (UID 1 MODSEQ (6))\r\n", "h OK", "* VANISHED 1:2\r\ni OK [HIGHESTMODSEQ 7] ",
        "* OK [CLOSED] ", "* 2 EXISTS", "j OK",
        "* VANISHED (EARLIER) 1:2\r\n* 2 FETCH (UID 4 FLAGS (\\Deleted) MODSEQ (6))\r\nk OK",
        "* VANISHED (EARLIER) 2\r\n", "l OK", "FETCH (UID 3 FLAGS () MODSEQ (", "l2 OK", "m BAD", "n BAD",
        "* VANISHED 4\r\no OK [HIGHESTMODSEQ 8] ", "p BAD", "q OK" } },
    { "a IDLE\r\nDONE\r\nb IDLE\r\nwhat\r\nc NOOP\r\nd LOGOUT\r\n", { "+ idling\r\na OK",
      "+ idling\r\nb BAD", "c OK" } },
};

static void test_conversations_go_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *maildir = make_maildir();
        struct conversation c = { .maildir = maildir, .input = span_of(cases[i].input) };

        converse(&c);
        check(&c, cases[i].want);
        assert_string_equal(c.reason, "Logged out");
        str_free(&c.output);
        remove_maildir(maildir);
    }
}

static void test_a_conversation_may_pause_at_any_byte(void **state)
{
    static const struct span input = SPAN("a APPEND INBOX (\\Seen) {44+}\r\n" MESSAGE "\r\n"
    "b SELECT {5}\r\nINBOX\r\n"
                                          "c UID FETCH 1:* BODY[]\r\nd IDLE\r\nDONE\r\n"
                                          "long SEARCH SUBJECT {101}\r\ne LOGOUT\r\n");
    static const char *const want[] = { "a OK [APPENDUID", "+ OK\r\n", "* 1 EXISTS", "b OK",
                                        "* 1 FETCH (UID 1 BODY[] {44}\r\n" MESSAGE ")\r\nc OK",
                                        "+ idling\r\nd OK", "\r\nlong BAD [TOOBIG]",
                                        "* BYE", "e OK", NULL };

    (void)state;
    for (size_t cut = 0; cut <= input.len; cut++) {
        char *maildir = make_maildir();
        struct conversation c = { .maildir = maildir, .input = input, .cut = cut };

        converse(&c);
        check(&c, want);
        str_free(&c.output);
        remove_maildir(maildir);
    }
}

static void test_a_client_may_go_at_any_byte(void **state)
{
    static const struct span input = SPAN("a APPEND INBOX {44}\r\n" MESSAGE "\r\n"
    "b SELECT INBOX\r\nc IDLE\r\nDONE\r\n");
    char *maildir = make_maildir();

    (void)state;
    for (size_t n = 0; n <= input.len; n++) {
        int pair[2];
        struct conversation c = { .maildir = maildir };

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(write(pair[1], input.ptr, n), (ssize_t)n);
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
        c.server_fd = pair[0];
        fiber_start(run_server, &c);
        assert_int_equal(loop_run(), 0);
        assert_string_equal(c.reason, "Connection closed");
        close(pair[1]);
    }
    remove_maildir(maildir);
}

/* Give the only message other content under the same name, which no program does: it shows who
 * reads the file. */
static void overwrite_message(const char *maildir, const char *text)
{
    _cleanup_(str_free) struct str command = STR_INIT;

    str_addf(&command, "for f in %s/cur/*; do printf '%s' > \"$f\"; done", maildir, text);
    assert_int_equal(system(command.data), 0);
}

static void damage_note(const char *maildir)
{
    _cleanup_(account_close_ptr_) struct account *account = NULL;
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    struct mailbox_note note = { 1, STR_INIT };

    assert_int_equal(account_open(maildir, &account, &err), 0);
    assert_int_equal(mailbox_open(account, span_of("INBOX"), 0, &mb), 0);
    assert_int_equal(mailbox_note_get(mb, 1, &note.bytes), 0);
    note.bytes.data[note.bytes.len / 2] ^= 4;
    assert_int_equal(mailbox_note_put(mb, &note, 1), 0);
    str_free(&note.bytes);
}

static void test_what_is_kept_is_read_from_the_index_unless_it_is_damaged(void **state)
{
#define ASK                                                                                        \
    "b SELECT INBOX\r\nc FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (From Subject)])\r\n"           \
    "d FETCH 1 BODYSTRUCTURE\r\ne SEARCH SUBJECT one SENTON 17-Jul-1996\r\nf LOGOUT\r\n"
    static const char first[] =
        "a APPEND INBOX {78+}\r\nDate: 17 Jul 1996 02:44:25 -0700\r\n" MESSAGE "\r\n" ASK;
    static const char later[] = ASK;
    static const char *const kept[] = {
        "* 1 FETCH (ENVELOPE (\"17 Jul 1996 02:44:25 -0700\" \"one\" "
        "((NIL NIL \"a\" \"example.com\"))",
        " BODY[HEADER.FIELDS (From Subject)] {37}\r\n"
        "From: a@example.com\r\nSubject: one\r\n\r\n)\r\nc OK",
        "* 1 FETCH (BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1",
        "d OK", "* SEARCH 1\r\ne OK", NULL };
    static const char *const made_again[] = {
        "* 1 FETCH (ENVELOPE (NIL \"two\" NIL ", " {16}\r\nSubject: two\r\n\r\n)\r\nc OK",
        "NIL NIL \"7bit\" 2 0",
        "d OK", "* SEARCH\r\ne OK", NULL };
    static const struct {
        const char *input;
        const char *const *want;
    } steps[] = { { first, kept }, { later, kept }, { later, made_again } };
    char *maildir = make_maildir();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct conversation c = { .maildir = maildir, .input = span_of(steps[i].input) };

        if (i == 1)
            overwrite_message(maildir, "Subject: two\\n\\nhi");
        if (i == 2)
            damage_note(maildir);
        converse(&c);
        check(&c, steps[i].want);
        str_free(&c.output);
    }
    remove_maildir(maildir);
}

/* Another session's APPEND is told to one in IDLE. */
struct idler {
    struct conversation idle, other;
    uint64_t reported_after_ms;
};

static void run_idle_client(void *arg)
{
    struct idler *t = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(t->idle.client_fd);
    struct span line;
    uint64_t start = 0;

    stream_puts(st, "a SELECT INBOX\r\nb IDLE\r\n");
    while (stream_getline(st, 1000, &line) == 0) {
        if (span_eq_str(line, "+ idling")) {
            start = clock_ms();
            fiber_start(run_client, &t->other);
            fiber_start(run_server, &t->other);
        } else if (start > 0 && span_eq_str(line, "* 1 EXISTS")) {
            t->reported_after_ms = clock_ms() - start;
            stream_puts(st, "DONE\r\nc LOGOUT\r\n");
        }
    }
}

static void test_idle_reports_what_another_session_does(void **state)
{
    char *maildir = make_maildir();
    struct idler t = { .idle = { .maildir = maildir },
                       .other = { .maildir = maildir,
                                  .input = SPAN("a APPEND INBOX {44+}\r\n" MESSAGE "\r\n"
                                  "b LOGOUT\r\n") } };
    struct conversation *each[] = { &t.idle, &t.other };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(each); i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        each[i]->server_fd = pair[0];
        each[i]->client_fd = pair[1];
    }
    fiber_start(run_server, &t.idle);
    fiber_start(run_idle_client, &t);
    assert_int_equal(loop_run(), 0);
    assert_string_equal(t.idle.reason, "Logged out");
    assert_in_range(t.reported_after_ms, 0, 10000);
    str_free(&t.other.output);
    remove_maildir(maildir);
}

static void test_a_silent_client_is_logged_out_wherever_it_stands(void **state)
{
    static const struct {
        const char *input;
        const char *want[4];
    } silent[] = {
        { "", { "in1 OK", "* BYE Disconnected for inactivity.\r\n" } },
        { "a SELECT INBOX\r\n", { "a OK", "* BYE Disconnected for inactivity.\r\n" } },
        { "a SELECT INBOX\r\nb IDLE\r\n", { "+ idling", "* BYE Disconnected for inactivity.\r\n" } },
        { "a NOO", { "in1 OK", "* BYE Disconnected for inactivity.\r\n" } },
        { "a CREATE {10+}\r\nabc", { "in1 OK", "* BYE Disconnected for inactivity.\r\n" } },
        { "a APPEND INBOX {44+}\r\nFrom", { "in1 OK", "* BYE Disconnected for inactivity.\r\n" } },
    };
    struct conversation c[ARRAY_LEN(silent)];
    char *maildir = make_maildir();
    int64_t usual = params.imap_timeout;

    (void)state;
    params.imap_timeout = 1; /* less than main.cf may say (RFC 3501 section 5.4) */
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) { /* all at once, so that it takes one second */
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        c[i] = (struct conversation){ .maildir = maildir, .input = span_of(silent[i].input), .server_fd = pair[0],
                                      .client_fd = pair[1], .output = STR_INIT };
        fiber_start(run_server, &c[i]);
        fiber_start(run_client, &c[i]);
    }
    assert_int_equal(loop_run(), 0);
    params.imap_timeout = usual;
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        check(&c[i], silent[i].want);
        assert_string_equal(c[i].reason, "Disconnected for inactivity");
        assert_true(c[i].ended_ms - c[i].begun_ms >= 1000); /* not before its time */
        str_free(&c[i].output);
    }
    remove_maildir(maildir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations_go_as_written),
        cmocka_unit_test(test_a_conversation_may_pause_at_any_byte),
        cmocka_unit_test(test_a_client_may_go_at_any_byte),
        cmocka_unit_test(test_what_is_kept_is_read_from_the_index_unless_it_is_damaged),
        cmocka_unit_test(test_idle_reports_what_another_session_does),
        cmocka_unit_test(test_a_silent_client_is_logged_out_wherever_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
