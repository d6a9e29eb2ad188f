/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - LIST and LSUB (RFC 3501 sections 6.3.8 and 6.3.9)
 *
 * With CHILDREN (RFC 3348), SPECIAL-USE (RFC 6154), the extended syntax (RFC 5258)
 * and STATUS in the answer (RFC 5819). LSUB is LIST (SUBSCRIBED RECURSIVEMATCH) with
 * old words: both work on the account's mailboxes and, besides, the parents of
 * subscribed names that do not exist.
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "list.h"
#include "command.h"
#include "list_names.h"
#include "mailbox_name.h"
#include "reply.h"
#include "status.h"

enum option {
    SELECT_SUBSCRIBED = 1 << 0,
    SELECT_REMOTE = 1 << 1,         /* no mailbox is remote */
    SELECT_RECURSIVE = 1 << 2,
    SELECT_SPECIAL_USE = 1 << 3,
    RETURN_SUBSCRIBED = 1 << 4,
    RETURN_CHILDREN = 1 << 5,       /* always returned */
    RETURN_SPECIAL_USE = 1 << 6,    /* always returned */
    RETURN_STATUS = 1 << 7,
};

struct option_name {
    const char *name;
    unsigned bit;
};
static const struct option_name selections[] = {
    { "SUBSCRIBED", SELECT_SUBSCRIBED },
    { "REMOTE", SELECT_REMOTE },
    { "RECURSIVEMATCH", SELECT_RECURSIVE },
    { "SPECIAL-USE", SELECT_SPECIAL_USE },
};
static const struct option_name returns[] = {
    { "SUBSCRIBED", RETURN_SUBSCRIBED },
    { "CHILDREN", RETURN_CHILDREN },
    { "SPECIAL-USE", RETURN_SPECIAL_USE },
    { "STATUS", RETURN_STATUS },
};

struct listing {
    enum name_form names;
    size_t max_patterns;
    unsigned options;
    unsigned status_items;
    struct str *patterns;           /* UTF-8, the reference put in front */
    size_t n_patterns, cap_patterns;
    bool extended;                  /* options or several patterns (RFC 5258 section 1) */
    bool root_only;                 /* LIST "" "": only the separator is asked for */
};

static void listing_done(struct listing *l)
{
    for (size_t i = 0; i < l->n_patterns; i++)
        str_free(&l->patterns[i]);
    free(l->patterns);
}

/* ---- grammar ---- */

/* One option by name; RETURN's STATUS has items. */
static bool parse_option(struct parse *p, const struct option_name *names, size_t n,
                         struct listing *l)
{
    struct span name;
    size_t i = 0;

    if (!parse_atom(p, &name))
        return false;
    while (i < n && !span_eq_nocase_str(name, names[i].name))
        i++;
    if (i == n)
        return false;
    l->options |= names[i].bit;
    return names[i].bit != RETURN_STATUS ||
           (parse_sp(p) && parse_status_items(p, &l->status_items));
}

/* "(" [option *(SP option)] ")" */
static bool parse_options(struct parse *p, const struct option_name *names, size_t n,
                          struct listing *l)
{
    if (!parse_char(p, '('))
        return false;
    if (parse_char(p, ')'))
        return true;
    do
        if (!parse_option(p, names, n, l))
            return false;
    while (parse_sp(p));
    return parse_char(p, ')');
}

/* "Work/" is taken for "Work": clients write the separator behind what may have inferiors. */
static void drop_separator(struct str *pattern)
{
    struct span p = str_span(pattern);

    if (p.len > 1 && p.ptr[p.len - 1] == MAILBOX_SEPARATOR && span_chr(p, '*') < 0 && span_chr(p, '%') < 0)
        str_truncate(pattern, p.len - 1);
}

static bool parse_pattern(struct parse *p, struct span reference, struct listing *l)
{
    _cleanup_(str_free) struct str whole = STR_INIT;
    struct span pattern;

    if (l->n_patterns == l->max_patterns || !parse_list_mailbox(p, &pattern))
        return false;
    l->root_only = pattern.len == 0;
    str_add(&whole, reference);
    str_add(&whole, pattern);
    MEM_GROW(l->patterns, l->n_patterns, l->cap_patterns);
    l->patterns[l->n_patterns] = STR_INIT;
    /* A name that is no UTF-7 can match nothing: no error (RFC 3501 section 6.3.8). */
    if (mailbox_name_decode(str_span(&whole), p->utf8 ? NAMES_UTF8 : NAMES_UTF7,
                            &l->patterns[l->n_patterns]) < 0)
        str_reset(&l->patterns[l->n_patterns]);
    if (pattern.len == 0) /* matches nothing (RFC 5258 section 3) */
        str_reset(&l->patterns[l->n_patterns]);
    drop_separator(&l->patterns[l->n_patterns]);
    l->n_patterns++;
    return true;
}

/* mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")" */
static bool parse_patterns(struct parse *p, struct span reference, struct listing *l)
{
    if (!parse_char(p, '('))
        return parse_pattern(p, reference, l);
    do
        if (!parse_pattern(p, reference, l))
            return false;
    while (parse_sp(p));
    l->extended = true;
    return parse_char(p, ')');
}

