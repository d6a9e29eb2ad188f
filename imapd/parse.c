/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - the grammar of IMAP commands
 *
 * RFC 3501 section 9, with two tolerances of old standing: more than one
 * blank where one belongs, and 8-bit characters in quoted strings.
 *
 * Runs in: imapd (input is hostile until the bounds of session.c have passed). Logs nothing.
 */
#include "parse.h"

#include <errno.h>
#include <stdlib.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/utf8.h"

void parse_init(struct parse *p, struct span command)
{
    *p = (struct parse){ .in = command };
}

void parse_done(struct parse *p)
{
    for (size_t i = 0; i < p->n_owned; i++)
        free(p->owned[i]);
    free(p->owned);
    *p = (struct parse){ .in = SPAN_NULL };
}

/* Take the first n bytes. */
static struct span take(struct parse *p, size_t n)
{
    struct span s = span_first(p->in, n);

    p->in = span_from(p->in, n);
    return s;
}

static void skip_blanks(struct parse *p)
{
    while (span_take(&p->in, ' '))
        continue;
}

/* Some clients write "( FLAGS )": blanks beside parentheses mean nothing. */
bool parse_char(struct parse *p, char c)
{
    if (!span_take(&p->in, c))
        return false;
    if (c == '(')
        skip_blanks(p);
    return true;
}

bool parse_sp(struct parse *p)
{
    if (!span_take(&p->in, ' '))
        return false;
    skip_blanks(p);
    return p->in.len == 0 || p->in.ptr[0] != ')';
}

bool parse_end(struct parse *p)
{
    for (size_t i = 0; i < p->in.len; i++)
        if (p->in.ptr[i] != ' ')
            return false;
    return true;
}

/* CHAR without CTL and atom-specials; the specials that some rules allow after all are the
 * caller's. */
static bool is_atom_char(char c)
{
    static const struct span specials = SPAN("(){ %*\"\\]");

    return !char_is(c, CHAR_CTL | CHAR_HIGH) && span_chr(specials, c) < 0;
}

/* Take all characters that are of an atom or of `also`; at least one. */
static bool parse_run(struct parse *p, const char *also, struct span *ret)
{
    struct span extra = span_of(also);
    size_t n = 0;

    while (n < p->in.len && (is_atom_char(p->in.ptr[n]) || span_chr(extra, p->in.ptr[n]) >= 0))
        n++;
    *ret = take(p, n);
    return n > 0;
}

bool parse_tag(struct parse *p, struct span *ret)
{
    return parse_run(p, "]", ret) && span_chr(*ret, '+') < 0;
}

bool parse_atom(struct parse *p, struct span *ret)
{
    return parse_run(p, "", ret);
}

bool parse_name(struct parse *p, struct span *ret)
{
    size_t n = 0;

    while (n < p->in.len && (char_is(p->in.ptr[n], CHAR_ALNUM) || p->in.ptr[n] == '.'))
        n++;
    *ret = take(p, n);
    return n > 0;
}

bool parse_word(struct parse *p, const char *word)
{
    struct parse save = *p;
    struct span atom;

    if (parse_atom(p, &atom) && span_eq_nocase_str(atom, word))
        return true;
    p->in = save.in;
    return false;
}

struct span parse_keep(struct parse *p, struct str *take)
{
    struct span kept = span_make(NULL, take->len);

    MEM_GROW(p->owned, p->n_owned, p->cap_owned);
    p->owned[p->n_owned++] = str_take(take);
    kept.ptr = p->owned[p->n_owned - 1];
    return kept;
}

/* The inside of a quoted string with its escapes undone; kept in p. */
static struct span unescape(struct parse *p, struct span raw)
{
    char *copy = mem_calloc(raw.len + 1, 1);
    size_t n = 0;

    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\')
            i++;
        copy[n++] = raw.ptr[i];
    }
    MEM_GROW(p->owned, p->n_owned, p->cap_owned);
    p->owned[p->n_owned++] = copy;
    return span_make(copy, n);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE */
static bool parse_quoted(struct parse *p, struct span *ret)
{
    bool escaped = false;
    size_t n = 0;

    if (!parse_char(p, '"'))
        return false;
    for (; n < p->in.len && p->in.ptr[n] != '"'; n++) {
        char c = p->in.ptr[n];

        if (c == '\\') {
            escaped = true;
            if (++n == p->in.len || (p->in.ptr[n] != '"' && p->in.ptr[n] != '\\'))
                return false;
        } else if (c == '\0' || c == '\r' || c == '\n') {
            return false;
        }
    }

    struct span raw = take(p, n);

    if (!parse_char(p, '"') || (p->utf8 && !utf8_valid(raw))) /* RFC 6855 section 3 */
        return false;
    *ret = escaped ? unescape(p, raw) : raw;
    return true;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8 */
static bool parse_literal(struct parse *p, struct span *ret)
{
    uint64_t size;

    if (!parse_char(p, '{') || !parse_number(p, UINT32_MAX, &size))
        return false;
    parse_char(p, '+');
    if (!parse_char(p, '}') || !parse_char(p, '\r') || !parse_char(p, '\n') || size > p->in.len)
        return false;
    *ret = take(p, (size_t)size);
    return span_chr(*ret, '\0') < 0;
}

bool parse_string(struct parse *p, struct span *ret)
{
    return p->in.len > 0 && p->in.ptr[0] == '{' ? parse_literal(p, ret) : parse_quoted(p, ret);
}

bool parse_astring(struct parse *p, struct span *ret)
{
    if (p->in.len > 0 && (p->in.ptr[0] == '"' || p->in.ptr[0] == '{'))
        return parse_string(p, ret);
    return parse_run(p, "]", ret);
}

bool parse_nstring(struct parse *p, struct span *ret)
{
    if (parse_word(p, "NIL")) {
        *ret = SPAN_NULL;
        return true;
    }
    return parse_string(p, ret);
}

bool parse_list_mailbox(struct parse *p, struct span *ret)
{
    if (p->in.len > 0 && (p->in.ptr[0] == '"' || p->in.ptr[0] == '{'))
        return parse_string(p, ret);
    return parse_run(p, "%*]", ret);
}

bool parse_number(struct parse *p, uint64_t max, uint64_t *ret)
{
    size_t n = 0;

    while (n < p->in.len && char_is(p->in.ptr[n], CHAR_DIGIT))
        n++;
    return span_u64(take(p, n), max, ret) == 0;
}

bool parse_set(struct parse *p, struct span *ret)
{
    static const struct span chars = SPAN("0123456789:,*");
    size_t n = 0;

    while (n < p->in.len && span_chr(chars, p->in.ptr[n]) >= 0)
        n++;
    *ret = take(p, n);
    return n > 0;
}

bool parse_literal_spec(struct span line, struct span *ret_rest, uint64_t *ret_size, bool *ret_sync)
{
    ptrdiff_t open = line.len > 0 && line.ptr[line.len - 1] == '}' ? span_rchr(line, '{') : -1;

    if (open < 0)
        return false;

    struct span number = span_from(line, (size_t)open + 1);
    bool sync = true;

    number.len--;
    if (number.len > 0 && number.ptr[number.len - 1] == '+') {
        number.len--;
        sync = false;
    }

    int r = span_u64(number, UINT64_MAX, ret_size);

    if (r == -ERANGE)
        *ret_size = UINT64_MAX;
    else if (r < 0)
        return false; /* "{x}" may be text in quotes: the grammar will tell */
    *ret_sync = sync;
    *ret_rest = span_first(line, (size_t)open);
    return true;
}
