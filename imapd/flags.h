/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flags.h - message flags as IMAP writes them (RFC 3501 section 2.3.2)
 */
#ifndef IMAPD_FLAGS_H
#define IMAPD_FLAGS_H

#include "mailbox/account.h"
#include "parse.h"

/* Flags named by a client; keywords borrow from the command. */
struct flag_list {
    uint32_t flags;         /* enum mail_flags */
    struct span *keywords;
    size_t len, cap;
};
#define FLAG_LIST_INIT ((struct flag_list){ 0, NULL, 0, 0 })
void flag_list_done(struct flag_list *l);

/* flag-list = "(" [flag *(SP flag)] ")"; and flag *(SP flag), which STORE allows. No \Recent. */
bool parse_flag_list(struct parse *p, struct flag_list *ret);
bool parse_flags(struct parse *p, struct flag_list *ret);

/* Is one of the keywords longer than this? */
bool flags_too_long(const struct flag_list *l, size_t longest);

/* One flag by name; false: it is a keyword. "$Forwarded" is a flag here, as it has a letter in
 * Maildir. */
bool flag_find(struct span name, uint32_t *ret);

/* Bits of a message's keywords in this mailbox; unknown ones are made if `make`, else left out. 0
 * or -errno, as mailbox_keyword_make(). */
enum flag_make { FLAG_FIND, FLAG_MAKE };
int flag_keywords(struct mailbox *mb, const struct flag_list *l, enum flag_make make,
                  uint64_t *ret);

/* "\Seen $Forwarded work", no parentheses */
enum flags_recent { FLAGS_NO_RECENT, FLAGS_RECENT }; /* RFC 9051 has no \Recent */
void put_flags(struct str *out, const struct mailbox *mb, const struct mail_entry *e, enum flags_recent recent);
/* All flags that the mailbox knows, for FLAGS and PERMANENTFLAGS. */
void put_all_flags(struct str *out, const struct mailbox *mb);

#endif
