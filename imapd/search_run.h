/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_run.h - a search program from the command line to the messages it finds; for SEARCH, SORT
 * and THREAD
 */
#ifndef IMAPD_SEARCH_RUN_H
#define IMAPD_SEARCH_RUN_H

#include "command.h"
#include "search.h"

/* Limits for reading a message, from the parameters. */
struct message_limits imap_message_limits(const struct imap *s);

/* search-key *(SP search-key), in this charset (empty: UTF-8). False: answered already. */
bool search_program(struct imap *s, struct parse *p, struct span charset, struct search *ret);

/*
 * The messages that match, as ascending sequence numbers.
 *
 * Returns 0, or negative: the tagged answer is set, unless the session is over (stream_error()).
 */
MAY_WAIT int search_run(struct imap *s, const struct search *q, struct seqs *ret);

/* What a command returns that search_run() or the like has ended with r < 0: 0 after an answer, or the
 * end of the session. */
int search_failed(struct imap *s, int r);

#endif
