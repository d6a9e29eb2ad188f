/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_parse.c - search keys (RFC 3501 section 6.4.4; OLDER and YOUNGER RFC 5032, MODSEQ RFC
 * 7162)
 *
 * A table has one row a key: what it makes and what argument it takes. Keys
 * nest through "(", NOT and OR, so parsing recurses, to a depth that is given.
 *
 * Runs in: imapd (input is hostile). Logs nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "flags.h"
#include "mail/charset.h"
#include "mail/date.h"
#include "search.h"

enum argument {
    NO_ARG,
    A_STRING,
    A_FIELD,
    A_DATE,
    A_NUMBER,
    AN_INTERVAL,
    A_KEYWORD,
    A_SET,
    A_MODSEQ,
    A_KEY,
    TWO_KEYS
};

enum polarity { IS, IS_NOT };

static const struct row {
    const char *name;
    enum search_kind kind;
    enum polarity polarity;
    enum argument argument;
    uint32_t flag;
    struct span field;
} rows[] = {
    { "ALL",        SEARCH_AND,        IS,     NO_ARG,      0,             { NULL, 0 } },
    { "ANSWERED",   SEARCH_FLAG,       IS,     NO_ARG,      MAIL_ANSWERED, { NULL, 0 } },
    { "BCC",        SEARCH_HEADER,     IS,     A_STRING,    0,             SPAN("Bcc") },
    { "BEFORE",     SEARCH_BEFORE,     IS,     A_DATE,      0,             { NULL, 0 } },
    { "BODY",       SEARCH_BODY,       IS,     A_STRING,    0,             { NULL, 0 } },
    { "CC",         SEARCH_HEADER,     IS,     A_STRING,    0,             SPAN("Cc") },
    { "DELETED",    SEARCH_FLAG,       IS,     NO_ARG,      MAIL_DELETED,  { NULL, 0 } },
    { "DRAFT",      SEARCH_FLAG,       IS,     NO_ARG,      MAIL_DRAFT,    { NULL, 0 } },
    { "EMAILID",    SEARCH_EMAILID,    IS,     A_STRING,    0,             { NULL, 0 } },
    { "FLAGGED",    SEARCH_FLAG,       IS,     NO_ARG,      MAIL_FLAGGED,  { NULL, 0 } },
    { "FROM",       SEARCH_HEADER,     IS,     A_STRING,    0,             SPAN("From") },
    { "HEADER",     SEARCH_HEADER,     IS,     A_FIELD,     0,             { NULL, 0 } },
    { "KEYWORD",    SEARCH_KEYWORD,    IS,     A_KEYWORD,   0,             { NULL, 0 } },
    { "LARGER",     SEARCH_LARGER,     IS,     A_NUMBER,    0,             { NULL, 0 } },
    { "MODSEQ",     SEARCH_MODSEQ,     IS,     A_MODSEQ,    0,             { NULL, 0 } },
    { "NEW",        SEARCH_NEW,        IS,     NO_ARG,      0,             { NULL, 0 } },
    { "NOT",        SEARCH_AND,        IS_NOT, A_KEY,       0,             { NULL, 0 } },
    { "OLD",        SEARCH_RECENT,     IS_NOT, NO_ARG,      0,             { NULL, 0 } },
    { "OLDER",      SEARCH_OLDER,      IS,     AN_INTERVAL, 0,             { NULL, 0 } },
    { "ON",         SEARCH_ON,         IS,     A_DATE,      0,             { NULL, 0 } },
    { "OR",         SEARCH_OR,         IS,     TWO_KEYS,    0,             { NULL, 0 } },
    { "RECENT",     SEARCH_RECENT,     IS,     NO_ARG,      0,             { NULL, 0 } },
    { "SAVEDATESUPPORTED", SEARCH_AND, IS,     NO_ARG,      0,             { NULL, 0 } },
    { "SAVEDBEFORE", SEARCH_SAVEDBEFORE, IS,   A_DATE,      0,             { NULL, 0 } },
    { "SAVEDON",    SEARCH_SAVEDON,    IS,     A_DATE,      0,             { NULL, 0 } },
    { "SAVEDSINCE", SEARCH_SAVEDSINCE, IS,     A_DATE,      0,             { NULL, 0 } },
    { "SEEN",       SEARCH_FLAG,       IS,     NO_ARG,      MAIL_SEEN,     { NULL, 0 } },
    { "SENTBEFORE", SEARCH_SENTBEFORE, IS,     A_DATE,      0,             { NULL, 0 } },
    { "SENTON",     SEARCH_SENTON,     IS,     A_DATE,      0,             { NULL, 0 } },
    { "SENTSINCE",  SEARCH_SENTSINCE,  IS,     A_DATE,      0,             { NULL, 0 } },
    { "SINCE",      SEARCH_SINCE,      IS,     A_DATE,      0,             { NULL, 0 } },
    { "SMALLER",    SEARCH_SMALLER,    IS,     A_NUMBER,    0,             { NULL, 0 } },
    { "SUBJECT",    SEARCH_HEADER,     IS,     A_STRING,    0,             SPAN("Subject") },
    { "TEXT",       SEARCH_TEXT,       IS,     A_STRING,    0,             { NULL, 0 } },
    { "THREADID",   SEARCH_THREADID,   IS,     A_STRING,    0,             { NULL, 0 } },
    { "TO",         SEARCH_HEADER,     IS,     A_STRING,    0,             SPAN("To") },
    { "UID",        SEARCH_UID,        IS,     A_SET,       0,             { NULL, 0 } },
    { "UNANSWERED", SEARCH_FLAG,       IS_NOT, NO_ARG,      MAIL_ANSWERED, { NULL, 0 } },
    { "UNDELETED",  SEARCH_FLAG,       IS_NOT, NO_ARG,      MAIL_DELETED,  { NULL, 0 } },
    { "UNDRAFT",    SEARCH_FLAG,       IS_NOT, NO_ARG,      MAIL_DRAFT,    { NULL, 0 } },
    { "UNFLAGGED",  SEARCH_FLAG,       IS_NOT, NO_ARG,      MAIL_FLAGGED,  { NULL, 0 } },
    { "UNKEYWORD",  SEARCH_KEYWORD,    IS_NOT, A_KEYWORD,   0,             { NULL, 0 } },
    { "UNSEEN",     SEARCH_FLAG,       IS_NOT, NO_ARG,      MAIL_SEEN,     { NULL, 0 } },
    { "YOUNGER",    SEARCH_YOUNGER,    IS,     AN_INTERVAL, 0,             { NULL, 0 } },
};
static const struct row sequence_set = { "", SEARCH_SEQ, IS, A_SET, 0, { NULL, 0 } };

