/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort_key.h - what messages are ordered by, from header fields that the index keeps (kept.h)
 *
 * Texts are in the form of i;unicode-casemap (casemap.h), so that they compare as bytes; appended.
 */
#ifndef IMAPD_SORT_KEY_H
#define IMAPD_SORT_KEY_H

#include "base/str.h"
#include "mailbox/account.h"

/* The base subject; true if it is that of a reply or forward (subject.h). */
bool sort_key_subject(struct span header, struct str *ret);

/* The Date field as seconds UTC; without a good one, when the message came (RFC 5256 section 2.2). */
int64_t sort_key_date(struct span header, const struct mail_entry *e);

/* Of the first address of a field: its mailbox (local part); and what is displayed, its name or else the
 * address (RFC 5957 section 3). Nothing when there is none. */
void sort_key_mailbox(struct span header, const char *field, struct str *ret);
void sort_key_display(struct span header, const char *field, struct str *ret);

#endif