static bool parse_listing(struct parse *p, struct listing *l)
{
    struct span reference;

    if (!parse_sp(p))
        return false;
    l->extended = p->in.len > 0 && p->in.ptr[0] == '(';
    if (l->extended && (!parse_options(p, selections, ARRAY_LEN(selections), l) || !parse_sp(p)))
        return false;
    /* RFC 5258 section 3.1: RECURSIVEMATCH says how to use another option, and needs one. */
    if (l->options & SELECT_RECURSIVE && !(l->options & (SELECT_SUBSCRIBED | SELECT_SPECIAL_USE)))
        return false;
    if (!parse_astring(p, &reference) || !parse_sp(p) || !parse_patterns(p, reference, l))
        return false;
    if (parse_end(p))
        return true;
    l->extended = true;
    return parse_sp(p) && parse_word(p, "RETURN") && parse_sp(p) &&
           parse_options(p, returns, ARRAY_LEN(returns), l) && parse_end(p);
}

/* ---- the names ---- */

/* The account's mailboxes and what can be named of them */
struct entries {
    struct mailbox_info *infos;
    size_t n_infos;
    struct list_names names;
};
#define ENTRIES_INIT { NULL, 0, LIST_NAMES_INIT }

static void entries_done(struct entries *e)
{
    list_names_done(&e->names);
    account_list_free(e->infos, e->n_infos);
}

static int entries_load(struct account *a, struct entries *e)
{
    int r = account_list(a, &e->infos, &e->n_infos);

    if (r == 0)
        list_names_make(&e->names, e->infos, e->n_infos);
    return r;
}

static bool exists(const struct mailbox_info *info)
{
    return info && (info->selectable || info->has_children);
}

static bool is_selected(const struct listing *l, const struct mailbox_info *info)
{
    if (l->options & SELECT_SUBSCRIBED && !(info && info->subscribed))
        return false;
    if (l->options & SELECT_SPECIAL_USE && !(info && info->special_use))
        return false;
    return l->options & SELECT_SUBSCRIBED || exists(info);
}

static bool matches(const struct listing *l, struct span name)
{
    for (size_t i = 0; i < l->n_patterns; i++)
        if (mailbox_name_matches(name, str_span(&l->patterns[i])))
            return true;
    return false;
}

/* Which names have a selected mailbox below them that the patterns do not give? */
static void note_hidden(const struct listing *l, struct list_names *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (is_selected(l, names->items[i].info) && !matches(l, names->items[i].name))
            list_names_note_below(names, &names->items[i]);
}

/* ---- answers ---- */

static void put_attribute(struct str *out, const char *name, bool *first)
{
    if (!*first)
        str_add_char(out, ' ');
    *first = false;
    str_add_str(out, name);
}

/* unreadable: it is there and cannot be had */
static void put_attributes(struct str *out, const struct listing *l, const struct mailbox_info *info, bool unreadable)
{
    bool first = true;

    if (!exists(info))
        put_attribute(out, "\\NonExistent", &first);
    if (!info || !info->selectable || unreadable)
        put_attribute(out, "\\Noselect", &first);
    if (exists(info))
        put_attribute(out, info->has_children ? "\\HasChildren" : "\\HasNoChildren", &first);
    if (info && info->subscribed && l->options & (SELECT_SUBSCRIBED | RETURN_SUBSCRIBED))
        put_attribute(out, "\\Subscribed", &first);
    if (info && info->marked)
        put_attribute(out, "\\Marked", &first);
    if (info && info->special_use)
        put_attribute(out, info->special_use, &first);
}

/* "* LIST (...) "/" name", the line's end is the caller's */
static void put_line(struct str *out, const struct listing *l, const struct list_name *e, bool unreadable)
{
    str_add_str(out, "* LIST (");
    put_attributes(out, l, e->info, unreadable);
    str_add_str(out, ") \"/\" ");
    put_mailbox_name(out, e->name, l->names);
}

/* By all criteria (RFC 5258 section 3.5) */
static void put_childinfo(struct str *out, const struct listing *l)
{
    bool subscribed = l->options & SELECT_SUBSCRIBED, special_use = l->options & SELECT_SPECIAL_USE;

    str_addf(out, " (\"CHILDINFO\" (%s%s%s))", subscribed ? "\"SUBSCRIBED\"" : "",
             subscribed && special_use ? " " : "", special_use ? "\"SPECIAL-USE\"" : "");
}

/* One that cannot be read gets no STATUS, and is none to select (RFC 5819 section 2). */
static void send_name(struct imap *s, const struct listing *l, const struct list_name *e)
{
    _cleanup_(str_free) struct str line = STR_INIT, status = STR_INIT;
    bool unreadable = l->options & RETURN_STATUS && e->info && e->info->selectable &&
                      status_put(s, e->name, l->status_items, &status) < 0;

    put_line(&line, l, e, unreadable);
    if (e->has_below)
        put_childinfo(&line, l);
    str_add_str(&line, "\r\n");
    str_add(&line, str_span(&status));
    imap_write(s, str_span(&line));
}

