/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - STORE (RFC 3501 section 6.4.6), UNCHANGEDSINCE (RFC 7162 section 3.1.3)
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "flags.h"
#include "late_names.h"
#include "reply.h"
#include "seqset.h"
#include "untagged.h"

struct store {
    enum flags_mode mode;
    enum untagged_own own;
    uint64_t unchanged_since;
    struct flag_list flags;
};

/* SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" */
static bool parse_modifiers(struct parse *p, struct store *st)
{
    if (!parse_char(p, '('))
        return true;
    return parse_word(p, "UNCHANGEDSINCE") && parse_sp(p) &&
           parse_number(p, INT64_MAX, &st->unchanged_since) && parse_char(p, ')') && parse_sp(p);
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static bool parse_store(struct parse *p, struct store *st)
{
    if (!parse_sp(p) || !parse_modifiers(p, st))
        return false;
    st->mode = parse_char(p, '+') ? FLAGS_ADD : parse_char(p, '-') ? FLAGS_REMOVE : FLAGS_SET;
    if (parse_word(p, "FLAGS.SILENT"))
        st->own = UNTAGGED_SILENT;
    else if (parse_word(p, "FLAGS"))
        st->own = UNTAGGED_TELL;
    else
        return false;
    if (!parse_sp(p))
        return false;
    return (p->in.len > 0 && p->in.ptr[0] == '(' ? parse_flag_list(p, &st->flags) :
                                                   parse_flags(p, &st->flags)) &&
           parse_end(p);
}

static void note_modified(uint32_t seq, void *arg)
{
    seqs_add(arg, seq);
}

/* "[MODIFIED set] ": those that UNCHANGEDSINCE has protected, as UIDs after UID STORE */
static void put_modified(struct imap *s, const struct seqs *modified, struct str *out)
{
    struct seqset_printer p = { .out = out };

    if (modified->len == 0)
        return;
    str_add_str(out, "[MODIFIED ");
    for (size_t i = 0; i < modified->len; i++)
        seqset_print(&p,
                     s->uid ? mailbox_entry(s->mb, modified->items[i])->uid : modified->items[i]);
    seqset_print_end(&p);
    str_add_str(out, "] ");
}

static void count_deleted(struct imap *s, const struct store *st, const struct seqs *seqs)
{
    if (st->mode == FLAGS_REMOVE || !(st->flags.flags & MAIL_DELETED))
        return;
    for (size_t i = 0; i < seqs->len; i++)
        s->stats.deleted += !(mailbox_entry(s->mb, seqs->items[i])->flags & MAIL_DELETED);
}

/* RFC 2180 section 4.2: who has asked for the flags does not get them all. A UID may be of no message at any time. */
static int some_are_gone(struct imap *s, const struct store *st, const struct str *modified)
{
    static const char text[] = "Some of the messages are gone.";
    const char *code = modified->len > 0 ? modified->data : "[EXPUNGEISSUED] ";

    if (st->own == UNTAGGED_SILENT || s->uid)
        return reply_ok(s, "%s%s", code, text);
    return reply_no(s, "%s%s", code, text);
}

static int run_store(struct imap *s, const struct store *st, struct seqs *seqs)
{
    _cleanup_(seqs_done) struct seqs modified = SEQS_INIT;
    _cleanup_(str_free) struct str code = STR_INIT;
    uint64_t keywords = 0;
    size_t longest = (size_t)s->params->mail_max_keyword_length;
    int r = st->mode != FLAGS_REMOVE && flags_too_long(&st->flags, longest) ? -EINVAL : 0;

    if (r == 0)
        r = flag_keywords(s->mb, &st->flags, st->mode == FLAGS_REMOVE || seqs->len == 0 ? FLAG_FIND : FLAG_MAKE, &keywords);

    if (r == -EOVERFLOW)
        return reply_no(s, "[LIMIT] A mailbox has at most %d keywords.", KEYWORDS_MAX);
    if (r == -EINVAL)
        return reply_no(s, "[CANNOT] This keyword is not allowed: it is an atom of at most %zu bytes.", longest);
    if (r < 0)
        return reply_errno(s, r, "Making a keyword");
    if (st->unchanged_since != UINT64_MAX)
        untagged_condstore(s);
    untagged_new_keywords(s);
    count_deleted(s, st, seqs);
    if (seqs->len > 0) {
        /* What is marked as deleted is expunged next, as a rule, and that would have to wait. */
        if (!(st->flags.flags & MAIL_DELETED))
            mailbox_allow_late_names(s->mb);
        r = mailbox_store(s->mb, seqs->items, seqs->len, st->mode, st->flags.flags, keywords,
                          st->unchanged_since, note_modified, &modified);
    }
    if (r < 0)
        return reply_errno(s, r, "Storing flags");
    late_names_begin(s);
    r = untagged_after_store(s, seqs, &modified, st->own);
    if (r < 0)
        return r;
    put_modified(s, &modified, &code);
    if (r > 0)
        return some_are_gone(s, st, &code);
    return reply_ok(s, "%sStore completed.", str_cstr(&code));
}

int cmd_store(struct imap *s, struct parse *p)
{
    struct store st = { .unchanged_since = UINT64_MAX, .flags = FLAG_LIST_INIT };
    _cleanup_(seqs_done) struct seqs seqs = SEQS_INIT;
    int r;

    if (!parse_messages(s, p, &seqs) || !parse_store(p, &st))
        r = reply_bad(s, "Messages that exist, an action and flags are expected.");
    else if (mailbox_read_only(s->mb))
        r = reply_no(s, "[NOPERM] The mailbox is read-only.");
    else
        r = run_store(s, &st, &seqs);
    flag_list_done(&st.flags);
    return r;
}
