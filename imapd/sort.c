/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort.c - SORT (RFC 5256), DISPLAYFROM and DISPLAYTO (RFC 5957), RETURN (ESORT, RFC 5267 section 3)
 *
 * The keys of all messages that were found are gathered first, from the index where it
 * keeps the header fields; then they are ordered once.
 *
 * Runs in: imapd (input and content are hostile).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "reply.h"
#include "search_return.h"
#include "search_run.h"
#include "sort_key.h"

enum criterion { ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT, TO, CRITERIA };

static const struct {
    const char *name;
    bool is_text;
    bool of_header;
} criteria[CRITERIA] = {
    [ARRIVAL] = { "ARRIVAL", false, false },      [CC] = { "CC", true, true },
    [DATE] = { "DATE", false, true },             [DISPLAYFROM] = { "DISPLAYFROM", true, true },
    [DISPLAYTO] = { "DISPLAYTO", true, true },    [FROM] = { "FROM", true, true },
    [SIZE] = { "SIZE", false, false },            [SUBJECT] = { "SUBJECT", true, true },
    [TO] = { "TO", true, true },
};

struct value {
    int64_t number;
    size_t at, len;         /* in sort.texts */
};

struct item {
    uint32_t seq;
    size_t values;          /* the first of n in sort.values */
};

struct order {
    enum criterion by;
    bool reverse;
};

struct sort {
    struct order *by;
    size_t n, cap, max;
    bool of_header, of_size;
    struct item *items;
    size_t len;
    struct value *values;
    struct str texts;
};

static void sort_done(struct sort *o)
{
    free(o->by);
    free(o->items);
    free(o->values);
    str_free(&o->texts);
}

/* ---- grammar ---- */

static bool parse_criterion(struct parse *p, struct sort *o)
{
    bool reverse = parse_word(p, "REVERSE");

    if (o->n == o->max || (reverse && !parse_sp(p)))
        return false;
    for (size_t i = 0; i < CRITERIA; i++) {
        if (!parse_word(p, criteria[i].name))
            continue;
        o->of_header |= criteria[i].of_header;
        o->of_size |= i == SIZE;
        MEM_GROW(o->by, o->n, o->cap);
        o->by[o->n++] = (struct order){ (enum criterion)i, reverse };
        return true;
    }
    return false;
}

/* "(" sort-criterion *(SP sort-criterion) ")" */
static bool parse_criteria(struct parse *p, struct sort *o)
{
    if (!parse_char(p, '('))
        return false;
    do
        if (!parse_criterion(p, o))
            return false;
    while (parse_sp(p));
    return parse_char(p, ')');
}

/* ---- keys ---- */

static void add_text(struct sort *o, enum criterion by, struct span header)
{
    switch (by) {
    case CC:
        sort_key_mailbox(header, "Cc", &o->texts);
        break;
    case DISPLAYFROM:
        sort_key_display(header, "From", &o->texts);
        break;
    case DISPLAYTO:
        sort_key_display(header, "To", &o->texts);
        break;
    case FROM:
        sort_key_mailbox(header, "From", &o->texts);
        break;
    case SUBJECT:
        sort_key_subject(header, &o->texts);
        break;
    case TO:
        sort_key_mailbox(header, "To", &o->texts);
        break;
    case ARRIVAL:
    case DATE:
    case SIZE:
    case CRITERIA:
        break;
    }
}

static void add_values(struct sort *o, const struct mail_entry *e, struct span header,
                       struct value *values)
{
    for (size_t i = 0; i < o->n; i++) {
        size_t at = o->texts.len;

        add_text(o, o->by[i].by, header);
        values[i] = (struct value){ .at = at, .len = o->texts.len - at };
        if (o->by[i].by == ARRIVAL)
            values[i].number = e->received;
        else if (o->by[i].by == SIZE)
            values[i].number = (int64_t)e->vsize;
        else if (o->by[i].by == DATE)
            values[i].number = sort_key_date(header, e);
    }
}

