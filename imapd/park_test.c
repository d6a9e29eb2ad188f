/* SPDX-License-Identifier: Apache-2.0 */
/* park_test.c - a session that parks after every command answers as one that never does */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "ipc/msg_session.h"
#include "park.h"
#include "parked.h"
#include "test_params.h"

static const struct params params = {
    TEST_PARAMS,
    .imap_hibernate_timeout = 5,
    .imap_line_limit = 1000,
    .imap_literal_limit = 1000,
    .imap_bad_command_limit = 1000,
    .imap_search_depth_limit = 50,
    .message_size_limit = 2000,
};

/* ---- two clients of one account: A, whose session parks or does not, and B, who changes things ---- */

enum { ROUNDS = 40, COMMANDS = 40 };

/*
 * % stands for a small number. =: does not show the flags of messages. A woken session sees those as they are now, and none of messages that
 * have gone, while one that has stayed sees them as it was last told; both are told the same afterwards.
 */
static const char IDLE[] = "IDLE";
static const char *const of_a[] = {
    "=SELECT INBOX", "=SELECT INBOX", "=SELECT INBOX", "=EXAMINE INBOX", "=SELECT box", "=SELECT nowhere", "=CLOSE", "=UNSELECT",
    "=ENABLE CONDSTORE", "=ENABLE QRESYNC", "=ENABLE UTF8=ACCEPT", "=ENABLE IMAP4rev2", "=NOOP", "=CHECK", "=FROB", 
    "=FETCH 1:* (UID)", "=FETCH % (UID)", "=UID FETCH %:* (UID)", "=SEARCH RETURN (SAVE) ALL", "=FETCH $ (UID)",
    "=SEARCH RETURN (SAVE MIN) UID %:*", "=EXPUNGE", "=UID EXPUNGE %", "=STATUS box (MESSAGES UIDNEXT)", "=LIST \"\" *",
    "=APPEND INBOX (\\Seen) {9+}\r\na: b\r\n\r\nc", "=STATUS INBOX (MESSAGES UNSEEN HIGHESTMODSEQ)",
    IDLE, "FETCH 1:* (UID FLAGS)", "FETCH % (UID BODY.PEEK[TEXT])", "FETCH % BODY[]", "UID FETCH %:* (FLAGS)", "FETCH 1:* (UID MODSEQ)",
    "UID FETCH 1:* (FLAGS) (CHANGEDSINCE %)", "STORE % +FLAGS (\\Deleted)", "STORE %:* FLAGS (\\Flagged)", "STORE % -FLAGS (\\Flagged)",
    "STORE % +FLAGS (word%)", "UID STORE % +FLAGS.SILENT (\\Answered)", "STORE % (UNCHANGEDSINCE %) +FLAGS (\\Draft)",
    "SEARCH RETURN (SAVE) FLAGGED", "FETCH $ (UID FLAGS)", "UID STORE $ +FLAGS (saved)", "SEARCH RETURN (COUNT) $",
    "UID SEARCH OR DELETED FLAGGED", "SEARCH RECENT", "COPY % box", "COPY $ box", "MOVE % box", "UID SEARCH SUBJECT s",
    "SORT (REVERSE SUBJECT) UTF-8 ALL",
};
static const char *const of_b[] = {
    "STORE % +FLAGS (\\Flagged)", "STORE % -FLAGS (\\Flagged)", "STORE % +FLAGS.SILENT (\\Deleted)", "STORE 1:* +FLAGS (b%)",
    "=EXPUNGE", "=MOVE % box", "=COPY % box", "=APPEND INBOX {9+}\r\nd: e\r\n\r\nf", "=APPEND box {9+}\r\nd: e\r\n\r\nf",
};

struct play {
    struct account *account;
    bool parks;
    unsigned seed;
    enum { NEWS_NONE, NEWS_GONE, NEWS_FLAGS } news;     /* made by B, and A has not been told */
    struct str said;        /* what A and B heard */
};

static unsigned next_random(struct play *p, unsigned below)
{
    p->seed = p->seed * 1103515245 + 12345;
    return (p->seed >> 16) % below;
}

static void make_command(struct play *p, const char *tag, const char *template, struct str *out)
{
    str_addf(out, "%s ", tag);
    for (const char *c = template + (*template == '='); *c; c++)
        if (*c == '%')
            str_addf(out, "%u", 1 + next_random(p, 7));
        else
            str_add_char(out, *c);
    str_add_str(out, "\r\n");
}

