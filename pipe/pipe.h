/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h - what the files of pipe share
 *
 *     main.c       what the process is
 *     config.c     what its line in master.cf says: flags= user= argv= ...
 *     session.c    qmgr's requests: one command for all recipients of one
 *     expand.c     ${recipient} and the like in the arguments of the command
 *     content.c    the message as the command reads it
 *     run.c        the command as a child: its input, its output, its end
 *     status.c     what its exit status means
 */
#ifndef PIPE_PIPE_H
#define PIPE_PIPE_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"
#include "queue/queue.h"

/* flags= */
enum pipe_flag {
    PIPE_BLANK_LINE   = 1 << 0, /* B  an empty line behind the message */
    PIPE_DELIVERED_TO = 1 << 1, /* D  Delivered-To in front of it; one recipient at a time */
    PIPE_FROM_LINE    = 1 << 2, /* F  "From sender time" in front of it */
    PIPE_ORIGINAL_TO  = 1 << 3, /* O  X-Original-To; one recipient at a time */
    PIPE_RETURN_PATH  = 1 << 4, /* R  Return-Path */
    PIPE_FINAL        = 1 << 5, /* X  a final delivery, not a relay, as success reports say */
    PIPE_FOLD_DOMAIN  = 1 << 6, /* h  domains of recipients in lower case in arguments */
    PIPE_FOLD_USER    = 1 << 7, /* u  local parts likewise */
    PIPE_QUOTE        = 1 << 8, /* q  local parts quoted where RFC 5321 needs it */
    PIPE_DOTS         = 1 << 9, /* .  "." in front of lines that begin with one, and ".": the end */
    PIPE_FROM_QUOTE   = 1 << 10, /* >  ">" in front of lines that begin with "From " */
};

/* The line in master.cf. Texts live as long as the process. */
struct pipe_config {
    const char *user;
    uid_t uid;
    gid_t gid;
    unsigned flags;             /* enum pipe_flag */
    const char *const *argv;    /* NULL-terminated, not expanded; within words */
    const char **words;
    struct str eol;             /* "\n" */
    const char *directory;      /* NULL: / */
    const char *null_sender;
    uint64_t size;              /* of a message at most; 0: no limit */
    int64_t time_limit;         /* seconds */
};

/* Parse the arguments. All but the account (pipe_config_user). 0 or -EINVAL with *err. */
int pipe_config_parse(const char *const *args, struct pipe_config *ret, struct str *err);
void pipe_config_done(struct pipe_config *c);
/* Find user=. 0; -EINVAL with *err: no such account, or one that must not run commands. */
int pipe_config_user(struct pipe_config *c, const struct server *sv, struct str *err);

/* ---- expand.c ---- */

struct pipe_request {
    struct server *sv;
    const struct pipe_config *config;
    struct deliver d;
    int fd;
    struct deliver_rcpt *rcpts;
    struct queue_envelope e;    /* read only if the arguments ask for the client */
    int64_t handoff_us;
};

/* Is every $name of the arguments known? 0 or -EINVAL with *err. */
int expand_check(const char *const *argv, struct str *err);
/* Do they ask for what only the queue file knows? */
bool expand_needs_envelope(const char *const *argv);
/* The arguments for a request; one that names a recipient is repeated for each. NULL-terminated; argv_free(). */
char **expand_argv(const struct pipe_request *q);
void argv_free(char ***argv);

/* ---- content.c ---- */

struct content_state {
    unsigned flags;
    struct span eol;
    bool in_line, cr;           /* within a line; a CR was last */
    struct str start;           /* of a line, until it is known whether it is "From " */
};
/* Append the next piece of a message with CRLF lines as the command shall see it. */
void content_convert(struct content_state *s, struct span in, struct str *out);
/* What is left, and what stands behind the message. */
void content_end(struct content_state *s, struct str *out);
/* What stands in front of it, with eol. */
void content_head(const struct pipe_request *q, struct str *out);

/* ---- run.c ---- */

struct command_end {
    int status;                 /* as of waitpid() */
    bool timed_out;
    struct str output;          /* the beginning of what it wrote, as it came */
};

/* Run the command with the message as its input. 0, or -errno: it could not be started. */
MAY_WAIT int command_run(const struct pipe_request *q, char **argv, struct command_end *ret);

/* ---- status.c ---- */

/* Status, dsn and text of *ret, for log and report. command: its name. */
void status_judge(const struct command_end *end, const char *service, const char *command, struct outcome *ret);

/* ---- session.c ---- */
MAY_WAIT void pipe_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