static int gather_one(struct sort *o, struct message *m, uint32_t seq)
{
    const struct kept *kept;
    struct span header = SPAN_NULL;

    if (o->of_header) {
        message_open(m, seq);
        int r = message_kept(m, KEPT_HEADER, &kept);

        if (r == -ENOENT)
            return 0; /* expunged meanwhile */
        if (r < 0)
            return r;
        header = kept->header;
    }
    o->items[o->len] = (struct item){ seq, o->len * o->n };
    add_values(o, mailbox_entry(m->mb, seq), header, o->values + o->len * o->n);
    o->len++;
    return 0;
}

static int gather(struct imap *s, struct sort *o, const struct seqs *found)
{
    struct message m;
    int r = o->of_size ? mailbox_measure(s->mb, 1, mailbox_count(s->mb)) : 0;

    str_reserve(&o->texts, 1); /* all of them may be empty, and still have a place */
    o->items = mem_new_n(struct item, found->len + 1);
    o->values = mem_new_n(struct value, (found->len + 1) * o->n);
    imap_message_init(s, &m);
    progress_count(s, 0);
    for (size_t i = 0; i < found->len && r == 0; i++) {
        r = gather_one(o, &m, found->items[i]);
        if (r == 0)
            r = progress_step(s, (uint32_t)i + 1);
    }
    message_done(&m);
    return r;
}

/* ---- order ---- */

static int compare_values(const struct sort *o, size_t i, const struct value *a,
                          const struct value *b)
{
    if (criteria[o->by[i].by].is_text)
        return span_cmp(span_make(o->texts.data + a->at, a->len),
                        span_make(o->texts.data + b->at, b->len));
    return a->number < b->number ? -1 : a->number > b->number;
}

/* The last criterion, never reversed, is the sequence number. */
static int compare(const void *x, const void *y, void *arg)
{
    const struct item *a = x, *b = y;
    const struct sort *o = arg;

    for (size_t i = 0; i < o->n; i++) {
        int order = compare_values(o, i, &o->values[a->values + i], &o->values[b->values + i]);

        if (order != 0)
            return o->by[i].reverse ? -order : order;
    }
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int sort(struct imap *s, struct sort *o, struct seqs *found)
{
    int r = gather(s, o, found);

    if (r < 0)
        return r;
    if (o->len > 1)
        qsort_r(o->items, o->len, sizeof *o->items, compare, o);
    for (size_t i = 0; i < o->len; i++)
        found->items[i] = o->items[i].seq;
    found->len = o->len;
    return 0;
}

int cmd_sort(struct imap *s, struct parse *p)
{
    _cleanup_(search_done) struct search q = SEARCH_INIT;
    _cleanup_(seqs_done) struct seqs found = SEQS_INIT;
    _cleanup_(sort_done) struct sort o = { .max = (size_t)s->params->imap_sort_criteria_limit, .texts = STR_INIT };
    struct search_return want = { 0 };
    struct span charset = SPAN_NULL;

    if (!parse_sp(p) || !parse_search_return(p, &want) || !parse_criteria(p, &o) || !parse_sp(p) ||
        !parse_astring(p, &charset) || charset.len == 0 || !parse_sp(p))
        return reply_bad(s, "At most %zu sort criteria in parentheses, a charset and search keys are "
                         "expected.", o.max);
    if (!search_program(s, p, charset, &q)) {
        search_return_refused(s, &want);
        return 0;
    }

    int r = search_run(s, &q, &found);

    if (r == 0)
        r = sort(s, &o, &found);
    if (r < 0) {
        r = search_failed(s, r, "Sorting");
        search_return_refused(s, &want);
        return r;
    }
    search_return_answer(s, "SORT", &want, &found, q.has_modseq);
    return reply_ok(s, "Sort completed.");
}
