/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_test.c - whole sessions over a socket pair, with a cleanup that remembers what it gets
 *
 * A case is what the client says, what it is answered, and what a log line must have. All of it
 * arrives at once (pipelining) and, in one test, cut at every byte.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "io/loop.h"
#include "ipc/msg_submit.h"
#include "smtpd/smtpd.h"

static char directory[] = "/tmp/smtpd_test.XXXXXX";
static struct conf *conf;
static struct params *params;
static struct service service;
static struct server server;

/* ---- the cleanup that remembers ---- */

static struct {
    struct str envelope;    /* "sender>rcpt,rcpt flags" */
    struct str content;
    unsigned messages, connections;
    unsigned close_kept;    /* close that many kept connections at their next request */
    uint32_t status;
} cleanup;

static void free_rcpt(struct submit_rcpt *r)
{
    str_free(&r->address);
    str_free(&r->orig);
    str_free(&r->dsn_orcpt);
}

static int take_envelope(struct ipc *c)
{
    _cleanup_(submit_msg_done) struct submit m = { 0 };
    int r = ipc_recv(c, &submit_shape, &m);

    if (r < 0)
        return r;
    str_reset(&cleanup.envelope);
    str_addf(&cleanup.envelope, "%s %s>", m.proto, str_cstr(&m.sender));
    for (uint32_t i = 0; i < m.n_rcpt; i++) {
        _cleanup_(free_rcpt) struct submit_rcpt rcpt = { 0 };

        r = ipc_recv(c, &submit_rcpt_shape, &rcpt);
        if (r < 0)
            return r;
        str_addf(&cleanup.envelope, "%s%s", i > 0 ? "," : "", str_cstr(&rcpt.address));
        if (rcpt.dsn_orcpt.len > 0)
            str_addf(&cleanup.envelope, "(%s)", str_cstr(&rcpt.dsn_orcpt));
    }
    return 0;
}

static int take_message(struct ipc *c)
{
    struct submit_result res = { .status = cleanup.status };
    struct span chunk;
    int r = take_envelope(c);

    if (r < 0)
        return r;
    str_reset(&cleanup.content);
    do {
        r = ipc_recv_chunk(c, &chunk);
        if (r < 0)
            return r;
        str_add(&cleanup.content, chunk);
    } while (chunk.len > 0);
    cleanup.messages++;
    snprintf(res.queue_id, sizeof(res.queue_id), "ID%u", cleanup.messages);
    snprintf(res.dsn, sizeof(res.dsn), "%s", res.status == SUBMIT_TEMPORARY ? "4.3.1" : "5.3.4");
    snprintf(res.text, sizeof(res.text), "because");
    ipc_send(c, &submit_result_shape, &res);
    return ipc_flush(c);
}

static void serve_cleanup(void *arg)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(stream_new((int)(intptr_t)arg));
    struct span type;
    unsigned served = 0;

    cleanup.connections++;
    while (ipc_peek_type(c, &type) == 0) {
        if (served > 0 && cleanup.close_kept > 0) {
            cleanup.close_kept--;
            return;
        }
        if (take_message(c) < 0)
            return;
        served++;
    }
}

static struct fiber *listener;

static void listen_cleanup(void *arg)
{
    int fd = *(int *)arg;

    while (fiber_wait_fd(fd, 1 /* EPOLLIN */, CLOCK_NEVER) > 0) {
        int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (c >= 0)
            fiber_start(serve_cleanup, (void *)(intptr_t)c);
    }
}

/* ---- one session ---- */

struct talk {
    struct span wire;
    size_t cut;
    struct str replies;
    int fds[2];
};

static void run_session(void *arg)
{
    struct talk *t = arg;
    struct peer peer = { .is_unix = false };

    socket_addr_parse(span_of("192.0.2.9"), 4711, &peer.remote);
    socket_addr_parse(span_of("192.0.2.1"), 25, &peer.local);
    smtpd_session(&server, stream_new(t->fds[0]), &peer);
}

