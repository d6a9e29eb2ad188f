/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - FETCH (RFC 3501 section 6.4.5; MODSEQ, CHANGEDSINCE and VANISHED RFC 7162)
 *
 * Items are looked up once, and the greatest need among them decides how far a
 * message's file is read: not at all for flags, UIDs, dates and sizes, which
 * are in the index, and for what is kept there of the content (kept.h). A file is
 * opened once, and before the first byte of its answer is written, for an answer
 * cannot be taken back. The limit of time is one for each message: what comes between is the client's.
 *
 * Runs in: imapd (input and content are hostile).
 */
#include "fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "reply.h"
#include "search_run.h"
#include "seqset.h"
#include "untagged.h"

static void fetch_done(struct fetch *f)
{
    for (size_t i = 0; i < f->len; i++)
        section_done(&f->items[i].section);
    free(f->items);
    message_done(&f->message);
    str_free(&f->line);
    str_free(&f->scratch);
}

/* Read the file as far as any item will want it, if at all; afterwards no item can fail. */
static int load(struct fetch *f, uint32_t seq)
{
    const struct kept *k;
    const struct mime *mime;
    struct span bytes;
    int r = 0;

    if (f->want == 0 && f->need <= FETCH_SIZE)
        return 0;
    message_open(&f->message, seq);
    if (f->want != 0)
        r = message_kept(&f->message, f->want, &k);
    if (r < 0 || f->need <= FETCH_SIZE)
        return r;
    if (f->need == FETCH_HEADER)
        return message_header(&f->message, &bytes);
    if (f->need == FETCH_ALL)
        return message_all(&f->message, &bytes);
    r = message_mime(&f->message, &mime);
    for (size_t i = 0; r == 0 && f->has_binary && i < f->len; i++)
        if (section_is_unknown(&f->items[i].section, mime))
            r = -ENOTSUP;
    return r;
}

/* now_seen: this FETCH has set \Seen, which the client has to learn */
static int fetch_message(struct imap *s, struct fetch *f, uint32_t seq, bool now_seen)
{
    const struct mail_entry *e = mailbox_entry(s->mb, seq);
    int r = load(f, seq);

    f->seq = seq;
    if (r < 0)
        return r;
    s->progress.part = PROGRESS_ANSWERING;
    str_reset(&f->line);
    str_addf(&f->line, "* %" PRIu32 " FETCH (", seq);
    if (s->uid && !f->has_uid) {
        fetch_put_uid(s, f, NULL, e);
        str_add_char(&f->line, ' ');
    }
    for (size_t i = 0; i < f->len; i++) {
        if (i > 0)
            str_add_char(&f->line, ' ');
        f->items[i].row->put(s, f, &f->items[i], e);
    }
    if (now_seen && s->condstore && !s->uid && !f->has_uid) { /* RFC 7162 section 3.2.4 */
        str_add_char(&f->line, ' ');
        fetch_put_uid(s, f, NULL, e);
    }
    if (now_seen && !f->has_flags) {
        str_add_char(&f->line, ' ');
        fetch_put_flags(s, f, NULL, e);
    }
    if (now_seen && s->condstore && !f->has_modseq) {
        str_add_char(&f->line, ' ');
        fetch_put_modseq(s, f, NULL, e);
    }
    str_add_str(&f->line, ")\r\n");
    s->progress.part = PROGRESS_WORKING;
    r = pace_error(&s->progress.pace);
    if (r < 0) /* half an answer cannot be followed by another */
        stream_fail(s->client, r);
    imap_write(s, str_span(&f->line));
    return stream_error(s->client);
}

/* Set \Seen on those that have it not; ret: those, in order. One transaction, before the first
 * answer. */
static int mark_seen(struct imap *s, const struct seqs *seqs, struct seqs *ret)
{
    for (size_t i = 0; i < seqs->len; i++) {
        const struct mail_entry *e = mailbox_entry(s->mb, seqs->items[i]);

        if (!(e->flags & MAIL_SEEN) && !e->expunged)
            seqs_add(ret, seqs->items[i]);
    }
    if (ret->len == 0)
        return 0;
    return mailbox_store(s->mb, ret->items, ret->len, FLAGS_ADD, MAIL_SEEN, 0, UINT64_MAX, NULL,
                         NULL);
}

static void keep_changed(const struct mailbox *mb, struct seqs *seqs, uint64_t changed_since)
{
    size_t n = 0;

    for (size_t i = 0; i < seqs->len; i++)
        if (mailbox_entry(mb, seqs->items[i])->modseq > changed_since)
            seqs->items[n++] = seqs->items[i];
    seqs->len = n;
}

