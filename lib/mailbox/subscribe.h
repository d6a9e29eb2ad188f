/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe.h - the file `subscriptions` of a Maildir: names of mailboxes, in Dovecot's form
 *
 *     V 2, an empty line, then one mailbox per line: its parts in modified UTF-7, separated by TAB.
 *
 * Read as well: the older form without the first two lines, parts separated by '.' (or '/').
 */
#ifndef MAILBOX_SUBSCRIBE_H
#define MAILBOX_SUBSCRIBE_H

#include "base/str.h"

struct name_list {
    char **items;   /* mailbox names, UTF-8, separator '/' */
    size_t len, cap;
    size_t compared;    /* names with names, while it was read: the work that it was */
};
void name_list_done(struct name_list *l);
ptrdiff_t name_list_find(const struct name_list *l, struct span name);  /* -1 if none; INBOX in any case */

/* Lines that are no mailbox name are skipped; a name is listed once. */
void subscriptions_parse(struct span text, struct name_list *ret);
void subscriptions_parse_courier(struct span text, struct name_list *ret);
void subscriptions_print(const struct name_list *l, struct str *ret);

/* A missing file is an empty list. 0 or -errno. */
int subscriptions_load(const char *maildir, struct name_list *ret);

#endif
