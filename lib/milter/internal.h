/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - one filter's side of the conversation, for the files of this folder
 *
 *     list.c      settings                 talk.c     connecting, an event and its answer
 *     milters.c   the events of a session  message.c  header to end of message
 *     macros.c    what goes with an event  lend.c     to another process and back
 */
#ifndef MILTER_INTERNAL_H
#define MILTER_INTERNAL_H

#include "io/stream.h"
#include "milter/milter.h"

enum milter_state {
    MILTER_S_NEW,
    MILTER_S_READY,
    MILTER_S_ENVELOPE,
    MILTER_S_ACCEPT_MSG,
    MILTER_S_ACCEPT_CON,
    MILTER_S_REJECT_CON,
    MILTER_S_FAILED,
    MILTER_S_LENT,
};

struct milter {
    struct milters *all;
    char *name;
    const struct milter_settings *settings; /* NULL: received from another process */
    int64_t command_s, content_s;
    enum milter_default default_action;
    struct stream *st;
    enum milter_state state;
    struct milter_options options;          /* without symlists: those are in macros */
    char *macros[MILTER_STAGES];            /* names the filter asked for; NULL: the settings' */
    enum milter_verdict sticky;             /* in REJECT_CON and FAILED */
    struct str sticky_reply;
    struct str packet;                      /* the answer being looked at */
    struct str values;                      /* of macros, if received */
};

struct milters {
    struct milter_host host;
    struct milter *items;
    size_t len;
    struct str payload;                     /* of the event on its way */
    /* to tell a filter whose conversation was lost */
    struct str client_name, client_addr, helo;
    struct milter_client client;
};

/* An event: its command, who does not want it, who does not answer it */
struct milter_event {
    enum milter_command command;
    enum milter_stage stage;                /* MILTER_STAGES: without macros */
    uint32_t unwanted, unanswered;
};

/* What changes the message may be changed with, at its end; NULL: no changes are allowed */
struct milter_edits {
    const struct milter_message *message;
    bool quarantined;
};

void milter_done(struct milter *m);

/* Connect and negotiate; from NEW to READY, or FAILED. */
MAY_WAIT void milter_open(struct milter *m);

/* Send an event with its payload and take the answer. The state moves as the answer says. */
MAY_WAIT enum milter_verdict milter_ask(struct milter *m, const struct milter_event *e, struct span payload,
                                        struct milter_edits *edits, bool *ret_skip, struct str *reply);

/* What it has said for good, in REJECT_CON or FAILED; else MILTER_PASS */
enum milter_verdict milter_sticky(const struct milter *m, struct str *reply);

/* It cannot be talked to: from now on its default action holds. */
void milter_fail(struct milter *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Send a command without data that has no answer; buffered. */
MAY_WAIT void milter_say(struct milter *m, enum milter_command c);

/* The names of a stage: the filter's or the settings' */
const char *milter_macro_names(const struct milter *m, enum milter_stage stage);
/* Append name NUL value NUL of each name that has a value. */
MAY_WAIT void milter_macro_values(const struct milter *m, const char *names, struct str *ret);

#endif
