/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_return.c - RETURN options of SEARCH and SORT, and the ESEARCH answer
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include "search_return.h"

#include <inttypes.h>

#include "base/mem.h"
#include "reply.h"
#include "seqset.h"

enum option {
    RETURN_MIN = 1 << 0,
    RETURN_MAX = 1 << 1,
    RETURN_ALL = 1 << 2,
    RETURN_COUNT = 1 << 3,
    RETURN_SAVE = 1 << 4,
    RETURN_PARTIAL = 1 << 5,
};

static const struct {
    const char *name;
    unsigned bit;
} options[] = {
    { "MIN", RETURN_MIN },     { "MAX", RETURN_MAX },   { "ALL", RETURN_ALL },
    { "COUNT", RETURN_COUNT }, { "SAVE", RETURN_SAVE }, { "PARTIAL", RETURN_PARTIAL },
};

/* ---- grammar ---- */

/* partial-range = nz-number ":" nz-number / "-" nz-number ":-" nz-number */
bool parse_partial(struct parse *p, struct partial *ret)
{
    bool from_end = parse_char(p, '-');
    uint64_t a, b;

    if (!parse_number(p, UINT32_MAX, &a) || !parse_char(p, ':') || parse_char(p, '-') != from_end ||
        !parse_number(p, UINT32_MAX, &b) || a == 0 || b == 0)
        return false;
    *ret = (struct partial){ (uint32_t)(a < b ? a : b), (uint32_t)(a < b ? b : a), from_end, a > b };
    return true;
}

static bool parse_option(struct parse *p, struct search_return *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!parse_word(p, options[i].name))
            continue;
        if (options[i].bit == RETURN_PARTIAL && ret->want & RETURN_PARTIAL)
            return false;
        ret->want |= options[i].bit;
        return options[i].bit != RETURN_PARTIAL || (parse_sp(p) && parse_partial(p, &ret->partial));
    }
    return false;
}

bool parse_search_return(struct parse *p, struct search_return *ret)
{
    if (!parse_word(p, "RETURN"))
        return true;
    if (!parse_sp(p) || !parse_char(p, '('))
        return false;
    while (!parse_char(p, ')')) {
        parse_sp(p);
        if (!parse_option(p, ret))
            return false;
    }
    if (ret->want == 0)
        ret->want = RETURN_ALL;
    /* RFC 9394 section 3.1 */
    if ((ret->want & RETURN_ALL) && (ret->want & RETURN_PARTIAL))
        return false;
    return parse_sp(p);
}

void search_return_default(struct search_return *r)
{
    if (r->want == 0)
        r->want = RETURN_ALL;
}

/* ---- the result ---- */

void partial_range(const struct partial *p, size_t n, size_t *ret_from, size_t *ret_to)
{
    size_t from = p->from - 1, to = p->to; /* half open */

    if (from > n)
        from = n;
    if (to > n)
        to = n;
    *ret_from = p->from_end ? n - to : from;
    *ret_to = p->from_end ? n - from : to;
}

uint32_t search_number(const struct imap *s, uint32_t seq)
{
    return s->uid ? mailbox_entry(s->mb, seq)->uid : seq;
}

uint64_t search_modseq(struct imap *s, const uint32_t *seqs, size_t n)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t modseq = mailbox_entry(s->mb, seqs[i])->modseq;

        if (modseq > highest)
            highest = modseq;
    }
    return highest;
}

void search_return_refused(struct imap *s, const struct search_return *r)
{
    if (r->want & RETURN_SAVE && s->reply_status[0] == 'N')
        seqset_done(&s->saved);
}

static void save(struct imap *s, const uint32_t *seqs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t uid = mailbox_entry(s->mb, seqs[i])->uid;

        seqset_add(&s->saved, uid);
    }
}