static int list(struct imap *s, const struct listing *l)
{
    _cleanup_(entries_done) struct entries e = ENTRIES_INIT;
    int r = entries_load(s->account, &e);

    if (r < 0)
        return reply_errno(s, r, "Listing mailboxes");
    if (l->options & SELECT_RECURSIVE)
        note_hidden(l, &e.names);
    for (size_t i = 0; i < e.names.len; i++) {
        const struct list_name *item = &e.names.items[i];

        if ((item->has_below || is_selected(l, item->info)) && matches(l, item->name))
            send_name(s, l, item);
    }
    return reply_ok(s, "List completed.");
}

/* A separator at its end names nothing else (RFC 9051 section 6.3.4). */
static bool is_same(struct span given, struct span name)
{
    return span_eq(given, name) || (given.len == name.len + 1 && given.ptr[name.len] == MAILBOX_SEPARATOR &&
                                    span_eq(span_first(given, name.len), name));
}

/* The line of a name that there need not be any more; nothing if the mailboxes cannot be read. */
static void put_one(struct imap *s, struct span name, const struct listing *l, struct str *out)
{
    _cleanup_(entries_done) struct entries e = ENTRIES_INIT;
    const struct list_name none = { .name = name };
    const struct list_name *found = &none;

    if (entries_load(s->account, &e) < 0)
        return;
    for (size_t i = 0; i < e.names.len; i++)
        if (span_eq(e.names.items[i].name, name))
            found = &e.names.items[i];
    put_line(out, l, found, false);
}

/* old: its other name; empty: none */
static void send_one(struct imap *s, struct span name, struct span old)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    const struct listing l = { .names = imap_names(s) };

    put_one(s, name, &l, &line);
    if (line.len == 0)
        return;
    if (old.len > 0) {
        str_add_str(&line, " (\"OLDNAME\" (");
        put_mailbox_name(&line, old, l.names);
        str_add_str(&line, "))");
    }
    str_add_str(&line, "\r\n");
    imap_write(s, str_span(&line));
}

void list_selected(struct imap *s, struct span given, struct span name)
{
    if (s->rev2)
        send_one(s, name, is_same(given, name) ? SPAN_NULL : given);
}

void list_normalised(struct imap *s, struct span given, struct span name)
{
    if (s->rev2 && !is_same(given, name))
        send_one(s, name, given);
}

void list_renamed(struct imap *s, struct span given_from, struct span from, struct span given_to, struct span to)
{
    if (s->rev2 && !(is_same(given_from, from) && is_same(given_to, to)))
        send_one(s, to, given_from);
}

int cmd_list(struct imap *s, struct parse *p)
{
    _cleanup_(listing_done) struct listing l = { .names = imap_names(s), .max_patterns = (size_t)s->params->imap_list_pattern_limit };

    if (!parse_listing(p, &l))
        return reply_bad(s, "Options, a reference and at most %zu patterns are expected.", l.max_patterns);
    if (l.root_only && !l.extended) {
        imap_puts(s, "* LIST (\\Noselect) \"/\" \"\"\r\n");
        return reply_ok(s, "List completed.");
    }
    return list(s, &l);
}

/* RFC 3501 section 6.3.9: a name that is not subscribed is given, with \Noselect, when "%" hides a
 * subscribed one below it. */
static int lsub(struct imap *s, const struct listing *l)
{
    _cleanup_(entries_done) struct entries e = ENTRIES_INIT;
    _cleanup_(str_free) struct str line = STR_INIT;
    const struct listing plain = { .names = l->names };
    int r = entries_load(s->account, &e);

    if (r < 0)
        return reply_errno(s, r, "Listing mailboxes");
    if (span_chr(str_span(&l->patterns[0]), '%') >= 0)
        note_hidden(l, &e.names);
    for (size_t i = 0; i < e.names.len; i++) {
        const struct list_name *item = &e.names.items[i];
        bool subscribed = item->info && item->info->subscribed;

        if ((!subscribed && !item->has_below) || !matches(l, item->name))
            continue;
        str_reset(&line);
        str_add_str(&line, "* LSUB (");
        /* With the flags that LIST gives: there are clients that ask nothing but LSUB (RFC 3501 section 7.2.3). */
        if (subscribed && exists(item->info))
            put_attributes(&line, &plain, item->info, false);
        else
            str_add_str(&line, "\\Noselect");
        str_add_str(&line, ") \"/\" ");
        put_mailbox_name(&line, item->name, l->names);
        str_add_str(&line, "\r\n");
        imap_write(s, str_span(&line));
    }
    return reply_ok(s, "Lsub completed.");
}

int cmd_lsub(struct imap *s, struct parse *p)
{
    _cleanup_(listing_done) struct listing l = { .names = imap_names(s), .max_patterns = 1,
                                                     .options = SELECT_SUBSCRIBED | SELECT_RECURSIVE };
    struct span reference;

    if (!parse_sp(p) || !parse_astring(p, &reference) || !parse_sp(p) ||
        !parse_pattern(p, reference, &l) || !parse_end(p))
        return reply_bad(s, "A reference and a pattern are expected.");
    return lsub(s, &l);
}