static void run_client(void *arg)
{
    struct talk *t = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(t->fds[1]);
    struct span in;

    stream_write(st, span_first(t->wire, t->cut));
    stream_flush(st);
    for (int i = 0; i < 3; i++)
        fiber_yield();
    stream_write(st, span_from(t->wire, t->cut));
    stream_flush(st);
    shutdown(stream_fd(st), SHUT_WR);
    while (stream_peek(st, &in) == 0) {
        str_add(&t->replies, in);
        stream_consume(st, in.len);
    }
    fiber_cancel(listener);
    /* what cleanup connections are kept must go, or the loop does not end */
    ipc_pool_free(service.cleanup);
    service.cleanup = ipc_pool_new("cleanup", 5000, 4);
}

/* The replies, one after the other, each cut to its code and enhanced code */
static void converse(struct span wire, size_t cut, struct str *ret)
{
    struct talk t = { .wire = wire, .cut = cut, .replies = STR_INIT };
    char path[128];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t.fds), 0);
    snprintf(path, sizeof(path), "%s/private/cleanup", directory);

    int fd = socket_listen_unix(path, 0600, 10);

    assert_true(fd >= 0);
    listener = fiber_start(listen_cleanup, &fd);
    fiber_start(run_session, &t);
    fiber_start(run_client, &t);
    assert_int_equal(loop_run(), 0);
    close(fd);
    str_set(ret, str_span(&t.replies));
    str_free(&t.replies);
}

/* ---- set-up ---- */

static int log_fd;

static void read_log(struct str *ret)
{
    char buf[65536];

    log_flush();

    ssize_t n = pread(log_fd, buf, sizeof(buf), 0);

    str_reset(ret);
    if (n > 0)
        str_add(ret, span_make(buf, (size_t)n));
}

