/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.c - the table of commands and what is common to them
 *
 * RFC 3501 section 6. The front (imapd-login) has the commands of the
 * not-authenticated state; they are answered here as what they are: too late.
 *
 * Runs in: imapd (input is hostile).
 */
#include "command.h"

#include <stdlib.h>

#include "base/mem.h"
#include "input.h"
#include "mailbox_name.h"
#include "reply.h"
#include "seqset.h"
#include "untagged.h"

/* Which reports of the mailbox may stand between a command and its answer. */
enum after {
    AFTER_SYNC,     /* all */
    /* no EXPUNGE, unless the command was given by UID (RFC 3501 section 7.4.1) and has no numbers (RFC 7162
     * section 3.2.10.2) */
    AFTER_KEEP,
    AFTER_NOTHING,
};

enum uid_prefix { NO_UID, MAY_UID };

static const struct command {
    struct span name;
    unsigned states;
    enum uid_prefix uid;
    enum after after;
    command_fn *run;
} commands[] = {
    { SPAN("APPEND"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_append },
    { SPAN("CAPABILITY"),  IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_capability },
    { SPAN("CHECK"),       IMAP_SELECTED, NO_UID,  AFTER_SYNC,    cmd_noop },
    { SPAN("CLOSE"),       IMAP_SELECTED, NO_UID,  AFTER_NOTHING, cmd_close },
    { SPAN("COMPRESS"),    IMAP_ANY,      NO_UID,  AFTER_NOTHING, cmd_compress },
    { SPAN("COPY"),        IMAP_SELECTED, MAY_UID, AFTER_SYNC,    cmd_copy },
    { SPAN("CREATE"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_create },
    { SPAN("DELETE"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_delete },
    { SPAN("ENABLE"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_enable },
    { SPAN("EXAMINE"),     IMAP_ANY,      NO_UID,  AFTER_NOTHING, cmd_examine },
    { SPAN("EXPUNGE"),     IMAP_SELECTED, MAY_UID, AFTER_SYNC,    cmd_expunge },
    { SPAN("FETCH"),       IMAP_SELECTED, MAY_UID, AFTER_KEEP,    cmd_fetch },
    { SPAN("GETQUOTA"),    IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_getquota },
    { SPAN("GETQUOTAROOT"), IMAP_ANY,     NO_UID,  AFTER_SYNC,    cmd_getquotaroot },
    { SPAN("ID"),          IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_id },
    { SPAN("IDLE"),        IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_idle },
    { SPAN("LIST"),        IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_list },
    { SPAN("LOGOUT"),      IMAP_ANY,      NO_UID,  AFTER_NOTHING, cmd_logout },
    { SPAN("LSUB"),        IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_lsub },
    { SPAN("MOVE"),        IMAP_SELECTED, MAY_UID, AFTER_SYNC,    cmd_move },
    { SPAN("NAMESPACE"),   IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_namespace },
    { SPAN("NOOP"),        IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_noop },
    { SPAN("RENAME"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_rename },
    { SPAN("REPLACE"),     IMAP_SELECTED, MAY_UID, AFTER_SYNC,    cmd_replace },
    { SPAN("SEARCH"),      IMAP_SELECTED, MAY_UID, AFTER_KEEP,    cmd_search },
    { SPAN("SELECT"),      IMAP_ANY,      NO_UID,  AFTER_NOTHING, cmd_select },
    { SPAN("SETQUOTA"),    IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_setquota },
    { SPAN("SORT"),        IMAP_SELECTED, MAY_UID, AFTER_KEEP,    cmd_sort },
    { SPAN("STATUS"),      IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_status },
    { SPAN("STORE"),       IMAP_SELECTED, MAY_UID, AFTER_KEEP,    cmd_store },
    { SPAN("SUBSCRIBE"),   IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_subscribe },
    { SPAN("THREAD"),      IMAP_SELECTED, MAY_UID, AFTER_KEEP,    cmd_thread },
    { SPAN("UNSELECT"),    IMAP_SELECTED, NO_UID,  AFTER_NOTHING, cmd_unselect },
    { SPAN("UNSUBSCRIBE"), IMAP_ANY,      NO_UID,  AFTER_SYNC,    cmd_unsubscribe },
};

static const char *const sign_in_commands[] = { "AUTHENTICATE", "LOGIN", "STARTTLS" };

static const struct command *command_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (span_eq_nocase(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static int unknown(struct imap *s, struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(sign_in_commands); i++)
        if (span_eq_nocase_str(name, sign_in_commands[i]))
            return reply_bad(s, "You are signed in already.");
    return reply_bad(s, "Unknown command.");
}

/* Report changes, then send the tagged answer that the handler has set. */
static int answer(struct imap *s, enum after after)
{
    int r = 0;

    if (after != AFTER_NOTHING)
        r = untagged_sync(s, after == AFTER_SYNC || (s->uid && !s->by_number) ? UNTAGGED_EXPUNGE : UNTAGGED_KEEP);
    if (r < 0)
        return r;
    imap_printf(s, "%s %s %s\r\n", s->tag.len > 0 ? s->tag.data : "*", s->reply_status,
                str_cstr(&s->reply_text));
    s->bad_commands = s->reply_status[0] == 'B' ? s->bad_commands + 1 : 0;
    return 0;
}

/* command = tag SP [ "UID" SP ] name ... */
static const struct command *parse_command_name(struct imap *s, struct parse *p)
{
    struct span tag, name = SPAN_NULL;

    s->uid = s->by_number = false;
    if (!parse_tag(p, &tag)) {
        reply_bad(s, "A command begins with a tag.");
        return NULL;
    }
    if (tag.len > (size_t)s->params->imap_tag_limit) {
        reply_bad(s, "A tag has at most %lld bytes.", (long long)s->params->imap_tag_limit);
        return NULL;
    }
    str_set(&s->tag, tag);
    if (!parse_sp(p) || !parse_atom(p, &name)) {
        reply_bad(s, "A command's name is expected.");
        return NULL;
    }
    if (span_eq_nocase_str(name, "UID")) {
        s->uid = true;
        if (!parse_sp(p) || !parse_atom(p, &name)) {
            reply_bad(s, "UID is followed by a command.");
            return NULL;
        }
    }

    const struct command *cmd = command_find(name);

    if (!cmd || (s->uid && cmd->uid == NO_UID)) {
        unknown(s, name);
        return NULL;
    }
    if (!(cmd->states & s->state)) {
        reply_bad(s, "No mailbox is selected.");
        return NULL;
    }
    return cmd;
}

int command_run(struct imap *s, struct span command)
{
    _cleanup_(parse_done) struct parse p;

    progress_begin(s);
    parse_init(&p, command);
    p.utf8 = imap_names(s) == NAMES_UTF8;
    reply_bad(s, "Syntax error.");

    const struct command *cmd = parse_command_name(s, &p);
    int r = cmd ? cmd->run(s, &p) : 0;

    /* What a refused command has brought along is not the next one. */
    if (r == 0)
        r = input_drop_literal(s);
    return r < 0 ? r : answer(s, cmd ? cmd->after : AFTER_NOTHING);
}

int command_idle_again(struct imap *s)
{
    int r = idle_wait(s);

    return r < 0 ? r : answer(s, AFTER_SYNC);
}

/* ---- messages ---- */

void seqs_done(struct seqs *l)
{
    free(l->items);
    *l = SEQS_INIT;
}

void seqs_add(struct seqs *l, uint32_t seq)
{
    MEM_GROW(l->items, l->len, l->cap);
    l->items[l->len++] = seq;
}

/* Sequence numbers of the UIDs from..to that exist */
static void add_uids(const struct mailbox *mb, struct seqrange r, struct seqs *ret)
{
    uint32_t count = mailbox_count(mb);

    for (uint32_t seq = mailbox_seq_from(mb, r.from); seq <= count; seq++) {
        if (mailbox_entry(mb, seq)->uid > r.to)
            return;
        seqs_add(ret, seq);
    }
}

bool parse_messages(struct imap *s, struct parse *p, struct seqs *ret)
{
    _cleanup_(seqset_done) struct seqset set = SEQSET_INIT;
    uint32_t count = mailbox_count(s->mb);
    struct span text;

    if (!parse_sp(p))
        return false;
    if (parse_char(p, '$')) {
        for (size_t i = 0; i < s->saved.len; i++)
            add_uids(s->mb, s->saved.items[i], ret);
        return true;
    }
    if (!parse_set(p, &text) || seqset_parse(text, &set) < 0)
        return false;
    if (s->uid) {
        seqset_resolve(&set, count > 0 ? mailbox_entry(s->mb, count)->uid : mailbox_uidnext(s->mb));
        for (size_t i = 0; i < set.len; i++)
            add_uids(s->mb, set.items[i], ret);
        return true;
    }
    seqset_resolve(&set, count > 0 ? count : UINT32_MAX);
    if (seqset_max(&set) > count)
        return false;
    for (size_t i = 0; i < set.len; i++)
        for (uint32_t seq = set.items[i].from; seq <= set.items[i].to; seq++)
            seqs_add(ret, seq);
    return true;
}

enum name_form imap_names(const struct imap *s)
{
    return s->utf8 || s->rev2 ? NAMES_UTF8 : NAMES_UTF7; /* RFC 9051 section 5.1 */
}

bool parse_mailbox(struct parse *p, struct str *ret)
{
    struct span name;

    if (!parse_sp(p) || !parse_astring(p, &name))
        return false;
    p->mailbox = name;
    /* Well-formed as a command, but no name: "R&D" typed into a script is no fault of the protocol. "" is no mailbox's name
     * either, and is answered with NO. */
    if (mailbox_name_decode(name, p->utf8 ? NAMES_UTF8 : NAMES_UTF7, ret) < 0)
        str_reset(ret);
    /* "a/" says that inferiors will follow (RFC 3501 section 6.3.3); some always write it. */
    if (ret->len > 1 && ret->data[ret->len - 1] == MAILBOX_SEPARATOR)
        str_truncate(ret, ret->len - 1);
    return true;
}