struct build {
    struct parse *p;
    const struct search_context *c;
    struct search *q;
};

void search_done(struct search *q)
{
    for (size_t i = 0; i < q->len; i++)
        seqset_done(&q->nodes[i].set);
    free(q->nodes);
    *q = SEARCH_INIT;
}

static uint32_t add_node(struct search *q, enum search_kind kind)
{
    MEM_GROW(q->nodes, q->len, q->cap);
    q->nodes[q->len] =
        (struct search_node){.kind = kind, .first_child = SEARCH_NONE, .next = SEARCH_NONE};
    return (uint32_t)q->len++;
}

static bool parse_key(struct build *b, size_t depth, uint32_t *ret);

/* One key more below a node; *last: its last child so far. */
static bool parse_child(struct build *b, uint32_t parent, size_t depth, uint32_t *last)
{
    uint32_t child;

    if (!parse_key(b, depth + 1, &child))
        return false;
    if (*last == SEARCH_NONE)
        b->q->nodes[parent].first_child = child;
    else
        b->q->nodes[*last].next = child;
    *last = child;
    return true;
}

/* search-key *(SP search-key) */
static bool parse_keys(struct build *b, uint32_t parent, size_t depth)
{
    uint32_t last = SEARCH_NONE;

    do {
        if (!parse_child(b, parent, depth, &last))
            return false;
        if (parse_end(b->p))
            return true;
    } while (parse_sp(b->p));
    return false;
}

static bool parse_set_arg(struct build *b, struct search_node *n)
{
    const struct mailbox *mb = b->c->mb;
    uint32_t count = mb ? mailbox_count(mb) : 0;
    uint32_t star = count;
    struct span text;

    if (parse_char(b->p, '$')) {
        n->kind = SEARCH_UID;
        seqset_copy(b->c->saved, &n->set);
        return true;
    }
    if (n->kind == SEARCH_UID && mb)
        star = count > 0 ? mailbox_entry(mb, count)->uid : mailbox_uidnext(mb);
    if (!parse_set(b->p, &text) || seqset_parse(text, &n->set) < 0)
        return false;
    seqset_resolve(&n->set, star > 0 ? star : 1);
    b->q->has_numbers |= n->kind == SEARCH_SEQ;
    return true;
}

/* date = date-text / DQUOTE date-text DQUOTE; as days since the epoch */
static bool parse_date(struct parse *p, uint64_t *ret)
{
    struct span text;
    int year, month, day;

    if (!parse_astring(p, &text) || date_parse_imap_day(text, &year, &month, &day) < 0)
        return false;

    int64_t days = date_days(year, month, day);

    *ret = days > 0 ? (uint64_t)days : 0;
    return true;
}

