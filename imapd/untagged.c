/* SPDX-License-Identifier: Apache-2.0 */
/*
 * untagged.c - EXPUNGE, EXISTS, RECENT and FETCH (FLAGS) without being asked
 *
 * RFC 3501 section 5.2 and 7.3.1 to 7.4.1, RFC 7162 section 3.1: once a client
 * has shown that it knows MODSEQ, each FLAGS comes with it, and once it has enabled QRESYNC
 * it hears VANISHED with UIDs instead of EXPUNGE (section 3.2.10).
 *
 * Runs in: imapd.
 */
#include "untagged.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "command.h"
#include "flags.h"
#include "reply.h"
#include "seqset.h"

/* What mailbox_sync() has reported: flags are noted first, since an own STORE decides which are
 * sent. */
struct report {
    struct imap *s;
    uint32_t *changed;
    size_t len, cap;
    uint32_t *gone;         /* UIDs, descending, for VANISHED */
    size_t n_gone, cap_gone;
};

void untagged_condstore(struct imap *s)
{
    if (!s->condstore && s->mb)
        imap_printf(s, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest.\r\n",
                    mailbox_highestmodseq(s->mb));
    s->condstore = true;
}

void untagged_flags(struct imap *s)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_add_str(&line, "* FLAGS (");
    put_all_flags(&line, s->mb);
    str_add_str(&line, ")\r\n* OK [PERMANENTFLAGS (");
    if (!mailbox_read_only(s->mb)) {
        put_all_flags(&line, s->mb);
        if (mailbox_keywords(s->mb) < KEYWORDS_MAX) /* RFC 9051 section 7.1: the client MUST hear when there is room for no more */
            str_add_str(&line, " \\*");
    }
    str_add_str(&line, ")] Flags permitted.\r\n");
    s->keywords_told = mailbox_keywords(s->mb);
    imap_write(s, str_span(&line));
}

void untagged_new_keywords(struct imap *s)
{
    if (mailbox_keywords(s->mb) != s->keywords_told)
        untagged_flags(s);
}

static void report_expunge(uint32_t seq, uint32_t uid, void *arg)
{
    struct report *r = arg;

    r->s->stats.expunged++;
    if (!r->s->qresync) {
        imap_printf(r->s, "* %" PRIu32 " EXPUNGE\r\n", seq);
        return;
    }
    MEM_GROW(r->gone, r->n_gone, r->cap_gone);
    r->gone[r->n_gone++] = uid;
}

/* Before anything that counts without them. */
static void tell_gone(struct report *r)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct seqset_printer set = { .out = &line };

    if (r->n_gone == 0)
        return;
    str_add_str(&line, "* VANISHED ");
    while (r->n_gone > 0)
        seqset_print(&set, r->gone[--r->n_gone]);
    seqset_print_end(&set);
    str_add_str(&line, "\r\n");
    imap_write(r->s, str_span(&line));
}

static void report_flags(uint32_t seq, void *arg)
{
    struct report *r = arg;

    MEM_GROW(r->changed, r->len, r->cap);
    r->changed[r->len++] = seq;
}

static void report_exists(uint32_t count, uint32_t recent, void *arg)
{
    struct report *r = arg;

    tell_gone(r);
    imap_printf(r->s, "* %" PRIu32 " EXISTS\r\n", count);
    if (!r->s->rev2) /* RFC 9051 has no \Recent */
        imap_printf(r->s, "* %" PRIu32 " RECENT\r\n", recent);
}