/* RFC 5182 section 2.1 and RFC 9394 section 3.2, table 1 */
static void keep(struct imap *s, const struct search_return *r, const struct seqs *found)
{
    static const unsigned some = RETURN_MIN | RETURN_MAX | RETURN_PARTIAL;
    size_t from, to;

    seqset_done(&s->saved);
    if (found->len == 0)
        return;
    if (!(r->want & some) || r->want & (RETURN_ALL | RETURN_COUNT))
        save(s, found->items, found->len);
    if (r->want & RETURN_MIN)
        save(s, found->items, 1);
    if (r->want & RETURN_MAX)
        save(s, found->items + found->len - 1, 1);
    if (r->want & RETURN_PARTIAL) {
        partial_range(&r->partial, found->len, &from, &to);
        save(s, found->items + from, to - from);
    }
    seqset_resolve(&s->saved, 1);
}

static void put_set(struct str *line, struct imap *s, const uint32_t *seqs, size_t n)
{
    struct seqset_printer set = { .out = line };

    for (size_t i = 0; i < n; i++)
        seqset_print(&set, search_number(s, seqs[i]));
    seqset_print_end(&set);
}

/* "PARTIAL (1:100 set)": the range as it was asked for */
static void put_partial(struct str *line, struct imap *s, const struct partial *p,
                        const struct seqs *found)
{
    const char *sign = p->from_end ? "-" : "";
    size_t from, to;

    partial_range(p, found->len, &from, &to);
    str_addf(line, " PARTIAL (%s%" PRIu32 ":%s%" PRIu32 " ", sign, p->swapped ? p->to : p->from, sign,
             p->swapped ? p->from : p->to);
    if (from < to)
        put_set(line, s, found->items + from, to - from);
    else
        str_add_str(line, "NIL");
    str_add_char(line, ')');
}

/* RFC 7162 section 3.1.6: the highest of the messages that are named in the answer */
static uint64_t named_modseq(struct imap *s, unsigned want, const struct seqs *found)
{
    uint64_t first = want & RETURN_MIN ? search_modseq(s, found->items, 1) : 0;
    uint64_t last = want & RETURN_MAX ? search_modseq(s, found->items + found->len - 1, 1) : 0;

    if (want & (RETURN_ALL | RETURN_COUNT | RETURN_PARTIAL))
        return search_modseq(s, found->items, found->len);
    return first > last ? first : last;
}

/* RFC 4731 section 3.1: MIN, MAX and ALL are left out when nothing was found. */
static void send_extended(struct imap *s, const struct search_return *r, const struct seqs *found,
                          bool modseq)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    size_t n = found->len;

    if (r->want == RETURN_SAVE)
        return;
    str_add_str(&line, "* ESEARCH (TAG ");
    put_string(&line, str_span(&s->tag));
    str_add_str(&line, s->uid ? ") UID" : ")");
    if (r->want & RETURN_MIN && n > 0)
        str_addf(&line, " MIN %" PRIu32, search_number(s, found->items[0]));
    if (r->want & RETURN_MAX && n > 0)
        str_addf(&line, " MAX %" PRIu32, search_number(s, found->items[n - 1]));
    if (r->want & RETURN_ALL && n > 0) {
        str_add_str(&line, " ALL ");
        put_set(&line, s, found->items, n);
    }
    if (r->want & RETURN_PARTIAL)
        put_partial(&line, s, &r->partial, found);
    if (r->want & RETURN_COUNT)
        str_addf(&line, " COUNT %zu", n);
    if (modseq && n > 0 && r->want & ~(unsigned)RETURN_SAVE)
        str_addf(&line, " MODSEQ %" PRIu64, named_modseq(s, r->want, found));
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
}

/* "* SEARCH 2 84 882 (MODSEQ 917162500)" */
static void send_plain(struct imap *s, const char *command, const struct seqs *found, bool modseq)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "* %s", command);
    for (size_t i = 0; i < found->len; i++) {
        str_add_char(&line, ' ');
        str_add_u64(&line, search_number(s, found->items[i]));
    }
    if (modseq && found->len > 0)
        str_addf(&line, " (MODSEQ %" PRIu64 ")", search_modseq(s, found->items, found->len));
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
}

void search_return_answer(struct imap *s, const char *command, const struct search_return *r, const struct seqs *found,
                          bool modseq)
{
    if (r->want & RETURN_SAVE)
        keep(s, r, found);
    if (r->want != 0)
        send_extended(s, r, found, modseq);
    else
        send_plain(s, command, found, modseq);
}
