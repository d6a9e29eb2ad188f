/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_match.c - does a message match? Asked in four rounds, each dearer than the one before
 *
 * A key that would need more than is at hand answers "unknown"; AND, OR and NOT
 * are of three values. So the index alone decides wherever it can, then the header fields
 * that it keeps (kept.h), then the header, and only what is still open has its whole file read.
 *
 * Strings match as substrings, ASCII letters in either case, after encoded
 * words, transfer encodings and charsets have been undone (RFC 3501 section 6.4.4).
 *
 * Runs in: imapd (content is hostile). Logs nothing.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "mail/date.h"
#include "mail/header.h"
#include "search.h"
#include "search_text.h"
#include "thread_id.h"

enum answer { NO, YES, UNKNOWN };
enum round { ROUND_INDEX, ROUND_KEPT, ROUND_HEADER, ROUND_ALL };

struct question {
    const struct search *q;
    struct mailbox *mb;
    uint32_t seq;
    const struct mail_entry *entry;
    enum round round;
    struct span header;
    const struct mime *mime;
    struct span email_id;
    struct pace *pace;
};

static enum answer yes_if(bool b)
{
    return b ? YES : NO;
}

static enum answer opposite(enum answer a)
{
    return a == UNKNOWN ? UNKNOWN : a == YES ? NO : YES;
}

static enum answer has_keyword(const struct question *qu, struct span name)
{
    for (uint64_t bits = qu->entry->keywords; bits != 0; bits &= bits - 1)
        if (span_eq_nocase_str(name, mailbox_keyword(qu->mb, (size_t)__builtin_ctzll(bits))))
            return YES;
    return NO;
}

/* Floor of seconds to days: in UTC, as the server's zone is nothing a client can know. */
static int64_t day_of(int64_t seconds)
{
    return seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
}

static enum answer compare_day(enum search_kind kind, int64_t day, uint64_t wanted)
{
    switch (kind) {
    case SEARCH_BEFORE:
    case SEARCH_SAVEDBEFORE:
    case SEARCH_SENTBEFORE:
        return yes_if(day < (int64_t)wanted);
    case SEARCH_ON:
    case SEARCH_SAVEDON:
    case SEARCH_SENTON:
        return yes_if(day == (int64_t)wanted);
    default:
        return yes_if(day >= (int64_t)wanted);
    }
}

/* SENTBEFORE ...: the day that the Date field names, whatever its time zone. */
static enum answer sent_on(const struct question *qu, const struct search_node *n)
{
    struct span value;
    int64_t seconds;
    int zone;

    if (qu->round < ROUND_KEPT)
        return UNKNOWN;
    if (!mime_field_find(qu->header, "Date", &value) || date_parse(value, &seconds, &zone) < 0)
        return NO;
    return compare_day(n->kind, day_of(seconds + (int64_t)zone * 60), n->number);
}

/* RFC 8514 section 4.3: where no save date is known, the internal date counts */
static enum answer saved_on(const struct question *qu, const struct search_node *n)
{
    int64_t seconds;

    if (qu->round < ROUND_KEPT)
        return UNKNOWN;
    if (!message_save_date(qu->mb, qu->seq, &seconds))
        seconds = qu->entry->received;
    return compare_day(n->kind, day_of(seconds), n->number);
}

static enum answer in_thread(const struct question *qu, struct span name)
{
    _cleanup_(str_free) struct str id = STR_INIT;

    if (qu->round < ROUND_KEPT)
        return UNKNOWN;
    thread_id_add(qu->header, &id);
    return yes_if(span_eq(str_span(&id), name));
}

static enum answer header_matches(const struct question *qu, const struct search_node *n)
{
    if (qu->round < (kept_field(n->field) ? ROUND_KEPT : ROUND_HEADER))
        return UNKNOWN;
    return yes_if(search_header(qu->header, n->field, n->text, qu->pace));
}

static enum answer body_matches(const struct question *qu, const struct search_node *n)
{
    if (n->text.len == 0)
        return YES;
    if (n->kind == SEARCH_TEXT && qu->round == ROUND_HEADER &&
        search_header(qu->header, SPAN_NULL, n->text, qu->pace))
        return YES;
    if (qu->round < ROUND_ALL)
        return UNKNOWN;
    if (n->kind == SEARCH_TEXT && search_header(qu->header, SPAN_NULL, n->text, qu->pace))
        return YES;
    return yes_if(search_body(qu->mime, n->text, qu->pace));
}

/* A key that holds no others. */
static enum answer ask_leaf(const struct question *qu, const struct search_node *n)
{
    const struct mail_entry *e = qu->entry;