static void write_main_cf(void)
{
    static const char text[] = "myhostname = mx.example\n"
                               "myorigin = here.example\n"
                               "inet_interfaces = 192.0.2.1\n"
                               "mynetworks = 198.51.100.0/24\n"
                               "mydestination = here.example\n"
                               "local_recipient_maps = inline:{ann=x,bob=x,postmaster=x}\n"
                               "alias_maps =\n"
                               "virtual_mailbox_domains = box.example\n"
                               "virtual_mailbox_maps = inline:{carol@box.example=x}\n"
                               "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"
                               "smtpd_peername_lookup = no\n"
                               "smtpd_client_connection_count_limit = 0\n"
                               "smtpd_error_sleep_time = 0\n"
                               "smtpd_hard_error_limit = 5\n"
                               "smtpd_recipient_limit = 2\n"
                               "message_size_limit = 200000\n";
    char path[128];

    snprintf(path, sizeof(path), "%s/private", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/main.cf", directory);

    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
}

static int set_up(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_non_null(mkdtemp(directory));
    write_main_cf();
    if (conf_load(directory, &conf, &err) < 0 || conf_params(conf, &params, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    ipc_set_directory(directory);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    log_to_fd("postern/smtpd", log_fd);

    server = (struct server){ .conf = conf, .params = params, .service = "smtp", .state = &service };
    service = (struct service){ .server = &server, .params = params, .bare_newline = BARE_NEWLINE_NORMALIZE };
    if (router_open(conf, params, &service.router, &err) < 0 ||
        match_list_open(params->mynetworks, MATCH_HOST_ADDR, &service.mynetworks, &err) < 0 ||
        match_list_open("", MATCH_HOST_ADDR, &service.limit_exceptions, &err) < 0 ||
        match_list_open("here.example", MATCH_DOMAIN_PARENTS, &service.flush_domains, &err) < 0 ||
        maps_open("", &service.sender_logins, &err) < 0 || maps_open("", &service.rbl_replies, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    service.reject_footer = "";
    service.restrictions = (struct restriction_set){ .conf = conf, .params = params };
    if (restrictions_open(&service.restrictions, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    service.cleanup = ipc_pool_new("cleanup", 5000, 4);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    router_free(service.router);
    match_list_free(service.mynetworks);
    match_list_free(service.limit_exceptions);
    match_list_free(service.flush_domains);
    restrictions_close(&service.restrictions);
    maps_free(service.sender_logins);
    maps_free(service.rbl_replies);
    ipc_pool_free(service.cleanup);
    params_free(params);
    conf_free(conf);
    str_free(&cleanup.envelope);
    str_free(&cleanup.content);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

static int reset(void **state)
{
    (void)state;
    cleanup.messages = cleanup.connections = cleanup.close_kept = 0;
    cleanup.status = SUBMIT_OK;
    str_reset(&cleanup.envelope);
    str_reset(&cleanup.content);
    service.bare_newline = BARE_NEWLINE_NORMALIZE;
    assert_int_equal(ftruncate(log_fd, 0), 0);
    lseek(log_fd, 0, SEEK_SET);
    return 0;
}

/* ---- tests ---- */

#define HELLO "HELO c\r\n"
#define START HELLO "MAIL FROM:<s@far.example>\r\nRCPT TO:<ann@here.example>\r\n"
#define GREET "220 mx.example ESMTP Postern\r\n250 mx.example\r\n"
#define OK2   GREET "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
#define BYE   "221 2.0.0 Bye\r\n"
#define DATA  "354 End data with <CR><LF>.<CR><LF>\r\n"

static const struct {
    const char *wire, *replies;
    const char *log;        /* one line has this; NULL: no matter */
} cases[] = {
    { START "DATA\r\nx\r\n.\r\nQUIT\r\n", OK2 DATA "250 2.0.0 Ok: queued as ID1\r\n" BYE,
      "ID1: client=unknown[192.0.2.9]\n" },
    { START "DATA\r\nx\r\n.\r\nQUIT\r\n", OK2 DATA "250 2.0.0 Ok: queued as ID1\r\n" BYE,
      "disconnect from unknown[192.0.2.9] helo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n" },
    { START "BDAT 3\r\nab\nBDAT 3 LAST\r\nc\r\nQUIT\r\n",
      OK2 "250 2.0.0 Ok: 3 bytes\r\n250 2.0.0 Ok: 7 bytes queued as ID1\r\n" BYE, NULL },
    { HELLO "MAIL FROM:<s@x> BODY=BINARYMIME\r\nRCPT TO:<ann@here.example>\r\nDATA\r\nBDAT 3 LAST\r\nabc" "QUIT\r\n",
      OK2 "503 5.5.1 Error: need BDAT, not DATA, for BODY=BINARYMIME\r\n250 2.0.0 Ok: 5 bytes queued as ID1\r\n" BYE, NULL },
    { "EHLO c\r\nQUIT\r\n",
      "220 mx.example ESMTP Postern\r\n250-mx.example\r\n250-PIPELINING\r\n250-SIZE 200000\r\n250-VRFY\r\n250-ETRN\r\n"
      "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
      "250-BINARYMIME\r\n250 LIMITS RCPTMAX=2\r\n" BYE, NULL },
    { HELLO "MAIL FROM:<>\r\nRCPT TO:<x@far.example>\r\nQUIT\r\n",
      GREET "250 2.1.0 Ok\r\n554 5.7.1 <x@far.example>: Relay access denied\r\n" BYE,
      "NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 554 5.7.1 <x@far.example>: Relay access denied; "
      "from=<> to=<x@far.example> proto=SMTP helo=<c>\n" },
    { HELLO "MAIL FROM:<s@x>\r\nRCPT TO:<nobody@here.example>\r\nRCPT TO:<x@box.example>\r\nDATA\r\nQUIT\r\n",
      GREET "250 2.1.0 Ok\r\n550 5.1.1 <nobody@here.example>: Recipient address rejected: User unknown in "
            "local recipient table\r\n550 5.1.1 <x@box.example>: Recipient address rejected: User unknown in "
            "virtual mailbox table\r\n554 5.5.1 Error: no valid recipients\r\n" BYE,
      "mail=1 rcpt=0/2 data=0/1 quit=1 commands=3/6\n" },
    { HELLO "MAIL FROM:<s@x>\r\nRCPT TO:<postmaster>\r\nQUIT\r\n",
      GREET "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" BYE, NULL },
    { START "RCPT TO:<carol@box.example>\r\nRCPT TO:<bob@here.example>\r\nQUIT\r\n",
      OK2 "250 2.1.5 Ok\r\n452 4.5.3 Error: too many recipients\r\n" BYE, NULL },
    { "MAIL FROM:<s@x> SIZE=200001\r\nMAIL FROM:<s@x> SIZE=200000\r\nQUIT\r\n",
      "220 mx.example ESMTP Postern\r\n552 5.3.4 Message size exceeds fixed limit\r\n250 2.1.0 Ok\r\n" BYE,
      "NOQUEUE: reject: MAIL from unknown[192.0.2.9]: 552 5.3.4 " },
    { "RCPT TO:<ann@here.example>\r\nDATA\r\nBDAT 3\r\nabcQUIT\r\n",
      "220 mx.example ESMTP Postern\r\n503 5.5.1 Error: need MAIL command\r\n503 5.5.1 Error: need RCPT "
      "command\r\n503 5.5.1 Error: need RCPT command\r\n" BYE, NULL },
    { START "MAIL FROM:<s@x>\r\nRSET\r\nMAIL FROM:<t@x>\r\nQUIT now\r\nQUIT\r\n",
      OK2 "503 5.5.1 Error: nested MAIL command\r\n250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n501 5.5.4 Syntax: QUIT\r\n"
          BYE, NULL },
    { "MAIL\r\nMAIL FROM:<a b>\r\nMAIL FROM:<s@x> FOO=1\r\nMAIL FROM:<s@x> RET=X\r\nQUIT\r\n",
      "220 mx.example ESMTP Postern\r\n501 5.5.4 Syntax: MAIL FROM:<address>\r\n501 5.1.7 Bad sender address "
      "syntax\r\n555 5.5.4 Unsupported option: FOO\r\n501 5.5.4 Error: Bad RET parameter syntax\r\n" BYE,
      NULL },
    { "X\r\nX\r\nX\r\nX\r\nX\r\nNOOP\r\n",
      "220 mx.example ESMTP Postern\r\n500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not "
      "recognized\r\n500 5.5.2 Error: command not recognized\r\n500 5.5.2 Error: command not "
      "recognized\r\n500 5.5.2 Error: command not recognized\r\n421 4.7.0 mx.example Error: too many errors\r\n",
      "too many errors after UNKNOWN from unknown[192.0.2.9]\n" },
    { "GET / HTTP/1.1\r\nHost: x\r\n",
      "220 mx.example ESMTP Postern\r\n221 2.7.0 Error: I can break rules, too. Goodbye.\r\n",
      "warning: non-SMTP command from unknown[192.0.2.9]: GET / HTTP/1.1\n" },
    { "EHLO a\x01\xff" "b\r\nSTARTTLS\r\nAUTH PLAIN\r\n", NULL, "lost connection after AUTH from unknown[192.0.2.9]\n" },
    { START "DATA\r\nabc\r\n", OK2 DATA, "lost connection after DATA (5 bytes) from unknown[192.0.2.9]\n" },
    { "", "220 mx.example ESMTP Postern\r\n", "lost connection after CONNECT from unknown[192.0.2.9]\n" },
    { "EHLO c\r\nMAIL FROM:<\xc3\xbc@x>\r\nMAIL FROM:<\xc3\xbc@x> SMTPUTF8\r\nQUIT\r\n", NULL,
      "ehlo=1 mail=1/2 quit=1 commands=3/4\n" },
    { "VRFY ann\r\nVRFY nobody@here.example\r\nVRFY x@far.example\r\nQUIT\r\n",
      "220 mx.example ESMTP Postern\r\n252 2.0.0 ann\r\n550 5.1.1 <nobody@here.example>: Recipient address "
      "rejected: User unknown in local recipient table\r\n554 5.7.1 <x@far.example>: Relay access denied\r\n" BYE,
      "reject: VRFY from" },
};

static void test_a_session_answers_and_logs_as_postfix_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        _cleanup_(str_free) struct str log = STR_INIT;

        reset(NULL);
        converse(span_of(cases[i].wire), 0, &got);
        read_log(&log);
        if (cases[i].replies && !span_eq_str(str_span(&got), cases[i].replies))
            fail_msg("%s\nis answered\n%s", cases[i].wire, str_cstr(&got));
        if (cases[i].log && span_find(str_span(&log), span_of(cases[i].log)) < 0)
            fail_msg("%s\nis logged as\n%s", cases[i].wire, str_cstr(&log));
    }
}

static void test_a_message_arrives_whole_wherever_the_network_cuts(void **state)
{
    (void)state;
    struct span wire = span_of(START "DATA\r\na\r\n..b\r\n.\r\nQUIT\r\n");

    for (size_t cut = 0; cut <= wire.len; cut++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        reset(NULL);
        converse(wire, cut, &got);
        assert_string_equal(str_cstr(&got), OK2 DATA "250 2.0.0 Ok: queued as ID1\r\n" BYE);
        assert_string_equal(str_cstr(&cleanup.envelope), "SMTP s@far.example>ann@here.example");
        assert_string_equal(str_cstr(&cleanup.content), "a\r\n.b\r\n");
    }
}

/* START, then a message of n bytes in lines of 50 */
static void long_message(size_t n, struct str *wire)
{
    str_add_str(wire, START "DATA\r\n");
    for (size_t i = 0; i < n / 50; i++)
        str_add_str(wire, "012345678901234567890123456789012345678901234567\r\n");
    str_add_str(wire, ".\r\nQUIT\r\n");
}

static void test_a_message_larger_than_what_is_held_back_is_streamed(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str wire = STR_INIT;
    _cleanup_(str_free) struct str got = STR_INIT;

    long_message(200000, &wire);
    converse(str_span(&wire), 100000, &got);
    assert_true(span_find(str_span(&got), span_of("250 2.0.0 Ok: queued as ID1")) > 0);
    assert_int_equal(cleanup.content.len, 200000);
}

static void test_a_message_over_the_size_limit_is_read_and_refused(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str wire = STR_INIT;
    _cleanup_(str_free) struct str got = STR_INIT;

    long_message(200050, &wire);
    converse(str_span(&wire), 70000, &got);
    assert_string_equal(str_cstr(&got), OK2 DATA "552 5.3.4 Error: message file too big\r\n" BYE);
    assert_int_equal(cleanup.messages, 0);
}

static void test_a_kept_connection_that_cleanup_closed_is_replaced(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    cleanup.close_kept = 1;
    converse(span_of(START "DATA\r\n1\r\n.\r\n"
                           "MAIL FROM:<>\r\nRCPT TO:<bob@here.example>\r\nDATA\r\n2\r\n.\r\nQUIT\r\n"),
             0, &got);
    assert_true(span_find(str_span(&got), span_of("queued as ID2")) > 0);
    assert_int_equal(cleanup.connections, 2);
    assert_string_equal(str_cstr(&cleanup.content), "2\r\n");
    assert_string_equal(str_cstr(&cleanup.envelope), "SMTP >bob@here.example");
}

static void test_a_refusal_of_cleanup_becomes_the_reply_that_fits(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    cleanup.status = SUBMIT_TEMPORARY;
    converse(span_of(START "DATA\r\nx\r\n.\r\nQUIT\r\n"), 0, &got);
    assert_string_equal(str_cstr(&got), OK2 DATA "452 4.3.1 because\r\n" BYE);
    cleanup.status = SUBMIT_PERMANENT;
    converse(span_of(START "DATA\r\nx\r\n.\r\nQUIT\r\n"), 0, &got);
    assert_string_equal(str_cstr(&got), OK2 DATA "552 5.3.4 because\r\n" BYE);
}

static void test_without_cleanup_the_client_is_told_to_try_again(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    ipc_set_directory("/nonexistent");
    converse(span_of(START "DATA\r\nx\r\n.\r\nQUIT\r\n"), 0, &got);
    ipc_set_directory(directory);
    assert_string_equal(str_cstr(&got), OK2 DATA "451 4.3.0 Error: queue file write error\r\n" BYE);
}

static void test_a_bare_newline_is_refused_where_main_cf_says_so(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    service.bare_newline = BARE_NEWLINE_REJECT;
    converse(span_of(START "DATA\r\nx\n.\r\nMAIL FROM:<smuggled@x>\r\n.\r\nNOOP\nQUIT\r\n"), 0, &got);
    assert_string_equal(str_cstr(&got), OK2 DATA "550 5.5.2 mx.example Error: bare <LF> received\r\n"
                                                 "550 5.5.2 mx.example Error: bare <LF> received\r\n" BYE);
    assert_int_equal(cleanup.messages, 0);
}

static void test_the_parameters_of_dsn_reach_cleanup(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    converse(span_of("EHLO c\r\nMAIL FROM:<s@x> BODY=8BITMIME RET=HDRS ENVID=q\r\n"
                     "RCPT TO:<ann@here.example> NOTIFY=NEVER ORCPT=rfc822;a+40b\r\nDATA\r\n.\r\nQUIT\r\n"),
             0, &got);
    assert_string_equal(str_cstr(&cleanup.envelope), "ESMTP s@x>ann@here.example(rfc822;a@b)");
    assert_int_equal(cleanup.content.len, 0);
}

static void test_what_a_peer_says_is_logged_without_control_characters(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;
    _cleanup_(str_free) struct str log = STR_INIT;

    converse(span_of("HELO a\x1b[31m\x7f\xff\r\nMAIL FROM:<\"a\\\"\xff\"@x>\r\nMAIL FROM:<s@x>\r\n"
                     "RCPT TO:<x@far.example>\r\nQUIT\r\n"),
             0, &got);
    read_log(&log);
    assert_true(span_find(str_span(&log), span_of("helo=<a?[31m?\?>")) > 0);
    for (size_t i = 0; i < log.len; i++)
        assert_true(log.data[i] == '\n' || (log.data[i] >= ' ' && log.data[i] <= '~'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_session_answers_and_logs_as_postfix_does, reset),
        cmocka_unit_test_setup(test_a_message_arrives_whole_wherever_the_network_cuts, reset),
        cmocka_unit_test_setup(test_a_message_larger_than_what_is_held_back_is_streamed, reset),
        cmocka_unit_test_setup(test_a_message_over_the_size_limit_is_read_and_refused, reset),
        cmocka_unit_test_setup(test_a_kept_connection_that_cleanup_closed_is_replaced, reset),
        cmocka_unit_test_setup(test_a_refusal_of_cleanup_becomes_the_reply_that_fits, reset),
        cmocka_unit_test_setup(test_without_cleanup_the_client_is_told_to_try_again, reset),
        cmocka_unit_test_setup(test_a_bare_newline_is_refused_where_main_cf_says_so, reset),
        cmocka_unit_test_setup(test_the_parameters_of_dsn_reach_cleanup, reset),
        cmocka_unit_test_setup(test_what_a_peer_says_is_logged_without_control_characters, reset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