/* RFC 9394 section 3.4: before CHANGEDSINCE chooses among them */
static void keep_partial(const struct partial *p, struct seqs *seqs)
{
    size_t from, to;

    if (seqs->len == 0)
        return;
    partial_range(p, seqs->len, &from, &to);
    memmove(seqs->items, seqs->items + from, (to - from) * sizeof *seqs->items);
    seqs->len = to - from;
}

/* Sizes that the file names do not tell are measured first. */
static int measure(struct imap *s, const struct seqs *seqs)
{
    return mailbox_measure(s->mb, seqs->items[0], seqs->items[seqs->len - 1]);
}

/* A message is done. What is in the index takes so little time that it is not asked for every time. */
static int told(struct imap *s, const struct fetch *f, uint32_t done)
{
    if (f->want != 0 || f->need > FETCH_SIZE)
        return progress_step(s, done);
    s->progress.done = done;
    return pace_on(&s->progress.pace, PACE_WORK / 64) ? 0 : pace_error(&s->progress.pace);
}

static int fetch_messages(struct imap *s, struct fetch *f, const struct seqs *seqs)
{
    _cleanup_(seqs_done) struct seqs seen = SEQS_INIT;
    s->progress.part = PROGRESS_PREPARING;
    int r = f->has_size ? measure(s, seqs) : 0;

    if (r == 0 && f->sets_seen && !mailbox_read_only(s->mb))
        r = mark_seen(s, seqs, &seen);
    if (r < 0)
        return search_failed(s, r, "Reading the mailbox");
    untagged_new_keywords(s);
    s->progress.part = PROGRESS_WORKING;
    progress_count(s, (uint32_t)seqs->len);
    for (size_t i = 0, n = 0; i < seqs->len; i++) {
        bool now_seen = n < seen.len && seen.items[n] == seqs->items[i];

        n += now_seen;
        progress_allow_time(s);
        r = fetch_message(s, f, seqs->items[i], now_seen);
        f->expunged |= r == -ENOENT;
        if (r == 0 || r == -ENOENT)
            r = told(s, f, (uint32_t)i + 1);
        if (r == -ENOTSUP)
            return reply_no(s, "[UNKNOWN-CTE] This transfer encoding is not known.");
        if (r < 0)
            return search_failed(s, r, "Reading a message");
    }
    if (f->expunged && s->uid) /* a UID may be of no message at any time (RFC 3501 section 6.4.8) */
        return reply_ok(s, "[EXPUNGEISSUED] Some of the messages are gone.");
    if (f->expunged)
        return reply_no(s, "[EXPUNGEISSUED] Some of the messages are gone.");
    return reply_ok(s, "Fetch completed.");
}

/* Of the UIDs that the command names, those that are gone (RFC 7162 section 3.2.6) */
static int tell_vanished(struct imap *s, uint64_t since, struct span arguments)
{
    _cleanup_(seqset_done) struct seqset set = SEQSET_INIT;
    struct span rest = span_trim(arguments), uids = span_cut(&rest, ' ');

    if (span_eq_str(uids, "$")) /* what is gone has left the saved result (RFC 5182 section 2.1) */
        return 0;
    if (seqset_parse(uids, &set) < 0)
        return -EINVAL;
    seqset_resolve(&set, mailbox_uidnext(s->mb));
    return untagged_vanished(s, since, &set, 0);
}

int cmd_fetch(struct imap *s, struct parse *p)
{
    _cleanup_(fetch_done) struct fetch f = { .line = STR_INIT,
                                                 .scratch = STR_INIT,
                                                 .max_items = (size_t)s->params->imap_fetch_item_limit };
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;
    struct span arguments = p->in;

    imap_message_init(s, &f.message);
    if (!parse_messages(s, p, &seqs) || !fetch_parse(p, &f))
        return reply_bad(s, "Messages that exist and at most %zu items, of as many header fields, are expected.", f.max_items);
    if (f.vanished && (!s->uid || !s->qresync))
        return reply_bad(s, "VANISHED is for UID FETCH, after QRESYNC was enabled.");
    if (f.partial.from > 0 && !s->uid)
        return reply_bad(s, "PARTIAL is for UID FETCH.");
    if (f.has_modseq)
        untagged_condstore(s);
    int r = f.vanished ? tell_vanished(s, f.changed_since, arguments) : 0;
    if (r < 0)
        return reply_errno(s, r, "Reading what has changed");
    if (f.partial.from > 0)
        keep_partial(&f.partial, &seqs);
    if (f.has_changed_since)
        keep_changed(s->mb, &seqs, f.changed_since);
    if (seqs.len == 0)
        return reply_ok(s, "Fetch completed.");
    return fetch_messages(s, &f, &seqs);
}