struct served {
    struct imap s;
    const struct str *state;    /* NULL: a new session */
    const char *reason;
    bool ended;
};

static void run_session(void *arg)
{
    struct served *v = arg;

    if (v->state)
        imap_serve_again(&v->s, str_span(v->state), &v->reason);
    else
        imap_serve(&v->s, SPAN_NULL, &v->reason);
    v->ended = true;
    shutdown(stream_fd(v->s.client), SHUT_RDWR);
}

/* A session that begins as a new one, or as `state`; the client's end. */
static struct stream *serve(struct play *p, struct served *v, const struct str *state)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *v = (struct served){ .state = state && state->len > 0 ? state : NULL,
                          .s = { .params = &params, .account = p->account, .client = stream_new(pair[0]) } };
    fiber_start(run_session, v);
    return stream_new(pair[1]);
}

static void end(struct served *v, struct stream *client)
{
    struct span rest;

    stream_close_write(client);
    while (!v->ended)
        if (stream_peek(client, &rest) == 0)
            stream_consume(client, rest.len);
        else
            fiber_yield();
    imap_done(&v->s);
    stream_free(v->s.client);
    stream_free(client);
}

static bool names_keywords(struct span line)
{
    return span_starts(line, span_of("* FLAGS (")) || span_starts(line, span_of("* OK [PERMANENTFLAGS"));
}

static const char untold[] = "Of an expunge you will hear later.";

/* Say a command, hear everything up to its tagged answer. The names of new keywords, of which a woken session
 * knows sooner, come last. It may be more careful about what its client can rely on before it has heard of all expunges. */
static void ask(struct stream *client, const char *tag, struct span command, struct str *heard)
{
    _cleanup_(str_free) struct str keywords = STR_INIT;
    struct span line, word = SPAN_NULL;

    stream_write(client, command);
    stream_flush(client);
    while (!span_eq_str(word, tag)) {
        assert_int_equal(stream_getline(client, 4000, &line), 0);
        struct str *to = names_keywords(line) ? &keywords : heard;
        if (span_find(line, span_of(untold)) >= 0)
            line = span_of(untold);
        str_add(to, line);
        str_add_char(to, '\n');
        word = span_cut(&line, ' ');
    }
    str_add(heard, str_span(&keywords));
}

static void act_as_b(struct play *p)
{
    _cleanup_(str_free) struct str command = STR_INIT;
    const char *template = of_b[next_random(p, ARRAY_LEN(of_b))];
    struct served v;
    struct stream *client = serve(p, &v, NULL);

    ask(client, "b", span_of("b SELECT INBOX\r\n"), &p->said);
    make_command(p, "b", template, &command);
    ask(client, "b", str_span(&command), &p->said);
    end(&v, client);
    if (*template != '=')
        p->news = NEWS_FLAGS;
    else if (p->news == NEWS_NONE)
        p->news = NEWS_GONE;
}

static void wake(struct play *p, struct served *v, struct stream **client, const struct str *state)
{
    if (p->parks)
        *client = serve(p, v, state);
}

static void park(const struct play *p, bool idling, struct served *v, struct stream *client, struct str *state)
{
    if (!p->parks)
        return;
    str_reset(state);
    parked_encode(&v->s, idling, state);
    end(v, client);
}

static void act_as_a(struct play *p, struct served *v, struct stream **client, struct str *state)
{
    _cleanup_(str_free) struct str command = STR_INIT;
    const char *template = of_a[next_random(p, ARRAY_LEN(of_a))];

    if (p->news == NEWS_FLAGS || (p->news == NEWS_GONE && *template != '='))
        str_add_str(&command, "n NOOP\r\n");
    p->news = command.len > 0 ? NEWS_NONE : p->news;
    make_command(p, "a", template, &command);
    wake(p, v, client, state);
    ask(*client, template == IDLE ? "+" : "a", str_span(&command), &p->said);
    if (template == IDLE) {
        park(p, true, v, *client, state);
        wake(p, v, client, state);
        ask(*client, "a", span_of("DONE\r\n"), &p->said);
    }
    park(p, false, v, *client, state);
}

static void run_play(void *arg)
{
    struct play *p = arg;
    _cleanup_(str_free) struct str state = STR_INIT;
    struct stream *client = NULL;
    struct served v;

    if (!p->parks) {
        client = serve(p, &v, NULL);
        ask(client, "a", span_of("a NOOP\r\n"), &p->said);     /* it has begun before B, with whom it shares the account */
        str_reset(&p->said);
    }
    for (int i = 0; i < COMMANDS; i++)
        if (next_random(p, 3) == 0)
            act_as_b(p);
        else
            act_as_a(p, &v, &client, &state);
    if (!p->parks)
        end(&v, client);
}

