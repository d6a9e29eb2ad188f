/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.h - what is left to do after the answer to SELECT
 */
#ifndef IMAPD_SELECT_H
#define IMAPD_SELECT_H

#include "session.h"

/*
 * Between two commands: have the messages of a mailbox read that was selected by its counters. If they cannot be,
 * the client is told BYE. 0, or the stream's error.
 */
MAY_WAIT int select_complete(struct imap *s);

#endif
