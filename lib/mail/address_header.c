/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_header.c - address lists in header fields
 *
 * RFC 5322 section 3.4 with the obsolete forms of 4.4, and what people really
 * send. One scanner finds the elements of a list and where in the value their
 * addresses stand; reading and rewriting both use it, so they never disagree about what
 * an address is. Work is linear; nesting is counted, not recursed into.
 *
 * Runs in: cleanup, imapd (input is hostile). Logs nothing.
 */
#include <errno.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"
#include "mail/address.h"
#include "mail/header.h"

/* One element of a list: an address, or an end of a group. Spans point into the value. */
struct element {
    int kind;               /* HDR_ADDR_... */
    struct span phrase;     /* what stands before "<" or ":" */
    struct span comment;    /* the last one, without its parentheses */
    struct span addr;       /* addr-spec; comments and blanks may be inside */
    bool empty;             /* nothing between two commas */
};

/* ---- finding elements ---- */

/* Length of a comment at the front of s, up to its closing parenthesis, or all when it is not closed */
static size_t comment_len(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '(')
            depth++;
        else if (s.ptr[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.len;
}

/* Length of what ends with `end`, "\" escaping; without an end only the opening character counts. A second
 * opening character stops the search, or a row of them would take quadratic time. */
static size_t enclosed_len(struct span s, char end)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == end)
            return i + 1;
        else if (s.ptr[i] == s.ptr[0])
            return 1;
    }
    return 1;
}

/* Length of "<...>" at the front of s; a ">" in a quoted string is no end. Not closed: up to a comma. */
static size_t angle_len(struct span s)
{
    size_t comma = 0;
    size_t i = 1;

    while (i < s.len && s.ptr[i] != '<') {
        if (s.ptr[i] == '>')
            return i + 1;
        if (s.ptr[i] == ',' && comma == 0)
            comma = i;
        i += s.ptr[i] == '"' ? enclosed_len(span_from(s, i), '"') : 1;
    }
    return comma > 0 ? comma : span_first(s, i).len;
}

