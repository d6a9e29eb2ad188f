/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c - SEARCH (RFC 3501 section 6.4.4), RETURN (ESEARCH, RFC 4731), MODSEQ (RFC 7162
 * section 3.1.5)
 *
 * Runs in: imapd (input and content are hostile).
 */
#include "search.h"

#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"
#include "command.h"
#include "reply.h"
#include "untagged.h"

/* How deep keys may nest; the parser and the matcher recurse so far. */
#define SEARCH_DEPTH_MAX 50

/* RFC 4731 section 3.1; the plain form lists all without being asked. */
enum result {
    RETURN_MIN = 1 << 0,
    RETURN_MAX = 1 << 1,
    RETURN_ALL = 1 << 2,
    RETURN_COUNT = 1 << 3
};

static const struct {
    const char *name;
    unsigned bit;
} results[] = {
    { "MIN", RETURN_MIN }, { "MAX", RETURN_MAX }, { "ALL", RETURN_ALL }, { "COUNT", RETURN_COUNT },
};

struct found {
    struct seqs numbers;    /* sequence numbers or UIDs */
    uint64_t modseq;        /* the highest of them */
    uint64_t first_modseq, last_modseq;
};

/* ["RETURN" SP "(" [option *(SP option)] ")" SP]; *ret 0 without it */
static bool parse_return(struct parse *p, unsigned *ret)
{
    if (!parse_word(p, "RETURN"))
        return true;
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    while (!parse_char(p, ')')) {
        size_t i = 0;

        parse_sp(p);
        while (i < ARRAY_LEN(results) && !parse_word(p, results[i].name))
            i++;
        if (i == ARRAY_LEN(results))
            return false;
        *ret |= results[i].bit;
    }
    if (*ret == 0)
        *ret = RETURN_ALL;
    return parse_sp(p);
}

/* ["CHARSET" SP astring SP]; text is compared as UTF-8, of which US-ASCII is a part */
static bool parse_charset(struct parse *p, bool *ret_known)
{
    struct span charset;

    if (!parse_word(p, "CHARSET"))
        return true;
    if (!parse_sp(p) || !parse_astring(p, &charset) || !parse_sp(p))
        return false;
    *ret_known = span_eq_nocase_str(charset, "UTF-8") || span_eq_nocase_str(charset, "US-ASCII");
    return true;
}

static int run(struct imap *s, const struct search *q, struct found *ret)
{
    struct message m;
    int r = q->has_size ? mailbox_measure(s->mb, 1, mailbox_count(s->mb)) : 0;

    message_init(&m, s->mb,
                 (struct message_limits){ (size_t)s->params->mime_nesting_limit,
                                          (size_t)s->params->mime_part_limit,
                                          (size_t)s->params->header_address_token_limit });
    for (uint32_t seq = 1; seq <= mailbox_count(s->mb) && r >= 0; seq++) {
        const struct mail_entry *e = mailbox_entry(s->mb, seq);

        r = search_match(q, seq, &m);
        if (r == -ENOENT)
            r = 0;
        if (r <= 0)
            continue;
        seqs_add(&ret->numbers, s->uid ? e->uid : seq);
        if (e->modseq > ret->modseq)
            ret->modseq = e->modseq;
        if (ret->numbers.len == 1)
            ret->first_modseq = e->modseq;
        ret->last_modseq = e->modseq;
    }
    message_done(&m);
    return r < 0 ? r : 0;
}

static void send_plain(struct imap *s, const struct found *f, bool modseq)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_add_str(&line, "* SEARCH");
    for (size_t i = 0; i < f->numbers.len; i++) {
        str_add_char(&line, ' ');
        str_add_u64(&line, f->numbers.items[i]);
    }
    if (modseq && f->numbers.len > 0)
        str_addf(&line, " (MODSEQ %" PRIu64 ")", f->modseq);
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
}

/* RFC 7162 section 3.1.6: the highest of the messages that are named in the answer */
static uint64_t result_modseq(const struct found *f, unsigned want)
{
    uint64_t first = want & RETURN_MIN ? f->first_modseq : 0;
    uint64_t last = want & RETURN_MAX ? f->last_modseq : 0;

    if (want & (RETURN_ALL | RETURN_COUNT))
        return f->modseq;
    return first > last ? first : last;
}

/* RFC 4731 section 3.1: MIN, MAX and ALL are left out when nothing was found. */
static void send_extended(struct imap *s, const struct found *f, unsigned want, bool modseq)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct seqset_printer set = { .out = &line };
    size_t n = f->numbers.len;

    str_add_str(&line, "* ESEARCH (TAG ");
    put_string(&line, str_span(&s->tag));
    str_add_str(&line, s->uid ? ") UID" : ")");
    if (want & RETURN_MIN && n > 0)
        str_addf(&line, " MIN %" PRIu32, f->numbers.items[0]);
    if (want & RETURN_MAX && n > 0)
        str_addf(&line, " MAX %" PRIu32, f->numbers.items[n - 1]);
    if (want & RETURN_ALL && n > 0) {
        str_add_str(&line, " ALL ");
        for (size_t i = 0; i < n; i++)
            seqset_print(&set, f->numbers.items[i]);
        seqset_print_end(&set);
    }
    if (want & RETURN_COUNT)
        str_addf(&line, " COUNT %zu", n);
    if (modseq && n > 0)
        str_addf(&line, " MODSEQ %" PRIu64, result_modseq(f, want));
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
}

int cmd_search(struct imap *s, struct parse *p)
{
    _cleanup_(search_done) struct search q = SEARCH_INIT;
    struct found found = { .numbers = SEQS_INIT };
    unsigned want = 0;
    bool charset_known = true;

    if (!parse_sp(p) || !parse_return(p, &want) || !parse_charset(p, &charset_known))
        return reply_bad(s, "Search keys are expected.");
    if (!charset_known)
        return reply_no(s, "[BADCHARSET (US-ASCII UTF-8)] Unknown charset.");
    if (!parse_search(p, s->mb, SEARCH_DEPTH_MAX, &q))
        return reply_bad(s, "Search keys are malformed or nest deeper than %d.", SEARCH_DEPTH_MAX);
    if (q.has_modseq)
        untagged_condstore(s);

    int r = run(s, &q, &found);

    if (r < 0)
        reply_errno(s, r, "Searching");
    else if (want != 0)
        send_extended(s, &found, want, q.has_modseq);
    else
        send_plain(s, &found, q.has_modseq);
    seqs_done(&found.numbers);
    return r < 0 ? 0 : reply_ok(s, "Search completed.");
}
