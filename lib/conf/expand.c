/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expand.c - $name, ${name?text}, ${{a} == {b} ? {x} : {y}} in values
 *
 * The forms of postconf(5), "$name etc.". Expansion follows the values of other
 * parameters; a chain deeper than DEPTH_MAX is a loop and refused.
 *
 * Runs in: every program, at start, on the administrator's text. Logs nothing.
 */
#include <errno.h>

#include "base/chars.h"
#include "conf/conf.h"
#include "conf/internal.h"

enum { DEPTH_MAX = 30, EXPANSION_MAX = 1 << 20 };

struct expansion {
    const struct conf *conf;
    struct str *err;
    int depth;
};

static int expand(struct expansion *x, struct span text, struct str *ret);

static int refuse(struct expansion *x, const char *why, struct span at)
{
    str_add_str(x->err, why);
    str_add_str(x->err, ": \"");
    str_add_escaped(x->err, at, 60, STR_ASCII);
    str_add_char(x->err, '"');
    return -EINVAL;
}

static bool name_char(char c)
{
    return char_is(c, CHAR_ALNUM) || c == '_';
}

static struct span cut_name(struct span *s)
{
    struct span name = { s->ptr, 0 };

    while (name.len < s->len && name_char(s->ptr[name.len]))
        name.len++;
    *s = span_from(*s, name.len);
    return name;
}

/* Take a balanced group opened by `open` off the front of *s; *ret is its inside. */
static int cut_group(struct span *s, char open, char close, struct span *ret)
{
    int level = 0;

    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i] == open)
            level++;
        else if (s->ptr[i] == close && --level == 0) {
            *ret = span_make(s->ptr + 1, i - 1);
            *s = span_from(*s, i + 1);
            return 0;
        }
    }
    return -EINVAL;
}

/* The value of a parameter, expanded; an unknown name is empty. */
static int expand_name(struct expansion *x, struct span name, struct str *ret)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add(&key, name);
    const char *raw = conf_raw(x->conf, str_cstr(&key));
    if (!raw)
        return 0;
    if (x->depth >= DEPTH_MAX) {
        refuse(x, "parameters refer to each other in a loop", name);
        return -ELOOP;
    }
    x->depth++;
    int r = expand(x, span_of(raw), ret);
    x->depth--;
    return r;
}

/* "{text}" or text up to the end (or, with stop, up to that character) */
static int cut_operand(struct span *s, char stop, struct span *ret)
{
    *s = span_skip_ws(*s);
    if (s->len > 0 && s->ptr[0] == '{') {
        int r = cut_group(s, '{', '}', ret);
        *s = span_skip_ws(*s);
        return r;
    }
    ptrdiff_t end = stop ? span_chr(*s, stop) : -1;
    *ret = end < 0 ? *s : span_first(*s, (size_t)end);
    *s = end < 0 ? SPAN_NULL : span_from(*s, (size_t)end);
    return 0;
}

/* What follows the condition: "?text", "?{a}:{b}", ":text" */
static int expand_branches(struct expansion *x, bool truth, struct span rest, struct str *ret)
{
    struct span yes = SPAN_NULL, no = SPAN_NULL;
    struct span whole = rest;
    int r = 0;

    rest = span_skip_ws(rest);
    if (span_take(&rest, '?')) {
        struct span ahead = span_skip_ws(rest);
        /* Unbraced, "?text" runs to the end: a colon is part of it. */
        r = cut_operand(&rest, ahead.len && ahead.ptr[0] == '{' ? ':' : '\0', &yes);
        if (r == 0 && span_take(&rest, ':'))
            r = cut_operand(&rest, '\0', &no);
    } else if (span_take(&rest, ':')) {
        r = cut_operand(&rest, '\0', &no);
    } else {
        r = -EINVAL;
    }
    if (r < 0 || span_trim(rest).len > 0)
        return refuse(x, "expected ?{text}:{text} in ${...}", whole);
    return expand(x, truth ? yes : no, ret);
}