static void send_flags(struct imap *s, uint32_t seq, enum untagged_own flags, struct str *line)
{
    const struct mail_entry *e = mailbox_entry(s->mb, seq);
    const char *sep = "";

    str_reset(line);
    str_addf(line, "* %" PRIu32 " FETCH (", seq);
    if (s->uid || s->condstore || s->rev2) { /* RFC 9051 section 7.5.2 */
        str_addf(line, "UID %" PRIu32, e->uid);
        sep = " ";
    }
    if (s->condstore) {
        str_addf(line, "%sMODSEQ (%" PRIu64 ")", sep, e->modseq);
        sep = " ";
    }
    if (flags == UNTAGGED_TELL) {
        str_addf(line, "%sFLAGS (", sep);
        put_flags(line, s->mb, e, s->rev2 ? FLAGS_NO_RECENT : FLAGS_RECENT);
        str_add_char(line, ')');
    }
    str_add_str(line, ")\r\n");
    imap_write(s, str_span(line));
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Synchronise; *r holds then, in order, the sequence numbers whose flags were changed by others. */
static int sync_and_note(struct imap *s, enum untagged_expunge expunge, struct report *r)
{
    const struct mailbox_changes changes = { .expunge = report_expunge, .flags = report_flags,
                                             .exists = report_exists, .arg = r };
    int err = mailbox_sync(s->mb, expunge == UNTAGGED_EXPUNGE, &changes);

    tell_gone(r);
    free(r->gone);
    if (err < 0) {
        log_warn_errno(err,
                       "imap: the selected mailbox cannot be read any more, closing the session");
        imap_puts(s, "* BYE [UNAVAILABLE] The selected mailbox is gone.\r\n");
        s->state = IMAP_LOGOUT;
        return err;
    }
    if (r->len > 1)
        qsort(r->changed, r->len, sizeof *r->changed, by_number);
    untagged_new_keywords(s);
    return 0;
}

/* A client that loses its connection must not believe that it has heard of an expunge (RFC 7162 section 6). */
static void tell_highest(struct imap *s)
{
    uint64_t told = mailbox_told_modseq(s->mb);
    bool held = told != mailbox_highestmodseq(s->mb);

    if (s->qresync && (held || s->modseq_held))
        imap_printf(s, "* OK [HIGHESTMODSEQ %" PRIu64 "] %s.\r\n", told,
                    held ? "Of an expunge you will hear later" : "Of all that has happened");
    s->modseq_held = held;
}

int untagged_sync(struct imap *s, enum untagged_expunge expunge)
{
    if (!s->mb || s->state == IMAP_LOGOUT) /* who has been told BYE hears only the answer to his command */
        return 0;

    struct report r = { .s = s };
    _cleanup_(str_free) struct str line = STR_INIT;
    int err = sync_and_note(s, expunge, &r);

    for (size_t i = 0; err == 0 && i < r.len; i++)
        if (i == 0 || r.changed[i] != r.changed[i - 1])
            send_flags(s, r.changed[i], UNTAGGED_TELL, &line);
    if (err == 0)
        tell_highest(s);
    free(r.changed);
    return err;
}

int untagged_reply_expunged(struct imap *s, const char *text)
{
    int r = s->qresync ? untagged_sync(s, UNTAGGED_EXPUNGE) : 0;

    if (r < 0)
        return r;
    if (!s->qresync)
        return reply_ok(s, "%s", text);
    return reply_ok(s, "[HIGHESTMODSEQ %" PRIu64 "] %s", mailbox_highestmodseq(s->mb), text);
}

/* Is the list's next one seq? Then pass over it. */
static bool take_seq(const struct seqs *l, size_t *at, uint32_t seq)
{
    bool found = false;

    for (; *at < l->len && l->items[*at] == seq; ++*at)
        found = true;
    return found;
}

int untagged_after_store(struct imap *s, const struct seqs *own, const struct seqs *refused, enum untagged_own tell)
{
    struct report r = { .s = s };
    _cleanup_(str_free) struct str line = STR_INIT;
    int err = sync_and_note(s, UNTAGGED_KEEP, &r);
    const struct seqs changed = { r.changed, r.len, r.cap };
    int gone = 0;

    /* All are ordered: merge them. */
    for (size_t i = 0, j = 0, k = 0; err == 0 && (i < own->len || j < changed.len);) {
        uint32_t seq = j == changed.len || (i < own->len && own->items[i] <= changed.items[j]) ? own->items[i] : changed.items[j];
        bool is_own = take_seq(own, &i, seq), is_refused = take_seq(refused, &k, seq);

        take_seq(&changed, &j, seq);
        if (is_own && mailbox_entry(s->mb, seq)->expunged)
            gone = 1;
        else if (!is_own || is_refused || tell == UNTAGGED_TELL || mailbox_entry(s->mb, seq)->foreign)
            send_flags(s, seq, UNTAGGED_TELL, &line);
        else if (s->condstore)
            send_flags(s, seq, UNTAGGED_SILENT, &line);
    }
    free(r.changed);
    return err < 0 ? err : gone;
}

/* ---- a client that was away ---- */

/* Those of the ranges that the client knows; both ascend. */
static void put_known(struct seqset_printer *set, const struct uid_range *gone, size_t n, const struct seqset *known)
{
    for (size_t i = 0, k = 0; i < n && k < known->len;) {
        const struct seqrange *r = &known->items[k];
        uint32_t first = r->from > gone[i].first ? r->from : gone[i].first;
        uint32_t last = r->to < gone[i].last ? r->to : gone[i].last;

        if (first <= last)
            seqset_print_range(set, first, last);
        if (r->to < gone[i].last)
            k++;
        else
            i++;
    }
}

/* Only what is greater than `after` */
static void cut_front(struct uid_range *gone, size_t *n, uint32_t after)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++) {
        if (gone[i].last <= after)
            continue;
        gone[kept] = gone[i];
        if (gone[kept].first <= after)
            gone[kept].first = after + 1;
        kept++;
    }
    *n = kept;
}

int untagged_vanished(struct imap *s, uint64_t modseq, const struct seqset *known, uint32_t after)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    _cleanup_free_ struct uid_range *gone = NULL;
    struct seqset_printer set = { .out = &line };
    size_t n = 0;
    int r = mailbox_vanished(s->mb, modseq, &gone, &n);

    if (r < 0)
        return r;
    cut_front(gone, &n, after);
    str_add_str(&line, "* VANISHED (EARLIER) ");
    for (size_t i = 0; i < n && !known; i++)
        seqset_print_range(&set, gone[i].first, gone[i].last);
    if (known)
        put_known(&set, gone, n, known);
    if (set.last == 0)
        return 0;
    seqset_print_end(&set);
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
    return 0;
}

void untagged_changed(struct imap *s, uint64_t modseq, const struct seqset *known)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    for (uint32_t seq = 1; seq <= mailbox_count(s->mb); seq++) {
        const struct mail_entry *e = mailbox_entry(s->mb, seq);

        if (e->modseq > modseq && (!known || seqset_has(known, e->uid)))
            send_flags(s, seq, UNTAGGED_TELL, &line);
    }
}
