/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - STATUS (RFC 3501 section 6.3.10; HIGHESTMODSEQ RFC 7162, SIZE RFC 8438, MAILBOXID
 * RFC 8474, APPENDLIMIT RFC 7889, DELETED RFC 9208)
 *
 * Runs in: imapd (input is hostile).
 */
#include "status.h"

#include <inttypes.h>

#include "base/mem.h"
#include "command.h"
#include "mailbox_name.h"
#include "reply.h"
#include "untagged.h"

enum item { MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, HIGHESTMODSEQ, SIZE, DELETED, MAILBOXID, APPENDLIMIT, DELETED_STORAGE };

static const char *const names[] = {
    [MESSAGES] = "MESSAGES",       [RECENT] = "RECENT", [UIDNEXT] = "UIDNEXT",
    [UIDVALIDITY] = "UIDVALIDITY", [UNSEEN] = "UNSEEN", [HIGHESTMODSEQ] = "HIGHESTMODSEQ",
    [SIZE] = "SIZE",               [DELETED] = "DELETED",
    [MAILBOXID] = "MAILBOXID",     [APPENDLIMIT] = "APPENDLIMIT",
    [DELETED_STORAGE] = "DELETED-STORAGE",
};

bool parse_status_items(struct parse *p, unsigned *ret)
{
    unsigned items = 0;

    if (!parse_char(p, '('))
        return false;
    do {
        struct span name;
        size_t i = 0;

        if (!parse_atom(p, &name))
            return false;
        while (i < ARRAY_LEN(names) && !span_eq_nocase_str(name, names[i]))
            i++;
        if (i == ARRAY_LEN(names))
            return false;
        items |= 1u << i;
    } while (parse_sp(p));
    *ret = items;
    return parse_char(p, ')');
}

static uint64_t value(const struct mailbox_status *st, enum item item)
{
    switch (item) {
    case MESSAGES:
        return st->messages;
    case RECENT:
        return st->recent;
    case UIDNEXT:
        return st->uidnext;
    case UIDVALIDITY:
        return st->uidvalidity;
    case UNSEEN:
        return st->unseen;
    case HIGHESTMODSEQ:
        return st->highestmodseq;
    case DELETED:
        return st->deleted;
    case SIZE:
    case MAILBOXID:
    case APPENDLIMIT:
    case DELETED_STORAGE:
        break;
    }
    return 0;
}

/* Bytes of messages that have all of `flags`. Not from the mailbox's counter: it lacks messages whose size nobody has asked
 * for and whose names do not tell it, as other programs store them; RFC 8438 section 2 wants no less than there is. */
static int sum_sizes(struct imap *s, struct span name, uint32_t flags, uint64_t *ret)
{
    _cleanup_(mailbox_close_ptr_) struct mailbox *mb = NULL;
    uint64_t sum = 0;
    int r = mailbox_open(s->account, name, MAILBOX_READ_ONLY, &mb);

    if (r < 0)
        return r;
    /* What cannot be measured counts nothing, and what cannot be kept on a full disk counts all the same. */
    (void)mailbox_measure(mb, 1, mailbox_count(mb));
    for (uint32_t seq = 1; seq <= mailbox_count(mb); seq++)
        if ((mailbox_entry(mb, seq)->flags & flags) == flags)
            sum += mailbox_entry(mb, seq)->vsize;
    *ret = sum;
    return 0;
}

/* What account_status() does not tell */
struct sizes {
    uint64_t all, deleted;
};

static int measure(struct imap *s, struct span name, unsigned items, const struct mailbox_status *st, struct sizes *ret)
{
    int r = 0;

    *ret = (struct sizes){ 0 };
    if (items & 1u << SIZE && st->messages > 0)
        r = sum_sizes(s, name, 0, &ret->all);
    if (r == 0 && items & 1u << DELETED_STORAGE && st->deleted > 0)
        r = sum_sizes(s, name, MAIL_DELETED, &ret->deleted);
    return r;
}

static void put_item(struct str *out, struct imap *s, const struct sizes *sizes, const struct mailbox_status *st,
                     enum item item)
{
    int64_t limit = s->params->message_size_limit;

    str_add_str(out, names[item]);
    if (item == MAILBOXID) /* RFC 8474 section 4.3 */
        str_addf(out, " (F%016" PRIx64 ")", st->id);
    else if (item == APPENDLIMIT && limit == 0) /* RFC 7889 section 4 */
        str_add_str(out, " NIL");
    else if (item == SIZE || item == DELETED_STORAGE) /* RFC 8438; RFC 9208 section 5.3 */
        str_addf(out, " %" PRIu64, item == SIZE ? sizes->all : sizes->deleted);
    else
        str_addf(out, " %" PRIu64, item == APPENDLIMIT ? (uint64_t)limit : value(st, item));
}

int status_put(struct imap *s, struct span name, unsigned items, struct str *out)
{
    struct mailbox_status st;
    struct sizes sizes;
    int r = account_status(s->account, name, &st);

    if (r == 0)
        r = measure(s, name, items, &st, &sizes);
    if (r < 0)
        return r;
    if (items & 1u << HIGHESTMODSEQ)
        untagged_condstore(s); /* RFC 7162 section 3.1: an enabling command */
    str_add_str(out, "* STATUS ");
    put_mailbox_name(out, name, imap_names(s));
    str_add_str(out, " (");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (!(items & 1u << i))
            continue;
        if (out->data[out->len - 1] != '(')
            str_add_char(out, ' ');
        put_item(out, s, &sizes, &st, (enum item)i);
    }
    str_add_str(out, ")\r\n");
    return 0;
}

int cmd_status(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT, line = STR_INIT;
    unsigned items;

    if (!parse_mailbox(p, &name) || !parse_sp(p) || !parse_status_items(p, &items) || !parse_end(p))
        return reply_bad(s, "A mailbox name and a list of items are expected.");
    int r = status_put(s, str_span(&name), items, &line);

    imap_write(s, str_span(&line));
    return r < 0 ? reply_errno(s, r, "Reading the mailbox") : reply_ok(s, "Status completed.");
}