/* MODSEQ [entry-name SP entry-type-req] SP mod-sequence-valzer; per-flag values are those of the
 * message */
static bool parse_modseq(struct parse *p, uint64_t *ret)
{
    struct span entry;

    if (p->in.len > 0 && p->in.ptr[0] == '"' &&
        (!parse_string(p, &entry) || !parse_sp(p) ||
         !(parse_word(p, "priv") || parse_word(p, "shared") || parse_word(p, "all")) || !parse_sp(p)))
        return false;
    return parse_number(p, INT64_MAX, ret);
}

static bool parse_keyword(struct parse *p, struct search_node *n)
{
    if (!parse_atom(p, &n->text))
        return false;
    if (flag_find(n->text, &n->flag))
        n->kind = SEARCH_FLAG;
    return true;
}

/* astring, from the charset of the command */
static bool parse_text(struct build *b, struct span *ret)
{
    _cleanup_(str_free) struct str converted = STR_INIT;

    if (!parse_astring(b->p, ret))
        return false;
    if (b->c->charset.len > 0 && charset_convert(*ret, b->c->charset, NULL, &converted))
        *ret = parse_keep(b->p, &converted);
    return true;
}

/* The argument of a key; not of those that hold keys. */
static bool parse_argument(struct build *b, const struct row *row, struct search_node *n)
{
    struct parse *p = b->p;

    if (row->argument == NO_ARG || (row != &sequence_set && !parse_sp(p)))
        return row->argument == NO_ARG;
    switch (row->argument) {
    case A_STRING:
        return parse_text(b, &n->text);
    case A_FIELD:
        return parse_astring(p, &n->field) && parse_sp(p) && parse_text(b, &n->text);
    case A_DATE:
        return parse_date(p, &n->number);
    case A_NUMBER:
        b->q->has_size = true;
        return parse_number(p, INT64_MAX, &n->number); /* RFC 9051 section 9, number64 */
    case AN_INTERVAL:
        if (!parse_number(p, UINT32_MAX, &n->number) || n->number == 0)
            return false;
        n->number = (uint64_t)clock_real() - n->number;
        return true;
    case A_KEYWORD:
        return parse_keyword(p, n);
    case A_SET:
        return parse_set_arg(b, n);
    case A_MODSEQ:
        b->q->has_modseq = true;
        return parse_modseq(p, &n->number);
    case NO_ARG:
    case A_KEY:
    case TWO_KEYS:
        break;
    }
    return true;
}

static const struct row *find_row(struct parse *p)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (parse_word(p, rows[i].name))
            return &rows[i];
    return &sequence_set;
}

/* "(" search-key *(SP search-key) ")" after its parenthesis */
static bool parse_group(struct build *b, uint32_t node, size_t depth)
{
    uint32_t last = SEARCH_NONE;

    do
        if (!parse_child(b, node, depth, &last))
            return false;
    while (parse_sp(b->p));
    return parse_char(b->p, ')');
}

static bool asks_kept_header(const struct search_node *n)
{
    switch (n->kind) {
    case SEARCH_HEADER:
        return kept_field(n->field);
    case SEARCH_SENTBEFORE:
    case SEARCH_SENTON:
    case SEARCH_SENTSINCE:
    case SEARCH_SAVEDBEFORE:
    case SEARCH_SAVEDON:
    case SEARCH_SAVEDSINCE:
    case SEARCH_THREADID:
        return true;
    default:
        return false;
    }
}

static bool parse_key(struct build *b, size_t depth, uint32_t *ret)
{
    uint32_t last = SEARCH_NONE;

    if (depth > b->c->max_depth + 1 || /* the first keys are nested in nothing */
        b->q->len > b->c->max_keys)
        return false;
    if (parse_char(b->p, '(')) {
        *ret = add_node(b->q, SEARCH_AND);
        return parse_group(b, *ret, depth);
    }

    const struct row *row = find_row(b->p);
    uint32_t node = *ret = add_node(b->q, row->kind);
    struct search_node *n = &b->q->nodes[node];

    n->negate = row->polarity == IS_NOT;
    n->flag = row->flag;
    n->field = row->field;
    if (!parse_argument(b, row, n))
        return false;
    b->q->has_kept |= asks_kept_header(n);
    b->q->has_email_id |= n->kind == SEARCH_EMAILID;
    if (row->argument == A_KEY || row->argument == TWO_KEYS)
        if (!parse_child(b, node, depth, &last))
            return false;
    return row->argument != TWO_KEYS || (parse_sp(b->p) && parse_child(b, node, depth, &last));
}

bool parse_search(struct parse *p, const struct search_context *c, struct search *ret)
{
    struct build b = { p, c, ret };

    return parse_keys(&b, add_node(ret, SEARCH_AND), 0);
}