/* Length of the token at the front of s */
static size_t token_len(struct span s)
{
    switch (s.ptr[0]) {
    case '(':
        return comment_len(s);
    case '"':
        return enclosed_len(s, '"');
    case '[':
        return enclosed_len(s, ']');
    case '<':
        return angle_len(s);
    case '\\':
        return s.len > 1 ? 2 : 1;
    }
    return 1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* `whole`, grown to reach the end of `token`; both lie in one value */
static struct span reach(struct span whole, struct span token)
{
    if (whole.len == 0)
        return token;
    return span_make(whole.ptr, (size_t)(token.ptr + token.len - whole.ptr));
}

/* "<addr>" without its brackets */
static struct span inside_angle(struct span token)
{
    token = span_from(token, 1);
    if (token.len > 0 && token.ptr[token.len - 1] == '>')
        token.len--;
    return token;
}

/* Take the next element off the front of *in; false at the end. in_group: within "name: ... ;" */
static bool next_element(struct span *in, bool *in_group, struct element *ret)
{
    struct element e = { .kind = HDR_ADDR_MAILBOX };
    bool angle = false;

    if (in->len == 0 && !*in_group)
        return false;
    if (in->len == 0) {
        *in_group = false; /* was never closed */
        e.kind = HDR_ADDR_GROUP_END;
        *ret = e;
        return true;
    }
    while (in->len > 0) {
        char c = in->ptr[0];
        struct span token = span_first(*in, token_len(*in));

        if (c == ';' && *in_group && (angle || e.phrase.len > 0))
            break; /* ends the address; the next call ends the group */
        *in = span_from(*in, token.len);
        if (c == ';' && *in_group) {
            *in_group = false;
            e.kind = HDR_ADDR_GROUP_END;
            *ret = e;
            return true;
        }
        if (c == ',' || c == ';') /* some write ";" between addresses */
            break;
        if (c == ':' && !angle && e.phrase.len > 0 && !*in_group) {
            *in_group = true;
            e.kind = HDR_ADDR_GROUP_START;
            *ret = e;
            return true;
        }
        if (c == '(') {
            e.comment = span_from(token, 1);
            if (e.comment.len > 0 && e.comment.ptr[e.comment.len - 1] == ')')
                e.comment.len--;
        } else if (c == '<') {
            angle = true;
            e.addr = inside_angle(token);
        } else if (!is_space(c) && !angle && c != '>') { /* one that was never opened, as in "ann@x>" */
            e.phrase = reach(e.phrase, token);
        }
    }
    if (!angle) {
        e.addr = e.phrase;
        e.phrase = SPAN_NULL;
    }
    e.empty = !angle && e.addr.len == 0;
    *ret = e;
    return true;
}

/* ---- reading one address ---- */

/* Skip comments, blanks and folds. Returns whether there was any. */
static bool skip_cfws(struct span *s)
{
    size_t before = s->len;

    while (s->len > 0 && (is_space(s->ptr[0]) || s->ptr[0] == '('))
        *s = span_from(*s, token_len(*s));
    return s->len < before;
}

/* Append a quoted string without its quotes; folds in it are no part of it (RFC 5322 section 3.2.4) */
static void add_unquoted(struct span quoted, struct str *ret)
{
    size_t end = quoted.len > 1 ? quoted.len - 1 : 1;

    for (size_t i = 1; i < end; i++) {
        if (quoted.ptr[i] == '\r' || quoted.ptr[i] == '\n')
            continue;
        if (quoted.ptr[i] == '\\' && i + 1 < end)
            i++;
        str_add_char(ret, quoted.ptr[i]);
    }
}

/* obs-route: "@a,@b:" before the address, given without its colon */
static struct span take_route(struct span *s)
{
    struct span route = SPAN_NULL;
    ptrdiff_t colon = s->len > 0 && s->ptr[0] == '@' ? span_chr(*s, ':') : -1;

    if (colon >= 0) {
        route = span_first(*s, (size_t)colon);
        *s = span_from(*s, (size_t)colon + 1);
    }
    return span_trim(route);
}

/* local-part / obs-local-part: words joined by dots; stops at "@" */
static int read_local(struct span *s, struct str *ret)
{
    bool word_before = false; /* a word without a dot after it */

    while (s->len > 0 && s->ptr[0] != '@') {
        bool gap = skip_cfws(s);

        if (s->len == 0 || s->ptr[0] == '@')
            break;

        char c = s->ptr[0];
        size_t len = token_len(*s);

        if (gap && word_before && c != '.')
            return -EINVAL; /* "two words@host" */
        if (c == '"')
            add_unquoted(span_first(*s, len), ret);
        else
            str_add(ret, span_first(*s, len));
        word_before = c != '.';
        *s = span_from(*s, len);
    }
    return ret->len > 0 ? 0 : -EINVAL;
}

/* addr-spec, and the route before it; host stays empty when there is no "@" */
static int read_addr_spec(struct span s, struct span *route, struct str *mailbox, struct str *host)
{
    skip_cfws(&s);
    *route = take_route(&s);

    int r = read_local(&s, mailbox);

    if (r < 0)
        return r;
    if (!span_take(&s, '@'))
        return 0;
    while (s.len > 0) {
        skip_cfws(&s);
        if (s.len > 0) {
            str_add_char(host, s.ptr[0]);
            s = span_from(s, 1);
        }
    }
    return host->len > 0 ? 0 : -EINVAL;
}

/* A phrase that is one quoted string loses its quotes */
static struct span display_of(const struct element *e)
{
    struct span text = e->phrase.len > 0 ? e->phrase : e->comment;

    if (text.len > 1 && text.ptr[0] == '"' && enclosed_len(text, '"') == text.len)
        return span_first(span_from(text, 1), text.len - 2);
    return text;
}

/* What there is of an element whose address cannot be read: a name that tells the reader more than nothing */
static void keep_name(const struct element *e, struct header_address *a)
{
    str_free(&a->mailbox);
    str_free(&a->host);
    a->kind = HDR_ADDR_NAME;
    a->route = SPAN_NULL;
    if (a->display.len == 0)
        a->display = display_of(&(struct element){ .phrase = e->addr });
}

void header_addresses_parse(struct span value, size_t max, struct header_address_list *ret)
{
    struct element e;
    bool in_group = false;

    *ret = (struct header_address_list){ .text = STR_INIT };
    header_unfold(value, &ret->text);

    struct span in = str_span(&ret->text);

    while (ret->len < max && next_element(&in, &in_group, &e)) {
        struct header_address a = { .display = display_of(&e) };

        a.kind = e.kind;
        if (e.empty)
            continue;
        if (e.kind == HDR_ADDR_MAILBOX && read_addr_spec(e.addr, &a.route, &a.mailbox, &a.host) < 0)
            keep_name(&e, &a);
        if (a.kind == HDR_ADDR_NAME && a.display.len == 0)
            continue;
        MEM_GROW(ret->items, ret->len, ret->cap);
        ret->items[ret->len++] = a;
    }
}

void header_addresses_done(struct header_address_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        str_free(&l->items[i].mailbox);
        str_free(&l->items[i].host);
    }
    free(l->items);
    str_free(&l->text);
    *l = (struct header_address_list){ .text = STR_INIT };
}

/* ---- rewriting ---- */

/* The address as it shall stand in the header; 1 if fn changed it */
static int rewrite_one(struct span addr, int (*fn)(struct span, struct str *, void *), void *arg,
                       struct str *ret)
{
    _cleanup_(str_free) struct str external = STR_INIT;
    _cleanup_(str_free) struct str host = STR_INIT;
    _cleanup_(str_free) struct str changed = STR_INIT;
    struct span route;

    if (read_addr_spec(addr, &route, &external, &host) < 0)
        return 0;
    if (host.len > 0) {
        str_add_char(&external, '@');
        str_add(&external, str_span(&host));
    }
    if (fn(str_span(&external), &changed, arg) != 1)
        return 0;
    address_quote(ret, str_span(&changed));
    return 1;
}

int header_addresses_rewrite(struct span value, int (*fn)(struct span in, struct str *out, void *arg),
                             void *arg, struct str *ret)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    _cleanup_(str_free) struct str one = STR_INIT;
    struct element e;
    struct span in = value;
    const char *copied = value.ptr;
    bool in_group = false;
    bool changed = false;

    while (next_element(&in, &in_group, &e)) {
        str_reset(&one);
        if (e.kind != HDR_ADDR_MAILBOX || e.addr.len == 0 || rewrite_one(e.addr, fn, arg, &one) != 1)
            continue;
        str_add(&out, span_make(copied, (size_t)(e.addr.ptr - copied)));
        str_add(&out, str_span(&one));
        copied = e.addr.ptr + e.addr.len;
        changed = true;
    }
    if (!changed)
        return 0;
    str_add(&out, span_make(copied, (size_t)(value.ptr + value.len - copied)));
    str_set(ret, str_span(&out));
    return 1;
}
