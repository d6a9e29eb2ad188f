/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flags.c - flags and keywords between the wire and the index
 *
 * Runs in: imapd (names of flags are the client's). Logs nothing.
 */
#include "flags.h"

#include <stdlib.h>

#include "base/mem.h"

static const struct {
    const char *name;
    uint32_t flag;
} names[] = {
    { "\\Answered",  MAIL_ANSWERED },
    { "\\Flagged",   MAIL_FLAGGED },
    { "\\Deleted",   MAIL_DELETED },
    { "\\Seen",      MAIL_SEEN },
    { "\\Draft",     MAIL_DRAFT },
    { "$Forwarded",  MAIL_PASSED },
};

void flag_list_done(struct flag_list *l)
{
    free(l->keywords);
    *l = FLAG_LIST_INIT;
}

bool flag_find(struct span name, uint32_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_eq_nocase_str(name, names[i].name)) {
            *ret = names[i].flag;
            return true;
        }
    }
    return false;
}

/* flag = "\Answered" / ... / flag-keyword; flag-extension is refused, for none is defined */
static bool parse_flag(struct parse *p, struct flag_list *l)
{
    struct span start = p->in, atom;
    bool system = parse_char(p, '\\');
    uint32_t flag;

    if (!parse_atom(p, &atom))
        return false;

    struct span name = span_first(start, start.len - p->in.len);

    if (flag_find(name, &flag)) {
        l->flags |= flag;
        return true;
    }
    if (system)
        return false;
    MEM_GROW(l->keywords, l->len, l->cap);
    l->keywords[l->len++] = name;
    return true;
}

bool parse_flags(struct parse *p, struct flag_list *ret)
{
    do
        if (!parse_flag(p, ret))
            return false;
    while (parse_sp(p));
    return true;
}

bool parse_flag_list(struct parse *p, struct flag_list *ret)
{
    if (!parse_char(p, '('))
        return false;
    if (parse_char(p, ')'))
        return true;
    return parse_flags(p, ret) && parse_char(p, ')');
}

bool flags_too_long(const struct flag_list *l, size_t longest)
{
    for (size_t i = 0; i < l->len; i++)
        if (l->keywords[i].len > longest)
            return true;
    return false;
}

int flag_keywords(struct mailbox *mb, const struct flag_list *l, enum flag_make make, uint64_t *ret)
{
    uint64_t bits = 0;

    for (size_t k = 0; k < l->len; k++) {
        size_t n = mailbox_keywords(mb), i = 0;

        while (i < n && !span_eq_nocase_str(l->keywords[k], mailbox_keyword(mb, i)))
            i++;
        if (i == n) {
            if (make == FLAG_FIND)
                continue;

            int r = mailbox_keyword_make(mb, l->keywords[k]);

            if (r < 0)
                return r;
            i = (size_t)r;
        }
        bits |= UINT64_C(1) << i;
    }
    *ret = bits;
    return 0;
}

static void put_name(struct str *out, const char *name, bool *first)
{
    if (!*first)
        str_add_char(out, ' ');
    *first = false;
    str_add_str(out, name);
}

void put_flags(struct str *out, const struct mailbox *mb, const struct mail_entry *e, enum flags_recent recent)
{
    bool first = true;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (e->flags & names[i].flag)
            put_name(out, names[i].name, &first);
    for (uint64_t bits = e->keywords; bits != 0; bits &= bits - 1)
        put_name(out, mailbox_keyword(mb, (size_t)__builtin_ctzll(bits)), &first);
    if (e->recent && recent == FLAGS_RECENT)
        put_name(out, "\\Recent", &first);
}

void put_all_flags(struct str *out, const struct mailbox *mb)
{
    bool first = true;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put_name(out, names[i].name, &first);
    for (size_t i = 0; i < mailbox_keywords(mb); i++)
        put_name(out, mailbox_keyword(mb, i), &first);
}
