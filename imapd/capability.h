/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability.h - what a signed-in client is told that the server can, less what the operator hides from it
 *
 * A client that stumbles over something that the server can is helped by not telling it: for everybody
 * (imap_discard_capabilities), for an account (imap_discard_capability_maps, searched with user@domain and then
 * @domain), or for all clients of a name (imap_discard_capability_id_maps, searched with the name that ID gives, in small
 * letters). As with Postfix' smtpd_discard_ehlo_keywords the commands work all the same.
 */
#ifndef IMAPD_CAPABILITY_H
#define IMAPD_CAPABILITY_H

#include "session.h"
#include "table/table.h"

/* The tables of the process; opened at start, before there are sessions. */
struct capability_masks {
    struct maps *by_account, *by_id;
};
/* 0, or negative with *err. */
int capability_masks_open(const struct params *p, struct capability_masks *ret, struct str *err);

/* What is hidden from everybody and from this account (s->hidden). A table that cannot be read hides nothing, and a warning
 * says so. */
MAY_WAIT void capability_hide_for_account(struct imap *s, struct span user);
/* What is hidden from clients of this name as well. */
MAY_WAIT void capability_hide_for_client(struct imap *s, struct span id_name);

/* "IMAP4rev1 ...", appended. */
void capability_put(const struct imap *s, struct str *out);

#endif
