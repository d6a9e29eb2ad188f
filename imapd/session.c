/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - from the sign-in's answer to the goodbye: read a command, run it, answer, loop
 *
 * RFC 3501 section 3. The session owns its process: it may block on the disk.
 *
 * Runs in: imapd, as the mailbox owner (input is hostile).
 */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "command.h"
#include "compress.h"
#include "input.h"
#include "late_names.h"
#include "capability.h"
#include "park.h"
#include "reply.h"
#include "select.h"

/* A command this long leaves its memory behind when it is done. */
#define KEEP_MAX 4096

void imap_done(struct imap *s)
{
    mailbox_close(TAKE_PTR(s->mb));
    str_free(&s->tag);
    str_free(&s->command);
    str_free(&s->reply_text);
    seqset_done(&s->saved);
}

static void welcome(struct imap *s, struct span tag)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    if (tag.len == 0)
        return;
    str_add(&line, tag);
    str_add_str(&line, " OK [CAPABILITY ");
    capability_put(s, &line);
    str_add_str(&line, "] Logged in\r\n");
    imap_write(s, str_span(&line));
}

/* The stream has failed and takes nothing any more; its connection may still carry a last line. */
static void say_bye(const struct imap *s, const char *line)
{
    ssize_t n = send(stream_fd(s->client), line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)n; /* the client may be gone as well */
}

/* What the client has said meanwhile: closing over unread bytes would reset the connection, and our last line with it.
 * The pair to the front takes no more from then on. */
static void discard_input(const struct imap *s)
{
    char bytes[2048];

    if (s->relayed)
        shutdown(stream_fd(s->client), SHUT_RD);
    for (int i = 0; i < 64 && recv(stream_fd(s->client), bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++)
        continue;
}

void imap_set_idle(struct imap *s, bool idle)
{
    fiber_set_idle(idle);
    if (s->heard)
        session_front_idle(s->heard, idle);
}

void imap_lose_front(struct imap *s)
{
    s->front = NULL;
    if (s->heard)
        s->heard->ipc = NULL;
}

static const char *end_of_cancelled(const struct imap *s)
{
    if (s->heard && s->heard->word == FRONT_WANTS_ROOM) {
        say_bye(s, "* BYE [LIMIT] Too many sessions of this user from this address: the idle ones end.\r\n");
        return "Too many sessions of this user from this address";
    }
    say_bye(s, "* BYE [UNAVAILABLE] Server shutting down.\r\n");
    return "Server shutting down";
}

static const char *end(struct imap *s, int r)
{
    switch (r) {
    case -ETIMEDOUT:
        say_bye(s, "* BYE Disconnected for inactivity.\r\n");
        return "Disconnected for inactivity";
    case -ECANCELED:
        return end_of_cancelled(s);
    case -ESHUTDOWN:
        return NULL;
    case 0:
        stream_flush(s->client);
        discard_input(s);
        return s->bad_commands >= s->params->imap_bad_command_limit ? "Too many invalid commands" :
                                                                      "Logged out";
    default:
        stream_flush(s->client);
        discard_input(s);
        return "Connection closed";
    }
}

/* A client that says nothing for a while finds its session again when it does. */
static int pause_before_command(struct imap *s)
{
    int r = park_pause(s);

    return r == 0 ? park_leave(s, false) : r < 0 ? r : 0;
}

static int run_next(struct imap *s)
{
    struct span command;
    int r = pause_before_command(s);

    if (r == 0)
        r = input_command(s, &command);
    if (r == 0) {
        park_heard(s);
        r = command_run(s, command);
        late_names_finish(s);
        park_heard(s);
    }
    if (r == 0)
        r = select_complete(s);
    if (r == 0 && s->compress_next)
        r = compress_begin(s);
    else if (r > 0)
        s->bad_commands++;
    if (s->command.cap > KEEP_MAX)
        str_free(&s->command);
    if (r >= 0 && s->bad_commands >= s->params->imap_bad_command_limit) {
        imap_puts(s, "* BYE Too many invalid commands.\r\n");
        s->state = IMAP_LOGOUT;
    }
    return r < 0 ? r : 0;
}

static void serve(struct imap *s, int r, const char **ret_reason)
{
    account_watch(s->account, (struct account_watcher){ progress_watch_writing, progress_watch_reading, s });

    while (r == 0 && s->state != IMAP_LOGOUT)
        r = run_next(s);
    account_watch(s->account, (struct account_watcher){ 0 });
    *ret_reason = end(s, r);
}

void imap_serve(struct imap *s, struct span sign_in_tag, const char **ret_reason)
{
    s->state = IMAP_AUTHENTICATED;
    park_heard(s);
    stream_set_timeout(s->client, s->params->imap_timeout * 1000);
    welcome(s, sign_in_tag);
    serve(s, 0, ret_reason);
}

void imap_serve_again(struct imap *s, struct span state, const char **ret_reason)
{
    bool idling = false;
    int r = park_resume(s, state, &idling);

    stream_set_timeout(s->client, s->params->imap_timeout * 1000);
    if (r < 0) {
        log_info("%s: cannot be woken: %s", s->log_name, strerror(-r));
        imap_printf(s, "* BYE [UNAVAILABLE] %s\r\n", r == -ENOENT || r == -ESTALE ?
                    "The selected mailbox is gone." : "The session cannot go on, please connect again.");
        stream_flush(s->client);
        discard_input(s);
        *ret_reason = "Cannot be woken";
        return;
    }
    serve(s, idling ? command_idle_again(s) : 0, ret_reason);
}

void imap_log_tally(const struct imap *s, struct str *out)
{
    const struct imap_stats *st = &s->stats;

    str_addf(out,
             " in=%" PRIu64 " out=%" PRIu64 " deleted=%" PRIu64 " expunged=%" PRIu64
             " trashed=0 hdr_count=%" PRIu64 " hdr_bytes=%" PRIu64 " body_count=%" PRIu64
             " body_bytes=%" PRIu64,
             st->in, st->out, st->deleted, st->expunged, st->hdr_count, st->hdr_bytes, st->body_count,
             st->body_bytes);
}
