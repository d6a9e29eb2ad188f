/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - reading a command with its literals
 */
#ifndef IMAPD_INPUT_H
#define IMAPD_INPUT_H

#include "session.h"

/*
 * Read the next command, all of it, literals in place; only the message of an APPEND stays unread
 * (s->literal.pending).
 *
 * ret   without its last line end; lives until the next read from the client
 *
 * Returns 0; 1: it was refused and answered, read the next one; or the stream's error.
 */
MAY_WAIT int input_command(struct imap *s, struct span *ret);

/* Ask for a literal if the client waits, with "+". */
MAY_WAIT void input_invite(struct imap *s, bool sync);

/* Read away `size` bytes. 0 or the stream's error. */
MAY_WAIT int input_skip(struct imap *s, uint64_t size);

/* Read the rest of a command and throw it away: its line, and literals that the client sends
 * unasked. _rest: the line has been read already. */
MAY_WAIT int input_skip_command(struct imap *s);
MAY_WAIT int input_skip_rest(struct imap *s, struct span line);

/* A message that is announced (s->literal.pending) is not wanted: if it is on its way unasked it is read away, with the
 * rest of its command. 0 or the stream's error. */
MAY_WAIT int input_drop_literal(struct imap *s);

#endif
