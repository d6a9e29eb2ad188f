/* SPDX-License-Identifier: Apache-2.0 */
/* auto_mailboxes.h - mailboxes that every account has (imap_auto_mailboxes) */
#ifndef IMAPD_AUTO_MAILBOXES_H
#define IMAPD_AUTO_MAILBOXES_H

#include "mailbox/account.h"

/*
 * Create and subscribe those of the list that are missing, unless another mailbox has the use that the name stands for
 * ("Sent" where there is "Sent Items"). 0, or the first -errno; the others are made all the same.
 */
int auto_mailboxes(struct account *a, struct span list);

#endif
