/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_talk.c - see login_talk.h. Takes the place of login.c, authenticate.c and handoff.c.
 */
#include "tests/fuzz/login_talk.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "sasl/offer.h"

/* The answers must fit into the socket's buffer: nobody reads them. */
enum { INPUT_MAX = 8192 };

static unsigned choice;

static void decide(struct login *l, struct auth_result *ret)
{
    *ret = (struct auth_result){ .status = choice % (AUTH_NO_MECHANISM + 1) };
    l->failures += ret->status != AUTH_OK;
}

const char *login_patience_ends(const struct login *l)
{
    return l->bad_commands > 20 || l->failures > 20 ? "enough" : NULL;
}

bool login_may_sign_in(const struct login *l)
{
    return l->tls || choice & 8;
}

int login_start_tls(struct login *l)
{
    l->tls = true;
    return 0;
}

int login_mechanism(struct login *l, struct span mechanism, struct span initial, struct auth_result *ret)
{
    _cleanup_(str_free) struct str response = STR_INIT;
    struct span line;

    (void)mechanism;
    if (initial.len > 0 && sasl_initial_parse(initial, &response) < 0)
        return -EINVAL;
    if (initial.len == 0)
        (void)stream_getline(l->client, 8192, &line);
    decide(l, ret);
    return 0;
}

void login_password(struct login *l, struct span user, struct span password, struct auth_result *ret)
{
    str_reset(&l->user);
    str_add_escaped(&l->user, user, 100, STR_ASCII);
    str_add_escaped(&l->user, password, 100, STR_ASCII);
    decide(l, ret);
}

int login_hand_off(struct login *l, const struct auth_result *who, struct span tag)
{
    static const int results[] = { -EAGAIN, 0, -EUSERS };

    (void)l;
    (void)who;
    return results[tag.len % ARRAY_LEN(results)];
}

int64_t login_limit(const struct login *l)
{
    (void)l;
    return 50;
}

void login_log_failure(const struct login *l, const char *reason)
{
    (void)l;
    (void)reason;
}

void login_talk(const uint8_t *data, size_t size, void (*talk)(struct login *l))
{
    static const struct params params = { .auth_mechanisms = "plain login", .imap_bad_command_limit = 20,
                                          .imap_login_failure_limit = 20, .imap_login_line_limit = 2000,
                                          .imap_login_literal_limit = 500 };
    const struct server sv = { .params = &params };
    static char tls_is_offered;
    struct login_server server = { 0 };
    int pair[2];

    if (size < 1 || size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    choice = data[0];
    if (choice & 16)
        server.tls = (void *)&tls_is_offered;
    ssize_t n = write(pair[0], data + 1, size - 1);
    (void)n;
    shutdown(pair[0], SHUT_WR);

    struct login l = { .sv = (struct server *)&sv, .server = &server, .client = stream_new(pair[1]) };
    talk(&l);
    stream_free(l.client);
    str_free(&l.user);
    close(pair[0]);
}
