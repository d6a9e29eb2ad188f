/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmail_submit.h - handing a message to pickup, or to postdrop while the suite is down
 */
#ifndef CLI_SENDMAIL_SUBMIT_H
#define CLI_SENDMAIL_SUBMIT_H

#include "conf/conf.h"
#include "ipc/msg_submit.h"

struct submission {
    const struct params *params;
    const char *config_dir; /* NULL: the default one */
    struct submit submit;   /* sender, flags, DSN */
    struct submit_rcpt *rcpts;
    size_t n_rcpts, cap_rcpts;
    struct str content;
};
void submission_done(struct submission *s);
/* Forget envelope and content, keep params. */
void submission_reset(struct submission *s);

/* Add the addresses of a command-line argument or header value ("ann, Bob <bob@example.com>"). How
 * many. */
size_t submission_add_rcpts(struct submission *s, const char *list, uint32_t dsn_notify);
/* "Ann <ann@example.com>", "ann", "<>" */
void submission_set_sender(struct submission *s, const char *address);

/* Submit it. *ret says what became of it, also when neither pickup nor postdrop could be reached.
 */
void submission_send(struct submission *s, struct submit_result *ret);

#endif
