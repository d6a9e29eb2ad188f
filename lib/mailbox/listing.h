/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing.h - the mailboxes of an account in order, with the parents that they lack and the names that are subscribed
 *
 * Names only: nothing here looks at the disk. Work is that of sorting the names a few times.
 */
#ifndef MAILBOX_LISTING_H
#define MAILBOX_LISTING_H

#include "mailbox/account.h"
#include "mailbox/subscribe.h"

struct listing {
    struct mailbox_info *items;
    size_t len, cap;
    size_t compared;    /* names with names, so far: the work that it was */
};
#define LISTING_INIT ((struct listing){ NULL, 0, 0, 0 })

/* One that exists, in any order, each once; takes the name. */
void listing_add(struct listing *l, char *name);

/* When all were added: sort them, INBOX first; put in parents that do not exist, and subscribed names that do not. */
void listing_complete(struct listing *l, const struct name_list *subscribed);

/* After that: the mailbox of this name, or NULL. */
struct mailbox_info *listing_find(struct listing *l, const char *name);

#endif