static int compare(struct span a, struct span b)
{
    int64_t m, n;

    if (span_i64(a, &m) == 0 && span_i64(b, &n) == 0)
        return (m > n) - (m < n);
    return span_cmp(a, b);
}

/* ${{a} op {b} ? {x} : {y}} */
static int expand_relation(struct expansion *x, struct span body, struct str *ret)
{
    static const struct {
        const char *op;
        bool less, equal, greater;
    } ops[] = {
        { "==", false, true, false }, { "!=", true, false, true },  { "<=", true, true, false },
        { ">=", false, true, true },  { "<", true, false, false },  { ">", false, false, true },
    };
    _cleanup_(str_free) struct str left = STR_INIT, right = STR_INIT;
    struct span a, b, whole = body;

    if (cut_group(&body, '{', '}', &a) < 0)
        return refuse(x, "missing } in ${{...}}", whole);
    body = span_skip_ws(body);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!span_starts(body, span_of(ops[i].op)))
            continue;
        body = span_skip_ws(span_from(body, strlen(ops[i].op)));
        if (body.len == 0 || body.ptr[0] != '{' || cut_group(&body, '{', '}', &b) < 0)
            break;
        int r = expand(x, a, &left);
        if (r == 0)
            r = expand(x, b, &right);
        if (r < 0)
            return r;
        int c = compare(span_trim(str_span(&left)), span_trim(str_span(&right)));
        return expand_branches(x, c < 0 ? ops[i].less : c > 0 ? ops[i].greater : ops[i].equal, body, ret);
    }
    return refuse(x, "expected {a} == {b} (or != < <= >= >) in ${...}", whole);
}

/* The inside of ${...} or $(...) */
static int expand_body(struct expansion *x, struct span body, struct str *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct span whole = body;

    body = span_skip_ws(body);
    if (body.len > 0 && body.ptr[0] == '{')
        return expand_relation(x, body, ret);
    struct span name = cut_name(&body);
    if (name.len == 0)
        return refuse(x, "expected a parameter name in ${...}", whole);
    if (span_trim(body).len == 0)
        return expand_name(x, name, ret);
    int r = expand_name(x, name, &value);
    if (r < 0)
        return r;
    return expand_branches(x, value.len > 0, body, ret);
}

static int expand(struct expansion *x, struct span text, struct str *ret)
{
    while (text.len > 0) {
        ptrdiff_t at = span_chr(text, '$');
        struct span group;
        int r = 0;

        str_add(ret, at < 0 ? text : span_first(text, (size_t)at));
        if (ret->len > EXPANSION_MAX)
            return refuse(x, "value longer than 1 MiB", span_first(text, 20));
        if (at < 0)
            return 0;
        text = span_from(text, (size_t)at + 1);
        if (span_take(&text, '$'))
            str_add_char(ret, '$');
        else if (text.len > 0 && (text.ptr[0] == '{' || text.ptr[0] == '(')) {
            if (cut_group(&text, text.ptr[0], text.ptr[0] == '{' ? '}' : ')', &group) < 0)
                return refuse(x, "missing closing brace after $", text);
            r = expand_body(x, group, ret);
        } else if (text.len > 0 && name_char(text.ptr[0]))
            r = expand_name(x, cut_name(&text), ret);
        else
            return refuse(x, "expected a parameter name after $ ($$ gives a single $)", text);
        if (r < 0)
            return r;
    }
    return 0;
}

int conf_expand(const struct conf *c, struct span text, struct str *ret, struct str *err)
{
    struct expansion x = { .conf = c, .err = err };

    return expand(&x, text, ret);
}

int conf_get(const struct conf *c, const char *name, struct str *ret, struct str *err)
{
    const char *raw = conf_raw(c, name);

    if (!raw)
        return -ENOENT;
    size_t before = err->len;
    int r = conf_expand(c, span_of(raw), ret, err);
    if (r < 0 && err->len > before)
        str_addf(err, " in the value of %s", name);
    return r;
}
