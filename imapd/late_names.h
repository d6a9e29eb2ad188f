/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_names.h - after a STORE of many messages: answer the client first, then have the files renamed
 *
 * (mailbox_finish_names, account.h.) Names may lag behind flags for as long as the renaming takes, and never for as long as a
 * client likes: nothing is written that may wait for the client before they have followed.
 */
#ifndef IMAPD_LATE_NAMES_H
#define IMAPD_LATE_NAMES_H

#include "session.h"

void late_names_begin(struct imap *s);              /* when mailbox_store() has returned */
void late_names_before(struct imap *s, size_t n);   /* so many bytes are about to be written */
void late_names_finish(struct imap *s);             /* the command is answered */

#endif
