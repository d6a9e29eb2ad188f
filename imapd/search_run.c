/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_run.c - a search program, from the command line to the messages it finds
 *
 * No transaction on the index is open while a body is read, so a long search is in
 * nobody's way; between two messages and within each it looks after its client (progress.h).
 *
 * Runs in: imapd (input and content are hostile).
 */
#include "search_run.h"

#include <errno.h>

#include "mail/charset.h"
#include "reply.h"
#include "untagged.h"

void imap_message_init(struct imap *s, struct message *m)
{
    const struct message_limits limits = { (size_t)s->params->mime_nesting_limit, (size_t)s->params->mime_part_limit,
                                           (size_t)s->params->header_address_token_limit };

    message_init(m, s->mb, limits, &s->progress.pace);
}

bool search_program(struct imap *s, struct parse *p, struct span charset, struct search *ret)
{
    const struct params *params = s->params;
    const struct search_context c = {
        .mb = s->mb,
        .saved = &s->saved,
        .charset = charset_is_ours(charset) ? (struct span){ NULL, 0 } : charset,
        .max_depth = (size_t)params->imap_search_depth_limit,
        .max_keys = (size_t)params->imap_search_key_limit,
    };

    if (charset.len > 0 && !charset_known(charset)) {
        reply_no(s, "[BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)] Unknown charset.");
        return false;
    }
    /* RFC 6855 section 3: strings are UTF-8 then, and nothing else */
    if (s->utf8 && charset.len > 0 && !span_eq_nocase_str(charset, "UTF-8")) {
        reply_bad(s, "After ENABLE UTF8=ACCEPT all text is UTF-8.");
        return false;
    }
    if (!parse_search(p, &c, ret)) {
        reply_bad(s, "Search keys are malformed, more than %zu, or nest deeper than %zu.", c.max_keys,
                  c.max_depth);
        return false;
    }
    s->by_number = ret->has_numbers;
    if (ret->has_modseq)
        untagged_condstore(s);
    return true;
}

int search_failed(struct imap *s, int r, const char *what)
{
    if (r == -EPIPE || r == -ECANCELED || stream_error(s->client) < 0)
        return r;
    if (r == -ETIME)
        return reply_no(s, "[LIMIT] %s took longer than imap_search_time_limit.", what);
    return reply_errno(s, r, what);
}

static int match_all(struct imap *s, const struct search *q, struct message *m, struct seqs *ret)
{
    int r = 0;

    progress_count(s, mailbox_count(s->mb));
    for (uint32_t seq = 1; seq <= mailbox_count(s->mb) && r >= 0; seq++) {
        r = search_match(q, seq, m);
        if (r > 0)
            seqs_add(ret, seq);
        if (r >= 0 || r == -ENOENT) /* expunged meanwhile: found nothing */
            r = progress_step(s, seq);
    }
    return r;
}

int search_run(struct imap *s, const struct search *q, struct seqs *ret)
{
    struct message m;
    int r = q->has_size ? mailbox_measure(s->mb, 1, mailbox_count(s->mb)) : 0;

    imap_message_init(s, &m);
    if (r == 0)
        r = match_all(s, q, &m, ret);
    message_done(&m);
    return r < 0 ? r : 0;
}
