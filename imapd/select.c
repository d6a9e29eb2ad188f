/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.c - SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2; CONDSTORE and QRESYNC RFC 7162
 * sections 3.1.8 and 3.2.5)
 *
 * The answer to SELECT of a large mailbox is made of counters and is sent at once; the messages are read
 * while the client hears it and thinks of its next command.
 *
 * Runs in: imapd (input is hostile).
 */
#include <inttypes.h>

#include "base/log.h"
#include "command.h"
#include "list.h"
#include "reply.h"
#include "select.h"
#include "seqset.h"
#include "untagged.h"

static int describe(struct imap *s)
{
    uint32_t first_unseen;
    int r = mailbox_first_unseen(s->mb, &first_unseen);

    if (r < 0)
        return r;
    untagged_flags(s);
    imap_printf(s, "* %" PRIu32 " EXISTS\r\n", mailbox_count(s->mb));
    if (!s->rev2)
        imap_printf(s, "* %" PRIu32 " RECENT\r\n", mailbox_recent(s->mb));
    if (first_unseen > 0 && !s->rev2)
        imap_printf(s, "* OK [UNSEEN %" PRIu32 "] First unseen.\r\n", first_unseen);
    imap_printf(s, "* OK [UIDVALIDITY %" PRIu32 "] UIDs valid.\r\n", mailbox_uidvalidity(s->mb));
    imap_printf(s, "* OK [UIDNEXT %" PRIu32 "] Predicted next UID.\r\n", mailbox_uidnext(s->mb));
    imap_printf(s, "* OK [MAILBOXID (F%016" PRIx64 ")] For ever.\r\n", mailbox_id(s->mb));
    imap_printf(s, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest.\r\n", mailbox_highestmodseq(s->mb));
    return 0;
}

/* What a client remembers of the mailbox from its last visit */
struct select {
    bool condstore, qresync;
    uint64_t uidvalidity, modseq;
    struct seqset known;        /* its UIDs, resolved */
    bool has_known;
    struct seqset numbers, uids;    /* a sample of numbers and the UIDs that it knows them by */
};

static void select_done(struct select *q)
{
    seqset_done(&q->known);
    seqset_done(&q->numbers);
    seqset_done(&q->uids);
}

static bool parse_known_uids(struct parse *p, struct seqset *ret)
{
    struct span text;

    if (!parse_set(p, &text) || span_chr(text, '*') >= 0 || seqset_parse(text, ret) < 0)
        return false;
    seqset_resolve(ret, UINT32_MAX);
    return true;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static bool parse_match_data(struct parse *p, struct select *q)
{
    return parse_char(p, '(') && parse_known_uids(p, &q->numbers) && parse_sp(p) && parse_known_uids(p, &q->uids) &&
           parse_char(p, ')');
}

/* "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static bool parse_qresync(struct parse *p, struct select *q)
{
    if (q->qresync || !parse_sp(p) || !parse_char(p, '(') ||
        !parse_number(p, UINT32_MAX, &q->uidvalidity) || !parse_sp(p) ||
        !parse_number(p, INT64_MAX, &q->modseq) || q->modseq == 0)
        return false;
    q->qresync = true;
    while (parse_sp(p)) {
        if (p->in.len > 0 && p->in.ptr[0] == '(')
            return parse_match_data(p, q) && parse_char(p, ')');
        if (q->has_known || !parse_known_uids(p, &q->known))
            return false;
        q->has_known = true;
    }
    return parse_char(p, ')');
}

/* select-params = SP "(" select-param *(SP select-param) ")" (RFC 4466 section 2.1) */
static bool parse_select_params(struct parse *p, struct select *q)
{
    if (parse_end(p))
        return true;
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    do {
        if (parse_word(p, "CONDSTORE"))
            q->condstore = true;
        else if (!parse_word(p, "QRESYNC") || !parse_qresync(p, q))
            return false;
    } while (parse_sp(p));
    return parse_char(p, ')') && parse_end(p);
}

/* The number at place i of a set of ranges, which the caller walks upwards; 0: there are less. */
static uint32_t number_at(const struct seqset *set, size_t *range, uint32_t *passed, uint32_t i)
{
    while (*range < set->len && i - *passed > set->items[*range].to - set->items[*range].from) {
        *passed += set->items[*range].to - set->items[*range].from + 1;
        ++*range;
    }
    return *range < set->len ? set->items[*range].from + (i - *passed) : 0;
}

/* The greatest UID of the sample that still has its number: of what is gone up to there the client knows
 * (section 3.2.5.2). 0: none */
static uint32_t last_match(const struct mailbox *mb, const struct select *q)
{
    uint32_t match = 0, passed_numbers = 0, passed_uids = 0;
    size_t numbers = 0, uids = 0;

    for (uint32_t i = 0; i < mailbox_count(mb); i++) {
        uint32_t seq = number_at(&q->numbers, &numbers, &passed_numbers, i);
        uint32_t uid = number_at(&q->uids, &uids, &passed_uids, i);

        if (seq == 0 || uid == 0 || seq > mailbox_count(mb))
            break;
        if (mailbox_entry(mb, seq)->uid == uid)
            match = uid;
    }
    return match;
}

/* What has changed since the client was here; nothing it knows counts under another UIDVALIDITY. */
static int resynchronise(struct imap *s, const struct select *q)
{
    const struct seqset *known = q->has_known ? &q->known : NULL;

    if (!q->qresync || q->uidvalidity != mailbox_uidvalidity(s->mb))
        return 0;
    int r = mailbox_complete(s->mb);
    if (r == 0)
        r = untagged_vanished(s, q->modseq, known, last_match(s->mb, q));
    if (r == 0)
        untagged_changed(s, q->modseq, known);
    return r;
}

void select_leave(struct imap *s)
{
    if (s->mb)
        imap_puts(s, "* OK [CLOSED] The mailbox is left.\r\n");
    mailbox_close(TAKE_PTR(s->mb));
    s->state = IMAP_AUTHENTICATED;
    s->modseq_held = false;
    seqset_done(&s->saved);
}

/* What has been said of it does not count: no mailbox is selected after a NO (RFC 3501 section 6.3.1). */
static int leave_broken(struct imap *s, int r)
{
    mailbox_close(TAKE_PTR(s->mb));
    s->state = IMAP_AUTHENTICATED;
    return reply_errno(s, r, "Reading the mailbox");
}

int select_complete(struct imap *s)
{
    if (!s->mb || mailbox_is_complete(s->mb))
        return 0;

    int r = stream_flush(s->client);

    if (r < 0)
        return r;
    r = mailbox_complete(s->mb);
    if (r < 0) {
        log_warn_errno(r, "imap: the selected mailbox cannot be read, closing the session");
        imap_puts(s, "* BYE [UNAVAILABLE] The selected mailbox cannot be read, please connect again.\r\n");
        s->state = IMAP_LOGOUT;
    }
    return 0;
}

static int select_mailbox(struct imap *s, struct parse *p, unsigned flags)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    _cleanup_(select_done) struct select q = { .known = SEQSET_INIT, .numbers = SEQSET_INIT, .uids = SEQSET_INIT };

    if (!parse_mailbox(p, &name) || !parse_select_params(p, &q))
        return reply_bad(s, "A mailbox name is expected, and parameters of CONDSTORE or QRESYNC.");
    if (q.qresync && !s->qresync)
        return reply_bad(s, "QRESYNC has to be enabled first.");

    /* Also when the new one cannot be opened, the old one is not selected any more. */
    select_leave(s);
    s->condstore |= q.condstore;

    int r = mailbox_open(s->account, str_span(&name), flags | MAILBOX_COUNTS_FIRST, &s->mb);

    if (r < 0)
        return reply_errno(s, r, "Opening the mailbox");
    s->state = IMAP_SELECTED;
    list_selected(s, p->mailbox, str_span(&name));
    r = describe(s);
    if (r == 0)
        r = resynchronise(s, &q);
    if (r < 0)
        return leave_broken(s, r);
    return reply_ok(s, mailbox_read_only(s->mb) ? "[READ-ONLY] Examine completed." :
                                                  "[READ-WRITE] Select completed.");
}

int cmd_select(struct imap *s, struct parse *p)
{
    return select_mailbox(s, p, 0);
}

int cmd_examine(struct imap *s, struct parse *p)
{
    return select_mailbox(s, p, MAILBOX_READ_ONLY);
}