    switch (n->kind) {
    case SEARCH_FLAG:
        return yes_if(e->flags & n->flag);
    case SEARCH_KEYWORD:
        return has_keyword(qu, n->text);
    case SEARCH_RECENT:
        return yes_if(e->recent);
    case SEARCH_NEW:
        return yes_if(e->recent && !(e->flags & MAIL_SEEN));
    case SEARCH_SEQ:
        return yes_if(seqset_has(&n->set, qu->seq));
    case SEARCH_UID:
        return yes_if(seqset_has(&n->set, e->uid));
    case SEARCH_LARGER:
        return yes_if(e->vsize > n->number);
    case SEARCH_SMALLER:
        return yes_if(e->vsize < n->number);
    case SEARCH_MODSEQ:
        return yes_if(e->modseq >= n->number);
    case SEARCH_OLDER:
        return yes_if(e->received <= (int64_t)n->number);
    case SEARCH_YOUNGER:
        return yes_if(e->received >= (int64_t)n->number);
    case SEARCH_BEFORE:
    case SEARCH_ON:
    case SEARCH_SINCE:
        return compare_day(n->kind, day_of(e->received), n->number);
    case SEARCH_SENTBEFORE:
    case SEARCH_SENTON:
    case SEARCH_SENTSINCE:
        return sent_on(qu, n);
    case SEARCH_SAVEDBEFORE:
    case SEARCH_SAVEDON:
    case SEARCH_SAVEDSINCE:
        return saved_on(qu, n);
    case SEARCH_EMAILID:
        if (qu->round < ROUND_ALL)
            return UNKNOWN;
        return yes_if(n->text.len > 0 && n->text.ptr[0] == 'M' && span_eq(span_from(n->text, 1), qu->email_id));
    case SEARCH_THREADID:
        return in_thread(qu, n->text);
    case SEARCH_HEADER:
        return header_matches(qu, n);
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return body_matches(qu, n);
    case SEARCH_AND:
    case SEARCH_OR:
        break;
    }
    return UNKNOWN;
}

/* Recursion is as deep as the parser allowed. */
static enum answer ask(const struct question *qu, uint32_t node)
{
    const struct search_node *n = &qu->q->nodes[node];
    bool is_or = n->kind == SEARCH_OR;
    enum answer a;

    if (n->kind == SEARCH_AND || is_or) {
        a = is_or ? NO : YES;
        for (uint32_t i = n->first_child; i != SEARCH_NONE; i = qu->q->nodes[i].next) {
            enum answer b = ask(qu, i);

            if (b == (is_or ? YES : NO)) {
                a = b;
                break;
            }
            if (b == UNKNOWN)
                a = UNKNOWN;
        }
    } else {
        a = ask_leaf(qu, n);
    }
    return n->negate ? opposite(a) : a;
}

/* What can be said of a round's answer: 1, 0, or -EAGAIN: another round; or why the search was stopped */
static int outcome(const struct question *qu, enum answer a)
{
    if (pace_error(qu->pace) < 0)
        return pace_error(qu->pace);
    return a == UNKNOWN ? -EAGAIN : a == YES;
}

static int match_content(struct question *qu, struct message *m)
{
    const struct kept *kept;
    int r = message_header(m, &qu->header);

    if (r < 0)
        return r;
    qu->round = ROUND_HEADER;
    r = outcome(qu, ask(qu, 0));
    if (r != -EAGAIN)
        return r;
    if (qu->q->has_email_id) {
        r = message_kept(m, KEPT_EMAIL_ID, &kept);
        if (r < 0)
            return r;
        qu->email_id = kept->email_id;
    }
    r = message_mime(m, &qu->mime);
    if (r < 0)
        return r;
    qu->header = qu->mime->parts[0].header; /* reading on may have moved it */
    qu->round = ROUND_ALL;
    return outcome(qu, ask(qu, 0) == YES ? YES : NO);
}

int search_match(const struct search *q, uint32_t seq, struct message *m)
{
    struct question qu = { .q = q, .mb = m->mb, .seq = seq, .entry = mailbox_entry(m->mb, seq), .pace = m->pace };
    const struct kept *kept;
    int r = outcome(&qu, ask(&qu, 0));

    if (r != -EAGAIN)
        return r;
    message_open(m, seq);
    if (q->has_kept) {
        r = message_kept(m, KEPT_HEADER, &kept);
        if (r < 0)
            return r;
        qu.header = kept->header;
        qu.round = ROUND_KEPT;
        r = outcome(&qu, ask(&qu, 0));
        if (r != -EAGAIN)
            return r;
    }
    return match_content(&qu, m);
}
