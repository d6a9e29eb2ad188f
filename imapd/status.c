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

enum item { MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, HIGHESTMODSEQ, SIZE, DELETED, MAILBOXID, APPENDLIMIT };

static const char *const names[] = {
    [MESSAGES] = "MESSAGES",       [RECENT] = "RECENT", [UIDNEXT] = "UIDNEXT",
    [UIDVALIDITY] = "UIDVALIDITY", [UNSEEN] = "UNSEEN", [HIGHESTMODSEQ] = "HIGHESTMODSEQ",
    [SIZE] = "SIZE",               [DELETED] = "DELETED",
    [MAILBOXID] = "MAILBOXID",     [APPENDLIMIT] = "APPENDLIMIT",
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
    case SIZE:
        return st->size;
    case DELETED:
        return st->deleted;
    case MAILBOXID:
    case APPENDLIMIT:
        break;
    }
    return 0;
}

static void put_item(struct str *out, const struct imap *s, const struct mailbox_status *st, enum item item)
{
    int64_t limit = s->params->message_size_limit;

    str_add_str(out, names[item]);
    if (item == MAILBOXID) /* RFC 8474 section 4.3 */
        str_addf(out, " (F%016" PRIx64 ")", st->id);
    else if (item == APPENDLIMIT && limit == 0) /* RFC 7889 section 4 */
        str_add_str(out, " NIL");
    else
        str_addf(out, " %" PRIu64, item == APPENDLIMIT ? (uint64_t)limit : value(st, item));
}

int status_send(struct imap *s, struct span name, unsigned items)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct mailbox_status st;
    int r = account_status(s->account, name, &st);

    if (r < 0)
        return r;
    str_add_str(&line, "* STATUS ");
    put_mailbox_name(&line, name, imap_names(s));
    str_add_str(&line, " (");
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (!(items & 1u << i))
            continue;
        if (line.data[line.len - 1] != '(')
            str_add_char(&line, ' ');
        put_item(&line, s, &st, (enum item)i);
    }
    str_add_str(&line, ")\r\n");
    imap_write(s, str_span(&line));
    return 0;
}

int cmd_status(struct imap *s, struct parse *p)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    unsigned items;

    if (!parse_mailbox(p, &name) || !parse_sp(p) || !parse_status_items(p, &items) || !parse_end(p))
        return reply_bad(s, "A mailbox name and a list of items are expected.");
    if (items & 1u << HIGHESTMODSEQ)
        untagged_condstore(s); /* RFC 7162 section 3.1: an enabling command */

    int r = status_send(s, str_span(&name), items);

    return r < 0 ? reply_errno(s, r, "Reading the mailbox") : reply_ok(s, "Status completed.");
}
