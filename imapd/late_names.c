/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_names.c - after a STORE of many messages: answer the client first, then have the files renamed
 *
 * Runs in: imapd.
 */
#include "late_names.h"

/* Less than the stream keeps until it sends, and waits */
#define ROOM 49152

/* What cannot be done now, is told when the mailbox is looked at the next time. */
static void finish(struct imap *s)
{
    s->late_room = 0;
    if (s->mb)
        mailbox_finish_names(s->mb);
}

void late_names_begin(struct imap *s)
{
    if (!mailbox_has_late_names(s->mb))
        return;
    if (stream_flush_now(s->client))
        s->late_room = ROOM;
    else
        finish(s); /* it does not read what it has been told before */
}

void late_names_before(struct imap *s, size_t n)
{
    if (s->late_room == 0)
        return;
    if (n < s->late_room)
        s->late_room -= n;
    else
        finish(s);
}

void late_names_finish(struct imap *s)
{
    if (s->late_room == 0)
        return;
    stream_flush_now(s->client);
    finish(s);
}
