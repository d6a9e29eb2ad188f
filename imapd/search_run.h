/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_run.h - a search program from the command line to the messages it finds; for SEARCH, SORT
 * and THREAD
 */
#ifndef IMAPD_SEARCH_RUN_H
#define IMAPD_SEARCH_RUN_H

#include "command.h"
#include "search.h"

/* For reading messages of the selected mailbox in this command: limits from the parameters, its pace. */
void imap_message_init(struct imap *s, struct message *m);

/* search-key *(SP search-key), in this charset (empty: UTF-8). False: answered already. */
bool search_program(struct imap *s, struct parse *p, struct span charset, struct search *ret);

/* The messages that match, as ascending sequence numbers. 0 or negative: search_failed() is next. */
MAY_WAIT int search_run(struct imap *s, const struct search *q, struct seqs *ret);

/* Answer a command that search_run() or the like has ended with r < 0; returns what the command returns, negative
 * if the session is over. what: "Searching", begins the client's text. */
int search_failed(struct imap *s, int r, const char *what);

#endif
