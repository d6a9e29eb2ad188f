/* SPDX-License-Identifier: Apache-2.0 */
/* idle_test.c - IDLE and a client that does not read while there is much to tell */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"
#include "session.h"
#include "test_params.h"

static const struct params params = {
    TEST_PARAMS,
    .imap_line_limit = 1000,
    .imap_literal_limit = 1000,
    .imap_bad_command_limit = 10,
    .imap_search_depth_limit = 50,
    .message_size_limit = 2000,
};

/* More than a stream keeps before it sends, and so much more than these connections take. */
enum { DOUBLINGS = 10, MESSAGES = 1 << DOUBLINGS, SMALL = 4096 };
#define WORD "a-keyword-that-makes-a-line-of-every-message-that-has-it-some-hundred-and-twenty-bytes-long"

struct served {
    struct imap s;
    struct stream *client;      /* the client's end */
    bool ended;
};

static struct {
    struct account *account;
    struct served reader, writer;
    char directory[64];
} scene;

static void run_session(void *arg)
{
    struct served *v = arg;
    const char *reason;

    imap_serve(&v->s, SPAN_NULL, &reason);
    imap_done(&v->s);
    stream_free(v->s.client);
    v->ended = true;
}

static void serve(struct served *v)
{
    int pair[2], small = SMALL;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    *v = (struct served){ .s = { .params = &params, .account = scene.account, .client = stream_new(pair[0]) },
                          .client = stream_new(pair[1]) };
    fiber_start(run_session, v);
}

static void say(struct served *v, const char *line)
{
    stream_printf(v->client, "%s\r\n", line);
    assert_int_equal(stream_flush(v->client), 0);
}

/* The lines up to the one that begins with `last`, of which so many have `word` */
static size_t hear(struct served *v, const char *last, const char *word)
{
    struct span line = SPAN_NULL;
    size_t n = 0;

    while (!span_starts(line, span_of(last))) {
        assert_int_equal(stream_getline(v->client, 4000, &line), 0);
        n += span_find(line, span_of(word)) >= 0;
    }
    return n;
}

static void ask(struct served *v, const char *command)
{
    say(v, command);
    hear(v, "t ", "");
}

/* The others go on as far as they can. */
static void let_the_others_run(void)
{
    for (int i = 0; i < 100; i++)
        fiber_yield();
}

static void begin(void)
{
    serve(&scene.reader);
    serve(&scene.writer);
    ask(&scene.writer, "t APPEND INBOX {15+}\r\nSubject: s\r\n\r\nt\r\n");
    ask(&scene.writer, "t SELECT INBOX");
    for (int i = 0; i < DOUBLINGS; i++)
        ask(&scene.writer, "t COPY 1:* INBOX");
    ask(&scene.reader, "t SELECT INBOX");
}

static void end(void)
{
    struct span line;

    say(&scene.reader, "t LOGOUT");
    say(&scene.writer, "t LOGOUT");
    while (stream_getline(scene.reader.client, 4000, &line) == 0 || stream_getline(scene.writer.client, 4000, &line) == 0)
        continue;
    stream_free(scene.reader.client);
    stream_free(scene.writer.client);
}

static void client_done(void *arg)
{
    struct span bytes;

    (void)arg;
    begin();
    say(&scene.reader, "i IDLE");
    hear(&scene.reader, "+ ", "");
    ask(&scene.writer, "t STORE 1:* +FLAGS (" WORD ")");
    assert_int_equal(stream_peek(scene.reader.client, &bytes), 0);      /* it is being told */
    let_the_others_run();
    say(&scene.reader, "DONE");
    let_the_others_run();
    assert_int_equal(hear(&scene.reader, "i OK", "FETCH (FLAGS (" WORD), MESSAGES);
    end();
}

static void client_away(void *arg)
{
    (void)arg;
    begin();
    ask(&scene.writer, "t STORE 1:* +FLAGS (" WORD ")");
    say(&scene.reader, "i IDLE");
    let_the_others_run();
    ask(&scene.writer, "t STORE 2:* +FLAGS (\\Deleted)");
    ask(&scene.writer, "t EXPUNGE");
    let_the_others_run();
    assert_int_equal(hear(&scene.reader, "* 1024 FETCH", "FETCH (FLAGS (" WORD), MESSAGES);
    assert_int_equal(hear(&scene.reader, "* 2 EXPUNGE", "EXPUNGE"), MESSAGES - 1);
    say(&scene.reader, "DONE");
    hear(&scene.reader, "i OK", "");
    end();
}

static void run(void (*client)(void *arg))
{
    fiber_start(client, NULL);
    assert_int_equal(loop_run(), 0);
    assert_true(scene.reader.ended && scene.writer.ended);
}

static void test_done_in_the_midst_of_what_is_told_is_answered_after_it(void **state)
{
    (void)state;
    run(client_done);
}

static void test_news_wait_until_those_from_before_idle_have_been_told(void **state)
{
    (void)state;
    run(client_away);
}

static int set_up(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    snprintf(scene.directory, sizeof scene.directory, "/dev/shm/idle_test.XXXXXX");
    if (!mkdtemp(scene.directory)) {
        snprintf(scene.directory, sizeof scene.directory, "/tmp/idle_test.XXXXXX");
        assert_non_null(mkdtemp(scene.directory));
    }
    return account_open(scene.directory, &scene.account, &err);
}

static int tear_down(void **state)
{
    _cleanup_(str_free) struct str command = STR_INIT;

    (void)state;
    account_close(scene.account);
    str_addf(&command, "rm -rf %s", scene.directory);
    return system(str_cstr(&command));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_done_in_the_midst_of_what_is_told_is_answered_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_news_wait_until_those_from_before_idle_have_been_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
