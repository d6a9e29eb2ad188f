/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locate.h - where a user's mail is: one function for delivery and retrieval alike
 */
#ifndef MAILBOX_LOCATE_H
#define MAILBOX_LOCATE_H

#include "conf/conf.h"
#include "table/table.h"

struct locator;

/* Opens virtual_mailbox_maps, virtual_uid_maps, virtual_gid_maps, mydestination ... */
int locator_open(const struct conf *c, const struct params *p, struct locator **ret, struct str *err);
void locator_free(struct locator *l);
DEFINE_CLEANUP(struct locator, locator_free);

struct location {
    uid_t uid;
    gid_t gid;
    char *user;         /* canonical name: "alice@example.com", or a system user's "bob" */
    char *home;         /* NULL for virtual mailboxes without one */
    char *maildir;      /* absolute path of the INBOX Maildir, no trailing slash */
};
void location_done(struct location *l);

/*
 * Find a mailbox by address or login name. A domain of virtual_mailbox_domains: virtual_mailbox_base +
 * virtual_mailbox_maps, uids by virtual_*_maps (below virtual_minimum_uid: refused). No domain or
 * one of mydestination: a system user (getpwnam by offload), home_mailbox below the home directory.
 * 1 found; 0 no such user; negative temporary, or -EINVAL for a mailbox path that is no Maildir (no
 * trailing slash in the map), with *err.
 */
MAY_WAIT int locate_virtual(struct locator *l, struct span address, struct location *ret, struct str *err);
MAY_WAIT int locate_system(struct locator *l, struct span user, struct location *ret, struct str *err);
MAY_WAIT int locate(struct locator *l, struct span address_or_user, struct location *ret, struct str *err);

#endif
