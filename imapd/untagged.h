/* SPDX-License-Identifier: Apache-2.0 */
/*
 * untagged.h - telling the client what has changed in the selected mailbox
 */
#ifndef IMAPD_UNTAGGED_H
#define IMAPD_UNTAGGED_H

#include "session.h"

/* Sequence numbers must not move while a command runs that uses them (RFC 3501 section 7.4.1). */
enum untagged_expunge { UNTAGGED_KEEP, UNTAGGED_EXPUNGE };

/*
 * Look at the mailbox and send EXPUNGE, FETCH (FLAGS), EXISTS and RECENT. Harmless without a
 * selected mailbox. Returns 0, or negative after BYE: the mailbox is gone or unreadable.
 */
MAY_WAIT int untagged_sync(struct imap *s, enum untagged_expunge expunge);

/*
 * After a STORE to the messages `own`, ascending: send FETCH (FLAGS) for those, and for others that have changed.
 * With `tell` == UNTAGGED_SILENT those that this STORE has changed are left out (but for their
 * MODSEQ, where it was asked for). `refused`, ascending, of those in `own`: were protected by UNCHANGEDSINCE and are
 * always told, so that the client need not ask what they are now (RFC 7162 section 3.1.3).
 * Returns 1 if some of `own` are gone, of which nothing is told; 0; or negative as untagged_sync.
 */
enum untagged_own { UNTAGGED_SILENT, UNTAGGED_TELL };
struct seqs;
MAY_WAIT
int untagged_after_store(struct imap *s, const struct seqs *own, const struct seqs *refused, enum untagged_own tell);

/* The OK of a command that has removed messages. With QRESYNC they are told now, and the answer has the modification sequence
 * that all of this has brought (RFC 7162 section 3.2.7, RFC 6851 section 4.4, RFC 8508 section 4.5). */
MAY_WAIT int untagged_reply_expunged(struct imap *s, const char *text);

/* The client has shown that it knows MODSEQ: from now on it gets them (RFC 7162 section 3.1). The
 * first time, the highest of the selected mailbox is sent. */
MAY_WAIT void untagged_condstore(struct imap *s);

/* For a client that was away since `modseq`: VANISHED (EARLIER), limited to the UIDs in `known`
 * (resolved; NULL: all) that are greater than `after`; and FETCH (UID FLAGS MODSEQ) of what has changed. 0, or -errno. */
struct seqset;
MAY_WAIT int untagged_vanished(struct imap *s, uint64_t modseq, const struct seqset *known, uint32_t after);
MAY_WAIT void untagged_changed(struct imap *s, uint64_t modseq, const struct seqset *known);

/* FLAGS and PERMANENTFLAGS; sent again when a keyword has come up. */
MAY_WAIT void untagged_flags(struct imap *s);
/* Only if keywords were added since. */
MAY_WAIT void untagged_new_keywords(struct imap *s);

#endif
