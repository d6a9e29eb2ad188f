/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_names.h - all that LIST or LSUB could name: mailboxes, subscribed names, and the parents of these
 */
#ifndef IMAPD_LIST_NAMES_H
#define IMAPD_LIST_NAMES_H

#include "mailbox/account.h"

struct list_name {
    struct span name;
    const struct mailbox_info *info;    /* NULL: neither exists nor is subscribed */
    bool has_below;                     /* list_names_note_below() */
};

struct list_names {
    struct list_name *items;            /* sorted by name, each once */
    size_t len, cap;
    size_t compared;                    /* names with names, so far: the work that it was */
};
#define LIST_NAMES_INIT ((struct list_names){ NULL, 0, 0, 0 })
void list_names_done(struct list_names *l);

/* From what account_list() gives, which the names borrow from. */
void list_names_make(struct list_names *l, const struct mailbox_info *infos, size_t n);

/* Name `item` is of interest: each of its parents has_below, then. */
void list_names_note_below(struct list_names *l, const struct list_name *item);

#endif
