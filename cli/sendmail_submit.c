/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_submit.c - the way of a local message into the suite
 *
 * First pickup's socket: it knows the caller from the socket itself, so this works without any
 * special right, also for processes that may not gain one (no_new_privs). If nobody answers there
 * the suite is down, and setgid postdrop leaves the message in maildrop/. Both speak the same
 * messages.
 *
 * Runs in: sendmail, as the calling user.
 */
#include "cli/sendmail_submit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"

#define CONNECT_TIMEOUT_MS 30000
#define ANSWER_TIMEOUT_MS  600000

static void submit_free(struct submit *s)
{
    str_free(&s->sender);
    str_free(&s->dsn_envid);
    *s = (struct submit){0};
}

void submission_reset(struct submission *s)
{
    submit_free(&s->submit);
    for (size_t i = 0; i < s->n_rcpts; i++)
        str_free(&s->rcpts[i].address);
    s->n_rcpts = 0;
    str_reset(&s->content);
}

void submission_done(struct submission *s)
{
    submission_reset(s);
    free(s->rcpts);
    str_free(&s->content);
}

static void add_address(struct str *s, const struct header_address *a)
{
    str_add(s, str_span(&a->mailbox));
    if (a->host.len > 0) {
        str_add_char(s, '@');
        str_add(s, str_span(&a->host));
    }
}

size_t submission_add_rcpts(struct submission *s, const char *list, uint32_t dsn_notify)
{
    _cleanup_(header_addresses_done) struct header_address_list found = {0};
    size_t before = s->n_rcpts;

    header_addresses_parse(span_of(list), SIZE_MAX, &found);
    for (size_t i = 0; i < found.len; i++) {
        if (found.items[i].kind != HDR_ADDR_MAILBOX)
            continue;
        MEM_GROW(s->rcpts, s->n_rcpts, s->cap_rcpts);
        struct submit_rcpt *r = &s->rcpts[s->n_rcpts++];

        *r = (struct submit_rcpt){.dsn_notify = dsn_notify};
        add_address(&r->address, &found.items[i]);
    }
    return s->n_rcpts - before;
}

void submission_set_sender(struct submission *s, const char *address)
{
    _cleanup_(header_addresses_done) struct header_address_list found = {0};

    str_reset(&s->submit.sender);
    header_addresses_parse(span_of(address), 1, &found);
    if (found.len == 1 && found.items[0].kind == HDR_ADDR_MAILBOX)
        add_address(&s->submit.sender, &found.items[0]);
}

static void no_answer(struct submit_result *res, const char *text)
{
    *res = (struct submit_result){.status = SUBMIT_TEMPORARY, .dsn = "4.3.0"};
    snprintf(res->text, sizeof res->text, "%s", text);
}

static int exchange(struct ipc *server, struct submission *s, struct submit_result *ret)
{
    stream_set_timeout(ipc_stream(server), ANSWER_TIMEOUT_MS);
    s->submit.n_rcpt = (uint32_t)s->n_rcpts;
    s->submit.size_hint = s->content.len;
    ipc_send(server, &submit_shape, &s->submit);
    for (size_t i = 0; i < s->n_rcpts; i++)
        ipc_send(server, &submit_rcpt_shape, &s->rcpts[i]);
    if (s->content.len > 0)
        ipc_send_chunk(server, str_span(&s->content));
    ipc_send_chunk(server, SPAN_NULL);
    return ipc_recv(server, &submit_result_shape, ret);
}

static int send_to_pickup(struct submission *s, struct submit_result *ret)
{
    _cleanup_(ipc_free_ptr_) struct ipc *pickup = NULL;

    ipc_set_directory(s->params->queue_directory);
    int r = ipc_connect("pickup", clock_deadline_ms(CONNECT_TIMEOUT_MS), &pickup);

    return r < 0 ? r : exchange(pickup, s, ret);
}

/* The child's side: the socket is its standard input and output. */
static _Noreturn void run_postdrop(const struct submission *s, int fd)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    char *argv[] = {(char *)"postdrop", NULL, NULL, NULL};

    str_addf(&path, "%s/postdrop", s->params->command_directory);
    if (s->config_dir) {
        argv[1] = (char *)"-c";
        argv[2] = (char *)s->config_dir;
    }
    if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
        execv(str_cstr(&path), argv);
    _exit(127);
}

static int send_to_postdrop(struct submission *s, struct submit_result *ret)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    pid_t pid = fork();

    if (pid == 0)
        run_postdrop(s, fds[1]);
    close(fds[1]);
    struct ipc *postdrop = ipc_new(stream_new(fds[0]));
    int r = pid < 0 ? -errno : exchange(postdrop, s, ret);

    ipc_free(postdrop);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}

void submission_send(struct submission *s, struct submit_result *ret)
{
    int r = send_to_pickup(s, ret);

    /* A temporary answer, or none: the caller may not try again, postdrop's file will be. */
    if (r == 0 && ret->status != SUBMIT_TEMPORARY)
        return;
    r = send_to_postdrop(s, ret);
    if (r < 0)
        no_answer(ret, "the mail system is down, and postdrop cannot store the message");
}
