/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - COPY (RFC 3501 section 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315)
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "reply.h"
#include "seqset.h"
#include "untagged.h"

/* "[COPYUID uidvalidity from to]"; both lists ascend and correspond. */
static void put_copyuid(struct imap *s, const struct seqs *from, const uint32_t *to,
                        uint32_t uidvalidity, struct str *out)
{
    struct seqset_printer p = { .out = out };

    str_addf(out, "[COPYUID %" PRIu32 " ", uidvalidity);
    for (size_t i = 0; i < from->len; i++)
        seqset_print(&p, mailbox_entry(s->mb, from->items[i])->uid);
    seqset_print_end(&p);
    str_add_char(out, ' ');
    for (size_t i = 0; i < from->len; i++)
        seqset_print(&p, to[i]);
    seqset_print_end(&p);
    str_add_char(out, ']');
}

enum copy_mode { COPY, MOVE };

static int copy(struct imap *s, struct parse *p, enum copy_mode mode)
{
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;
    _cleanup_(str_free) struct str name = STR_INIT, code = STR_INIT;
    uint32_t uidvalidity = 0;

    if (!parse_messages(s, p, &seqs) || !parse_mailbox(p, &name) || !parse_end(p))
        return reply_bad(s, "Messages that exist and a mailbox name are expected.");
    if (mode == MOVE && mailbox_read_only(s->mb))
        return reply_no(s, "[NOPERM] The mailbox is read-only.");
    if (seqs.len == 0)
        return reply_ok(s, "There is no such message, so nothing was done.");

    _cleanup_free_ uint32_t *uids = mem_new_n(uint32_t, seqs.len);
    int r = mailbox_copy(s->mb, seqs.items, seqs.len, str_span(&name), mode == MOVE, &uidvalidity,
                         uids);

    if (r == -ENOENT)
        return reply_no(s, "[TRYCREATE] No such mailbox.");
    if (r == -ESTALE)
        return reply_no(s, "[EXPUNGEISSUED] Some of the messages are gone.");
    if (r < 0)
        return reply_errno(s, r, "Copying");
    put_copyuid(s, &seqs, uids, uidvalidity, &code);
    if (mode == COPY)
        return reply_ok(s, "%s Copy completed.", code.data);
    /* RFC 6851 section 4.3: before the EXPUNGE lines, hence untagged */
    imap_printf(s, "* OK %s Moved.\r\n", code.data);
    return untagged_reply_expunged(s, "Move completed.");
}

int cmd_copy(struct imap *s, struct parse *p)
{
    return copy(s, p, COPY);
}

int cmd_move(struct imap *s, struct parse *p)
{
    return copy(s, p, MOVE);
}