static void run_seeder(void *arg)
{
    static const char message[] = "s APPEND INBOX {15+}\r\nSubject: s\r\n\r\nt\r\n";
    struct play *p = arg;
    struct served v;
    struct stream *client = serve(p, &v, NULL);

    ask(client, "s", span_of("s CREATE box\r\n"), &p->said);
    for (int i = 0; i < 6; i++)
        ask(client, "s", span_of(message), &p->said);
    end(&v, client);
    str_reset(&p->said);
}

/* UIDVALIDITY is the time of creation: the digits behind these words are no part of what is compared. */
static void forget_uidvalidity(struct str *said)
{
    static const char *const words[] = { "UIDVALIDITY ", "APPENDUID ", "COPYUID ", "MAILBOXID (" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (char *at = said->data; at && (at = strstr(at, words[i]));)
            for (at += strlen(words[i]); *at != ' ' && *at != ']' && *at != ')' && *at; at++)
                *at = '#';
}

static void play(bool parks, unsigned seed, struct str *ret)
{
    char memory[] = "/dev/shm/park_test.XXXXXX", disk[] = "/tmp/park_test.XXXXXX";
    char *maildir = mkdtemp(memory);
    _cleanup_(str_free) struct str err = STR_INIT, command = STR_INIT;
    struct play p = { .parks = parks, .seed = seed };

    if (!maildir)
        maildir = mkdtemp(disk);
    assert_non_null(maildir);
    assert_int_equal(chdir(maildir), 0);
    assert_int_equal(account_open(maildir, &p.account, &err), 0);
    fiber_start(run_seeder, &p);
    assert_int_equal(loop_run(), 0);
    fiber_start(run_play, &p);
    assert_int_equal(loop_run(), 0);
    account_close(p.account);
    str_addf(&command, "rm -rf %s", maildir);
    assert_int_equal(system(command.data), 0);
    forget_uidvalidity(&p.said);
    *ret = p.said;
}

static void test_whatever_is_said_parking_after_every_command_changes_no_answer(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        _cleanup_(str_free) struct str without = STR_INIT, with = STR_INIT;

        play(false, seed * 7919, &without);
        play(true, seed * 7919, &with);
        if (!span_eq(str_span(&with), str_span(&without))) {
            fprintf(stderr, "---- seed %u, never parked:\n%s---- parked after every command:\n%s", seed,
                    str_cstr(&without), str_cstr(&with));
            fail();
        }
    }
}

/* ---- the front's side of a parking ---- */

struct front {
    int fd;
    struct session_park parked;
};

static void run_front(void *arg)
{
    struct front *f = arg;
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(stream_new(f->fd));
    const struct session_held answer = { 0 };
    struct session_hold hold;

    assert_int_equal(ipc_recv(c, &session_hold_shape, &hold), 0);
    assert_int_equal(hold.watch, 0); /* no mailbox is selected */
    ipc_send(c, &session_held_shape, &answer);
    assert_int_equal(ipc_recv(c, &session_park_shape, &f->parked), 0);
}

static void run_leaver(void *arg)
{
    struct imap *s = arg;

    assert_int_equal(park_leave(s, true), -ESHUTDOWN);
}

static void test_the_front_is_told_how_long_the_client_has_been_silent(void **state)
{
    enum { SILENT_MS = 1234567 };
    int client[2], front[2];
    struct front f = { .parked = { .idling = 0 } };

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front), 0);
    f.fd = front[1];
    struct imap s = { .params = &params, .client = stream_new(client[0]), .front = ipc_new(stream_new(front[0])),
                      .log_name = "imap", .heard_ms = clock_ms() - SILENT_MS };
    fiber_start(run_front, &f);
    fiber_start(run_leaver, &s);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(f.parked.idling, 1);
    assert_in_range(f.parked.silent_ms, SILENT_MS, SILENT_MS + 60000);
    session_park_msg_done(&f.parked);
    imap_done(&s);
    ipc_free(s.front);
    stream_free(s.client);
    close(client[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_front_is_told_how_long_the_client_has_been_silent),
        cmocka_unit_test(test_whatever_is_said_parking_after_every_command_changes_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
